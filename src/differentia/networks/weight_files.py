"""Files of weights, as far as their place and their first bytes tell, before a framework is imported."""

from __future__ import annotations

from pathlib import Path

from differentia.errors import InputError
from differentia.networks.keras_files import require_harmless_weights
from differentia.system.file_kinds import HDF5, PICKLE, ZIP, head_of, kind_of
from differentia.system.files import user_path

#: Files that hold weights, and no network.
OF_WEIGHTS = (".bin", ".ckpt", ".h5", ".hdf5", ".npz", ".pkl", ".pt", ".pth", ".safetensors", ".tar")

#: How the names of Keras's weights end.
OF_KERAS = (".h5", ".hdf5", ".keras")


def names_weights_file(weights: str) -> bool:
    """Return whether weights are named by the path of a file, rather than by a library's own word."""
    path = Path(weights)
    return path.suffix.lower() in OF_WEIGHTS or path.name != weights or user_path(weights).is_file()


def require_weights(spec: str, weights: str, advice: str) -> None:
    """Raise an error unless a network's weights are a file that begins as one of its name does."""
    path = weights_path(spec, weights, advice)
    if spec.startswith("keras:") or path.suffix in OF_KERAS:
        require_harmless_weights(path)
    else:
        require_tensors(spec, path)


def weights_path(spec: str, weights: str, advice: str = "check the path") -> Path:
    """Return the path of a network's weights, or raise an error unless it is a file."""
    path = user_path(weights)
    if not path.is_file():
        raise InputError(f"{spec}: there are no weights at {weights}{_beside(path)}; {advice}")
    return path


def require_tensors(spec: str, path: Path) -> None:
    """Raise an error unless a file begins as those of safetensors, or of `torch.save`, do."""
    head = head_of(path)
    if head[8:9] == b"{" or head.startswith((ZIP, PICKLE)):
        return
    expected = "safetensors"
    if path.suffix != ".safetensors":
        expected += ", or a state dict of torch.save"
    raise InputError(
        f"{spec}: the weights can't be loaded: it is {_of_another_framework(path, head)}; expected {expected}"
    )


def _beside(path: Path) -> str:
    """Return what lies at, or beside, a path that is no file."""
    if path.is_dir():
        return ", which is a folder: name a file in it"
    if path.with_name(f"{path.name}.index").is_file():
        return ", but a checkpoint of TensorFlow, which can't be read"
    return ""


def _of_another_framework(path: Path, head: bytes) -> str:
    if head.startswith(HDF5):
        return "an HDF5 file, as Keras writes it"
    if path.suffix in (".index", ".pb", ".meta") or ".data-0" in path.name:
        return "a file of TensorFlow"
    return kind_of(head)
