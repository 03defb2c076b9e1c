"""The errors and the warning: what they say, and what a warning is about, whatever its words."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
import PIL.Image
import pytest

import differentia as dif
from differentia.errors import (
    WarningKind,
    has_control_characters,
    nearest_names,
    require_count,
    require_distinct_names,
    require_known,
    short_tracebacks,
    unknown_name,
    warn,
    whole_tracebacks,
    without_warnings,
)


def test_a_warning_has_a_kind() -> None:
    """It is told by an attribute, goes with the text into the provenance, and outlives pickling."""
    with pytest.warns(dif.DifferentiaWarning, match="^some words$") as caught:
        kept = warn("left_out", "some words")
    assert kept == {"kind": "left_out", "text": "some words"}
    (one,) = caught
    assert isinstance(one.message, dif.DifferentiaWarning)
    assert one.message.kind == "left_out"
    again = pickle.loads(pickle.dumps(one.message))
    assert (again.kind, str(again)) == ("left_out", "some words")


def test_a_warning_without_a_kind_is_another() -> None:
    """As `warnings.warn` makes it of a text and the class."""
    with pytest.warns(dif.DifferentiaWarning) as caught:
        warnings.warn("some words", dif.DifferentiaWarning, stacklevel=1)
    assert caught[0].message.kind == "other"  # type: ignore[union-attr]
    assert "other" in get_args(WarningKind)


def test_no_warnings_in_one_thread(recwarn: pytest.WarningsRecorder) -> None:
    """What is kept of them is the same; another thread gives its own, and so does this one afterwards."""
    with without_warnings(), without_warnings():
        other = threading.Thread(target=warn, args=("other", "of another thread"))
        other.start()
        other.join()
        assert warn("clipped", "some words") == {"kind": "clipped", "text": "some words"}
    warn("clipped", "more words")
    assert [str(one.message) for one in recwarn] == ["of another thread", "more words"]


def test_the_measure_warns_of_what_is_undefined() -> None:
    """The kind is set where the warning is given."""
    with pytest.warns(dif.DifferentiaWarning) as caught:
        assert np.isnan(dif.differentiation([[1.0, 1.0], [1.0, 1.0]]))
    assert caught[0].message.kind == "undefined"  # type: ignore[union-attr]


def test_unknown_names() -> None:
    """The close one is suggested; the known ones are listed, of many the nearest, in a line that is read."""
    require_known("metric", "a", ["a", "b"])
    with pytest.raises(
        dif.InputError, match=r"unknown metric 'euclid'\. Did you mean 'euclidean'\? Known: euc"
    ):
        require_known("metric", "euclid", ["euclidean", "cosine"])
    with pytest.raises(dif.InputError, match=r"unknown x 'a'\. None is known$"):
        require_known("x", "a", [])
    layers = [f"layer_{number}" for number in range(500)]
    with pytest.raises(
        dif.InputError, match=r"Did you mean 'layer_437'\? Known: layer_437, layer_"
    ) as caught:
        require_known("layer", "layr_437", layers)
    assert str(caught.value).endswith(", ... (500 in all)")
    assert len(str(unknown_name("layer", "x" * 1000, [name * 200 for name in layers]))) < 300


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("VGG-16", ["VGG16", "VGG19"]),
        ("vgg 16", ["VGG16", "VGG19"]),
        ("Very Deep", ["VGG19"]),
        ("top.variance", ["top_variance"]),
        ("quagga", []),
    ],
)
def test_the_nearest_names(given: str, nearest: list[str]) -> None:
    """Case and what parts words do not count, synonyms go first, and what is far is not suggested."""
    known = ["top_variance", "VGG19", "VGG16"]
    assert nearest_names(given, known, {"verydeep": "VGG19", "quagga": "not known"}) == nearest


def test_names_of_sets_and_layers() -> None:
    """Each is a text of its own, not empty, without control characters."""
    assert require_distinct_names("set", [1, " b "]) == ["1", "b"]
    for names, message in (([1, " 1"], "two sets"), ([" "], "empty name"), (["a\n"], "control characters")):
        with pytest.raises(dif.InputError, match=message):
            require_distinct_names("set", names)
    for unseen in ("a\u202eb", "a\u200bb", "\ufeffa", "a\u00adb", "a\u2028b", "\ue000"):
        with pytest.raises(dif.InputError, match="control characters"):
            require_distinct_names("set", [unseen])
    assert has_control_characters("a\0")
    for shown in (
        "na\u00efve \u56fe",
        "\u0646\u0645\u06cc\u200c\u062e\u0648",
        "\U0001f468\u200d\U0001f469\u2764\ufe0f",
    ):
        assert not has_control_characters(shown)


@pytest.mark.parametrize("other", ["cafe\u0301 x", "caf\u00e9  x", "caf\u00e9\u00a0x", "caf\u200d\u00e9 x"])
def test_names_that_look_the_same(other: str) -> None:
    """Unicode writes them in many ways, which the error shows; another accent is another name."""
    name = "caf\u00e9 x"
    with pytest.raises(
        dif.InputError, match=r"two sets have the name 'caf\\xe9 x', or one that looks the same, '"
    ):
        require_distinct_names("set", [name, other])
    with pytest.raises(dif.InputError, match="two sets have the name 'caf\u00e9 x'; give each its own"):
        require_distinct_names("set", [name, name])
    require_distinct_names("set", [name, "cafe\u0300 x", "cafe x", "x\u00b2", "x2"])


@pytest.mark.parametrize("wrong", [0, -1, 1.0, True, "3", None, 2**63])
def test_counts(wrong: object) -> None:
    """Whole numbers from 1, also NumPy's."""
    assert require_count("draws", np.int64(3)) == 3
    with pytest.raises(dif.InputError, match=r"draws is .*; expected a whole number >= 1"):
        require_count("draws", wrong)


