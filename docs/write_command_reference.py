"""Write the command reference, docs/commands.md, from the commands' own help texts.

python docs/write_command_reference.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REFERENCE = Path(__file__).with_name("commands.md")

HEAD = """# Commands

This is what `differentia COMMAND --help` prints. (`make commands` writes this page; a test fails if it is out
of date.)

Progress and messages go to stderr, numbers to stdout, with `--json` as JSON. Exit codes: 0 done; 1 the work
failed; 2 wrong usage or input, and one line says what to change (`--debug` shows the traceback); 130 stopped
with Ctrl-C, 143 with SIGTERM, and one line says how to continue.
`differentia --install-completion` lets the shell complete commands, options and their values.
"""


def command_reference() -> str:
    """Return the page."""
    from differentia.cli.commands import EXAMPLES

    chapters = [
        f"## {command}\n\n```text\n{text}\n```\n" for command, text in _help_texts(list(EXAMPLES)).items()
    ]
    return "\n".join([HEAD, *chapters])


#: Run by a process whose terminal is known, which shows the help of all commands.
SHOWING = """
import contextlib, io, json, sys
from differentia.cli import main
shown = {}
for command in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        assert main([command, "--help"]) == 0
    shown[command] = text.getvalue()
print(json.dumps(shown))
"""


def _help_texts(commands: list[str]) -> dict[str, str]:
    """Return the commands' help as a terminal of 100 columns without colours shows it."""
    said = subprocess.run(
        [sys.executable, "-c", SHOWING, *commands],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONUTF8": "1"},
    ).stdout
    shown: dict[str, str] = json.loads(said)
    return {
        command: "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
        for command, text in shown.items()
    }


if __name__ == "__main__":
    REFERENCE.write_text(command_reference(), encoding="utf-8")
