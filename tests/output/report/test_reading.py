"""The report in a browser: odd names, results that lack something, large ones; reading it in every way."""

from __future__ import annotations

import functools
import html
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray as xr
from helpers.browser import (
    DESKTOP,
    PHONE,
    SCHEMES,
    axis_of,
    browsing,
    drawn,
    opened,
    prefer,
    problems_of,
    table_of,
    text_of,
)
from helpers.odd_networks import partly_without_channels, without_channels
from helpers.pages import GROUNDS, RULES, SCRIPT, hovered, require_no_markup, svg_texts, violations
from helpers.reports import compared, kinds, measured, names, over_draws, page_of, with_facts
from helpers.shared import once

import differentia as dif
from differentia.definition.measure import METRICS, NORMALIZATIONS
from differentia.output.chosen import spread_sets
from differentia.output.report.formula import formula
from differentia.results.tables import table_rows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

RNG = np.random.default_rng(0)


# ---------------------------------------------------------------------------------------------- the recorder


def test_errors_and_requests_are_noticed(browser: Browser, tmp_path: Path) -> None:
    """What the other tests rely on: an error, a warning, a dialog and a request to another host each fail."""
    seen = {}
    for name, body in {
        "nothing": "<p>quiet</p>",
        "console error": "<script>console.error('e')</script>",
        "console warning": "<script>console.warn('w')</script>",
        "console log": "<script>console.log('l')</script>",
        "thrown": "<script>throw new Error('t')</script>",
        "dialog": "<script>alert(1)</script>",
        "request": "<img src='http://host.invalid/a.png' alt=''>",
        "data": "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAAC' alt=''>",
    }.items():
        path = tmp_path / f"{name}.html"
        path.write_text(f"<!DOCTYPE html><body data-ready>{body}", encoding="utf-8")
        context = browser.new_context()
        problems = problems_of(context)
        opened(context, path)
        context.close()
        seen[name] = problems
    assert seen["nothing"] == seen["console log"] == seen["data"] == []
    assert seen["console error"] == ["console error: e"]
    assert seen["console warning"] == ["console warning: w"]
    assert seen["thrown"] == ["error: t"]
    assert seen["dialog"] == ["dialog: 1"]
    assert seen["request"][0] == "request: http://host.invalid/a.png"
    with pytest.raises(AssertionError, match="console error: e"), browsing(browser) as quiet:
        opened(quiet, tmp_path / "console error.html")


# ------------------------------------------------------------------------------------------------- odd names


ODD = (
    SCRIPT,
    "</script><script>alert(1)</script>",
    "{{7*7}} {% raw %} ${7*7}",
    "%{x} %{meta[0]} %{customdata}",
    "<b>bold</b><br><a href='javascript:alert(1)'>a</a>",
    "&lt;i&gt; &amp;",
    "\"double\" 'single' `back` \\",
    "two\nlines\tand a tab",
    "\N{GRINNING FACE}\N{FAMILY} e\N{COMBINING ACUTE ACCENT}",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "long " + "x" * 295,
    "__proto__",
)


@functools.cache
def hostile() -> xr.Dataset:
    """Return a result in which every name that a user can give is one of `ODD`."""
    result = measured()
    sets = dict(zip(names(result, "set"), (SCRIPT, ODD[1], ODD[10]), strict=True))
    layers = dict(zip(names(result, "layer"), (SCRIPT, ODD[3], ODD[4], ODD[10]), strict=True))
    n_images, n_classes = result.sizes["image"], result.sizes["class"]
    result = result.assign_coords(
        set=list(sets.values()),
        layer=list(layers.values()),
        image_set=("image", [sets[str(name)] for name in result["image_set"].values]),
        image_name=("image", [f"{ODD[place % len(ODD)]} {place}" for place in range(n_images)]),
        class_name=("class", [f"{ODD[place % len(ODD)]} {place}" for place in range(n_classes)]),
        filter_layer=("filter", [layers[str(name)] for name in result["filter_layer"].values]),
        layer_kind=("layer", [SCRIPT, ODD[2], ODD[5], ODD[6]]),
    )
    for number in range(3):
        result[f"map_{number}"].attrs["layer"] = layers[result[f"map_{number}"].attrs["layer"]]
    return with_facts(
        result.assign_attrs(reference=SCRIPT),
        network="".join(ODD[:6]) + ODD[10],
        sets=dict(zip(sets.values(), (SCRIPT, ODD[2], ODD[10]), strict=True)),
        warnings=list(ODD),
        command=" ".join(ODD),
        preprocessing=SCRIPT,
        skipped=[{"set": SCRIPT, "name": ODD[2], "reason": ODD[1]}],
        duplicates=[[{"set": SCRIPT, "name": ODD[4]}, {"set": SCRIPT, "name": ODD[2]}]],
        versions={SCRIPT: ODD[1]},
    )


@pytest.fixture(scope="module")
def hostile_file() -> Path:
    """The report of `hostile`."""
    return page_of(hostile)


