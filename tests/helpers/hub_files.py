"""Files as other libraries keep their networks in: caches of downloads, weights, code in disguise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from huggingface_hub import constants

import differentia as dif
from differentia.recording.fitting import fit_of

COMMIT = "0" * 40


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def keep_hugging_face(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[str, str], Path]:
    """Let downloads be kept in a folder, without a connection; return what gives a file's place in it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def place_of(repository: str, name: str) -> Path:
        kept = folder / f"models--{repository.replace('/', '--')}"
        (kept / "refs").mkdir(parents=True, exist_ok=True)
        (kept / "refs" / "main").write_text(COMMIT)
        (kept / "snapshots" / COMMIT).mkdir(parents=True, exist_ok=True)
        return kept / "snapshots" / COMMIT / name

    return place_of


def keep_torch(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let PyTorch's downloads lie in a folder, which is returned; none is possible."""
    monkeypatch.setenv("TORCH_HOME", str(folder))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    kept = folder / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    return kept


def inputs_of(network: dif.Network, images: list[PIL.Image.Image], **fit: Any) -> np.ndarray:
    """Return what a network is given for images: (n, channels, height, width)."""
    fitted = fit_of(network, **fit)
    return np.asarray(network.prepare(np.stack([fitted(image) for image in images])).numpy())


def photographs_of(folder: Path) -> list[PIL.Image.Image]:
    """Return photographs of several sizes and both orientations."""
    paths = [*sorted((folder / "cats").iterdir())[:5], *sorted((folder / "random").iterdir())[:3]]
    found = [PIL.Image.open(path).convert("RGB") for path in paths]
    assert len({image.size for image in found}) > 3
    assert {image.width > image.height for image in found} == {True, False}
    return found


def noise_images() -> list[PIL.Image.Image]:
    """Return images of noise, wide, high, small and large."""
    rng = np.random.default_rng(0)
    sizes = ((300, 401), (513, 280), (97, 130), (224, 224), (256, 341))
    return [PIL.Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


def outputs(module: Any, side: int) -> np.ndarray:
    """Return what a module gives for noise, in eval mode."""
    batch = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, side, side)).astype(np.float32))
    with torch.no_grad():
        return np.asarray(module.eval()(batch).numpy())


def seed_three(spec: str) -> torch.nn.Module:
    """Check that random weights are those of their seed, and nobody else's; return a network of seed 3."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = dif.load_network(spec, device="cpu")
    assert torch.equal(torch.rand(3), expected)
    assert dif.load_network(f"{spec}&seed=0", device="cpu").fingerprint == first.fingerprint
    assert dif.load_network(f"{spec}&seed=4", device="cpu").fingerprint != first.fingerprint
    seeded: Any = dif.load_network(f"{spec}&seed=3", device="cpu")
    module: torch.nn.Module = seeded.module
    return module
