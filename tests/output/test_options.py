"""How figures are saved: in Python, on the command line and for type checkers alike."""

from __future__ import annotations

import inspect

import pytest

import differentia as dif
from differentia.cli import options as opt
from differentia.output.figures.save import METADATA
from differentia.output.options import NONE, FigureKeywords, FigureOptions
from differentia.system.choices import FORMAT
from differentia.system.fields import accept, options_of


def test_everything_that_knows_the_options_agrees() -> None:
    """Fields, keywords, the signature, the docstring, and the command line."""
    known, signature = options_of(FigureOptions), inspect.signature(dif.save_figures).parameters
    assert list(known) == list(FigureKeywords.__annotations__) == list(opt.FIGURES.values())
    for name, option in known.items():
        assert signature[name].default == option.default
        assert signature[name].annotation == FigureKeywords.__annotations__[name].__forward_arg__
        assert option.entry in str(dif.save_figures.__doc__)
    assert set(opt.FIGURES) <= set(opt.SHARED)
    assert {*METADATA, NONE} == set(FORMAT.names)


@pytest.mark.parametrize(
    ("given", "formats"),
    [({}, ("png",)), ({"formats": "pdf"}, ("pdf",)), ({"formats": ["svg", "png"]}, ("svg", "png"))],
)
def test_formats(given: dict[str, object], formats: tuple[str, ...]) -> None:
    """One or several; none is no format."""
    assert accept(FigureOptions, given).formats == formats
    assert (
        accept(FigureOptions, {"formats": "none"}).formats == accept(FigureOptions, {"formats": ()}).formats
    )
    assert accept(FigureOptions, {"formats": NONE}).formats == ()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"width": 5}, "width is 5; expected at least 50"),
        ({"width": 5000}, "width is 5000; expected at most 500"),
        ({"width": "85mm"}, "width is '85mm'; expected a number"),
        ({"dpi": 0}, "dpi is 0; expected at least 50"),
        ({"dpi": 72.5}, "dpi is 72.5; expected a whole number"),
    ],
)
def test_sizes_that_nothing_can_be_drawn_at(given: dict[str, object], told: str) -> None:
    """An error says what was given and what is expected."""
    with pytest.raises(dif.InputError) as error:
        accept(FigureOptions, given)
    assert str(error.value).startswith(told)
