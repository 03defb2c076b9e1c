"""How a network's own library makes its input of an image, as its weights were trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Float32, UInt8

if TYPE_CHECKING:
    import torch


class Transform(NamedTuple):
    """A library's steps from an image to a network's input: resized, its middle cut out, normalised."""

    #: Height, width and channels of what is cut out.
    shape: tuple[int, int, int]
    #: One of the names of `system.choices.RESIZE`, and of `CROP`: "center" keeps an image's proportions.
    resize: str
    crop: str
    #: What an image is resized to before its middle is cut out: its shorter side where its proportions are
    #: kept, else (height, width). None: the shape itself.
    resize_to: int | tuple[int, int] | None
    #: Of each channel, of values of 0..1.
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    #: Whether half a pixel is cut off as a library does that rounds it down; else to the even number.
    rounded_down: bool = False
    #: What resizes an image, "Pillow" or "PyTorch": their filters are the same, but for the rounding.
    resized_by: str = "Pillow"

    def __call__(self, pixels: UInt8[torch.Tensor, "b c h w"]) -> Float32[torch.Tensor, "b c h w"]:
        """Return pixels of 0..255 as the network's input."""
        import torch  # names of networks are read without it

        mean, sd = (torch.tensor(values).reshape(-1, 1, 1) for values in (self.mean, self.sd))
        return (pixels.to(torch.float32) / 255 - mean) / sd

    def of_size(self, shape: tuple[int, int, int]) -> Transform:
        """Return the same for images of another size: without the margin that it cuts off."""
        return self if shape == self.shape else self._replace(shape=shape, resize_to=None)

    @property
    def in_words(self) -> str:
        """The normalisation: "(x / 255 - [0.5, 0.5, 0.5]) / [0.5, 0.5, 0.5]"."""
        return f"(x / 255 - {[*self.mean]}) / {[*self.sd]}"
