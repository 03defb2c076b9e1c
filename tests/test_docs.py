"""What README, pages, notebook and scripts name is there: names of the package, options, files."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.documents import DOCS, ROOT, named_of_package, unknown_options, unresolved
from helpers.site_checks import broken_repository_links

#: Not the changelog: it also names what was there before.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]
PAGES = sorted(page for page in PAGES if "_build" not in page.parts)
SCRIPTS = sorted(path for name in ("docs", "benchmarks", "training") for path in (ROOT / name).glob("*.py"))
SOURCES = sorted((ROOT / "src").rglob("*.py"))

#: Options of other programs: of Slurm, Dask, pip, uvx, and the scripts that write pages.
OF_OTHERS = {
    "--array",
    "--dependency",
    "--gres",
    "--kill-on-invalid-dep",
    "--lifetime",
    "--lifetime-stagger",
    "--memory-limit",
    "--nthreads",
    "--parsable",
    "--scheduler-file",
    "--signal",
    "--wrap",
    "--requeue",
    "--cpus-per-task",
    "--mem",
    "--job-name",
    "--time",
    "--open-mode",
    "--from",
}


def name_of(path: Path) -> str:
    """Return a file's place in the repository."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS, DOCS / "tutorial.ipynb"], ids=name_of)
def test_names_exist(path: Path) -> None:
    """Every `dif.measure` is public, and every `differentia.results.intervals` can be imported."""
    assert unresolved(path.read_text(encoding="utf-8")) == []


def test_names_exist_in_docstrings() -> None:
    """Of the package itself."""
    assert len(SOURCES) > 80
    gone = {name_of(path): unresolved(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: names for path, names in gone.items() if names} == {}


def test_names_are_looked_for() -> None:
    """In pages as in the notebook, whose lines are texts of JSON."""
    assert len(named_of_package((ROOT / "README.md").read_text(encoding="utf-8"))) > 15
    assert len(named_of_package((DOCS / "tutorial.ipynb").read_text(encoding="utf-8"))) > 20


def test_names_that_are_gone_are_found() -> None:
    """A name that was never public, one of a module, and one of a class; those that exist pass."""
    text = """`dif.measure(network)`, dif.__version__, `differentia.results.confidence.Sample.influence`,
    from differentia.cli import main; src/differentia.egg, differentia measure.
    dif.measures, `dif.errors`, differentia.uncertainty, differentia.results.confidence.Sample.infl
    """
    assert unresolved(text) == [
        *("dif.measures", "dif.errors", "differentia.uncertainty"),
        "differentia.results.confidence.Sample.infl",
    ]


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(DOCS.rglob("guides/*.md"))], ids=name_of)
def test_options_exist(path: Path) -> None:
    """Some command has every option that is named, on its own or in a command."""
    reference = (DOCS / "commands.md").read_text(encoding="utf-8")
    known = {word for word in reference.replace("=", " ").split() if word.startswith("--")}
    assert unknown_options(path.read_text(encoding="utf-8"), known | OF_OTHERS) == []


def test_options_that_are_gone_are_found() -> None:
    """Also within code; what is known, and a dash of a table, are not."""
    assert unknown_options("`--out DIR`, `--n-unit 3`, |---|, a--b", {"--out"}) == ["--n-unit"]


def test_links_work_in_the_repository_too() -> None:
    """The Markdown files' relative links, as they are read in a checkout."""
    files = sorted({*PAGES, *ROOT.glob("*.md")})
    assert len(files) >= 15
    for file in files:
        assert list(broken_repository_links(file.read_text(encoding="utf-8"), file.parent)) == [], file


def test_broken_repository_links_are_found(tmp_path: Path) -> None:
    """A file and a heading that are not there; code is no link."""
    (tmp_path / "a.md").write_text("# The measure, exactly\n", encoding="utf-8")
    text = "[1](a.md) [2](a.md#the-measure-exactly) [3](b.md) [4](a.md#gone) `[5](c.md)` [6](https://a.org)"
    assert list(broken_repository_links(text, tmp_path)) == ["b.md", "a.md#gone"]
