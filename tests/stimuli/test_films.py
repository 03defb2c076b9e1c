"""Which frames of a film are looked at, at which times, and what they are called."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers.film_files import decoded, film

import differentia as dif
from differentia.cli import main
from differentia.stimuli.base import Fit
from differentia.stimuli.sources import stimuli_from

FIT = Fit((48, 64, 3))

#: In seconds: no two frames are as long as each other, and one stays for long.
IRREGULAR = [Fraction(number * number, 50) for number in range(10)] + [
    Fraction(number, 2) for number in range(8, 14)
]


def test_all_frames(tmp_path: Path) -> None:
    """Each has its time in its name and as an attribute; they follow one another in time."""
    stimuli = dif.images(film(tmp_path / "bikes", count=27))
    assert stimuli.in_time
    assert stimuli.names[:2] == ("bikes_0.000s", "bikes_0.040s")
    assert stimuli.names[-1] == "bikes_1.040s"
    assert np.array_equal(stimuli.attributes["time"], np.arange(27) / 25)
    assert stimuli.source == f"{tmp_path}/bikes.mp4"
    assert repr(stimuli).startswith("FilmStimuli of 27 images")


def shown(path: Path, times: list[Any], options: str) -> list[int]:
    """Return which of a film's frames a source looks at, as its pixels tell."""
    frames = decoded(path)
    assert len(frames) == len(times)
    stimuli = dif.images(f"{path}?{options}")
    loaded = [stimuli.load(index, FIT).pixels for index in range(len(stimuli))]
    return [next(n for n, frame in enumerate(frames) if np.array_equal(frame, pixels)) for pixels in loaded]


def on_screen(times: list[Any], fps: float, start: float, stop: float) -> list[int]:
    """Return the frame that is on the screen at start, start + 1 / fps, ... before stop: a loop."""
    numbers, count = [], 0
    while start + count / fps < stop - 1e-9:
        numbers.append(max(n for n, time in enumerate(times) if time <= start + count / fps + 1e-9))
        count += 1
    return numbers


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_frames_of_any_length(tmp_path: Path, kind: str) -> None:
    """`every` counts frames, `fps` looks at the screen, as loops do over the times of the frames."""
    times = sorted(IRREGULAR)
    path = film(tmp_path / "a", kind, len(times), times=times)
    assert dif.images(path).attributes["time"] == pytest.approx([float(time) for time in times], abs=1e-9)
    assert shown(path, times, "every=4") == list(range(0, len(times), 4))
    assert (
        shown(path, times, "every=2&start=0.3&stop=5")
        == [n for n, time in enumerate(times) if Fraction("0.3") <= time < 5][::2]
    )
    end = 6.5
    for fps, start, stop in ((1, 0, end), (2, 0.4, 3), (0.5, 1, end), (4, 0.25, 2.1)):
        given = f"fps={fps}&start={start}&stop={stop}"
        assert shown(path, times, given) == on_screen(times, fps, start, stop)
    regular = on_screen([Fraction(n, 2) for n in range(13)], 2, 0.4, 3)  # what counting frames would give
    assert shown(path, times, "fps=2&start=0.4&stop=3") != regular


def test_times_of_what_is_on_the_screen(tmp_path: Path) -> None:
    """They are those that are asked for: a frame that stays is looked at again, under another name."""
    path = film(tmp_path / "a", count=10, rate=2)
    stimuli = dif.images(f"{path}?fps=4&start=1&stop=2.1")
    assert stimuli.names == ("a_1.000s", "a_1.250s", "a_1.500s", "a_1.750s", "a_2.000s")
    assert stimuli.attributes["time"] == [1, 1.25, 1.5, 1.75, 2]
    hashes = [stimuli.load(index, FIT).hash for index in range(5)]
    assert [hashes.index(one) for one in hashes] == [0, 0, 2, 2, 4]
    assert stimuli.source == f"{path}?fps=4&start=1&stop=2.1"


def test_stamps_that_are_rounded(tmp_path: Path) -> None:
    """Matroska rounds to milliseconds: of thirty frames a second none comes twice or is passed over."""
    path = film(tmp_path / "a", "mkv", 30, rate=30)
    assert dif.images(path).names[2] == "a_0.067s"
    assert shown(path, list(range(30)), "fps=30") == list(range(30))
    assert shown(path, list(range(30)), "fps=15") == list(range(0, 30, 2))


@pytest.mark.parametrize("kind", ["mp4", "avi", "avi, Motion JPEG"])
def test_clocks_that_are_coarse(tmp_path: Path, kind: str) -> None:
    """AVI counts frames: between two, the earlier one is still on the screen, as near as the next may be."""
    path = film(tmp_path / "a", kind, 20)
    times = [Fraction(number, 25) for number in range(20)]
    for fps, start in ((40, 0), (30, 0.03), (25, 0.039)):
        assert shown(path, times, f"fps={fps}&start={start}") == on_screen(times, fps, start, 0.8)
    assert shown(path, times, "start=0.01&stop=0.11") == [1, 2]


