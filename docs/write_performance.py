"""Write docs/performance.md from what the benchmarks wrote, ``benchmarks/results/*.json``.

python docs/write_performance.py [FOLDER]
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "performance.md"
BENCHMARKS = HERE.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from cluster import GIVEN_GB_S, PREDICTED  # noqa: E402
from cluster_recording import OPTIONS as RECORDED, PREDICTED as OF_RECORDING, pace  # noqa: E402
from growth import relative_speed  # noqa: E402
from harness import Benchmark, Spread, Taken, ratios  # noqa: E402
from markdown_tables import table  # noqa: E402
from photographs import over_least  # noqa: E402
from vgg16 import DRAWS, N_UNITS, RATIOS  # noqa: E402

RESULTS = BENCHMARKS / "results"

HEAD = """# How long it takes, and how much memory

Times and memory on one machine, compared with what no measurement can do without (the network's forward
pass, decoding images) and with a plain way of doing the same. `make bench` measures everything anew, and
writes this page.

## How it was measured

- **In turns.** The ways that are compared take turns within one run, each in a process of its own, in an
  order that changes from turn to turn. Ratios are formed within a turn. Tables give the median over turns
  and, in brackets, the smallest and the largest value.
- **Peak memory** is the most that the process ever used, including everything it imported.
- **What is done once** (imports, building the network, compiling) is not part of the turns. *First* is how
  long the work took the first time, after the imports; it includes compiling, if there is any.
"""

FOOT = """
## What was not measured

- GPUs. `--device cuda` runs the same code, but its speed was not measured.
- A quiet machine. This one was shared, and one and the same pass could take half as long again a minute
  later. Where a table has fewer than seven turns, there was no time for more.
- Other machines. How much compiling gains, and how well the cores share decoding and the pass, depends on
  them.
"""

VGG16 = """VGG16 at 224 x 224 with random weights, {images:,} images in three sets ({images_are}), and 21
layers (the input, those of the five blocks, flatten and predictions), with {counts} units of each layer, or
all units of a smaller one."""

VGG16_WAYS = (
    """The *bare pass* is the network's forward pass alone, over decoded images in memory, 32 at a time: a
    PyTorch module channels-last, in inference mode; Keras's model as Keras runs it, without gradients.""",
    """`record` shows the same images, from memory, in batches of its own choice, and keeps 100,000 units of
    each layer. Its seconds do not include compiling, which each recording does anew.""",
    """`measure` begins with the image files and ends with all numbers: those of {draws} draws of units, and
    those that the report shows.""",
    """The *plain way* also begins with the files. It keeps every output of the 21 layers, in float32, and
    computes each median distance with NumPy and SciPy's `pdist`, for one draw of units.""",
)

PLAIN_GOES_ON = """**{images:,} images.** The plain way would take {plain_s:,.0f} s and {plain_gb:,.0f} GB.
This is extrapolated from {third}, {two_thirds} and {all} images: reading, the pass, the normalisation and
the memory grow with the number of images, the distances with the number of pairs."""

MEASURED = """ `measure` took {measure_s:,.0f} s and {measure_gb:,.1f} GB, in a single run that includes
everything that is done once, with its responses in a store."""

EXTRAPOLATED = """ `measure` would take {measure_s:,.0f} s and {measure_gb:,.1f} GB. This is extrapolated
from all and a third of the images, as if it grew with the number of images, which ignores the growing
number of pairs. Its responses were in memory; with a store they take less of it."""

MANY_FILES = """{files:,} image files of 16 x 16 pixels, which were just written, in one folder and in
{folders}; each turn is a process of its own. *Listed* and *first image* are seconds since the beginning, *MB*
is the memory beyond what the imports take. *Plain* lists and sorts the names and decodes the first file with
Pillow. Asked for are less than {listed:g} s, {first:g} s and {mb:.0f} MB."""

PHOTOGRAPHS = """MobileNet of width 0.25, {weights}, at 224 x 224; {images:,} distinct files ({images_are})
in {sets} sets; all layers, {units:,} units of each, {draws} draws. Decoding and the pass take turns on all
cores. So the whole takes at least the CPU time of decoding plus that of the pass, divided by the number of
cores."""

GROWTH = """`measure` with MobileNet of width 0.25 ({weights}) and white noise in sets of {per_set}, {draws}
draws. Each table changes one of these numbers: {base[images]:,} images, {base[layers]} layers,
{base[units]:,} units of each layer (all units of a smaller one). Above 2,000 images, results hold no
distance matrices, thumbnails or means of channels."""

