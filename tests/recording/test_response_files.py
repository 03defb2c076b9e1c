"""Recorded responses in files: one set of arrays in every layout, and one line for what is no such file."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from helpers.hdf5_files import zero_heaps
from scipy.io import netcdf_file

import differentia as dif
from differentia.recording import response_files
from differentia.recording.response_files import read_responses

RNG = np.random.default_rng(0)

#: In the order of their names, as files of folders have them; no axis has the length of another.
ARRAYS = {
    name: {"LM": RNG.normal(size=(count, 5)), "V1": RNG.normal(size=(count, 3))}
    for name, count in {"movie": 6, "rest": 6}.items()
}
#: The same with other numbers of stimuli, which a dimension of sets can't have.
UNEQUAL = {"movie": ARRAYS["movie"], "rest": {name: array[:4] for name, array in ARRAYS["rest"].items()}}
ONE_POPULATION = {name: {"all": by_layer["V1"]} for name, by_layer in UNEQUAL.items()}


def same(found: Mapping[str, Mapping[str, np.ndarray]], expected: Any) -> None:
    """Assert that sets, populations, their order and all values are the same."""
    assert {name: list(of_set) for name, of_set in found.items()} == {
        name: list(of_set) for name, of_set in expected.items()
    }
    assert list(found) == list(expected)
    for name, of_set in expected.items():
        for population, values in of_set.items():
            np.testing.assert_array_equal(found[name][population], values, err_msg=f"{name} {population}")


def stacked(population: str) -> xr.DataArray:
    """Return (neuron, set, stimulus) of one population: no axis where the reader might expect it."""
    both = np.stack([ARRAYS[name][population].T for name in ARRAYS], axis=1)
    return xr.DataArray(both, dims=(f"neuron_{population}", "set", "stimulus"))


def in_a_row(arrays: Any, population: str) -> np.ndarray:
    return np.concatenate([of_set[population] for of_set in arrays.values()])


LABELS = [name for name, of_set in UNEQUAL.items() for _ in of_set["V1"]]
WHERE = ["V1"] * 3 + ["LM"] * 5

#: Layouts of xarray, and what they are read as.
DATASETS: dict[str, tuple[xr.Dataset, Any]] = {
    "a dimension of sets": (
        xr.Dataset({name: stacked(name) for name in ("LM", "V1")}, coords={"set": ["movie", "rest"]}),
        ARRAYS,
    ),
    "sets along stimuli": (
        xr.Dataset(
            {name: (("stimulus", f"neuron_{name}"), in_a_row(UNEQUAL, name)) for name in ("LM", "V1")},
            coords={"set": ("stimulus", LABELS)},
        ),
        UNEQUAL,
    ),
    "both along one matrix": (
        xr.Dataset(
            {"rates": (("neuron", "stimulus"), np.hstack([in_a_row(UNEQUAL, n) for n in ("V1", "LM")]).T)},
            coords={"set": ("stimulus", LABELS), "population": ("neuron", WHERE)},
        ),
        {name: {"V1": of_set["V1"], "LM": of_set["LM"]} for name, of_set in UNEQUAL.items()},
    ),
    "sets as variables": (
        xr.Dataset(
            {
                "movie": (("stimulus_movie", "neuron"), UNEQUAL["movie"]["V1"]),
                "rest": (("neuron", "stimulus_rest"), UNEQUAL["rest"]["V1"].T),
            }
        ),
        ONE_POPULATION,
    ),
    "a dimension of populations": (
        xr.Dataset(
            {
                name: (("population", "stimulus", "neuron"), np.stack([of["V1"], -of["V1"]]))
                for name, of in ARRAYS.items()
            },
            coords={"population": ["a", "b"]},
        ),
        {name: {"a": of["V1"], "b": -of["V1"]} for name, of in ARRAYS.items()},
    ),
}
GROUPS = {
    f"/{name}": xr.Dataset(
        {layer: (("stimulus", f"neuron_{layer}"), values) for layer, values in of_set.items()}
    )
    for name, of_set in UNEQUAL.items()
}


def write(data: xr.Dataset | xr.DataTree, path: Path, **options: Any) -> Path:
    with warnings.catch_warnings():  # Zarr: of texts, which are not yet a part of its format 3
        warnings.simplefilter("ignore")
        if path.suffix == ".nc":
            data.to_netcdf(path, **{"engine": "h5netcdf", **options})
        else:
            data.to_zarr(path, **options)
    return path


@pytest.mark.parametrize("name", DATASETS)
def test_layouts_of_xarray(tmp_path: Path, name: str) -> None:
    """The names of dimensions decide what each is, at hand and in files of both kinds."""
    data, expected = DATASETS[name]
    same(read_responses(data), expected)
    for path in ("a.nc", "a.zarr"):
        same(read_responses(write(data, tmp_path / path)), expected)
    same(read_responses(write(data, tmp_path / "two.zarr", zarr_format=2)), expected)


def test_groups_are_sets(tmp_path: Path) -> None:
    """Each with its own number of stimuli."""
    tree = xr.DataTree.from_dict(GROUPS)
    same(read_responses(tree), UNEQUAL)
    for path in ("a.nc", "a.zarr"):
        same(read_responses(write(tree, tmp_path / path)), UNEQUAL)


def test_other_programs_and_versions(tmp_path: Path) -> None:
    """The classic format; HDF5 in which a label is a variable like others."""
    data, expected = DATASETS["sets as variables"]
    same(read_responses(write(data, tmp_path / "classic.nc", engine="scipy")), expected)
    data, expected = DATASETS["both along one matrix"]
    plain = data.reset_coords(["set", "population"])
    plain["set"] = plain["set"].astype(object)
    same(read_responses(write(plain, tmp_path / "plain.nc")), expected)


def test_archives(tmp_path: Path) -> None:
    """An array for each set, or for each set and population, in the order of the file."""
    alone: dict[str, Any] = {name: of_set["all"] for name, of_set in ONE_POPULATION.items()}
    np.savez(tmp_path / "a.npz", **alone)
    same(read_responses(tmp_path / "a.npz"), ONE_POPULATION)
    named: dict[str, Any] = {
        f"{name}/{layer}": array for name, of in UNEQUAL.items() for layer, array in of.items()
    }
    np.savez_compressed(tmp_path / "b.npz", **dict(reversed(named.items())))
    found = read_responses(str(tmp_path / "b.npz"))
    assert list(found) == ["rest", "movie"]
    same({name: dict(sorted(found[name].items())) for name in sorted(found)}, UNEQUAL)
    counts: dict[str, Any] = {name: RNG.integers(0, 9, (5, 4)) for name in ("a/b/c", "d/b/c")}
    np.savez(tmp_path / "c.npz", **counts)
    same(read_responses(tmp_path / "c.npz"), {name[0]: {"b/c": array} for name, array in counts.items()})


def test_a_file_is_measured_as_its_arrays(tmp_path: Path) -> None:
    """`measure_responses` takes what is read; the result says which file that was."""
    path = write(xr.DataTree.from_dict(GROUPS), tmp_path / "rates.nc")
    options: dict[str, Any] = {"n_units": 2, "draws": 3, "pool": 3, "seed": 4, "reference": "rest"}
    expected = dif.measure_responses(UNEQUAL, **options)
    for given in (path, str(path), xr.DataTree.from_dict(GROUPS)):
        found = dif.measure_responses(given, **options)
        xr.testing.assert_identical(found.drop_attrs(deep=False), expected.drop_attrs(deep=False))
    facts = json.loads(dif.measure_responses(path).attrs["provenance"])
    assert facts["responses"] == str(path)
    assert "responses" not in json.loads(expected.attrs["provenance"])


def with_labels(values: np.ndarray, neurons: str, stimuli: str) -> xr.Dataset:
    coordinates = {"neuron": list(neurons), "stimulus": [f"clip {name}" for name in stimuli]}
    return xr.Dataset({"V1": (("stimulus", "neuron"), values)}, coords=coordinates)


def test_labels_are_kept(tmp_path: Path) -> None:
    """Neurons go by their labels, which a file keeps too; stimuli have theirs as names."""
    values = RNG.gamma(2.0, size=(6, 5))
    order, rows = [3, 0, 4, 1, 2], [5, 0, 2, 1, 4, 3]
    labels = "".join("abcde"[place] for place in order), "".join("uvwxyz"[row] for row in rows)
    first, other = with_labels(values, "abcde", "uvwxyz"), with_labels(values[rows][:, order], *labels)
    tree = xr.DataTree.from_dict({"movie": first, "rest": other})
    plain = {"movie": {"V1": values}, "rest": {"V1": values[rows]}}
    expected = dif.measure_responses(plain, normalize="unit")
    for source in (tree, write(tree, tmp_path / "a.nc"), write(tree, tmp_path / "a.zarr")):
        same(read_responses(source), plain)
        found = dif.measure_responses(source, normalize="unit")
        np.testing.assert_array_equal(found["differentiation"], expected["differentiation"])
        assert found["image_name"].values.tolist() == [f"clip {name}" for name in f"uvwxyz{labels[1]}"]
    one = xr.concat([first, other.isel(neuron=np.argsort(order))], "stimulus")
    one = one.assign_coords(set=("stimulus", ["movie"] * 6 + ["rest"] * 6))
    one["stimulus"] = one["stimulus"].astype("S")  # as other programs write text
    names = dif.measure_responses(one)["image_name"].values.tolist()
    assert names == found["image_name"].values.tolist()
    unlike = xr.DataTree.from_dict({"movie": first, "rest": other.assign_coords(neuron=list("abcdx"))})
    for source in (unlike, write(unlike, tmp_path / "b.nc"), write(unlike, tmp_path / "b.zarr")):
        with pytest.raises(dif.InputError, match=r"set 'rest' has other units .* without 'e' and with 'x'"):
            read_responses(source)


ONE = RNG.normal(size=(4, 3))
WITH_NAN = np.where(np.eye(4, 3) > 0, np.nan, ONE)

#: Arrays of an archive, and what is said of it.
WRONG_ARRAYS: dict[str, Mapping[str, Any]] = {
    "set 'm', population 'V1' holds nan in response 0, unit 0; expected finite": {"m/V1": WITH_NAN},
    "set 'm', population 'all' holds inf in response 0": {"m": np.full((3, 2), np.inf)},
    "set 'm', population 'all' has the type complex128; expected real": {"m": ONE * 1j},
    "array 'm' can't be read (Object arrays cannot be loaded": {"m": np.array([[1, None]] * 2)},
    "set 'm', population 'all' has the type <U1; expected real": {"m": np.full((2, 2), "a")},
    "set 'm', population 'all' has 1 responses of 3 units; expected at least 2": {"m": ONE[:1]},
    "set 'm', population 'all' has the shape (3,); expected two dimensions": {"m": ONE[0]},
    "population 'all' has 3 units in set 'm' but 2 in 'r'; expected the same": {"m": ONE, "r": ONE[:, :2]},
    "sets 'm' and 'r' differ in the populations a, b; expected every": {"m/a": ONE, "r/b": ONE},
    "set 'm' has different numbers of responses in its populations": {"m/a": ONE, "m/b": ONE[:2]},
    "holds arrays of the names 'm' and 'r/a'; expected one for each set": {
        "m": ONE,
        "r/a": ONE,
    },
    "holds no array; expected one for each set": {},
    "a set has an empty name": {"/a": ONE},
    "a population has an empty name": {"m/": ONE},
}


def two(dims: tuple[str, str] = ("stimulus", "neuron"), **coords: Any) -> xr.Dataset:
    return xr.Dataset({"m": (dims, ONE)}, coords=coords)


DEEP = xr.Dataset({"m": (("set", "stimulus", "neuron"), ONE[None])})

#: What is no responses, and what is said of it.
WRONG_DATASETS: dict[str, xr.Dataset | Mapping[str, xr.Dataset]] = {
    "variable 'm' has the dimensions trial, unit; expected stimulus and neuron": two(("trial", "unit")),
    "variable 'm' has the dimensions stimulus, unit; expected stimulus and neuron": two(("stimulus", "unit")),
    "variable 'm' has the dimensions none; expected": xr.Dataset({"m": 3.0}),
    "variable 'm' has the dimension 'time' beside stimulus and neuron": xr.Dataset(
        {"m": (("stimulus", "neuron", "time"), ONE[..., None])}
    ),
    "the dimension set of variable 'm' has no coordinate": DEEP,
    "two sets have the name 'a'": xr.concat([DEEP, DEEP], "set").assign_coords(set=["a", "a"]),
    "the coordinate set has the dimensions neuron; expected stimulus": two(set=("neuron", list("abc"))),
    "holds no variable; expected variables with the dimensions stimulus": xr.Dataset(),
    "set 'b', population 'm' has 1 responses": two(set=("stimulus", list("aaab"))),
    "holds variables both in groups and outside": {"/": two(), "/a": two()},
    "group '/a/b' lies in another": {"/a/b": two()},
    "group 'a' and the set of variable 'm' both name sets": {"/a": two(set=("stimulus", list("ccdd")))},
    "set 'a' has population 'V1' twice": {
        "/a": two(population=("neuron", ["V1"] * 3)).assign(n=(("stimulus", "neuron"), ONE))
    },
}


@pytest.mark.parametrize("line", WRONG_ARRAYS)
def test_arrays_that_are_no_responses(tmp_path: Path, line: str) -> None:
    """One line that begins with the file; nothing is unpickled."""
    path = tmp_path / "a.npz"
    np.savez(path, allow_pickle=True, **WRONG_ARRAYS[line])
    with pytest.raises(dif.InputError) as caught:
        read_responses(path)
    assert str(caught.value).startswith(f"{path}: {line}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", WRONG_DATASETS)
def test_datasets_that_are_no_responses(tmp_path: Path, line: str) -> None:
    """The same, also of what is at hand."""
    data = WRONG_DATASETS[line]
    given = data if isinstance(data, xr.Dataset) else xr.DataTree.from_dict(data)
    for source, name in ((given, f"the {type(given).__name__}"), (tmp_path / "a.nc", f"{tmp_path}/a.nc")):
        if isinstance(source, Path):
            write(given, source)
        with pytest.raises(dif.InputError) as caught:
            read_responses(source)
        assert str(caught.value).startswith(f"{name}: {line}")
        assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    """Nothing there, the wrong kind of thing, another ending, another type."""
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file.zarr").touch()
    for name, line in {
        "gone.npz": "no such file; expected a file of responses",
        "gone.zarr": "no such folder; expected a folder of responses",
        "folder.npz": "is a folder; expected a file of responses",
        "file.zarr": "is a file; expected a folder of responses",
        "a.nwb": "is a recording, and no responses; measure it with differentia neurons",
        "a.mat": "is in no format that is read; expected .npz, .nc, .zarr",
    }.items():
        with pytest.raises(dif.InputError, match=rf"^{tmp_path}/{name}: {line}"):
            read_responses(tmp_path / name)
    with pytest.raises(dif.InputError, match="the responses are of type list; expected a path, or xarray's"):
        read_responses([1])  # type: ignore[arg-type]


def test_what_has_the_ending_of_another(tmp_path: Path) -> None:
    """It is said what it is, not that it is damaged."""
    (tmp_path / "a.npz").write_text("<!doctype html><p>Sign in")
    np.save(tmp_path / "b.npy", ONE)
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    write(two(), tmp_path / "c.nc").rename(tmp_path / "c.npz")
    (tmp_path / "d.npz").touch()
    (tmp_path / "e.zarr").mkdir()
    for name, line in {
        "a.npz": r"is no NumPy archive \(it is a web page",
        "b.npz": r"is no NumPy archive \(it is a NumPy array\); numpy\.savez",
        "c.npz": r"is no NumPy archive \(it is an HDF5 file\)",
        "d.npz": r"is no NumPy archive \(it is empty\)",
        "e.zarr": "is no Zarr folder: there is none of",
    }.items():
        with pytest.raises(dif.InputError, match=rf"^{tmp_path}/{name}: {line}"):
            read_responses(tmp_path / name)


def test_a_store_of_a_network(tmp_path: Path) -> None:
    """Its name is no help: the error says what it is."""
    pixels = RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    store = tmp_path / "responses.zarr"
    dif.record("digits", {"a": pixels}, layers=["predictions"], views=False, store=store)
    with pytest.raises(dif.InputError, match=r"responses\.zarr: holds what was recorded of a network"):
        read_responses(store)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    path.write_bytes(b"no such format" + path.read_bytes())


@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_files(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A file that is cut off, and one that is of another kind; as they were, they are read."""
    np.savez(tmp_path / "a.npz", movie=ONE)
    write(two(), tmp_path / "a.nc")
    write(two(), tmp_path / "classic.nc", engine="scipy")
    write(two(), tmp_path / "a.zarr")
    for name, part in {
        "a.npz": "",
        "a.nc": "",
        "classic.nc": "",
        "a.zarr": "m/zarr.json",
    }.items():
        read_responses(tmp_path / name)
        damage(tmp_path / name / part if part else tmp_path / name)
        with pytest.raises(dif.InputError, match=rf"^{tmp_path}/{name}: ") as caught:
            read_responses(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(caught.value).count(str(tmp_path / name)) == 1


def test_a_damaged_heap(tmp_path: Path) -> None:
    """HDF5 would not come to an end with it: the file is refused at once."""
    path = tmp_path / "a.nc"
    write(two().assign_attrs(about="a text"), path)
    read_responses(path)
    zero_heaps(path)
    with pytest.raises(dif.InputError, match=rf"^{path}: can't be read as HDF5 \(a heap of texts at byte"):
        read_responses(path)


def test_an_old_netcdf_file_is_not_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that becomes shorter would end the process; and no more is read than fits into memory."""
    path = tmp_path / "classic.nc"
    write(two(), path, engine="scipy")
    seen = []
    opened = netcdf_file.__init__

    def note(self: Any, *args: Any, **options: Any) -> None:
        opened(self, *args, **options)
        seen.append((self.use_mmap, *(variable.data.nbytes for variable in self.variables.values())))

    monkeypatch.setattr(netcdf_file, "__init__", note)
    read_responses(path)
    looked_at, read = seen
    assert (looked_at[0], read[0]) == (True, False)
    monkeypatch.setattr(response_files, "free_memory", lambda: sum(looked_at[1:]) - 1)
    with pytest.raises(dif.InputError, match=rf"^{path}: .* are free"):
        read_responses(path)
    assert [mapped for mapped, *_ in seen] == [True, False, True]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_nothing_is_run(tmp_path: Path) -> None:
    """A pickle in an archive, or as the codec of a chunk, is refused; one by hand works, the control."""
    mark = tmp_path / "executed"
    np.savez(tmp_path / "a.npz", movie=np.array([Payload(mark)], dtype=object))
    write(two(), tmp_path / "a.zarr", zarr_format=2, encoding={"m": {"compressors": None}})
    about = tmp_path / "a.zarr" / "m" / ".zarray"
    pickled = {"filters": [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 5}], "dtype": "|O"}
    about.write_text(json.dumps({**json.loads(about.read_text()), **pickled, "fill_value": 0}))
    (tmp_path / "a.zarr" / "m" / "0.0").write_bytes(pickle.dumps(Payload(mark)))
    lines = {"a.npz": "array 'movie' can't be read", "a.zarr": "'m/.zarray' names the codec 'pickle'"}
    for name, line in lines.items():
        with pytest.raises(dif.InputError, match=f"{name}: {line}"):
            read_responses(tmp_path / name)
        assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()


def test_hdf5_that_reaches_out(tmp_path: Path) -> None:
    """A link to another file is not followed."""
    write(two(), tmp_path / "a.nc")
    with h5py.File(tmp_path / "a.nc", "a") as opened:
        opened["other"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(dif.InputError, match=r"a\.nc: /other is a link to another place"):
        read_responses(tmp_path / "a.nc")


def test_memory_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than is free is an error before anything is read."""
    np.savez(tmp_path / "a.npz", movie=ONE)
    write(two(), tmp_path / "a.zarr")
    monkeypatch.setattr(response_files, "free_memory", lambda: 50)
    for name in ("a.npz", "a.zarr"):
        with pytest.raises(dif.InputError, match=rf"{name}: its responses take .* and 50 .*are free"):
            read_responses(tmp_path / name)
