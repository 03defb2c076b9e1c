"""What is printed: JSON that every program reads, tables at full width, what the library tells, progress."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import differentia as dif
from differentia.cli import main
from differentia.cli.output import (
    print_contrast,
    print_json,
    print_result,
    print_table,
    progress_bar,
    say,
    told_by_the_library,
)
from differentia.results.contrasts import CONTRAST_VALUES

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_the_table_is_not_cut(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a pipe the table goes at its full width, however many sets there are."""
    names = [f"a_set_with_a_rather_long_name_{index}" for index in range(9)]
    sets = [part for index, name in enumerate(names) for part in ("--set", f"{name}=noise:3?seed={index}")]
    few = ["--layers", "predictions", "--n-units", "10", "--no-views"]
    arguments = ["measure", "digits", *sets, *few, "--reference", names[0], "--out", str(folder / "out")]
    assert main(arguments) == 0
    header = [line for line in capsys.readouterr().out.splitlines() if " layer " in line]
    assert len(header) == 1
    assert all(name in header[0] for name in names)


def test_what_is_no_number_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """At any depth; numbers keep all their digits, and texts their letters."""
    print_json([{"é": [0.1 + 0.2, float("nan")], "n": (1, None, float("inf"))}])
    printed = capsys.readouterr().out
    assert json.loads(printed) == [{"é": [0.30000000000000004, None], "n": [1, None, None]}]
    assert "é" in printed


def test_tables_show_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """What Rich would take for markup is text; numbers stand to the right."""
    print_table("[red]title", ["layer", "units"], [["[b]a", "7"], ["b", "1,024"]])
    printed = capsys.readouterr().out
    assert "[red]title" in printed
    cells = [line.split("│")[1:-1] for line in printed.splitlines() if "│" in line]
    assert cells == [[" [b]a  ", "     7 "], [" b     ", " 1,024 "]]


def test_what_the_library_tells(capsys: pytest.CaptureFixture[str]) -> None:
    """On one line of stderr, while a command runs; afterwards its logger is as it was."""
    logger = logging.getLogger("differentia")
    before = logger.level, list(logger.handlers)
    with told_by_the_library():
        logging.getLogger("differentia.recording").info("half\nis done")
    assert capsys.readouterr() == ("", "differentia: half is done\n")
    assert (logger.level, logger.handlers) == before
    say("one\n line")
    assert capsys.readouterr() == ("", "one line\n")


def test_no_bar_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Where stderr is no terminal there is no progress bar, and no empty line either."""
    with progress_bar() as report:
        report(1, 2, "cats")
        report(2, 2, "cats")
    assert capsys.readouterr() == ("", "")


def test_what_is_not_to_be_trusted_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """By a question mark in the place of the interval, below which it is said why; else there is none."""
    rng = np.random.default_rng(0)
    arrays = {name: {"V1": rng.gamma(2.0, size=(12, 30))} for name in ("movie", "rest")}
    result = dif.measure_responses(arrays, n_units=(20, 25), draws=3, reference="rest")
    nothing = result["doubt"].copy(data=np.full(result["doubt"].shape, "", dtype="U32"))
    of_few, of_most = nothing.copy(deep=True), nothing.copy(deep=True)
    of_few.loc[{"set": "movie", "n_units": 20}] = "gap"  # not of the number of units that is printed
    of_most.loc[{"set": "movie", "n_units": 25}] = "strong images"
    for doubt, marked in ((nothing, False), (of_few, False), (of_most, True)):
        shown = dif.with_intervals(result.assign(doubt=doubt))
        print_result(shown)
        table, *below = capsys.readouterr().out.split("└")
        (row,) = [line for line in table.splitlines() if " V1 " in line]
        _, _, _, movie, rest, _, _ = row.split("│")
        assert movie.strip().endswith(" ?" if marked else "]")
        assert rest.strip().endswith("]")
        said = "└".join(below)
        assert ("?: not to be trusted for other images" in said) == marked
        for sentence in dif.say_doubts(shown):
            assert sentence in said
        assert len(dif.say_doubts(shown)) == marked


def test_a_small_p_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """With four decimals, and as a power of ten below what they can tell; "-" where there is none."""
    numbers = {name: ("layer", [0.5, -0.5, np.nan]) for name in CONTRAST_VALUES}
    of_p = {name: ("layer", [3.21e-7, 0.0456, np.nan]) for name in ("p", "p_corrected")}
    about = {"first": "a", "second": "b", "units": "random", "n_units": 50, "confidence": 0.9}
    about |= {"paired": 0, "corrected_over": "layers and pairs of sets", "n_tests": 12}
    print_contrast(xr.Dataset(numbers | of_p, coords={"layer": ["x", "y", "z"]}, attrs=about))
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("│")[-3:-1]] for line in lines if line.startswith("│")]
    assert cells == [["3.2e-07"] * 2, ["0.0456"] * 2, ["-"] * 2]
    assert lines[-1] == (
        "They differ in 2 of 3 layers (p < 0.05, corrected over 12 layers and pairs of sets): x, y; "
        "unknown in 1"
    )
