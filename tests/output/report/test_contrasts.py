"""Where sets differ: the numbers of the contrasts that could be tested."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.reports import compared, names, pairs
from helpers.results import neurons

import differentia as dif
from differentia.output.report import contrasts


def test_numbers_by_layer() -> None:
    """Those of the contrast, a layer that it does not have being None; one that says nothing is left out."""
    result = compared()
    contrast = pairs()[0]
    (found,) = contrasts.tested_contrasts({"random": result}, [contrast.isel(layer=[0, 2])])
    assert names(result, "set")[found["first"]] == contrast.attrs["first"]
    assert names(result, "set")[found["second"]] == contrast.attrs["second"]
    for name in ("difference", "ratio_low", "p_corrected"):
        values = contrast[name].values
        np.testing.assert_array_equal(
            np.array(found[name], dtype=float), [values[0], np.nan, values[2], np.nan]
        )
    silent = contrast.assign(p_corrected=contrast["p_corrected"] * np.nan)
    assert contrasts.tested_contrasts({"random": result}, [silent]) == []
    with pytest.raises(dif.InputError, match="has the set"):
        contrasts.tested_contrasts({"random": neurons()}, [contrast])
