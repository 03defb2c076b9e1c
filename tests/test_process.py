"""The process is its user's: what belongs to all of it is as it was after importing and after measuring."""

from __future__ import annotations

import ast
from pathlib import Path

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
