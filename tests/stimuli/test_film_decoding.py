"""Frames of films of all kinds: those that PyAV decodes by hand, or an error."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
from helpers.film_files import KINDS, decoded, film, pictures, sound, trimmed
from helpers.tries import bounded

import differentia as dif
from differentia.errors import UnreadableImageError
from differentia.stimuli import film_decoding
from differentia.stimuli.base import Fit
from differentia.stimuli.film_decoding import Decoder, read_track, size_declared

FIT = Fit((48, 64, 3))


def loaded(path: Path) -> tuple[dif.Stimuli, list[np.ndarray]]:
    stimuli = dif.images(path)
    return stimuli, [stimuli.load(index, FIT).pixels for index in range(len(stimuli))]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_those_of_pyav(tmp_path: Path, kind: str) -> None:
    """In order, backwards, at random, and from many threads; no frame is that of another place."""
    path = film(tmp_path / "a", kind)
    right = decoded(path)
    stimuli, forward = loaded(path)
    assert np.array_equal(forward, right)
    assert len(right) == 30
    assert not any(np.array_equal(one, other) for one, other in itertools.pairwise(right))
    numbers = list(range(30))
    for order in (numbers[::-1], random.Random(1).sample(numbers, 30)):
        for number in order:
            assert np.array_equal(stimuli.load(number, FIT).pixels, right[number]), number
    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(lambda number: stimuli.load(number, FIT), numbers))
    assert all(np.array_equal(image.pixels, right[n]) for n, image in enumerate(together))
    assert [image.hash for image in together] == [
        dif.images(np.array(right)).load(n, FIT).hash for n in numbers
    ]
    assert stimuli.content_hash(7, FIT) == together[7].hash


@pytest.mark.parametrize("kind", ["mp4", "mp4, MPEG-4", "mov"])
@pytest.mark.parametrize("cut", [4, 14])
def test_a_film_that_was_trimmed(tmp_path: Path, kind: str, cut: int) -> None:
    """Its first frame is the first that is shown, though it may refer to one that was cut away."""
    whole = film(tmp_path / "a", kind)
    right = decoded(whole)[cut:]
    path = trimmed(whole, cut)
    stimuli, forward = loaded(path)
    assert np.array_equal(forward, right)
    assert stimuli.names[:2] == ("trimmed_0.000s", "trimmed_0.040s")
    numbers = list(range(len(right)))
    for number in (*numbers[::-1], *random.Random(2).sample(numbers, len(numbers))):
        assert np.array_equal(stimuli.load(number, FIT).pixels, right[number]), number
    with av.open(str(path)) as container:
        hidden = [packet.is_discard for packet in container.demux(video=0)]
    assert any(hidden) == (kind != "mov")  # of which each frame is a key frame


def test_threads_share_what_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that are asked for nearly in their order are decoded once; backwards, a key frame is gone to."""
    gone: list[int | None] = []
    begin = Decoder._begin

    def begun(self: Decoder, key: int | None = None) -> None:
        gone.append(key)
        begin(self, key)

    monkeypatch.setattr(Decoder, "_begin", begun)
    stimuli = dif.images(film(tmp_path / "a"))
    for number in (3, 1, 0, 2, 7, 5, 4, 6):
        stimuli.load(number, FIT)
    assert gone == [None]
    stimuli.load(29, FIT)  # nearer from the key frame at 20
    stimuli.load(15, FIT)
    assert gone == [None, 20, 10]
    rare = dif.images(f"{tmp_path}/a.mp4?every=10")
    gone.clear()
    for number in range(3):
        rare.load(number, FIT)
    assert gone == [None]  # it is too near to be worth going


def test_rotation(tmp_path: Path) -> None:
    """A telephone that was held upright: the frames are turned as a player turns them."""
    for degrees, turns in ((90, 1), (-90, -1), (180, 2)):
        path = film(tmp_path / "a", count=3, rotation=degrees)
        upright = dif.images(path).load(1, Fit((64, 48, 3) if turns % 2 else (48, 64, 3))).pixels
        assert np.array_equal(upright, np.rot90(decoded(path)[1], turns))
        assert not np.array_equal(upright, np.rot90(decoded(path)[1], turns + 2))


