"""What is printed: JSON that every program reads, tables, what the library tells, and what to trust."""

from __future__ import annotations

import io
import json
import logging
import re
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.printed import parts, rows_of

import differentia as dif
from differentia.cli.output import (
    print_contrast,
    print_json,
    print_paragraph,
    print_result,
    print_statistics,
    print_table,
    say,
    told_by_the_library,
    written_value,
)
from differentia.cli.tables import Column
from differentia.results.contrasts import CONTRAST_VALUES

pytestmark = pytest.mark.usefixtures("no_pictures")


def result_of(sets: list[str], layers: list[str], **options: Any) -> xr.Dataset:
    """Return a result of responses that are at hand, with these names."""
    rng = np.random.default_rng(0)
    arrays = {name: {layer: rng.gamma(2.0, size=(12, 30)) for layer in layers} for name in sets}
    return dif.measure_responses(arrays, **options)


@pytest.mark.parametrize("reference", ["set 4", None])
def test_of_many_sets_quantiles_are_printed(
    reference: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over all sets but the reference, which has a column of its own; and where the values of each are."""
    result = result_of([f"set {at}" for at in range(14)], ["V1", "LM"], reference=reference)
    print_result(result)
    printed = capsys.readouterr().out
    means = result["differentiation"].mean("draw").isel(n_units=0)
    others = means.drop_sel(set=reference) if reference else means
    quantiles = np.quantile(others, [0.1, 0.5, 0.9], axis=others.get_axis_num("set"))
    for layer, *expected in zip(["V1", "LM"], *quantiles, strict=True):
        (line,) = [line for line in printed.splitlines() if line.startswith(layer)]
        for value in expected:
            assert f" {value:.2f}" in line
    assert f"{len(others['set'])} sets" in printed
    assert ("set 4" in printed.splitlines()[1] + printed.splitlines()[2]) == bool(reference)
    assert "set 7" not in "".join(printed.splitlines()[:5])
    assert "--json prints the values of each" in printed
    # few sets have a column each
    print_result(result_of(["a", "b"], ["V1"]))
    assert "--json" not in capsys.readouterr().out


@pytest.mark.parametrize("reference", ["set 4", None])
def test_of_many_sets_the_statistics_are_quantiles(
    reference: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over all sets but the reference, as of differentiation; no set else has columns of its own."""
    result = result_of([f"set {at}" for at in range(14)], ["V1", "LM"], reference=reference)
    found = dif.statistics(result, pairs=[])
    print_statistics(found, result)
    printed = capsys.readouterr().out
    others = found.drop_sel(set=reference) if reference else found
    for layer in ("V1", "LM"):
        (line,) = [line for line in printed.splitlines() if line.startswith(layer)]
        numbers = iter(line.split()[1:])
        if reference:
            own = found.sel(set=reference, layer=layer)
            for what in ("mean", "dimensionality", "dimensionality_unbiased"):
                assert float(next(numbers)) == pytest.approx(own[what].item(), rel=0.01)
        for what in ("mean", "dimensionality", "dimensionality_unbiased"):
            for expected in np.quantile(others[what].sel(layer=layer), [0.1, 0.5, 0.9]):
                assert float(next(numbers)) == pytest.approx(expected, rel=0.01)
        assert next(numbers, None) is None
    assert f"Quantiles over {13 if reference else 14} sets. --json prints the values of each" in printed
    assert "set 7" not in printed


def test_too_many_images_for_distances(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not kept is told, and of how many it would be."""
    monkeypatch.setattr("differentia.experiment.measure.MOST_IMAGES_WITH_DISTANCES", 30)
    told = "Of 36 stimuli no distances, maps or small pictures are kept"
    for number, expected in ((3, True), (2, False)):
        print_result(result_of([f"set {at}" for at in range(number)], ["V1"]))
        printed = capsys.readouterr().out
        assert (told in printed) == expected
        assert ("measure at most 30 in all" in printed) == expected


class Terminal(io.StringIO):
    """What is written to a terminal of so many columns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
        super().__init__()
        monkeypatch.setattr("sys.stdout", self)
        monkeypatch.setenv("COLUMNS", str(width))

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("n_sets", [3, 12])
def test_all_of_a_result_is_in_its_table(width: int, n_sets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With names of 60 letters too: no line is longer than the terminal, and none ends in a word."""
    sets = ["rest", *(f"a_set_{at}_" + "s" * 52 for at in range(1, n_sets))]
    layers = [f"area_{at}_" + "l" * 53 for at in range(3)]
    result = result_of(sets, layers, n_units=(20, 25), pool=30, draws=3, reference="rest")
    terminal = Terminal(monkeypatch, width)
    print_result(result)
    printed = re.sub(r"\x1b\[\d*m", "", terminal.getvalue())
    for line in printed.splitlines():
        assert len(line) <= width, line
    table, _, below = printed.rpartition("\n\n")
    shown = rows_of(table)
    for one in dif.to_dataframe(result.sel(n_units=[25])).to_dict("records"):
        cells = shown[one["layer"]]
        at = sets.index(one["set"])
        value, _, spread, low, high = re.sub(r"[\[\],]", "", cells[1 + at]).split()
        assert cells[0] == "25"
        limits = [one[f"differentiation_images_{end}"] for end in ("low", "high")]
        wanted = [one["differentiation"], one["sd_over_draws"], *limits]
        assert list(map(float, (value, spread, low, high))) == pytest.approx(wanted, abs=0.006)
        if at:
            relative = float(cells[n_sets + at])
            assert relative == pytest.approx(one["relative"], abs=0.006)
    assert " ".join(below.split()) == " ".join(dif.say_precision(result) + dif.say_doubts(result))
    assert printed.startswith("Differentiation, 25 neurons [95 %: other stimuli]\n")


def test_what_is_recorded_has_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Populations, neurons and stimuli, in the table and below it; in a contrast likewise."""
    result = result_of(["movie", "rest"], ["V1", "LM"])
    print_result(result)
    print_contrast(dif.contrast(result, "movie", "rest"), result)
    printed = capsys.readouterr().out
    assert [headings[0] for headings, _ in parts(printed)] == ["population", "population"]
    assert parts(printed)[0][0][1] == "neurons"
    assert "other stimuli" in printed
    assert " of 2 populations " in printed
    assert not re.search("image|layer|unit", printed)


@pytest.mark.parametrize(
    ("numbers", "written"),
    [
        ((1.4137, 1.4106, 1.4174), "1.414 [1.411, 1.417]"),
        ((0.5953, 0.5412, 0.6621), "0.60 [0.54, 0.66]"),
        ((0.00091, 0.00011, 0.00149), "0.0009 [0.0001, 0.0015]"),
        ((0.6, 0.0, 2.0), "0.60 [0.00, 2.00]"),
        ((1.2549, np.nan, np.nan), "1.25"),
        ((0.5784, np.nan, np.nan), "0.58"),
        ((0.00048, np.nan, np.nan), "0.00048"),
        ((1234.5678, np.nan, np.nan), "1235"),
        ((-0.0421, -0.0812, -0.00312), "-0.04 [-0.08, -0.003]"),
        ((-0.0021, -0.1, 0.1), "-0.002 [-0.10, 0.10]"),
        ((1234.5678, 1190.0, 1250.0), "1235 [1190, 1250]"),
        ((3.21e-7, 1e-7, 5e-7), "3.2e-07 [1.0e-07, 5.0e-07]"),
        ((1.4142, 1.4142, 1.4142), "1.414 [1.414, 1.414]"),
        ((np.nan, np.nan, np.nan), "nan"),
        ((1.0, 0.5, np.inf), "1.00 [0.50, inf]"),
        ((1.0, 0.5, np.inf, 0.1), "1.00 \u00b1 0.10 [0.50, inf]"),
    ],
)
def test_digits_follow_the_interval(numbers: tuple[float, ...], written: str) -> None:
    """There are as many as it tells, of a small value too."""
    assert " ".join(part for part in written_value(*numbers) if part) == written


def test_what_is_no_number_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    """At any depth; numbers keep all their digits, and texts their letters."""
    print_json([{"é": [0.1 + 0.2, float("nan")], "n": (1, None, float("inf"))}])
    printed = capsys.readouterr().out
    assert json.loads(printed) == [{"é": [0.30000000000000004, None], "n": [1, None, None]}]
    assert "é" in printed


def test_tables_show_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """What Rich would take for markup is text; numbers stand to the right."""
    print_table(
        "[red]title", Column(["layer"], ["[b]a", "b"], text=True), [Column(["units"], ["7", "1,024"])]
    )
    assert capsys.readouterr().out == "[red]title\nlayer  units\n─────  ─────\n[b]a       7\nb      1,024\n"


def test_names_can_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """They are escaped, and columns as wide as what is seen; letters of all scripts are as they were."""
    names = ["\x1b[31ma", "\u0646\u0645\u06cc\u200c\u062e\u0648 \u56fe"]
    print_table("\x9b2J", Column(["layer"], names, text=True), [Column(["\x07"], ["7", "8"])])
    assert capsys.readouterr().out.splitlines() == [
        "\\u009b2J",
        "layer        \\u0007",
        "\u2500" * 11 + "  " + "\u2500" * 6,
        "\\u001b[31ma       7",
        f"{names[1]:11}       8",
    ]
    print_paragraph("a\x1bb")
    print_json({"name": "\x9b\u202e\udcff\U000f0000"})
    told = capsys.readouterr().out
    assert told.startswith("a\\u001bb\n")
    assert told.replace("\n", "").isprintable()
    assert json.loads(told.partition("\n")[2]) == {"name": "\x9b\u202e\udcff\U000f0000"}


def test_paragraphs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line into a pipe; on a terminal lines end between words, and not before a percent sign."""
    sentences = ["It is known to ±0.1 (95 %).", "The layer encoder.layers.11.self-attention is so."]
    print_paragraph(*sentences)
    assert capsys.readouterr().out == " ".join(sentences) + "\n"
    print_paragraph()
    assert capsys.readouterr().out == ""
    terminal = Terminal(monkeypatch, 24)
    print_paragraph(*sentences)
    lines = ["It is known to ±0.1", "(95 %). The layer", "encoder.layers.11.self-attention", "is so."]
    assert terminal.getvalue().splitlines() == lines


def test_what_the_library_tells(capsys: pytest.CaptureFixture[str]) -> None:
    """On one line of stderr, while a command runs; afterwards its logger is as it was."""
    logger = logging.getLogger("differentia")
    before = logger.level, list(logger.handlers)
    with told_by_the_library():
        logging.getLogger("differentia.recording").info("half\nis done")
    assert capsys.readouterr() == ("", "differentia: half is done\n")
    assert (logger.level, logger.handlers) == before
    say("one\n line")
    assert capsys.readouterr() == ("", "one line\n")


def test_what_is_not_to_be_trusted_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """By a question mark in the place of the interval, and behind a ratio, below which it is said why."""
    rng = np.random.default_rng(0)
    arrays = {name: {"V1": rng.gamma(2.0, size=(12, 30))} for name in ("movie", "rest")}
    result = dif.measure_responses(arrays, n_units=(20, 25), draws=3, reference="rest")
    nothing = result["doubt"].copy(data=np.full(result["doubt"].shape, "", dtype="U32"))
    of_few, of_most = nothing.copy(deep=True), nothing.copy(deep=True)
    of_few.loc[{"set": "movie", "n_units": 20}] = "gap"  # not of the number of units that is printed
    of_most.loc[{"set": "movie", "n_units": 25}] = "strong images"
    for doubt, marked in ((nothing, False), (of_few, False), (of_most, True)):
        shown = dif.with_intervals(result.assign(doubt=doubt))
        print_result(shown)
        printed = capsys.readouterr().out
        _, movie, rest, ratio = rows_of(printed)["V1"]
        assert re.fullmatch(r"\d\.\d\d \?" if marked else r"\d\.\d+", ratio)
        assert movie.endswith(" ?" if marked else "]")
        assert rest.endswith("]")
        said = printed.rpartition("\n\n")[2]
        assert ("?: not to be trusted for other stimuli" in said) == marked
        for sentence in dif.say_doubts(shown):
            assert sentence in said
        assert len(dif.say_doubts(shown)) == marked


def test_a_small_p_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """With four decimals, and as a power of ten below what they can tell; "-" where there is none."""
    numbers = {name: ("layer", [0.5, -0.5, np.nan]) for name in CONTRAST_VALUES}
    of_p = {name: ("layer", [3.21e-7, 0.0456, np.nan]) for name in ("p", "p_corrected")}
    about = {"first": "a", "second": "b", "units": "random", "n_units": 50, "confidence": 0.9}
    about |= {"paired": 0, "corrected_over": "layers and pairs of sets", "n_tests": 12}
    found = xr.Dataset(numbers | of_p, coords={"layer": ["x", "y", "z"]}, attrs=about)
    print_contrast(found, result_of(["a", "b"], ["x", "y", "z"]))
    printed = capsys.readouterr().out
    assert [row[-2:] for row in rows_of(printed).values()] == [["3.2e-07"] * 2, ["0.0456"] * 2, ["-"] * 2]
    assert rows_of(printed)["z"][:2] == ["-", "-"]
    assert printed.splitlines()[-1] == (
        "They differ in 2 of 3 populations (p < 0.05, corrected over 12 populations and pairs of sets): "
        "x, y; unknown in 1."
    )


def test_statistics_say_which_images_are_in_two_sets(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the sets that are compared, by the content of images; of stimuli, which are not known, nothing."""
    rng = np.random.default_rng(0)
    result = dif.measure_responses({name: {"x": rng.normal(size=(5, 9))} for name in ("a", "b", "c")})
    hashes = [*"12345", *"16789", *"1abcd"]
    known = result.assign_coords(image_hash=("image", hashes), layer_kind=("layer", ["Linear"]))
    for given, pairs, told in (
        (known, [("a", "b")], "Images are in two sets (a and b: 1): none is compared with itself"),
        (known, [("a", "b"), ("b", "c")], "Images are in two sets (a and b: 1; b and c: 1): none"),
        (known, [], None),
        (result, [("a", "b")], None),
    ):
        print_statistics(dif.statistics(given, pairs=pairs), given)
        printed = capsys.readouterr().out
        assert (told or "a 5, b 5, c 5. Dimensions are at most one less") in printed
        assert ("in two sets" in printed) == (told is not None)
        assert printed.count("Median distances between") == len(pairs)
