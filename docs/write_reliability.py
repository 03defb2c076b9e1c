"""Write docs/reliability.md from what tests/test_reliability.py counts while it runs, all of it.

python docs/write_reliability.py
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE / "reliability.md"
TESTS = HERE.parent / "tests"
MODULE = "test_reliability"
VARIABLE = "DIFFERENTIA_RELIABILITY"

HEAD = """# What survives a kill, a full disk, a damaged file

Real runs take hours, on machines that are shared. They are killed, the disk fills up, a file is damaged.
What `differentia measure` has recorded is kept in the folder that it writes to, in `responses.zarr`, and
the same command goes on from there; [Resume a run, and add to it](guides/resuming.md) says how. This page
says what may be relied on, and how that is known.

## What is promised

- **Nothing that is finished is recorded again.** A chunk of responses gets its name when it is whole, and
  is left alone from then on. What is new (images, sets, layers, units) is added beside it.
- **Interrupted is undisturbed.** However often a run was interrupted, its result has the same bits as
  that of a run that nothing disturbed: the batches and their size are fixed in the store by its first
  run. (On a GPU two undisturbed runs may differ in their last bits; so may an interrupted one.)
- **Damage is found.** Every chunk ends in its checksum (CRC32C), which is compared before it is used; a
  result has one too. What is damaged is recorded again, and a warning says so. Where it is found only
  while it is read, the command ends with one line, and the next run mends it.
- **Nothing stale is used.** Responses belong to the network's weights and architecture, its
  preprocessing, the engine and the content of each image. Where one of them has changed, a warning says
  which, and all is recorded anew; the old responses stay until `--fresh`.
- **One run at a time.** A second one into the same folder is told which process holds it.
- **An error is one line**: what is wrong, and what to do. The exit codes are those of [all
  commands](commands.md).

## How that is known

Each row was tried on real processes: a small network, three sets, random units and ranked ones, for which
all images are shown twice. *Tries* are those of one run of all tests (`make soak`, which writes this
page). "The same bits" compares every variable, coordinate and attribute of every result with those of an
undisturbed run. A chunk that is written again is a new file: so it is counted.

"""

#: What was counted beside the table.
COUNTED = (
    "The {kills} kills of the first row fell into: {where}. They left {kept:,} finished chunks, and the runs "
    "that went on wrote none of them again. Full and read-only disks were {disks}."
)

FOOT = """
## What is not promised

- That chunks outlive a power failure: only results are synchronised to the disk. A chunk that was lost is
  found and recorded again.
- That a change of a network's code is noticed which leaves the mean, the SD and a sum of some units of every
  layer's responses to two fixed images as they were.
- That two runs on two computers are kept apart on a network file system without locks; the message then
  names the file that stands for the lock.
"""

#: How the disks of the tests came about, in words.
DISKS = {
    "mount": "mounts of their own",
    "limit": "stood for by a limit on the size of files",
    "permissions": "stood for by permissions",
    "hook": "stood for by a refusal of every write",
}


def page(faults: Mapping[str, str], counted: Mapping[str, Any]) -> str:
    """Return the page.

    Parameters
    ----------
    faults
        By fault, in order: how it ends.
    counted
        What the tests counted: the tries of each fault, and where the kills fell.

    Raises
    ------
    SystemExit
        A fault was not tried.
    """
    rows = ["| fault | tries | outcome |", "|---|---:|---|"]
    for name, outcome in faults.items():
        if not counted["tries"].get(name):
            raise SystemExit(f"{name}: was not tried")
        rows.append(f"| {name} | {counted['tries'][name]} | {outcome} |")
    where = ", ".join(f"{stage} {times}" for stage, times in Counter(counted["kills"]).most_common())
    counts = COUNTED.format(
        where=where,
        kills=len(counted["kills"]),
        kept=counted["kept"],
        disks=" and ".join(DISKS[kind] for kind in dict.fromkeys(counted["disks"])),
    )
    return "\n".join([HEAD + "\n".join(rows), "", *textwrap.wrap(counts, 106), FOOT])


def main() -> None:
    """Run the tests, and write the page when all of them passed."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        tests = [sys.executable, "-m", "pytest", "-m", "soak or not soak", str(TESTS / f"{MODULE}.py")]
        # The page is what these tests write, so it can't be asked for beforehand.
        done = subprocess.run(
            [*tests, "--deselect", f"{TESTS.name}/{MODULE}.py::test_the_page_names_these_faults"],
            cwd=HERE.parent,
            env={**os.environ, VARIABLE: str(counts)},
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.returncode)
        counted = json.loads(counts.read_text(encoding="utf-8"))
    sys.path.insert(0, str(TESTS))
    PAGE.write_text(page(importlib.import_module(MODULE).FAULTS, counted), encoding="utf-8")


if __name__ == "__main__":
    main()
