"""The names of what can be chosen, here because the tables of what they stand for are slow to import.

A test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from differentia.errors import require_known


@dataclass(frozen=True, eq=False)
class Choice:
    """One of some names: what it is called in an error, the names, and what some of them mean."""

    what: str
    names: tuple[str, ...]
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def listed(self) -> str:
        """The names as a help text shows them."""
        meant = {name: f" ({meaning})" for name, meaning in self.meanings.items()}
        return " | ".join(name + meant.get(name, "") for name in self.names)

    def checked(self, given: str) -> str:
        require_known(self.what, given, self.names)
        return given

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(self.checked, handler(source))


UNITS = Choice(
    "kind of units", ("random", "top", "top_variance", "per_filter", "filter_mean", "all", "sketch")
)
NORMALIZE = Choice("normalization", ("layer", "response", "unit", "none"))
METRIC = Choice("metric", ("euclidean", "cityblock", "correlation", "cosine"))
RESIZE = Choice("resize filter", ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"))
CROP = Choice(
    "crop", ("squash", "center"), {"squash": "change the proportions", "center": "cut the ends off"}
)
COMPILE = Choice("compile", ("auto", "always", "never"), {"auto": "where enough images are left to repay it"})
PREPROCESS = Choice(
    "preprocessing",
    ("none", "unit", "signed", "imagenet", "caffe"),
    {"none": "0..255", "unit": "0..1", "signed": "-1..1"},
)
NOISE = Choice("kind of noise", ("uniform", "gaussian"))
HOW = Choice("way to keep images", ("copy", "link", "list"))
FORMAT = Choice("format", ("png", "svg", "pdf", "none"))
