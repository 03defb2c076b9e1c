"""Write the command reference, docs/commands.md, from the commands' own help texts.

python docs/write_command_reference.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REFERENCE = Path(__file__).with_name("commands.md")

HEAD = """# Commands

What `differentia COMMAND --help` says. (`make commands` writes this page; a test fails when it is out of
date.)

Progress and messages go to stderr, numbers to stdout; `--json` prints them for machines. Exit codes: 0 done,
1 the work failed, 2 wrong usage or input: one line says what to change (`--debug` shows the traceback); 130
stopped with Ctrl-C, 143 with SIGTERM: one line says how to go on.
`differentia --install-completion` lets the shell complete commands, options and their values.
"""


def command_reference() -> str:
    """Return the page."""
    from differentia.cli.commands import EXAMPLES

    page = [HEAD]
    for command in EXAMPLES:
        page.append(f"## {command}\n\n```text\n{_help_text(command)}\n```\n")
    return "\n".join(page)


def _help_text(command: str) -> str:
    """Return a command's help as a terminal of 100 columns without colours shows it."""
    shown = subprocess.run(
        [sys.executable, "-m", "differentia", command, "--help"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
    ).stdout
    return "\n".join(line.rstrip() for line in shown.strip("\n").splitlines())


if __name__ == "__main__":
    REFERENCE.write_text(command_reference(), encoding="utf-8")
