"""Progress: what is told of each stage, and where a bar is shown of it."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
from helpers.recordings import load

import differentia as dif
from differentia.system.progress import COUNTED, shown_progress

SETS = {"few": dif.noise(12, seed=1), "a_set": dif.noise(11, seed=2)}
FAST = "n_units=5, layers=['input', 'predictions'], views=False"
MEASURE = f"dif.measure('digits', {{'cats': 'noise:400', 'dogs': 'noise:40?seed=1'}}, {FAST}"


def test_every_stage_is_told() -> None:
    """In their order, each from where it begins to all there are; each names what is counted."""
    told: list[tuple[int, int, str]] = []

    def tell(done: int, total: int, stage: str) -> None:
        told.append((done, total, stage))

    result = dif.measure(load(), SETS, n_units=5, batch_size=6, progress=tell)
    n_layers = result.sizes["layer"]
    assert told == [
        *((6, 23, "recording few"), (12, 23, "recording few")),
        *((18, 23, "recording a_set"), (23, 23, "recording a_set")),
        *((done, n_layers, "measuring") for done in range(n_layers + 1)),
    ]
    told.clear()
    dif.measure_kinds(load(), SETS, kinds=("random", "all"), n_units=5, progress=tell)
    measured = [(done, total) for done, total, stage in told if stage == "measuring"]
    assert [done for done, _ in measured] == [*range(n_layers + 1), *range(n_layers, 2 * n_layers + 1)]
    assert {total for _, total in measured} == {2 * n_layers}
    told.clear()
    arrays = {"a": {"x": np.eye(12), "y": np.eye(12)}}
    dif.measure_responses(arrays, progress=tell)
    assert told == [(0, 2, "measuring"), (1, 2, "measuring"), (2, 2, "measuring")]
    told.clear()
    dif.contrasts_between_sets(result.assign_attrs(reference=""), progress=tell)
    assert told == [(0, 1, "contrasts"), (1, 1, "contrasts")]


@pytest.mark.parametrize("given", ["yes", 1, []])
def test_what_is_no_progress(given: object) -> None:
    """One line that says what is expected, of every function, before anything is measured."""
    expected = (
        r"progress is .*; expected True, False, or a function that is called with \(done, total, stage\)"
    )
    arrays = {"a": {"x": np.eye(12)}}
    result = dif.measure_responses(arrays)
    for function, arguments in (
        (dif.measure, ("nowhere:at_all", SETS)),
        (dif.record, ("nowhere:at_all", SETS)),
        (dif.measure_responses, ({},)),
        (dif.select, ("nowhere:at_all", SETS["few"], 3)),
        (dif.contrasts_between_sets, (result,)),
    ):
        with pytest.raises(dif.InputError, match=expected):
            function(*arguments, progress=given)  # type: ignore[arg-type]


def test_nothing_where_nobody_looks_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Where stderr is no terminal, not even an empty line; nor with False."""
    for given in (None, False):
        with shown_progress(given) as report:
            report(1, 2, "recording cats")
    assert capfd.readouterr() == ("", "")


def test_a_line_now_and_then_where_nobody_looks_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every five minutes at most, of what is being done; none with False."""
    now = 1000.0
    monkeypatch.setattr("differentia.system.progress.time.monotonic", lambda: now)
    caplog.set_level(logging.INFO)
    for given in (False, None):
        with shown_progress(given) as report:
            for minute in range(13):
                now += 60.0
                report(1000 * minute, 20_000, "recording with 2 workers, 13 images/s")
            now += 300.0
            report(0, 1, "report")
    assert caplog.messages == [
        "recording with 2 workers, 13 images/s: 5,000/20,000 images",
        "recording with 2 workers, 13 images/s: 11,000/20,000 images",
        "report",
    ]


def frames(shown: str) -> list[str]:
    """Return what stood on the line of a bar, one after the other."""
    without = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    return [line.strip() for line in re.split(r"\r|\n|\x1b\[[0-9;?]*[A-Zlh]", without) if line.strip()]


def on_terminal(code: str, columns: int = 80) -> tuple[str, str]:
    """Return what a program writes to stderr, which is a terminal, and to stdout, which is not."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=follower, stdin=follower, env=environment
    ) as process:
        os.close(follower)
        shown = b""
        with io.FileIO(leader) as terminal:
            try:
                while part := terminal.read(4096):
                    shown += part
            except OSError:  # which is how Linux says that nobody writes to it any more
                pass
        assert process.stdout is not None
        return shown.decode(), process.stdout.read().decode()


