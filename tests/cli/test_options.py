"""What the command line offers and how texts are read: completion, examples, numbers, sizes, names, maps."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

import differentia as dif
from differentia.cli import options as opt
from differentia.cli.commands import EXAMPLES, app
from differentia.experiment.options import MeasureOptions, measure_and_record
from differentia.networks.applications import APPLICATIONS
from differentia.networks.hubs.names import HUBS
from differentia.recording.options import RecordOptions
from differentia.system import choices
from differentia.system.choices import Choice
from differentia.system.fields import options_of

#: The options that take one of some names, wherever they stand.
CHOICES = {
    "units": choices.UNITS,
    "normalize": choices.NORMALIZE,
    "metric": choices.METRIC,
    "resize": choices.RESIZE,
    "crop": choices.CROP,
    "preprocess": choices.PREPROCESS,
    "kind": choices.NOISE,
    "axis": choices.AXIS,
    "how": choices.HOW,
    "compile": choices.COMPILE,
    "compress": choices.COMPRESS,
    "dtype": choices.DTYPE,
    "tokens": choices.TOKENS,
    "figures": choices.FORMAT,
    "states": choices.STATES,
    "scale": choices.SCALE,
    "value": choices.VALUE,
    "detrend": choices.DETREND,
    "alternative": choices.ALTERNATIVE,
}

#: The command whose option has the name of another's, and that.
OF_SCRAMBLE = ("scramble", "kind")


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def test_networks_are_examples_of_what_there_is() -> None:
    """What the shell completes of them."""
    assert opt.NETWORKS.names[0] == "digits"
    names = [name.partition(":") for name in opt.NETWORKS.names[1:]]
    assert {name for scheme, _, name in names if scheme == "keras"} <= set(APPLICATIONS)
    assert {scheme for scheme, _, _ in names} == {"keras", *HUBS}
    assert {f"{scheme}:{hub.example}" for scheme, hub in HUBS.items()} <= set(opt.NETWORKS.names)


def test_every_command_shows_its_choices() -> None:
    """The help of an option with named alternatives lists all of them, wherever it stands."""
    seen = set()
    for name, command in commands().items():
        for parameter in command.params:
            choice = (
                choices.SCRAMBLE if (name, parameter.name) == OF_SCRAMBLE else CHOICES.get(parameter.name)
            )
            if choice is not None:
                seen.add(choice)
                assert all(one in parameter.help for one in choice.names), parameter.name
    assert seen == {*CHOICES.values(), choices.SCRAMBLE}
    assert {one for one in vars(choices).values() if isinstance(one, Choice)} == seen


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
    assert completed("differentia select digits cats --how ") == list(choices.HOW.names)
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
    assert parsed(EXAMPLES["layers"][1])["layers"] == ("*pool",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("differentia layers digits --chosen x", "No such option: --chosen"),
        ("differentia published", "Missing parameter: result"),
        ("differentia report a b", "does not take 'b'"),
        ("differentia noise a --count", "requires an argument"),
    ],
)
def test_a_wrong_example_would_be_found(line: str, message: str) -> None:
    """The check of the examples can fail."""
    with pytest.raises((typer.TyperException, dif.InputError), match=message):
        parsed(line)


def test_the_values_of_examples_can_be_read() -> None:
    """Typer reads numbers, sizes and choices as it parses an example; sets and maps are read here."""
    seen = set()
    for line in (line for examples in EXAMPLES.values() for line in examples):
        values = parsed(line)
        seen |= {name for name, value in values.items() if value}
        opt.named("--set", values.get("sets"), "NAME=SOURCE")
        opt.maps("--map", values.get("maps"))
    assert seen > {
        "count",
        "input_size",
        "size",
        "sets",
        "maps",
        "map_images",
        "min_probability",
        "sd",
        "seed",
    }


def test_texts_become_what_the_fields_are() -> None:
    """Numbers, also with underscores; several; names; a flag; what is not given has its default."""
    line = (
        "differentia measure digits --n-units 1_000,5 --draws 3 --layers ' input , block* ' --confidence .9"
    )
    read = parsed(f"{line} --memory 4GB --units top,all --no-views --map a:1 --map-images 2,0 --seed 0")
    assert read["n_units"] == (5, 1000)
    assert (read["draws"], read["confidence"], read["seed"], read["memory"]) == (3, 0.9, 0, "4GB")
    assert (read["layers"], read["units"], read["map_images"]) == (
        ("input", "block*"),
        ("top", "all"),
        (2, 0),
    )
    assert (read["views"], read["fresh"], read["pool"], read["metric"]) == (False, False, None, "euclidean")
    assert parsed("differentia noise x --sd -1e2")["sd"] == -100.0
    probabilities = (
        parsed(f"differentia select digits x --min-probability {text}") for text in ("0", "1", ".5")
    )
    assert [one["min_probability"] for one in probabilities] == [0.0, 1.0, 0.5]


def test_every_field_is_an_option_of_measure() -> None:
    """With the field's default, apart from where responses are kept, and from what shows the progress."""
    read = parsed("differentia measure digits")
    given = {name: read[name] for name in opt.FIELDS}
    assert measure_and_record({**given, "maps": None, "reference": None}) == (
        MeasureOptions(),
        RecordOptions(),
    )
    assert set(options_of(MeasureOptions, RecordOptions)) - set(given) == {"store", "client", "progress"}