def parts_of(path: Path) -> list[int]:
    """Return where the last packets begin, for cuts that no packet notices."""
    with av.open(str(path)) as container:
        return [packet.pos for packet in container.demux(video=0) if packet.pos]


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_that_is_cut_off(tmp_path: Path, kind: str) -> None:
    """Wherever it is cut, also between two packets, that is told before a frame is shown."""
    path = film(tmp_path / "a", kind)
    content = path.read_bytes()
    for length in (len(content) - 1, len(content) * 9 // 10, len(content) // 2, 100, parts_of(path)[-2]):
        path.write_bytes(content[:length])
        with pytest.raises(
            dif.InputError, match=rf"^{path}: (is cut off: {length:,} of at least|can't be read)"
        ):
            dif.images(path)
    path.write_bytes(content)
    assert max(size_declared(path)) == len(content)
    assert len(dif.images(path)) == 30


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "VP" not in kind])
@pytest.mark.parametrize("how", ["changed", "zeroed"])
def test_a_film_that_is_damaged(tmp_path: Path, kind: str, how: str) -> None:
    """Each frame is told or as it should be; VP8 and VP9 have nothing by which damage could be seen."""
    path = film(tmp_path / "a", kind)
    right = dict(zip(dif.images(path).names, decoded(path), strict=True))
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[13]
    assert packet.pos is not None
    place, size = packet.pos + 12, packet.size - 12
    content = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8).tobytes()
    content[place : place + size] = noise if how == "changed" else bytes(size)
    path.write_bytes(content)
    stimuli, told = dif.images(path), []
    for index, name in enumerate(stimuli.names):
        try:
            assert np.array_equal(stimuli.load(index, FIT).pixels, right[name]), name
        except UnreadableImageError as error:
            told.append((name, str(error)))
    assert all(f"the frame at {name[2:-1]} s can't be decoded (" in message for name, message in told)
    assert told
    assert "avi" in kind or len(told) <= 20  # the next key frame is as it should be


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"can't be read as a film \(it is empty\); expected one of .avi, .mkv, .mov, .mp4, .webm"),
        (b"hello world\n" * 50, r"can't be read as a film \(it is text\)"),
        (b"#EXTM3U\n#EXTINF:5,\n/etc/passwd\n" * 9, r"can't be read as a film \(it is text\)"),
        (b"ffconcat version 1.0\nfile other.mp4\n" * 9, r"can't be read as a film \(it is text\)"),
        (b"ID3\x04" + bytes(999), r"can't be read as a film \(it is an audio file\)"),
        (b"RIFF\x08\0\0\0WAVEfmt ", r"can't be read as a film \(it is an audio file\)"),
        (bytes(range(256)) * 9, r"can't be read as a film \(.*: it may be cut off or damaged\)"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_what_is_no_film(tmp_path: Path, content: bytes, told: str, suffix: str) -> None:
    """It is told when the source is opened, and nothing that it names is."""
    film(tmp_path / "other")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(dif.InputError, match=f"^{path}: {told}"):
        dif.images(path)


@pytest.mark.parametrize(("cover", "held"), [(False, "audio"), (True, "audio and video")])
def test_sound_is_no_film(tmp_path: Path, cover: bool, held: str) -> None:
    """Nor is its cover, which is a stream of one picture."""
    with pytest.raises(dif.InputError, match=r"a\.mp4: has no video stream; it holds audio$"):
        dif.images(sound(tmp_path / "a.mp4", cover=cover))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert " and ".join(stream.type for stream in container.streams) == held


def test_a_title_in_another_encoding(tmp_path: Path) -> None:
    """What a film says of itself is not looked at."""
    path = film(tmp_path / "a", count=3, title="caf\u00e9")
    content = path.read_bytes()
    path.write_bytes(content.replace("caf\u00e9".encode(), b"caf\xe9 "))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    assert len(dif.images(path)) == 3


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    path = film(tmp_path / "a", count=2)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(dif.InputError, match=r"needs? PyAV, .* pip install 'differentia\[video\]'$"):
        dif.images(path)


def test_frames_without_a_picture(tmp_path: Path) -> None:
    """VP8 has packets that are never shown: they are no frames, and the frames stay at their times."""
    path = film(tmp_path / "a", "webm, VP8", 12)
    hidden = tmp_path / "hidden.webm"
    with av.open(str(path)) as given, av.open(str(hidden), "w") as written:
        stream = written.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(video=0)):
            if packet.size:
                content = bytearray(bytes(packet))
                content[0] &= 0xFF if number != 5 else 0xEF  # show_frame
                copy = av.Packet(bytes(content))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                written.mux(copy)
    right = [frame for number, frame in enumerate(decoded(path)) if number != 5]
    stimuli, given_frames = loaded(hidden)
    assert np.array_equal(given_frames, right)
    assert stimuli.names[4:6] == ("hidden_0.160s", "hidden_0.240s")


@pytest.mark.slow
@pytest.mark.parametrize("count", bounded([30_000, 100_000], 1))
def test_a_long_film(count: int, tmp_path: Path) -> None:
    """100,000 frames need no more memory than a tenth of them: of each, a name and a time are kept."""
    path = film(tmp_path / "a", "mp4, MPEG-4", count, size=(16, 16))
    process, fit = psutil.Process(), Fit((16, 16, 3))
    before = process.memory_info().rss
    stimuli: Any = dif.images(f"{path}?every=20")
    whole = read_track(path)
    assert len(stimuli) == count // 20
    assert len(whole.stamps) == count
    for index in range(count // 200):
        stimuli.load(index, fit)
    files, after_a_tenth = process.num_fds(), process.memory_info().rss
    assert after_a_tenth - before < 100e6
    for index in range(count // 200, len(stimuli)):
        stimuli.load(index, fit)
    assert process.memory_info().rss - after_a_tenth < 8e6
    assert process.num_fds() <= files
    with stimuli._decoder.use() as decoder:
        assert len(decoder._kept) <= film_decoding.MOST_KEPT


def test_few_frames_are_kept(tmp_path: Path) -> None:
    """However many are passed over before the one that is asked for, and the file is closed in the end."""
    stimuli: Any = dif.images(film(tmp_path / "a", "avi", 200))
    before = psutil.Process().num_fds()
    stimuli.load(199, FIT)  # there is no way to go to a place of this film
    with stimuli._decoder.use() as decoder:
        assert len(decoder._kept) <= film_decoding.MOST_KEPT
    stimuli._decoder.close()
    assert psutil.Process().num_fds() == before


def test_pictures_differ() -> None:
    """What the films of these tests show: no two frames are the same."""
    shown = list(pictures(30))
    assert len({one.tobytes() for one in shown}) == 30
