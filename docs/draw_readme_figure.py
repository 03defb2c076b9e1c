"""Draw the README's pictures: MobileNet's curves and predictions for noise, tabby cats and photographs.

Run ``make figures``; it needs the real data (see ``real_data.py``).
"""

from __future__ import annotations

from matplotlib.figure import Figure
from real_data import ROOT, mobilenet_and_sets

import differentia as dif

CURVES = ROOT / "docs" / "images" / "mobilenet.png"
PREDICTIONS = ROOT / "docs" / "images" / "predictions.png"


def main() -> None:
    """Measure, draw both line plots one above the other, and the predictions."""
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
    CURVES.parent.mkdir(exist_ok=True)
    figure.savefig(CURVES, dpi=130)
    dif.plot_predictions(result)[0].figure.savefig(PREDICTIONS, bbox_inches="tight")
    print(f"{CURVES}, {PREDICTIONS}: {result.sizes['image']} images, {result.sizes['layer']} layers")


if __name__ == "__main__":
    main()
