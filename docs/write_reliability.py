"""Write docs/reliability.md from what tests/test_reliability.py and test_random_runs.py count, all of them.

python docs/write_reliability.py
"""

from __future__ import annotations

import textwrap
from collections import Counter

import tries
from tries import HERE, Table

PAGE = HERE / "reliability.md"

HEAD = """# What survives a kill, a full disk, a damaged file

Real runs take hours, on shared machines. They are killed, the disk fills up, files are damaged. What
`differentia measure` has recorded is kept in `responses.zarr`, in the folder that it writes to, and the same
command continues from there; [Resume a run, and add to it](guides/resuming.md) says how. This page says what
you can rely on, and how that was tested.

## What is promised

- **Nothing that is finished is recorded again.** Responses are written in chunks of some images, one after
  another into a file; a kill loses at most the chunk that is being written, and the next run takes over the
  others. No file that is finished is changed: what is repaired in it, or added, is written beside it, with
  a copy of what is whole, and takes its place.
- **An interrupted run ends with the same numbers.** However often a run was interrupted, its result is that
  of an undisturbed run, to the last bit: the first run fixes the batches and their size in the store. (On a
  GPU, two undisturbed runs may differ in their last bits, and so may an interrupted one.)
- **Damage is found.** Every chunk ends in a checksum (CRC32C), which is verified before the chunk is used; a
  result has one too. A chunk also says whose it is, so that a file in the place of another is found. Damaged
  responses are recorded again, and a warning says so. If damage is found only while responses are being
  measured, the command ends with one line, and the next run repairs it.
- **Nothing out of date is used.** Responses belong to the network's weights and architecture, its
  preprocessing, the versions of the software and the content of each image. If one of them has changed, a
  warning says which, and everything is recorded anew; the old responses stay until `--fresh`.
- **One run at a time.** A second run into the same folder is told which process holds it.
- **An error is one line**: what is wrong, and what to do. [All commands](commands.md) lists the exit codes.

## How this was tested

Each row was tried on real processes: a small network, three sets, random units, and ranked units, for which
all images are shown twice. *Tries* are those of one run of all tests (`make soak`, which writes this page).
"The same bits" means that every variable, coordinate and attribute of every result was compared with those
of an undisturbed run. Runs kept a list of the chunks that they wrote: so chunks that were
written again were counted. Clusters were Dask's, each a scheduler and one or two workers, processes of their
own on one machine, which recorded a slower network, batch by batch; no process outlived its test.

"""

#: What was counted beside the table.
COUNTED = (
    "The {kills} kills of the first row fell into these stages: {where}. They left {kept:,} finished chunks, "
    "and the runs that continued wrote none of them again. Full and read-only disks were {disks}."
)

#: Of the runs that tests/test_random_runs.py draws.
DRAWN = """
## Runs drawn at random

For {minutes} minutes everything was drawn at random: networks (convolutions, batch norms, branches, pooling,
attention over tokens), sets (arrays, files, noise, scrambled images, with copies and with files that can't be
read), layers, kinds and numbers of units, normalisations, distances, the size of batches, limits of memory,
compression. What was recorded of every unit was compared with the network in float64, one image at a time, as
plain hooks see it: it has to be within 0.01 % of the layer's largest response (15 % with bfloat16). And
{compared:,} values were compared with double loops in float64 over the recorded responses, to a relative
error of 10^-5. Units and draws were chosen again by code that shares none with the package. Nothing differed.

"""

#: By what is counted of the runs: how it is told.
DRAWN_WORDS = {
    "kind": "units",
    "framework": "framework",
    "normalize": "normalisation",
    "metric": "distance",
    "dtype": "precision",
    "more": "at the second run more",
    "parts": "parts",
}

FOOT = """
## What is not promised

- That chunks survive a power failure: only results are synchronised to the disk. A chunk that was lost is
  noticed, and recorded again.
- That every change of a network's code is noticed: not one that leaves the mean, the SD and a sum of some
  units of every layer's responses to two fixed images as they were.
- That a run keeps its folder from another computer's while it gives no sign of life for five minutes: its
  computer sleeps, or is cut off from the file server.
"""

#: How the disks of the tests came about, in words.
DISKS = {
    "mount": "separate mounts",
    "limit": "simulated by a limit on the size of files",
    "permissions": "simulated by permissions",
    "hook": "simulated by a refusal of every write",
}


def section(drawn: Table) -> str:
    """Return the section on runs that were drawn at random, from what was counted of them."""
    counted = drawn.more["drawn"]
    text = DRAWN.format(
        minutes=round(drawn.more["seconds"] / 60), compared=counted["values"]["compared"]
    ) + "\n".join(drawn.lines("run"))
    told = [
        f"{words}: {', '.join(f'{what} ({times:,})' for what, times in Counter(counted[name]).most_common())}"
        for name, words in DRAWN_WORDS.items()
    ]
    counts = f"They had, by {'; '.join(told)}. {counted['kills']['killed']:,} processes were killed."
    return "\n".join([text, "", *textwrap.wrap(counts, 106), ""])


def page(faults: Table, *sections: str) -> str:
    """Return the page, from how each fault ends and what the tests counted of them, and further sections."""
    counted = faults.more
    where = ", ".join(f"{stage} ({times})" for stage, times in Counter(counted["kills"]).most_common())
    counts = COUNTED.format(
        where=where,
        kills=len(counted["kills"]),
        kept=counted["kept"],
        disks=" and ".join(DISKS[kind] for kind in dict.fromkeys(counted["disks"])),
    )
    return "\n".join(
        [HEAD + "\n".join(faults.lines("fault")), "", *textwrap.wrap(counts, 106), *sections, FOOT]
    )


def main() -> None:
    """Run the tests, and write the page when all of them passed."""
    drawn, faults = tries.run(["test_reliability.py", "test_random_runs.py"])  # in the order of their names
    PAGE.write_text(page(faults, section(drawn)), encoding="utf-8")


if __name__ == "__main__":
    main()
