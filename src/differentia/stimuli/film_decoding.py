"""From the file of a film to its frames: FFmpeg's libraries (PyAV) decode them as they are asked for.

A small file can declare any number of frames, or show some again and again. What a film holds is looked
through in a process that can be given up, before it is opened in this one.
"""

from __future__ import annotations

import json
import os
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from differentia.errors import InputError, in_one_line
from differentia.stimuli.usual import MOST_PIXELS_OF_SCANS
from differentia.system.file_kinds import head_of, kind_of
from differentia.system.limited import GivenUpError, LimitedProcess
from differentia.system.machine import written_size
from differentia.system.regular import open_regular

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: How the names of films end.
ENDINGS = (".avi", ".mkv", ".mov", ".mp4", ".webm")

#: Of FFmpeg: nothing but the file is opened. A playlist, whatever its name, could lead anywhere.
_OPTIONS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi", "protocol_whitelist": "file"}

#: Of several streams, a picture that stands for the film or the music, such as a cover.
_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC

#: Of a frame, of which decoders keep some tens; 8K (7680 x 4320) has less.
MOST_PIXELS = 2**25

#: Packets, each of which is a frame: those of 88 hours at 25 a second.
MOST_PACKETS = 8_000_000

#: In seconds of computing, for looking through a film; and bytes of its file for which it may take one more.
MOST_SECONDS, BYTES_IN_A_SECOND = 7.0, 20_000_000

#: In bytes, for looking through it: the index of so many packets, and a few of the largest frames.
MOST_MEMORY = 1_200_000_000

#: Frames that are decoded in about the time that it takes to go to another place of the film.
WORTH_GOING = 12

#: Frames that came while one behind them was asked for, and are kept until their turn: threads ask for frames
#: nearly in their order, and there are at most so many (`presentation.MOST_DECODERS`).
MOST_KEPT = 16

#: Frames that are decoded before one is given, where frames refer to some that are shown later: only these
#: may say that they are damaged.
LOOKED_AHEAD = 8

#: In seconds: stamps in milliseconds are rounded, by half of one.
ROUNDED = 0.0005


@dataclass(frozen=True)
class Track:
    """The frames of a film's stream, by their numbers from 0 in the order in which they are shown.

    Attributes
    ----------
    stamps
        When each is shown, in units of the stream; they increase.
    keys
        The numbers of those that can be decoded without others, or from the beginning of the file.
    seconds
        When each is shown, since the first one.
    end
        When the last one goes, in seconds.
    tolerance
        By how many seconds the stamps may be wrong, which were rounded.
    counted
        Whether frames have their stamps by counting them as they come.
    """

    stamps: Int64[np.ndarray, " n"]
    keys: Int64[np.ndarray, " k"]
    seconds: Float64[np.ndarray, " n"]
    end: float
    tolerance: float
    counted: bool


#: What is kept of a packet, and what stands for a stamp that it has not.
_PACKET = np.dtype(
    [
        *(("stamp", np.int64), ("order", np.int64), ("duration", np.int64)),
        *(("is_key", np.bool_), ("is_shown", np.bool_)),
    ]
)
_NONE = np.iinfo(np.int64).min


_process = LimitedProcess("differentia.stimuli.film_decoding:answer")


def read_track(path: Path) -> Track:
    """Return what the packets of a film say of its frames; none is decoded."""
    try:
        import av  # noqa: F401 - which decodes them
    except ImportError:
        raise InputError(
            f"{path}: films need PyAV, which is not installed; pip install 'differentia[video]'"
        ) from None

    packets, (numerator, denominator), is_avi = _looked_through(path)
    # AVI keeps no stamps: FFmpeg guesses those of codecs that show frames in another order than they store.
    counted = is_avi and bool((packets["stamp"] != packets["order"]).any())
    stamps = packets["order" if counted else "stamp"]
    packets, stamps = packets[stamps != _NONE], stamps[stamps != _NONE]
    stamps, places = np.unique(stamps, return_index=True)
    packets = packets[places]
    if counted or not packets["is_key"].any():
        packets["is_key"] = stamps == stamps[:1]
    # What is shown before the first key frame hangs on one that is not there; that may be cut away itself.
    shown = packets["is_shown"] & (np.cumsum(packets["is_key"]) > 0)
    stamps, packets = stamps[shown], packets[shown]
    keys = np.union1d(0, np.flatnonzero(packets["is_key"]))
    if not len(stamps):
        raise InputError(f"{path}: its video stream holds no frame; copy or convert the film anew")
    ticks = stamps - stamps[0]
    last = packets["duration"][-1] or (np.median(np.diff(stamps)) if len(stamps) > 1 else 1)
    return Track(
        stamps=stamps,
        keys=keys,
        seconds=ticks * numerator / denominator,
        end=float((ticks[-1] + last) * numerator / denominator),
        tolerance=min(0.5 * numerator / denominator, ROUNDED),
        counted=counted,
    )


