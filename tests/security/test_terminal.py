"""Escape sequences in all that is shown at a terminal: files' names, messages, what other libraries print."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers.tries import Rows, bounded

import differentia as dif
from differentia.errors import is_control_character

ROWS = Rows("What a terminal is shown")

#: Clears the screen, has letters blink, sets the title, turns the direction of writing, ends a line, deletes.
STEERING = "\x1b[2J\x1b[35;5m\x1b]0;title\x07\x9b31m\u202e\u2066\u2028\x7f\x08\r"

#: What may reach a terminal: bold and colours (but for that above), a cursor that is hidden, a line that is
#: cleared or written anew, which a bar is drawn with.
OURS = re.compile(r"\x1b\[((?!35;5m)[0-9;]*m|\?25[lh]|[12]?K|1A)|\r")

FAST = ["--n-units", "20", "--draws", "1", "--layers", "input,predictions"]


#: What is drawn is not looked at here.
NO_PICTURES = """
import differentia.cli.measuring
differentia.cli.measuring.write_views = lambda *_, **__: {}
"""


def at_a_terminal(
    arguments: Sequence[str], folder: Path, *, before: str = "", code: str = ""
) -> tuple[int, str]:
    """Run a command with a terminal of its own; return its exit code, and what that was sent."""
    ours, its = pty.openpty()
    script = f"{before}\nfrom differentia.cli import main, script\n{code}\nscript()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=folder,
        env={**os.environ, "TERM": "xterm", "DIFFERENTIA_TRACEBACKS": "0", "COLUMNS": "200"},
    )
    os.close(its)
    sent = b""
    with suppress(OSError):  # as it is closed
        while piece := os.read(ours, 2**16):
            sent += piece
    os.close(ours)
    return process.wait(60), sent.decode().replace("\r\n", "\n")


def steering(sent: str) -> set[str]:
    """Return what a terminal would obey of what it was sent, apart from what is ours."""
    left = OURS.sub("", sent)
    return {one for one in left if one != "\n" and is_control_character(one)}


def experiment(folder: Path, **changed: str) -> Path:
    """Write an experiment file, with other lines."""
    lines = {
        "network": '[network]\nspec = "digits"',
        "sets": '[sets]\na = "noise:4"\nb = "noise:5"',
        **changed,
    }
    path = folder / "experiment.toml"
    path.write_text("\n".join(lines.values()), encoding="utf-8")
    return path


QUOTED = json.dumps(STEERING).replace(r"\x7f", r"\u007f").replace("\x7f", r"\u007f")

FILES = {
    "a version": {"version": f"differentia = {QUOTED}"},
    "a key": {"version": f"{QUOTED} = 1"},
    "a network": {"network": f"[network]\nspec = {QUOTED}"},
    "a network's option": {"network": f'[network]\nspec = "digits"\n{QUOTED} = 1'},
    "a set": {"sets": f'[sets]\n{QUOTED} = "noise:4"'},
    "a source": {"sets": f"[sets]\na = {QUOTED}"},
    "a section": {"sets": f"[{QUOTED}]\na = 1"},
}


@pytest.mark.parametrize("what", bounded(list(FILES), 1))
@ROWS.row(
    "Escape sequences in keys, sources, sets, options and versions of an experiment file",
    "Shown as escapes (`\\u001b`), with `--debug` too",
)
def test_experiment_files(what: str, tmp_path: Path, tried: Callable[..., None]) -> None:
    """The error that each ends in has the text, readable."""
    file = experiment(tmp_path, **FILES[what])
    code, sent = at_a_terminal(["run", str(file), "--out", "out", "--debug"], tmp_path)
    assert code == 2, sent
    assert steering(sent) == set()
    assert "differentia: " in sent
    assert r"\u001b" in sent or r"\x1b" in sent
    tried()


def files_of_images(folder: Path) -> list[list[str]]:
    named = folder / f"a{STEERING}"
    named.mkdir()
    np.save(named / f"b{STEERING}.npy", np.zeros((2, 8, 8)))
    return [
        ["status", str(named)],
        ["measure", "digits", "--set", f"a={named}", "--out", "out", *FAST],
        ["measure", "digits", "--set", f"a={named}/b{STEERING}.npy", "--out", "out", *FAST],
        ["measure", str(named), "--set", "a=noise:4", "--out", "out"],
        ["report", str(named)],
        ["layers", str(named)],
        ["measure", "digits", "--set", f"{STEERING}=noise:4", "--out", "out", *FAST],
        ["measure", "digits", f"--{STEERING}", "1"],
        ["measure", "digits", "--draws", STEERING],
        [STEERING],
        ["measure", "digits", "--set", "a=noise:4", "--out", f"out{STEERING}", *FAST],
    ]


@pytest.mark.parametrize("nth", bounded(11, 1))
@ROWS.row("In names of files, folders and images, options and their values", "Shown as escapes")
def test_names_and_options(nth: int, tmp_path: Path, tried: Callable[..., None]) -> None:
    """In errors of ours and of the parser of options, or where all goes well."""
    _, sent = at_a_terminal(files_of_images(tmp_path)[nth], tmp_path)
    assert steering(sent) == set()
    assert re.search(r"\\(u00|x)1b\[2J", sent), sent
    tried()


#: Prints, warns, logs and draws as other libraries may, before and while a bar is shown.
LIBRARY = f"""{NO_PICTURES}
import logging, sys, warnings
import differentia.cli.commands as commands
import differentia.experiment.measure as measure
text = {STEERING!r}
class Odd(Exception):
    pass