DISTANCES = """The exact median over all pairs of independent normal responses of {units:,} units, in float32.
*Half a product* is half the time of one matrix product of the responses with themselves, the least that the
distances of all pairs can take. The columns of scikit-learn, PyTorch and SciPy give their time divided by
ours (median). They hold all distances in memory (SciPy's `pdist` each pair once), which limits the number of
responses. *Extra* is the memory used beside the responses, *error* the relative error against float64; both
are empty where they were not measured."""

CLUSTER = """The exact median over all pairs of {responses:,} responses of {units:,} units, on disk as
Zarr, with one thread in each process. *Two on their own* are two processes at the same time that know
nothing of each other, each of which measures responses with half as many pairs: what the machine can
give. CPU seconds and peak are of the process that asks; each of the two workers took {worker_gb:.2f} GB
at most. The value of the workers {equal} that of one process, to the last bit."""

TASKS = """**What a task costs.** The pairs of some responses with others are a task. Beside its work it
costs {task_ms:.0f} ms of a worker (with smaller tasks, {tasks_tenth} instead of {tasks}, it
took {seconds_tenth:.3g} s instead of {seconds:.3g} s), and the process that asks {empty_ms:.1f} ms to
give it out and {merge_ms:.1f} ms to add up its counts. A thread looks at {speed:.2g} pairs x units a
second and reads {read_gb_s:.2g} GB a second."""

SCALING = """**What that predicts.** {images:,} images x {layers} layers x {units:,} units, one value of
each layer, on {workers} workers of one thread, at {speed:.2g} pairs x units a second (products of more
units are faster): {hours:,.1f} hours, in {tasks:,} tasks of {seconds_of_a_task:.0f} s each, if the disk gives
the {read:.2g} GB a second that they read together. Each worker more is a gain until it can't follow: at
{given:.0f} GB a second that is from {most_by_disk:,.0f} workers on, with which it takes {bound:,.1f}
hours. The process that asks could keep {most_by_client:,.0f} workers busy. Half as many images take a
quarter of the time; several draws of units take it each."""

RECORDING = """{network}, white noise, {pool:,} units of each layer, one thread in each process. *Two on
their own* are two processes at the same time that know nothing of each other, each of which records half
of the images; workers record all of them into one store. All begin with nothing loaded. What more images
take longer is the pace; a recording begins once the asking process and then the workers know the network:
that takes {begin:.0f} s longer here than where each begins by itself."""

MORE_WORKERS = """**What that predicts.** {images:,} images by {workers} workers at that pace: {hours:,.1f}
hours, in {tasks:,.0f} tasks of {task:.0f} s each, of which the process that asks gives out {rate:.1f} a
second. With {units:,} units of each of {layers} layers they write {write:.2g} GB a second; a file system
that takes {given:.0f} would be the limit from {most_by_disk:,.0f} workers on."""

#: The ways of the benchmark of VGG16, in words.
WORDS = {
    "bare-eager": "bare pass",
    "bare-compiled": "bare pass, compiled",
    "bare-engine": "bare pass as differentia computes it",
    "record-never": "`record` without views",
    "record-always": "`record` without views, compiled",
    "record-sketch-never": '`record` without views, `units="sketch"`',
    "record-sketch-always": '`record` without views, `units="sketch"`, compiled',
    "record-views-never": "`record`",
    "record-views-always": "`record`, compiled",
    "measure-never": "`measure`",
    "measure-always": "`measure`, compiled",
    "measure-auto": '`measure`, compile="auto"',
    "measure-stored": "`measure`, with a store",
    "measure-1/3": "`measure`, a third of the images",
    "plain": "plain way",
    "plain-1/3": "plain way, a third of the images",
    "plain-2/3": "plain way, two thirds of the images",
    "large": "`measure`, {large_images:,} images",
}

NETWORKS = {"torch": "A PyTorch module", "keras": "The Keras model, on PyTorch"}


def page(benchmarks: Mapping[str, Benchmark]) -> str:
    """Return the page; of a benchmark that it has a section for and that is missing it says so."""
    parts = [HEAD]
    missing = [name for name in SECTIONS if name not in benchmarks]
    for name in (*SECTIONS, *(name for name in benchmarks if name not in SECTIONS)):
        if name in benchmarks:
            parts.append(SECTIONS.get(name, any_section)(benchmarks[name]))
    parts.append(FOOT)
    if missing:
        parts[-1] += f"- {', '.join(f'`benchmarks/{name}.py`' for name in missing)}: not run yet.\n"
    return "".join(parts)


