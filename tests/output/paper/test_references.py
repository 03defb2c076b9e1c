"""The references: how a work is written, and what the software and the networks of Keras are cited as."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import differentia as dif
from differentia.networks.applications import APPLICATIONS
from differentia.output.paper.references import OTHERS, REFERENCES, Reference, architecture_key

ROOT = Path(__file__).parents[3]


def test_a_reference_is_one_line() -> None:
    """Authors, year, title, place and link, as the APA's style has them."""
    assert str(REFERENCES["mensen2017"]) == (
        "Mensen, A., Marshall, W., & Tononi, G. (2017). EEG differentiation analysis and stimulus set "
        "meaningfulness. Frontiers in Psychology, 8, 1748. https://doi.org/10.3389/fpsyg.2017.01748"
    )
    assert str(REFERENCES["chollet2015"]) == (
        "Chollet, F., et al. (2015). Keras [Computer software]. https://keras.io"
    )
    assert str(REFERENCES["harris2020"]).startswith(
        "Harris, C. R., Millman, K. J., van der Walt, S. J., Gommers, R., Virtanen, P., Cournapeau, D., "
        "... Oliphant, T. E. (2020). Array"
    )


@pytest.mark.parametrize(
    ("authors", "year", "citation"),
    [
        (("Chollet, F.",), 2017, "Chollet, 2017"),
        (("Hoyer, S.", "Hamman, J."), 2017, "Hoyer & Hamman, 2017"),
        (("A, B.", "C, D.", "E, F."), 1999, "A et al., 1999"),
        (("Chollet, F.", OTHERS), 2015, "Chollet et al., 2015"),
        (("The differentia developers",), None, "The differentia developers, n.d."),
    ],
)
def test_citations(authors: tuple[str, ...], year: int | None, citation: str) -> None:
    """One author, two, more, unnamed others, a group; and no year."""
    assert Reference("key", authors, year, "Title").citation == citation


def test_bibtex() -> None:
    """Names that BibTeX can split, a group's in braces, two hyphens in a range, only known fields."""
    assert REFERENCES["hoyer2017"].bibtex == (
        "@article{hoyer2017,\n"
        "  author = {Hoyer, S. and Hamman, J.},\n"
        "  title = {{xarray: N-D labeled arrays and datasets in Python}},\n"
        "  journal = {Journal of Open Research Software},\n"
        "  volume = {5(1)},\n"
        "  pages = {10},\n"
        "  year = {2017},\n"
        "  doi = {10.5334/jors.148}\n"
        "}"
    )
    assert "pages = {357--362}" in REFERENCES["harris2020"].bibtex
    assert "pages = {ENEURO.0280-21.2021}" in REFERENCES["mayner2022"].bibtex
    own = REFERENCES["differentia"].bibtex
    assert own.startswith("@misc{differentia,\n  author = {{The differentia developers}},\n")
    assert "year" not in own
    for reference in REFERENCES.values():
        assert reference.bibtex.count("{") == reference.bibtex.count("}")
        assert not re.search(r"[&%#$_]", re.sub(r"(doi|url) = .*", "", reference.bibtex)), reference.key


def test_every_reference_can_be_found() -> None:
    """Each has a DOI, a link, or at least a volume; DOIs have their form; keys are their own."""
    for key, reference in REFERENCES.items():
        assert key == reference.key
        assert reference.doi or reference.url or reference.volume or key == "differentia"
        assert not reference.doi or re.fullmatch(r"10\.\d{4,5}/[\w./-]+", reference.doi)
    assert len({str(reference) for reference in REFERENCES.values()}) == len(REFERENCES)


def test_the_software_is_cited_as_it_asks() -> None:
    """Title and authors are those of CITATION.cff."""
    asked = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    own = REFERENCES["differentia"]
    assert f'title: "{own.title}"' in asked
    assert re.findall(r'- name: "(.*)"', asked) == list(own.authors)
    assert ("date-released" in asked) == (own.year is not None)
    assert f"version: {dif.__version__}" in asked


def test_every_network_of_keras_has_its_work() -> None:
    """Each name leads to a work; one that is unknown to none, and V2 not to V1."""
    missing = [name for name in APPLICATIONS if architecture_key(name) is None]
    assert missing == []
    assert architecture_key("VGG16") == "simonyan2015"
    assert architecture_key("ResNet50") == "he2016"
    assert architecture_key("ResNet50V2") == "he2016identity"
    assert architecture_key("MobileNetV2") == "sandler2018"
    assert architecture_key("VGG17") is None
