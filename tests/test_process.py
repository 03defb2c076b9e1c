"""The process is its user's: what belongs to all of it is as it was after importing and after measuring."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import differentia as dif

SOURCE = Path(dif.__file__).parent

#: Prints what has changed, as JSON. `made` makes the network; `work` comes last. What other packages do to
#: the process when they are imported is theirs: those that do something are imported before.
SCRIPT = """
import hashlib, json, logging, os, pickle, random, signal, sys, warnings
import charset_normalizer, matplotlib, numpy as np, scipy.sparse, scipy.special, torch, xarray
matplotlib.use("svg")
matplotlib.rcParams["font.size"] = 13.5
torch.set_num_threads(2)
random.seed(1), np.random.seed(2), torch.manual_seed(3)
{made}

def digest(state):
    return hashlib.sha256(pickle.dumps(state)).hexdigest()

def state():
    loggers = [logging.getLogger(), *(
        logger for name, logger in sorted(logging.Logger.manager.loggerDict.items())
        if isinstance(logger, logging.Logger)
    )]
    return {{
        "threads of torch": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "logging": {{
            logger.name: [logger.level, logger.disabled, logger.propagate, *map(repr, logger.handlers)]
            for logger in loggers
            if (logger.level or logger.handlers or logger.disabled)
            and logger.name != "torch.__trace"  # which PyTorch itself sets up when a pass is first followed
        }},
        "warnings": [repr(warnings.filters), repr(warnings.showwarning)],
        "matplotlib": [matplotlib.get_backend(), digest(sorted(map(repr, matplotlib.rcParams.items())))],
        "signals": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "hooks": [repr(sys.excepthook), repr(sys.unraisablehook)],
        "random": digest(random.getstate()),
        "numpy": [digest(np.random.get_state()), repr(np.geterr()), repr(np.get_printoptions())],
        "torch": digest(torch.random.get_rng_state().tolist()),
        "flags of torch": [
            torch.get_float32_matmul_precision(), str(torch.get_default_dtype()), torch.is_grad_enabled(),
            torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark, torch.backends.cudnn.enabled,
            torch.backends.cuda.matmul.allow_tf32, torch.backends.mkldnn.enabled,
            torch.are_deterministic_algorithms_enabled(),
        ],
        "path": list(sys.path),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
    }}

before = state()
import differentia as dif
for name in dif.__all__:
    getattr(dif, name)
changed = {{name: [before[name], now] for name, now in state().items() if now != before[name]}}
pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)
for network in networks:
    sets = {{"a": pixels, "b": pixels[::-1]}}
    result = dif.measure(network, sets, n_units=(10, 20), draws=2, reference="a")
    assert float(result.differentiation.max()) > 0
{work}
changed |= {{name: [before[name], now] for name, now in state().items() if now != before[name]}}
print(json.dumps(changed))
"""

#: The networks that are measured, made before anything is compared, since their making may draw numbers.
MADE = """
import keras, differentia
module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Dropout(), torch.nn.Flatten())
layers = [keras.Input((32, 32, 1)), keras.layers.Conv2D(4, 3), keras.layers.Dropout(0.5)]
networks = [
    "digits",
    differentia.load_network(module, preprocess="unit", input_shape=(1, 32, 32)),
    differentia.load_network(keras.Sequential(layers), preprocess="unit"),
]
"""


def what_changed(made: str, work: str = "", **environment: str) -> dict[str, list[object]]:
    """Return what of a process is other than it was, once the package is imported and a network measured."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(made=made, work=work)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    changed: dict[str, list[object]] = json.loads(run.stdout.splitlines()[-1])
    return changed


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
        assert not calls_of("mallopt", code), path
        assert not calls_of("CDLL", code), path
    assert calls_of("mallopt", "library.mallopt(-1, 0)") == 1
    assert calls_of("mallopt", "getattr(library, 'mallopt')(-1, 0)") == 1
