"""Draw the README's picture: MobileNet's curves for noise, tabby cats and photographs of many things.

Run ``make figures``; it needs the real data (see ``real_data.py``).
"""

from __future__ import annotations

from matplotlib.figure import Figure
from real_data import ROOT, mobilenet_and_sets

import differentia as dif

PICTURE = ROOT / "docs" / "images" / "mobilenet.png"


def main() -> None:
    """Measure, and draw both line plots one above the other."""
    network, sets = mobilenet_and_sets()
    layers = ["input", "conv1_relu", "conv_pw_*_relu", "global_average_pooling2d", "predictions"]
    result = dif.measure(network, sets, layers=layers)
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    dif.plot(result, ax=upper)
    dif.plot_relative(result, ax=lower)
    upper.set_xlabel("")
    upper.tick_params(labelbottom=False)
    legend = lower.get_legend()
    assert legend is not None
    legend.remove()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=130)
    print(f"{PICTURE}: {result.sizes['image']} images, {result.sizes['layer']} layers")


if __name__ == "__main__":
    main()