@pytest.fixture(scope="module")
def hostile_page(browser: Browser, hostile_file: Path) -> Iterator[Page]:
    """Its page; at the end no script of a name may have run."""
    with browsing(browser) as context:
        yield opened(context, hostile_file)


def test_names_are_shown_as_text(hostile_page: Page) -> None:
    """Sets, layers, images, classes, sources, warnings, the network and the command: as they are written."""
    page, result = hostile_page, hostile()
    require_no_markup(page)
    assert page.locator("section.warning li").all_text_contents() == list(ODD)
    assert text_of(page, "#command") == " ".join(ODD)
    assert text_of(page, "#layer-facts").startswith(ODD[6])
    assert page.locator("#layer option").all_text_contents() == names(result, "layer")
    assert page.locator(".gallery .name").all_text_contents() == [
        str(name) for name in result["image_name"].values
    ]
    alts = [image.get_attribute("alt") for image in page.locator(".gallery img").all()]
    assert alts == [str(name) for name in result["image_name"].values]
    classes = {str(name) for name in result["class_name"].values}
    shown = page.locator(".gallery ol li").all_text_contents()
    assert {text.rpartition(" ")[0] for text in shown} <= classes
    labels = page.locator("label:has(input[name=set])").all_text_contents()
    assert [label.partition("\u00a0")[2] for label in labels] == names(result, "set")
    network = json.loads(result.attrs["provenance"])["network"]
    assert page.locator("dd").all_text_contents()[0] == network
    title = text_of(page, "h1")
    assert title == page.evaluate("document.title")
    assert title.startswith("Differentiation in ")
    assert ODD[5] + ODD[10] in title
    rows = table_of(page, "#numbers")[1:]
    assert [row[1:3] for row in rows] == [[one["set"], one["layer"]] for one in table_rows(result)]
    assert f"{SCRIPT}: {ODD[1]}" in page.locator("#provenance-section li").all_text_contents()
    page.fill("#find", SCRIPT)
    assert page.locator(".gallery > ul > li:visible").count() >= 2
    page.fill("#find", "")


def test_plots_show_names_as_text(hostile_page: Page) -> None:
    """Ticks, titles and what hovering shows, as Plotly really drew them: no markup, no template filled in."""
    page = hostile_page
    page.get_by_label(re.compile("^ *relative to")).check()
    require_no_markup(page)
    ticks = svg_texts(page, "#curves .xtick text")
    assert ticks[1] == ODD[3][:12] + "\u2026" + ODD[3][-11:]
    assert axis_of(page, "curves", "y")["title"].startswith("Differentiation / &lt;img")
    assert svg_texts(page, "#curves .ytitle") == [f"Differentiation / {SCRIPT}"]
    assert svg_texts(page, "#matrix .ytick text")[0].startswith("<")
    traces = [at for at, one in enumerate(drawn(page, "curves")) if one["meta"]["role"] == "mean"]
    for place, name in enumerate((SCRIPT, ODD[1], ODD[10])):
        for layer, layer_name in enumerate(names(hostile(), "layer")):
            point = f"{{curveNumber: {traces[place]}, pointNumber: {layer}}}"
            hovered(page, "curves", point, f"{name}{layer_name}relative ".replace("\n", " "))
    page.get_by_label("as they are").check()
    result = hostile()
    for plot, second in (("matrix", str(result["image_name"].values[3])), ("predictions", f"{ODD[3]} 3")):
        page.locator(f"#{plot}").scroll_into_view_if_needed()
        x, y = page.evaluate(
            """(id) => {
                const plot = document.getElementById(id), {xaxis, yaxis} = plot._fullLayout;
                const box = plot.getBoundingClientRect();
                return [box.x + xaxis._offset + xaxis.l2p(3), box.y + yaxis._offset + yaxis.l2p(4)];
            }""",
            plot,
        )
        page.mouse.move(x, y)
        label = page.locator(f"#{plot} .hoverlayer .hovertext text.nums")
        label.wait_for()
        assert (label.text_content() or "").startswith(f"{result['image_name'].values[4]}{second}")
    require_no_markup(page)


def assert_it_fits(page: Page, width: int) -> None:
    """Fail where something is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.innerWidth") == width
    for table in page.locator("#overview, #layer-table").all():
        assert table.bounding_box()["width"] < max(width, 1000)  # type: ignore[index]
    for plot in ("curves", "matrix", "filters", "predictions"):
        if page.locator(f"#{plot} .main-svg").count():
            box = page.evaluate(
                "(id) => document.querySelector(`#${id} .main-svg`).getBoundingClientRect().right", plot
            )
            assert box <= width


@pytest.mark.parametrize("make", [measured, kinds])
def test_nothing_is_wider_than_the_window(browser: Browser, make: Callable[[], Any]) -> None:
    """At a phone's width; names of 300 characters, there and on a desktop, are tried below."""
    with browsing(browser, PHONE) as context:
        assert_it_fits(opened(context, page_of(make)), PHONE[0])


