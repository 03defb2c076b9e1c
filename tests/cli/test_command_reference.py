"""The page docs/commands.md says what the commands say."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"


def script() -> ModuleType:
    """Return the script that writes the page."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "write_command_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    """Help texts and page are the same; ``make commands`` writes it anew."""
    assert (DOCS / "commands.md").read_text(encoding="utf-8") == script().command_reference()


def test_every_command_has_a_chapter() -> None:
    """Also one that would be left out of the examples."""
    shown = subprocess.run(
        [sys.executable, "-m", "differentia", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    ).stdout
    listed = re.findall(r"^│ (\w+) +\w", shown.partition("Commands")[2], flags=re.MULTILINE)
    chapters = re.findall(
        r"^## (\w+)$", (DOCS / "commands.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert listed == chapters
    assert len(listed) >= 8
