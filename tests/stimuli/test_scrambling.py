"""Scrambled images and films: what each kind keeps, and what the others do not."""

from __future__ import annotations

import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.image_files import write

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli import scrambling
from differentia.stimuli.arrays import ArrayStimuli
from differentia.stimuli.base import Fit, Image, Stimuli, content_hash
from differentia.stimuli.copies import without_copies
from differentia.stimuli.scrambling import random_phases, with_phases
from differentia.system.random import generator_of

FIT = Fit((24, 32, 3))

#: Images of structure, whose values are far from 0 and 255, so that none is clipped.
_ROWS, _COLUMNS = np.mgrid[:24, :32]
PIXELS = np.stack(
    [
        np.stack(
            [
                110 + 20 * np.sin(0.3 * (n + 1) * _ROWS + 0.2 * _COLUMNS + c) + 30 * (n + 9 < _COLUMNS)
                for c in range(3)
            ],
            -1,
        )
        for n in range(4)
    ]
).astype(np.uint8)


def film(frames: int = 12, *, shape: tuple[int, int, int] = (24, 32, 3), seed: int = 0) -> ArrayStimuli:
    """Return frames of smooth noise, which follow one another in time."""
    steps = np.random.default_rng(seed).normal(0, 12, (frames, *shape))
    given = ArrayStimuli(np.clip(128 + np.cumsum(steps, axis=0) / 3, 0, 255).astype(np.uint8), "film")
    given.in_time = True
    given.attributes = {"time": [frame / 25 for frame in range(frames)]}
    return given


def shown(stimuli: Stimuli, fit: Fit = FIT) -> np.ndarray:
    return np.stack([stimuli.load(index, fit).pixels for index in range(len(stimuli))]).astype(float)


def power(values: np.ndarray, axes: tuple[int, ...] = (1, 2)) -> np.ndarray:
    """Return the power spectrum without the mean."""
    spectrum: np.ndarray = np.abs(np.fft.fftn(values, axes=axes)) ** 2
    spectrum[(slice(None),) * min(axes) + (0,) * len(axes)] = 0
    return spectrum


def same_spectrum(one: np.ndarray, other: np.ndarray, axes: tuple[int, ...] = (1, 2)) -> float:
    """Return how far spectra differ: the sum of absolute differences over the sum of powers."""
    return float(np.abs(power(one, axes) - power(other, axes)).sum() / power(one, axes).sum())


def histograms(values: np.ndarray) -> np.ndarray:
    """Return the sorted values of each image and channel."""
    return np.sort(values.reshape(len(values), -1, values.shape[3]), axis=1)


def test_phases_keep_the_power_spectrum() -> None:
    """Of each image and channel, and its mean; the other kinds do not, nor does phase keep the histogram."""
    scrambled = shown(dif.scramble(PIXELS))
    assert same_spectrum(PIXELS, scrambled) < 0.01
    assert scrambled.mean(axis=(1, 2)) == pytest.approx(PIXELS.mean(axis=(1, 2)), abs=0.1)
    assert abs(np.corrcoef(scrambled.ravel(), PIXELS.ravel())[0, 1]) < 0.5
    for kind in ("pixels", "blocks"):
        assert same_spectrum(PIXELS, shown(dif.scramble(PIXELS, kind=kind))) > 0.2
    assert np.abs(histograms(scrambled) - histograms(PIXELS)).max() > 10


def test_phases_before_rounding() -> None:
    """The spectrum is kept to the last digits, and so is what channels have in common."""
    values = PIXELS[0].astype(float)
    rotation = random_phases((24, 32), np.random.default_rng(1))
    scrambled = with_phases(values, rotation)
    before, after = (np.fft.fft2(one, axes=(0, 1)) for one in (values, scrambled))
    assert np.abs(after) == pytest.approx(np.abs(before), rel=1e-6, abs=1e-6)
    crossed = [one[..., 0] * one[..., 1].conj() for one in (before, after)]
    assert crossed[1] == pytest.approx(crossed[0], rel=1e-6, abs=1e-4)
    noise = np.fft.rfft2(np.random.default_rng(1).normal(size=(24, 32)))
    turned = after[1:5, 1:5, 2] * (before[1:5, 1:5, 2] * noise[1:5, 1:5]).conj()
    assert np.abs(turned.imag) == pytest.approx(0, abs=1e-9 * np.abs(turned).max())
    assert turned.real.min() > -1e-9 * np.abs(turned).max()
    with_others = with_phases(values, random_phases((24, 32), np.random.default_rng(2)))
    assert np.abs(with_others - scrambled).max() > 5