def test_a_window_of_another_size(hostile_page: Page) -> None:
    """Plots become as wide as there is room and keep their heights."""
    page = hostile_page
    sizes = """() => [...document.querySelectorAll(".plot .main-svg:first-child")].map((one) => {
        const box = one.getBoundingClientRect();
        return [box.width, box.height];
    })"""
    before = np.array(page.evaluate(sizes))
    assert len(before) == 7
    page.set_viewport_size({"width": 700, "height": 900})
    page.wait_for_timeout(500)
    after = np.array(page.evaluate(sizes))
    np.testing.assert_array_equal(after[:, 1], before[:, 1])
    assert after[:, 0].max() < 700 < before[0, 0]
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


# ------------------------------------------------------------------------------------------- for every reader


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_accessibility(browser: Browser, hostile_file: Path, size: tuple[int, int]) -> None:
    """All fits, axe finds nothing serious; on a desktop it does not let pass a lost label and pale text."""
    # the page's own policy lets no script in, axe neither
    with browsing(browser, size, bypass_csp=True) as context:
        page = opened(context, hostile_file)
        assert_it_fits(page, size[0])
        grounds = []
        for scheme in GROUNDS[size]:
            prefer(page, scheme)
            grounds.append(background(page))
            assert violations(page, rules=RULES[scheme]) == [], scheme
        if size == PHONE:
            return
        assert grounds[0] > 0.9 > 0.05 > grounds[1]
        page.evaluate(
            """() => {
                document.querySelector("label:has(#layer)").replaceWith(document.getElementById("layer"));
                document.getElementById("curves-caption").style.color = "light-dark(#aaa, #444)";
            }"""
        )
        for scheme in SCHEMES:
            prefer(page, scheme)
            found = violations(page, within="#layer, #curves-caption")
            broken = {one.partition(":")[0] for one in found}
            assert {"select-name", "color-contrast"} <= broken, scheme


def luminance(colour: str) -> float:
    """Return how bright a colour of CSS is, 0 to 1 (WCAG 2)."""
    if colour.startswith("#"):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    else:
        parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def background(page: Page) -> float:
    """Return how bright the page is."""
    return luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def contrasts(page: Page) -> list[float]:
    """Return the contrast of each curve, and of the plot's text, with the page."""
    ground = background(page)
    colours = [one["line"]["color"] for one in drawn(page, "curves") if one["meta"]["role"] == "mean"]
    colours.append(page.evaluate("document.getElementById('curves')._fullLayout.font.color"))
    pairs = [sorted((luminance(colour), ground)) for colour in colours]
    return [(high + 0.05) / (low + 0.05) for low, high in pairs]


@pytest.fixture(scope="module")
def dark_page(browser: Browser, hostile_file: Path) -> Iterator[Page]:
    """The page of `hostile` where the system prefers a dark ground."""
    with browsing(browser, scheme="dark") as context:
        yield opened(context, hostile_file)


def test_light_and_dark(dark_page: Page) -> None:
    """As the system has it, or as chosen; curves and texts stand out on either."""
    page = dark_page
    dark = [one["line"]["color"] for one in drawn(page, "curves")]
    assert background(page) < 0.05
    assert min(contrasts(page)) >= 3
    prefer(page, "light")
    assert background(page) > 0.9
    light = [one["line"]["color"] for one in drawn(page, "curves")]
    assert all(one != other for one, other in zip(dark, light, strict=True))
    assert min(contrasts(page)) >= 3
    page.select_option("#theme", "dark")
    assert background(page) < 0.05
    assert [one["line"]["color"] for one in drawn(page, "curves")] == dark
    page.select_option("#theme", "auto")
    assert background(page) > 0.9
    prefer(page, "dark")
    page.select_option("#theme", "light")
    assert background(page) > 0.9
    assert [one["line"]["color"] for one in drawn(page, "curves")] == light
    page.select_option("#theme", "auto")


HEADS = [
    *("Units", "Set", "Layer", "Number of units", "Units used", "Differentiation", "SD over draws"),
    *("Interval of units", "Relative", "SD of relative", "Of units, relative", "Not converged"),
]


def test_printing(dark_page: Page) -> None:
    """Dark text on white without the controls, though the screen is dark; which layer it is is said."""
    page = dark_page
    page.evaluate(
        """() => window.addEventListener("beforeprint", () => {
            const layout = document.getElementById("curves")._fullLayout;
            window.printed = {font: layout.font.color, grid: layout.yaxis.gridcolor,
                line: document.getElementById("curves").data.at(-1).line.color};
        })"""
    )
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF")
    printed = page.evaluate("window.printed")
    assert luminance(printed["font"]) < 0.1
    assert luminance(printed["grid"]) > 0.5
    after = page.evaluate("document.getElementById('curves')._fullLayout.font.color")
    assert luminance(after) > 0.5  # dark again
    page.locator("#layer").select_option("1")  # which has maps
    page.emulate_media(media="print")
    assert background(page) > 0.9
    assert page.locator(":is(input, select, label, nav):visible").count() == 0
    buttons = page.locator("button:not(.picture):visible")
    assert buttons.count() == len(HEADS)
    assert buttons.all_inner_texts() == HEADS
    assert page.locator("#layer-section h2").inner_text() == f"Layer by layer: {ODD[3]}"
    assert page.locator("#table-note").is_visible()
    page.set_viewport_size({"width": 700, "height": 1000})  # of A4 with margins
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    assert page.locator("#numbers tbody tr").count() == len(table_rows(hostile()))
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


