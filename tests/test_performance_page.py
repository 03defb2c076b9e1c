"""The page docs/performance.md says what the benchmarks wrote."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("write_performance", DOCS / "write_performance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    """Numbers and page are the same; ``make bench`` measures and writes both anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == script.page(script.read(script.RESULTS))
    assert max(map(len, page.splitlines())) <= 120


def test_another_number_makes_another_page(script: ModuleType, tmp_path: Path) -> None:
    """One second more, in one turn, is seen."""
    for path in script.RESULTS.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert script.page(script.read(tmp_path)) == PAGE.read_text(encoding="utf-8")
    changed = json.loads((tmp_path / "photographs.json").read_text(encoding="utf-8"))
    next(iter(changed["ways"].values()))["turns"][0]["seconds"] += 1
    (tmp_path / "photographs.json").write_text(json.dumps(changed), encoding="utf-8")
    assert script.page(script.read(tmp_path)) != PAGE.read_text(encoding="utf-8")


def test_medians_and_ranges(script: ModuleType) -> None:
    """Of known turns; ratios are those within a turn, and not of the medians."""
    assert script.spread([4.0, 1.0, 2.0]) == "2.00 (1.00 to 4.00)"
    assert script.spread([4.0]) == "4.00"
    slow, fast = (
        script.Taken(
            turns=[{"turn": turn, "seconds": s, "cpu_s": 1.0, "peak_gb": s} for turn, s in seconds.items()]
        )
        for seconds in ({1: 2.0, 2: 6.0, 3: 9.0}, {2: 2.0, 3: 9.0, 1: 1.0, 4: 7.0})
    )
    assert script.spread(script.ratios(slow, fast)) == "2.00 (1.00 to 3.00)"
    row = script.ways_table({"slow": slow})[-1]
    assert row == "| slow | 6.00 (2.00 to 9.00) | 1.00 |  | 9.00 | 3 |"


@pytest.mark.parametrize(
    ("value", "told"),
    [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123"), (0.00123, "0.0012")],
)
def test_three_digits(script: ModuleType, value: float, told: str) -> None:
    """Or all of them before the point."""
    assert script.number(value) == told


def test_what_was_not_run_is_named(script: ModuleType) -> None:
    """On a page of no benchmark at all."""
    page = script.page({})
    assert "`benchmarks/vgg16.py`, `benchmarks/photographs.py`, `benchmarks/growth.py`: not run yet." in page
