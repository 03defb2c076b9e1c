"""Images in the formats of image files, wherever their bytes lie: in files, in archives."""

from __future__ import annotations

from abc import abstractmethod

import PIL.Image

from differentia.errors import UnreadableImageError, in_one_line
from differentia.stimuli.base import Fit, Image, Stimuli, content_hash
from differentia.stimuli.guarded import Seen, colours, decode
from differentia.system.machine import written_size

#: A file of an image takes at most so many bytes for each pixel: RGB and transparency of 16 bits.
BYTES_PER_PIXEL = 8


def require_small(size: int, where: str) -> None:
    """Raise an error for a file that is larger than any image, before it is read."""
    limit = PIL.Image.MAX_IMAGE_PIXELS
    if limit is not None and size > limit * BYTES_PER_PIXEL:
        raise UnreadableImageError(
            f"{where}: holds {written_size(size)}, more than an image of {limit:,} pixels takes "
            "(PIL.Image.MAX_IMAGE_PIXELS, which guards against decompression bombs): shrink it, or raise "
            "that limit if you trust it"
        )


class EncodedStimuli(Stimuli):
    """Images that are decoded from the bytes of an image file each."""

    def __init__(self) -> None:
        self._caveats: dict[int, str] = {}

    @abstractmethod
    def _content(self, index: int) -> bytes:
        """Return the bytes of an image file."""

    @abstractmethod
    def _place(self, index: int) -> str:
        """Return where they lie, as errors say it."""

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input.

        It is turned as its EXIF orientation says, its colours are converted to sRGB where it has another
        profile, what is transparent is laid on white, 16-bit grey is scaled to 8 bits, and an animation gives
        its first frame.
        """
        content = self._content(index)
        try:
            seen = self._told(index, decode(content))
            assert seen.image is not None
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds on broken files
            reason = in_one_line(error) or type(error).__name__
            raise UnreadableImageError(
                f"{self._place(index)}: can't be read as an image ({reason}); replace it, or take it out of "
                "the set"
            ) from error
        return Image(fit(seen.image), _identity(content, seen.converted))

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of a file's bytes, and of their conversion to sRGB where there is one."""
        content = self._content(index)
        try:
            return _identity(content, self._told(index, colours(content)).converted)
        except Exception:  # of many kinds: what can't be read is told when it is loaded
            return _identity(content, converted=False)

    def caveats(self) -> dict[int, str]:
        """Return what is to be said of colour profiles that can't be used."""
        return dict(self._caveats)

    def _told(self, index: int, seen: Seen) -> Seen:
        if seen.caveat:
            self._caveats[index] = f"{self._place(index)}: {seen.caveat}"
        return seen


def _identity(content: bytes, converted: bool) -> str:
    """Return the hash of a file's bytes, and of what makes other pixels of them than they hold."""
    return content_hash(content, b"in sRGB") if converted else content_hash(content)