#: The words and numbers of tables and captions that stand on more than one line.
BROKEN = r"""() => {
    const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = texts.nextNode()); ) {
        const parent = node.parentElement;
        if (!parent.closest("table, figcaption, .gallery, .pair, .legend")) continue;
        if (!parent.checkVisibility()) continue;
        for (const word of node.data.matchAll(/[\p{L}\p{N}]+(?:[.+-]+\p{N}+)*/gu)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            const tops = [...range.getClientRects()].map((box) => Math.round(box.top));
            if (word[0].length <= 18 && new Set(tops).size > 1) found.push(word[0]);
        }
    }
    return found;
}"""


@pytest.fixture(scope="module")
def compared_page(browser: Browser) -> Iterator[Page]:
    """The page of `compared`."""
    with browsing(browser) as context:
        yield opened(context, page_of(compared))


def test_no_word_is_broken(compared_page: Page) -> None:
    """Nor any number, on a desktop, a phone and paper; names go on in a new line behind separators."""
    page = compared_page
    for width, medium in ((DESKTOP[0], "screen"), (PHONE[0], "screen"), (680, "print")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="print" if medium == "print" else "screen")
        assert page.evaluate(BROKEN) == [], medium
    names_of_two_lines = page.evaluate(
        """() => [...document.querySelectorAll(".gallery .name")].filter((one) => {
            const style = getComputedStyle(one);
            return one.clientHeight > 1.5 * parseFloat(style.lineHeight);
        }).map((one) => one.innerHTML)"""
    )
    assert names_of_two_lines
    assert all("<wbr>" in name for name in names_of_two_lines)
    breaking = "table, .gallery { word-break: break-all !important; }"
    narrow = "td, th { min-width: 0 !important; max-width: 2rem !important; }"
    style = page.add_style_tag(content=breaking + narrow)
    assert page.evaluate(BROKEN)
    style.evaluate("(one) => one.remove()")
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})


#: The headings that a page of paper may end with.
HEADINGS = """() => [...document.querySelectorAll("h2, h3, summary, .controls")].filter(
    (one) => one.checkVisibility() && getComputedStyle(one).breakAfter !== "avoid"
).map((one) => one.id || one.tagName)"""


def test_on_paper(compared_page: Page) -> None:
    """What is folded is shown, lines are explained, headings keep to what follows; no word of clicking."""
    page = compared_page
    page.locator(".gallery > summary").first.click()
    hidden = page.locator(".gallery > ul > li").first
    assert not hidden.is_visible()
    page.evaluate(
        """() => window.addEventListener("beforeprint", () => {
            window.open = document.querySelectorAll(".gallery[open]").length;
            window.said = document.getElementById("curves-caption").textContent;
            window.lines = document.querySelectorAll("#curves-legend li").length;
        })"""
    )
    assert "Choose a point" in text_of(page, "#curves-caption")
    assert page.locator("#curves-legend li").count() == 0  # the switches explain them
    assert page.pdf().startswith(b"%PDF")
    n_sets = compared().sizes["set"]
    assert page.evaluate("[window.open, window.lines]") == [n_sets, n_sets]
    said = page.evaluate("window.said")
    assert "Choose" not in said
    assert "Drag" not in said
    assert "The dotted vertical line is at the layer that is shown below." in said
    assert not hidden.is_visible()  # folded as it was
    page.emulate_media(media="print")
    assert page.evaluate(HEADINGS) == []
    texts = page.locator("body").inner_text()
    assert "where you point at" not in texts
    assert "BibTeX" not in texts
    page.emulate_media(media="screen")
    assert page.evaluate(HEADINGS) != []
    assert "where you point at" in page.locator("body").inner_text()


# ------------------------------------------------------------------------------------- many sets and layers


@once
def crowded() -> xr.Dataset:
    """Return a result of 20 sets and 35 populations, the last set its reference."""
    rng = np.random.default_rng(0)
    areas = [f"area {place:02}" for place in range(35)]
    given = {f"set {place:02}": {area: rng.normal(size=(4, 5)) for area in areas} for place in range(20)}
    return dif.measure_responses(given, n_units=(5,), reference="set 19")


#: Of each box that scrolls, how far its lower edge lies below a row's end.
BELOW_ROWS = """() => Object.fromEntries([...document.querySelectorAll(".tall, .few")].filter(
    (box) => box.checkVisibility() && box.scrollHeight > box.clientHeight).map((box) => {
    const edge = box.getBoundingClientRect().top + box.clientTop + box.clientHeight;
    const rows = [...box.querySelectorAll("tr, li, .pair, label")];
    const ends = rows.map((row) => row.getBoundingClientRect().bottom);
    return [box.firstElementChild.id || box.firstElementChild.className,
        Math.min(...ends.map((end) => Math.abs(edge - end)))];
}))"""


