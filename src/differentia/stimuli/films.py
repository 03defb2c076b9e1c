"""The frames of films, at their times."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from differentia.errors import InputError, UnreadableImageError, in_one_line, require_count
from differentia.stimuli.arrays import hash_of, with_options
from differentia.stimuli.base import Fit, Image, Stimuli, picture
from differentia.stimuli.film_decoding import Decoder, UndecodableFrameError, read_track, upright
from differentia.system.files import require_utf8
from differentia.system.open_files import KeptOpen

#: Of one film: each has a name and a time, which take memory.
MOST_IMAGES = 1_000_000


def load_film(
    path: Path,
    every: int | None = None,
    fps: float | None = None,
    start: float | None = None,
    stop: float | None = None,
) -> FilmStimuli:
    """Return the frames of a film: all, every so many, or those on the screen so many times a second."""
    return FilmStimuli(path, every=every, fps=fps, start=start, stop=stop)


class FilmStimuli(Stimuli):
    """Frames of a film, upright, as RGB; each has the time at which it is looked at in its name.

    Times are seconds since the first frame. Of `start` and `stop`, the former is included.
    """

    in_time = True

    def __init__(
        self,
        path: Path,
        *,
        every: int | None,
        fps: float | None,
        start: float | None,
        stop: float | None,
    ) -> None:
        self.source = with_options(path, every=every, fps=fps, start=start, stop=stop)
        _require_options(self.source, every, fps, start, stop)
        require_utf8(path)
        self._track = track = read_track(path)
        first, last = start or 0.0, track.end if stop is None else min(stop, track.end)
        if first >= track.end:
            raise InputError(f"{self.source}: start is {start:g}; the film ends at {track.end:g} s")
        if fps is None:
            after, before = np.searchsorted(track.seconds, np.array([first, last]) - track.tolerance)
            self._numbers = np.arange(after, before, every or 1)
            _require_few(len(self._numbers), self.source)
            seconds = track.seconds[self._numbers]
        else:
            count = math.ceil(min((last - first - track.tolerance) * fps, 2**53))
            _require_few(count, self.source)
            seconds = first + np.arange(count) / fps
            shown = np.searchsorted(track.seconds, seconds + track.tolerance, side="right") - 1
            self._numbers = np.maximum(shown, 0)
        if not len(self._numbers):
            raise InputError(f"{self.source}: no frame begins between start and stop; move them apart")
        self.attributes = {"time": seconds.tolist()}
        self.names = _names(path.stem, seconds)
        self._path = path
        self._decoder = KeptOpen(lambda: Decoder(path, track, np.unique(self._numbers)))

    def load(self, index: int, fit: Fit) -> Image:
        """Return one frame, fitted to a network's input."""
        pixels = self._pixels(index)
        return Image(fit(picture(pixels)), hash_of(pixels))

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of a frame's pixels."""
        return hash_of(self._pixels(index))

    def _pixels(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        import av

        with self._decoder.use() as decoder:
            try:
                return upright(decoder.frame(int(self._numbers[index])))
            except UndecodableFrameError as error:
                reason = str(error)
            except av.FFmpegError as error:
                reason = in_one_line(error)
        raise UnreadableImageError(
            f"{self._path}: the frame at {self.attributes['time'][index]:.3f} s can't be decoded ({reason}); "
            "copy or convert the film anew, or leave this part out with start and stop"
        )


def _require_options(source: str, every: Any, fps: Any, start: Any, stop: Any) -> None:
    """Raise an error for options that are out of range, or exclude each other."""
    if every is not None:
        require_count(f"{source}: every", every)
    if every is not None and fps is not None:
        raise InputError(f"{source}: every and fps both say which frames to take; give one of them")
    for name, value in (("fps", fps), ("start", start), ("stop", stop)):
        if value is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or value < 0 or (value == 0 and name != "start"):
            least = "a number of seconds >= 0" if name == "start" else "a number > 0"
            raise InputError(f"{source}: {name} is {value!r}; expected {least}")
    if stop is not None and (start or 0) >= stop:
        raise InputError(f"{source}: start is {start or 0:g}, stop is {stop:g}; expected start < stop")


def _require_few(count: int, source: str) -> None:
    if count > MOST_IMAGES:
        raise InputError(
            f"{source}: asks for {count:,} images; expected at most {MOST_IMAGES:,}: take fewer with every, "
            "fps, start and stop"
        )


def _names(stem: str, seconds: Float64[np.ndarray, " n"]) -> tuple[str, ...]:
    """Return a name for each time, in milliseconds unless that is too coarse."""
    for decimals in (3, 6, 9):
        names = tuple(f"{stem}_{second:.{decimals}f}s" for second in seconds)
        if len(set(names)) == len(names):
            break
    return names
