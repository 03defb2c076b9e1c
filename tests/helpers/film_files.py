"""Films of a few pixels, written and read by PyAV alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition


class Kind(NamedTuple):
    """A container and codec that PyAV writes, with options of either."""

    suffix: str
    codec: str
    options: Mapping[str, str] = {}
    container: Mapping[str, str] = {}


#: Frames that refer to others shown later (x264, x265, MPEG-4 with B-frames), also across key frames (open
#: GOP), and such that refer to earlier ones or to none; indices before and behind the frames.
KINDS = {
    "mp4": Kind(".mp4", "libx264"),
    "mp4, index first": Kind(".mp4", "libx264", container={"movflags": "faststart"}),
    "mp4, in fragments": Kind(".mp4", "libx264", container={"movflags": "frag_keyframe+empty_moov"}),
    "mp4, MPEG-4": Kind(".mp4", "mpeg4", {"bf": "2"}),
    "mov": Kind(".mov", "mjpeg"),
    "mkv": Kind(".mkv", "libx264"),
    "mkv, open": Kind(".mkv", "libx264", {"x264-params": "open-gop=1:bframes=3:scenecut=0"}),
    "mkv, HEVC": Kind(".mkv", "libx265", {"x265-params": "log-level=none:pools=none"}),
    "webm, VP8": Kind(".webm", "libvpx"),
    "webm, VP9": Kind(".webm", "libvpx-vp9"),
    "avi": Kind(".avi", "mpeg4", {"bf": "2"}),
    "avi, H.264": Kind(".avi", "libx264"),
    "avi, Motion JPEG": Kind(".avi", "mjpeg"),
}


def pictures(count: int, size: tuple[int, int] = (48, 64), step: int = 1) -> Iterable[np.ndarray]:
    """Yield pictures of large patches of colour that move, no two of which are the same."""
    height, width = size
    patches = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = np.kron(patches, np.ones((8, 8, 1), np.uint8))
    for number in range(count):
        moved = np.roll(picture, number * step, 1)
        moved[:8] = number * 37 % 256
        yield moved


def film(
    path: Path,
    kind: str = "mp4",
    count: int = 30,
    *,
    rate: int = 25,
    times: Sequence[Fraction] = (),
    rotation: int = 0,
    size: tuple[int, int] = (48, 64),
    title: str = "",
    step: int = 1,
) -> Path:
    """Write a film with a key frame every ten frames; at `times` in seconds, if they are given.

    Its picture moves by `step` pixels from frame to frame.
    """
    about = KINDS[kind]
    path = path.with_suffix(about.suffix)
    with av.open(str(path), "w", options=dict(about.container)) as container:
        container.metadata["title"] = title
        stream = container.add_stream(about.codec, rate=rate, options=dict(about.options))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if about.codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 10
        if rotation:
            stream.set_display_rotation(rotation)
        if times:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, picture in enumerate(pictures(count, size, step)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.time_base = Fraction(1, 1000)
                frame.pts = round(times[number] * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def trimmed(path: Path, frames: int) -> Path:
    """Write a film anew without its first frames: as telephones do, what later ones refer to stays in it."""
    shorter = path.with_stem("trimmed")
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(path)) as given, av.open(str(shorter), "w", options=options) as written:
        stream = written.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.pts is not None and packet.dts is not None and packet.duration:
                packet.pts -= frames * packet.duration
                packet.dts -= frames * packet.duration
                packet.stream = stream
                written.mux(packet)
    return shorter


def decoded(path: Path) -> list[np.ndarray]:
    """Return all frames of a film, from its beginning to its end, as RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def sound(path: Path, *, cover: bool = False) -> Path:
    """Write an MP4 file that holds sound and no film, but maybe a picture as its cover."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        if cover:
            picture = container.add_stream("mjpeg")
            assert isinstance(picture, av.VideoStream)
            picture.height, picture.width, picture.pix_fmt = 48, 64, "yuvj420p"
            picture.disposition = Disposition.attached_pic
            container.mux(picture.encode(av.VideoFrame.from_ndarray(next(iter(pictures(1))), format="rgb24")))
            container.mux(picture.encode())
        wave = np.sin(np.arange(8000) / 3).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
