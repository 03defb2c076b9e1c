"""The words of pages that take hours to write are those of their scripts, and the tables have their form."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers.documents import DOCS, script
from helpers.zoo import NETWORKS
from scipy.special import ndtri

from differentia.results.contrasts import compare


def page(name: str) -> str:
    """Return a page of docs/."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of a text's tables, without the heads."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in rows if len(row) > 1]


def test_unit_kinds() -> None:
    """What stands above and below its tables."""
    written, told = page("unit_kinds"), script("write_unit_kinds")
    assert written.startswith(told.HEAD)
    assert written.endswith(told.TAIL)


def test_sketch_accuracy() -> None:
    """What stands above its tables."""
    assert page("sketch_accuracy").startswith(script("write_sketch_accuracy").HEAD)


def test_bfloat16() -> None:
    """What stands above its table; and each network has its row, with a median and what is no less."""
    written, told = page("bfloat16"), script("write_bfloat16")
    assert written.startswith(told.HEAD)
    head, _, *rows = rows_of(written.removeprefix(told.HEAD))
    assert tuple(head) == told.COLUMNS
    assert [row[0] for row in rows] == list(told.NETWORKS)
    for _, layers, *cells in rows:
        assert int(layers) > 0
        for median, largest in (map(float, cell.split(" / ")) for cell in cells):
            assert 0 < median <= largest


def test_networks() -> None:
    """What stands above its table; and each network has its row, in which the calls add up."""
    written, told = page("networks"), script("write_networks")
    assert written.startswith(told.HEAD)
    head, _, *rows = rows_of(written.removeprefix(told.HEAD))
    assert tuple(head) == told.COLUMNS
    assert [row[0] for row in rows] == [f"{one.package}: {one.name}" for one in NETWORKS]
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        assert int(cells["calls"]) == int(cells["recorded"]) + int(cells["not"])
        assert 0 < float(cells["error"]) < 1e-5


def test_coverage() -> None:
    """The whole page, written anew from the numbers beside it."""
    told = script("write_coverage")
    counted = json.loads(told.COUNTED.read_text(encoding="utf-8"))
    assert told.page(counted) == page("coverage")


def test_coverage_is_of_all_kinds() -> None:
    """No kind of the battery is left out of what was counted, nor of the widths before."""
    told = script("write_coverage")
    counted = json.loads(told.COUNTED.read_text(encoding="utf-8"))
    before = json.loads(told.BEFORE.read_text(encoding="utf-8"))["half_width"]
    cells = {(row["kind"], row["images"]) for row in counted["intervals"]}
    assert cells == {(name, n) for name in told.KINDS for n in told.SIZES}
    assert {(name, int(n)) for name, widths in before.items() for n in widths} == cells
    assert {row["kind"] for row in counted["power"]} == {*told.LISTED}


def interval(**changed: Any) -> dict[str, Any]:
    """Return what is counted of one cell of intervals."""
    doubts = {"strong images": 0.0, "long tail": 0.0, "gap": 0.0}
    found = {"kind": "Gaussian", "images": 43, "coverage": 0.95, "of_normal": 1.0, "doubts": doubts}
    return found | changed


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"coverage": 0.90}, "hold the truth"),
        ({"doubts": {"gap": 0.2}}, "though"),
        ({"of_normal": 1.4}, "half width"),
    ],
)
def test_what_coverage_misses(changed: dict[str, Any], what: str) -> None:
    """Each part of the criterion is missed by a cell that misses it, and by no other."""
    misses = script("coverage_intervals").misses
    (missed,) = misses([interval(**changed)], 1000)
    assert missed.startswith("Gaussian, 43 images: ")
    assert what in missed
    assert misses([interval(), interval(coverage=0.5, doubts={"gap": 0.95}, of_normal=None)], 1000) == []
    assert misses([interval(kind="white noise", **changed)], 1000) == []  # of which no claim is made


@pytest.mark.parametrize("difference", [-0.1, 0.0, 0.1])
def test_coverage_counts_the_limits_of_contrasts(difference: float) -> None:
    """A difference counts as left out where it lies outside the limits that a contrast tells."""
    contrasts, intervals = script("coverage_contrasts"), script("coverage_intervals")
    one, other = (intervals.simulate("Gaussian", n, 0.0, 20, map) for n in (20, 43))
    left_out = contrasts.p_values(one, other, difference) < contrasts.ALPHA
    limits = [
        compare(contrasts._known(one, at), contrasts._known(other, at)).limits(-ndtri(0.025))[0]
        for at in range(20)
    ]
    assert left_out.tolist() == [not low <= difference <= high for low, high in limits]
    assert left_out.any() or difference == 0.0


@pytest.mark.parametrize("texts", [1, 2])
def test_tables(texts: int) -> None:
    """Columns of numbers stand to the right."""
    lines = script("markdown_tables").table(["a", "b", "c"], [["x", "y", "1"], ["z", "2", "3"]], texts=texts)
    rule = {1: "|---|---:|---:|", 2: "|---|---|---:|"}[texts]
    assert lines == ["| a | b | c |", rule, "| x | y | 1 |", "| z | 2 | 3 |"]


