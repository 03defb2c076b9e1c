"""Runs what docs/guides/clusters.md says on a real Slurm, from the guide's own text, and prints a transcript.

Every way of recording has to give the numbers of one undisturbed run, to the last bit. Needs Debian's
packages slurm-wlm and munge; Slurm is started by start_slurm beside this file, and ended afterwards. Takes
half an hour::

    python docs/slurm/try_guide.py /tmp/trial            # all
    python docs/slurm/try_guide.py /tmp/trial array top  # some
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import differentia as dif

HERE = Path(__file__).parent
GUIDE = HERE.parent / "guides" / "clusters.md"

#: Threads of each job of the guide. The node claims two such jobs' processors, whatever the machine has.
THREADS = 2
CPUS = 2 * THREADS
MEMORY = 32_000

#: A network of which each batch takes seconds, on any machine, so that jobs can be ended in the middle.
SLOW_NETWORK = """
import time
import torch
from torch import nn

class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2)
        self.second = nn.Conv2d(8, 16, 3, stride=2)
        self.last = nn.Linear(16, 10)
    def forward(self, x):
        if len(x) == 4:  # a batch of images, not what is shown to look at the network
            time.sleep(SECONDS)
        x = self.second(self.first(x).relu()).relu()
        return self.last(x.mean((2, 3)))

def network():
    torch.manual_seed(0)
    return Slow()
"""
SLOW_EXPERIMENT = """
[network]
spec = "slow:network"
preprocess = "imagenet"
input_shape = [3, 64, 64]

[sets]
noise = "noise:64"
photographs = "photographs"

