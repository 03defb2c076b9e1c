"""Which images are shown together: by set, in batches, and those that are kept stay together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers.stores import add

from differentia.recording.schedule import Showing, divide, schedule
from differentia.recording.store.base import Store
from differentia.recording.store.memory import MemoryStore
from differentia.stimuli.base import Fit, Stimuli
from differentia.stimuli.sources import stimuli_from

FIT = Fit((8, 8, 3), "bilinear", "squash")
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


def planned(
    stimuli: dict[str, Stimuli], store: Store, lacks: Callable[[Showing], bool] = lambda showing: False
) -> list[tuple[str, list[str], int | None, list[int]]]:
    """Return of each showing its set, the images' names, its batch and their rows there."""
    showings, skipped = schedule(stimuli, FIT, store, skip_unreadable=False, lacks=lacks)
    assert skipped == []
    assert [showing.position for showing in showings] == list(range(len(showings)))
    return [
        (
            showing.set,
            [image.name for image in showing.images],
            showing.kept and showing.kept.number,
            list(showing.rows),
        )
        for showing in showings
    ]


def test_new_images_are_cut_into_batches() -> None:
    """Of one set each; only the last of a set is smaller."""
    stimuli = {"a": stimuli_from(IMAGES), "b": stimuli_from(IMAGES[:2])}
    assert planned(stimuli, MemoryStore(batch_size=3)) == [
        ("a", ["0", "1", "2"], None, [0, 1, 2]),
        ("a", ["3", "4"], None, [0, 1]),
        ("b", ["0", "1"], None, [0, 1]),
    ]


def test_kept_images_stay_together() -> None:
    """They are known by content, whatever their names; a part of a batch is used where nothing is missing."""
    given = stimuli_from(IMAGES)
    hashes = [given.content_hash(index, FIT) for index in range(5)]
    store = MemoryStore(batch_size=3)
    add(store, [hashes[4], "gone", hashes[1]])
    kept, new = ("a", ["4", "1"], 0, [0, 2]), ("a", ["0", "2", "3"], None, [0, 1, 2])
    assert planned({"a": given}, store, lacks=lambda showing: True) == [
        ("a", ["0", "1", "2"], None, [0, 1, 2]),
        ("a", ["3", "4"], None, [0, 1]),
    ]
    assert planned({"b": given}, store)[0][2] is None, "it is a batch of another set"
    store = MemoryStore(batch_size=3)
    add(store, [hashes[4], "gone", hashes[1]])
    assert planned({"a": given}, store) == [kept, new]
    assert planned({"a": given}, store) == [kept, new], "the same batch is promised once"
    assert len(store.divisions) == 2


def test_the_same_image_twice_is_taken_twice() -> None:
    """Each row of a batch takes one of them, and none is taken twice."""
    given = stimuli_from(IMAGES[[0, 1, 0]])
    same = given.content_hash(0, FIT)
    store = MemoryStore(batch_size=4)
    add(store, [same, same, same])
    assert planned({"a": given}, store) == [("a", ["0", "2"], 0, [0, 1]), ("a", ["1"], None, [0])]


def test_what_others_have_just_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of new batches are not read again, but where some of a batch could not be read."""
    given = stimuli_from(IMAGES)
    hashes, read = [given.content_hash(index, FIT) for index in range(5)], list[int]()
    of_image = type(given).content_hash

    def reading(self: Stimuli, index: int, fit: Fit) -> str:
        read.append(index)
        return of_image(self, index, fit)

    monkeypatch.setattr(type(given), "content_hash", reading)
    store = MemoryStore(batch_size=2)
    for number, (_, images) in divide({"a": given}, store).items():
        some = images[:1] if number == 1 else images  # of the second, one image could not be read
        store.add_batch(number, "a", [hashes[image] for image in some], [""] * (len(images) - len(some)))

    def shown(before: set[int] | None) -> list[tuple[list[int], int]]:
        read.clear()
        showings, _ = schedule(
            {"a": given},
            FIT,
            store,
            skip_unreadable=False,
            lacks=lambda showing: False,
            promise=False,
            before=before,
        )
        return [([image.number for image in one.images], one.place) for one in showings if one.has_place]

    expected = [([0, 1], 0), ([2], 1), ([4], 2)]
    for before, looked_at in ((set[int](), {2, 3}), ({0}, {0, 1, 2, 3}), (None, {*range(5)})):
        assert shown(before) == expected
        assert {*read} == looked_at
