"""The page without a browser: what is refused, that a file is whole, and that it asks for nothing."""

from __future__ import annotations

import base64
import errno
import gzip
import hashlib
import html
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.reports import compared, data_of, kinds, measured
from helpers.results import neurons, over_time
from plotly.offline import get_plotlyjs

import differentia as dif
from differentia.output.report import page
from differentia.results.contrasts import contrasts_between_sets
from differentia.results.dataset import with_provenance

RNG = np.random.default_rng(0)


# ------------------------------------------------------------------------------------------- what is refused


def test_what_is_no_result_is_refused() -> None:
    """Nothing is written of it, nor of several results that do not belong together."""
    both = kinds()
    cases: list[tuple[Any, str]] = [
        ({}, r"expected a result, or results as \{kind of units: result\}; got none"),
        (None, "the result is of type NoneType"),
        ({**both, "top": both["top"].assign_attrs(metric="cosine")}, "differ in their metric"),
        ({**both, "top": both["top"].assign_attrs(seed=9)}, "differ in their seed"),
        (both["top"].isel(image=slice(3)), "the set .* has 3 of its 6 images"),
        (both["top"].isel(set=[]), "no set left"),
    ]
    for wrong, message in cases:
        with pytest.raises(dif.InputError, match=message):
            dif.write_report(wrong, "never.html")
        assert not Path("never.html").exists()


