"""Command lines that can't be parsed: in our words, and in Typer's where we have none."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

from differentia.cli import usage
from differentia.cli.commands import app
from differentia.system.fields import takes_several


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def test_synonyms_are_of_what_there_is() -> None:
    """Of commands and options; none is the name of one, but of those that mean something else elsewhere."""
    names = commands()
    assert set(usage.COMMAND_SYNONYMS.values()) <= set(names)
    assert not set(usage.COMMAND_SYNONYMS) & set(names)
    options = {option for command in names.values() for one in command.params for option in one.opts}
    assert {meant.partition(" ")[0] for meant in usage.OPTION_SYNONYMS.values()} <= options
    assert not {f"--{other}" for other in usage.OPTION_SYNONYMS} & (options - {"--mean", "--size", "--table"})


def test_options_that_take_several_values() -> None:
    """Those of a field of several."""
    from differentia.cli.options import FIELDS

    several = {f"--{name.replace('_', '-')}" for name, field in FIELDS.items() if takes_several(field.kind)}
    assert set(usage.WITH_COMMAS) == several - {"--maps"}


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        (["a/1.png", "a/2.png"], "a/*.png"),
        (["a/1.png", "a/2.jpg"], "a/*"),
        (["a/x/1.png", "a/y/2.png"], "a/*/*.png"),
        (["1.png", "2.png"], "*.png"),
    ],
)
def test_the_pattern_that_the_shell_put_files_for(files: list[str], pattern: str) -> None:
    """The folder and the ending that they share; a wildcard for each folder between."""
    assert usage.pattern_of(files) == pattern


def test_an_error_that_is_new_to_us() -> None:
    """It is told as Typer has it, with or without its command."""
    error: Any = typer.TyperException("something new.")
    assert usage.in_our_words(error, []) == "something new."
    error.ctx = typer.Context(commands()["noise"], info_name="noise")
    assert re.fullmatch("something new; see noise --help", usage.in_our_words(error, []))
