"""The code of the how-to guides and of the definition is run, and prints what stands below it."""

from __future__ import annotations

import logging
import re
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from helpers.clusters import forked
from helpers.documents import DOCS, commands
from helpers.film_files import film

from differentia.cli import main

if TYPE_CHECKING:
    from helpers.digit_files import DigitFiles

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures")]

GUIDES = [page for page in sorted((DOCS / "guides").glob("*.md")) if page.stem != "index"]
PAGES = [*GUIDES, DOCS / "reference" / "definition.md"]

#: The films of the guides, from the calmest to the busiest.
FILMS = [
    "calm",
    "walls",
    "grass",
    "trees",
    "river",
    "rain",
    "waves",
    "birds",
    "street",
    "crowd",
    "train",
    "bikes",
]


class Block(NamedTuple):
    """A fenced block of a page, and the text block right below it: what it prints."""

    language: str
    code: str
    printed: str | None


def blocks(text: str) -> list[Block]:
    """Return the blocks that are run, in order."""
    pattern = r"^```(python|console|toml)\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?"
    found = re.findall(pattern, text, flags=re.DOTALL | re.MULTILINE)
    return [Block(language, code, printed or None) for language, code, printed in found]


def run_page(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a page's blocks as a reader would: files are written, code and commands run in order."""
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(text):
        capsys.readouterr()
        if block.language == "console":
            for program, *given in commands(block.code):
                assert program == "differentia"
                assert main(given) == 0, given
        elif named := re.match(r"# (\w+\.(?:py|toml))\n", block.code):
            Path(named[1]).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.code, "<page>", "exec", dont_inherit=True), names)
        if block.printed is not None:
            assert capsys.readouterr().out.strip() == block.printed.strip()


@pytest.fixture
def folder(tmp_path: Path, digit_files: DigitFiles, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two folders of images and one of films, whose code can be imported."""
    for name, files in (("cats", digit_files.names[:12]), ("more", digit_files.names[12:24])):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for file in files:
            shutil.copy(digit_files.folder / file, tmp_path / "photos" / name)
    (tmp_path / "films").mkdir()
    for step, name in enumerate(FILMS, 1):
        film(tmp_path / "films" / name, count=12, rate=1, size=(32, 32), step=step)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_code", raising=False)
    return tmp_path


@pytest.mark.filterwarnings("ignore:left out what can't be read:differentia.errors.DifferentiaWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_runs(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each page's own code, in a folder of images; it prints what the page says."""
    logger = logging.getLogger("differentia")
    try:
        with forked() if page.stem == "clusters" else nullcontext():
            run_page(page.read_text(encoding="utf-8"), capsys)
    finally:
        logger.handlers.clear()  # a page may have it print
        logger.setLevel(logging.NOTSET)
    import matplotlib.pyplot as plt

    plt.close("all")


def test_a_page_that_is_wrong_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code that prints something else, and a command with a wrong option."""
    with pytest.raises(AssertionError, match="2"):
        run_page("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", capsys)
    with pytest.raises(AssertionError, match="--cuont"):
        run_page("```console\n$ differentia noise a --cuont 3\n```\n", capsys)


def test_every_guide_is_run() -> None:
    """The pages are found, the list of guides names them all, and each holds code."""
    listed = re.findall(r"^- \[.*\]\((\w+)\.md\)$", (DOCS / "guides" / "index.md").read_text("utf-8"), re.M)
    assert sorted(listed) == [page.stem for page in GUIDES]
    for page in PAGES:
        assert blocks(page.read_text(encoding="utf-8")), page
