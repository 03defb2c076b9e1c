"""A real network gives the same numbers for the same photographs, wherever they come from."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import datasets as hugging_face
import h5py
import numpy as np
import pandas as pd
import PIL.Image
import pytest
import xarray as xr
from torch.utils import data as torch_data

import differentia as dif
from differentia.networks.base import Network

pytestmark = pytest.mark.real_data

LAYERS = ("conv_pw_3_relu", "conv_pw_12_relu", "predictions")
#: Photographs of each set.
N_IMAGES = 4


@pytest.fixture(scope="module")
def network(real_data: Path) -> Network:
    return dif.load_network(
        f"keras:MobileNet?alpha=0.25&weights={real_data}/mobilenet_025_224_imagenet.weights.h5"
    )


@pytest.fixture(scope="module")
def folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of two sets at the network's size, each in a sub-folder; 10.png comes behind 9.png."""
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("cats", "random"):
        (folder / name).mkdir()
        for number, path in enumerate(sorted((real_data / name).iterdir())[:N_IMAGES], 7):
            with PIL.Image.open(path) as image:
                small = image.convert("RGB").resize((224, 224), PIL.Image.Resampling.BILINEAR)
            small.save(folder / name / f"{number}.png")
    return folder


def measured(network: Network, sets: Any) -> xr.Dataset:
    return dif.measure(network, sets, layers=LAYERS, n_units=(200, 2_000), draws=3)


@pytest.fixture(scope="module")
def expected(network: Network, folder: Path) -> xr.Dataset:
    return measured(network, dif.sets_from(folder))


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give each photograph with its set."""
    for name in ("cats", "random"):
        for number in range(7, 7 + N_IMAGES):
            yield name, folder / name / f"{number}.png"


def table(folder: Path) -> pd.DataFrame:
    rows = [(path.relative_to(folder).as_posix(), name) for name, path in files(folder)]
    return pd.DataFrame(rows, columns=["file", "set"])


def of_csv(folder: Path, tmp_path: Path) -> Any:
    table(folder).to_csv(folder / "table.csv", index=False)
    return dif.sets_from(folder / "table.csv")


def of_parquet(folder: Path, tmp_path: Path) -> Any:
    table(folder).to_parquet(folder / "table.parquet")
    return dif.sets_from(folder / "table.parquet")


def pixels(folder: Path) -> dict[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {}
    for name, path in files(folder):
        with PIL.Image.open(path) as image:
            found.setdefault(name, []).append(np.asarray(image))
    return {name: np.stack(images) for name, images in found.items()}


def of_npy(folder: Path, tmp_path: Path) -> Any:
    for name, images in pixels(folder).items():
        np.save(tmp_path / f"{name}.npy", images)
    return {name: tmp_path / f"{name}.npy" for name in ("cats", "random")}


def of_hdf5(folder: Path, tmp_path: Path) -> Any:
    with h5py.File(tmp_path / "photographs.h5", "w") as file:
        for name, images in pixels(folder).items():
            file[name] = images
    return {name: f"{tmp_path}/photographs.h5?dataset={name}" for name in ("cats", "random")}


def of_zip(folder: Path, tmp_path: Path) -> Any:
    for name in ("cats", "random"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for of_set, path in files(folder):
                if of_set == name:
                    archive.write(path, path.name)
    return {name: tmp_path / f"{name}.zip" for name in ("cats", "random")}


def of_tar(folder: Path, tmp_path: Path) -> Any:
    """One archive of both sets, each in its folder."""
    with tarfile.open(tmp_path / "photographs.tar.gz", "w:gz") as archive:
        for name, path in files(folder):
            archive.add(path, f"photographs/{name}/{path.name}")
    return {name: f"{tmp_path}/photographs.tar.gz?folder=photographs/{name}" for name in ("cats", "random")}


def of_film(folder: Path, tmp_path: Path) -> Any:
    """Each photograph stays for 40 ms, in a codec that changes no pixel."""
    for name, images in pixels(folder).items():
        with av.open(str(tmp_path / f"{name}.mkv"), "w") as film:
            stream = film.add_stream("ffv1", rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width, stream.pix_fmt = 224, 224, "bgr0"
            for image in images:
                film.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            film.mux(stream.encode())
    return {name: f"{tmp_path}/{name}.mkv?fps=25" for name in ("cats", "random")}


class Photographs(torch_data.Dataset[Any]):
    """As people write them: paths and labels, with a label beside each image."""

    classes = ("cats", "random")

    def __init__(self, folder: Path) -> None:
        self.samples = [*files(folder)]
        self.targets = [self.classes.index(name) for name, _ in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[PIL.Image.Image, int]:
        return PIL.Image.open(self.samples[index][1]), self.targets[index]


def of_pytorch(folder: Path, tmp_path: Path) -> Any:
    return dif.sets_from(Photographs(folder))


def of_loaders(folder: Path, tmp_path: Path) -> Any:
    whole = Photographs(folder)
    parts = torch_data.Subset(whole, range(N_IMAGES)), torch_data.Subset(whole, range(N_IMAGES, 2 * N_IMAGES))
    return {name: torch_data.DataLoader(part, 4) for name, part in zip(whole.classes, parts, strict=True)}


def of_hugging_face(folder: Path, tmp_path: Path) -> Any:
    names, paths = zip(*files(folder), strict=True)
    features = hugging_face.Features(
        image=hugging_face.Image(), label=hugging_face.ClassLabel(names=["cats", "random"])
    )
    columns = {"image": [*map(str, paths)], "label": [*names]}
    return dif.sets_from(hugging_face.Dataset.from_dict(columns, features=features))


def of_arrays(folder: Path, tmp_path: Path) -> Any:
    dims = ("frame", "height", "width", "channel")
    return {name: xr.DataArray(images, dims=dims) for name, images in pixels(folder).items()}


SOURCES: dict[str, Callable[[Path, Path], Any]] = {
    "csv": of_csv,
    "parquet": of_parquet,
    "npy": of_npy,
    "h5": of_hdf5,
    "zip": of_zip,
    "tar": of_tar,
    "film": of_film,
    "PyTorch": of_pytorch,
    "DataLoader": of_loaders,
    "datasets": of_hugging_face,
    "xarray": of_arrays,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_same_numbers_from_everywhere(
    network: Network, folder: Path, tmp_path: Path, expected: xr.Dataset, kind: str
) -> None:
    """As from sub-folders; in another order of the photographs, the distances are others."""
    result = measured(network, SOURCES[kind](folder, tmp_path))
    assert result["set"].values.tolist() == expected["set"].values.tolist() == ["cats", "random"]
    for name in ("differentiation", "distance"):
        np.testing.assert_allclose(result[name].values, expected[name].values, rtol=1e-6)
    others = expected["distance"].values[:, ::-1, ::-1]
    assert not np.allclose(result["distance"].values, others, rtol=1e-3)
