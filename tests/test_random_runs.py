"""Runs that are drawn at random, against plain float64 loops and, if they were disturbed, undisturbed runs.

``docs/reliability.md`` has a section of them. ``make soak`` tries for DIFFERENTIA_SOAK_SECONDS.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count as numbers
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
import xarray as xr
from helpers import oracles, random_networks
from helpers.documents import DOCS, script
from helpers.hooked import hooked
from helpers.runs import Runner, assert_same_results, leftovers
from helpers.tries import Rows

import differentia as dif

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork and no SIGKILL"),
    pytest.mark.slow,
]

ROWS = Rows("Random runs")
LOOPS = "Every response is the network's, every value that of float64 loops"

#: How long the tests of ``make soak`` take together, and what share of it each has.
SECONDS = float(os.environ.get("DIFFERENTIA_SOAK_SECONDS", "900"))

#: Of the largest response of a layer: how far one may be from the network in float64.
RESPONSE_ERROR = {None: 1e-4, "bfloat16": 0.15}

#: Values of each try that are compared with loops.
VALUES = 12

KINDS = ("random", "top", "top_variance", "per_filter", "filter_mean", "all", "sketch")
SIDE = random_networks.SHAPE[1]


@pytest.fixture(scope="session")
def counts() -> dict[str, dict[str, int]]:
    """What was drawn, which is written with the tries."""
    ROWS.more = {"drawn": {}, "seconds": SECONDS}
    drawn: dict[str, dict[str, int]] = ROWS.more["drawn"]
    return drawn


def seeds(name: str, share: float, quick: int, soak: bool) -> Iterator[np.random.Generator]:
    """Yield the generators of some tries: the first few, or then so many as there is time for."""
    end = time.monotonic() + share * SECONDS
    for seed in numbers(quick) if soak else range(quick):
        if soak and time.monotonic() > end:
            return
        sys.stdout.write(f"{name}, seed {seed}\n")  # shown where it fails
        yield np.random.default_rng([seed, *name.encode()])


both = pytest.mark.parametrize("soak", [False, pytest.param(True, marks=pytest.mark.soak)])


@dataclass
class Case:
    """What is measured, and how, by chance."""

    random: np.random.Generator
    folder: Path
    #: The images of each set, where they are known beforehand.
    known: dict[str, np.ndarray] = field(default_factory=dict)
    sets: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    measure: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        random = self.random
        seed, chance = int(random.integers(2**31)), random.random()
        self.of_keras = chance > KERAS
        self.dtype = "bfloat16" if chance < 0.1 else None
        if self.of_keras:
            from helpers import random_keras

            self.shape, self.channels = random_keras.SHAPE, 2
            self.model = random_keras.model(seed)
            self.network = dif.load_network(self.model, preprocess="unit")
        else:
            self.shape, self.channels = random_networks.SHAPE, 0
            self.module = random_networks.network(seed)
            self.network = dif.load_network(
                self.module, preprocess="unit", input_shape=self.shape, dtype=self.dtype
            )
        for number in range(random.integers(1, 5)):
            self.add_set(f"set {number}")
        self.kind = str(random.choice(KINDS))
        counted = self.kind not in ("filter_mean", "all")
        if counted:
            some = random.choice([1, 3, 10, 40, 150, 400], int(random.integers(1, 3)), replace=False)
            self.measure["n_units"] = sorted(map(int, some))
            self.record["pool"] = int(random.choice([1, 2]) * max(self.measure["n_units"]))
        sketched = self.kind == "sketch"
        self.measure["draws"] = int(random.integers(1, 5))
        self.measure["normalize"] = str(random.choice(["layer", "none"] if sketched else NORMALIZATIONS))
        self.measure["metric"] = str(random.choice(["euclidean"] if sketched else METRICS))
        self.measure["confidence"] = float(random.choice([0.9, 0.95]))
        self.record |= {
            "units": self.kind,
            "layers": [":leaves"]
            if random.random() < 0.7
            else ["input", *(["conv*"] if self.of_keras else ["maps.*"]), "head"],
            "seed": int(random.integers(5)),
            "resize": "bilinear",
            "crop": "squash",
            "views": bool(random.random() < 0.5),
            "skip_unreadable": True,
            "drop_duplicates": bool(random.random() < 0.3),
            "memory": random.choice(np.array([None, "20MB", "200MB"], dtype=object)),
            "compress": random.choice(np.array([None, None, "zstd"], dtype=object)),
            "compile": "never",
        }
        if random.random() < 0.8:
            self.record["batch_size"] = int(random.integers(1, 9))

    def add_set(self, name: str) -> None:
        """Add images of one kind of source."""
        random = self.random
        n, kind = int(random.integers(2, 9)), str(random.choice(SOURCES))
        pixels = random.integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)
        if random.random() < 0.3:  # with margins that all images share
            pixels[:, : SIDE // 2] = 128
        if n > 2 and random.random() < 0.2:
            pixels[-1] = pixels[0]
        if kind == "array":
            self.sets[name], self.known[name] = pixels, pixels
        elif kind == "npy":
            np.save(self.folder / f"{name}.npy", pixels)
            self.sets[name], self.known[name] = str(self.folder / f"{name}.npy"), pixels
        elif kind == "folder":
            self.sets[name], self.known[name] = self._written(name, pixels), pixels
        elif kind == "noise":
            self.sets[name] = f"noise:{n}?kind={random.choice(['uniform', 'gaussian', 'pink'])}"
        else:
            ways = ["phase", "pixels", "blocks"]
            self.sets[name] = f"scramble:{self._written(name, pixels)}?kind={random.choice(ways)}"

    def _written(self, name: str, pixels: np.ndarray) -> str:
        """Write images as files, of another size at times, and one that can't be read."""
        random, folder = self.random, self.folder / name
        folder.mkdir()
        larger = random.random() < 0.3
        for number, image in enumerate(pixels):
            picture = PIL.Image.fromarray(image)
            if larger:
                picture = picture.resize((31, 23), PIL.Image.Resampling.NEAREST)
                pixels[number] = np.asarray(picture.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR))
            picture.save(folder / f"{number:02}.png")
        if random.random() < 0.3:
            (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
        return str(folder)

    def looked_at(self, given: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Return what the layers give for each image alone: in float64, or of a Keras model in float32."""
        if self.of_keras:
            from helpers import random_keras

            return [random_keras.outputs(self.model, image) for image in given]
        wide = self.module.double()
        each = [hooked(wide, torch.from_numpy(image[np.newaxis])).values for image in given]
        self.module.float()
        return each

    def responses(self, **changes: Any) -> dif.Responses:
        """Record."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dif.DifferentiaWarning)
            return dif.record(self.network, self.sets, **{**self.record, **changes})

    def result(self, **changes: Any) -> xr.Dataset:
        """Record and measure."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dif.DifferentiaWarning)
            return dif.measure(self.network, self.sets, **{**self.record, **self.measure, **changes})


NORMALIZATIONS = ("layer", "layer", "response", "unit", "none")
METRICS = ("euclidean", "euclidean", "cityblock", "correlation", "cosine")
#: Above which of random numbers below 1 a model is one of Keras.
KERAS = 0.88

SOURCES = ("array", "npy", "folder", "noise", "scrambled")


def case_of(random: np.random.Generator, folder: Path) -> Case:
    """Return a case in a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Case(random, folder)


@dataclass
class Truth:
    """What plain hooks and loops say of a case."""

    case: Case
    responses: dif.Responses

    def __post_init__(self) -> None:
        case = self.case
        shown = case.responses(units="all", layers=["input"], pool=None, views=False, memory=None)
        given = np.asarray(shown.values["input"], dtype=np.float64).reshape(-1, *case.shape)
        for name, rows in shown.sets.items():
            if name in case.known:
                pixels = case.known[name]
                if case.record["drop_duplicates"]:
                    first = {image.tobytes(): at for at, image in reversed([*enumerate(pixels)])}
                    pixels = pixels[sorted(first.values())]
                expected = np.moveaxis(pixels, -1, 1 + case.channels) / 255
                assert given[rows].shape == expected.shape, name
                # An image of 16 bits has steps of 2**-9.
                np.testing.assert_allclose(given[rows], expected, atol=2e-3 if case.dtype else 1e-7)
        each = case.looked_at(given)
        self.values = {name: np.concatenate([of[name] for of in each]) for name in each[0]}

    def check_responses(self) -> None:
        """Assert that the units are those that were asked for, and their responses the network's."""
        case, responses = self.case, self.responses
        tolerance = RESPONSE_ERROR[case.dtype]
        for layer in responses.layers:
            values = self.values[layer.name]
            flat = values.reshape(len(values), -1)
            units = responses.units[layer.name].tolist()
            axis = {3: case.channels, 2: 1}.get(values.ndim - 1, 0)
            size = flat.shape[1]
            pool = case.record.get("pool", size)
            expected = flat
            if case.kind == "random":
                assert units == oracles.random_pool(layer.name, size, pool, case.record["seed"])
            elif case.kind == "per_filter":
                shape = values.shape[1:]
                assert units == oracles.pool_by_filter(layer.name, shape, axis, pool, case.record["seed"])
            elif case.kind == "filter_mean":
                expected = oracles.filter_means(values, axis)
            elif case.kind in ("top", "top_variance"):
                assert len({*units}) == min(pool, size)
                scores = np.array(oracles.unit_scores(values)[case.kind == "top_variance"])
                left = np.delete(scores, units)
                near = 2 * tolerance * np.abs(flat).max() ** (1 + (case.kind == "top_variance"))
                assert left.size == 0 or scores[units].min() >= left.max() - near
            found = np.asarray(responses.values[layer.name], dtype=np.float64)
            if case.kind != "filter_mean":
                expected = expected[:, units]
            atol = tolerance * max(np.abs(flat).max(), 1e-3)
            np.testing.assert_allclose(found, expected, rtol=0, atol=atol, err_msg=layer.name)

    def check_values(self, result: xr.Dataset) -> int:
        """Assert that some of the values are those of loops over the responses; return how many."""
        case, responses = self.case, self.responses
        at_hand = [
            (name, layer, place, draw)
            for name in responses.sets
            for layer in responses.layers
            for place in range(result.sizes["n_units"])
            for draw in range(result.sizes["draw"])
        ]
        for at in case.random.permutation(len(at_hand))[:VALUES]:
            name, layer, place, draw = at_hand[at]
            found = result["differentiation"].sel(set=name, layer=layer.name)
            value = float(found.isel(n_units=place, draw=draw))
            expected = self.expected(name, layer, int(result["n_units"][place]), draw)
            assert math.isnan(value) == math.isnan(expected), (name, layer.name, place, draw, value, expected)
            if not math.isnan(expected):
                assert value == pytest.approx(expected, rel=1e-5, abs=1e-6), (name, layer.name, place, draw)
        self.check_distances(result)
        return min(VALUES, len(at_hand))

    def expected(self, name: str, layer: Any, count: int, draw: int) -> float:
        """Return a value by loops; NaN where there is none."""
        case, rows = self.case, self.responses.sets[name]
        values = np.asarray(self.responses.values[layer.name])
        step = float(np.finfo(np.promote_types(values.dtype, np.float32)).eps)
        pool, seed = values.shape[1], case.record["seed"]
        how = case.measure["normalize"], case.measure["metric"]
        if case.kind == "sketch" and count < pool:
            kept = np.asarray(values[rows], dtype=np.float64)
            if kept.min() == kept.max():
                return math.nan
            fold = oracles.fold_matrix(layer.name, pool, count, draw, seed)
            # What was kept is summed less its mean, which changes no distance.
            shifted = kept - values.astype(np.float64).mean(axis=0)
            return _sketched(kept, shifted, fold, how[0])
        columns: list[int] | None = list(range(pool))
        if case.kind == "sketch":
            columns = columns if draw == 0 else None
        elif case.kind in ("random", "per_filter"):
            filters = layer.n_filters if case.kind == "per_filter" else 1
            columns = oracles.drawn(layer.name, pool, count, draw, seed, filters)
        elif case.kind in ("top", "top_variance"):
            columns = oracles.drawn(layer.name, pool, count, 0, seed) if draw == 0 else None
        elif draw:
            columns = None
        if columns is None:
            return math.nan
        scale = None
        if how[0] == "unit":
            of_units = values[:, columns].astype(np.float64).T.tolist()
            scale = [
                0.0 if oracles.differs_by_rounding(of, step) else oracles.population_sd(of) for of in of_units
            ]
        value = oracles.defined(values[rows][:, columns], *how, scale=scale, step=step)
        return math.nan if value is None else value

    def check_distances(self, result: xr.Dataset) -> None:
        """Assert that some distances, over the units of draw 0 at the largest number, are those of loops."""
        if self.case.kind == "sketch":
            return
        random = self.case.random
        for layer in self.responses.layers:
            values = np.asarray(self.responses.values[layer.name], dtype=np.float64)
            used = int(result["units_used"].sel(layer=layer.name)[-1])
            first, second = (int(at) for at in random.integers(len(values), size=2))
            expected = math.dist(values[first, :used], values[second, :used])
            found = float(result["distance"].sel(layer=layer.name)[first, second])
            assert found == pytest.approx(expected, rel=2e-5, abs=1e-6 * np.abs(values).max()), layer.name
            total = math.fsum(values[first, :used])
            assert float(result["image_sum"].sel(layer=layer.name)[first]) == pytest.approx(
                total, rel=1e-9, abs=1e-6 * np.abs(values[first]).sum()
            )


def _sketched(units: np.ndarray, shifted: np.ndarray, fold: np.ndarray, normalize: str) -> float:
    """Return the measure by few sums, as `oracles.sketched` has it; 0 where no response differs."""
    few = shifted @ fold.T
    if not np.ptp(few, axis=0).any():
        return 0.0
    return oracles.sketched(units, np.eye(units.shape[1]), fold, normalize)


def draw_case(random: np.random.Generator, folder: Path) -> tuple[Case, dif.Responses, str]:
    """Return a case and what it records; one that is refused for a reason is drawn again, and told."""
    refused = ""
    while True:
        case = case_of(random, folder)
        try:
            return case, case.responses(), refused
        except dif.InputError as error:
            refused = str(error)
            reasons = ("no channels", "expected at least 2", "matches", "no layer", "a pair to compare")
            assert any(reason in refused for reason in reasons), refused


def note(drawn: dict[str, dict[str, int]], case: Case, **more: str) -> None:
    """Count what was drawn."""
    framework = "Keras" if case.of_keras else "PyTorch"
    facts = {"kind": case.kind, "framework": framework, "dtype": case.dtype or "float32", **more}
    facts |= {name: str(case.measure[name]) for name in ("normalize", "metric")}
    for name, what in facts.items():
        drawn.setdefault(name, {})
        drawn[name][what] = drawn[name].get(what, 0) + 1


@both
@ROWS.row("Random networks, sets, layers, kinds of units, options", LOOPS)
def test_measured(soak: bool, tmp_path: Path, counts: dict[str, dict[str, int]], tried: Any) -> None:
    """In memory or in a store, from the pass or from what was recorded."""
    for random in seeds("measured", 0.4, 1, soak):
        case, responses, refused = draw_case(random, tmp_path / "case")
        truth = Truth(case, responses)
        truth.check_responses()
        store = tmp_path / "case" / "responses.zarr" if random.random() < 0.5 else None
        result = case.result(store=store)
        values = truth.check_values(result)
        stored = case.result(store=store) if store else result
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dif.DifferentiaWarning)
            again = dif.measure_responses(responses, **case.measure)
        for other in (stored, again):
            assert same_bits(other, result)
        note(counts, case, store="disk" if store else "memory", refused="yes" if refused else "no")
        counts.setdefault("values", {}).setdefault("compared", 0)
        counts["values"]["compared"] += values
        tried()


def same_bits(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Return whether two results have the same values and limits."""
    names = [name for name in ("differentiation", "distance", "image_sum") if name in other]
    return all(np.array_equal(one[name].values, other[name].values, equal_nan=True) for name in names)


@both
@ROWS.row("Files of a store removed at random; more images, more units at the second run", LOOPS)
def test_resumed(soak: bool, tmp_path: Path, counts: dict[str, dict[str, int]], tried: Any) -> None:
    """The same again is the same to the bit; with more it is as good as a run of its own."""
    for random in seeds("resumed", 0.2, 1, soak):
        case, _, _ = draw_case(random, tmp_path / "case")
        store = tmp_path / "case" / "responses.zarr"
        first = case.result(store=store)
        files = sorted(path for path in store.rglob("c.*") if path.is_file())
        for path in random.permutation(np.array(files, dtype=object))[: random.integers(0, 6)]:
            path.unlink()
        assert same_bits(case.result(store=store), first)
        how = str(random.choice(["images", "units", "both"]))
        if how != "units":
            case.add_set("one more")
        if how != "images" and "pool" in case.record:
            case.record["pool"] *= 3
            case.measure["n_units"] = [*case.measure["n_units"], case.record["pool"]]
        result = case.result(store=store)
        truth = Truth(case, case.responses(store=store))
        truth.check_responses()
        truth.check_values(result)
        note(counts, case, more=how)
        tried()


@both
@ROWS.row("Recorded in parts, in any order, one of them twice", "The same bits as in one run")
def test_parts(soak: bool, tmp_path: Path, counts: dict[str, dict[str, int]], tried: Any) -> None:
    """Then measured without recording."""
    for random in seeds("parts", 0.15, 1, soak):
        case, _, _ = draw_case(random, tmp_path / "case")
        case.record["batch_size"] = case.record.get("batch_size", 3)
        n_parts = int(random.integers(2, 5))
        store = tmp_path / "case" / "parts.zarr"
        pool = case.record.get("pool")
        rounds = 2 if case.kind in ("top", "top_variance") else 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dif.DifferentiaWarning)
            for _ in range(rounds):
                order = [*random.permutation(n_parts), int(random.integers(n_parts))]
                for part in order:
                    options = {**case.record, "pool": pool, "store": store}
                    dif.record_part(case.network, case.sets, (int(part) + 1, n_parts), **options)
        result = case.result(store=store, record=False)
        assert same_bits(result, case.result(store=tmp_path / "case" / "one.zarr"))
        note(counts, case, parts=str(n_parts))
        tried()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """The server of runs."""
    server = Runner()
    yield server
    server.close()


@both
@ROWS.row("Killed at random, files removed, killed again", "The same bits as an undisturbed run")
def test_killed(
    soak: bool, tmp_path: Path, runner: Runner, counts: dict[str, dict[str, int]], tried: Callable[..., None]
) -> None:
    """Real processes, the command line, any number of times."""
    for random in seeds("killed", 0.25, 1, soak):
        seed, n = int(random.integers(2**31)), int(random.integers(2, 30))
        kinds = random.choice(["random", "top", "top_variance", "all", "sketch"], 2, replace=False)
        argv = [
            *("measure", f"helpers.random_networks:network?seed={seed}", "--preprocess", "unit"),
            *("--input-size", str(SIDE), "--set", f"noise=noise:{n}", "--set", "pictures=pictures"),
            *("--units", ",".join(map(str, kinds)), "--layers", ":leaves", "--draws", "3"),
            *("--normalize", "layer" if "sketch" in kinds else str(random.choice(NORMALIZATIONS))),
            *("--batch-size", str(random.integers(1, 9)), "--seed", str(random.integers(9))),
        ]
        if {*kinds} != {"all"}:
            argv += ["--n-units", str(random.choice(["5", "20,200", "3,30,300"]))]
        if random.random() < 0.3:
            argv += ["--compress", "zstd"]
        pixels = random.integers(0, 256, (int(random.integers(2, 9)), SIDE, SIDE, 3), dtype=np.uint8)
        case, expected = (tmp_path / f"{name}-{seed}" for name in ("case", "undisturbed"))
        for folder in (case, expected):
            (folder / "pictures").mkdir(parents=True)
            for number, image in enumerate(pixels):
                PIL.Image.fromarray(image).save(folder / "pictures" / f"{number}.png")
        began = time.monotonic()
        ended = runner.run(expected, [*argv, "--out", "out"])
        took = time.monotonic() - began
        assert ended.code == 0, ended.said
        (written,) = expected.glob("written.*")
        writes = len(written.read_text(encoding="utf-8").splitlines())
        kills = 0
        for _ in range(random.integers(1, 5)):
            if random.random() < 0.5:
                run = runner.begin(
                    case, [*argv, "--out", "out"], writes=int(random.integers(writes)), then="kill"
                )
            else:
                run = runner.begin(case, [*argv, "--out", "out"])
                run.send_at("start", float(random.random()) * took, signal.SIGKILL)
            kills += run.wait() == -signal.SIGKILL
            files = [path for path in (case / "out").rglob("c.*") if path.is_file()]
            if random.random() < 0.3 and files:
                with suppress(FileNotFoundError):
                    files[int(random.integers(len(files)))].unlink()
        ended = runner.run(case, [*argv, "--out", "out"])
        assert ended.code == 0, ended.said
        assert leftovers(case / "out") == []
        assert_same_results(case / "out", expected / "out")
        counts.setdefault("kills", Counter())
        counts["kills"]["killed"] = counts["kills"].get("killed", 0) + kills
        tried()
        for folder in (case, expected):
            shutil.rmtree(folder)


@pytest.mark.page
def test_the_page_names_these_runs() -> None:
    """With how they end; ``make soak`` writes it anew, with its counts."""
    page = (DOCS / "reliability.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## Runs drawn at random")
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {what: outcome for what, _, outcome in cells} == ROWS.outcomes
    assert all(int(tries.replace(",", "")) >= 1 for _, tries, _ in cells)


def test_the_section_is_written_from_the_counts() -> None:
    """Each run has its row, and what was drawn is told by how often it was."""
    writes, tries = script("write_reliability"), script("tries")
    table = tries.Table("", ROWS.outcomes, Counter(dict.fromkeys(ROWS.outcomes, 3)))
    drawn = {name: {"one": 1, "other": 1200} for name in writes.DRAWN_WORDS}
    table.more = {"seconds": 900.0, "drawn": {**drawn, "values": {"compared": 7000}, "kills": {"killed": 8}}}
    section = writes.section(table)
    assert section.count(" | 3 | ") == len(ROWS.outcomes)
    for told in ("For 15 minutes", "7,000", "units: other (1,200), one (1);", "8 processes were killed"):
        assert told in " ".join(section.split())
