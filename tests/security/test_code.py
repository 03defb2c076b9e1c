"""Code that a file names, and experiment files made to do harm: nothing is run that was not allowed."""

from __future__ import annotations

import json
import os
import pickle
import pty
import random
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import helpers.zoo  # noqa: F401 - torchvision can be imported then
import pytest
import torch
from helpers.documents import ROOT
from helpers.hub_folders import Bomb, written
from helpers.runs import ENVIRONMENT
from helpers.tries import Rows, bounded

from differentia.cli import main
from differentia.networks.hubs.names import HUBS

ROWS = Rows("Code that a file names")

Capture = pytest.CaptureFixture[str]

GOOD = """
[network]
spec = "{}"
preprocess = "unit"
input_shape = [3, 8, 8]
[sets]
a = "noise:2"
b = "noise:3"
"""

#: Makes the file `ran` where it is imported or called, and gives a network.
PLANTED = """
from pathlib import Path
import torch
Path("ran").touch()
def make(**options):
    Path("ran").touch()
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
"""

#: Code that leaves the file `ran`, where it is run.
SPECS = (
    *("os:system?command='touch ran'", "planted:make", "subprocess:Popen?args=ran", "pathlib:Path.touch"),
    *(
        "subprocess:getoutput?cmd='touch ran'",
        "planted:make?width=3",
        "planted:no_such_name",
        "planted.deeper:make",
    ),
    *("builtins:open?file=ran&mode=w", "pathlib:Path.touch?self=ran", "torch.nn:Linear?in_features=2"),
    *(
        "torch:load?f=weights.pt&weights_only=False",
        "shutil:rmtree?path=set",
        "runpy:run_module?mod_name=planted",
    ),
    *("code:interact", "webbrowser:open?url=http://localhost:9", "planted:make?weights=planted.pt"),
)

