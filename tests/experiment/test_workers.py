"""Measured by the processes of a cluster: what one process measures, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from helpers.clusters import forked_workers

import differentia as dif
from differentia.recording import saved

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with forked_workers(2) as client:
        yield client


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    for name, variable in expected.variables.items():
        np.testing.assert_array_equal(found[name].values, variable.values, err_msg=str(name))


def test_responses_in_a_file(client: Client, tmp_path: Path) -> None:
    """Small sets and a large one; nothing is left beside the file."""
    arrays: dict[str, Any] = {
        f"{name}/{area}": RNG.gamma(1.0, 1.0, (n, k)).astype(dtype)
        for name, n in {"many": 2_100, "few": 90}.items()
        for area, k, dtype in (("V1", 60, np.float32), ("LM", 80, np.float64))
    }
    file = tmp_path / "rates.npz"
    np.savez(file, **arrays)
    how: dict[str, Any] = {"n_units": [20, 50], "draws": 2}
    expected = dif.measure_responses(file, **how)
    assert_same(dif.measure_responses(file, **how, client=client), expected)
    assert [*tmp_path.iterdir()] == [file]
    other = dif.measure_responses(file, n_units=20, draws=2, seed=1, client=client)
    assert (other["differentiation"] != expected["differentiation"].sel(n_units=[20])).any()


def test_responses_in_memory_are_refused(client: Client) -> None:
    with pytest.raises(dif.InputError, match=r"^workers can't read responses in the memory of this process"):
        dif.measure_responses({"a": RNG.random((20, 9)), "b": RNG.random((20, 9))}, client=client)


def test_a_folder_that_can_not_be_written_to(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not written is an error of one line, which names the folder."""
    np.savez(tmp_path / "rates.npz", a=RNG.random((20, 9)), b=RNG.random((20, 9)))

    def full(*_: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "open", full, raising=False)
    with pytest.raises(dif.StorageError, match=r": can't be written to \(No space left on device\)"):
        dif.measure_responses(tmp_path / "rates.npz", client=client)
    assert [file.name for file in tmp_path.iterdir()] == ["rates.npz"]


def test_a_recording(client: Client, tmp_path: Path) -> None:
    """Recorded and measured by workers, with distances and limits: the result of one process."""
    sets = {"noise": "noise:12", "other": "noise:11?kind=gaussian"}
    how: dict[str, Any] = {"n_units": [20, 200], "draws": 3, "batch_size": 4, "compile": "never"}
    expected = dif.measure("digits", sets, store=tmp_path / "one", **how)
    found = dif.measure("digits", sets, store=tmp_path / "many", client=client, **how)
    assert_same(found, expected)
    assert np.isfinite(expected["differentiation_low"]).any()
