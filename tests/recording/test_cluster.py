"""Workers of a cluster: what they do, what fails, and what is told of it, on real processes."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from distributed import Client, LocalCluster
from helpers.cluster_tasks import (
    double,
    fail_at_first,
    fail_in_one,
    leave_a_mark,
    process,
    refuse,
    spent,
    warned,
)
from helpers.clusters import forked, forked_workers, wait_for
from helpers.runs import ENVIRONMENT, LONG

import differentia as dif
from differentia.recording.cluster import Cluster, cluster_of, scheduler_at


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two processes, which restart where they are killed."""
    with forked_workers(2) as client:
        yield client


@pytest.fixture
def cluster(client: Client) -> Cluster:
    return cluster_of(client)


def done(
    cluster: Cluster, function: Any, tasks: list[tuple[Any, ...]], found: dict[int, Any] | None = None
) -> dict[int, Any]:
    """Return what workers made of tasks, by their numbers; it is put into `found` as it comes."""
    found = {} if found is None else found
    names = [f"try_{function.__name__}-{number}" for number in range(len(tasks))]
    for number, made in cluster.each(function, tasks, names=names, about=lambda number: f"of {number}"):
        found[number] = made
    return found


def test_each_task_is_done_once(cluster: Cluster) -> None:
    """By processes of their own, in whatever order; nothing stays there."""
    assert cluster.count == 2
    assert done(cluster, double, [(number,) for number in range(20)]) == {n: 2 * n for n in range(20)}
    assert done(cluster, double, []) == {}
    pids = {*done(cluster, process, [(0.05,)] * 6).values()}
    assert len(pids) == 2
    assert os.getpid() not in pids
    ends = time.monotonic() + 5
    while any(cluster._client.has_what().values()) and time.monotonic() < ends:  # it is let go of beside
        time.sleep(0.01)
    assert not any(cluster._client.has_what().values())


def test_what_all_do(cluster: Cluster, tmp_path: Path) -> None:
    """Each worker once, beside what it is asked next; where it fails, nobody is told."""
    cluster.everywhere(refuse, 2, name="refuse")
    cluster.everywhere(leave_a_mark, str(tmp_path), name="mark")
    pids = {*done(cluster, process, [(0.05,)] * 6).values()}
    wait_for(lambda: len([*tmp_path.iterdir()]) == 2)
    assert {int(mark.name) for mark in tmp_path.iterdir()} == pids


def test_workers_warn_of_nothing(cluster: Cluster) -> None:
    """Their client does, once, and not each of them."""
    assert done(cluster, warned, [()]) == {0: 0}
    assert warned() == 1


def test_what_the_user_gave_is_told_at_once(cluster: Cluster) -> None:
    """In the words of the error, and not again; the next tasks are done."""
    with pytest.raises(dif.InputError, match=r"^set 'a': is wrong$"):
        done(cluster, refuse, [(number,) for number in range(50)])
    assert done(cluster, double, [(3,)]) == {0: 6}


