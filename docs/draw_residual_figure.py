"""Draw the curves of ResNet-20, block by block, for the images of the README's picture.

Run ``make figures``; it needs the real data (see ``real_data.py``). The network is that of the tests.
"""

from __future__ import annotations

import sys

from draw_readme_figure import draw_curves
from real_data import ROOT, data_folder, mobilenet_and_sets

import differentia as dif

sys.path.insert(0, str(ROOT / "tests"))

from helpers.resnet20 import load_resnet20

CURVES = ROOT / "docs" / "images" / "resnet20.png"


def main() -> None:
    """Measure the blocks and what stands before and after them, and draw."""
    _, sets = mobilenet_and_sets()
    draw_curves(dif.measure(load_resnet20(data_folder()), sets, layers=[":blocks"]), CURVES)


if __name__ == "__main__":
    main()