def vgg16_section(benchmark: Benchmark) -> str:
    """Return what was measured of VGG16."""
    options = benchmark.options
    counts = [f"{count:,}" for count in N_UNITS]
    lines = ["", f"## VGG16, {options['images']:,} images", ""]
    lines += wrapped(VGG16.format(**options, counts=f"{', '.join(counts[:-1])} and {counts[-1]}"))
    lines += ["", *bullets(*(way.format(draws=DRAWS) for way in VGG16_WAYS)), "", *machine_of(benchmark)]
    for kind, network in NETWORKS.items():
        taken = {name: benchmark.ways[f"{kind} {name}"] for name in WORDS if benchmark.both(f"{kind} {name}")}
        if not taken:
            continue
        words = {name: WORDS[name].format(**options) for name in taken}
        lines += ["", f"### {network}", "", *ways_table({words[name]: taken[name] for name in taken})]
        both = [(a, b) for a, b in RATIOS if a in taken and b in taken]
        compared = [(a, b) for a, b in both if ratios(taken[a], taken[b])]  # some turn was both's
        rows = [(f"{words[a]} / {words[b]}", spread(ratios(taken[a], taken[b]))) for a, b in compared]
        rows += [
            (f"{words[a]} / {words[b]}, peak memory", spread(ratios(taken[a], taken[b], "peak_gb")))
            for a, b in compared
            if a == "plain"
        ]
        if rows:
            lines += ["", *table(("ratio", "median (range)"), rows)]
        if f"{kind} large" in benchmark.facts:
            lines += ["", *wrapped(more_images(benchmark.facts[f"{kind} large"], options["images"]))]
    return joined(lines)


