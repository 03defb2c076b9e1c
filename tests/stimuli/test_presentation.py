"""The images of several sets, in batches: in their order, each in its own set, the unreadable left out."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from helpers.image_files import write

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli.base import Fit, Image, Stimuli
from differentia.stimuli.parts import SomeStimuli
from differentia.stimuli.presentation import (
    Batch,
    ImageLabel,
    SkippedImage,
    Turns,
    as_record,
    as_sets,
    in_batches,
    labels_of,
    present,
    require_a_pair,
    warn_of_caveats,
)

FIT = Fit((6, 5, 3))
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine images, 0.png to 8.png."""
    for number, pixels in enumerate(PIXELS):
        PIL.Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def shown(stimuli: dict[str, Stimuli], batch_size: int, *, skip_unreadable: bool = False) -> list[Batch]:
    batches = [
        batch for name, given in stimuli.items() for batch in in_batches(labels_of(name, given), batch_size)
    ]
    return list(present(stimuli, batches, FIT, skip_unreadable=skip_unreadable))


@pytest.mark.parametrize("batch_size", [1, 2, 4, 9, 100])
def test_every_image_once_in_its_set(folder: Path, batch_size: int) -> None:
    """In order, with its pixels; no batch is larger than asked for or holds images of two sets."""
    sets = as_sets({"files": folder, "arrays": PIXELS[:4]}, seed=0)
    batches = shown(sets, batch_size)
    sets_of = [batch.images[0].set for batch in batches]
    for name, count in {"files": 9, "arrays": 4}.items():
        whole, rest = divmod(count, batch_size)
        mine = [batch for batch, set_name in zip(batches, sets_of, strict=True) if set_name == name]
        assert [len(batch.images) for batch in mine] == [batch_size] * whole + [rest] * bool(rest)
        np.testing.assert_array_equal(np.concatenate([batch.pixels for batch in mine]), PIXELS[:count])
        labels = [label for batch in mine for label in batch.images]
        assert [label.number for label in labels] == list(range(count))
        assert [label.set for label in labels] == [name] * count
        ending = ".png" if name == "files" else ""
        assert [label.name for label in labels] == [f"{number}{ending}" for number in range(count)]
        assert len({label.hash for label in labels}) == count
    assert not any(batch.skipped for batch in batches)


def test_unreadable_images_are_skipped(folder: Path) -> None:
    """The others keep their places in the set; a batch of which nothing is left holds no image."""
    for number in (0, 4, 5):
        (folder / f"{number}.png").write_bytes(b"no image")
    sets = as_sets({"files": folder}, seed=0)
    batches = shown(sets, 2, skip_unreadable=True)
    numbers = [[image.number for image in batch.images] for batch in batches]
    assert numbers == [[1], [2, 3], [], [6, 7], [8]]
    assert batches[2].pixels.shape == (0, 6, 5, 3)
    np.testing.assert_array_equal(
        np.concatenate([batch.pixels for batch in batches]), PIXELS[[1, 2, 3, 6, 7, 8]]
    )
    skipped = [image for batch in batches for image in batch.skipped]
    assert [image[:3] for image in skipped] == [("files", n, f"{n}.png") for n in (0, 4, 5)]
    assert all(f"{image.name}: can't be read as an image" in image.reason for image in skipped)
    assert not any("skip_unreadable" in image.reason for image in skipped)
    told = r"^set 'files': .*0\.png: can't be read as an image .* of the set, or leave .* skip_unreadable"
    with pytest.raises(UnreadableImageError, match=told):
        shown(sets, 2)


def test_a_file_that_is_gone_is_not_skipped(folder: Path) -> None:
    """A disk that fails must not make a set smaller: only images that can't be decoded are left out."""
    sets = as_sets({"files": folder}, seed=0)
    (folder / "3.png").unlink()
    with pytest.raises(
        dif.InputError, match=r"^set 'files': .*3\.png: can't be read from the disk"
    ) as caught:
        shown(sets, 2, skip_unreadable=True)
    assert not isinstance(caught.value, UnreadableImageError)


def test_an_image_that_memory_does_not_hold_is_named() -> None:
    """That is no fault of the image, and not left out."""

    class Huge(Stimuli):
        names = ("huge.png",)
        source = "huge"

        def load(self, index: int, fit: Fit) -> Image:
            raise MemoryError

    with pytest.raises(
        dif.RecordingError, match=r"^set 'a': image 'huge\.png' is too large for this machine's"
    ):
        shown({"a": Huge()}, 1, skip_unreadable=True)