def test_all_sets_as_a_heat_map_and_found_by_name(browser: Browser) -> None:
    """It shows the values, in either order; a field chooses set and layer; names find sets and rows."""
    result = crowded()
    means = over_draws(result)[0][:, :, -1]
    with browsing(browser) as context:
        page = opened(context, page_of(crowded))
        np.testing.assert_allclose(drawn(page, "sets-map")[0]["z"], means)
        page.select_option("#sets-order", "value")
        order = np.argsort(-means[:, 0], kind="stable")
        (trace,) = drawn(page, "sets-map")
        assert trace["meta"]["order"] == order.tolist() != list(range(20))
        np.testing.assert_allclose(trace["z"], means[order])
        hidden = next(place for place, at in enumerate(order) if f"set {at:02}" not in spread_sets(result))
        page.evaluate("([x, y]) => byId('sets-map').emit('plotly_click', {points: [{x, y}]})", [7, hidden])
        assert page.locator("#layer").input_value() == "7"
        assert page.locator(f"input[name=set][value='{order[hidden]}']").is_checked()
        page.fill("#find-set", "SET 1")
        assert page.locator("input[name=set]:visible").count() == 10
        assert page.locator("#overview tbody tr:visible").count() == 10
        page.click("#no-sets")  # of those that are found
        checked = page.locator("input[name=set]:checked").all()
        assert {int(one.get_attribute("value") or "") for one in checked} <= set(range(10))
        assert len(checked) > 1
        page.fill("#find-row", "set 03")
        assert page.locator("#numbers tbody tr").count() == 35
        assert text_of(page, "#table-note").startswith("35 rows are found.")
        page.fill("#find-row", "no such")
        assert page.locator("#numbers tbody tr").count() == 0


#: What the report of 200 sets of 10 images may weigh; and how many times as long as that of three sets it may
#: take to open, which takes a second or so: a limit in seconds would depend on what else the machine does.
MOST_BYTES, TIMES_AS_LONG = 15e6, 4.0


@pytest.mark.soak
def test_two_hundred_sets(browser: Browser, tmp_path: Path) -> None:
    """The report with views and pictures is small, and opens soon."""
    rng = np.random.default_rng(0)
    sets = {f"set {number:03}": rng.integers(0, 256, (10, 32, 32), dtype=np.uint8) for number in range(200)}
    path = dif.write_report(dif.measure("digits", sets, n_units=(100, 500), draws=5), tmp_path / "many.html")
    assert path.stat().st_size < MOST_BYTES
    with browsing(browser) as context:
        seconds = []
        for file in (page_of(measured), path):
            begun = time.perf_counter()
            page = opened(context, file)
            seconds.append(time.perf_counter() - begun)
        assert seconds[1] < TIMES_AS_LONG * seconds[0], seconds
        assert len(drawn(page, "sets-map")[0]["z"]) == 200
        means = [one for one in drawn(page, "curves") if one["meta"]["role"] == "mean"]
        assert len(means) == 12
        assert page.locator("#image-0 img").count() == 1


@pytest.mark.soak
def test_many_sets_and_layers(browser: Browser) -> None:
    """A dozen sets at first, and the reference; layers are found by name; boxes end at rows."""
    with browsing(browser) as context:
        page = opened(context, page_of(crowded))
        assert text_of(page, "#sets-shown") == "13 of 20 are shown"
        shown = [one["meta"]["set"] for one in drawn(page, "curves") if one["meta"]["role"] == "mean"]
        assert shown == [int(name.removeprefix("set ")) for name in spread_sets(crowded())]
        for width in (DESKTOP[0], PHONE[0]):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(300)
            below = page.evaluate(BELOW_ROWS)
            assert {"numbers", "overview"} <= set(below)
            assert max(below.values()) <= 1.5, below
        assert {"layer-table", "pairs", "choices"} <= set(below)
        assert violations(page) == []
        page.evaluate("document.querySelector('.tall:has(#numbers)').style.maxHeight = '300px'")
        assert page.evaluate(BELOW_ROWS)["numbers"] > 1.5
        page.fill("#find-layer", "AREA 3")
        assert page.locator("#layer option").all_text_contents() == [
            f"area {place}" for place in range(30, 35)
        ]
        assert text_of(page, "#layers-found") == "5 found"
        page.keyboard.press("Enter")
        assert page.locator("#layer").input_value() == "30"
        page.get_by_label("Previous population").click()  # which is not among them: all are listed
        assert page.locator("#layer").input_value() == "29"
        assert page.locator("#layer option").count() == 35
        page.click("#no-sets")
        assert text_of(page, "#sets-shown") == "0 of 20 are shown"
        page.click("#all-sets")
        assert len({one["meta"]["set"] for one in drawn(page, "curves")}) == 20
        page.go_back()
        assert text_of(page, "#sets-shown") == "0 of 20 are shown"
        assert page.locator("input[name=set]:checked").count() == 0


# -------------------------------------------------------------------------------- results that lack something


