"""What of a process is other than before, in a script that imports the package and measures."""

from __future__ import annotations

import json
import subprocess
import sys

#: In seconds: what takes longer hangs.
LONG = 240

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


def what_changed(made: str, work: str = "") -> dict[str, list[object]]:
    """Return what of a process is other than it was, once the package is imported and a network measured."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(made=made, work=work)],
        check=True,
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    changed: dict[str, list[object]] = json.loads(run.stdout.splitlines()[-1])
    return changed
