"""Parts: what several processes record of the same images, in any order, is what one records."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from helpers.networks import tricky
from helpers.runs import Killed

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.recording.options import RecordOptions
from differentia.recording.parts import record_part_with
from differentia.recording.passes import PartRecorded
from differentia.recording.record import record_kinds
from differentia.recording.store.disk import DiskStore
from differentia.stimuli.arrays import ArrayStimuli
from differentia.system.fields import accept

RNG = np.random.default_rng(0)
SETS = {
    "few": RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8),
    "many": RNG.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8),
}
KINDS = ("random", "top", "top_variance", "per_filter", "filter_mean", "sketch")
LAYERS = ["conv", "act:1", "head"]


def options(store: Path | None, **given: Any) -> RecordOptions:
    few: dict[str, Any] = {
        "pool": 50,
        "batch_size": 2,
        "layers": LAYERS,
        "units": ("random",),
        "maps": {"conv": [3]},
    }
    return accept(RecordOptions, {**few, "store": store, **given})


def network() -> dif.Network:
    return dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16))


def recorded(store: Path | None, sets: Mapping[str, Any] = SETS, **given: Any) -> dict[str, dif.Responses]:
    return record_kinds(network(), sets, options(store, **given))


def part(number: int, of: int, store: Path, sets: Mapping[str, Any] = SETS, **given: Any) -> PartRecorded:
    return record_part_with(network(), sets, (number, of), options(store, **given))


def assert_same(one: Mapping[str, dif.Responses], other: Mapping[str, dif.Responses]) -> None:
    """Assert that responses are equal to the bit, in all that is kept of them."""
    assert one.keys() == other.keys()
    for kind, first in one.items():
        second = other[kind]
        assert first.images == second.images
        assert first.moments is not None
        assert second.moments is not None
        pairs = [(first.moments.mean, second.moments.mean), (first.moments.variance, second.moments.variance)]
        for name in first.values:
            assert first.units[name].tolist() == second.units[name].tolist(), (kind, name)
            pairs.append((np.asarray(first.values[name]), np.asarray(second.values[name])))
        pairs += [
            (first.views.filter_means[name], second.views.filter_means[name])
            for name in first.views.filter_means
        ]
        pairs += [(a.values, b.values) for a, b in zip(first.views.maps, second.views.maps, strict=True)]
        assert first.views.predictions is not None
        assert second.views.predictions is not None
        pairs.append((first.views.predictions.probabilities, second.views.predictions.probabilities))
        for values, expected in pairs:
            np.testing.assert_array_equal(values, expected)
        assert {**first.provenance, "batch_size": 0} == {**second.provenance, "batch_size": 0}


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_parts_in_any_order(order: tuple[int, ...], tmp_path: Path) -> None:
    """Together they record all, each a share of it, to the bits of one run, which has nothing to add."""
    told = [part(number, 3, tmp_path / "r.zarr") for number in order]
    assert sum(one.images for one in told) == 16
    assert all(3 <= one.images <= 6 and one.there == 0 for one in told)
    again = part(order[1], 3, tmp_path / "r.zarr")
    assert (again.images, again.there) == (0, told[1].images)
    assert_same(recorded(tmp_path / "r.zarr", record=False), recorded(None))


def test_other_numbers_of_parts(tmp_path: Path) -> None:
    """Tasks stay what they were; more parts than tasks leave some without any."""
    part(1, 2, tmp_path / "r.zarr")
    told = [part(number, 5, tmp_path / "r.zarr") for number in range(1, 6)]
    assert [one.tasks for one in told] == [0, 0, 1, 0, 1]
    assert sum(one.images for one in told) < 16
    assert_same(recorded(tmp_path / "r.zarr", record=False), recorded(None))


def test_ranked_units_take_two_rounds(tmp_path: Path) -> None:
    """The second begins when all parts have done the first, and all is as in one run."""
    store = tmp_path / "r.zarr"
    assert [(one.round, one.rounds) for one in (part(n, 3, store, units=KINDS) for n in (3, 1))] == [
        (1, 2)
    ] * 2
    with pytest.raises(
        dif.RecordingError, match=r"all 3 parts .* yet to do so: part 2; run what is left, and then all again"
    ):
        part(3, 3, store, units=KINDS)
    assert part(2, 3, store, units=KINDS).images == 6
    second = [part(number, 3, store, units=KINDS) for number in (2, 1, 3)]
    assert [one.round for one in second] == [2, 2, 2]
    assert sum(one.images for one in second) == 16
    assert_same(recorded(store, units=KINDS, record=False), recorded(None, units=KINDS))


def test_a_part_without_images_waits_for_no_other(tmp_path: Path) -> None:
    """There are fewer tasks than parts; those with images wait as before."""
    store = tmp_path / "r.zarr"
    found = [part(number, 100, store, units=KINDS) for number in (1, 100)]
    assert [(one.tasks, one.images) for one in found] == [(0, 0), (1, 1)]
    with pytest.raises(dif.RecordingError, match="yet to do so: parts "):
        part(100, 100, store, units=KINDS)


def test_a_run_of_all_goes_on_from_parts(tmp_path: Path) -> None:
    """Also between two rounds, and parts from a run of all that was stopped."""
    store = tmp_path / "r.zarr"
    part(2, 3, store, units=KINDS)

    def stop(done: int, total: int, what: str) -> None:
        if done >= 10:
            raise Killed

    with pytest.raises(Killed):
        recorded(store, units=KINDS, progress=stop)
    part(3, 3, store, units=KINDS)
    assert_same(recorded(store, units=KINDS), recorded(None, units=KINDS))
    assert part(1, 3, store, units=KINDS).images == 0


@pytest.mark.parametrize("kinds", [("random",), KINDS])
@pytest.mark.parametrize("after", [0, 1, 7, 20])
def test_a_part_that_was_stopped(
    kinds: tuple[str, ...], after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two writes: it goes on to the same bits."""
    write, left = DiskStore.write, [after]

    def stopping(self: Any, *given: Any) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        write(self, *given)

    store = tmp_path / "r.zarr"
    monkeypatch.setattr(DiskStore, "write", stopping)
    with pytest.raises(Killed):
        part(1, 2, store, units=kinds)
    monkeypatch.setattr(DiskStore, "write", write)
    for _ in range(2):
        for number in (2, 1):
            part(number, 2, store, units=kinds)
    assert_same(recorded(store, units=kinds, record=False), recorded(None, units=kinds))


