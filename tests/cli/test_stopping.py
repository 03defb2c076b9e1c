"""Ctrl-C and SIGTERM: one line, the exit code, soon, and nothing half-done in the folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

import differentia as dif
from differentia.cli import main
from differentia.cli.stopping import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

#: In seconds: five times what it takes when nothing else runs, since a loaded machine is slow.
SOON = 10.0

LINE = "differentia: stopped; run the same command again: it goes on where it stopped\n"

#: Stand-ins for what is imported, of which `reached` says how far they have come.
BUSY = {
    "an import": "reached(); time.sleep(100)",
    "a call outside Python": "reached(); hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    "the deletion of an object": """
class Thing:
    def __del__(self):
        reached(); time.sleep(100)
Thing()
time.sleep(100)
""",
    "an error of its own": """
try:
    reached(); time.sleep(100)
except BaseException as error:
    raise RuntimeError('the library gave up') from error
""",
    "cleaning up": """
try:
    os.kill(os.getpid(), signal.SIGINT); time.sleep(100)
finally:
    reached(); time.sleep(0.5)
""",
}


def start(folder: Path, *arguments: str, ignored: bool = False) -> subprocess.Popen[str]:
    """Start the command line in a folder, where it may find modules."""
    return subprocess.Popen(
        [sys.executable, "-m", "differentia", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Else it would be what it was for the tests, which a shell in the background has ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL),
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until there is a file."""
    while not path.exists():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)


def stop(process: subprocess.Popen[str], number: int) -> tuple[int, str, float]:
    """Send a signal, and return the exit code, what was said, and the seconds until the end."""
    started = time.monotonic()
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said, time.monotonic() - started


def keep_busy(folder: Path, how: str) -> Path:
    """Write a module torch that keeps whoever imports it busy, and return the file it writes then."""
    imports = "import hashlib, os, pathlib, signal, time\n"
    reached = f"def reached(): pathlib.Path({str(folder / 'reached')!r}).touch()\n"
    (folder / "torch.py").write_text(imports + reached + BUSY[how], encoding="utf-8")
    return folder / "reached"


@pytest.mark.parametrize(
    ("how", "number"), [*((how, signal.SIGINT) for how in BUSY), ("an import", signal.SIGTERM)]
)
@pytest.mark.slow
def test_stopped_in_the_middle_of(how: str, number: signal.Signals, tmp_path: Path) -> None:
    """One line, no traceback, the exit code of the signal; soon, but there is time to clean up."""
    reached = keep_busy(tmp_path, how)
    process = start(tmp_path, "measure", "digits", "--set", "noise=noise:4", "--out", "out")
    wait_for(reached, process)
    code, said, seconds = stop(process, number)
    assert (code, said) == (128 + number, LINE)
    assert seconds < SOON
    if how == "a call outside Python":
        assert seconds > 0.9 * PATIENCE


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As of what a shell runs in the background: Ctrl-C is not meant for it. SIGTERM is."""
    reached = keep_busy(tmp_path, "an import")
    process = start(tmp_path, "measure", "digits", "--set", "noise=noise:4", "--out", "out", ignored=True)
    wait_for(reached, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.7)
    assert process.poll() is None
    assert stop(process, signal.SIGTERM)[:2] == (143, LINE)


def test_what_is_done_is_done(tmp_path: Path) -> None:
    """A signal while Python takes down what was imported changes nothing any more."""
    (tmp_path / "torch.py").write_text(
        f"import atexit, pathlib, time\natexit.register(time.sleep, 0.5)\n"
        f"atexit.register(pathlib.Path({str(tmp_path / 'reached')!r}).touch)\nraise RuntimeError('failed')\n"
    )
    process = start(tmp_path, "measure", "digits", "--set", "noise=noise:4", "--out", "out")
    wait_for(tmp_path / "reached", process)
    code, said, _ = stop(process, signal.SIGINT)
    assert code == 1
    assert said == "differentia: failed: RuntimeError: failed (--debug shows where)\n"


def test_what_was_printed_is_not_lost(tmp_path: Path) -> None:
    """What stood in the buffer of a pipe when the signal came is written."""
    code = """
import os, signal
from differentia import cli
def main():
    print('the numbers')
    os.kill(os.getpid(), signal.SIGTERM)
cli.main = main
cli.script()
"""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**buffered, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("the numbers\n", 128 + signal.SIGTERM)


def test_a_signal_to_a_forked_process_is_its_own(tmp_path: Path) -> None:
    """A worker of the user's code that is ended says nothing, and does not end the command."""
    (tmp_path / "torch.py").write_text(f"""
import os, signal, time
read, write = os.pipe()
child = os.fork()
if not child:
    os.write(write, b"!")
    time.sleep(100)
os.read(read, 1)
os.kill(child, signal.SIGTERM)
ended_by = os.waitpid(child, 0)[1]
time.sleep({PATIENCE + 0.3})
raise RuntimeError(f"the worker was ended by {{ended_by}}")
""")
    process = start(tmp_path, "measure", "digits", "--set", "noise=noise:4", "--out", "out")
    said = process.communicate(timeout=60)[1]
    assert said == "differentia: failed: RuntimeError: the worker was ended by 15 (--debug shows where)\n"
    assert process.returncode == 1


def test_stopped_while_recording(tmp_path: Path) -> None:
    """The folder is held meanwhile; afterwards it is free, and nothing is in it but what is whole."""
    process = start(tmp_path, "measure", "digits", "--set", "noise=noise:20000", "--out", "out")
    wait_for(tmp_path / "out" / ".in-use", process)
    code, said, seconds = stop(process, signal.SIGTERM)
    assert (code, said) == (143, LINE)
    assert seconds < SOON
    assert list((tmp_path / "out").glob(".*")) == []
    assert not (tmp_path / "out" / "result.nc").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["measure", "digits", "--set", "a=noise:4", "--out", "out"], LINE),
        (["demo", "--out", "out"], LINE),
        (["select", "digits", "a", "--out", "b"], "differentia: stopped; run the same command again\n"),
    ],
)
def test_how_to_go_on(
    arguments: list[str],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Only what keeps its recordings goes on where it stopped."""

    def interrupt(*args: object, **options: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("differentia.cli.entry.app", interrupt)
    for _ in range(2):  # it is said every time
        assert main(arguments) == 130
        assert capfd.readouterr().err == line


def test_in_python_it_is_keyboard_interrupt() -> None:
    """Users of the library get what Python raises, in the middle of a forward pass."""
    import torch

    class Interrupted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Flatten()
            self.calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return self.first(x)

    network = dif.load_network(Interrupted(), preprocess="none", input_shape=(3, 8, 8))
    with pytest.raises(KeyboardInterrupt):
        dif.measure(network, {"noise": dif.noise(40, seed=0)}, batch_size=2, layers="*")
