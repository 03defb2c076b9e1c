"""The process is its user's: what belongs to all of it is as it was after importing and after measuring."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.process import MADE, what_changed

import differentia as dif

SOURCE = Path(dif.__file__).parent


def test_the_process_is_left_as_it_was() -> None:
    """Threads, logging, warnings, Matplotlib, signals, random states, flags, search path, environment."""
    assert what_changed(MADE) == {}


def test_the_check_can_fail() -> None:
    """It finds each thing that a library might change."""
    work = """
torch.set_num_threads(1)
logging.basicConfig(level=10)
warnings.simplefilter("ignore")
matplotlib.rcParams["font.size"] = 1
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.excepthook = print
random.random(), np.random.rand(), torch.rand(1)
torch.backends.cudnn.allow_tf32 = False
sys.path.append("here")
os.environ["MADE_UP"] = "1"
os.chdir("/")
"""
    changed = what_changed("networks = []", work)
    assert set(changed) == {
        *("threads of torch", "logging", "warnings", "matplotlib", "signals", "hooks", "random", "numpy"),
        *("torch", "flags of torch", "path", "environment", "folder"),
    }


#: Prints which environment variables are other than before: after a measurement, and after Keras is imported.
ENVIRONMENT = """
import json, os
before = dict(os.environ)
def changed():
    now = dict(os.environ)
    return {name: now.get(name) for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
import differentia as dif
dif.measure("digits", {"a": "noise:4", "b": "noise:5"}, n_units=20, draws=1, progress=False)
measured = changed()
dif.load_network("keras:MobileNet?weights=none")
print(json.dumps([measured, changed()]))
"""


@pytest.mark.slow
def test_what_is_set_in_the_environment_is_documented() -> None:
    """A measurement sets nothing; Keras's backend is set if nobody has; what others set is named too."""
    page = (SOURCE.parents[1] / "docs/reference/python.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([A-Z_]+)`", page))
    outside = {name: value for name, value in os.environ.items() if name not in documented}
    for backend, expected in ((None, "torch"), ("jax", None)):
        given = outside if backend is None else {**outside, "KERAS_BACKEND": backend}
        run = subprocess.run(
            [sys.executable, "-c", ENVIRONMENT], env=given, capture_output=True, text=True, check=True
        )
        measured, changed = json.loads(run.stdout)
        assert measured == {}
        assert changed.get("KERAS_BACKEND") == expected
        assert set(changed) <= documented


def calls_of(name: str, code: str) -> int:
    """Return how often code names a function, as an attribute, a name or a text that could be looked up."""
    found = 0
    for node in ast.walk(ast.parse(code)):
        named = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "value", None)
        found += named == name
    return found


def test_the_allocator_is_left_alone() -> None:
    """Nothing calls mallopt, or loads the C library for it; the search finds each way of writing it."""
    for path in SOURCE.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        for name in ("mallopt", "CDLL"):
            assert name not in code or not calls_of(name, code), path
    assert calls_of("mallopt", "library.mallopt(-1, 0)") == 1
    assert calls_of("mallopt", "getattr(library, 'mallopt')(-1, 0)") == 1