#: How it is asked for.
WAYS: tuple[list[str], ...] = (
    *([], ["--part", "1/2"], ["--no-record"], ["--no-store"], ["--fresh"], ["--quiet", "--json"]),
    *(["--workers", "1"], ["--scheduler", "tcp://127.0.0.1:9"], ["--debug"]),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with code of a stranger in it, which works."""
    (tmp_path / "set").mkdir()
    (tmp_path / "planted.py").write_text(PLANTED)
    (tmp_path / "planted.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    yield tmp_path
    sys.modules.pop("planted", None)


def refused(capsys: Capture, arguments: Sequence[str], *told: str) -> None:
    """Assert that a command ends in one line that tells certain things, and that nothing was run or made."""
    before = sorted(map(str, Path().rglob("*")))
    assert main(list(arguments)) == 2, arguments
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if line.startswith("differentia: ")]
    assert len(lines) == 1, shown.err
    assert "--debug" in arguments or shown.err.splitlines() == lines
    assert shown.out == ""
    assert lines[0].isprintable()
    for text in told:
        assert text in lines[0], lines[0]
    assert sorted(map(str, Path().rglob("*"))) == before
    assert "planted" not in sys.modules


@ROWS.row(
    "An experiment file whose network is code (`os:system`, `subprocess:Popen`, a module beside the file), "
    "in a job or a pipe, with any option",
    "Not imported, not run, nothing written; one line shows the name, and says that `--trust-code` runs it",
)
@pytest.mark.parametrize("spec", bounded(SPECS, every_time=4))
def test_code_is_not_run(spec: str, place: Path, capsys: Capture, tried: Callable[..., None]) -> None:
    """Also where a folder has the file, as one that was sent does."""
    (place / "set" / "experiment.toml").write_text(GOOD.format(spec))
    for way in WAYS:
        for given in ("set", "set/experiment.toml"):
            line = "the file's network is code, ", "which would be run", "give --trust-code if you trust it"
            name = spec.partition("?")[0]
            refused(capsys, ["run", given, "--out", "o", *way], f"{given}: ", name, *line)
            tried()


@ROWS.row(
    "The same with `--trust-code`, and the same name typed as `differentia measure planted:make`",
    "Runs it: the code works, so that the rows above could fail",
)
@pytest.mark.usefixtures("no_pictures")
def test_trusted_code_is_run(place: Path, tried: Callable[..., None]) -> None:
    """The control."""
    (place / "x.toml").write_text(GOOD.format("planted:make"))
    typed = ["planted:make", "--preprocess", "unit", "--input-size", "8", "--set", "a=noise:2"]
    for arguments in (["run", "x.toml", "--trust-code"], ["measure", *typed]):
        assert main([*arguments, "--out", "o", "--no-store", "-q"]) == 0
        (place / "ran").unlink()
        sys.modules.pop("planted")
        tried()


def at_a_terminal(place: Path, arguments: Sequence[str], typed: str) -> str:
    """Run the command line at a terminal, type something once it asks, and return all that it showed."""
    ours, theirs = pty.openpty()
    own = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"}
    command = [sys.executable, "-c", "from differentia.cli import script; script()", *arguments]
    with subprocess.Popen(command, cwd=place, env=own, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown, end = b"", time.monotonic() + 120
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown += os.read(ours, 10_000)
                except OSError:  # the other side is closed
                    break
                if b"Type yes" in shown and typed:
                    os.write(ours, typed.encode())
                    typed = ""
        else:
            process.kill()
            pytest.fail(f"it hangs after {shown!r}")
    os.close(ours)
    return shown.decode()


@ROWS.row(
    "The same at a terminal, with escape sequences in the name",
    "Shown with escapes, and run after `yes` only",
)
@pytest.mark.slow
@pytest.mark.parametrize(("typed", "runs"), bounded([("no\n", False), ("yes\n", True)], every_time=1))
def test_a_terminal_asks(typed: str, runs: bool, place: Path, tried: Callable[..., None]) -> None:
    """Of a process of its own: a terminal is what it looks for."""
    (place / "x.toml").write_text(GOOD.format(r"planted:make?a=\u001b]0;title\u0007"))
    shown = at_a_terminal(place, ["run", "x.toml", "--out", "o", "--no-store", "--figures", "none"], typed)
    assert r"'planted:make?a=\x1b]0;title\x07', which would be run" in shown
    assert "\x1b]0" not in shown
    assert (place / "ran").exists() == runs
    assert ("nothing was run" in shown) == (not runs)
    tried()


#: Lines of an experiment file that might name code elsewhere: what is put in the place of what of `OTHER`.
OTHER = '[network]\nspec = "digits"\n[sets]\na = "noise:2"\nb = "noise:3"\n[measure]\n'
ELSEWHERE = (
    *(
        ("[sets]", f'{field} = "planted:make"\n[sets]')
        for field in ("preprocess", "forward", "device", "dtype")
    ),
    *(("[sets]", f'classes = "{name}"\n[sets]') for name in ("planted:make", "planted.py", "planted.pt")),
    *(
        ("noise:2", name)
        for name in ("planted:make", "planted.py", "planted.pt", "noise:2?kind=planted:make")
    ),
    *(("[network]", f'sets_from = "{name}"\n[network]') for name in ("planted:make", "planted.py")),
    *(
        ("[measure]", f'[measure]\n{option} = "planted:make"')
        for option in ("metric", "units", "normalize", "compile", "store", "client", "progress", "memory")
    ),
    *(
        ('"digits"', f'"{name}"')
        for name in (
            "keras:MobileNet?weights=none&input_tensor=planted:make",
            "keras:MobileNet?weights=planted.pt",
            "planted.keras",
            "./planted.py:make",
            "planted.py:make",
        )
    ),
    *(("[network]", f'[responses]\nfile = "{name}"\n[x]') for name in ("planted.py", "planted.npz")),
    ("[network]", '[recording]\nfiles = ["planted.py"]\n[x]'),
)


@ROWS.row(
    "An experiment file that names code elsewhere: as preprocessing, classes, a set, a metric, weights, a "
    "Keras model, responses",
    "Refused, also with `--trust-code`: only the network's name may be of code",
)
def test_nothing_else_is_code(place: Path, capsys: Capture, tried: Callable[..., None]) -> None:
    """Pickles under other names are among it."""
    for name in ("planted.keras", "planted.npz"):
        shutil.copy("planted.pt", name)
    for old, new in ELSEWHERE:
        assert old in OTHER
        (place / "x.toml").write_text(OTHER.replace(old, new))
        refused(capsys, ["run", "x.toml", "--out", "o", "--trust-code"], "x.toml: ")
        tried()


#: Code that surely gives no network: the first of each is not called, the second is, and then refused.
NO_NETWORKS = {
    "subprocess:Popen?args=ran": "makes Popen, so that it was not called",
    "pathlib:Path?a=1": "makes Path, so that it was not called",
    "annotated:number": "makes int, so that it was not called",
    "annotated:text": "makes str, so that it was not called",
    "annotated:nothing": "makes None, so that it was not called",
    "annotated:either": "makes int | str, so that it was not called",
    "annotated:arrays": "makes list[numpy.ndarray], so that it was not called",
    "os:getcwd": "getcwd returned an object of type str; expected a torch.nn.Module, a keras.Model ",
    "os:cpu_count": "cpu_count returned an object of type int; ",
    "os:environ": "environ is of type _Environ; expected a torch",
    "sys:path": "path is of type list; ",
    "builtins:frozenset": "makes frozenset, so that it was not called; ",
}

ANNOTATED = """
from pathlib import Path
import numpy
def number() -> int: Path("ran").touch()
def text() -> "str": Path("ran").touch()
def nothing() -> None: Path("ran").touch()
def either() -> int | str: Path("ran").touch()
def arrays() -> list[numpy.ndarray]: Path("ran").touch()
"""


@ROWS.row(
    "Code, trusted, that makes something else than a network: a process, a path, a number, text, nothing",
    "Not called where its annotation, or its class, says so; else one line says what came, and what to write",
)
def test_what_makes_no_network(place: Path, capsys: Capture, tried: Callable[..., None]) -> None:
    """With the name typed, and from a file."""
    (place / "annotated.py").write_text(ANNOTATED)
    for spec, told in NO_NETWORKS.items():
        (place / "x.toml").write_text(GOOD.format(spec))
        told_of = f"{spec}: {spec.partition('?')[0].rpartition(':')[2]}", told, "name a function of yours"
        refused(capsys, ["run", "x.toml", "--out", "o", "--trust-code"], *told_of)
        refused(capsys, ["layers", spec, "--preprocess", "unit", "--input-size", "8"], *told_of)
        tried(2)
    sys.modules.pop("annotated")


def of_torchvision(folder: Path) -> list[str]:
    return [f"torchvision:mobilenet_v3_small?weights={path}" for path in folder.glob("*.pt*")]


def of_timm(folder: Path) -> list[str]:
    """A folder as timm writes one, with a pickle, and words of its configuration for code."""
    architecture = "test_vit"
    told = {"architecture": architecture, "pretrained_cfg": {"custom_load": "planted:make"}}
    (folder / "config.json").write_text(json.dumps(told))
    shutil.copy(folder / "payload.pt", folder / "pytorch_model.bin")
    (folder / "safe").mkdir()
    shutil.copy(folder / "config.json", folder / "safe")
    shutil.copy(folder / "payload.pt", folder / "safe" / "model.safetensors")
    return [
        *(f"timm:{architecture}?weights={path}" for path in folder.glob("*.pt*")),
        *(f"timm:local-dir:{folder}", f"timm:local-dir:{folder / 'safe'}"),
        *(
            f"timm:{architecture}?checkpoint_path={folder / 'payload.pt'}",
            "timm:test_vit?weights=none&trust=True",
        ),
        f"timm:{architecture}?weights=none&pretrained_cfg_overlay=planted:make",
    ]


def of_hf(folder: Path) -> list[str]:
    """Folders with code of their own, and pickles."""
    names = ("of_code", "of_processor", "of_pickle", "of_disguise")
    for name in names:
        written(folder / name, "vit")
        shutil.copy(folder.parent / "planted.py", folder / name)
    for name, file in {"of_code": "config.json", "of_processor": "preprocessor_config.json"}.items():
        path = folder / name / file
        asked = {"auto_map": dict.fromkeys(("AutoModel", "AutoConfig", "AutoImageProcessor"), "planted.make")}
        path.write_text(json.dumps(json.loads(path.read_text()) | asked))
    (folder / "of_pickle" / "model.safetensors").rename(folder / "of_pickle" / "spare")
    shutil.copy(folder / "payload.pt", folder / "of_pickle" / "pytorch_model.bin")
    shutil.copy(folder / "payload.pt", folder / "of_disguise" / "model.safetensors")
    return [
        *(f"hf:{folder / name}" for name in names),
        *(f"hf:{folder / 'of_pickle'}?weights={path}" for path in folder.glob("*.pt*")),
        *(f"hf:{folder / name}?trust_remote_code=True" for name in names),
        f"hf:{folder / 'of_disguise'}?attn_implementation=planted/kernel",
    ]


def of_open_clip(folder: Path) -> list[str]:
    """A folder as open_clip writes one, with pickles."""
    vision = {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 8}
    config = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": {"hf_model_name": "planted/model"}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    shutil.copy(folder / "payload.pt", folder / "open_clip_pytorch_model.bin")
    (folder / "safe").mkdir()
    shutil.copy(folder / "open_clip_config.json", folder / "safe")
    shutil.copy(folder / "payload.pt", folder / "safe" / "open_clip_model.safetensors")
    local = f"open_clip:local-dir:{folder}"
    return [
        *(local, f"{local}/safe", f"{local}?trust_remote_code=True"),
        *(f"{local}?pretrained={path}" for path in folder.glob("*.pt*")),
    ]


#: By hub: what writes files that would run code, and returns names of networks that are made of them.
OF_HUBS = {"torchvision": of_torchvision, "timm": of_timm, "hf": of_hf, "open_clip": of_open_clip}


@ROWS.row(
    "Networks of torchvision, timm, Hugging Face, open_clip whose folder holds code of its own (`auto_map`) "
    "or pickles, also under the name of safetensors, and options that would allow it (`trust_remote_code`)",
    "Refused in one line; no code of a hub is imported, and no pickle of more than tensors is read",
)
@pytest.mark.parametrize("hub", list(HUBS))
def test_hubs_run_nothing(hub: str, place: Path, capsys: Capture, tried: Callable[..., None]) -> None:
    """Of all that are installed; pickles are plain, as PyTorch writes them, and with another name."""
    if find_spec(HUBS[hub].module) is None:
        pytest.skip(f"{hub} is not installed")
    folder, bomb = place / "files", Bomb(place / "ran")
    folder.mkdir()
    torch.save({"weight": bomb}, folder / "payload.pt")
    (folder / "plain.pth").write_bytes(pickle.dumps({"weight": bomb}))
    for spec in OF_HUBS[hub](folder):
        given = ["layers", spec, "--preprocess", "unit", "--input-size", "32"]
        refused(capsys, given)
        tried()
    with pytest.raises(FileNotFoundError):
        (place / "ran").unlink()
    torch.load(folder / "payload.pt", weights_only=False)  # the control
    assert (place / "ran").exists()


@ROWS.row(
    "`h5py.py`, `numpy.py`, `torch.py`, `typing.py`, `typer.py` in the working folder, and "
    "`python -m differentia`, also with workers",
    "Not imported; what Python itself imports before, such as `warnings`, it takes from there (`python -P` "
    "does not)",
)
@pytest.mark.parametrize("given", bounded([["layers"], ["measure"], ["measure", "--workers"]], every_time=1))
def test_the_working_folder_is_not_looked_into(
    given: list[str], tmp_path: Path, tried: Callable[..., None]
) -> None:
    """Nor by the processes that are begun."""
    names = ["h5py", "numpy", "torch", "typing", "typer", "lazy_loader", "pydantic", "json", "psutil"]
    names += ["multiprocessing", "pickle", "socket"] if "--workers" in given else []
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"open('ran_{name}', 'w')")
    own = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT / "src")}
    measured = ["--set", "a=noise:2", "--set", "b=noise:3", "--figures", "none", "-q", "--out", "o"]
    command = [sys.executable, "-m", "differentia", given[0], "digits"]
    command += [*(measured if given[0] == "measure" else []), *(["--workers", "1"] if given[1:] else [])]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("ran_*"))
    assert (tmp_path / "o" / "result.nc").is_file() == (given[0] == "measure")
    control = subprocess.run(
        [sys.executable, "-c", "import typing"], cwd=tmp_path, env=own, capture_output=True, text=True
    )
    assert control.returncode == 0
    assert (tmp_path / "ran_typing").exists()
    tried(len(names))


# ------------------------------------------------------------------------------------- changed files

PLAIN = """out = "out"
[network]
spec = "digits"
device = "cpu"
[sets]
noise = "noise:2"
threes = "digits:3?digit=3"
[measure]
n_units = [5]
draws = 1
layers = ["input", "predictions"]
seed = 0
views = false
"""

#: What is put in the place of a value.
VALUES = (
    *("true", "-1", "0", "9" * 400, "1e999", "nan", "1979-05-27", "[]", "{}", '""', "[[[]]]", '"\\u0000"'),
    *('"\\u001b[2J"', '"\\ud800"', '"../../x"', '"/dev/zero"', '"/dev/stdin"', '"/proc/self/mem"', '"pipe"'),
    *(
        '"planted:make"',
        "\"os:system?command='touch ran'\"",
        '"' + "x" * 5000 + '"',
        '"~root/x"',
        '"file:///x"',
    ),
    *(
        '"*"',
        '"planted.py"',
        '"planted.pt"',
        '["a", 1]',
        "{a = {b = {c = 1}}}",
        '"noise:99999999999999999999"',
    ),
    *('"digits:3?digit=12"', '"\u202e"', '"hf:a/b"', "0x" + "f" * 50, "-0.0", '"scramble:noise?kind=pixels"'),
)


def changed(seed: int) -> bytes:
    """Return an experiment file in which something, or several things, are otherwise."""
    chance = random.Random(seed)
    lines = PLAIN.splitlines()
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(lines))
        key, equals, _ = lines[at].partition(" = ")
        way = chance.randrange(9)
        if way <= 3 and equals:  # another value
            lines[at] = f"{key} = {chance.choice(VALUES)}"
        elif way == 4 and equals:  # another key
            lines[at] = f"{chance.choice((*VALUES[-8:], 'spec', 'a.b.c', 'forward', 'store'))} = 1"
        elif way == 5:  # twice
            lines.insert(at, lines[at])
        elif way == 6:  # not at all
            del lines[at]
        elif way == 7:  # another table
            lines.insert(
                at, chance.choice(("[network.spec]", "[[sets]]", "[responses]", "[recording]", "[x]"))
            )
        else:
            lines.insert(at, "x = " + "[" * 2000)
    content = "\n".join(lines).encode(errors="surrogatepass")
    if chance.randrange(6) == 0:  # a byte
        place = chance.randrange(len(content))
        content = content[:place] + bytes([chance.choice((0, 0x1B, 0x80, 0xFF, 0x0D))]) + content[place + 1 :]
    return content if chance.randrange(12) else content[: chance.randrange(len(content))]


def tree(folder: Path) -> dict[str, int | None]:
    """Return all that lies in a folder, with when it was changed, but for folders themselves."""
    return {str(path): path.lstat().st_mtime_ns if path.is_file() else None for path in folder.rglob("*")}


@ROWS.row(
    "Changed experiment files: other values, keys, types and tables, paths upwards and of devices, NUL and "
    "escape sequences, huge numbers, deep nesting, keys that are there twice, a file that is cut off",
    "One line of what is wrong, without a traceback, or measured as it says; no code run, nothing written "
    "but into the folder beside the file",
)
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("first", bounded(range(0, 100, 10), every_time=2))
def test_changed_experiments(
    first: int, place: Path, tmp_path: Path, capsys: Capture, tried: Callable[..., None]
) -> None:
    """Ten of them, each in a folder of its own."""
    os.mkfifo(place / "pipe")
    for seed in range(first, first + 10):
        lab = place / str(seed)
        lab.mkdir()
        (lab / "x.toml").write_bytes(changed(seed))
        for name in ("planted.py", "planted.pt"):
            shutil.copy(place / name, lab)
        os.mkfifo(lab / "pipe")
        before = tree(place)
        status = main(["run", f"{seed}/x.toml", "--no-store"])
        shown = capsys.readouterr()
        lines = [line for line in shown.err.splitlines() if line.startswith("differentia: ")]
        assert status in (0, 2), (seed, shown.err)
        assert "Traceback" not in shown.err
        assert "\x1b" not in shown.err + shown.out
        if status:
            told = [line for line in lines if not line.startswith("differentia: warning: ")]
            assert len(told) == 1, (seed, lines)
            assert told[0].startswith(f"differentia: {seed}/x.toml: "), told
        new = {path for path, changed in tree(place).items() if before.get(path, -1) != changed}
        assert all(Path(path).is_relative_to(lab / "out") for path in new), (seed, new)
        assert "planted" not in sys.modules
        tried()


@ROWS.row(
    "An experiment file that names another folder to write to: above its own, absolute, or by a link beside "
    "it",
    "Refused: `out =` has to lie beside the file; `--out DIR` names any",
)
@pytest.mark.parametrize("out", ["..", "../other", "{}", "{}/other", "link", "link/below", "~", "~/x"])
def test_out_lies_beside_the_file(
    out: str, place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tried: Callable[..., None]
) -> None:
    """As it is written, and where links lead."""
    monkeypatch.setenv("HOME", str(place))
    (place / "other").mkdir()
    (place / "set" / "link").symlink_to(place / "other")
    (place / "set" / "x.toml").write_text(PLAIN.replace('"out"', f'"{out.format(place)}"'))
    refused(capsys, ["run", "set/x.toml"], "which is not in the file's own folder; give --out DIR")
    tried()


@ROWS.row(
    "A pipe, a device, a socket or a folder in the place of an experiment file, or of a folder's "
    "`experiment.toml`; a file that becomes a pipe while it is asked for",
    "Refused at once: only regular files are opened",
)
def test_what_is_no_file(place: Path, capsys: Capture, tried: Callable[..., None]) -> None:
    """Nothing waits for the other end of a pipe."""
    os.mkfifo(place / "pipe.toml")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.toml")  # in the working folder: whole paths may be too long
    (place / "link.toml").symlink_to("pipe.toml")
    (place / "folder.toml" / "experiment.toml").mkdir(parents=True)
    os.mkfifo(place / "set" / "experiment.toml")
    no_file = "can't be read as TOML: it is {}, not a file"
    for name, told in {
        "pipe.toml": no_file.format("a pipe"),
        "socket.toml": no_file.format("a socket"),
        "link.toml": no_file.format("a pipe"),
        "/dev/zero": no_file.format("a device"),
        "/dev/null": no_file.format("a device"),
        "folder.toml": "holds no experiment.toml",
        "set": "holds no experiment.toml",
        "set/experiment.toml": no_file.format("a pipe"),
    }.items():
        begun = time.monotonic()
        refused(capsys, ["run", name, "--out", "o"], f"{name}: ", told)
        assert time.monotonic() - begun < 5
        tried()


@ROWS.row(
    "A pipe, a device, a socket or a folder in the place of an experiment file, or of a folder's "
    "`experiment.toml`; a file that becomes a pipe while it is asked for",
    "Refused at once: only regular files are opened",
)
def test_a_file_that_becomes_a_pipe(place: Path, capsys: Capture, tried: Callable[..., None]) -> None:
    """It is exchanged for a pipe and back all the time: read whole, or refused."""
    (place / "x.toml").write_text(PLAIN.replace('"digits"', '"digit"'))
    stop = threading.Event()

    def exchange() -> None:
        for number in range(10_000):
            if stop.is_set():
                break
            beside = place / f"new_{number}"
            os.mkfifo(beside) if number % 2 else beside.write_text(PLAIN.replace('"digits"', '"digit"'))
            beside.replace(place / "x.toml")

    exchanging = threading.Thread(target=exchange)
    exchanging.start()
    try:
        for _ in range(30):
            assert main(["run", "x.toml"]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert "it is a pipe, not a file" in line or "unknown network 'digit'" in line
            tried()
    finally:
        stop.set()
        exchanging.join()
    assert "planted" not in sys.modules


def test_changes_differ() -> None:
    """Files are not all refused for the same, and some are as good as before."""
    assert len({changed(seed) for seed in range(100)}) >= 90
    assert any(b"planted:make" in changed(seed) for seed in range(100))