def _looked_through(path: Path) -> tuple[np.ndarray, tuple[int, int], bool]:
    """Return a film's packets, the seconds of a unit of their stamps as a fraction, and whether it is an AVI.

    Raises
    ------
    InputError
        It is no film, or takes more time or memory than one may.
    """
    absolute = os.path.abspath(path)  # the process may have begun elsewhere
    try:
        size = os.stat(path).st_size
        seconds = round(MOST_SECONDS + size / BYTES_IN_A_SECOND, 1)
        answered, data = _process.do(absolute.encode(), b"", seconds=seconds, memory=MOST_MEMORY)
    except OSError as error:
        raise _unread(path, error) from error
    except GivenUpError as error:
        raise InputError(
            f"{path}: can't be looked through for its frames (it {error}); copy or convert the film anew"
        ) from None
    facts = json.loads(answered)
    if facts["error"]:
        raise InputError(f"{path}: {facts['error'].removeprefix(f'{absolute}: ')}")
    return np.frombuffer(data, _PACKET), tuple(facts["time_base"]), facts["is_avi"]


def answer(asked: bytes, _: bytes) -> tuple[bytes, bytes]:
    """Return what the packets of a film say, and which it is, in the process that can be given up."""
    path = Path(asked.decode())
    facts: dict[str, object] = {"error": ""}
    try:
        packets, facts["time_base"], facts["is_avi"] = _read_packets(path)
        return json.dumps(facts).encode(), packets.tobytes()
    except MemoryError:
        reason = f"it takes more than {written_size(MOST_MEMORY)} of memory"
        facts["error"] = f"can't be looked through for its frames ({reason}); copy or convert the film anew"
    except InputError as error:
        facts["error"] = str(error)
    return json.dumps(facts).encode(), b""


def _read_packets(path: Path) -> tuple[np.ndarray, tuple[int, int], bool]:
    import av

    with _opened(path) as container:
        stream = _stream_of(container, path)
        try:
            found = islice(_packets(container, stream), MOST_PACKETS + 1)
            packets = np.fromiter(found, _PACKET)
        except av.FFmpegError as error:
            raise InputError(
                f"{path}: can't be read to its end ({in_one_line(error)}); copy or convert the film anew"
            ) from error
        if len(packets) > MOST_PACKETS:
            raise InputError(f"{path}: declares more than {MOST_PACKETS:,} frames; cut it into shorter films")
        assert stream.time_base is not None
        unit = (stream.time_base.numerator, stream.time_base.denominator)
        return packets, unit, container.format.name == "avi"


