"""The pictures of a page: thumbnails of the images and maps of channels, as data URIs."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

from differentia.results.schema import map_names
from differentia.results.summaries import colour_limits, layer_names
from differentia.results.views import map_scores

if TYPE_CHECKING:
    import xarray as xr

#: Images up to this side are stored without loss; larger ones as JPEG of this quality.
LOSSLESS_SIDE, QUALITY = 40, 82

#: In pixels: what larger thumbnails are made, where a page has many.
SMALL_SIDE = 64

#: In pixels; larger maps are made smaller.
LARGEST_SIDE = 112


def thumbnail(pixels: UInt8[np.ndarray, "height width channels"], *, small: bool = False) -> str:
    """Return an image, grey or RGB, as a data URI; `small` is for one of many."""
    image = PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if small:
        image.thumbnail((SMALL_SIDE, SMALL_SIDE))
    if max(image.size) <= LOSSLESS_SIDE:
        return _uri(image, "png", optimize=True)
    return _uri(image, "jpeg", quality=QUALITY)


def filter_maps(result: xr.Dataset) -> list[dict[str, Any]]:
    """Return the maps of the chosen channels as pictures, whose colours end at ``low`` and ``high`` SD."""
    layers, rows = layer_names(result), result["map_image"].values.tolist() if "map_0" in result else []
    maps = []
    for name in map_names(result) if {"layer_mean", "layer_sd"} <= set(result) else []:
        scores = map_scores(result, name)
        low, high = colour_limits(scores.values)
        maps.append(
            {
                "layer": layers.index(scores.attrs["layer"]),
                "filter": int(scores.attrs["filter"]),
                "low": low,
                "high": high,
                "shrunk": max(scores.shape[1:]) > LARGEST_SIDE,
                "pictures": [
                    (row, _map_picture(values, low, high))
                    for row, values in zip(rows, scores.values, strict=True)
                ],
            }
        )
    return maps


def _map_picture(scores: Float[np.ndarray, "height width"], low: float, high: float) -> str:
    """Return a map in the figures' colours; what has no value is grey."""
    share = np.clip((scores - low) / (high - low), 0.0, 1.0)
    codes = np.where(np.isfinite(share), np.rint(np.nan_to_num(share) * 254) + 1, 0).astype(np.uint8)
    image = PIL.Image.fromarray(codes, mode=None)
    image.putpalette(_palette())
    height, width = scores.shape
    if max(height, width) > LARGEST_SIDE:
        size = [max(1, round(side * LARGEST_SIDE / max(height, width))) for side in (width, height)]
        image = image.convert("RGB").resize((size[0], size[1]), PIL.Image.Resampling.BOX)
    return _uri(image, "png", optimize=True)


@cache
def _palette() -> bytes:
    """Return grey, then viridis."""
    from matplotlib import colormaps

    colours = colormaps["viridis"](np.linspace(0, 1, 255))[:, :3]
    return bytes([200, 200, 200]) + np.rint(255 * colours).astype(np.uint8).tobytes()


def _uri(image: PIL.Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