def test_depth() -> None:
    """The whole page, written anew from the numbers beside it; no kind or number of sets is left out."""
    told = script("write_depth")
    counted = json.loads(told.COUNTED.read_text(encoding="utf-8"))
    assert told.page(counted) == page("depth")
    cells = [(row["kind"], row["sets"]) for row in counted["coverage"]]
    assert cells == [(name, n) for name in told.GENERATORS for n in told.SIZES]
    assert [len(example["rows"]) for example in counted["examples"]] == [16, 16]


def test_depth_marks_what_misses() -> None:
    """A coverage beyond 93 to 97 % at 12 and 50 sets; of 6 none."""
    told = script("write_depth")
    row = {"kind": "normal", "sets": 12, "pearson": {"held": 0.929}, "slope": {"held": 0.93}}
    assert told.misses(row, "pearson")
    assert not told.misses(row, "slope")
    assert not told.misses({**row, "sets": 6}, "pearson")
    known = {"pearson": 0.6, "spearman": 0.6, "slope": 0.6}
    found = told.coverage("normal, 0.6", 12, known, 300)
    assert 0.90 < found["pearson"]["held"] < 0.99
    assert told.coverage("normal, 0.6", 12, {**known, "pearson": 0.0}, 300)["pearson"]["held"] < 0.6


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.usefixtures("real_data")
def test_depth_of_mobilenet() -> None:
    """Measured anew, its layers follow the photographs as the page says, and as SciPy does."""
    told = script("write_depth")
    (expected, _) = json.loads(told.COUNTED.read_text(encoding="utf-8"))["examples"]
    parts = np.array_split(np.arange(143), told.EXAMPLE)
    ordered = told.by_contrast()
    sets = {f"contrast {number}": [ordered[at] for at in part] for number, part in enumerate(parts, start=1)}
    _, about = told.example("contrast", sets, "none")  # which compares with SciPy
    for row, as_told in zip(about["rows"], expected["rows"], strict=True):
        assert row["layer"] == as_told["layer"]
        for name in ("pearson", "pearson_low", "spearman", "slope_high", "pairs"):
            assert row[name] == pytest.approx(as_told[name], abs=0.02)


def test_between() -> None:
    """The whole page, written anew from the numbers beside it; no case or number of images is left out."""
    told = script("write_between")
    counted = json.loads(told.COUNTED.read_text(encoding="utf-8"))
    assert told.page(counted) == page("between")
    cells = [(row["case"], tuple(row["images"])) for row in counted["rows"]]
    assert cells == [(name, sizes) for name in told.CASES for sizes in told.SIZES]