def test_an_image_keeps_its_label(folder: Path) -> None:
    """The set, the place in it and the name are known from the start, the hash once it is read."""
    (files,) = as_sets({"files": folder}, seed=0).values()
    labels = labels_of("files", files)
    assert labels[3] == ImageLabel("files", 3, "3.png", "")
    (batch,) = present({"files": files}, [labels[2:4]], FIT)
    assert [image._replace(hash="") for image in batch.images] == labels[2:4]
    assert [image.hash for image in batch.images] == [files.content_hash(number, FIT) for number in (2, 3)]
    assert labels_of("files", files, ["x"] * 9)[3] == ImageLabel("files", 3, "3.png", "x")


def test_what_results_say_of_an_image() -> None:
    """Its set and name, and its hash or why it was left out; not its place, which files may change."""
    assert as_record(ImageLabel("a", 3, "3.png", "x")) == {"set": "a", "name": "3.png", "hash": "x"}
    assert as_record(SkippedImage("a", 3, "3.png", "no")) == {"set": "a", "name": "3.png", "reason": "no"}


@pytest.mark.parametrize(("count", "said"), [(0, "no image"), (1, "1 image")])
def test_a_set_needs_a_pair(count: int, said: str) -> None:
    """One image has no distance from another."""
    with pytest.raises(dif.InputError, match=rf"set 'a' has {said} \(here\); expected at least 2"):
        require_a_pair("a", count, "here")
    require_a_pair("a", 2, "here")


def test_links_are_followed_when_asked(folder: Path) -> None:
    """A link out of a folder is refused with the set's name, or taken."""
    inside = folder / "inside"
    inside.mkdir()
    PIL.Image.fromarray(PIXELS[0]).save(inside / "0.png")
    (inside / "1.png").symlink_to(folder / "1.png")
    with pytest.raises(dif.InputError, match=r"^set 'a': .*1\.png: a link that leads out"):
        as_sets({"a": inside}, seed=0)
    (batch,) = shown(as_sets({"a": inside}, seed=0, follow_links=True), 4)
    np.testing.assert_array_equal(batch.pixels, PIXELS[:2])


def test_who_stops_looking_does_not_wait() -> None:
    """Closed while images are being decoded, it ends at once; of those in the queue none is begun."""
    free = threading.Event()
    begun: list[int] = []

    class Slow(Stimuli):
        names = tuple(str(number) for number in range(100))
        source = "slow"

        def load(self, index: int, fit: Fit) -> Image:
            begun.append(index)
            if index >= 2:
                free.wait(60)
            return Image(PIXELS[0], "")

    slow = Slow()
    batches = present({"slow": slow}, in_batches(labels_of("slow", slow)[:4], 2), FIT)
    next(batches)
    started = time.monotonic()
    batches.close()
    assert time.monotonic() - started < 30
    free.set()
    assert set(begun) <= set(range(4))


def test_decoding_waits_for_a_pass() -> None:
    """While a pass is at work no image is begun, though what is coming is read; then it goes on."""
    begun: list[int] = []
    near: list[int] = []

    class Counted(Stimuli):
        names = tuple(str(number) for number in range(200))
        source = "counted"

        def load(self, index: int, fit: Fit) -> Image:
            begun.append(index)
            time.sleep(0.01)
            return Image(PIXELS[0], "")

        def bring_near(self, index: int) -> None:
            near.append(index)

    def begun_meanwhile(given: Turns) -> int:
        """Return how many images are begun in a fifth of a second, from shortly after a pass begins."""
        begun.clear()
        counted = Counted()
        images = in_batches(labels_of("counted", counted), 50)
        with closing(present({"counted": counted}, images, FIT, turns=given)) as batches:
            next(batches)
            with turns.of_a_pass():
                time.sleep(0.1)
                before = len(begun)
                time.sleep(0.2)
                meanwhile = len(begun) - before
            assert [len(batch.images) for batch in batches] == [50] * 3
        assert sorted(begun) == list(range(200))
        assert set(near) == set(range(200))
        return meanwhile

    turns = Turns()
    assert begun_meanwhile(turns) == 0
    assert begun_meanwhile(Turns()) > 0  # where a pass does not say that it is at work


def test_a_pass_that_fails_gives_its_turn_back() -> None:
    """Decoding goes on."""
    turns = Turns()
    with pytest.raises(ValueError, match="failed"), turns.of_a_pass():
        raise ValueError("failed")
    turns.of_decoding()