[measure]
compile = "never"
batch_size = 4
n_units = [200]
draws = 5
"""


class Trial:
    """A folder in which the guide's files lie, and commands are typed."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        folder.mkdir()
        for name, text in files().items():
            (folder / name).write_text(text, encoding="utf-8")

    def slowly(self, seconds: float) -> None:
        """Exchange the experiment for one on generated photographs, of which a batch takes some seconds."""
        self.take(seconds)
        (self.folder / "experiment.toml").write_text(SLOW_EXPERIMENT, encoding="utf-8")
        photographs(self.folder / "photographs", count=64)

    def take(self, seconds: float) -> None:
        """Let the network take its time, which changes no number."""
        (self.folder / "slow.py").write_text(SLOW_NETWORK.replace("SECONDS", f"{seconds}"), encoding="utf-8")

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Exchange words of a file, each of which has to be there."""
        text = (self.folder / file).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, (file, old)
            text = text.replace(old, new)
            say(f"# {file}: {old} -> {new}")
        (self.folder / file).write_text(text, encoding="utf-8")

    def type(self, commands: str, *, fails: bool = False) -> str:
        """Run commands as a reader would; print them and what they say."""
        for line in commands.strip().splitlines():
            say(f"$ {line}")
        run = subprocess.run(
            ["bash", "-ec", commands],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        say(shortened(run.stdout))
        assert (run.returncode != 0) == fails, f"exit code {run.returncode}"
        return run.stdout

    def wait(self, seconds: float = 600) -> None:
        """Wait until no job is left, and print what the jobs said."""
        self.until(lambda: not self.queue() or "Never" in self.queue(), "the jobs end", seconds)
        self.logs()
        assert not self.queue(), "a part failed"

    def until(self, true: Callable[[], object], what: str, seconds: float = 300) -> None:
        """Wait for something."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s; {self.queue()}"
            time.sleep(0.5)

    def queue(self) -> str:
        """Return the jobs that wait or run."""
        return subprocess.run(
            ["squeue", "--noheader", "--array", "--format=%i %j %T %r"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def logs(self) -> None:
        """Print what the jobs wrote since the last time, and set it aside."""
        for log in sorted(self.folder.glob("slurm-*.out"), key=lambda path: path.stat().st_mtime):
            say(f"# {log.name}")
            say(shortened(log.read_text(encoding="utf-8", errors="replace")))
            log.rename(log.with_suffix(".seen"))

    def same(self, result: str = "cats/result.nc") -> None:
        """Assert that a result is that of one undisturbed process, to the last bit."""
        self.take(0)
        self.type(
            f"export OMP_NUM_THREADS={THREADS}\n"
            "differentia run experiment.toml --trust-code --out plain --figures none --quiet"
        )
        one, other = (dif.load_result(self.folder / name) for name in ("plain/result.nc", result))
        same = one.drop_attrs().equals(other.drop_attrs())
        assert same, f"{result} differs from plain/result.nc"
        say(f"# {result} and plain/result.nc: {len(one.data_vars)} variables, the same bits")


def say(text: str) -> None:
    if text.strip():
        print(text.rstrip(), flush=True)


def shortened(text: str, lines: int = 14) -> str:
    """Return the beginning and the end of what a command printed, without what Dask logs of itself."""
    kept = [line.rsplit("\r", 1)[-1].rstrip() for line in text.rstrip().split("\n")]  # a bar's last state
    kept = [line for line in kept if " - distributed." not in line]
    if len(kept) > lines:
        kept = [*kept[: lines // 2], f"... ({len(kept) - lines} lines)", *kept[-(lines // 2) :]]
    return "\n".join(line[:200] for line in kept)


class Block(NamedTuple):
    """A block of code of the guide."""

    heading: str
    language: str
    text: str


def blocks_of(guide: str) -> list[Block]:
    """Return the guide's blocks in order, each with the heading above it."""
    found = re.finditer(
        r"^#+ (?P<heading>[^\n]*)$|^```(?P<language>\w*)\n(?P<text>.*?)^```$", guide, re.M | re.S
    )
    heading = ""
    blocks = []
    for match in found:
        if match["heading"] is not None:
            heading = match["heading"].strip()
        else:
            blocks.append(Block(heading, match["language"], match["text"]))
    return blocks


BLOCKS = blocks_of(GUIDE.read_text(encoding="utf-8"))


def files() -> dict[str, str]:
    """Return the blocks that are files, by their names: these stand in the first line, or below `#!`."""
    named = [(re.match(r"(?:#![^\n]*\n)?# (\w+\.\w+)\n", block.text), block.text) for block in BLOCKS]
    return {name[1]: text for name, text in named if name}


def typed(heading: str) -> list[str]:
    """Return the blocks under a heading that are typed into a shell."""
    found = [block for block in BLOCKS if block.heading == heading and block.text not in files().values()]
    assert found, f"{GUIDE.name} has no commands under a heading {heading!r}"
    return [
        re.sub(r"^\$ ", "", block.text, flags=re.M)
        for block in found
        if block.language in ("bash", "console")
    ]


def photographs(folder: Path, count: int) -> None:
    """Write images whose spectrum is that of photographs."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    folder.mkdir()
    frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96))
    for number in range(count):
        spectrum = np.fft.fft2(rng.normal(size=(3, 96, 96))) / np.maximum(frequency, 1 / 96)
        pixels = np.fft.ifft2(spectrum).real
        pixels = 128 + 50 * pixels / pixels.std()
        image = np.clip(pixels, 0, 255).astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(image).save(folder / f"{number:03}.png")


def array(trial: Trial) -> None:
    """Submit the guide's array and the job that measures."""
    (submit,) = typed("A Slurm array")
    trial.type(submit)
    trial.wait()
    trial.type("differentia status cats")
    trial.same()


def walltime(trial: Trial) -> None:
    """Let parts be killed at the time limit, and type the same lines again."""
    trial.slowly(seconds=6)  # of 16 batches: more than the limit and the half minute between two looks at it
    (again,) = typed("When the time is over")
    trial.edit("record.sh", ("--array=1-4 --time=4:00:00", "--array=1-2 --time=1"))
    trial.type(again)
    trial.until(lambda: "record" not in trial.queue(), "the time is over")
    trial.logs()
    trial.type("squeue --format='%i %j %T %r'\ndifferentia status cats")
    trial.type("differentia run experiment.toml --trust-code --out cats --no-record", fails=True)
    trial.type(again)
    trial.wait()
    trial.same()


def requeue(trial: Trial) -> None:
    """Put a part back into the queue while it records."""
    trial.slowly(seconds=2)
    trial.edit("record.sh", ("--array=1-4", "--array=1-2"))
    trial.type(typed("A Slurm array")[0])
    trial.until(lambda: batches(trial) >= 4, "some batches are kept")
    first = trial.queue().splitlines()[-1].split()[0]
    running = [line.split()[0] for line in trial.queue().splitlines() if "record RUNNING" in line]
    trial.type(f"scontrol requeue {running[0] if running else first}\nsqueue --array --format='%i %j %T %r'")
    trial.wait()
    trial.same()


def again(trial: Trial) -> None:
    """Submit the script that puts itself back into the queue before its time is over."""
    trial.slowly(seconds=5)
    trial.edit(
        "record_again.sh", ("--array=1-4 --time=4:00:00", "--array=1-2 --time=2"), ("USR1@120", "USR1@60")
    )
    trial.type(typed("A Slurm array")[0].replace("record.sh", "record_again.sh"))
    trial.wait(1200)  # Slurm waits two minutes before it begins a job again
    trial.same()


def top(trial: Trial) -> None:
    """Submit two rounds of arrays for the strongest units."""
    trial.edit("experiment.toml", ("draws = 5", 'draws = 5\nunits = ["top_variance"]'))
    trial.edit("record.sh", ("--array=1-4", "--array=1-3"))
    trial.type(typed("`top` and `top_variance`")[0])
    trial.wait()
    trial.same()


def gpus(trial: Trial) -> None:
    """Start a process for each GPU; here there are none."""
    trial.edit("gpus.sh", ("gpus=4", "gpus=2"))
    trial.type(f"export OMP_NUM_THREADS={THREADS}\nbash gpus.sh")
    trial.same()


def workers(trial: Trial) -> None:
    """Measure with processes on one machine."""
    (local,) = typed("Dask")[:1]
    trial.type(f"export OMP_NUM_THREADS={THREADS}\n{local}")
    trial.same("local/result.nc")


def scheduler(trial: Trial) -> None:
    """Start a scheduler, and submit workers by hand."""
    trial.type(typed("Dask")[1])
    trial.wait()
    trial.same()


def jobqueue(trial: Trial) -> None:
    """Run the guide's script."""
    trial.type("python cluster.py")
    trial.wait()
    trial.same()


def lifetime(trial: Trial) -> None:
    """Run it with workers that end in the middle, and whose place others take."""
    trial.slowly(seconds=6)
    trial.edit(
        "cluster.py",
        ('"225m"', '"1m"'),
        ('"10m"', '"20s"'),
        ('"noise:100"', '"noise:64"'),
        ('"digits": "digits:100"', '"photographs": "photographs"'),
        (
            'measure("digits"',
            'measure(dif.load_network("slow:network", preprocess="imagenet", input_shape=(3, 64, 64))',
        ),
        ('"layers": ["input", "block*_pool", "predictions"]', '"batch_size": 4, "compile": "never"'),
        ("minimum_jobs=10, maximum_jobs=10", "minimum_jobs=2, maximum_jobs=2"),
    )
    trial.type("python cluster.py")
    trial.wait()
    trial.same()


def batches(trial: Trial) -> int:
    """Return how many batches of images a store holds."""
    return sum(
        len(lines.read_text(encoding="utf-8").splitlines())
        for lines in trial.folder.glob("cats/responses.zarr/recordings/*/batches/*.jsonl")
    )


TRIALS = {
    trial.__name__: trial
    for trial in (array, top, gpus, walltime, requeue, again, workers, scheduler, jobqueue, lifetime)
}


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start Slurm, and yield the environment in which its jobs and our commands run."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": programs, "SLURM_CONF": str(folder / "slurm.conf")}
    subprocess.run([HERE / "start_slurm", folder, str(CPUS), str(MEMORY)], check=True)
    try:
        yield environment
    finally:
        subprocess.run([HERE / "stop_slurm", folder], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where all is written; made anew")
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=f"of {', '.join(TRIALS)}; default: all")
    given = parser.parse_args()
    if unknown := set(given.trials) - TRIALS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected some of {', '.join(TRIALS)}")
    folder: Path = given.folder.absolute()
    folder.mkdir(exist_ok=True)
    failed = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Slurm is ended then too
    with slurm(folder / "slurm") as environment:
        for name in given.trials or TRIALS:
            say(f"\n== {name}: {TRIALS[name].__doc__}")
            shutil.rmtree(folder / name, ignore_errors=True)
            begun = time.monotonic()
            try:
                TRIALS[name](Trial(folder / name, environment))
            except (AssertionError, dif.DifferentiaError) as error:
                failed.append(name)
                say(f"FAILED: {error}")
                subprocess.run(["scancel", "--user", str(os.getuid())], env=environment, check=False)
            say(f"== {name}: {'failed' if name in failed else 'done'} in {time.monotonic() - begun:.0f} s")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