@pytest.mark.real_data
@pytest.mark.parametrize("source", ["movies/bikes.mp4?every=50", "cats/cat.?.jpg"])
def test_photographs_and_a_film(real_data: Path, source: str) -> None:
    """Spectra within 1 % before values are clipped, and not after; histograms to the last pixel."""
    fit = Fit((96, 96, 3))
    given = shown(dif.images(f"{real_data}/{source}"), fit)
    rounded = [
        np.rint(with_phases(image, random_phases((96, 96), np.random.default_rng(n))))
        for n, image in enumerate(given)
    ]
    assert same_spectrum(given, np.stack(rounded)) < 0.005
    assert same_spectrum(given, np.clip(rounded, 0, 255)) > 0.01
    scrambled = dif.scramble(f"{real_data}/{source}")
    extreme = np.isin(shown(scrambled, fit), [0, 255]).mean()
    assert 0.005 < np.mean([*scrambled.clipped().values()]) <= extreme
    pixels = shown(dif.scramble(f"{real_data}/{source}", kind="pixels"), fit)
    assert np.array_equal(histograms(pixels), histograms(given))
    assert same_spectrum(given, pixels) > 0.5


@pytest.mark.parametrize("shape", [(5, 7, 1), (6, 4, 3), (1, 9, 1), (1, 1, 1)])
def test_phases_of_odd_and_small_images(shape: tuple[int, int, int]) -> None:
    """Sides of odd and even length, and of one pixel."""
    values = np.random.default_rng(0).normal(size=shape)
    scrambled = with_phases(values, random_phases(shape[:2], np.random.default_rng(1)))
    assert scrambled.shape == shape
    before, after = (np.abs(np.fft.fft2(one, axes=(0, 1))) for one in (values, scrambled))
    assert after == pytest.approx(before, abs=1e-12)


def test_pixels_keep_the_histogram() -> None:
    """Exactly, and the channels of each pixel stay together."""
    scrambled = shown(dif.scramble(PIXELS, kind="pixels"))
    for before, after in zip(PIXELS, scrambled, strict=True):
        assert sorted(map(tuple, before.reshape(-1, 3).tolist())) == sorted(
            map(tuple, after.reshape(-1, 3).tolist())
        )
    assert not np.array_equal(scrambled, PIXELS)


