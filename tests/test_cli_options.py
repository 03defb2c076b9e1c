"""What the command line offers and how texts are read: completion, examples, numbers, sizes, names, maps."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection
from typing import Any

import pytest
import typer

import differentia as dif
from differentia.cli import options as opt
from differentia.cli.commands import EXAMPLES, app
from differentia.definition import METRICS, NORMALIZATIONS
from differentia.networks import COMPILE, PREPROCESSINGS
from differentia.networks.keras import applications
from differentia.selection import WAYS
from differentia.stimuli import CROPS, NOISE_KINDS, RESIZES
from differentia.units import UNIT_KINDS

TABLES: dict[str, Collection[str]] = {
    "units": UNIT_KINDS,
    "normalize": NORMALIZATIONS,
    "metric": METRICS,
    "resize": RESIZES,
    "crop": CROPS,
    "preprocess": PREPROCESSINGS,
    "kind": NOISE_KINDS,
    "how": WAYS,
    "compile": COMPILE,
}


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def test_the_choices_are_the_tables_of_the_library() -> None:
    """What the shell completes is what there is; networks and devices are examples of what there is."""
    for name, table in TABLES.items():
        assert opt.CHOICES[name] == tuple(table), name
    assert set(opt.CHOICES) - set(TABLES) == {"network", "device"}
    assert opt.CHOICES["network"][0] == "digits"
    assert {name.removeprefix("keras:") for name in opt.CHOICES["network"][1:]} <= set(applications())


def test_every_command_shows_its_choices() -> None:
    """The help of an option with named alternatives lists all of them, wherever it stands."""
    seen = set()
    for command in commands().values():
        for parameter in command.params:
            if parameter.name in TABLES:
                seen.add(parameter.name)
                assert all(choice in parameter.help for choice in TABLES[parameter.name]), parameter.name
    assert seen == set(TABLES)


def completed(words: str) -> list[str]:
    """Return what bash would offer for the last of some words."""
    code = "import sys; from differentia.cli import main; sys.argv[0] = 'differentia'; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "_DIFFERENTIA_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    return done.stdout.split()


def test_the_shell_completes_values() -> None:
    """By what was typed of one; commands too."""
    assert completed("differentia measure digits --metric co") == ["correlation", "cosine"]
    assert completed("differentia select digits cats --how ") == list(WAYS)
    assert completed("differentia noise x --kind z") == []
    assert completed("differentia re") == ["report"]


def parsed(line: str) -> dict[str, Any]:
    """Return the options of a line as its command reads them; nothing is run."""
    name, command, *arguments = shlex.split(line)
    assert name == "differentia"
    context = commands()[command].make_context(command, arguments)
    return dict(context.params)


def test_every_example_parses() -> None:
    """Each command has examples, and every one is a line that it takes."""
    assert set(EXAMPLES) == set(commands())
    for name, examples in EXAMPLES.items():
        assert examples, name
        for line in examples:
            assert shlex.split(line)[1] == name
            parsed(line)
    assert parsed(EXAMPLES["layers"][1])["chosen"] == "*pool"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("differentia layers digits --chosen x", "No such option: --chosen"),
        ("differentia published", "Missing parameter: result"),
        ("differentia report a b", "unexpected extra argument"),
        ("differentia noise a --count", "requires an argument"),
    ],
)
def test_a_wrong_example_would_be_found(line: str, message: str) -> None:
    """The check of the examples can fail."""
    with pytest.raises(typer.TyperException, match=message):
        parsed(line)


def test_the_values_of_examples_can_be_read() -> None:
    """Numbers, sizes, sets, maps and choices in the examples are understood."""
    readers: dict[str, Callable[[str, Any], object]] = {
        "count": lambda option, text: opt.whole_number(option, text),
        "input_size": opt.image_size,
        "size": opt.image_size,
        "sets": lambda option, given: opt.named(option, given, "set", "NAME=SOURCE"),
        "maps": opt.maps,
        "map_images": lambda option, text: opt.whole_numbers(option, text, least=0),
        "min_probability": opt.probability,
        "sd": opt.number,
        "seed": lambda option, text: opt.whole_number(option, text, least=0),
    }
    seen = set()
    for line in (line for examples in EXAMPLES.values() for line in examples):
        for name, value in parsed(line).items():
            if value and name in readers:
                seen.add(name)
                readers[name](name, value)
            if value and name in TABLES:
                assert set(value.split(",")) <= set(TABLES[name])
    assert seen == set(readers)


def test_numbers() -> None:
    """Whole numbers, also with underscores; several; probabilities."""
    assert opt.whole_number("--n", "1_000") == 1000
    assert opt.whole_number("--n", "0", least=0) == 0
    assert opt.whole_numbers("--n", "5, 10") == (5, 10)
    assert opt.number("--sd", "-1e2") == -100.0
    assert [opt.probability("--p", text) for text in ("0", "1", ".5")] == [0.0, 1.0, 0.5]
    assert opt.names("--layers", " input , block* ", "x") == ("input", "block*")


@pytest.mark.parametrize(
    ("text", "shape"),
    [("9", (9, 9, 3)), ("8x12", (8, 12, 3)), ("7X6x1", (7, 6, 1)), ("4x4x3", (4, 4, 3))],
)
def test_sizes(text: str, shape: tuple[int, int, int]) -> None:
    """Height, width and channels."""
    assert opt.image_size("--size", text) == shape


def test_maps_and_named_values() -> None:
    """The last colon parts a layer from its filters; the first equals sign a name from its value."""
    assert opt.maps("--map", ["a:1", "b:c:2,3", "a:0"]) == {"a": (1, 0), "b:c": (2, 3)}
    assert opt.named("--set", ["a=b=c", "x=y"], "set", "") == {"a": "b=c", "x": "y"}


MAP = "expected LAYER:FILTER, such as block1_conv1:31 or block1_conv1:31,39$"


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: opt.whole_number("--n", ""), "^--n is ''; expected a whole number >= 1$"),
        (lambda: opt.whole_number("--n", "1.0"), "^--n is '1.0'; expected a whole number >= 1$"),
        (lambda: opt.whole_numbers("--n", "5,,6"), "^--n is '5,,6'; expected whole numbers >= 1 with commas"),
        (lambda: opt.number("--sd", "wide"), "^--sd is 'wide'; expected a number$"),
        (lambda: opt.probability("--p", "1.01"), "^--p is '1.01'; expected a number from 0 to 1$"),
        (lambda: opt.probability("--p", "nan"), "^--p is 'nan'; expected a number from 0 to 1$"),
        (lambda: opt.names("--layers", "", "a,b"), "^--layers is ''; expected names with .*: 'a,b'$"),
        (
            lambda: opt.image_size("--size", "3"),
            "^--size is '3'; expected 224, .* at least 4 pixels each way$",
        ),
        (lambda: opt.image_size("--size", "9x9x2"), "^--size is '9x9x2'; expected 224"),
        (lambda: opt.image_size("--size", "9x9x3x1"), "^--size is '9x9x3x1'; expected 224"),
        (lambda: opt.image_size("--size", "²"), "^--size is '²'; expected 224"),
        (lambda: opt.named("--set", ["a="], "set", "NAME=X"), "^--set is 'a='; expected NAME=X$"),
        (lambda: opt.named("--set", ["a=1", "a=2"], "set", ""), "^two sets have the name 'a'; give each"),
        *(
            (lambda text=text: opt.maps("--map", [text]), f"^--map is '{text}'; {MAP}")
            for text in ("", "a", "a:", ":1", "a:x", "a:-1", "a:1,x")
        ),
    ],
)
def test_texts_that_can_not_be_read(read: Callable[[], object], message: str) -> None:
    """The error names the option, the text and what was expected."""
    with pytest.raises(dif.InputError, match=message):
        read()