def test_what_fails_is_done_again(cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Twice at most; what fails three times is named, when all others are done."""
    caplog.set_level(logging.INFO, "differentia")
    (tmp_path / "2").mkdir()
    (tmp_path / "3").mkdir()
    two, three = (
        [(number, str(tmp_path / str(times)), times if number == 1 else 0, "raise") for number in range(5)]
        for times in (2, 3)
    )
    assert done(cluster, fail_at_first, two) == {number: number for number in range(5)}
    assert caplog.text.count("try_fail_at_first-1 is done again: OSError: the disk of task 1 is away") == 2
    found: dict[int, Any] = {}
    with pytest.raises(
        dif.RecordingError, match=r"^given up: try_fail_at_first-1, of 1 \(OSError: .*\)"
    ) as error:
        done(cluster, fail_at_first, three, found)
    assert sorted(found) == [0, 2, 3, 4]
    assert str(error.value).endswith(
        "others are done, and what was recorded is kept: run the same command again"
    )


def test_a_worker_that_fails(cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It does not fail all tasks before the other has done a few; it gets none while the other does them."""
    caplog.set_level(logging.INFO, "differentia")
    found = done(cluster, fail_in_one, [(number, str(tmp_path)) for number in range(20)])
    assert {number: made[0] for number, made in found.items()} == {number: number for number in range(20)}
    assert 1 <= caplog.text.count("is done again") <= 4


def test_a_task_that_fails_everywhere(cluster: Cluster, tmp_path: Path) -> None:
    """It was not the workers' fault: all go on."""
    (tmp_path / "first").symlink_to("none")
    tasks = [(number, str(tmp_path)) for number in (-1, *range(1, 40))]
    found: dict[int, Any] = {}
    with pytest.raises(dif.RecordingError, match=r"^given up: try_fail_in_one-0, of 0 "):
        done(cluster, fail_in_one, tasks, found)
    assert sorted(found) == [*range(1, 40)]
    assert len({found[number][1] for number in range(20, 40)}) == 2


def test_one_task_at_a_time(tmp_path: Path) -> None:
    """A worker of two threads has two tasks, and does one; left to itself it does both."""
    with (
        forked(),
        LocalCluster(1, threads_per_worker=2, dashboard_address=":0", local_directory=tmp_path) as one,
        Client(one) as client,
    ):
        at_once = client.gather(client.map(spent, [0.2, 0.2], pure=False))
        in_turn = done(cluster_of(client), spent, [(0.1,)] * 4).values()
    for times, expected in ((at_once, False), (in_turn, True)):
        pairs = [*pairwise(sorted(times, key=lambda task: task[1]))]
        assert all(ended <= begun for (_, _, ended), (_, begun, _) in pairs) is expected


@pytest.mark.slow
def test_a_cluster_that_grows_with_the_work(tmp_path: Path) -> None:
    """It sees that there is more than its workers do."""
    with (
        forked(),
        LocalCluster(1, threads_per_worker=1, dashboard_address=":0", local_directory=tmp_path) as grows,
        Client(grows) as client,
    ):
        grows.adapt(minimum=1, maximum=2, interval="100ms", wait_count=100)
        times = done(cluster_of(client), spent, [(0.3,)] * 16).values()
    assert len({process for process, _, _ in times}) == 2


@pytest.mark.slow
def test_what_kills_workers(cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried three times among others, then alone; only what kills there too is given up, and named."""
    caplog.set_level(logging.INFO, "differentia")
    (tmp_path / "some").mkdir()
    (tmp_path / "many").mkdir()
    some = [(number, str(tmp_path / "some"), 1 if number == 1 else 0, "kill") for number in range(5)]
    assert done(cluster, fail_at_first, some) == {number: number for number in range(5)}
    many = [(number, str(tmp_path / "many"), 9 if number == 1 else 0, "kill") for number in range(5)]
    found: dict[int, Any] = {}
    with pytest.raises(
        dif.RecordingError, match=r"^given up: try_fail_at_first-1, of 1 \(each worker .* died"
    ):
        done(cluster, fail_at_first, many, found)
    assert sorted(found) == [0, 2, 3, 4]
    assert len([*(tmp_path / "many").iterdir()]) == 6
    assert re.search(r"gone \(tcp://.*\), . left; what was begun there is done again", caplog.text)
    assert "try_fail_at_first-1 is done again alone, when all others are done" in caplog.text


def test_dask_is_silent_when_its_cluster_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections end later than its own silence does, and log that they are closed."""
    handler = logging.StreamHandler()
    monkeypatch.setattr(logging.getLogger("distributed"), "handlers", [handler])
    with forked_workers(1):
        pass
    assert handler.level == logging.CRITICAL


def test_what_is_no_client() -> None:
    with pytest.raises(dif.InputError, match=r"^client is of type str; expected a dask.distributed.Client"):
        cluster_of("tcp://host:8786")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "tcp://127.0.0.1:9",
            r"--scheduler tcp://127.0.0.1:9: no scheduler answers \(.*\); check the address",
        ),
        ("no such host", r"--scheduler no such host: no scheduler answers"),
        (
            "away.json",
            r"--scheduler away.json: can't be read \(No such file or directory\); expected what dask",
        ),
        ("other.json", r"--scheduler other.json: can't be read \(it holds no address\); expected what dask"),
        ("number.json", r"--scheduler number.json: can't be read \(it holds no address\)"),
    ],
)
def test_no_scheduler(address: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, within seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("differentia.recording.cluster.ANSWER", 1)
    Path("other.json").write_text("[1]")
    Path("number.json").write_text('{"address": 8786}')
    with pytest.raises(dif.InputError, match=expected) as error, scheduler_at(address):
        pass
    assert "\n" not in str(error.value)


def test_a_scheduler_by_its_address_and_its_file(client: Client, tmp_path: Path) -> None:
    """Several may be connected; the one that leaves takes nothing away from the others."""
    address = str(client.scheduler_info()["address"])
    (tmp_path / "scheduler.json").write_text(f'{{"address": "{address}"}}')
    for named in (address, str(tmp_path / "scheduler.json")):
        with scheduler_at(named) as other:
            assert done(cluster_of(other), double, [(4,)]) == {0: 8}
        with pytest.raises(dif.InputError, match=r"^client is closed; give one that is connected"):
            cluster_of(other)
    assert done(cluster_of(client), double, [(5,)]) == {0: 10}


# ---------------------------------------------------------------------------------------------- recording

SETS = {"noise": "noise:13", "digits": "digits:9"}
SOME: dict[str, Any] = {"layers": ["input", "block1_conv1", "logits"], "pool": 40, "batch_size": 4}


@pytest.fixture
def same_threads(cluster: Cluster) -> Iterator[None]:
    """A pass in this process has as many threads as one of a worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(cluster.threads)
    yield
    torch.set_num_threads(before)


def require_equal(found: dif.Responses, expected: dif.Responses) -> None:
    """Raise an error where responses differ in any bit, or images in their order."""
    assert found.images == expected.images
    assert found.values.keys() == expected.values.keys()
    for name, values in expected.values.items():
        assert np.array_equal(np.asarray(found.values[name]), np.asarray(values)), name
        assert np.array_equal(found.units[name], expected.units[name]), name


@pytest.mark.usefixtures("same_threads")
def test_workers_record_the_same_bits(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As one process; each image once, further ones beside them, and none of it in this process."""
    caplog.set_level(logging.INFO, "differentia")
    told: list[tuple[int, int, str]] = []
    alone = dif.record("digits", SETS, **SOME)
    given: dict[str, Any] = {**SOME, "client": client, "store": tmp_path / "store"}
    require_equal(dif.record("digits", SETS, **given, progress=lambda *now: told.append(now)), alone)
    assert {total for _, total, _ in told} == {22}
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] == 22
    assert re.fullmatch(r"recording with 2 workers, [0-9.,]+ images/s", told[-1][2])
    more = {**SETS, "others": "noise:6?seed=5"}
    told.clear()
    found = dif.record("digits", more, **given, progress=lambda *now: told.append(now))
    require_equal(found, dif.record("digits", more, **SOME))
    assert told[0][0] == 22
    assert "recorded already" not in caplog.text  # but just now
    require_equal(dif.record("digits", more, **SOME, store=tmp_path / "store"), found)
    assert "all that is needed of 28 images is recorded already" in caplog.text
    assert not (tmp_path / "store" / "jobs").exists()