@pytest.mark.parametrize(
    ("text", "shape"),
    [("9", (9, 9, 3)), ("8x12", (8, 12, 3)), ("7X6x1", (7, 6, 1)), ("4x4x3", (4, 4, 3))],
)
def test_sizes(text: str, shape: tuple[int, int, int]) -> None:
    """Height, width and channels."""
    assert opt.image_size(text) == shape


def test_maps_and_named_values() -> None:
    """The last colon parts a layer from its filters; the first equals sign a name from its value."""
    assert opt.maps("--map", ["a:1", "b:c:2,3", "a:0"]) == {"a": (1, 0), "b:c": (2, 3)}
    assert opt.named("--set", ["a=b=c", "x=y"], "") == {"a": "b=c", "x": "y"}


SELECT = "differentia select digits x"
MAP = "expected LAYER:FILTER, such as block1_conv1:31 or block1_conv1:31,39$"


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: parsed("differentia noise x --count ''"), "^''; expected a whole number$"),
        (lambda: parsed("differentia noise x --count 1.5"), "^'1.5'; expected a whole number$"),
        (
            lambda: parsed("differentia layers digits --n-units 5,,6"),
            "^'5,,6' holds ''; expected a whole number$",
        ),
        (lambda: parsed("differentia layers digits --n-units 5,0"), "^'5,0' holds '0'; expected at least 1$"),
        (lambda: parsed("differentia noise x --sd wide"), "^'wide'; expected a number$"),
        (lambda: parsed(f"{SELECT} --min-probability 1.01"), "^'1.01'; expected at most 1"),
        (lambda: parsed(f"{SELECT} --min-probability nan"), "^'nan'; expected a number$"),
        (
            lambda: parsed(f"{SELECT} --how move"),
            "^unknown way to keep images 'move'. Known: copy, link, list$",
        ),
        (lambda: parsed("differentia layers digits --layers ''"), "^''; expected a text that is not empty$"),
        (lambda: opt.image_size("3"), "^'3'; expected 224, .* at least 4 pixels each way$"),
        (lambda: opt.image_size("9x9x2"), "^'9x9x2'; expected 224"),
        (lambda: opt.image_size("9x9x3x1"), "^'9x9x3x1'; expected 224"),
        (lambda: opt.image_size("²"), "^'²'; expected 224"),
        (lambda: opt.named("--set", ["a="], "NAME=X"), "^--set is 'a='; expected NAME=X$"),
        (lambda: opt.named("--set", ["a=1", "a=2"], ""), "^two sets have the name 'a'; give each"),
        *(
            (lambda text=text: opt.maps("--map", [text]), f"^--map is '{text}'; {MAP}")
            for text in ("", "a", "a:", ":1", "a:x", "a:-1", "a:1,x")
        ),
    ],
)
def test_texts_that_can_not_be_read(read: Callable[[], object], message: str) -> None:
    """The error tells the text and what was expected; Typer adds the option's name to what it parses."""
    with pytest.raises((dif.InputError, typer.BadParameter), match=message):
        read()
