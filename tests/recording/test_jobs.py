"""Jobs: what a task is of, in words, and what workers are given."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from differentia.errors import StorageError
from differentia.networks.base import Network
from differentia.networks.load import load_network
from differentia.networks.origin import Origin
from differentia.recording import jobs
from differentia.recording.division import Promised, digest_of
from differentia.recording.jobs import Job, Work, given_out, images_in_words, open_job, read_job
from differentia.recording.passes import Task
from differentia.stimuli.presentation import as_sets
from differentia.stimuli.written import written_sets

SETS = as_sets({"noise": "noise:9", "grey": "noise:6?kind=gaussian"}, seed=0)


def test_images_in_words() -> None:
    """By set: how many, the first and the last."""
    first, third, last = (SETS["noise"].names[number] for number in (0, 2, 8))
    (grey, *_) = SETS["grey"].names
    assert images_in_words([Promised("noise", (0, 1)), Promised("noise", (2,))], SETS) == (
        f"3 images of set 'noise', {first!r} to {third!r}"
    )
    assert images_in_words([Promised("noise", (8,)), Promised("grey", (0,))], SETS) == (
        f"1 image of set 'noise', {last!r} and 1 image of set 'grey', {grey!r}"
    )


class Asked:
    """Workers that do nothing but keep what they were asked."""

    count = 2

    def __init__(self) -> None:
        self.tasks: list[tuple[Any, ...]] = []
        self.about: list[str] = []

    def each(
        self,
        function: Callable[..., None],
        tasks: Sequence[tuple[Any, ...]],
        *,
        names: Sequence[str],
        about: Callable[[int], str],
        meanwhile: Callable[[], None],
    ) -> Iterator[tuple[int, None]]:
        self.tasks += tasks
        self.about += [f"{name}: {about(at)}" for at, name in enumerate(names)]
        yield from ((at, None) for at in range(len(tasks)))


def test_work_is_told_with_its_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Tasks that lack nothing are not given out; the others keep their numbers, and one line counts them."""
    caplog.set_level(logging.INFO)
    workers, told = Asked(), list[tuple[int, int]]()
    job = Job("net?a=b", Origin("digits", {}), {}, {}, {}, 1, None)
    work = Work(workers, job, tmp_path, "job", {})  # type: ignore[arg-type]
    batches = [Promised("noise", range(5)), Promised("noise", range(5, 9)), Promised("grey", range(6))]
    tasks = [Task([batch], 0 if batch.images[0] == 5 else len(batch.images)) for batch in batches]
    work.all(print, tasks, SETS, lambda done, total, _: told.append((done, total)), rounds=2)
    assert caplog.messages == ["recording 11 images with 2 workers in 2 tasks"]
    place = (str(tmp_path), "job")
    assert workers.tasks == [(*place, n, 3, first) for first in (True, False) for n in (1, 3)]
    assert workers.about[:2] == [
        f"record_net-{n}: {images_in_words(tasks[n - 1].batches, SETS)}" for n in (1, 3)
    ]
    assert told[-1] == (30, 30)
    assert told[0] == (13, 30)  # of two rounds: 8 that were there, and the first task's 5


def test_a_network_that_was_loaded_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The job that names it takes it, and that once; all others load their own."""
    loaded = list[str]()

    def load(spec: str) -> Network:
        loaded.append(spec)
        return load_network(spec)

    monkeypatch.setattr(jobs, "load_network", load)
    sets, names = (
        written_sets(SETS, follow_links=False),
        {name: digest_of(of.names) for name, of in SETS.items()},
    )
    job = Job("net", Origin("digits", {}), sets, names, {}, 1, None, "one")
    jobs._load_beforehand("one", *job.network)
    (beforehand,) = jobs._beforehand.values()
    assert open_job(job._replace(beforehand="")).network is not beforehand
    assert open_job(job).network is beforehand
    assert beforehand.name == "net"
    assert open_job(job).network is not beforehand
    assert loaded == ["digits"] * 3
    jobs._load_beforehand("one", "no such network", {}, "")
    assert not jobs._beforehand


class Told:
    """A cluster of which nobody tells anything."""

    @contextmanager
    def told(self, topic: str) -> Iterator[dict[int, int]]:
        yield {}


def test_a_job_is_what_was_written(tmp_path: Path) -> None:
    """Its name is the digest of its file: what else lies there is not read, and a pipe is not waited for."""
    job = Job("net", Origin("digits", {}), {"a": "noise:2"}, {"a": "x"}, {"seed": 3}, 1, None, "", {}, {})
    with given_out(Told(), job, tmp_path):  # type: ignore[arg-type]
        (path,) = (tmp_path / "jobs").glob("*.json")
        name, content = path.stem, path.read_bytes()
        assert name == hashlib.sha256(content).hexdigest()[:32]
        assert read_job(tmp_path, name) == job
        other = content.replace(b"digits", b"planted:make")
        no_file = "it is a link, or no file that was written here"
        harm: list[tuple[Callable[[], object], str]] = [
            (lambda: path.write_bytes(other), "it is not what was written there"),
            (lambda: path.symlink_to(tmp_path / "kept"), no_file),
            (lambda: os.mkfifo(path), no_file),
            (lambda: path.write_bytes(b"") or os.truncate(path, 2**31), no_file),
            (lambda: None, "No such file or directory"),
        ]
        (tmp_path / "kept").write_bytes(content)
        for do, reason in harm:
            path.unlink(missing_ok=True)
            do()
            told = (
                rf"{name}\.json: can't be read on the worker's host .* \({reason}\); choose a folder that all"
            )
            with pytest.raises(StorageError, match=told):
                read_job(tmp_path, name)
    for content in (b"[]", b"{}", b'{"network": 3}', json.dumps({**job._asdict(), "more": 1}).encode()):
        name = hashlib.sha256(content).hexdigest()[:32]
        (tmp_path / "jobs").mkdir(exist_ok=True)
        (tmp_path / "jobs" / f"{name}.json").write_bytes(content)
        with pytest.raises(StorageError, match=r"can't be read on the worker's host"):
            read_job(tmp_path, name)
