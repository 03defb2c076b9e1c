"""How differently does a network, or a brain, respond to different things?

The public names stand in ``__init__.pyi``; each is imported when it is first used, so that importing this
package costs nothing.
"""

import os
import sys


def _leave_the_working_folder() -> None:
    """Take it off the path, where ``python -m differentia`` put it: a stranger's code may lie there.

    Only what Python itself has imported by now is used here: all else would be looked for there first.
    """
    asked = sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m") == __name__
    try:
        if asked and sys.path[0] == os.getcwd() and not sys.flags.safe_path:
            del sys.path[0]
    except OSError:  # the folder was removed, and is not on the path
        pass


_leave_the_working_folder()

from typing import Any  # noqa: E402

import lazy_loader  # noqa: E402

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("differentia")
    return _public(name)