def more_images(found: Mapping[str, Any], images: int) -> str:
    """Return how the plain way and `measure` go on with more images, in words."""
    plain = PLAIN_GOES_ON.format(**found, third=images // 3, two_thirds=2 * images // 3, all=images)
    return plain + (MEASURED if found["measured"] else EXTRAPOLATED).format(**found)


def photographs_section(benchmark: Benchmark) -> str:
    """Return what was measured of files."""
    options, taken = benchmark.options, benchmark.ways
    cores = benchmark.machine["cores"]
    words = {
        "decode": "decoding, on one thread",
        "model": "the model alone, images in memory",
        "pass": "differentia's pass, nothing recorded",
        "record": "`record`, files",
        "measure": "`measure`, files",
    }
    rows = [
        (
            f"`{whole}` / ((decoding + {words[forward].partition(',')[0]}) / {cores} cores)",
            spread(over_least(taken[whole], taken[forward], taken["decode"], cores)),
        )
        for whole in ("record", "measure")
        for forward in ("model", "pass")
    ]
    lines = ["", f"## {options['images']:,} photographs", ""]
    lines += [*wrapped(PHOTOGRAPHS.format(**options, draws=DRAWS)), "", *machine_of(benchmark), ""]
    lines += [*ways_table({words[name]: taken[name] for name in words}), ""]
    return joined([*lines, *table(("seconds / (CPU seconds / cores)", "median (range)"), rows)])


def many_files_section(benchmark: Benchmark) -> str:
    """Return what many files cost before the first is seen."""
    options, ways = benchmark.options, benchmark.ways
    words = {
        "plain": "plain",
        "one folder": "`images`, one folder",
        "many folders": f"`sets_from`, {options['folders']} folders",
    }
    rows = [
        (
            words[name],
            spread(taken.column("listed")),
            spread(taken.column("first")),
            f"{1000 * max(taken.column('beyond_gb')):.0f}",
            str(len(taken.turns)),
        )
        for name, taken in ways.items()
        if taken.turns
    ]
    most = {**options["most"], "mb": 1000 * options["most"]["beyond_gb"]}
    lines = ["", f"## {options['files']:,} files", ""]
    lines += [*wrapped(MANY_FILES.format(**options, **most)), "", *machine_of(benchmark), ""]
    return joined([*lines, *table(("", "listed, s (range)", "first image, s (range)", "MB", "turns"), rows)])


def growth_section(benchmark: Benchmark) -> str:
    """Return how time and memory grow."""
    base, cases = benchmark.options["base"], benchmark.options["cases"]
    lines = ["", "## What more images, layers and units cost", ""]
    lines += [*wrapped(GROWTH.format(**benchmark.options)), "", *machine_of(benchmark)]
    first = benchmark.ways[next(name for name, case in cases.items() if case == base)]
    for key in base:
        same = {other: base[other] for other in base if other != key}
        counts = {  # of layers, 0 stands for all
            name: case[key] or benchmark.ways[name].turns[0]["layers"]
            for name, case in cases.items()
            if {**case, **same} == case
        }
        rows = []
        for name in sorted(counts, key=counts.__getitem__):
            taken, images = benchmark.ways[name], cases[name]["images"]
            speed = Spread.of(images / seconds for seconds in taken.column())
            relative = relative_speed(taken, images, first, base["images"])
            rows.append(
                (
                    f"{counts[name]:,.0f}",
                    spread(taken.column()),
                    number(speed.median),
                    "1" if taken is first else spread(relative),
                    f"{taken.peak():.2f}",
                    str(len(taken.turns)),
                )
            )
        against = f"of that, against {base[key]:,} {key}"
        head = (key, "seconds (range)", "images a second", against, "peak, GB", "turns")
        lines += ["", *table(head, rows)]
    return joined(lines)


def distances_section(benchmark: Benchmark) -> str:
    """Return what the median of all pairs takes, beside other ways."""
    lines = ["", "## The median of all pairs", "", *wrapped(DISTANCES.format(**benchmark.options))]
    others = ("scikit-learn", "torch.cdist", "scipy")
    rows = []
    for n in benchmark.options["sizes"]:
        if not benchmark.both(f"ours, {n}", f"product, {n}"):
            continue
        ours = benchmark.ways[f"ours, {n}"]
        products = ratios(ours, benchmark.ways[f"product, {n}"])  # they are taken together
        cells = [spread(2 * ratio for ratio in products)]
        for other in others:
            taken = benchmark.ways.get(f"{other}, {n}")
            found = ratios(taken, ours) if taken else []
            cells.append(number(Spread.of(found).median) if found else "")
        facts = {
            key: max((turn.get(key, 0.0) for turn in ours.turns), default=0.0)
            for key in ("extra_gb", "error")
        }
        cells.append(f"{1000 * facts['extra_gb']:.0f}" if facts["extra_gb"] else "")
        cells.append(f"{facts['error']:.0e}" if facts["error"] else "")
        rows.append((f"{n:,}", spread(ours.column()), *cells, str(len(ours.turns))))
    head = ("responses", "seconds (range)", "/ half a product", *others)
    columns = (*head, "extra MB", "error", "turns")
    return joined([*lines, "", *machine_of(benchmark), "", *table(columns, rows)])


def cluster_section(benchmark: Benchmark) -> str:
    """Return what workers of a cluster take for a median, and what that predicts."""
    facts, ways = benchmark.facts, benchmark.ways
    predicted = facts["predicted"]
    worker_gb = max(ways["two workers"].column("worker_gb"))
    equal = "was" if facts["equal"] else "was NOT"
    told = {f"{name}_ms": 1000 * facts[f"{name}_s"] for name in ("task", "merge")}
    told["empty_ms"] = 1000 * facts["empty_task_s"]
    speed = facts[f"pairs_units_s {benchmark.options['units']}"]
    lines = ["", "## Medians by the workers of a cluster", ""]
    lines += [*wrapped(CLUSTER.format(**benchmark.options, worker_gb=worker_gb, equal=equal)), ""]
    lines += [*machine_of(benchmark), "", *ways_table(ways), ""]
    share = spread(ratios(ways["two on their own"], ways["two workers"]))
    lines += [*table(("ratio", "median (range)"), [("two on their own / two workers", share)]), ""]
    lines += [*wrapped(TASKS.format(**facts, **told, speed=speed)), ""]
    scaling = {**PREDICTED, **predicted, "read": predicted["read_gb_s"], "given": GIVEN_GB_S}
    scaling["speed"] = facts[f"pairs_units_s {PREDICTED['units']}"]
    scaling["bound"] = predicted["hours"] * PREDICTED["workers"] / predicted["most_by_disk"]
    return joined([*lines, *wrapped(SCALING.format(**scaling))])


def recording_section(benchmark: Benchmark) -> str:
    """Return what workers of a cluster take to record, and what that predicts."""
    options, ways = benchmark.options, benchmark.ways
    few, many = options["few"], options["many"]
    of = {
        name: [ways[f"{name}, {images:,} images"] for images in (few, many)]
        for name in ("two on their own", "two workers")
    }
    alone, workers = (pace(*taken) for taken in of.values())
    shares = [one / other for one, other in zip(alone, workers, strict=True)]
    begin = (Spread.of(of[name][0].column()).median for name in ("two workers", "two on their own"))
    rate = (many - few) / Spread.of(workers).median / options["processes"]
    told = {**OF_RECORDING, "tasks": OF_RECORDING["images"] / rate / OF_RECORDING["task"]}
    told["hours"] = OF_RECORDING["images"] / rate / OF_RECORDING["workers"] / 3600
    told["rate"] = OF_RECORDING["workers"] / OF_RECORDING["task"]
    size = 4 * PREDICTED["layers"] * PREDICTED["units"] / 1e9  # GB of an image
    told |= {"layers": PREDICTED["layers"], "units": PREDICTED["units"], "given": GIVEN_GB_S}
    told |= {"write": rate * OF_RECORDING["workers"] * size, "most_by_disk": GIVEN_GB_S / (rate * size)}
    lines = ["", "## Recording by the workers of a cluster", ""]
    facts = {**options, "pool": RECORDED["pool"], "begin": max(0.0, next(begin) - next(begin))}
    lines += [*wrapped(RECORDING.format(**facts)), "", *machine_of(benchmark), "", *ways_table(ways), ""]
    lines += [
        *table(("ratio of paces", "median (range)"), [("two workers / two on their own", spread(shares))]),
        "",
    ]
    return joined([*lines, *wrapped(MORE_WORKERS.format(**told))])


def any_section(benchmark: Benchmark) -> str:
    """Return the table of a benchmark that has no section of its own."""
    told = ", ".join(f"{name} {value}" for name, value in benchmark.options.items())
    title = benchmark.name[0].upper() + benchmark.name[1:]
    lines = ["", f"## {title}", "", *wrapped(told), "", *machine_of(benchmark)]
    return joined([*lines, "", *ways_table(benchmark.ways)])


#: What has a section of its own, in the order of the page.
SECTIONS: dict[str, Callable[[Benchmark], str]] = {
    "vgg16": vgg16_section,
    "photographs": photographs_section,
    "many_files": many_files_section,
    "growth": growth_section,
    "distances": distances_section,
    "cluster": cluster_section,
    "cluster_recording": recording_section,
}


def machine_of(benchmark: Benchmark) -> list[str]:
    """Return where and when it was measured."""
    machine = benchmark.machine
    versions = ", ".join(
        f"{name} {version}" for name, version in machine["versions"].items() if version != "not installed"
    )
    return wrapped(
        f"*{benchmark.date}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, "
        f"{machine['system']}; {versions}.*"
    )


def ways_table(ways: Mapping[str, Taken]) -> list[str]:
    """Return a table of ways: their times and memory."""
    rows = [
        (
            name,
            spread(taken.column()),
            number(Spread.of(taken.column("cpu_s")).median),
            "" if taken.first_s is None else number(taken.first_s),
            f"{taken.peak():.2f}",
            str(len(taken.turns)),
        )
        for name, taken in ways.items()
        if taken.turns
    ]
    return table(("", "seconds (range)", "CPU seconds", "first, s", "peak, GB", "turns"), rows)


def spread(values: Iterable[float]) -> str:
    """Return the median of some numbers, and their range where there are several."""
    values = list(values)
    found = Spread.of(values)
    if len(values) == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.least)} to {number(found.most)})"


def number(value: float) -> str:
    """Return a number with three significant digits, or all before the point."""
    digits = next((digits for least, digits in ((100, 0), (10, 1), (1, 2)) if value >= least), 3)
    return f"{value:,.{digits}f}" if value >= 0.01 else f"{value:.2g}"


def wrapped(text: str, first: str = "", others: str = "") -> list[str]:
    """Return the lines of a paragraph, with what they begin with."""
    return textwrap.wrap(
        " ".join(text.split()),
        112,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def bullets(*texts: str) -> list[str]:
    """Return the lines of a list."""
    return [line for text in texts for line in wrapped(text, "- ", "  ")]


def joined(lines: Sequence[str]) -> str:
    """Return lines as text."""
    return "\n".join(lines) + "\n"


def read(folder: Path) -> dict[str, Benchmark]:
    """Return the benchmarks of a folder, by name."""
    found = [Benchmark.read(path) for path in sorted(folder.glob("*.json"))]
    return {benchmark.name: benchmark for benchmark in found}


def main() -> None:
    """Write the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    PAGE.write_text(page(read(folder)), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