def test_names_of_fast_films(tmp_path: Path) -> None:
    """Milliseconds would give several frames one name: all have more decimals then."""
    path = film(tmp_path / "a", count=12, rate=4000)
    assert dif.images(path).names[:3] == ("a_0.000000s", "a_0.000250s", "a_0.000500s")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("every=2&fps=1", "every and fps both say which frames to take; give one of them$"),
        ("every=0", "every is 0; expected a whole number >= 1"),
        ("every=2.5", "every is 2.5; expected a whole number >= 1"),
        ("fps=0", "fps is 0; expected a number > 0$"),
        ("fps=-1", "fps is -1; expected a number > 0$"),
        ("fps=1e999", "fps is inf; expected a number > 0$"),
        ("fps=true", "fps is True; expected a number > 0$"),
        ("fps=30000/1001", "fps is '30000/1001'; expected a number > 0$"),
        ("fps=1e7", "asks for 11,999,610 images; expected at most 1,000,000: take fewer"),
        ("fps=1.7e308", "asks for [0-9,]+ images; expected at most 1,000,000: take fewer"),
        ("start=-1", "start is -1; expected a number of seconds >= 0$"),
        ("start=1.2", r"start is 1.2; the film ends at 1.2 s$"),
        ("start=1&stop=0.5", "start is 1, stop is 0.5; expected start < stop$"),
        ("start=1&stop=1", "start is 1, stop is 1; expected start < stop$"),
        ("stop=0", "stop is 0; expected a number > 0$"),
        ("start=0.01&stop=0.03", "no frame begins between start and stop; move them apart$"),
    ],
)
def test_options_that_can_not_be(tmp_path: Path, options: str, told: str) -> None:
    """Each is told with what was given, when the film is opened."""
    path = film(tmp_path / "a")
    with pytest.raises(dif.InputError, match=rf"^{path}\?[^:]*: {told}"):
        dif.images(f"{path}?{options}")


def test_unknown_options(tmp_path: Path) -> None:
    """The known ones are named; what stops behind the end stops at the end."""
    path = film(tmp_path / "a")
    with pytest.raises(dif.InputError, match=r"option of a \.mp4 file 'evry'\. Did you mean 'every'"):
        dif.images(f"{path}?evry=3")
    assert len(dif.images(f"{path}?stop=100")) == 30


@pytest.mark.real_data
def test_a_real_film(real_data: Path) -> None:
    """The frame at each full second is that which PyAV decodes there."""
    path = real_data / "movies" / "bikes.mp4"
    stimuli = dif.images(f"{path}?fps=1")
    assert stimuli.names == tuple(f"bikes_{second}.000s" for second in range(10))
    with av.open(str(path)) as container:
        by_time = {frame.time: frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
    fit = Fit((272, 640, 3))
    for second in (0, 3, 9, 5):
        pixels = stimuli.load(second, fit).pixels
        assert np.array_equal(pixels, by_time[float(second)])
        assert not np.array_equal(pixels, by_time[second + 0.04])


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_film_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured, repeated from its experiment file elsewhere, and taken from the store when asked again."""
    path = film(tmp_path / "a", count=50)
    monkeypatch.chdir(tmp_path)
    fast = ["--layers", "input,block1_pool", "--n-units", "50", "--draws", "2", "--no-views"]
    command = ["measure", "digits", "--set", "film=a.mp4?fps=5&start=0.4", "--set", "noise=noise:8", *fast]
    assert main([*command, "--out", "one"]) == 0
    assert main(["run", "one/experiment.toml", "--out", "two"]) == 0
    one, two = (dif.load_result(name) for name in ("one/result.nc", "two/result.nc"))
    assert np.array_equal(one["differentiation"], two["differentiation"], equal_nan=True)
    names = one["image_name"].values[one["image_set"].values == "film"].tolist()
    assert names == [f"a_{0.4 + number / 5:.3f}s" for number in range(8)]
    times = one["image_time"].values[one["image_set"].values == "film"]
    assert np.allclose(times, 0.4 + np.arange(8) / 5)
    assert f'film = "{path}?fps=5&start=0.4"' in (tmp_path / "two" / "experiment.toml").read_text()
    capsys.readouterr()
    assert main([*command, "--out", "one"]) == 0
    assert "all that is needed of 16 images is recorded already" in capsys.readouterr().err
    frames = [decoded(path)[10 + 5 * number] for number in range(8)]
    again = dif.measure(
        "digits", {"film": np.array(frames), "noise": stimuli_from("noise:8")}, n_units=50, draws=2
    )
    both = again["differentiation"].sel(layer=["input", "block1_pool"], set="film")
    assert np.allclose(both, one["differentiation"].sel(set="film"), rtol=1e-6, equal_nan=True)


@pytest.mark.slow
def test_a_damaged_frame_is_left_out_where_asked(tmp_path: Path) -> None:
    """It is an image that can't be read, as a file can be."""
    path = film(tmp_path / "a", "mov")
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[13]
    content = bytearray(path.read_bytes())
    assert packet.pos is not None
    content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    with pytest.raises(
        dif.InputError, match=r"set 'film': .*the frame at 0\.520 s can't be decoded .*skip_unreadable"
    ):
        dif.measure("digits", {"film": path}, n_units=20)
    with pytest.warns(dif.DifferentiaWarning, match="left out what can't be read"):
        result = dif.measure("digits", {"film": path}, n_units=20, skip_unreadable=True)
    assert result.sizes["image"] == 29
