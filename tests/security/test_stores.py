"""A store of responses that a stranger made, or that changes while a run goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.changed_stores import ESCAPE, change_store, digest_of_batch
from helpers.networks import factory
from helpers.tries import Rows, bounded

import differentia as dif
from differentia.cli import main
from differentia.errors import has_control_characters
from differentia.recording.passes import Passes
from differentia.system.locking import IN_USE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes")

ROWS = Rows("Stores of responses")

#: In seconds: what takes longer is taken for a hang.
LONG = 60

CHANGED_AT_RANDOM = (
    "Bytes, files, names, links and what JSON says changed at random, there with digests that agree, but "
    "for which image is which"
)

RNG = np.random.default_rng(0)
IMAGES = {
    name: RNG.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8) for name, count in (("a", 9), ("b", 4))
}


@cache
def network() -> Any:
    return dif.load_network(factory(), preprocess="unit", input_shape=(16, 16, 3))


def measure(store: Path) -> xr.Dataset:
    return dif.measure(
        network(), IMAGES, layers=["conv", "head"], n_units=5, draws=1, batch_size=4, store=store, views=False
    )


@dataclass(frozen=True)
class Whole:
    """A store that is whole, and what is measured of it."""

    store: Path
    result: xr.Dataset


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    store = tmp_path_factory.mktemp("whole") / "s"
    return Whole(store, measure(store))


def assert_same(result: xr.Dataset, expected: xr.Dataset) -> None:
    """Assert that two results have the same bits, whatever they say of how they were made."""
    for name in expected.variables:
        np.testing.assert_array_equal(result[name].values, expected[name].values, err_msg=str(name))


@contextmanager
def in_time() -> Iterator[None]:
    """Fail where something hangs."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"it took more than {LONG} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(LONG)
    try:
        yield
    finally:
        signal.alarm(0)


def told(work: Callable[[], Any]) -> Any:
    """Return a result, or the line that it ends in; no escape sequence is in what is said on the way."""
    with warnings.catch_warnings(record=True) as given, in_time():
        warnings.simplefilter("always")
        try:
            found = work()
        except dif.DifferentiaError as error:
            found = str(error)
    said = [str(warned.message) for warned in given]
    assert all(issubclass(warned.category, dif.DifferentiaWarning) for warned in given), said
    assert not any(map(has_control_characters, said)), said
    return found


