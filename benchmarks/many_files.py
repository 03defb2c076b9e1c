"""What a folder of 100,000 image files costs until its first image is there: time, and memory.

Files of 16 x 16 pixels, in one folder, and the same ones in a hundred. The ways take turns, each turn in a
new process; the system has the folder in its memory, since it was just written. *Plain* lists the names,
sorts them and decodes the first with Pillow: what can't be done without. What is asked for: listed in less
than 5 s, the first image there in less than 10 s, less than 300 MB beyond what the imports take.

    python benchmarks/many_files.py [--files 100000] [--repeats 5] [--folder DIR]
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from harness import Benchmark, Way, Work, options_of, peak_memory

#: Folders that the same files lie in once more.
FOLDERS = 100

#: Different pictures among the files.
PICTURES = 1000

#: What a way may take: seconds until all are listed, and until the first is there, and GB beyond the imports.
MOST = {"listed": 5.0, "first": 10.0, "beyond_gb": 0.3}


def write(folder: Path, files: int) -> None:
    """Write files into a folder, `one`, and link them into those in another, `many`."""
    import numpy as np
    import PIL.Image

    pictures = []
    for pixels in np.random.default_rng(0).integers(0, 256, (PICTURES, 16, 16, 3), dtype=np.uint8):
        written = io.BytesIO()
        PIL.Image.fromarray(pixels).save(written, "PNG")
        pictures.append(written.getvalue())
    (folder / "one").mkdir()
    for number in range(FOLDERS):
        (folder / "many" / f"set {number}").mkdir(parents=True)
    for number in range(files):
        path = folder / "one" / f"image_{number}.png"
        path.write_bytes(pictures[number % PICTURES])
        os.link(path, folder / "many" / f"set {number % FOLDERS}" / path.name)


def memory_now() -> float:
    """Return the memory that this process has now, in GB."""
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e9


def prepare_plain(folder: Path) -> Work:
    """Return the listing of a folder, and the decoding of its first image, by Python and Pillow alone."""
    import PIL.Image

    before = memory_now()

    def work() -> dict[str, float]:
        begun = time.perf_counter()
        names = sorted(entry.name for entry in os.scandir(folder / "one") if entry.is_file())
        listed = time.perf_counter()
        with PIL.Image.open(folder / "one" / names[0]) as image:
            image.load()
        return told(begun, listed, before)

    return work


def prepare_ours(folder: Path, many: bool) -> Work:
    """Return the same, as `measure` does it: the first of many sets, or of one."""
    import differentia as dif
    from differentia.stimuli.base import Fit
    from differentia.stimuli.presentation import in_batches, labels_of, present

    before = memory_now()

    def work() -> dict[str, float]:
        begun = time.perf_counter()
        sets: dict[str, Any] = dif.sets_from(folder / "many") if many else {"": dif.images(folder / "one")}
        listed = time.perf_counter()
        batches = [batch for name, given in sets.items() for batch in in_batches(labels_of(name, given), 32)]
        next(present(sets, batches, Fit((16, 16, 3))))
        return told(begun, listed, before)

    return work


def told(begun: float, listed: float, before: float) -> dict[str, float]:
    """Return seconds since the beginning, of the listing and until now, and the memory since then."""
    now = time.perf_counter()
    return {"listed": listed - begun, "first": now - begun, "beyond_gb": peak_memory() - before}


def main() -> None:
    """Print the medians; fail where a folder takes more time or memory than it may."""
    parser = options_of(__doc__, "many_files.json", repeats=5)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", help="where the files are written for the time of the run")
    given = parser.parse_args()
    stated = {"files": given.files, "folders": FOLDERS, "most": MOST}
    benchmark = Benchmark.of("many_files", stated, given)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        write(Path(folder), given.files)
        prepare = {
            "plain": prepare_plain,
            "one folder": partial(prepare_ours, many=False),
            "many folders": partial(prepare_ours, many=True),
        }
        ways = [
            Way(name, partial(how, Path(folder)), lasting=False, warm_up=False)
            for name, how in prepare.items()
        ]
        benchmark.take_turns(ways, given.repeats)
    benchmark.print_table()
    worst = {what: max(max(benchmark.ways[way.name].column(what)) for way in ways[1:]) for what in MOST}
    for what, most in MOST.items():
        print(f"{what}: at most {worst[what]:.3g}, less than {most:g} is asked for")
    if any(worst[what] > most for what, most in MOST.items()):
        sys.exit("too much")


if __name__ == "__main__":
    main()