def test_a_part_looks_at_its_own_images_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It decodes, and hashes, no image of another part, but the two that the network is looked at with."""
    looked_at: list[tuple[str, int]] = []
    load, content_hash = ArrayStimuli.load, ArrayStimuli.content_hash

    def counting_load(self: Any, index: int, fit: Any) -> Any:
        looked_at.append(("loaded", index))
        return load(self, index, fit)

    def counting_hash(self: Any, index: int, fit: Any) -> Any:
        looked_at.append(("hashed", index))
        return content_hash(self, index, fit)

    monkeypatch.setattr(ArrayStimuli, "load", counting_load)
    monkeypatch.setattr(ArrayStimuli, "content_hash", counting_hash)
    monkeypatch.setattr("differentia.recording.record.first_images", lambda *given, **how: None)
    sets = {"many": SETS["many"]}
    part(1, 3, tmp_path / "r.zarr", sets)
    assert sorted(looked_at) == [("loaded", number) for number in range(4)]
    looked_at.clear()
    part(3, 3, tmp_path / "r.zarr", sets)
    assert sorted(looked_at) == [("loaded", number) for number in range(8, 11)]
    looked_at.clear()
    part(1, 3, tmp_path / "r.zarr", sets, layers=["conv", "block.1"])
    assert {number for _, number in looked_at} == {0, 1, 2, 3}
    assert {what for what, _ in looked_at} == {"loaded", "hashed"}


def test_more_of_what_is_kept(tmp_path: Path) -> None:
    """Further layers, more units, a further set, and what was damaged: each part records its own of it."""
    store = tmp_path / "r.zarr"
    more: dict[str, Any] = {"layers": [*LAYERS, "block.1"], "pool": 80}
    for number in (1, 2):
        part(number, 2, store, {"many": SETS["many"]})
    told = [part(number, 2, store, **more) for number in (1, 2)]
    assert sum(one.images for one in told) == 16
    shard = max(store.rglob("c.*"), key=lambda file: file.stat().st_size)
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    with pytest.warns(dif.DifferentiaWarning, match="has changed since it was written"):
        told = [part(number, 2, store, **more) for number in (1, 2)]
    assert 1 <= sum(one.images for one in told) <= 8
    assert_same(recorded(store, record=False, **more), recorded(None, **more))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a"
    folder.mkdir()
    for number, pixels in enumerate(SETS["many"]):
        PIL.Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def test_an_image_that_has_changed(folder: Path, tmp_path: Path) -> None:
    """A part says so; a run of all records what it is now, and then parts find all in its place."""
    store, sets = tmp_path / "r.zarr", {"a": folder}
    for number in (1, 2):
        part(number, 2, store, sets)
    PIL.Image.fromarray(SETS["few"][0]).save(folder / "02.png")
    with pytest.raises(dif.InputError, match=r"image '02.png' has changed since.* without --part"):
        part(1, 2, store, sets)
    assert part(2, 2, store, sets).images == 0, "it has another part of the images"
    found = recorded(store, sets)["random"]
    np.testing.assert_allclose(
        np.asarray(found.values["head"]), np.asarray(recorded(None, sets)["random"].values["head"]), rtol=1e-4
    )
    assert [part(number, 2, store, sets).images for number in (1, 2)] == [0, 0]


def test_images_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    """They are left out, and stay so; without that, a part says which."""
    (folder / "01.png").write_bytes(b"no image")
    (folder / "06.png").write_bytes(b"no image")
    store, sets = tmp_path / "r.zarr", {"a": folder}
    with pytest.raises(UnreadableImageError, match=r"01\.png.*--skip-unreadable"):
        part(1, 2, store, sets)
    told = [part(number, 2, store, sets, skip_unreadable=True) for number in (2, 1)]
    assert sum(one.images for one in told) == 9
    assert sum(one.left_out for one in told) == 2
    again = [part(number, 2, store, sets, skip_unreadable=True) for number in (2, 1)]
    assert [(one.images, one.there) for one in again] == [(0, one.images) for one in told]
    with pytest.raises(UnreadableImageError, match=r"01\.png.*--skip-unreadable"):
        part(1, 2, store, sets)
    with pytest.warns(dif.DifferentiaWarning, match=r"can't be read \(2\)"):
        found = recorded(store, sets, skip_unreadable=True, record=False)
    with pytest.warns(dif.DifferentiaWarning, match=r"can't be read \(2\)"):
        assert_same(found, recorded(None, sets, skip_unreadable=True))


def test_what_the_first_part_fixes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Others follow its batches, and whether the pass is compiled; other threads are told."""
    store = tmp_path / "r.zarr"
    part(1, 2, store)
    with caplog.at_level(logging.INFO, "differentia"):
        part(2, 2, store, batch_size=7, compile="always")
    assert "goes on in batches of 2 images" in caplog.text
    assert "goes on not compiled" in caplog.text
    assert_same(recorded(store, record=False), recorded(None))


