"""Write docs/unit_kinds.md: what each kind of units finds, on MobileNet and photographs.

Run ``make figures``; it needs the real data (see ``real_data.py``).
"""

from __future__ import annotations

from markdown_tables import table
from real_data import ROOT, mobilenet_and_sets

import differentia as dif

PAGE = ROOT / "docs" / "unit_kinds.md"
LAYERS = [
    "input",
    "conv_pw_1_relu",
    "conv_pw_6_relu",
    "conv_pw_12_relu",
    "global_average_pooling2d",
    "predictions",
]
N_UNITS, POOL = 200, 10_000
KINDS = ("random", "per_filter", "top", "top_variance", "filter_mean", "all")

HEAD = f"""# Kinds of units, compared

Differentiation of MobileNet (width 0.25, trained on ImageNet) with each kind of units (`--units`): {N_UNITS}
units of each layer, each channel's mean, or all units. ± is one SD over 20 draws, for units that are drawn at
random. `per_filter` takes at least one unit of every channel, and therefore all units of the last two layers.
(`make figures` writes this page.)
"""

TAIL = """
- Random units represent layers in which many units are active, and miss most of what matters in a sparse
  one: 200 of 1,000 class probabilities hardly ever include the few that differ.
- `top` finds those, but units with a high mean may be saturated: in conv_pw_1_relu they give 6 (the limit of
  ReLU6) for every image, and differentiation is undefined (nan).
- `top` and `top_variance` look at the units that respond most or vary most, and in most layers give higher
  values than all units do: they answer a different question.
- `filter_mean` looks at how much of each feature an image contains, wherever it is. White noise, which is
  alike everywhere, hardly differs. In layers without spatial dimensions it is the same as `all`.
"""


def main() -> None:
    """Measure, and write a table for each set."""
    network, sets = mobilenet_and_sets()
    results = dif.measure_kinds(network, sets, kinds=KINDS[:-1], n_units=N_UNITS, pool=POOL, layers=LAYERS)
    results["all"] = dif.measure(network, sets, units="all", layers=LAYERS)
    page = [HEAD]
    for name in sets:
        rows = []
        for layer in LAYERS:
            cells = []
            for kind in KINDS:
                result, at = results[kind], {"set": name, "layer": layer}
                mean = float(dif.draw_mean(result["differentiation"], result).sel(at)[0])
                spread = float(dif.draw_spread(result["differentiation"], result).sel(at)[0])
                cells.append(f"{mean:.3f} ± {spread:.3f}" if spread > 0 else f"{mean:.3f}")
            rows.append([layer, *cells])
        page += [f"## {name}", "", *table(["layer", *KINDS], rows), ""]
    PAGE.write_text("\n".join(page) + TAIL, encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
