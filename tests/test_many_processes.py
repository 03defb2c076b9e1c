"""One process, workers and parts, on a thousand photographs: the same numbers, whoever recorded them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import xarray as xr
from helpers.runs import ENVIRONMENT, LONG, assert_same_results

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.soak,
    pytest.mark.skipif(sys.platform != "linux", reason="sets the cores of a process"),
]

COUNT = 1_000


@pytest.fixture(scope="module")
def measure(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that measures MobileNet for crops of photographs, each another, and noise of their size."""
    crops = tmp_path_factory.mktemp("crops")
    files = sorted([*(real_data / "random").iterdir(), *(real_data / "cats").iterdir()])
    chance = random.Random(0)
    for number in range(COUNT):
        with PIL.Image.open(files[number % len(files)]) as image:
            side = chance.randint(min(image.size) // 2, min(image.size))
            left, top = (chance.randint(0, length - side) for length in image.size)
            box = (left, top, left + side, top + side)
            image.convert("RGB").resize((224, 224), box=box).save(
                crops / f"{number:04}.png", compress_level=1
            )
    weights = real_data / "mobilenet_025_224_imagenet.weights.h5"
    classes = real_data / "imagenet_class_index.json"
    return [
        *("measure", f"keras:MobileNet?alpha=0.25&weights={weights}&classes={classes}"),
        *("--set", f"photographs={crops}", "--set", f"noise=noise:{COUNT}", "--figures", "none"),
        *("--layers", "input,conv_pw_6_relu,conv_pw_12_relu,predictions", "--n-units", "200,2000"),
        *("--draws", "3", "--batch-size", "16", "--compile", "never", "--quiet"),
    ]


def begin(*arguments: str, threads: int = 1) -> subprocess.Popen[bytes]:
    """Begin a command on two cores."""
    numbers = {name: str(threads) for name in ENVIRONMENT if name.endswith("_NUM_THREADS")}
    return subprocess.Popen(
        [sys.executable, "-m", "differentia", *arguments],
        env={**os.environ, **ENVIRONMENT, **numbers, "DIFFERENTIA_TRACEBACKS": ""},
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2]),
    )


def run(*arguments: str, threads: int = 1) -> None:
    """Run a command to its end."""
    assert begin(*arguments, threads=threads).wait(LONG) == 0


@pytest.fixture(scope="module")
def one(measure: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of one process, of one thread."""
    out = tmp_path_factory.mktemp("one") / "out"
    run(*measure, "--out", str(out))
    return out


def test_two_workers(measure: list[str], one: Path, tmp_path: Path) -> None:
    """They have a thread each."""
    run(*measure, "--out", str(tmp_path / "out"), "--workers", "2")
    assert_same_results(tmp_path / "out", one)


def test_parts_in_any_order_killed_and_again(measure: list[str], one: Path, tmp_path: Path) -> None:
    """The last of three before the second, killed in between; what it had kept is not recorded again."""
    out = tmp_path / "out"
    parts = [*measure, "--out", str(out), "--part"]
    run(*parts, "1/3")
    killed = begin(*parts, "3/3")
    until = time.monotonic() + LONG
    while (
        not (lines := list(out.glob("responses.zarr/recordings/*/batches/2.jsonl")))
        or len(lines[0].read_bytes().splitlines()) < 10
    ):
        assert killed.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(out.glob("responses.zarr/recordings/*/layers/*/*/c.2.*.partial"))
    for part in ("3/3", "2/3", "3/3"):
        run(*parts, part)
    run(*measure, "--out", str(out), "--no-record")
    assert_same_results(out, one)


def test_other_threads(measure: list[str], one: Path, tmp_path: Path) -> None:
    """Sums may be rounded elsewhere: values and their intervals agree within 1e-5."""
    run(*measure, "--out", str(tmp_path / "out"), threads=2)
    with xr.open_dataset(one / "result.nc") as ours, xr.open_dataset(tmp_path / "out" / "result.nc") as other:
        for name in ("differentiation", "differentiation_low", "differentiation_high"):
            np.testing.assert_allclose(ours[name], other[name], rtol=1e-5)
        assert not ours["filter_mean"].equals(other["filter_mean"])
        threads = [json.loads(result.attrs["provenance"])["threads"] for result in (ours, other)]
    assert threads == [[1], [2]]