def test_what_workers_can_not_open(client: Client, tmp_path: Path) -> None:
    """Is told before anything is written, with what to do."""
    given: dict[str, Any] = {"client": client, "store": tmp_path / "store"}
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))
    network = dif.load_network(module, preprocess="unit", input_shape=(8, 8, 3))
    with pytest.raises(
        dif.InputError, match=r"^Sequential: is an object in this process, .*; name it instead: '"
    ):
        dif.record(network, SETS, **given)
    with pytest.raises(
        dif.InputError, match=r"^set 'own' \(array\) can't be opened by other processes; save its"
    ):
        dif.record("digits", {"own": np.zeros((2, 32, 32), np.uint8)}, **given)
    assert not (tmp_path / "store").exists()
    with pytest.raises(dif.InputError, match=r"^client= needs store=, a folder that all workers see"):
        dif.record("digits", SETS, client=client)
    with pytest.raises(dif.InputError, match=r"^client is of type int; expected a dask.distributed.Client"):
        dif.record("digits", SETS, client=3, store=tmp_path / "store")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a terminal's Ctrl-C reaches a group of processes")
def test_ctrl_c_in_a_terminal(tmp_path: Path) -> None:
    """It reaches workers too: one line, and no process and no folder is left."""
    network = ("helpers.cluster_tasks:slow", "--preprocess", "unit", "--input-size", "16")
    given = ("--set", "noise=noise:400", "--batch-size", "4", "--workers", "2", "--out", "out")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "differentia", "measure", *network, *given],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(scratch)},
    )
    wait_for(lambda: [*tmp_path.glob("out/responses.zarr/recordings/*/batches/*.jsonl")])
    others = psutil.Process(process.pid).children(recursive=True)
    assert len(others) >= 2
    assert [*scratch.glob("differentia-*")]
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=LONG)
    assert process.returncode == 130
    assert said.splitlines()[-1:] == [
        "differentia: stopped; run the same command again: it goes on where it stopped"
    ]
    assert "Traceback" not in said
    assert "Warning" not in said
    psutil.wait_procs(others, timeout=10)
    assert not [one for one in others if one.is_running()]
    assert not [*scratch.glob("differentia-*")]