@pytest.mark.parametrize("wrong", [-1, 1.5, True, None, 2**63])
def test_seeds(wrong: object) -> None:
    """Whole numbers from 0."""
    assert require_count("seed", 0, least=0) == 0
    with pytest.raises(dif.InputError, match=r"seed is .*; expected a whole number >= 0"):
        require_count("seed", wrong, least=0)


#: Calls that warn, and calls that fail, one a line: what a user's script has.
WARNING_CALLS = (
    "dif.differentiation([[1.0, 1.0], [1.0, 1.0]])",
    "dif.measure_responses({'a': {'V1': np.ones((3, 4))}})",
    "dif.records(result)",
    "dif.to_dataframe(result.sel(set=['b']))",
    "dif.across([result, result])",
    "dif.measure('digits', {'a': twice}, layers=['input'], n_units=5, draws=1, views=False)",
    "dif.measure_kinds('digits', {'a': twice}, kinds=['top'], layers=['input'], n_units=5, draws=1)",
    "dif.record('digits', {'a': twice}, layers=['input'])",
    "dif.select('digits', twice, 3, min_probability=0)",
    "dif.images(mixed)",
)
FAILING_CALLS = (
    "dif.differentiation([[1.0, 1.0]])",
    "dif.measure_responses({})",
    "dif.relative(result, 'c')",
    "dif.plot(result.sel(set='a'))",
    "dif.measure('digits', {'a': 'digits:3'}, layers=['nowhere'])",
    "dif.measure('digits', {'a': 'digits:3'}, n_units='many')",
    "dif.load_network('digitz')",
    "dif.load_result('nowhere.nc')",
    "dif.images('/nowhere')",
    "dif.noise(0)",
    "dif.across([])",
    "dif.draw_mean(result.mean('draw'))",
)
SCRIPT = """
import json, sys, traceback, warnings
import numpy as np
import torch
import differentia as dif

rng = np.random.default_rng(0)
result = dif.measure_responses({{s: {{"V1": rng.normal(size=(4, 9))}} for s in "ab"}}, reference="a")
twice, mixed = np.zeros((3, 8, 8), np.uint8), sys.argv[1]
found = []

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x).shout()  # the network's own line

def frames(error):
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]

def look(call):
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        try:
            call()
        except Exception as error:
            last = traceback.extract_tb((error.__cause__ or error).__traceback__)[-1]
            found.append([type(error).__name__, frames(error), last.line])
        else:
            found.append([[warning.filename, warning.lineno] for warning in given])

{calls}
network = dif.load_network(Network(), input_shape=(8, 3, 3), preprocess="unit")
look(lambda: dif.measure(network, {{"a": "noise:3"}}))
look(lambda: dif.plot(result, axis=3))
print(json.dumps(found))
"""


def run_script(folder: Path) -> tuple[Path, list[Any]]:
    """Return a user's script, and what it saw of warnings and errors, without the tests' import hook."""
    (folder / "mixed").mkdir()
    for name in ("a.png", "b.heic"):
        PIL.Image.new("L", (8, 8)).save(folder / "mixed" / name, format="png")
    script = folder / "script.py"
    calls = [f"look(lambda: {call})" for call in (*WARNING_CALLS, *FAILING_CALLS)]
    script.write_text(SCRIPT.format(calls="\n".join(calls)))
    env = {name: value for name, value in os.environ.items() if name != "DIFFERENTIA_TRACEBACKS"}
    command = [sys.executable, str(script), str(folder / "mixed")]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=folder)
    return script, json.loads(run.stdout)


@pytest.mark.slow
def test_warnings_and_errors_point_at_the_users_line(tmp_path: Path) -> None:
    """However deep they arise; a network's own error keeps its traceback, and so does any other's."""
    script, (*found, own, other) = run_script(tmp_path)
    lines = script.read_text().splitlines()
    warned, failed = found[: len(WARNING_CALLS)], found[len(WARNING_CALLS) :]
    for call, given in zip(WARNING_CALLS, warned, strict=True):
        assert given, call
        for filename, number in given:
            assert filename == str(script), call
            assert lines[number - 1] == f"look(lambda: {call})"
    package = str(Path(dif.__file__).parent)
    for call, (kind, frames, _) in zip(FAILING_CALLS, failed, strict=True):
        assert kind == "InputError", call
        assert [name.startswith(package) for name in frames] == [False, False, True], call
    kind, frames, line = own
    assert (kind, len(frames)) == ("RecordingError", 3)
    assert line == "return self.layer(x).shout()  # the network's own line"
    assert other[0] == "TypeError"
    assert len(other[1]) > 3


def test_whole_tracebacks_can_be_asked_for() -> None:
    """With them, an error shows the frames within the package too."""

    @short_tracebacks
    def outer() -> None:
        inner()

    def inner() -> None:
        require_known("metric", "a", ["b"])

    for whole in (False, True):
        token = whole_tracebacks.set(whole)
        with pytest.raises(dif.InputError) as caught:
            outer()
        whole_tracebacks.reset(token)
        frames = {frame.name for frame in traceback.extract_tb(caught.value.__traceback__)}
        assert ({"inner", "require_known"} <= frames) == whole
        assert "entry" in frames