def check_all_drawn(page: Page, result: xr.Dataset) -> None:
    """Fail unless the curves are those of the result at its largest number of units."""
    mean, _ = over_draws(result)
    lines = [one for one in drawn(page, "curves") if one["meta"]["role"] == "mean"]
    assert len(lines) == result.sizes["set"]
    for place, line in enumerate(lines):
        values = np.array([np.nan if value is None else value for value in line["y"]], dtype=float)
        np.testing.assert_allclose(values, mean[place, :, -1], rtol=1e-12)
    for words in page.locator(".note, figcaption, .controls").all_text_contents():
        assert "undefined" not in words


def arrays(n: int = 6, k: int = 30) -> dict[str, dict[str, np.ndarray]]:
    """Return responses of two areas to two sets."""
    return {
        name: {"V1": RNG.gamma(2.0, 1.0, (n, k)), "LM": RNG.gamma(1.0, 1.0, (n, k // 2))}
        for name in ("movie", "rest")
    }


def one_set() -> xr.Dataset:
    return dif.measure(
        "digits", {"digits": "digits:4"}, n_units=30, draws=2, layers=["block1_relu1", "predictions"]
    )


def without_views() -> xr.Dataset:
    sets = {"noise": "noise:4", "digits": "digits:4"}
    return dif.measure("digits", sets, n_units=30, draws=2, layers=["input", "predictions"], views=False)


def dead() -> xr.Dataset:
    """Return a result with a layer that is always 0, one that is for one set, and an ordinary one."""
    given = arrays()
    for name, areas in given.items():
        areas["silent"] = np.zeros((6, 20))
        areas["at rest silent"] = np.zeros((6, 20)) if name == "rest" else RNG.gamma(1.0, 1.0, (6, 20))
    with pytest.warns(dif.DifferentiaWarning):
        return dif.measure_responses(given, n_units=(5, 20), draws=3, reference="rest")


def plain_neurons() -> xr.Dataset:
    return dif.measure_responses(arrays())


def one_layer() -> xr.Dataset:
    only = {name: {"V1": areas["V1"]} for name, areas in arrays().items()}
    return dif.measure_responses(only, n_units=(5,), draws=2, reference="rest")


def many() -> xr.Dataset:
    return dif.measure_responses(
        {"many": {"V1": RNG.normal(size=(2_001, 3))}, "few": {"V1": RNG.normal(size=(2, 3))}}
    )


def means_of_filters() -> xr.Dataset:
    return kinds()["filter_mean"]


def not_normalized() -> xr.Dataset:
    return dif.measure_responses(arrays(), normalize="none", reference="rest")


NOT_THERE = "There are no distances"


@pytest.mark.parametrize(
    ("make", "said", "plots"),
    [
        (
            one_set,
            ["1 set,", "a reference (there is none)"],
            {"distribution", "matrix", "filters", "predictions"},
        ),
        (
            without_views,
            [
                "There are no means of channels: measure at most 2,000 images, with views=True",
                "There are no thumbnails: measure at most 2,000 images, with views=True",
                "No maps of channels were kept: choose some with --map LAYER:FILTER",
            ],
            {"distribution", "matrix"},
        ),
        (
            plain_neurons,
            ["Differentiation of responses", "12 stimuli in 2 sets, 2 populations", "Neurons: all."],
            {"distribution", "matrix"},
        ),
        (one_layer, ["1 population."], {"distribution", "matrix"}),
        (
            many,
            [f"{NOT_THERE}: measure at most 2,000", "2,003 stimuli"],
            set(),
        ),
        (
            without_channels,
            ["There are no means of channels: measure", "and layers whose channels are known"],
            {"distribution", "matrix", "predictions"},
        ),
        (means_of_filters, ["Units: filter mean.", "channel means"], {"distribution", "matrix"}),
        (not_normalized, ["in the unit of the responses", "distance / \u221aK"], {"distribution", "matrix"}),
    ],
)
def test_what_is_missing_is_said(
    browser: Browser,
    tmp_path: Path,
    make: Callable[[], xr.Dataset],
    said: list[str],
    plots: set[str],
) -> None:
    """The page opens, draws what there is, and says what is not there and how to get it."""
    result = make()
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "report.html"))
        check_all_drawn(page, result)
        texts = page.locator("body").inner_text() + " ".join(svg_texts(page, "svg text"))
        for text in said:
            assert text in texts
        every = {"distribution", "matrix", "filters", "predictions"}
        assert {plot for plot in every if page.locator(f"#{plot} .main-svg").count()} == plots
        for layer in range(result.sizes["layer"]):
            page.select_option("#layer", str(layer))
        if result.attrs["reference"]:
            page.locator("input[value=relative]").check()
        else:
            assert page.locator("input[value=relative]").is_disabled()
        for place in range(result.sizes["set"]):
            page.locator(f"input[name=set][value='{place}']").uncheck()
        assert drawn(page, "curves") == []


def test_layers_without_channels(browser: Browser, tmp_path: Path) -> None:
    """The page says which axis is not known, at that layer only; the other layers have their heat maps."""
    result = partly_without_channels()
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "report.html"))
        check_all_drawn(page, result)
        for layer, known in {"conv": True, "cut": False, "head": True}.items():
            page.select_option("#layer", label=layer)
            assert page.locator("#filters .main-svg").count() == (3 if known else 0), layer
            said = "which axis of this layer's output holds them is not known"
            assert (said in text_of(page, "#filters")) is not known
            assert (text_of(page, "#filters-caption") != "") is known