def _unread(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: can't be read from the disk ({error}); check the path")


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[tuple[int, int, int, bool, bool]]:
    """Yield what is kept of each packet; a film that was trimmed has some that are read, and not shown."""
    for packet in container.demux(stream):
        if _holds_a_frame(packet, stream.codec_context.name):
            stamp, order = (_NONE if given is None else given for given in (packet.pts, packet.dts))
            yield stamp, order, packet.duration or 0, packet.is_keyframe, not packet.is_discard


def _holds_a_frame(packet: Any, codec: str) -> bool:
    """Return whether a packet holds a frame, not only what later ones refer to."""
    if not packet.size:
        return False
    return codec != "vp8" or bool(bytes(packet)[0] & 0x10)  # show_frame, RFC 6386, section 9.1


def _opened(path: Path) -> InputContainer:
    """Open a film, or raise an error that says what the file is instead, or that it is cut off."""
    import av

    try:
        kind = kind_of(head_of(path))
    except OSError as error:
        raise _unread(path, error) from error
    may_be_film = kind in ("a video", "of an unknown kind")
    if may_be_film:
        _require_whole(path)
    try:
        try:
            return av.open(f"file:{path}", options=_OPTIONS)
        except UnicodeDecodeError:  # of a title, for example; PyAV 19 has neither this error nor this option
            return av.open(f"file:{path}", options=_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        reason = f"{in_one_line(error)}: it may be cut off or damaged" if may_be_film else f"it is {kind}"
        raise InputError(
            f"{path}: can't be read as a film ({reason}); expected one of {', '.join(ENDINGS)}"
        ) from error


def _stream_of(container: InputContainer, path: Path) -> VideoStream:
    streams = [stream for stream in container.streams if not int(stream.disposition) & _PICTURE]
    films = [stream for stream in container.streams.video if stream in streams]
    if not films:
        held = " and ".join(sorted({str(stream.type) for stream in streams}))
        raise InputError(f"{path}: has no video stream; it holds {held or 'nothing'}")
    if films[0].codec_context is None:
        raise InputError(f"{path}: its codec can't be decoded here; convert it to H.264, for example")
    context = films[0].codec_context
    if context.width * context.height > MOST_PIXELS:
        raise InputError(
            f"{path}: declares frames of {context.width} x {context.height} pixels; expected at most "
            f"{MOST_PIXELS:,}, as 8K has: scale it down"
        )
    context.options = {**context.options, "max_pixels": str(MOST_PIXELS)}  # a later frame may be larger
    return films[0]


def _require_whole(path: Path) -> None:
    """Raise an error for a file that ends before its container says so."""
    size, declared = os.path.getsize(path), max(size_declared(path), default=0)
    if declared > size:
        raise InputError(
            f"{path}: is cut off: {size:,} of at least {declared:,} bytes are there; copy the film again"
        )


def size_declared(path: Path) -> Iterator[int]:
    """Yield where the parts of a film's file end, one after another, as far as each says so.

    Parts are boxes of MP4 and MOV (ISO/IEC 14496-12, 4.2), chunks of AVI (RIFF), elements of Matroska and
    WebM (EBML, RFC 8794).
    """
    end, size = 0, os.path.getsize(path)
    with open_regular(path) as file:
        while end < size:
            file.seek(end)
            head = file.read(16)
            length = _length_of_part(head)
            if length is None:
                return
            end += length
            yield end


def _length_of_part(head: bytes) -> int | None:
    """Return how long a part of a film's file is that begins so; None where it does not say."""
    if head[:4] in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67") and len(head) > 4:  # EBML, Segment
        width = 9 - head[4].bit_length()
        value = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        return None if value == (1 << 7 * width) - 1 else 4 + width + value
    if len(head) < 8:
        return None
    if head[:4] == b"RIFF":
        (length,) = struct.unpack("<I", head[4:8])
        return 8 + length + length % 2
    if not (head[4:8].isalnum() and head[4:8].isascii()):
        return None
    (length,) = struct.unpack(">I", head[:4])
    if length == 1 and len(head) == 16:
        (length,) = struct.unpack(">Q", head[8:])
    return length if length >= 8 else None


class UndecodableFrameError(Exception):
    """A frame did not come, or depends on a part of the film that is damaged."""


class Decoder:
    """A film that is open, with the frame that came last and some that nobody has asked for yet."""

    def __init__(self, path: Path, track: Track, wanted: Int64[np.ndarray, " w"]) -> None:
        self._track, self._wanted = track, wanted
        self._container = _opened(path)
        self._stream = _stream_of(self._container, path)
        self._kept: dict[int, VideoFrame | None] = {}
        self._given = -1
        self._begin()

    def close(self) -> None:
        self._kept.clear()
        self._container.close()

    def frame(self, number: int) -> VideoFrame:
        """Return the frame of a number.

        Raises
        ------
        UndecodableFrameError
            The film is damaged there.
        """
        if number != self._given:  # which may be asked for again, where many times show one frame
            self._kept.pop(self._given, None)
        self._given = number
        if number not in self._kept:
            self._go_to(number)
            while self._last < number and self._next() is not None:
                pass
        if number not in self._kept:
            raise UndecodableFrameError("it is not there")
        found = self._kept[number]
        if found is None:
            raise UndecodableFrameError("the film is damaged there")
        return found

    def _go_to(self, number: int) -> None:
        """Have the next frame be one from which `number` can be reached, forward."""
        keys = self._track.keys[: np.searchsorted(self._track.keys, number, side="right")]
        if self._last < number and keys[-1] - self._last <= WORTH_GOING:
            return
        for key in dict.fromkeys((int(keys[-1]), int(keys[-2:][0]), 0)):
            self._begin(key)
            # The containers' indices are of the order of decoding: what comes first may lie behind it.
            if self._next() is not None and self._last <= number:
                return

    def _begin(self, key: int | None = None) -> None:
        """Go to a key frame, or stay at the beginning."""
        if key is not None:
            # PyAV's own place before the first frame: 0 may lie behind it.
            stamp = int(self._track.stamps[key]) if key else self._before_all()
            self._container.seek(stamp, stream=self._stream, backward=True)
        self._last, self._first = -1, key or 0
        self._frames = self._decoded()

    def _before_all(self) -> int:
        return min(0, int(self._track.stamps[0]), self._stream.start_time or 0)

    def _next(self) -> VideoFrame | None:
        """Take the next frame that comes, and keep it if it is wanted; None at the end."""
        for frame, is_damaged in self._frames:
            number = self._number_of(frame)
            if number is None:
                continue
            self._last = number
            place = int(np.searchsorted(self._wanted, number))
            is_wanted = place < len(self._wanted) and self._wanted[place] == number
            # What is shown before the key frame that was gone to may hang on what was not read.
            if is_wanted and number >= self._first:
                self._kept.pop(number, None)
                self._kept[number] = None if is_damaged else frame
                if len(self._kept) > MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
            return frame
        return None

    def _number_of(self, frame: VideoFrame) -> int | None:
        """Return which frame this is; None of one that is not among those of the film."""
        if self._track.counted:
            return self._last + 1 if self._last + 1 < len(self._track.stamps) else None
        if frame.pts is None:
            return None
        number = int(np.searchsorted(self._track.stamps, frame.pts))
        found = number < len(self._track.stamps) and self._track.stamps[number] == frame.pts
        return number if found else None

    def _decoded(self) -> Iterator[tuple[VideoFrame, bool]]:
        """Yield frames as they are shown, and whether they may depend on one that is damaged."""
        coming: deque[VideoFrame] = deque()
        damaged: set[int] = set()  # frames of `coming`, by their ids
        goes_on = lost = False
        ahead = LOOKED_AHEAD if self._stream.codec_context.has_b_frames else 0
        for frame in self._with_failures():
            lost |= frame is None and self._track.counted  # which frame comes next can't be known any more
            goes_on = lost or frame is None or frame.is_corrupt or (goes_on and not frame.key_frame)
            if frame is not None:
                coming.append(frame)
            if goes_on:
                damaged.update(map(id, coming))
            if len(coming) > ahead:
                first = coming.popleft()
                yield first, id(first) in damaged
                damaged.discard(id(first))
        for frame in coming:
            yield frame, id(frame) in damaged

    def _with_failures(self) -> Iterator[VideoFrame | None]:
        """Yield frames as they come, and None where a packet can't be decoded."""
        import av

        for packet in self._container.demux(self._stream):
            if not packet.size and packet.dts is not None:  # of AVI: the frame before stays
                continue
            if self._has_many_scans(packet):
                yield None
                continue
            try:
                yield from packet.decode()
            except av.FFmpegError:
                yield None

    def _has_many_scans(self, packet: Any) -> bool:
        """Return whether a JPEG would take minutes: every scan goes over all its pixels."""
        context = self._stream.codec_context
        if context.name != "mjpeg":
            return False
        return bytes(packet).count(b"\xff\xda") * context.width * context.height > MOST_PIXELS_OF_SCANS


def upright(frame: VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
    """Return a frame's pixels as RGB, turned as its film says: phones do so."""
    pixels = frame.to_ndarray(format="rgb24")
    # Counter-clockwise, both. (PyAV's `side_data` could tell mirrored films too, but has each frame refer to
    # itself: it would stay in memory until it is collected.)
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
