"""Run the tutorial, and write it with all that it prints and draws as a page: docs/tutorial/README.md.

The notebook holds no outputs, so that its changes can be read; on this page it can be read without being run.
"""

from __future__ import annotations

import base64
import itertools
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent / "tutorial.ipynb"
PAGE = Path(__file__).parent / "tutorial" / "README.md"

#: What stands in the place of the view of the report, which a page of Markdown can't hold.
INTERACTIVE = "*(Here a notebook shows the interactive view of the report.)*"


def page_of(notebook: Any) -> tuple[str, dict[str, bytes]]:
    """Return a notebook that was run as Markdown, and the pictures that it names."""
    pictures: dict[str, bytes] = {}
    parts: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            # The page lies one folder further down than the notebook.
            parts.append(re.sub(r"\]\((?=[\w./]+\.md)", "](../", cell.source))
            continue
        source = cell.source.removesuffix(";")  # which tells a notebook, and nobody else, to show no value
        parts.append(f"```python\n{source}\n```")
        for data in _outputs(cell):
            if "image/png" in data:
                name = f"figure_{len(pictures) + 1:02}.png"
                pictures[name] = base64.b64decode(data["image/png"])
                parts.append(f"![Figure {len(pictures)} of the tutorial]({name})")
            elif "dif.show" in cell.source and "text/html" in data:
                parts.append(INTERACTIVE)
            else:
                text = "\n".join(line.rstrip() for line in data["text/plain"].rstrip().splitlines())
                parts.append(f"```text\n{text}\n```")
    note = "*Run from [the notebook](../tutorial.ipynb) by `docs/write_tutorial_page.py`.*"
    return "\n\n".join([parts[0], note, *parts[1:]]) + "\n", pictures


def _outputs(cell: Any) -> Iterator[dict[str, str]]:
    """Yield what a cell shows, by its type; what it prints one after the other is one text.

    What a bar leaves when it has gone is empty.
    """
    for printed, outputs in itertools.groupby(cell.outputs, lambda output: output.output_type == "stream"):
        if printed:
            yield {"text/plain": "".join(output.text for output in outputs)}
        else:
            shown = (output.data for output in outputs if "data" in output)
            yield from (data for data in shown if any(content.strip() for content in data.values()))


def main() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    text, pictures = page_of(notebook)
    PAGE.parent.mkdir(exist_ok=True)
    for stale in PAGE.parent.glob("*.png"):
        stale.unlink()
    for name, content in pictures.items():
        (PAGE.parent / name).write_bytes(content)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(pictures)} pictures\n")


if __name__ == "__main__":
    main()
