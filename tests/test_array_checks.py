"""What the tests check in every call of the package: arrays, under whatever name; and nothing else."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import jaxtyping
import numpy as np
import pytest
from helpers import array_checks

from differentia.results.correlations import correlations

MODULE = """
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING
import numpy as np
from jaxtyping import Float
if TYPE_CHECKING:
    from nowhere import Unknown

Row = Float[np.ndarray, " n"]

def named(one: Row, other: Row) -> None: ...
def returned(size: int) -> tuple[Row, Row]: return np.zeros(size), np.zeros(2)
def beside(one: Float[np.ndarray, "n n"], of: Unknown = None) -> None: ...
def plain(count: int, of: Unknown = None) -> str: return count

@dataclass
class Held:
    one: Row
    other: Row

@dataclass
class Plain:
    count: int
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module that is imported as the package is."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "made_up_arrays.py").write_text(MODULE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        with jaxtyping.install_import_hook("made_up_arrays", f"{array_checks.__name__}.check_arrays"):
            return importlib.import_module("made_up_arrays")


def test_arrays_of_another_shape_are_found(checked: Any) -> None:
    """As arguments, as what is returned, within a dataclass; beside names that only type checkers know."""
    two, three = np.zeros(2), np.zeros(3)
    checked.named(two, two)
    assert len(checked.returned(2)) == 2
    checked.beside(np.zeros((2, 2)))
    checked.Held(two, two)
    wrongs: list[Callable[[], object]] = [
        lambda: checked.named(two, three),
        lambda: checked.returned(3),
        lambda: checked.beside(np.zeros((2, 3))),
        lambda: checked.Held(two, three),
    ]
    for wrong in wrongs:
        with pytest.raises(jaxtyping.TypeCheckError):
            wrong()


def test_what_speaks_of_no_arrays_is_left_alone(checked: Any) -> None:
    """It is the function itself, whatever it is given."""
    assert checked.plain("2") == "2"
    assert checked.Plain("2").count == "2"
    assert not hasattr(checked.plain, "__wrapped__")
    assert hasattr(checked.named, "__wrapped__")


def test_the_package_is_checked() -> None:
    """One of its functions, by the shapes of its signature."""
    assert correlations(np.arange(3.0), np.eye(3), "pearson").shape == (3,)
    with pytest.raises(jaxtyping.TypeCheckError):
        correlations(np.arange(3.0), np.eye(4), "pearson")
