"""The page docs/performance.md says what the benchmarks wrote."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
from helpers.documents import DOCS, script

PAGE = DOCS / "performance.md"


@pytest.fixture(scope="module", name="script")
def script_() -> ModuleType:
    """The script that writes the page."""
    return script("write_performance")


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
    names = ", ".join(f"`benchmarks/{name}.py`" for name in script.SECTIONS)
    assert f"{names}: not run yet." in page


def test_medians_by_workers(script: ModuleType) -> None:
    """What tasks cost, and what that predicts; that a value was another is not to be overlooked."""
    benchmark = script.Benchmark("cluster", {"responses": 100_000, "units": 1_000, "processes": 2})

    def taken(seconds: float, **more: float) -> object:
        return script.Taken(turns=[{"turn": 1, "seconds": seconds, "cpu_s": 1.0, "peak_gb": 0.5, **more}])

    benchmark.ways = {
        "one process": taken(80.0),
        "two workers": taken(50.0, worker_gb=0.7),
        "two on their own": taken(48.0),
    }
    benchmark.facts = {
        "empty_task_s": 0.002,
        "task_s": 0.04,
        "merge_s": 0.003,
        "tasks": 30,
        "tasks_tenth": 300,
        "seconds": 50.0,
        "seconds_tenth": 56.0,
        "read_gb_s": 1.0,
        "equal": True,
        "pairs_units_s 1000": 5e10,
        "pairs_units_s 10000": 6e10,
    }
    model = importlib.import_module("cluster")  # which the script has found
    benchmark.facts["predicted"] = model.predicted(benchmark.facts)._asdict()
    section = " ".join(script.cluster_section(benchmark).split())
    assert "| two on their own / two workers | 0.960 |" in section
    assert "costs 40 ms of a worker" in section
    products = 21 * (1e6**2 / 2 * 1e4) / 6e10 / 64 / 3600
    assert products < benchmark.facts["predicted"]["hours"] < 1.1 * products
    assert "at 6e+10 pairs x units a second" in section
    gigabytes = benchmark.facts["predicted"]["read_gb_s"] * benchmark.facts["predicted"]["hours"] * 3600
    assert f"with which it takes {gigabytes / 2.0 / 3600:,.1f} hours" in section
    benchmark.facts["equal"] = False
    assert "was NOT that of one process" in " ".join(script.cluster_section(benchmark).split())


def test_recording_by_workers(script: ModuleType) -> None:
    """The pace is that of more images: neither the beginning nor the end counts."""
    times = {
        "two on their own, 500 images": 20.0,
        "two on their own, 2,000 images": 50.0,
        "two workers, 500 images": 35.0,
        "two workers, 2,000 images": 67.0,
    }
    options = {"network": "net", "few": 500, "many": 2000, "processes": 2}
    benchmark = script.Benchmark("cluster_recording", options)
    for name, seconds in times.items():
        turn = {"turn": 1, "seconds": seconds, "cpu_s": 1.0, "peak_gb": 0.5}
        benchmark.ways[name] = script.Taken(turns=[turn])
    section = " ".join(script.recording_section(benchmark).split())
    assert "| two workers / two on their own | 0.938 |" in section  # 30 s of 32
    assert "takes 15 s longer here" in section
    hours = 1e6 / (1500 / 32 / 2) / 64 / 3600
    assert f"{hours:.1f} hours" in section
    assert f"they write {1500 / 32 / 2 * 64 * 21 * 1e4 * 4 / 1e9:.2g} GB a second" in section


def test_many_files(script: ModuleType) -> None:
    """Times since the beginning, and the most memory of any turn."""
    most = {"listed": 5.0, "first": 10.0, "beyond_gb": 0.3}
    options = {"files": 100_000, "folders": 100, "most": most}
    benchmark = script.Benchmark("many_files", options)
    turns = [
        {
            "turn": 1,
            "seconds": 9.0,
            "cpu_s": 9.0,
            "peak_gb": 9.0,
            "listed": 1.0,
            "first": 2.0,
            "beyond_gb": 0.1,
        },
        {
            "turn": 2,
            "seconds": 9.0,
            "cpu_s": 9.0,
            "peak_gb": 9.0,
            "listed": 3.0,
            "first": 4.0,
            "beyond_gb": 0.2,
        },
    ]
    benchmark.ways = {name: script.Taken(turns=turns) for name in ("plain", "one folder", "many folders")}
    section = script.many_files_section(benchmark)
    assert "## 100,000 files" in section
    assert "less than 5 s, 10 s and 300 MB" in " ".join(section.split())
    assert "| `sets_from`, 100 folders | 2.00 (1.00 to 3.00) | 3.00 (2.00 to 4.00) | 200 | 2 |" in section


def test_medians_beside_other_ways(script: ModuleType) -> None:
    """Half a product takes half of its time; what was not done has no number."""
    benchmark = script.Benchmark("distances", {"sizes": [1000, 20_000, 50_000], "units": 10})

    def taken(seconds: float, **more: float) -> object:
        return script.Taken(turns=[{"turn": 1, "seconds": seconds, "cpu_s": 1.0, "peak_gb": 1.0, **more}])

    benchmark.ways = {
        "ours, 1000": taken(3.0, error=2e-8),
        "product, 1000": taken(4.0),
        "scipy, 1000": taken(30.0),
        "ours, 20000": taken(6.0, extra_gb=0.2),
        "product, 20000": taken(10.0),
        "scikit-learn, 20000": taken(15.0),
    }
    rows = [line for line in script.distances_section(benchmark).splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        "| 1,000 | 3.00 | 1.50 |  |  | 10.0 |  | 2e-08 | 1 |",
        "| 20,000 | 6.00 | 1.20 | 2.50 |  |  | 200 |  | 1 |",
    ]


def test_a_run_goes_on_with_earlier_turns(script: ModuleType, tmp_path: Path) -> None:
    """Their numbers go on; not on those of other options or of another machine, nor on nothing."""
    path = tmp_path / "sums.json"
    given = argparse.Namespace(json=path, add=True)
    with pytest.raises(SystemExit, match="name one that there is"):
        script.Benchmark.of("sums", {"n": 3}, given)
    first = script.Benchmark.of("sums", {"n": 3}, argparse.Namespace(json=path, add=False))
    turn = {"turn": 4, "seconds": 2.0, "cpu_s": 1.0, "peak_gb": 1.0}
    first.ways["slow"] = script.Taken(turns=[turn])
    first.write()
    second = script.Benchmark.of("sums", {"n": 3}, given)
    assert second.ways["slow"].turns == [turn]
    assert second._turns == 4
    second.ways["fast"] = script.Taken(turns=[{**turn, "turn": 5}])
    second.write()
    assert list(script.Benchmark.read(path).ways) == ["slow", "fast"]
    assert script.ratios(second.ways["slow"], second.ways["fast"]) == []
    with pytest.raises(SystemExit, match="has the options"):
        script.Benchmark.of("sums", {"n": 4}, given)
    written = json.loads(path.read_text(encoding="utf-8"))
    written["machine"]["cores"] += 1
    path.write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(SystemExit, match="of a machine with cores"):
        script.Benchmark.of("sums", {"n": 3}, given)
