"""What is printed: JSON that every program reads, tables at full width, what the library tells, progress."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from differentia.cli import main
from differentia.cli.output import print_json, print_table, progress_bar, say, told_by_the_library

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
