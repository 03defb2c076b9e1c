"""Draw the README's picture of a report: the demo's, in a browser (needs Chromium)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import differentia as dif
from differentia.cli.commands import DEMO_LAYERS, DEMO_MAPS, DEMO_N_UNITS, DEMO_SETS

PICTURE = Path(__file__).parent / "images" / "report.png"
LAYER = "block3_relu2"  # of which the demo keeps a map
WIDTH = 1100  # pixels


def main() -> None:
    """Measure what the demo does, open its report, choose a layer, and take a picture of it."""
    chromium = os.environ.get("DIFFERENTIA_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        sys.exit("no chromium was found: install it, or set DIFFERENTIA_CHROMIUM to its path")
    result = dif.measure("digits", DEMO_SETS, n_units=DEMO_N_UNITS, layers=DEMO_LAYERS, maps=DEMO_MAPS)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = dif.write_report(result, Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.goto(report.absolute().as_uri())
        page.wait_for_selector("body[data-ready]")
        page.select_option("#count", "0")
        page.select_option("#layer", label=LAYER)
        page.wait_for_timeout(500)  # the plots are drawn
        first, last = page.locator("#curves-section").bounding_box(), page.locator("#pairs").bounding_box()
        assert first is not None
        assert last is not None
        heading = 50  # above the pairs
        page.screenshot(
            path=PICTURE,
            full_page=True,
            clip={"x": 0, "y": first["y"], "width": WIDTH, "height": last["y"] - heading - first["y"]},
        )
        browser.close()


if __name__ == "__main__":
    main()