@pytest.mark.parametrize(("size", "edge"), [(None, 3), (5, 5)])
def test_blocks(size: int | None, edge: int) -> None:
    """The blocks are those of the image in another order; the lower and the right edge stay."""
    (before, *_), (after, *_) = PIXELS, shown(dif.scramble(PIXELS, kind="blocks", size=size))

    def blocks(image: np.ndarray) -> list[bytes]:
        return [
            image[y : y + edge, x : x + edge].astype(np.uint8).tobytes()
            for y in range(0, 24 // edge * edge, edge)
            for x in range(0, 32 // edge * edge, edge)
        ]

    assert sorted(blocks(before)) == sorted(blocks(after))
    assert blocks(before) != blocks(after)
    assert np.array_equal(before[24 // edge * edge :], after[24 // edge * edge :])
    assert np.array_equal(before[:, 32 // edge * edge :], after[:, 32 // edge * edge :])


@pytest.mark.parametrize("kind", ["phase", "pixels", "blocks"])
def test_images_are_scrambled_each_in_its_way(kind: str) -> None:
    """Equal images differ afterwards, and those of other seeds; what was shown before changes nothing."""
    given = ArrayStimuli(PIXELS[[0, 0, 1]])
    one, again, other = (dif.scramble(given, kind=kind, seed=seed) for seed in (3, 3, 4))
    backwards = np.stack([again.load(index, FIT).pixels for index in (2, 1, 0)])[::-1]
    assert np.array_equal(shown(one), backwards)
    assert not np.array_equal(shown(one)[0], shown(one)[1])
    assert not np.array_equal(shown(one), shown(other))


@pytest.mark.parametrize("kind", ["phase", "pixels", "blocks"])
def test_space_leaves_time_untouched(kind: str) -> None:
    """All frames of a film are scrambled in one way: equal frames stay equal, and so do linear mixtures."""
    given = film(6)
    given.array[4] = given.array[1]
    scrambled = shown(dif.scramble(given, kind=kind))
    assert np.array_equal(scrambled[4], scrambled[1])
    before, after = (
        np.linalg.norm((x[1:] - x[:-1]).reshape(5, -1), axis=1) for x in (shown(given), scrambled)
    )
    assert after == pytest.approx(before, rel=0.02)
    no_film = shown(dif.scramble(given.array, kind=kind))
    assert not np.array_equal(no_film[4], no_film[1])


def test_phases_over_time() -> None:
    """Each pixel keeps its temporal power spectrum and mean, pixels their correlations, and no more."""
    given = film(24)
    before, after = shown(given), shown(dif.scramble(given, axis="time"))
    assert same_spectrum(before, after, (0,)) < 0.03  # of whole grey levels
    assert after.mean(axis=0) == pytest.approx(before.mean(axis=0), abs=0.3)
    one, other = before[:, 3, 4, 0], before[:, 20, 7, 2]
    kept = np.corrcoef(after[:, 3, 4, 0], after[:, 20, 7, 2])[0, 1]
    assert kept == pytest.approx(np.corrcoef(one, other)[0, 1], abs=0.02)
    assert same_spectrum(before, after) > 0.05
    assert same_spectrum(before, shown(dif.scramble(given, axis="time", kind="pixels")), (0,)) > 0.1


def test_phases_over_space_and_time() -> None:
    """The spectrum of three dimensions is kept; those of frames and of pixels are not."""
    given = film(24)
    before, after = shown(given), shown(dif.scramble(given, axis="both"))
    assert same_spectrum(before, after, (0, 1, 2)) < 0.03
    assert same_spectrum(before, after) > 0.05
    assert same_spectrum(before, after, (0,)) > 0.05


def test_a_film_is_scrambled_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which changes no pixel."""
    whole = shown(dif.scramble(film(), axis="time"))
    monkeypatch.setattr(scrambling, "PIECE", 12 * 32 * 5)
    assert np.array_equal(shown(dif.scramble(film(), axis="time")), whole)


@pytest.mark.parametrize(
    ("kind", "size", "length"), [("pixels", None, 1), ("blocks", 5, 5), ("blocks", None, 3)]
)
def test_the_order_of_frames(kind: str, size: int | None, length: int) -> None:
    """Frames, or stretches of them, in random order, each with its name and time; the rest stays."""
    given = film(23)
    scrambled = dif.scramble(given, kind=kind, axis="time", size=size)
    order = [given.names.index(name) for name in scrambled.names]
    assert np.array_equal(shown(scrambled), given.array[order])
    stretches = 23 // length
    starts = order[: stretches * length : length]
    assert sorted(starts) == list(range(0, stretches * length, length)) != starts
    for start, place in zip(starts, range(0, stretches * length, length), strict=True):
        assert order[place : place + length] == list(range(start, start + length))
    assert order[stretches * length :] == list(range(stretches * length, 23))
    assert scrambled.attributes["time"] == [given.attributes["time"][place] for place in order]
    assert scrambled.in_time


@pytest.mark.parametrize("kind", ["pixels", "blocks"])
def test_one_axis_after_the_other(kind: str) -> None:
    """Both is space after time."""
    both = dif.scramble(film(), kind=kind, axis="both")
    time = dif.scramble(film(), kind=kind, axis="time")
    assert np.array_equal(shown(both), shown(dif.scramble(time, kind=kind)))
    assert not np.array_equal(shown(both), shown(time))


def test_what_is_passed_on() -> None:
    """Names, attributes, and whether it is a film; no paths, since the files are others."""
    for axis in ("space", "time", "both"):
        scrambled = dif.scramble(film(), axis=axis)
        assert scrambled.names == film().names
        assert list(scrambled.attributes["time"]) == list(film().attributes["time"])
        assert scrambled.in_time
        assert scrambled.paths is None
        assert scrambled.source == f"scramble:film?kind=phase&axis={axis}&seed=0"
    assert not dif.scramble(PIXELS).in_time


class _Undecoded(ArrayStimuli):
    """Images whose hash is known without them."""

    def load(self, index: int, fit: Fit) -> Image:
        raise AssertionError("was decoded")

    def content_hash(self, index: int, fit: Fit) -> str:
        return ArrayStimuli.load(self, index, fit).hash


@pytest.mark.parametrize("axis", ["space", "time", "both"])
@pytest.mark.parametrize("kind", ["phase", "pixels", "blocks"])
def test_hash_of_content(kind: str, axis: str) -> None:
    """Known without decoding, as it is when loaded, and another for each image and option."""
    options = {"kind": kind, "axis": axis, "seed": 1}
    scrambled = dif.scramble(film(), **options)  # type: ignore[arg-type]
    loaded = [scrambled.load(index, FIT).hash for index in range(12)]
    assert len(set(loaded)) == 12
    undecoded = _Undecoded(film().array)
    undecoded.in_time = True
    for fresh in (dif.scramble(film(), **options), dif.scramble(undecoded, **options)):  # type: ignore[arg-type]
        assert [fresh.content_hash(index, FIT) for index in range(12)] == loaded
    others = [
        *(options | {name: value} for name, value in (("seed", 2), ("kind", "phase"), ("kind", "pixels"))),
        *(options | {"axis": value} for value in ("space", "time", "both")),
    ]
    for other in others:
        if other != options:
            hashes = [dif.scramble(film(), **other).content_hash(index, FIT) for index in range(12)]  # type: ignore[arg-type]
            assert hashes != loaded
    changed = film()
    changed.array[5] += 1
    of_changed = dif.scramble(changed, **options)  # type: ignore[arg-type]
    assert {of_changed.content_hash(index, FIT) for index in range(12)} != {*loaded}


def test_copies_after_scrambling() -> None:
    """Equal frames of a film are copies still; equal images, each scrambled in its way, are none."""
    given = film(6)
    given.array[4] = given.array[1]
    left, _ = without_copies({"film": dif.scramble(given), "images": dif.scramble(given.array)}, FIT)
    assert [len(one) for one in left.values()] == [5, 6]


def test_what_is_clipped_is_counted(tmp_path: Path) -> None:
    """The share of values beyond 0..255 of each image; it is told once for the set when all is done."""
    hard = (
        np.where(np.random.default_rng(0).random((3, 32, 32, 1)) < 0.1, 255, 0).astype(np.uint8).repeat(3, 3)
    )
    hard[0] = 128
    scrambled, shares = dif.scramble(hard), []
    assert scrambled.clipped() == {}
    for index, image in enumerate(hard):
        scrambled.load(index, Fit((32, 32, 3)))
        generator = generator_of("scramble", "space", "phase", None, 0, index)
        values = np.rint(with_phases(image, random_phases((32, 32), generator)))
        shares.append(float(((values < 0) | (values > 255)).mean()))
    assert scrambled.clipped() == dict(enumerate(shares))
    assert shares[0] == 0 < shares[1]
    most = 1 if shares[1] > shares[2] else 2
    with pytest.warns(dif.DifferentiaWarning) as caught:
        dif.save_images(dif.scramble(hard), tmp_path / "new", size=(32, 32, 3))
    assert [str(one.message) for one in caught] == [
        f"{100 * np.mean(shares):.2g} % of the values were clipped to 0..255 "
        f"(at most {100 * shares[most]:.2g} %, in '{most}')"
    ]
    assert caught[0].message.kind == "clipped"  # type: ignore[union-attr]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dif.save_images(dif.scramble(hard, kind="pixels"), tmp_path / "pixels", size=(32, 32, 3))


@pytest.mark.parametrize("axis", ["time", "both"])
def test_clipped_frames_are_counted(axis: str) -> None:
    """Of each frame, over all channels."""
    given = film(8)
    given.array[:] = np.where(given.array > 140, 255, 0)
    scrambled = dif.scramble(given, axis=axis)
    scrambled.load(0, FIT)
    generator = generator_of("scramble", "time", axis == "both", 0)
    rotation = random_phases((8, 24, 32) if axis == "both" else (8,), generator)
    values = np.rint(with_phases(shown(given), rotation))
    expected = ((values < 0) | (values > 255)).mean(axis=(1, 2, 3))
    assert list(scrambled.clipped().values()) == pytest.approx(expected.tolist())
    assert expected.max() > 0.05


def test_frames_are_made_once_by_whoever_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads wait for the one that makes them; another size makes them anew."""
    given, loaded = film(), []
    load = given.load

    def counted(index: int, fit: Fit) -> Image:
        loaded.append(index)
        return load(index, fit)

    monkeypatch.setattr(given, "load", counted)
    scrambled = dif.scramble(given, axis="time")
    with ThreadPoolExecutor(4) as threads:
        pixels = list(threads.map(lambda index: scrambled.load(index, FIT).pixels, range(12)))
    assert loaded == list(range(12))
    assert np.array_equal(pixels, shown(dif.scramble(film(), axis="time")))
    assert scrambled.load(0, Fit((8, 8, 1))).pixels.shape == (8, 8, 1)


def test_the_hashes_of_a_film_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hashed grows with the number of frames, not with its square."""
    hashed: list[int] = []

    def counted(*parts: bytes) -> str:
        hashed.append(sum(map(len, parts)))
        return content_hash(*parts)

    monkeypatch.setattr(scrambling, "content_hash", counted)
    scrambled = dif.scramble(film(100, shape=(2, 2, 1)), axis="time")
    assert len({scrambled.content_hash(index, FIT) for index in range(100)}) == 100
    assert sum(hashed) < 100 * 64 * 4


class _Damaged(ArrayStimuli):
    """A film of which one frame can't be read."""

    def load(self, index: int, fit: Fit) -> Image:
        if index == 3:
            raise UnreadableImageError("frame 3 is damaged")
        return super().load(index, fit)


def test_a_damaged_frame() -> None:
    """It can be left out of a film that is scrambled frame by frame, not where each depends on all."""
    given = _Damaged(film().array)
    given.in_time = True
    with pytest.raises(UnreadableImageError):
        dif.scramble(given).load(3, FIT)
    for axis in ("time", "both"):
        scrambled = dif.scramble(given, axis=axis)
        for look in (scrambled.load, scrambled.content_hash):
            with pytest.raises(dif.InputError, match=r"frame 3 is damaged; phases .* every frame$") as caught:
                look(0, FIT)
            assert not isinstance(caught.value, UnreadableImageError)


@pytest.mark.parametrize(("axis", "in_all"), [("time", 2.2), ("both", 60.0)])
def test_memory_of_a_film(axis: str, in_all: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over time little more than the frames is held; what is needed is what is asked for."""
    monkeypatch.setattr(scrambling, "PIECE", 20_000)
    shape = (32, 32, 1)
    given = film(400, shape=shape)
    scrambled = dif.scramble(given, axis=axis)
    tracemalloc.start()
    scrambled.load(0, Fit(shape))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < in_all * given.array.nbytes
    needed = given.array.nbytes * (1 + scrambling.SHIFTED * (axis == "both"))
    assert peak < needed + (axis == "time") * scrambling.SHIFTED * 20_000


@pytest.mark.parametrize("axis", ["time", "both"])
def test_a_film_that_does_not_fit_into_memory(axis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how many frames would."""
    monkeypatch.setattr(scrambling, "PIECE", 100)
    monkeypatch.setattr(scrambling, "free_memory", lambda: 100_000)
    fitting = (100_000 - 48 * 32 * 400) // (24 * 32 * 3) if axis == "time" else 100_000 // (24 * 32 * 51)
    message = (
        rf"^scramble:film\?kind=phase&axis={axis}&seed=0: .* all 400 frames .* {max(0, fitting)} fit into"
    )
    with pytest.raises(dif.InputError, match=message):
        dif.scramble(film(400), axis=axis).load(0, FIT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "colour"}, "unknown kind of scrambling 'colour'. Known: phase, pixels, blocks"),
        ({"kind": "shuffled"}, "unknown kind of scrambling 'shuffled'. Did you mean 'pixels'"),
        ({"axis": "frames"}, "unknown axis to scramble 'frames'. Did you mean 'time'"),
        ({"axis": "time"}, "axis='time' is for films, whose images follow one another in time"),
        ({"size": 4}, "size goes with kind='blocks' only; add kind=blocks"),
        ({"kind": "blocks", "size": 0}, "scramble: size is 0; expected a whole number >= 1"),
        ({"seed": -1}, "scramble: seed is -1; expected a whole number >= 0"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    """Each is named."""
    with pytest.raises(dif.InputError) as caught:
        dif.scramble(PIXELS, **options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_blocks_that_are_too_large() -> None:
    """Fewer than two would leave everything as it was."""
    with pytest.raises(dif.InputError, match=r"blocks of 17 x 17 pixels: fewer than two fit into 24 x 32"):
        dif.scramble(PIXELS, kind="blocks", size=17).load(0, FIT)
    with pytest.raises(dif.InputError, match=r"stretches of 7 frames: fewer than two fit into 12"):
        dif.scramble(film(), kind="blocks", axis="time", size=7)


def test_images_are_fitted_first(tmp_path: Path) -> None:
    """So that what the network sees has the histogram of what it would see of the image."""
    large = np.random.default_rng(0).integers(0, 256, (2, 60, 80, 3), np.uint8)
    for number, image in enumerate(large):
        write(tmp_path / f"{number}.png", image)
    before, after = shown(dif.images(tmp_path)), shown(dif.scramble(tmp_path, kind="pixels"))
    assert np.array_equal(histograms(before), histograms(after))
    fitted_last = np.stack(
        [
            dif.images(dif.scramble(large, kind="pixels").load(n, Fit((60, 80, 3))).pixels[None])
            .load(0, FIT)
            .pixels
            for n in range(2)
        ]
    )
    assert not np.array_equal(histograms(before), histograms(fitted_last.astype(float)))
