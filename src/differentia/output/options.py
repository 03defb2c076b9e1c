"""How figures are saved, each option declared once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

from pydantic import AfterValidator, Field

from differentia.errors import InputError
from differentia.system.choices import FORMAT
from differentia.system.fields import DISTINCT, SEVERAL, option

#: Stands for no figures.
NONE = "none"

#: In millimetres, and in dots per inch: narrower figures have no room for their labels, others fill the disk.
NARROWEST, WIDEST, COARSEST, FINEST = 50, 500, 50, 1200


def _none_stands_alone(given: tuple[str, ...]) -> tuple[str, ...]:
    if NONE in given and len(given) > 1:
        raise InputError(f"{NONE!r} and {', '.join(one for one in given if one != NONE)} do not go together")
    return () if NONE in given else given


@dataclass(frozen=True)
class FigureOptions:
    """In which formats figures are saved, and how large."""

    formats: Annotated[
        tuple[Annotated[str, FORMAT], ...], SEVERAL, DISTINCT, AfterValidator(_none_stands_alone)
    ] = option(
        ("png",),
        "Formats of the figures",
        typed="; several with commas between",
        doc=': PNG to look at; SVG and PDF for a paper, whose text can be edited; "none" for no figures',
    )
    width: Annotated[float, Field(ge=NARROWEST, le=WIDEST)] | None = option(
        None,
        "Width of the figures in mm, such as that of a journal's column, 85 or 180; "
        "heat maps of many sets are wider",
        doc="; text keeps its size. By default as wide as layers and legend need, and no wider than a page",
        metavar="MM",
        shown="what layers and legend need, at most a page",
    )
    dpi: Annotated[int, Field(ge=COARSEST, le=FINEST)] | None = option(
        None,
        "Dots per inch",
        typed=" of PNG, and of the images in SVG and PDF",
        doc=" of PNG, and of the images in SVG and PDF; by default 200, and 150 in heat maps",
        shown="200; 150 in heat maps",
    )


class FigureKeywords(TypedDict, total=False):
    """What these options may be given as; a test compares them."""

    formats: str | Sequence[str]
    width: float | None
    dpi: int | None