def say():
    print("print", text)
    sys.stderr.write("stderr" + text + "\\n")
    warnings.warn("warning" + text, UserWarning)
    logging.getLogger("other").warning("log" + text)
    logging.getLogger("differentia").info("ours" + text)
before = measure._measure_recorded
def told(*args):
    say()
    return before(*args)
measure._measure_recorded = told
"""


@ROWS.row(
    "In what PyTorch, Keras and others print, warn of and log, also while a bar is shown", "Shown as escapes"
)
def test_other_libraries(tmp_path: Path, tried: Callable[..., None]) -> None:
    """Whatever is written to Python's streams: what is seen on them is readable."""
    arguments = ["measure", "digits", "--set", "a=noise:4", "--out", "out", *FAST, "--no-views"]
    code, sent = at_a_terminal(arguments, tmp_path, before=LIBRARY)
    assert code == 0, sent
    assert steering(sent) == set()
    for way in ("print ", "stderr", "warning", "log", "ours"):
        assert f"{way}\\u001b[2J\\u001b[35;5m\\u001b]0;title\\u0007\\u009b31m\\u202e" in sent, way
    tried(5)


#: Networks with odd names of a layer, and of a class.
NETS = f"""
import torch
name = {STEERING!r}
odd = type(name, (torch.nn.Conv2d,), {{}})
def layer():
    net = torch.nn.Sequential()
    net.add_module(name, torch.nn.Conv2d(1, 3, 3))
    return net
def kind():
    return torch.nn.Sequential(odd(1, 3, 3))
"""


@ROWS.row("In the names of layers and classes of a network", "Shown as escapes")
def test_networks(tmp_path: Path, tried: Callable[..., None]) -> None:
    """In the table of layers, that of a measurement, and as JSON at a terminal."""
    (tmp_path / "nets.py").write_text(NETS, encoding="utf-8")
    given = ["--preprocess", "unit", "--input-size", "16x16x1"]
    measured = ["--set", "a=noise:4", "--n-units", "5", "--draws", "1", "--no-views"]
    commands = [
        ["layers", "nets:kind", *given],
        ["layers", "nets:kind", *given, "--json"],
        ["layers", "nets:layer", *given],
    ]
    code = f"for nth, command in enumerate({commands}): print(nth, 'ended with', main(command))"
    last = ["measure", "nets:layer", *given, *measured, "--out", "out"]
    _, sent = at_a_terminal(last, tmp_path, before=NO_PICTURES, code=code)
    assert steering(sent) == set()
    assert re.findall("^[0-9] ended with [0-9]$", sent, flags=re.MULTILINE) == [
        *("0 ended with 0", "1 ended with 0", "2 ended with 2")
    ], sent
    for part in re.split("^[0-9] ended with .*$", sent, flags=re.MULTILINE):
        assert re.search(r"\\(u00|x)1b\[2J", part), part
    tried(4)


def test_the_search_finds_what_steers(tmp_path: Path) -> None:
    """Each of the characters is found where nothing stands in its way; a terminal sends them on."""
    code, sent = at_a_terminal(["--version"], tmp_path, before=f"print({STEERING!r}, end='')")
    assert code == 0
    assert steering(sent) == set("\x1b\x07\x9b\u202e\u2066\u2028\x7f\x08")


@ROWS.row("In errors and warnings of the library, in a script of your own", "Shown as escapes")
def test_errors_of_the_library(tried: Callable[..., None]) -> None:
    """Python shows them itself, at a terminal as they are."""
    with pytest.raises(dif.InputError) as raised:
        dif.images(f"nowhere{STEERING}")
    assert steering(str(raised.value)) == set()
    assert "\\u001b[2J" in str(raised.value)
    assert steering(str(dif.DifferentiaWarning(STEERING))) == set()
    tried(2)
