"""The real network and photographs that the documentation's pictures and tables are made from.

They are looked for in DIFFERENTIA_TEST_DATA, else in ``../shared/data`` beside the checkout.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import differentia as dif

ROOT = Path(__file__).parents[1]


def data_folder() -> Path:
    """Return the folder of networks and photographs, or end the script."""
    data = Path(os.environ.get("DIFFERENTIA_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        sys.exit(f"no real data in {data}: set DIFFERENTIA_TEST_DATA to its folder")
    return data


def load_mobilenet(**options: Any) -> dif.Network:
    """Return MobileNet 0.25, as `load_network` does with such options."""
    data = data_folder()
    weights, classes = data / "mobilenet_025_224_imagenet.weights.h5", data / "imagenet_class_index.json"
    return dif.load_network(f"keras:MobileNet?alpha=0.25&weights={weights}&classes={classes}", **options)


def mobilenet_and_sets() -> tuple[dif.Network, dict[str, Any]]:
    """Return MobileNet 0.25, and three sets of 43 images: noise, cats that it calls tabby, photographs."""
    data, network = data_folder(), load_mobilenet()
    tabbies = dif.select(network, data / "cats", "tabby").images
    return network, {
        "white_noise": dif.noise(43),
        "tabby_cats": [str(image.path) for image in tabbies],
        "random_images": data / "random",
    }
