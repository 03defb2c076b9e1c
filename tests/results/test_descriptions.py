"""Every variable and label of a result says what it is, in which unit, and so does what is read of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.results import RNG, neurons, viewed

import differentia as dif
from differentia.results.descriptions import DESCRIPTIONS
from differentia.results.schema import DESCRIBING, SPECS, TEXT, map_names


def test_all_that_a_result_can_hold_is_described() -> None:
    """No variable of the schema is left out, and nothing else is described."""
    assert {*DESCRIPTIONS} == {*SPECS}


@pytest.mark.parametrize("make", [neurons, lambda: viewed(maps={"conv": [3]})], ids=["neurons", "viewed"])
def test_every_variable_says_what_it_is(make: Callable[[], xr.Dataset], tmp_path: Path) -> None:
    """It has a name and a sentence, and numbers a unit; files give them back, older ones too."""
    result = make()
    assert {*result.variables} <= {*SPECS, *map_names(result)}
    for name, variable in result.variables.items():
        texts = [variable.attrs[key] for key in ("long_name", "description")]
        assert all(texts), name
        assert not {"{", "}"} & {*"".join(texts)}
        is_text = name in SPECS and SPECS[str(name)].kind == TEXT
        assert ("units" in variable.attrs) == (not is_text), name
    dif.save(result, tmp_path / "x.nc")
    xr.testing.assert_identical(dif.load_result(tmp_path / "x.nc"), result)
    older = result.copy()
    for variable in older.variables.values():
        variable.attrs = {key: fact for key, fact in variable.attrs.items() if key not in DESCRIBING}
    dif.save(older, tmp_path / "older.nc")
    with xr.open_dataset(tmp_path / "older.nc", engine="h5netcdf") as opened:
        assert "long_name" not in opened["differentiation"].attrs
    xr.testing.assert_identical(dif.load_result(tmp_path / "older.nc"), result)


def test_values_are_in_the_unit_of_responses_only_where_nothing_divides_them() -> None:
    """That is without a normalisation, for distances that are in it; responses themselves always are."""
    arrays = {name: {"V1": RNG.normal(0, 1, (12, 30))} for name in ("a", "b")}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"normalize": "layer"}, "1"),
        ({"normalize": "none"}, "unit of the responses"),
        ({"normalize": "none", "metric": "cityblock"}, "unit of the responses"),
        ({"normalize": "none", "metric": "cosine"}, "1"),
        ({"normalize": "unit"}, "1"),
    )
    for options, expected in cases:
        result = dif.measure_responses(arrays, n_units=5, draws=2, **options)
        for values in (result["differentiation"], result["differentiation_low"], dif.draw_mean(result)):
            assert values.attrs["units"] == expected, options
        assert result["layer_sd"].attrs["units"] == "unit of the responses"
        # the claim itself: responses in another unit, of which there are a thousand to one
        thousand = {name: {"V1": 1000 * of["V1"]} for name, of in arrays.items()}
        other = dif.measure_responses(thousand, n_units=5, draws=2, **options)
        factor = 1 if expected == "1" else 1000
        np.testing.assert_allclose(other["differentiation"], factor * result["differentiation"], rtol=1e-9)


def test_texts_speak_of_what_a_result_is_of() -> None:
    """Stimuli, populations and neurons, or images, layers and units."""
    result = neurons()
    assert result["units_used"].attrs["long_name"] == "number of neurons used"
    assert "population" in result["differentiation"].attrs["description"]
    assert viewed()["units_used"].attrs["long_name"] == "number of units used"


def test_what_is_computed_of_a_result_has_its_own_name() -> None:
    """No mean, share or mark is called differentiation."""
    result = neurons()
    relative = dif.relative(result)
    names = {
        "differentiation, mean over draws": dif.draw_mean(result),
        "differentiation, SD over draws": dif.draw_spread(result),
        "relative differentiation": relative,
        "relative differentiation, mean over draws": dif.draw_mean(relative, result),
        "relative differentiation, upper limit": dif.relative_interval(result)[1],
        "not converged": dif.not_converged(result),
    }
    for name, values in names.items():
        assert values.attrs["long_name"] == name
    assert relative.attrs["units"] == "1"
