"""Weights of a file: checkpoints, those of wrappers and tied ones go in; what does not fit is one line."""

from __future__ import annotations

import argparse
import gzip
import io
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_model, save_file, save_model
from torch import nn
from torch.optim.swa_utils import AveragedModel

import differentia as dif
from differentia.networks.weights import load_weights


class Net(nn.Module):
    """A convolution, a normalisation with a counter, and two tied classifiers."""

    def __init__(self, width: int = 4, *, tied: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.bn = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        if tied:
            self.second.weight = self.head.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.head(self.bn(self.conv(x)).mean((2, 3))))


def trained(**options: Any) -> Net:
    """Return a network of random weights that no other has, which has seen a batch."""
    net = Net(**options)
    net(torch.rand(2, 3, 8, 8))
    return net


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def with_prefix(prefix: str) -> Callable[[Net], dict[str, Any]]:
    return lambda net: {f"{prefix}{name}": tensor for name, tensor in net.state_dict().items()}


def of_lightning(net: Net) -> dict[str, Any]:
    return {
        "epoch": 3,
        "state_dict": with_prefix("net.")(net),
        "hyper_parameters": {"lr": 0.1},
        "callbacks": {},
    }


def with_optimizer(net: Net) -> dict[str, Any]:
    net(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizer = torch.optim.Adam(net.parameters())
    optimizer.step()
    return {"optimizer": optimizer.state_dict(), "model_state_dict": net.state_dict(), "loss": torch.ones(())}


def empty_hdf5() -> bytes:
    file = io.BytesIO()
    h5py.File(file, "w").close()
    return file.getvalue()


#: What of a network is written into a file, by what its log line says.
CHECKPOINTS: dict[str, Callable[[Net], Any]] = {
    "": lambda net: net.state_dict(),
    "the weights of 'model_state_dict'": with_optimizer,
    "took the weights of 'state_dict', without 'net.' in their names": of_lightning,
    "the weights of 'net' in 'checkpoint'": lambda net: {"checkpoint": {"net": net.state_dict()}},
    "without 'module.' in their names": lambda net: nn.DataParallel(net).state_dict(),
    "the weights, without 'module.' in their names": lambda net: AveragedModel(net).state_dict(),
    "without '_orig_mod.' in their names": with_prefix("_orig_mod."),
    "without 'module._orig_mod.' in": with_prefix("module._orig_mod."),
    "without 'model.' in their names": with_prefix("model."),
    "without 'a.b.' in their names": with_prefix("a.b."),
}


@pytest.mark.parametrize("told", CHECKPOINTS)
def test_usual_checkpoints(tmp_path: Path, told: str, caplog: pytest.LogCaptureFixture) -> None:
    """All tensors are those that were saved; what was unpacked is logged, and else nothing."""
    saved, fresh = trained(), trained()
    torch.save(CHECKPOINTS[told](saved), tmp_path / "w.pt")
    assert not same(saved, fresh)
    with caplog.at_level(logging.INFO, logger="differentia"):
        load_weights("a:b", fresh, str(tmp_path / "w.pt"))
    assert same(saved, fresh)
    assert [told in record.getMessage() for record in caplog.records] == [True] * bool(told)


class Compiled(nn.Module):
    """Has its module under the name that `torch.compile` gives it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._orig_mod = module


def test_compiled_parts(tmp_path: Path) -> None:
    """What `torch.compile` adds within a name, on either side."""
    plain, compiled = trained(), trained()
    compiled.head = Compiled(compiled.head)  # type: ignore[assignment]
    assert "head._orig_mod.weight" in compiled.state_dict()
    for source, target in ((plain, compiled), (compiled, trained())):
        torch.save(source.state_dict(), tmp_path / "w.pt")
        for parameter in target.parameters():
            nn.init.zeros_(parameter)
        load_weights("a:b", target, str(tmp_path / "w.pt"))
        assert same(source, target)


class Versioned(nn.Linear):
    """Refuses weights without the version of the module that wrote them, as torchvision's MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state_dict: Any, prefix: str, metadata: Any, *others: Any) -> None:
        if metadata.get("version") != 2:
            raise ValueError(f"version {metadata.get('version')} is not known")
        super()._load_from_state_dict(state_dict, prefix, metadata, *others)


class Inside(nn.Module):
    """Has a module under the name that `AveragedModel` gives it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def test_versions_of_modules_go_with_their_names(tmp_path: Path) -> None:
    """As `load_state_dict` takes them; without its version the weights are refused, as PyTorch does."""
    path = tmp_path / "w.pt"
    for wrap in (lambda net: net, Inside, lambda net: Inside(Compiled(net)), Compiled):
        saved, fresh = (nn.Sequential(nn.Linear(2, 2), Versioned(2, 2)) for _ in range(2))
        torch.save({"model": wrap(saved).state_dict()}, path)
        load_weights("a:b", fresh, str(path))
        assert same(saved, fresh)
        fresh[1] = Compiled(Versioned(2, 2))
        load_weights("a:b", fresh, str(path))
        assert same(saved, fresh)
    wide = nn.Sequential(nn.Linear(2, 5), Versioned(2, 2))
    with pytest.raises(dif.InputError, match=r"0\.weight .*\(2, 2\), not \(5, 2\)"):
        load_weights("a:b", wide, str(path))
    torch.save(dict(saved.state_dict()), path)
    with pytest.raises(dif.InputError, match="version None is not known"):
        load_weights("a:b", fresh, str(path))


def test_two_that_fit_are_told(tmp_path: Path) -> None:
    """The first is taken, with a warning that names the other; one that does not fit is none."""
    model, ema, fresh = trained(), trained(), trained()
    torch.save({"model": model.state_dict(), "ema": ema.state_dict()}, tmp_path / "two.pt")
    with pytest.warns(dif.DifferentiaWarning, match=r"took the weights of 'model'; those of 'ema' fit"):
        load_weights("a:b", fresh, str(tmp_path / "two.pt"))
    assert same(fresh, model)
    torch.save({"other": Net(7).bn.state_dict(), "ema": ema.state_dict()}, tmp_path / "one.pt")
    load_weights("a:b", fresh, str(tmp_path / "one.pt"))
    assert same(fresh, ema)


def test_a_prefix_that_is_part_of_a_name_stays(tmp_path: Path) -> None:
    """A network whose own names begin so needs them."""
    inner = nn.ModuleDict({"module": nn.Linear(2, 2)})
    torch.save(inner.state_dict(), tmp_path / "w.pt")
    fresh = nn.ModuleDict({"module": nn.Linear(2, 2)})
    load_weights("a:b", fresh, str(tmp_path / "w.pt"))
    assert same(inner, fresh)
    torch.save({"module.weight": torch.ones(2, 2)}, tmp_path / "less.pt")
    with pytest.raises(dif.InputError, match=r"1 is missing \(bias\)"):
        load_weights("a:b", nn.Linear(2, 2), str(tmp_path / "less.pt"))


def test_tied_weights_as_safetensors_writes_them(tmp_path: Path) -> None:
    """Of two names of one tensor the file has one; for networks that do not tie them it lacks the other."""
    saved, fresh, by_safetensors = (trained(tied=True) for _ in range(3))
    path = tmp_path / "tied.safetensors"
    save_model(saved, str(path))
    load_weights("a:b", fresh, str(path))
    load_model(by_safetensors, path)
    assert same(fresh, saved)
    assert same(by_safetensors, saved)
    with pytest.raises(dif.InputError, match=r"do not fit: of the tensors, 1 is missing \(second\.weight\)"):
        load_weights("a:b", trained(), str(path))
    save_file(
        {n: t.clone() for n, t in saved.state_dict().items() if n not in ("head.weight", "second.weight")},
        path,
    )
    with pytest.raises(dif.InputError, match=r"2 are missing \(head\.weight, \.\.\.\)"):
        load_weights("a:b", trained(tied=True), str(path))


def test_a_part_of_a_tied_tensor_does_not_fill_the_whole(tmp_path: Path) -> None:
    """A view is filled by the tensor that it is part of, not the other way round."""

    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            whole = torch.rand(4, 4)
            self.register_buffer("whole", whole)
            self.register_buffer("part", whole[:2])

    saved, fresh = Views(), Views()
    save_file({"whole": saved.state_dict()["whole"]}, tmp_path / "whole.safetensors")
    load_weights("a:b", fresh, str(tmp_path / "whole.safetensors"))
    assert same(saved, fresh)
    save_file({"part": saved.state_dict()["part"].clone()}, tmp_path / "part.safetensors")
    with pytest.raises(dif.InputError, match=r"1 is missing \(whole\)"):
        load_weights("a:b", Views(), str(tmp_path / "part.safetensors"))


def test_files_from_before_a_counter_was_kept(tmp_path: Path) -> None:
    """What PyTorch itself does without, in files that know no version, is not missing."""
    saved, fresh = trained(), trained()
    old = {name: tensor for name, tensor in saved.state_dict().items() if "num_batches" not in name}
    save_file(old, tmp_path / "old.safetensors")
    load_weights("a:b", fresh, str(tmp_path / "old.safetensors"))
    assert same(saved, fresh)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            lambda: Net(7).state_dict(),
            r"10 are of another shape \(conv\.weight is \(7, 3, 3, 3\), not \(4, 3, ",
        ),
        (
            lambda: nn.Sequential(*(nn.BatchNorm2d(3) for _ in range(500))).state_dict(),
            r"of the tensors, 10 are missing \(conv\.weight, \.\.\.\), 2,500 are unexpected \(0\.weight, ",
        ),
        (lambda: {**Net().state_dict(), "epoch": 3}, r"1 is unexpected \(epoch\)"),
        (lambda: {**Net().state_dict(), "x" * 900: torch.ones(1)}, r"1 is unexpected \(xxx"),
        (lambda: {**Net().state_dict(), "\x1b[2J": torch.ones(1)}, r"1 is unexpected \('\\x1b\[2J'\)"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, made: Callable[[], Any], told: str) -> None:
    """How many tensors differ, and the first; a network of 2,500 tensors takes no more room."""
    torch.save(made(), tmp_path / "w.pt")
    with pytest.raises(dif.InputError, match=f"^a:b: the weights do not fit: .*{told}") as caught:
        load_weights("a:b", trained(), str(tmp_path / "w.pt"))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def torch_file(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def scripted() -> bytes:
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)
    return file.getvalue()


def archive(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr(name, b"x")
    return file.getvalue()


HTML = b"<!DOCTYPE html><title>404</title>"
OLD = {"_use_new_zipfile_serialization": False}
SAVE = r"torch\.save\(model\.state_dict\(\), 'weights\.pt'\)$"
SAFE = rf"which could run code and is not read; if you trust it, load it with your own code, and .*{SAVE}"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "w.pt",
            lambda: torch_file(nn.Linear(2, 2)),
            rf"a pickle of more than tensors \(torch\.\S+Linear\), {SAFE}",
        ),
        ("w.pt", lambda: torch_file({"args": argparse.Namespace()}), rf"\(argparse\.Namespace\), {SAFE}"),
        ("w.pt", lambda: torch_file({"best": np.float64(1)}), rf"more than tensors \(numpy\.\S+\), {SAFE}"),
        ("w.pt", lambda: torch_file(nn.Linear(2, 2), **OLD), rf"more than tensors, {SAFE}"),
        ("w.pt", lambda: torch_file([1]), "holds no tensors by name; save them with torch"),
        ("w.pt", lambda: torch_file({"a": "b"}), "holds no tensors by name; save them with torch"),
        ("w.pt", lambda: torch_file(Net().state_dict())[:2_000], "it is cut off or damaged"),
        ("w.pt", lambda: torch_file(Net().state_dict(), **OLD)[:2_000], "it is cut off or damaged"),
        ("w.pt", scripted, "a TorchScript archive, which holds code; save them with torch"),
        ("w.pt", lambda: archive("config.json"), "it is a Keras model"),
        ("w.pt", lambda: archive("a.npy"), "it is a NumPy archive"),
        ("w.pt", lambda: archive("a.txt"), "it is a zip archive"),
        ("w.pt", lambda: b"", "it is empty; expected safetensors, or a state dict"),
        ("w.pt", lambda: HTML, r"it is a web page \(HTML\): download the file itself"),
        ("w.safetensors", lambda: HTML, r"it is a web page \(HTML\): download the file itself"),
        ("w.safetensors", lambda: b"version https://git-lfs", "it is a pointer of Git LFS"),
        ("w.bin", lambda: gzip.compress(b"x"), "it is a compressed file: unpack it"),
        ("w.h5", empty_hdf5, "it is an HDF5 file, as Keras writes it; expected"),
        ("w.ckpt.index", lambda: b"\0\0\x18", "it is a file of TensorFlow; expected"),
        ("w.ckpt.data-00000-of-00001", lambda: b"\0\0\x18", "it is a file of TensorFlow; expected"),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, name: str, content: Callable[[], bytes], told: str) -> None:
    """Each is told in one line, which never says how to run what a file holds."""
    (tmp_path / name).write_bytes(content())
    with pytest.raises(dif.InputError, match=rf"^a:b: the weights can't be loaded: .*{told}") as caught:
        load_weights("a:b", trained(), str(tmp_path / name))
    assert len(str(caught.value)) < 300
    for unsafe in ("weights_only", "safe_globals", "\n"):
        assert unsafe not in str(caught.value)


def test_the_format_is_known_by_the_content(tmp_path: Path) -> None:
    """Safetensors of another name, and the older format of `torch.save`."""
    saved = trained()
    save_file(saved.state_dict(), tmp_path / "model.bin")
    torch.save(saved.state_dict(), tmp_path / "old.pth", **OLD)
    for name in ("model.bin", "old.pth"):
        fresh = trained()
        load_weights("a:b", fresh, str(tmp_path / name))
        assert same(saved, fresh)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A folder, TensorFlow's name for several files, and nothing."""
    (tmp_path / "tf.ckpt.index").write_bytes(b"")
    for name, told in (
        (".", "which is a folder: name a file in it"),
        ("tf.ckpt", "but a checkpoint of TensorFlow, which can't be read"),
        ("gone.pt", r"gone\.pt; check the path"),
    ):
        with pytest.raises(dif.InputError, match=f"^a:b: there are no weights at .*{told}"):
            load_weights("a:b", trained(), str(tmp_path / name))


def test_weights_go_into_networks_only(tmp_path: Path) -> None:
    """What a factory made is named."""
    torch.save(Net().state_dict(), tmp_path / "w.pt")
    with pytest.raises(
        dif.InputError, match=r"^a:b: this is of type NoneType; weights= goes with a torch\.nn\.Module"
    ):
        load_weights("a:b", None, str(tmp_path / "w.pt"))


@pytest.mark.parametrize("before", ["", "module.", "model.whole."])
def test_a_part_of_a_larger_network(before: str, tmp_path: Path) -> None:
    """Its own weights are taken, whatever else there is; where the file is of the part alone, all of them."""
    net, path = trained(), tmp_path / "whole.safetensors"
    tensors = {f"{before}tower.{name}": tensor for name, tensor in net.state_dict().items()}
    others = {f"{before}{name}": tensor + 1 for name, tensor in trained().state_dict().items()}
    save_file({**tensors, **others, f"{before}watchtower.bias": torch.zeros(2)}, path)
    found = Net()
    load_weights("net", found, str(path), part="tower")
    assert same(found, net)
    save_file(net.state_dict(), path)
    alone = Net()
    load_weights("net", alone, str(path), part="tower")
    assert same(alone, net)
    save_file({**tensors, **others}, path)
    with pytest.raises(dif.InputError, match="the weights do not fit"):
        load_weights("net", Net(), str(path))