def test_contrasts_of_something_else_are_refused() -> None:
    """Each error names what was given; nothing is written."""
    result = compared()
    (first, *_) = contrasts_between_sets(result)
    cases: list[tuple[Any, str]] = [
        (first, "contrasts= is one Dataset; expected a list of them"),
        (["cats"], "this str is not a contrast; expected what contrast"),
        ([result], "this Dataset is not a contrast"),
        (
            [first.assign_attrs(units="top")],
            "is of 'top' units; the results are of random",
        ),
        ([first.assign_attrs(second="cats")], "has the set 'cats', which the result does not have"),
        ([first.assign_coords(layer=list("abcd"))], "has the layer 'a', which the result does not have"),
        ([first.assign_attrs(n_units=7)], "is of 7 units; the result's largest number of units is 100"),
    ]
    for wrong, message in cases:
        with pytest.raises(dif.InputError, match=message):
            dif.write_report(result, "never.html", contrasts=wrong)
        assert not Path("never.html").exists()


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder, a file in a folder that is none, an empty path: the error names it and the way out."""
    (tmp_path / "file").write_text("kept")
    cases: list[tuple[Path | str, str]] = [
        (tmp_path, r": can't be written \(it is a folder\); give the path of a file in a folder that can"),
        (tmp_path / "gone" / "report.html", r"gone/report.html: can't be written"),
        (tmp_path / "file" / "report.html", r"file/report.html: can't be written"),
        ("", "an empty path was given"),
        (tmp_path / ("x" * 300), "File name too long"),
    ]
    for path, message in cases:
        with pytest.raises(dif.InputError, match=message):
            dif.write_report(neurons(), path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "kept")]


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where writing fails half way, the earlier report stands and nothing lies beside it."""
    path = dif.write_report(neurons(), tmp_path / "report.html")
    assert path == tmp_path / "report.html"
    before = path.read_bytes()
    with monkeypatch.context() as patched:

        def broken(self: Path, text: str, encoding: str) -> None:
            with self.open("w", encoding=encoding) as file:
                file.write(text[:1000])
            raise OSError(errno.ENOSPC, "no space left")

        patched.setattr(Path, "write_text", broken)
        with pytest.raises(dif.StorageError, match=r"\(no space left\); free some space"):
            dif.write_report(measured(), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["report.html"]
    dif.write_report(measured(), path)
    assert path.read_bytes() != before
    assert os.listdir(tmp_path) == ["report.html"]


@pytest.mark.slow
def test_the_same_result_gives_the_same_page(tmp_path: Path) -> None:
    """Byte by byte, and of another result another one; also once saved and loaded."""
    dif.save(measured(), tmp_path / "result.nc")
    results = [
        measured(),
        measured(),
        dif.load_result(tmp_path / "result.nc"),
        measured().assign_attrs(seed=9),
    ]
    pages = [dif.write_report(result, tmp_path / "report.html").read_bytes() for result in results]
    assert pages[0] == pages[1] == pages[2]
    assert pages[0] != pages[3]


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    """By its own policy: no script but those in it, pictures only from within."""
    text = dif.write_report(measured(), tmp_path / "report.html").read_text(encoding="utf-8")
    (policy,) = (html.unescape(line) for line in text.splitlines() if "Content-Security-Policy" in line)
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 3
    assert "unsafe-eval" not in policy
    assert "img-src data: blob:" in policy
    assert "connect-src" not in policy
    markup = text[: text.index('<script type="application/gzip"')]
    assert " src=" in markup
    assert {part.split(":", 1)[0] for part in markup.split(' src="')[1:]} == {"data"}
    packed = text.partition('id="plotly">')[2].partition("</script>")[0]
    plotly = gzip.decompress(base64.b64decode(packed))
    assert plotly.decode() == get_plotlyjs()
    assert f"'sha256-{base64.b64encode(hashlib.sha256(plotly).digest()).decode()}'" in policy
    assert len(packed) < 0.45 * len(plotly)


# ---------------------------------------------------------------------------------------- what is on the page


def test_names_of_networks() -> None:
    """Without options and folders."""
    for network, short in {
        "digits": "digits",
        "keras:VGG16?weights=/data/w.h5": "keras:VGG16",
        "/home/me/nets/my.keras?preprocess=unit": "my.keras",
        "nets/": "nets/",
    }.items():
        assert page.short_name(network) == short


def test_titles_say_the_weights() -> None:
    """Random ones, and those that a library has several of; a file without its folder."""
    for network, weights, title in (
        ("keras:VGG16", "", "keras:VGG16"),
        ("keras:VGG16?weights=none", "", "keras:VGG16 with random weights"),
        ("timm:vit_tiny?weights=none", "random", "timm:vit_tiny with random weights"),
        ("timm:vit_tiny", "augreg_in1k", "timm:vit_tiny with the weights augreg_in1k"),
        ("timm:vit_tiny.augreg_in1k", "augreg_in1k", "timm:vit_tiny.augreg_in1k"),
        ("torchvision:vgg11?weights=/me/w.pt", "/me/w.pt", "torchvision:vgg11 with the weights w.pt"),
        ("hf:some/net", "", "net"),
        ("my.nets:make?weights=/me/w.pt", "", "my.nets:make"),
    ):
        assert page.titled({"network": network, "weights": weights}) == title


def test_tokens_and_numbers_stand_at_the_top(tmp_path: Path) -> None:
    """And which tokens count on the curves' axis; nothing where all do, in float32."""
    result = measured()
    some = with_provenance(
        result, tokens="class", token_layers=result["layer"].values.tolist()[:1], dtype="bfloat16"
    )
    others = result.sizes["layer"] - 1
    for given, said in ((some, True), (result, False)):
        text = dif.write_report(given, tmp_path / "report.html").read_text(encoding="utf-8")
        lead = text.partition('class="lead">')[2].partition("</p>")[0]
        assert (f"(class token of 1 layer; {others} whole, computed in bfloat16)." in lead) == said
        assert (data_of(text)["tokens"] == f"class token of 1 layer; {others} whole") == said


def test_showing_it_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter is given one frame, and nothing warns; without IPython the error says what to do instead."""
    shown: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr("IPython.display.display", shown.append)
        assert dif.show(neurons(), height=321) is None
    with pytest.raises(dif.InputError, match="the result is of type str"):
        dif.show("result.nc")  # type: ignore[arg-type]
    (given_to_jupyter,) = shown
    assert given_to_jupyter.data.count("<iframe") == 1
    assert "height: 321px" in given_to_jupyter.data
    assert len(given_to_jupyter.data) < 2_500_000  # bytes
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    message = r"show\(\) needs a Jupyter notebook .*; write_report\(\) writes a file that browsers open"
    with pytest.raises(dif.InputError, match=message):
        dif.show(neurons())


def test_a_page_of_trials_speaks_of_states(tmp_path: Path) -> None:
    """Not of images, nor of fewer of them; that of stimuli does not speak of states."""
    of_trials = dif.write_report(over_time(), tmp_path / "trials.html").read_text(encoding="utf-8")
    of_stimuli = dif.write_report(neurons(), tmp_path / "stimuli.html").read_text(encoding="utf-8")
    said = (
        "between all pairs of states of a trial, as a mean over the trials of a set",
        "they need 10 to 2,048",
    )
    assert [one in of_trials for one in said] == [True, False]
    assert [one in of_stimuli for one in said] == [False, True]
    missing = data_of(of_trials)["missing"]
    assert "at most 2,000 images" not in " ".join(missing.values())
    assert "at most 2,000 images" in " ".join(data_of(of_stimuli)["missing"].values())
