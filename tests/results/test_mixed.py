"""The mixed model, against the likelihood written out, published values, and cases that have no fit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import optimize, stats

import differentia as dif

FILMS = ("mouse montage 1", "mousecam")


def trials(
    n: int = 6, groups: int = 2, *, level: float = 1.0, slope: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """Return sessions of groups, whose conditions differ by 0.5 in the first; 4 to 9 trials of each."""
    rng = np.random.default_rng(seed)
    rows = []
    for session in range(n * groups):
        group = session // n
        of_session, difference = level * rng.normal(), slope * rng.normal() + 0.5 * (group == 0)
        for name in ("film", "noise"):
            for _ in range(rng.integers(4, 10)):
                value = of_session + difference * (name == "film") + rng.normal()
                rows.append((f"s{session}", f"g{group}", name, 7.0 + 3.0 * value))
    return pd.DataFrame(rows, columns=["session", "group", "set", "differentiation"])


def fitted(table: Any, **options: Any) -> xr.Dataset:
    return dif.mixed_model(table, "film", "noise", **{"group": "group", **options})


def reml(table: pd.DataFrame, *, slopes: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return differences by group, their covariance and the variances: the restricted likelihood as it is."""
    groups = table["group"].unique().astype(object)
    of_group = (table["group"].to_numpy(dtype=object)[:, None] == groups).astype(float)
    side = (table["set"] == "film").to_numpy() - 0.5
    x = np.hstack([of_group, of_group * side[:, None]])
    y = table["differentiation"].to_numpy()
    same = table["session"].to_numpy(dtype=object)[:, None] == table["session"].to_numpy(dtype=object)

    def covariance(parameters: np.ndarray) -> np.ndarray:
        a, b, c, log_scale = parameters
        random = a * a + (b * side[:, None] + b * side) * a + (b * b + c * c) * np.outer(side, side)
        whole: np.ndarray = np.exp(log_scale) * (np.where(same, random, 0.0) + np.eye(len(y)))
        return whole

    def parts(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inverse = np.linalg.inv(covariance(parameters))
        information = x.T @ inverse @ x
        return inverse, information, np.linalg.solve(information, x.T @ inverse @ y)

    def loss(parameters: np.ndarray) -> float:
        whole = np.array([parameters[0], *(parameters[1:3] if slopes else (0.0, 0.0)), parameters[-1]])
        inverse, information, beta = parts(whole)
        residual = y - x @ beta
        determinants = -np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(information)[1]
        return float(determinants + residual @ inverse @ residual)

    start = [1.0, 0.3, 0.3, np.log(y.var())] if slopes else [1.0, np.log(y.var())]
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000}
    best = optimize.minimize(loss, start, method="Nelder-Mead", options=options).x
    a, b, c, log_scale = best if slopes else (best[0], 0.0, 0.0, best[-1])
    _, information, beta = parts(np.array([a, b, c, log_scale]))
    n = len(groups)
    scale = np.exp(log_scale)
    variances = np.array([a * a, b * b + c * c, 1.0]) * scale
    return beta[n:], np.linalg.inv(information)[n:, n:], variances


@pytest.mark.parametrize("slopes", [False, True])
def test_the_likelihood(slopes: bool) -> None:
    """Differences, errors and variances are those where the restricted likelihood is largest."""
    table = trials(slope=1.5)
    found = fitted(table, slopes=slopes)
    difference, covariance, variances = reml(table, slopes=slopes)
    assert found.attrs["fit"] == "converged"
    np.testing.assert_allclose(found["difference"], difference, rtol=1e-3)
    np.testing.assert_allclose(found["error"], np.sqrt(covariance.diagonal()), rtol=2e-3)
    assert found["variance_session"] == pytest.approx(variances[0], rel=5e-3)
    assert found["variance_trial"] == pytest.approx(variances[2], rel=5e-3)
    if slopes:
        assert found["variance_slope"] == pytest.approx(variances[1], rel=5e-3)
    assert found["interaction"].item() == pytest.approx(difference[0] - difference[1], rel=1e-3)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found["interaction_error"].item() == pytest.approx(error, rel=2e-3)


def test_tests_and_limits() -> None:
    """A z, or with slopes a t of as many sessions less groups; corrected as by Holm."""
    table = trials(slope=1.0)
    for slopes, of in ((False, stats.norm()), (True, stats.t(10))):
        found = fitted(table, slopes=slopes, confidence=0.9)
        statistic = found["difference"] / found["error"]
        np.testing.assert_allclose(found["statistic"], statistic)
        np.testing.assert_allclose(found["p"], 2 * of.sf(np.abs(statistic)))
        np.testing.assert_allclose(found["high"], found["difference"] + of.ppf(0.95) * found["error"])
        np.testing.assert_allclose(found["low"], found["difference"] - of.ppf(0.95) * found["error"])
        p = found["p"].values
        assert found["p_corrected"].min() == pytest.approx(min(1.0, 2 * p.min()))
        assert found["df"] == (10 if slopes else np.inf)
    assert "variance_slope" not in fitted(table)