def test_layers_without_a_value(browser: Browser, tmp_path: Path) -> None:
    """A layer that never varies has no distances; one that varies for one set only shows that set's."""
    result = dead()
    with browsing(browser) as context:
        page = opened(context, dif.write_report(result, tmp_path / "report.html"))
        check_all_drawn(page, result)
        assert text_of(page, "section.warning h2") == "1 warning"
        page.select_option("#layer", label="silent")
        assert drawn(page, "distribution") == []
        assert "All responses are the same for movie, rest." in text_of(page, "#distribution-caption")
        assert [row[1] for row in table_of(page, "#layer-table")[1:]] == ["no value", "no value"]
        assert {value for row in drawn(page, "matrix")[0]["z"] for value in row[1:]} == {None, 0}
        page.select_option("#layer", label="at rest silent")
        assert {one["meta"]["set"] for one in drawn(page, "distribution")} == {0}
        assert "All responses are the same for rest." in text_of(page, "#distribution-caption")
        cards = page.locator("#pairs .pair p").all_text_contents()
        assert [card.endswith("all responses are the same") for card in cards] == [False, False, True, True]
        head, *overview = table_of(page, "#overview")
        assert head == ["Set", "Stimuli", "Highest", "Lowest"]  # populations have no order
        assert overview[0][1] == "6"


#: The formulas of the definition without their layout: of a normalised response, and of a distance.
NORMALIZED = {
    "layer": "zi=Ai\u03c3",
    "response": "zi=Ai\u2212\u03bci\u03c3i",
    "unit": "zik=Aik\u03c3k",
    "none": "zi=Ai",
}
DISTANCES = {
    "euclidean": "dij=\u2016zi\u2212zj\u2016K",
    "cityblock": "dij=1K\u2211k|zik\u2212zjk|",
    "correlation": "dij=1\u2212r(zi,zj)",
    "cosine": "dij=1\u2212cos(zi,zj)",
}


def test_the_formula_of_each_measure(browser: Browser, tmp_path: Path) -> None:
    """Each normalisation and metric has its own, which browsers set as mathematics; it is what a page has."""
    given = dif.measure_responses(arrays(), reference="rest")
    measures = [
        given.assign_attrs(normalize=one, metric=other) for one in NORMALIZATIONS for other in METRICS
    ]
    formulas = [formula(result) for result in measures]
    assert all(said for _, said in formulas)
    assert len({*formulas}) == len(NORMALIZATIONS) * len(METRICS) == 16
    for result, (mathematics, _) in zip(measures, formulas, strict=True):
        read = html.unescape(re.sub("<[^>]+>", "", mathematics))
        normalized, distance = NORMALIZED[result.attrs["normalize"]], DISTANCES[result.attrs["metric"]]
        assert read == f"{normalized}{distance}D=mediani<jdij"
    # each normalisation and each metric on one page
    for result, (mathematics, said) in zip(measures[::5], formulas[::5], strict=True):
        text = dif.write_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
        assert mathematics in text
        assert html.escape(said, quote=False).replace("'", "&#39;") in text
    everything = tmp_path / "formulas.html"
    body = "".join(f"<div>{mathematics}</div>" for mathematics, _ in formulas)
    everything.write_text(f"<!DOCTYPE html><meta charset='utf-8'><body data-ready>{body}", encoding="utf-8")
    with browsing(browser) as context:
        page = opened(context, everything)
        boxes = [one.bounding_box() for one in page.locator("math").all()]
        assert len(boxes) == 16
        # a fraction, or a sum, is higher than a line
        assert all(box is not None and box["height"] > 20 and box["width"] > 100 for box in boxes)


# ------------------------------------------------------------------------------------------------------ large