def test_between_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of sets that lie apart hold the truth, and not another; a false positive is one of one kind."""
    told = script("write_between")
    moved = told.row("Gaussian, moved", (20, 50), 100, map)
    assert moved["held"] > 0.88
    assert moved["found"] == 1
    assert moved["told"] > 0.9
    assert moved["truth"] > 0.2
    row = {"same": True, "found": 0.09, "held": 0.90, "told": 1.0}
    assert told.is_false(row, 1000)
    assert told.misses(row, 1000)
    assert not told.is_false({**row, "same": False}, 1000)
    assert not told.is_false({**row, "found": 0.07}, 1000)
    assert not told.misses({**row, "held": 0.92}, 1000)
    monkeypatch.setattr(told.Two, "truth", lambda *_: 0.0)
    assert told.row("Gaussian, moved", (20, 50), 50, map)["held"] == 0


def test_trials() -> None:
    """The whole page, written anew from the numbers beside it; no kind or number of sessions is left out."""
    told = script("write_trials")
    counted = json.loads(told.COUNTED.read_text(encoding="utf-8"))
    assert told.page(counted) == page("trials")
    assert [row["name"] for row in counted["within"]] == list(told.SESSIONS)
    cells = [(row["name"], row["sessions"]) for row in counted["across"]]
    assert cells == [(name, n) for name in told.ACROSS for n in told.SIZES]
    cells = [(row["name"], row["trials"]) for row in counted["of_set"]]
    assert cells == [(name, n) for name in told.VALUES for n in told.OF_SET]
    assert [row["slope"] for row in counted["models"]] == list(told.SLOPES)
    assert [row["name"] for row in counted["together"]] == list(told.AREAS_TOGETHER)


def test_trials_are_simulated_as_the_page_says() -> None:
    """With few simulations: about 5 % where means are the same, and more where runs are ignored."""
    told = script("write_trials")
    by_run, runs = (told.within(name, 150) for name in ("runs, by run", "runs"))
    assert by_run["two-sided"] < 0.1
    assert runs["two-sided"] > by_run["two-sided"]
    held = told.across("normal", 15, 2000)
    assert held["below"] + held["above"] == pytest.approx(0.05, abs=0.02)
    assert told.families(15, 20) < 0.3
    of_set = told.of_set("normal", 10, 200)
    assert of_set["held"] == pytest.approx(0.96, abs=0.03)
    assert of_set["differ"] < 0.1
    # the mean of what is drawn is what is called its truth
    rng = np.random.default_rng(0)
    for given in told.ACROSS.values():
        drawn = np.concatenate([given.draw(rng, (1000,)) for _ in range(100)])
        assert drawn.mean() == pytest.approx(given.truth, abs=4 * drawn.std() / np.sqrt(len(drawn)))
        assert drawn.mean() != pytest.approx(1.1 * given.truth, abs=4 * drawn.std() / np.sqrt(len(drawn)))
    for values in told.VALUES.values():
        drawn = values.draw(rng, (100_000,))
        assert drawn.mean() == pytest.approx(1.0, abs=4 * drawn.std() / np.sqrt(len(drawn)))


@pytest.mark.slow
def test_mixed_models_are_simulated_as_the_page_says() -> None:
    """Sessions that differ in their difference: without slopes p < 0.05 far too often."""
    found = script("write_trials").models(0.5, 8)
    assert found["intercepts"] > found["across"]
    assert found["slopes_failed"] == found["intercepts_failed"] == 0
    together = {name: script("write_trials").together(name, 20) for name in ("trials", "areas")}
    assert together["trials"]["interaction"] < together["areas"]["interaction"]


@pytest.mark.real_data
@pytest.mark.usefixtures("real_data")
def test_trials_of_published_values() -> None:
    """Compared anew, they are those of the page."""
    told = script("write_trials")
    expected = json.loads(told.COUNTED.read_text(encoding="utf-8"))["published"]
    _, found = told.example()
    assert found["said"] == expected["said"]
    for row, as_told in zip(found["rows"], expected["rows"], strict=True):
        assert row.keys() == as_told.keys()
        for name, value in row.items():
            assert value == (
                as_told[name] if isinstance(value, str) else pytest.approx(as_told[name], rel=1e-3)
            )


def test_fmri() -> None:
    """The whole page, written anew from its numbers: limits of blocks hold, those of volumes do not."""
    told = script("write_neurons")
    counted = json.loads(told.COUNTED.read_text(encoding="utf-8"))
    assert told.page(counted) == page("fmri")
    cells = [
        (*(row[name] for name in ("correlation", "in_common", "size")), row["blocks_of_set"])
        for row in counted["coverage"]
    ]
    assert cells == [*product(told.CORRELATIONS, told.IN_COMMON, told.SIZES, told.BLOCKS)]
    assert min(row["blocks"] for row in counted["coverage"]) > told.LEAST_HELD
    dependent = [row["volumes"] for row in counted["coverage"] if row["in_common"] or row["size"]]
    assert max(dependent) < 0.7


def test_repeats() -> None:
    """The whole page, written anew from the numbers beside it; no kind or number of stimuli is left out."""
    told = script("write_repeats")
    counted = json.loads(told.COUNTED.read_text(encoding="utf-8"))
    assert told.page(counted) == page("repeats")
    assert [(one["kind"], tuple(one["size"])) for one in counted["rows"]] == [
        (name, size) for name in told.KINDS for size in told.SIZES
    ]
    assert [one["kind"] for one in counted["squares"]] == [*told.KINDS]
    # What is asked of it: squares that are unbiased, and a value within 2 % where that of one trial is not.
    assert all(abs(one["ratio"] - 1) < 3.5 * one["error"] for one in counted["squares"])
    found = [one for one in counted["rows"] if abs(one["noise_free"] - 1) < 0.02 and one["plain"] > 1.2]
    assert {one["kind"] for one in found} >= {
        "five factors",
        "two factors, low rates",
        "shared gain",
        "drift",
    }


def test_repeats_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squares without noise are unbiased; limits hold the truth, and not another; what misses is told."""
    told = script("write_repeats")
    monkeypatch.setattr(told, "MANY", 5_000)
    monkeypatch.setattr(told, "PARTNERS", 10)
    ratios = np.array([told.squares("shared gain", number) for number in range(200)])
    assert abs(ratios.mean() - 1) < 3 * ratios.std() / np.sqrt(200)
    same = np.array([told.of_same("five factors", 6, number) for number in range(20)])
    plain, of_mean, without = same.mean(axis=0)
    assert abs(without - 1) < 0.02
    assert plain > 1.3 > of_mean > 1.1
    row = told.row("five factors", (20, 4), 30, map)
    assert row["held"] > 0.8
    assert row["doubt"] < 0.2
    assert 0.88 < row["truth"] < 0.94
    monkeypatch.setattr(told, "truth", lambda _: 0.5)
    assert told.row("five factors", (20, 4), 10, map)["held"] < 0.5
    assert told.misses({"held": 0.90, "doubt": 0.0}, 300) == -1
    assert told.misses({"held": 0.90, "doubt": 0.9}, 300) == 0  # of so few that are told
    assert told.misses({"held": 0.999, "doubt": 0.0}, 300) == 1
    assert told.misses({"held": None, "doubt": 1.0}, 300) == 0