def tree(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (folder, *folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("nth", bounded(range(0, 300, 20), 0))
@ROWS.row(
    CHANGED_AT_RANDOM,
    "The same bits, or one line; nothing outside is read through a link, or written",
)
def test_changed_stores(nth: int, whole: Whole, tmp_path: Path, tried: Any) -> None:
    try_changed(range(nth, nth + 20), whole, tmp_path)
    tried(20)


@ROWS.row(
    CHANGED_AT_RANDOM,
    "The same bits, or one line; nothing outside is read through a link, or written",
)
def test_some_changed_stores(whole: Whole, tmp_path: Path, tried: Any) -> None:
    """A few of them, each time."""
    try_changed(range(300, 305), whole, tmp_path)
    tried(5)


def try_changed(numbers: range, whole: Whole, folder: Path) -> None:
    """Look at changed stores, measure with them, and again."""
    for number in numbers:
        store = folder / str(number) / "s"
        shutil.copytree(whole.store, store)
        how = change_store(store, number)
        outside = tree(store.parent / "outside")
        with in_time():
            assert main(["status", str(store)]) in (0, 2), how
        for _ in range(2):
            found = told(lambda at=store: measure(at))  # type: ignore[misc]
            if isinstance(found, str):
                break
            assert_same(found, whole.result)
        assert tree(store.parent / "outside") == outside, how
        shutil.rmtree(store.parent, ignore_errors=True)


@ROWS.row(
    "Which images a batch has, with a digest that agrees",
    "Believed: who can write that can write other responses, too, and nobody could tell",
)
def test_other_images_in_a_batch(whole: Whole, tmp_path: Path, tried: Any) -> None:
    """Without such a digest, the images are recorded again."""
    for forged in (False, True):
        store = tmp_path / str(forged) / "s"
        shutil.copytree(whole.store, store)
        (path,) = store.glob("recordings/*/batches/0.jsonl")
        first, *others = path.read_text().splitlines()
        facts = json.loads(first)
        del facts["images"][1]  # the responses to it are taken for those to the next
        if forged:
            facts["digest"] = digest_of_batch(path, facts)
        path.write_text("\n".join([json.dumps(facts), *others]) + "\n")
        found = told(lambda at=store: measure(at))  # type: ignore[misc]
        assert not isinstance(found, str)
        same = found["differentiation"] == whole.result["differentiation"]
        assert same.sel(set="b").all()
        assert same.sel(set="a").all() != forged
        tried(forged)


def as_link(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def as_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def as_device(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


PLACES = {
    "the store's zarr.json": "zarr.json",
    "a recording's": "recordings/*/zarr.json",
    "a layer's": "recordings/*/layers/*/zarr.json",
    "an array's": "recordings/*/layers/*/random-0.*/zarr.json",
    "responses": "recordings/*/layers/*/random-0.*/c.0.0",
    "batches": "recordings/*/batches/0.jsonl",
    "a division": "recordings/*/divisions/0.json",
    "all arrays of a layer": "recordings/*/layers/*",
    "all recordings": "recordings",
}


@pytest.mark.parametrize("make", [as_link, as_pipe, as_device])
@ROWS.row(
    "A link, a pipe or a link to a device in the place of any file or folder",
    "One line that names it; `status` too; nothing is followed, waited for or written",
)
def test_links_and_pipes(make: Any, whole: Whole, tmp_path: Path, tried: Any) -> None:
    for place in PLACES.values():
        store = tmp_path / place.replace("/", "_") / "s"
        shutil.copytree(whole.store, store)
        victim, outside = sorted(store.glob(place))[0], store.parent / "outside"
        victim.rename(outside)
        before = tree(outside)
        make(victim, outside)
        for fresh in (False, True):
            found = told(lambda at=store, anew=fresh: dif.record(network(), IMAGES, store=at, fresh=anew))  # type: ignore[misc]
            assert isinstance(found, str), place
            assert "is a link, a pipe or a device" in found or "no store of responses" in found
        with in_time():
            assert main(["status", str(store)]) == 2
        assert tree(outside) == before
        tried()


@pytest.mark.parametrize("make", [as_link, as_pipe, as_device])
@ROWS.row(
    "A file of responses, or of batches, becomes a link or a pipe while a run goes on",
    "Recorded again, with the same bits, or one line; nothing is followed, waited for or written",
)
def test_files_that_change_meanwhile(
    make: Any, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Any
) -> None:
    """At the first image that is shown: of what was recorded, one file is another thing by then."""
    shown = Passes._pass
    for place in ("responses", "batches", "an array's", "a division"):
        store, outside = tmp_path / place / "s", tmp_path / place / "outside"
        shutil.copytree(whole.store, store)
        for lost in sorted(store.glob("recordings/*/layers/*/random-0.*"))[:1]:
            shutil.rmtree(lost)  # so that something is recorded
        before: dict[Path, bytes] = {}

        def change(self: Any, *given: Any, at: Path = store, to: Path = outside, **more: Any) -> Any:
            if not to.exists():
                victim = sorted(at.glob(PLACES[place]))[-1]  # noqa: B023 - called within the loop
                victim.rename(to)
                before.update(tree(to))  # noqa: B023
                make(victim, to)
            return shown(self, *given, **more)

        monkeypatch.setattr(Passes, "_pass", change)
        found = told(lambda at=store: measure(at))  # type: ignore[misc]
        assert before
        if not isinstance(found, str):
            assert_same(found, whole.result)
        assert tree(outside) == before
        monkeypatch.undo()
        tried()


@pytest.mark.parametrize("kind", ["link", "pipe", "file"])
@ROWS.row("`.in-use` is a link, a pipe or a file", "One line that says so; nothing is written there")
def test_leases_elsewhere(kind: str, whole: Whole, tmp_path: Path, tried: Any) -> None:
    store, outside = tmp_path / "s", tmp_path / "outside"
    shutil.copytree(whole.store, store)
    outside.mkdir()
    if kind == "file":
        (store / IN_USE).touch()
    else:
        {"link": as_link, "pipe": as_pipe}[kind](store / IN_USE, outside)
    found = told(lambda: measure(store))
    assert isinstance(found, str)
    assert f"{store}: {IN_USE} in it can't be used (" in found
    assert list(outside.iterdir()) == []
    tried()


@ROWS.row(
    "Escape sequences in the names of folders, and in what a recording says of itself",
    "Shown as escapes, in warnings and by `status`",
)
def test_escape_sequences(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str], tried: Any
) -> None:
    store = tmp_path / "s"
    shutil.copytree(whole.store, store)
    recording = next(store.glob("recordings/*/zarr.json"))
    content = recording.read_text()
    strange = store / "recordings" / ESCAPE.replace("/", "")
    strange.mkdir()
    (strange / "zarr.json").write_text("{}")
    recording.write_text(content.replace('"input', '"\\u001b]0;t\\u0007').replace("\n", " "))
    found = told(lambda: measure(store))
    assert not isinstance(found, str)
    assert_same(found, whole.result)
    assert main(["status", str(store)]) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "\\u001b" in shown.out
    tried()


@ROWS.row("Folders in one another, a hundred deep", "One line that names the place")
def test_deep_folders(whole: Whole, tmp_path: Path, tried: Any) -> None:
    store = tmp_path / "s"
    shutil.copytree(whole.store, store)
    store.joinpath("recordings", *"a" * 100).mkdir(parents=True)
    found = told(lambda: measure(store))
    assert isinstance(found, str)
    assert "lies deeper than anything in a store" in found
    assert main(["status", str(store)]) == 2
    tried()
