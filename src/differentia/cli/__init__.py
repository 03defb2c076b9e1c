"""The command line: parse, call, print, and turn errors into one line and an exit code.

Nothing heavy is imported before it is needed, so that ``--help`` answers at once.
"""

from differentia.cli.entry import main

__all__ = ["main"]
