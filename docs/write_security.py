"""Write docs/security.md from what tests/security counts while it runs, all of it.

python docs/write_security.py
"""

from __future__ import annotations

from collections.abc import Sequence

import tries
from tries import HERE, TESTS, Table

PAGE = HERE / "security.md"

HEAD = """# A stranger's file

A folder of images, a network's weights, a result, a store of responses, an experiment file may come from
anybody. This page says what of it is trusted, what is not, and what you should do yourself; and how that
was tested.

## What is trusted, and what is not

- **Code is run only if you name it.** A network that is named as `package.module:factory` is code. Where
  you type the name (`differentia measure`, `load_network`), it is run. Where an experiment file names it
  (`differentia run`), it is run with `--trust-code`, or after you said yes at the terminal, which shows
  what would run. Nothing else that is read runs code: no pickle is read, no code of a model hub, no Keras
  layer that holds code or names a function.
- **Only regular files are read, only what lies in the folder is written.** Pipes, devices and links in a
  store are refused; nothing is written through a link in a folder of results.
- **Sizes are looked at before anything is read.** A small file that declares more than it can hold, or
  would take far more memory than it has bytes, is refused, or given up after a time that the message names.
- **Text from files can't steer your terminal.** Control characters in names, messages and attributes are
  shown as escapes, as in `\\u001b`.
- **Numbers are checked.** A result that is not as it was saved, or is none, is refused; so is a store's
  damaged part.

## What you should do

- Read an experiment file before you say yes to the code that it names, and the code too: it can do all that
  you can.
- Keep Pillow, PyAV, h5py and PyTorch up to date. They decode images, films and HDF5 in the process (or in
  one of its children) with your rights; a flaw in them is one here.
- Give your own code's weights as safetensors where you can: a pickle of more than tensors is refused.
- Don't write into a folder that others can write to while you do.

## How this was tested

*Tries* are those of one run of all tests (`make soak`, which writes this page). A try passes where the
process ends in one line that says what to do, or reads what can be read, in the time and memory that the
row names; where no file was written or code run outside of what was asked for; and where no escape sequence
was shown.
"""


def page(tables: Sequence[Table]) -> str:
    """Return the page, a section for each module of tests."""
    parts = [HEAD]
    for table in tables:
        parts += ["\n".join([f"### {table.title}", "", *table.lines("what is given")]), ""]
    return "\n".join(parts).rstrip() + "\n"


def main() -> None:
    """Run the tests, and write the page when all of them passed."""
    modules = sorted(path.relative_to(TESTS) for path in (TESTS / "security").glob("test_*.py"))
    PAGE.write_text(page(tries.run(list(map(str, modules)))), encoding="utf-8")


if __name__ == "__main__":
    main()