def large(n_layers: int = 500, n_images: int = 1_000, n_sets: int = 5) -> xr.Dataset:
    """Return the result of made-up numbers, as a deep network and many photographs would give it."""
    of_set = np.repeat([f"set {place}" for place in range(n_sets)], n_images // n_sets)
    layers = [f"stage{place // 50}/block{place % 50}/conv_{place}" for place in range(n_layers)]
    few = {name: {layer: RNG.normal(size=(2, 12)) for layer in layers} for name in dict.fromkeys(of_set)}
    result = dif.measure_responses(few, n_units=(3, 6, 9), draws=3, reference="set 0")
    points = RNG.normal(size=(n_images, 6))
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2)).astype(np.float32)
    filters = 32
    means = RNG.gamma(1.0, 1.0, (n_images, n_layers * filters)).astype(np.float32)
    pixels = np.kron(RNG.integers(0, 256, (n_images, 8, 8, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    probabilities = RNG.dirichlet(np.full(1_000, 0.02), n_images).astype(np.float32)
    plain = result.drop_dims("image")
    sums = np.full((n_images, n_layers), 9.0)
    return plain.assign(
        {
            "image_sum": (("image", "layer"), np.zeros_like(sums)),
            "image_sumsq": (("image", "layer"), sums),
            # the same for all layers, and in memory once
            "distance": (
                ("layer", "image", "image_other"),
                np.broadcast_to(distance, (n_layers, n_images, n_images)),
            ),
            "layer_size": ("layer", np.full(n_layers, 4_000)),
            "layer_mean": (("set", "layer"), np.ones((n_sets, n_layers))),
            "layer_sd": (("set", "layer"), np.ones((n_sets, n_layers))),
            "filter_mean": (("image", "filter"), means),
            "thumbnail": (("image", "thumbnail_y", "thumbnail_x", "thumbnail_channel"), pixels),
            "prediction": (("image", "class"), probabilities),
        }
    ).assign_coords(
        image_set=("image", of_set),
        image_name=("image", [f"photo_{row:04d}.jpg" for row in range(n_images)]),
        image_hash=("image", [f"{row}" for row in range(n_images)]),
        class_name=("class", [f"class {number}" for number in range(1_000)]),
        filter_layer=("filter", np.repeat(layers, filters)),
        filter_index=("filter", np.tile(np.arange(filters), n_layers)),
    )


@pytest.mark.soak
def test_a_large_result(browser: Browser, tmp_path: Path) -> None:
    """500 layers and 1,000 images: a page of a size to send, which says what was thinned."""
    import time

    result = with_facts(large(), network="deep")
    start = time.perf_counter()
    path = dif.write_report(result, tmp_path / "report.html", contrasts=())  # which would take minutes
    written = time.perf_counter() - start
    assert path.stat().st_size < 30e6
    with browsing(browser) as context:
        start = time.perf_counter()
        page = opened(context, path)
        ready = time.perf_counter() - start
        check_all_drawn(page, result)
        n = len(drawn(page, "matrix")[0]["z"])
        assert 20 <= n < 200
        assert f"{n} of 1,000 are shown, evenly chosen from each set" in text_of(page, "#matrix-caption")
        rows = len(drawn(page, "filters")[0]["z"])
        assert f"{rows} of 1,000 images are shown" in text_of(page, "#filters-caption")
        said = text_of(page, "#predictions-caption")
        assert "The 100 of 1,000 classes" in said
        assert "600 of 1,000 images are shown" in said
        assert text_of(page, "#table-note").startswith("100 of 7,500 rows are shown")
        ticks = svg_texts(page, "#curves .xtick text")
        assert 10 < len(ticks) < 100
        start = time.perf_counter()
        page.select_option("#layer", "17")
        switched = time.perf_counter() - start
        distances = large_distances(result, 17, "set 3")
        line, mark = (one for one in drawn(page, "distribution") if one["meta"]["set"] == 3)
        assert sum(line["customdata"]) == len(distances) == 200 * 199 / 2
        unit = np.median(distances) / mark["x"][0]  # of the made-up sums
        edges = np.array(line["x"][1:-1]) * unit
        np.testing.assert_array_equal(
            np.cumsum(line["customdata"])[:-1], [(distances < edge).sum() for edge in edges]
        )
        page.select_option("#count", "all")
        size = path.stat().st_size / 1e6
        print(f"{size:.1f} MB, written in {written:.1f} s, ready in {ready:.1f} s, layer in {switched:.2f} s")  # noqa: T201


def large_distances(result: xr.Dataset, layer: int, name: str) -> np.ndarray:
    """Return the distances of all pairs of a set's images, as they are."""
    rows = np.flatnonzero(result["image_set"].values == name)
    block = result["distance"].values[layer][np.ix_(rows, rows)]
    return block[np.triu_indices(len(rows), 1)]


# ------------------------------------------------------------------------------------------------- in Jupyter


def test_the_main_view_in_a_notebook(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Jupyter is given draws the curves and a layer within its frame, whose height is chosen."""
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert dif.show(measured(), height=700) is None
    (given,) = shown
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!DOCTYPE html><body data-ready>{given.data}", encoding="utf-8")
    with browsing(browser) as context:
        page = opened(context, notebook)
        frame = page.locator("iframe")
        assert frame.bounding_box()["height"] == 700  # type: ignore[index]
        view = frame.content_frame
        view.locator("body[data-ready]").wait_for(state="attached")
        assert view.locator("#curves .scatterlayer .point").count() == 12
        lines = view.locator("#curves").evaluate(
            "(plot) => plot.data.filter((one) => one.meta.role === 'mean')"
        )
        mean, _ = over_draws(measured())
        for place, line in enumerate(lines):
            np.testing.assert_allclose(line["y"], mean[place, :, 2])
        view.locator("#layer").select_option("1")
        assert view.locator("#maps img").count() > 0
        assert view.locator("#numbers, #images-section, nav, header").count() == 0
