"""What the tests of README, guides, tutorial and written pages share: their scripts, code and commands."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import differentia as dif
from differentia.cli import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def script(name: str) -> ModuleType:
    """Return a script of docs/, which writes a page."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)  # as when it is run
        patch.setitem(sys.modules, name, module)  # where dataclasses look for it
        spec.loader.exec_module(module)
    return module


def fenced(text: str, language: str) -> list[str]:
    """Return the blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def commands(console: str) -> Iterator[list[str]]:
    """Yield each command of a block, as a shell splits it."""
    for line in console.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            yield shlex.split(line[2:], comments=True)


def assert_options_exist(console: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Assert that what is shown of `differentia` has these commands and options; return the commands."""
    of_ours = [parts[1:] for parts in commands(console) if parts[0] == "differentia"]
    for command, *given in of_ours:
        assert main([command, "--help"]) == 0
        shown = capsys.readouterr().out
        for option in given:
            assert not option.startswith("--") or re.search(rf"{option}\b", shown), (command, option)
    return [command for command, *_ in of_ours]


def named_of_package(text: str) -> list[str]:
    """Return the names of the package that a text mentions: `dif.measure`, `differentia.cli.main`."""
    return list(dict.fromkeys(re.findall(r"(?<![\w/.-])(?:dif|differentia)(?:\.[A-Za-z_]\w*)+", text)))


def unresolved(text: str) -> list[str]:
    """Return those that do not exist."""
    return [name for name in named_of_package(text) if not _exists(*name.split("."))]


def _exists(root: str, *parts: str) -> bool:
    if root == "dif" and parts[0] not in dif.__all__ and not parts[0].startswith("__"):
        return False
    item: Any = dif
    for at, part in enumerate(parts, start=1):
        if not hasattr(item, part):
            module = ".".join(["differentia", *parts[:at]])
            if not isinstance(item, ModuleType) or importlib.util.find_spec(module) is None:
                return False
            importlib.import_module(module)
        item = getattr(item, part)
    return True


def unknown_options(text: str, known: Iterable[str]) -> list[str]:
    """Return the options, `--out` and the like, that are named in a text and not known."""
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)) - set(known))