def test_other_threads_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since sums may differ in their last digits; it is in the provenance, too."""
    store = tmp_path / "r.zarr"
    part(1, 2, store)
    monkeypatch.setattr("torch.get_num_threads", lambda: 77)
    with caplog.at_level(logging.INFO, "differentia"):
        part(2, 2, store)
    assert re.search(r"another number of threads before \([0-9]+\), and has 77 now", caplog.text)
    assert recorded(store)["random"].provenance["threads"][-1] == 77


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """With record=False nothing is recorded, and where nothing is missing it makes no difference."""
    store = tmp_path / "r.zarr"
    with pytest.raises(
        dif.RecordingError, match=r"yet to be recorded: 16 images \(few: 5, many: 11\); leave"
    ):
        recorded(store, record=False)
    assert not store.exists()
    part(2, 2, store)
    with pytest.raises(dif.RecordingError, match=r"recorded: 9 images \(few: 5, many: 4\);"):
        recorded(store, record=False)
    part(1, 2, store)
    with pytest.raises(
        dif.RecordingError, match=r"recorded: something of 16 images in block.1 \(few: 5, many: 11\);"
    ):
        recorded(store, record=False, layers=[*LAYERS, "block.1"])
    with pytest.raises(dif.InputError, match="record=False reads a store, but no store= was named"):
        recorded(None, record=False)


def test_sums_are_added_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the second round one part reads the sums of all tasks; the others read what they add up to."""
    store, kinds = tmp_path / "r.zarr", ("top",)
    for number in (1, 2, 3):
        part(number, 3, store, units=kinds)
    read: set[str] = set()
    load_state = DiskStore.load_state

    def reading(self: DiskStore, layer: str, what: str, *given: Any) -> Any:
        found = load_state(self, layer, what, *given)
        if found is not None:
            read.add(what)
        return found

    monkeypatch.setattr(DiskStore, "load_state", reading)
    everything = {"ranking-0", "ranking-1", "ranking-2"}
    for number, expected in [(1, everything), (2, {"ranking-1", "ranking-total"})]:
        read.clear()
        assert part(number, 3, store, units=kinds).round == 2
        assert read == expected
    for total in store.rglob("ranking-total.*/c.0.0"):
        total.write_bytes(b"junk")
    read.clear()
    assert part(3, 3, store, units=kinds).round == 2
    assert read == everything, "what is damaged is added up again"
    read.clear()
    assert_same(recorded(store, units=kinds, record=False), recorded(None, units=kinds))
    assert read == {"ranking-total"}


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        ("0/3", {}, "the part is '0/3'; expected I/N, such as 3/10"),
        ("4/3", {}, "expected I/N"),
        ((1, 2, 3), {}, "expected I/N"),
        (3, {}, "expected I/N"),
        ("1/2", {"store": None}, "no store= was named"),
        ("1/2", {"fresh": True}, "does not go with a part.*remove the store"),
        ("1/2", {"record": False}, "only records"),
    ],
)
def test_what_is_no_part(given: Any, more: dict[str, Any], message: str, tmp_path: Path) -> None:
    """It is told before a network is loaded."""
    with pytest.raises(dif.InputError, match=message):
        dif.record_part("no such network", SETS, given, **{"store": tmp_path / "r.zarr", **more})
    assert not list(tmp_path.iterdir())


def test_parts_and_a_run_of_all_keep_apart(tmp_path: Path) -> None:
    """While a part is at work others may join it, but no run that schedules by what images are."""

    def meanwhile(done: int, total: int, what: str) -> None:
        if done == 2:
            part(2, 2, tmp_path / "r.zarr")
            with pytest.raises(dif.FolderInUseError, match="part 1 of 2"):
                recorded(tmp_path / "r.zarr")

    part(1, 2, tmp_path / "r.zarr", progress=meanwhile)
    assert_same(recorded(tmp_path / "r.zarr", record=False), recorded(None))