@pytest.mark.slow
def test_a_bar_on_a_terminal() -> None:
    """A line that names the stage and what is counted, and is gone at the end, with the cursor back."""
    code = f"""
import warnings, differentia as dif
from differentia.system.progress import shown_progress
dif.measure_responses({{"a": {{"x": [[0.0, 1.0], [1.0, 0.0]]}}}}, progress=False)
print("of measuring")
with shown_progress() as report:
    report(32, 400, "recording cats")
    with shown_progress() as inner:  # of a call within another
        inner(1, 7, "measuring")
    warnings.warn("stands above")
    print("to stdout")
    report(3, 400, "recording " + "a very long name of a set " * 10)
try:
    {MEASURE})
    dif.measure_responses({{"a": {{"x": [[0.0, 1.0], [1.0, 0.0]]}}}}, progress=lambda *told: 1 / 0)
except ZeroDivisionError:
    print("failed")
with shown_progress() as report:
    report(0, 1, "report")
    raise KeyboardInterrupt
"""
    shown, printed = on_terminal(code)
    assert printed == "of measuring\nto stdout\nfailed\n"
    bars = frames(shown)
    for stage in ("preparing", r"recording cats .* 32/400 images", r"report [^\d]* \d:\d\d:\d\d"):
        assert any(re.match(stage, line) for line in bars), stage
    assert not any("1/7 layers" in line for line in bars)
    assert any("stands above" in line for line in bars)
    assert any(re.match(r"recording a very .*… .*3/400 images", line) for line in bars)
    assert max(len(line) for line in bars if " images" in line) <= 80
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 3
    assert frames(shown.rpartition("\x1b[?25h")[2])[-1] == "KeyboardInterrupt"


def test_a_bar_of_a_command() -> None:
    """It is drawn; what others print, meanwhile and afterwards, stands above and below it, printable."""
    code = r"""
import sys
from differentia.system.progress import shown_progress
from differentia.system.terminal import printable_streams
with printable_streams():
    with shown_progress() as report:
        report(32, 400, "recording cats")
        print("above\x1b[2J", file=sys.stderr)
        report(33, 400, "recording cats")
    print("below\x1b[2J", file=sys.stderr)
    with shown_progress() as report:
        report(1, 7, "measuring")
"""
    shown, _ = on_terminal(code)
    bars = frames(shown)
    for stage in (
        r"recording cats .* 32/400 images",
        r"recording cats .* 33/400",
        r"measuring .* 1/7 layers",
    ):
        assert any(re.match(stage, line) for line in bars), shown
    assert bars.count(r"above\u001b[2J") == bars.count(r"below\u001b[2J") == 1
    assert shown.count(r"\u001b") == 2
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 2


def test_one_bar_at_a_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Of calls in several threads; when the first is done, there is room for another, also after an error."""
    seen = []

    def show() -> None:
        with shown_progress(True) as report:
            report(1, 2, "measuring")
            seen.append(capsys.readouterr().err)

    def fail() -> None:
        with shown_progress(True) as outer:
            outer(1, 2, "figures")
            for _ in range(2):
                thread = threading.Thread(target=show)
                thread.start()
                thread.join()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "1/2 layers" not in "".join(seen) + capsys.readouterr().err
    show()
    assert "1/2 layers" in seen[-1] + capsys.readouterr().err


def test_stages_of_the_command_line_are_counted() -> None:
    """Each stage has its noun, but the report, which is one."""
    assert {stage for stage, noun in COUNTED.items() if not noun} == {"report"}


@pytest.mark.slow
def test_a_line_in_a_notebook(tmp_path: Path) -> None:
    """One output, which is written anew and empty at the end; none with False."""
    at_once = "import differentia as dif, differentia.system.progress as shown\nshown._PAUSE = -1"
    cells = [f"{at_once}\n{MEASURE})\nprint('done')", f"{MEASURE}, progress=False);"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(book, timeout=120, kernel_name="python3")
    shown: list[tuple[str, dict[str, str]]] = []
    as_before = client.process_message

    def watch(message: dict, *arguments: object) -> object:  # type: ignore[type-arg]
        if message["msg_type"].endswith("display_data"):
            shown.append((message["msg_type"], message["content"]["data"]))
        return as_before(message, *arguments)  # type: ignore[arg-type]

    client.process_message = watch  # type: ignore[method-assign, assignment]
    client.execute()
    assert [kind for kind, _ in shown] == ["display_data"] + ["update_display_data"] * (len(shown) - 1)
    texts = [data["text/plain"] for _, data in shown]
    assert texts[0].startswith("preparing")
    assert any(re.match(r"recording cats \S* +\d+/440 images \d:\d\d:\d\d", text) for text in texts)
    assert any(re.match(r"measuring \S* +2/2 layers \d:\d\d:\d\d", text) for text in texts)
    assert not any("\n" in text or "\x1b" in text for text in texts)
    empty, done = book.cells[0].outputs
    assert empty["data"] == {"text/plain": "", "text/html": ""}
    assert (done["output_type"], done["text"]) == ("stream", "done\n")
    assert book.cells[1].outputs == []
