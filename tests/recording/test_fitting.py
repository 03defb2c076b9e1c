"""How images are fitted: as asked for, else as the network's library does it, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import helpers.zoo  # noqa: F401 - torchvision can be imported then
import numpy as np
import PIL.Image
import pytest
import torch
from helpers.networks import tricky
from helpers.recordings import write_images
from torch import nn

import differentia as dif
from differentia.networks.torch import TorchNetwork
from differentia.networks.transforms import Transform
from differentia.recording.fitting import described_fit, fit_of
from differentia.recording.selection import select
from differentia.results.dataset import provenance
from differentia.stimuli.base import Fit

RNG = np.random.default_rng(0)
PHOTOGRAPHS = RNG.integers(0, 256, (4, 50, 71, 3), dtype=np.uint8)
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OF_LIBRARY = Transform((16, 16, 3), "bicubic", "center", 24, MEAN, SD)


def load(transform: Transform | None = OF_LIBRARY, module: nn.Module | None = None, **given: Any) -> Any:
    if transform is None:
        given = {"preprocess": "imagenet", "input_shape": (16, 16, 3), **given}
    return TorchNetwork(module or tricky(), name="tricky", transform=transform, **given)


def by_torchvision(transform: Transform = OF_LIBRARY) -> np.ndarray:
    """Return what a pipeline of torchvision's makes of the photographs."""
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode

    pipeline = transforms.Compose(
        [
            transforms.Resize(transform.resize_to, InterpolationMode(transform.resize)),
            transforms.CenterCrop(transform.shape[:2]),
            transforms.ToTensor(),
            transforms.Normalize(transform.mean, transform.sd),
        ]
    )
    return torch.stack([pipeline(PIL.Image.fromarray(image)) for image in PHOTOGRAPHS]).numpy()


def inputs(network: Any, images: Any = PHOTOGRAPHS, **options: Any) -> np.ndarray:
    """Return what the network is given, as it is recorded."""
    recorded = dif.record(network, {"a": images}, layers=["input"], units="all", **options)
    return np.asarray(recorded.values["input"]).reshape(
        -1, *(network.input_shape[2], *network.input_shape[:2])
    )


@pytest.mark.parametrize("files", [True, False], ids=["files", "arrays"])
def test_the_input_is_that_of_its_library(files: bool, tmp_path: Path) -> None:
    """To rounding; one that is fitted in another way has another input."""
    images = write_images(tmp_path / "a", PHOTOGRAPHS) if files else PHOTOGRAPHS
    np.testing.assert_allclose(inputs(load(), images), by_torchvision(), rtol=1e-5, atol=1e-6)
    assert not np.allclose(inputs(load(None), images), by_torchvision(), atol=0.1)


def test_what_is_asked_for_comes_first() -> None:
    """A margin goes with the library's own crop; another filter leaves it."""
    whole = Fit((16, 16, 3), "bicubic", "center", 24)
    assert fit_of(load()) == fit_of(load(), crop="center") == whole
    assert fit_of(load(), "box") == Fit((16, 16, 3), "box", "center", 24)
    assert fit_of(load(), crop="squash") == Fit((16, 16, 3), "bicubic", "squash")
    squashed = OF_LIBRARY._replace(crop="squash", resize_to=(20, 20), rounded_down=True)
    assert fit_of(load(squashed)) == Fit((16, 16, 3), "bicubic", "squash", (20, 20), rounded_down=True)
    assert fit_of(load(None)) == Fit((16, 16, 3), "bilinear", "squash")
    assert fit_of(load(None), "nearest", "center") == Fit((16, 16, 3), "nearest", "center")


def test_another_size_has_no_margin() -> None:
    """Its images are cropped as the library does, without what was cut off for the size of its own."""
    network = load(input_shape=(20, 24, 3))
    assert fit_of(network) == Fit((20, 24, 3), "bicubic", "center")
    assert fit_of(load(input_shape=(3, 16, 16))).resize_to == 24


def test_the_result_says_how(tmp_path: Path) -> None:
    """With the margin where there is one, also after it was saved."""
    facts = ("resize", "crop", "resized_to")
    measured = {}
    for name, given in {"own": load(), "asked": load(), "none": load(None)}.items():
        crop = "squash" if name == "asked" else None
        result = dif.measure(given, {"a": PHOTOGRAPHS}, layers=["input"], n_units=50, crop=crop)
        dif.save(result, tmp_path / f"{name}.nc")
        result = dif.load_result(tmp_path / f"{name}.nc")
        known = provenance(result)
        measured[name] = tuple(known.get(fact) for fact in facts)
        if name == "own":
            said = str(dif.describe_methods(result))
            assert f"to (x / 255 - {[*MEAN]}) / {[*SD]}; images were resized so that the shorter side" in said
    assert measured == {
        "own": ("bicubic", "center", 24),
        "asked": ("bicubic", "squash", None),
        "none": ("bilinear", "squash", None),
    }


def test_a_store_tells_margins_apart(tmp_path: Path) -> None:
    """Those of another margin are not taken; where there is none, the store is what it was."""
    plain = Fit((16, 16, 3))
    assert described_fit(plain) == {"resize": "bilinear", "crop": "squash"}
    down = Fit((16, 16, 3), "bicubic", "squash", (20, 20), rounded_down=True)
    assert described_fit(down)["resized_to"] == [20, 20]
    assert described_fit(down)["rounded_down"]
    assert described_fit(replace(plain, resized_by="PyTorch")) == {
        **described_fit(plain),
        "resized_by": "PyTorch",
    }
    boxes = replace(plain, resize="box", resized_by="PyTorch")  # which PyTorch has not
    assert described_fit(boxes) == {"resize": "box", "crop": "squash"}
    cut = replace(plain, crop="center", resized_by="PyTorch")  # which Pillow cuts first
    assert described_fit(cut) == {"resize": "bilinear", "crop": "center"}
    for store in (tmp_path / "by.zarr", tmp_path / "r.zarr"):
        inputs(load(), store=store)
    with pytest.warns(dif.DifferentiaWarning, match=r"another resized by \(None, now PyTorch\)"):
        inputs(load(OF_LIBRARY._replace(resized_by="PyTorch")), store=tmp_path / "by.zarr")
    wider = OF_LIBRARY._replace(resize_to=30)
    with pytest.warns(dif.DifferentiaWarning, match=r"another resized to \(24, now 30\)"):
        other = inputs(load(wider), store=store)
    np.testing.assert_allclose(other, by_torchvision(wider), rtol=1e-5, atol=1e-6)


def test_selection_fits_alike() -> None:
    """The probabilities are those of what the library's pipeline gives."""

    class Colours(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(9 * x.mean((2, 3)))

    own = load(module=Colours())
    found = select(own, PHOTOGRAPHS, 0, min_probability=0.0)
    expected = torch.softmax(9 * torch.from_numpy(by_torchvision()).mean((2, 3)), 1)[:, 0]
    by_name = {image.name: image.probability for image in found.images}
    assert np.allclose([by_name[name] for name in dif.images(PHOTOGRAPHS).names], expected, atol=1e-5)
    squashed = select(own, PHOTOGRAPHS, 0, min_probability=0.0, crop="squash")
    others = {image.name: image.probability for image in squashed.images}
    assert any(abs(others[name] - by_name[name]) > 1e-3 for name in by_name)
