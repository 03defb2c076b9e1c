"""Programs that fork, spawn, have threads or an event loop, and measure in them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.process import MADE, SCRIPT
from helpers.runs import LONG, Runner
from helpers.tries import Rows, bounded
from PIL import Image

ROWS = Rows("Within a larger program")

#: What all scripts begin with: PyTorch has begun its threads once a measurement is done.
BEGINNING = """
import asyncio, multiprocessing, os, sys, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import numpy as np
import torch
import differentia as dif
torch.set_num_threads(2)
pixels = np.random.default_rng(1).integers(0, 256, (24, 32, 32), dtype=np.uint8)

def values(network="digits", **sets):
    sets = sets or {"a": pixels, "b": pixels[::-1]}
    result = dif.measure(network, sets, n_units=(10, 20), draws=2, progress=False)
    return result.differentiation.values.tobytes()
"""

FORKS = {
    "os.fork": """
for _ in range(4):
    child = os.fork()
    if not child:
        os._exit(values() != single)
    assert os.waitpid(child, 0)[1] == 0
""",
    "a pool": """
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert all(one == single for one in pool.map(again, range(4)))
""",
    "an executor": """
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    assert all(one == single for one in pool.map(again, range(4)))
""",
}


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """The server of programs, in which nothing was measured yet."""
    server = Runner()
    yield server
    server.close()


@pytest.mark.parametrize("how", bounded(list(FORKS), 1))
@ROWS.row("A process that has measured is forked (`os.fork`, a pool, an executor)", "The same values")
def test_forked(how: str, tmp_path: Path, runner: Runner, tried: Callable[..., None]) -> None:
    """A child has none of the threads that PyTorch began in its parent, and does not wait for them."""
    script = "single = values()\ndef again(_):\n    return values()\n" + FORKS[how]
    assert runner.script(tmp_path, BEGINNING + script) == (0, "", "")
    tried(4)


@pytest.mark.soak
@ROWS.row(
    "Forked processes read one archive, which their parent has opened",
    "Each opens it itself: the same values",
)
def test_forked_with_an_open_archive(tmp_path: Path, runner: Runner, tried: Callable[..., None]) -> None:
    """Else they would share the place in the file, each reading what another has asked for."""
    random = np.random.default_rng(0)
    for nth in range(100):
        picture = Image.fromarray(random.integers(0, 256, (32, 32), dtype=np.uint8))
        picture.save(tmp_path / f"{nth:03}.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted(tmp_path.glob("*.png")):
            archive.write(file, file.name)
    subprocess.run(["tar", "czf", "a.tgz", *sorted(file.name for file in tmp_path.glob("*.png"))],
                   cwd=tmp_path, check=True)  # fmt: skip
    script = """
for file in ("a.zip", "a.tgz"):
    images = dif.images(file)
    def of_archive(_):
        return values(a=images, b="noise:10")
    single = of_archive(0)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert all(one == single for one in pool.map(of_archive, range(8), chunksize=1))
"""
    assert runner.script(tmp_path, BEGINNING + script) == (0, "", "")
    tried(16)


@ROWS.row(
    "A process is forked while another thread measures", "A child that measures says what to do instead"
)
def test_forked_amid_a_measurement(tmp_path: Path, runner: Runner, tried: Callable[..., None]) -> None:
    """What that thread has locked stays locked in the child, also in other libraries."""
    script = """
values()
begun, over = threading.Event(), threading.Event()
def told(*_):
    begun.set()
    over.wait()
thread = threading.Thread(
    target=lambda: dif.measure("digits", {"a": pixels}, n_units=10, draws=2, progress=told)
)
thread.start()
begun.wait()
child = os.fork()
if not child:
    try:
        values()
    except dif.RecordingError as error:
        print(error, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
over.set()
thread.join()
child = os.fork()  # now nothing is in between
if not child:
    os._exit(not values())
assert os.waitpid(child, 0)[1] == 0
"""
    code, out, said = runner.script(tmp_path, BEGINNING + script)
    assert (code, said) == (0, "")
    assert out == (
        "this process was forked while another thread of its parent measured, for which it might wait "
        "without end; start it by another method (multiprocessing.get_context('spawn'), or 'forkserver'), "
        "or before that thread begins\n"
    )
    tried()


@pytest.mark.soak
@ROWS.row(
    "A process is spawned (also from a script without a main guard)", "The same values; Python's own error"
)
def test_spawned(tmp_path: Path, tried: Callable[..., None]) -> None:
    """Spawned processes import all anew, as the script does."""
    file = tmp_path / "program.py"

    def run(script: str) -> subprocess.CompletedProcess[str]:
        file.write_text(BEGINNING + script, encoding="utf-8")
        return subprocess.run(
            [sys.executable, file], capture_output=True, text=True, timeout=LONG, check=False
        )

    guarded = """
def job(_):
    return values()
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(job, range(2)) == [values()] * 2
"""
    done = run(guarded)
    assert (done.returncode, done.stderr) == (0, "")
    unguarded = """
with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
    pool.submit(values).result()
"""
    done = run(unguarded)
    assert done.returncode == 1
    assert "before the current process has finished its bootstrapping phase" in " ".join(done.stderr.split())
    tried(3)


#: Measures networks in several threads, however these come about; `networks` are those of `MADE`.
IN_THREADS = """
from concurrent.futures import ThreadPoolExecutor
import asyncio
def values(network):
    sets = {{"a": pixels, "b": pixels[::-1]}}
    result = dif.measure(network, sets, n_units=(10, 20), draws=2, progress=False)
    return result.differentiation.values.tobytes()
module = networks[1].module
networks.append(differentia.load_network(module, preprocess="unit", input_shape=(1, 32, 32)))
single = [values(network) for network in networks]
single[3] = single[1]
asked = list(range(4)) * 2
{how}
assert found == [single[nth] for nth in asked], "other values"
"""

THREADS = """
with ThreadPoolExecutor(4) as threads:
    found = list(threads.map(lambda nth: values(networks[nth]), asked))
"""

ASYNCIO = """
async def all_at_once():
    return await asyncio.gather(*(asyncio.to_thread(values, networks[nth]) for nth in asked))
found = asyncio.run(all_at_once())
"""


@pytest.mark.parametrize("how", bounded([THREADS, ASYNCIO], 1))
@ROWS.row(
    "Threads, or tasks of asyncio, that share a network, a module or a Keras model",
    "They take turns: the same values; threads, flags, random states and warnings as before",
)
def test_threads(how: str, tmp_path: Path, runner: Runner, tried: Callable[..., None]) -> None:
    """Hooks and flags are of one pass at a time, and what a thread finds of a network is its own."""
    code, out, said = runner.script(tmp_path, SCRIPT.format(made=MADE, work=IN_THREADS.format(how=how)))
    assert (code, out.splitlines()[-1:]) == (0, ["{}"]), said + out
    tried(8)
