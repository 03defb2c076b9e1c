"""The code on the page of questions is run, without the weights, which would be a download."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import zoo  # defines what torchvision looks up, which timm imports
from helpers.documents import DOCS, fenced

import differentia as dif


@pytest.mark.slow
def test_a_factory_of_a_network_of_timm() -> None:
    """Its images have the size, and its pixels the mean and the SD, that timm's own transforms give them."""
    (code,) = fenced((DOCS / "faq.md").read_text(encoding="utf-8"), "py")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "faq.md", "exec", dont_inherit=True), names)
    network = names["deit"](pretrained=False)
    pixels = zoo.photographs(224)
    result = dif.measure(network, {"a": pixels}, layers=["input", "head"], units="all", draws=1)
    assert result["layer_size"].values.tolist() == [224 * 224 * 3, 1000]
    mean, sd = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as timm's DeiT has them
    expected = (pixels / 255 - mean) / sd
    assert result["layer_mean"].sel(set="a", layer="input").item() == pytest.approx(expected.mean(), rel=1e-4)
    assert result["layer_sd"].sel(set="a", layer="input").item() == pytest.approx(expected.std(), rel=1e-4)