def test_sets_of_other_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order, by the set's name before a path of that name, with the run's seed; stimuli too."""
    (tmp_path / "cats").mkdir()
    for number in range(3):
        write(tmp_path / "cats" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    sets = as_sets(
        {
            "twice": "scramble:pixels?kind=blocks&size=2",
            "pixels": "scramble:cats?kind=pixels",
            "cats": PIXELS[:4],
            "path": "scramble:./cats",
            "other": dif.scramble("cats", seed=3),
        },
        seed=5,
    )
    assert {name: len(given) for name, given in sets.items()} == {
        "twice": 4,
        "pixels": 4,
        "cats": 4,
        "path": 3,
        "other": 3,
    }
    assert sets["twice"].source == "scramble:pixels?kind=blocks&axis=space&size=2&seed=5"
    assert sets["other"].source == "scramble:cats?kind=phase&axis=space&seed=3"
    assert sets["path"].source == "scramble:./cats?kind=phase&axis=space&seed=5"
    alone = dif.scramble(dif.scramble(PIXELS[:4], kind="pixels", seed=5), kind="blocks", size=2, seed=5)
    assert np.array_equal(sets["twice"].load(1, FIT).pixels, alone.load(1, FIT).pixels)
    assert sets["path"].load(1, FIT).hash == dif.scramble("cats", seed=5).load(1, FIT).hash


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            {"a": "scramble:a"},
            "set 'a': is made of itself ('a' -> 'a'); name another source, or ./a for a path",
        ),
        ({"a": "scramble:b", "b": "scramble:(a)"}, "set 'b': is made of itself ('a' -> 'b' -> 'a'); name"),
        (
            {"a": "scramble:"},
            "set 'a': scramble:: names nothing to scramble; write scramble:SET or scramble:S",
        ),
        (
            {"cats": "noise:3", "a": "scramble:cat"},
            "set 'a': cat: no such file or folder; check the path; or did you mean the set 'cats'?",
        ),
        ({"a": "scramble:nowhere"}, "set 'a': nowhere: no such file or folder; check the path"),
        (
            {"a": "scramble:clip.mp4?every=25"},
            "unknown option of 'scramble' 'every'. Known: kind, axis, size, seed; a source with a ? of its "
            "own stands in parentheses: scramble:(clip.mp4?every=25)",
        ),
        ({"a": "scramble:a.mp4?every=25?kind=pixels"}, "scramble:(a.mp4?every=25)?kind=pixels"),
        ({"a": "scramble:a.mp4?axis=time&every=25&fps=1"}, "scramble:(a.mp4?every=25&fps=1)?axis=time"),
        ({"a": "scramble:(a.mp4?every=2)&axis=time"}, "write scramble:(a.mp4?every=2)?axis=time"),
        ({"a": "scramble:x?.png"}, "the option '.png' has no value"),
        ({"a": "scramble:(noise:3?kind=pink"}, "set 'a': scramble:(noise:3?kind=pink: a parenthesis is not "),
        ({"a": "scramble:noise:3?kind=pink"}, "set 'a': unknown kind of scrambling 'pink'. Known: phase, "),
        ({"a": "scramble:noise:3?axis=time"}, "set 'a': scramble: axis='time' is for films"),
        ({"a": "scramble:noise:1"}, "set 'a' has 1 image (scramble:(noise:1?"),
        ({"a": "Scramble:noise:3"}, "no such file or folder; did you mean scramble:noise:3?"),
    ],
)
def test_sets_that_can_not_be_made(sets: dict[str, str], message: str) -> None:
    """The error names the set and says how it is written."""
    with pytest.raises(dif.InputError) as caught:
        as_sets(sets, seed=0)
    assert message in str(caught.value)


def test_made_images_of_which_few_were_shown() -> None:
    """Where another run goes on, only those that were made are told of."""
    sets: dict[str, Stimuli] = {"pink": dif.noise(4, kind="pink", sd=90)}
    for index in range(2):
        sets["pink"].load(index, Fit((16, 16, 1)))
    told = r"^set '{}': [0-9.]+ % of the values of {} images were clipped to 0..255 \(at most"
    with pytest.warns(dif.DifferentiaWarning, match=told.format("pink", "2 of its 4")):
        (warned,) = warn_of_caveats(sets)
    assert warned["kind"] == "clipped"
    sets["pink"].load(2, Fit((16, 16, 1)))
    some: dict[str, Stimuli] = {"some": SomeStimuli(sets["pink"], [2, 3])}
    with pytest.warns(dif.DifferentiaWarning, match=told.format("some", "1 of its 2")):
        warn_of_caveats(some)
