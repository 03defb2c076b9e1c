"""Write docs/networks.md from what tests/test_zoo.py counts while it runs, all of it.

python docs/write_networks.py
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markdown_tables import table

HERE = Path(__file__).parent
PAGE = HERE / "networks.md"
TESTS = HERE.parent / "tests"
MODULE = "test_zoo"
VARIABLE = "DIFFERENTIA_ZOO"

HEAD = """# Networks of the common libraries

Does `differentia` find every layer of a network, and are the responses right? These networks were built by
their libraries, with random weights. A plain PyTorch hook on every module counted the calls of one pass, and
kept what each gave for three images. Then `dif.record` recorded the same images with the network that it
loads itself by the *spec* below, from a file of the same weights, and this had to hold:

- Every call is recorded, or listed in `network.unrecorded` with a reason; none is both, and no other is.
- What gives something of its own for each image is recorded. That, and on which axes of each output the
  images and the channels are, was written down by hand for each architecture.
- The responses are those that the hooks kept: all units of every layer (`--units all`) and, where it is known
  which axis holds the channels, the mean of each channel (`--units filter_mean`).

*Side* is that of the images, in pixels. *Recorded* and *not* add up to the calls. *Blocks* says how many
layers `:blocks` takes, and *channels* of how many layers (the recorded outputs, and the input) the channels
are known: the weights of attention have none, and those of a query that is split into heads lie on two axes.
*Error* is the largest difference of any response, as a part of the largest response of its layer.
(`make soak` writes this page.)

"""

COLUMNS = (
    "network",
    "side",
    "calls",
    "recorded",
    "not",
    "blocks",
    "channels",
    "error",
)

#: The kinds of reasons, each by words that such a reason has, in fewer words.
KINDS = {"does not follow": "the same for any images", "numbers of the type": "whole numbers"}


def kind_of(reason: str) -> str:
    """Return the kind of a reason, or the reason where its kind has no name."""
    return next((kind for words, kind in KINDS.items() if words in reason), reason)


def row(name: str, size: int, counted: Mapping[str, Any]) -> list[str]:
    """Return the cells of a network."""
    left_out = counted["calls"] - counted["recorded"]
    return [
        *(name, str(size), str(counted["calls"]), str(counted["recorded"]), str(left_out)),
        *(str(counted["blocks"]), f"{counted['known']} of {counted['layers']}", f"{counted['error']:.0e}"),
    ]


def spec_of(name: str, spec: str) -> str:
    """Return a line of how a network is named; "" where it is given as an object."""
    return f"- {name}: `{spec.format(weights='PATH')}`" if spec else ""


def why_not(name: str, counted: Mapping[str, Any]) -> str:
    """Return a line of what can't be recorded of a network; "" where there is nothing."""
    kinds: Counter[str] = Counter()
    for reason, times in counted["reasons"].items():
        kinds[kind_of(reason)] += times
    listed = ", ".join(f"{kind} ({times})" for kind, times in kinds.items())
    return f"- {name}: {listed}" if listed else ""


def page(
    rows: Iterable[list[str]], reasons: Iterable[str], specs: Iterable[str], libraries: Iterable[str]
) -> str:
    """Return the page."""
    versions = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in sorted(set(libraries)))
    below = ["Not recorded, with the number of outputs:", "", *filter(None, reasons), ""]
    below += ["Named by these specs; the others are given as modules:", "", *filter(None, specs), ""]
    below += [f"With {versions}."]
    return HEAD + "\n".join([*table(COLUMNS, rows, texts=1), "", *below]) + "\n"


def main() -> None:
    """Run the tests, and write the page when all of them passed."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        tests = [sys.executable, "-m", "pytest", "-m", "soak or not soak", str(TESTS / f"{MODULE}.py")]
        # The page is what these tests write, so it can't be asked for beforehand.
        done = subprocess.run(
            [*tests, "--deselect", f"{TESTS.name}/{MODULE}.py::test_the_page_says_what_is_counted"],
            cwd=HERE.parent,
            env={**os.environ, VARIABLE: str(counts)},
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.returncode)
        counted = json.loads(counts.read_text(encoding="utf-8"))
    sys.path.insert(0, str(TESTS))
    networks = importlib.import_module("helpers.zoo").NETWORKS
    names = {one.name: f"{one.package}: {one.name}" for one in networks}
    rows = [row(names[one.name], one.size, counted[one.name]) for one in networks]
    reasons = [why_not(names[one.name], counted[one.name]) for one in networks]
    specs = [spec_of(names[one.name], one.spec) for one in networks]
    PAGE.write_text(page(rows, reasons, specs, [one.package for one in networks]), encoding="utf-8")


if __name__ == "__main__":
    main()
