"""The page docs/commands.md says what the commands say."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from helpers.documents import DOCS, script


def test_the_page_is_up_to_date() -> None:
    """Help texts and page are the same; ``make commands`` writes it anew."""
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert page == script("write_command_reference").command_reference()


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