def test_sessions_that_differ_widen_it_only_with_slopes() -> None:
    """What sessions differ in is no evidence of other sessions; without slopes it is taken for it."""
    alike, differing = trials(), trials(slope=2.0)
    for table, times in ((alike, (0.8, 1.3)), (differing, (1.5, 4.0))):
        with_slopes, without = (fitted(table, slopes=slopes)["error"].values for slopes in (True, False))
        assert times[0] < (with_slopes / without).mean() < times[1]


def test_one_group_and_logarithms() -> None:
    """Of one group there is no interaction; logarithms, and several values of a condition, count as given."""
    table = trials(groups=1).assign(differentiation=lambda of: 10 ** (of["differentiation"] / 10))
    found = fitted(table, group=None, log=True)
    assert found["group"].values.tolist() == ["all"]
    assert found.sizes["pair"] == 0
    logs = fitted(table.assign(differentiation=np.log10(table["differentiation"])), group=None)
    np.testing.assert_allclose(found["difference"], logs["difference"])
    assert found.attrs["n_trials"] == len(table)


def test_a_singular_fit_is_told() -> None:
    """Sessions that differ by less than their trials let expect: the variance is 0, and that is said."""
    table = trials(level=0.0, seed=3)
    table["differentiation"] -= table.groupby("session")["differentiation"].transform("mean")
    with pytest.warns(dif.DifferentiaWarning, match="the fit of the mixed model is singular"):
        found = fitted(table)
    assert found.attrs["fit"] == "singular"
    assert found["variance_session"] == pytest.approx(0.0, abs=1e-3)
    assert fitted(trials()).attrs["fit"] == "converged"


def test_a_failed_fit_has_no_numbers() -> None:
    """Values that are the same throughout have no likelihood."""
    with pytest.warns(dif.DifferentiaWarning, match="the mixed model could not be fitted") as told:
        found = fitted(trials().assign(differentiation=0.1))
    assert told[0].message.kind == "undefined"  # type: ignore[union-attr]
    assert found.attrs["fit"] == "failed"
    for name in ("difference", "error", "p", "low", "interaction", "variance_trial"):
        assert np.isnan(found[name]).all(), name


def test_groups_that_sessions_share_are_told() -> None:
    """As areas recorded together; of groups with sessions of their own nothing is said."""
    table = trials(groups=2, n=8)
    together = table.assign(group=np.where(np.arange(len(table)) % 2, "V1", "LM"))
    with pytest.warns(dif.DifferentiaWarning, match="sessions have several groups") as told:
        found = fitted(together)
    assert [one.message.kind for one in told] == ["other"]  # type: ignore[union-attr]
    assert np.isfinite(found["interaction_p"]).all()
    fitted(table)


def test_the_table() -> None:
    """Groups, and below them pairs of groups."""
    found = fitted(trials(groups=3))
    table = dif.to_dataframe(found)
    pairs = [("g0", ""), ("g1", ""), ("g2", ""), ("g0", "g1"), ("g0", "g2"), ("g1", "g2")]
    assert [*zip(table["group"], table["other"], strict=True)] == pairs
    for name in ("difference", "error", "p", "p_corrected"):
        pair = "interaction" if name == "difference" else f"interaction_{name}"
        np.testing.assert_array_equal(table[name], np.concatenate([found[name], found[pair]]))


def test_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(dif.InputError, match="there are 2 sessions in 2 groups; a mixed model needs more"):
        fitted(trials(1))
    with pytest.raises(dif.InputError, match="unknown column"):
        fitted(trials(), value="x")
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    with pytest.raises(dif.InputError, match=r"pip install 'differentia\[mixed\]'"):
        fitted(trials())


@pytest.mark.real_data
def test_published_value(real_data: Path) -> None:
    """Natural films against artificial ones in layer 2/3 of mouse visual cortex (Mayner et al. 2022)."""
    table = pd.read_csv(real_data / "neurons" / "openscope_differentiation.csv.gz")
    table = table[table["stimulus"].str.startswith(FILMS)]
    assert table["stimulus"].nunique() == 5
    found = dif.mixed_model(
        table,
        "natural",
        "artificial",
        value="normalized_differentiation",
        condition="stimulus_type",
        group="layer",
        log=True,
    )
    at = found.sel(group="L2/3")
    assert at["difference"] == pytest.approx(0.1133, abs=5e-5)
    assert at["error"] == pytest.approx(0.0293, abs=5e-5)
    assert found.attrs["fit"] == "converged"
    assert (found.attrs["n_trials"], found.attrs["n_sessions"]) == (2200, 44)
