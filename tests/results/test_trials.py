"""Two conditions over trials: within sessions and across them, against SciPy and published values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import differentia as dif
from differentia.results.permuted import hedges
from differentia.results.trials import OF_GROUP, require_trials

#: Of the published values.
FILMS = (
    "mouse montage 1",
    "mouse montage 1, spatial phase scramble",
    "mouse montage 1, temporal phase scramble",
    "mousecam",
    "mousecam, spatial phase scramble",
)
PUBLISHED: dict[str, Any] = {
    "value": "normalized_differentiation",
    "condition": "stimulus_type",
    "group": "layer",
    "log": True,
}


def trials(
    n_sessions: int = 8, areas: tuple[str, ...] = ("V1", "LM"), *, effect: float = 1.0, seed: int = 0
) -> pd.DataFrame:
    """Return sessions with both areas, in the first of which "film" is above "noise"; 5 and 7 trials."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            session,
            f"mouse {session // 2}",
            area,
            name,
            3 + rng.normal() + effect * (area == areas[0]) * (name == "film"),
        )
        for session in range(n_sessions)
        for area in areas
        for name, n in (("film", 5), ("noise", 7))
        for _ in range(n)
    ]
    return pd.DataFrame(rows, columns=["session", "mouse", "area", "set", "differentiation"])


def compared(table: Any, **options: Any) -> xr.Dataset:
    return dif.compare_trials(table, "film", "noise", **{"group": "area", "permutations": 199, **options})


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Return the difference of means of each session (row) in each area (column)."""
    means = table.groupby(["session", "area", "set"], sort=False)["differentiation"].mean().unstack()
    found = (means["film"] - means["noise"]).unstack()
    return found[["V1", "LM"]]


def test_within_sessions() -> None:
    """Means, numbers and effects of each session and area; p is that of all splits, where they are few."""
    table = trials(3)
    found = compared(table, permutations=800)
    assert found["difference"].dims == ("session", "group")
    np.testing.assert_allclose(found["difference"], differences(table))
    np.testing.assert_allclose(found["mean_first"] - found["mean_second"], found["difference"])
    assert np.unique(found["n_first"]).tolist() == [5]
    assert np.unique(found["n_second"]).tolist() == [7]
    assert found["least_p"].values.ravel().tolist() == [1 / 792] * 6
    one = table[(table["session"] == 1) & (table["area"] == "LM")]
    values, first = one["differentiation"].to_numpy(), (one["set"] == "film").to_numpy()
    at = found.sel(session="1", group="LM")
    assert at["effect"] == pytest.approx(hedges(values, first))
    scipys = stats.permutation_test(
        (values[first], values[~first]),
        lambda a, b: abs(stats.ttest_ind(a, b, equal_var=False).statistic),
        alternative="greater",
        n_resamples=800,
    )
    assert at["p"] == pytest.approx(scipys.pvalue)
    one_sided = [compared(table, permutations=800, alternative=side)["p"] for side in ("greater", "less")]
    np.testing.assert_allclose(one_sided[0] + one_sided[1], 1 + 1 / 792)


def test_across_sessions() -> None:
    """Each session counts once: mean, limits and p are those of SciPy's t test of their differences."""
    table = trials()
    found = compared(table)
    for area, of_sessions in differences(table).items():
        scipys = stats.ttest_1samp(of_sessions, 0.0)
        at = found.sel(group=area)
        assert at["mean"] == pytest.approx(of_sessions.mean())
        assert at["statistic"] == pytest.approx(scipys.statistic)
        assert at["df"] == 7
        assert at["p_across"] == pytest.approx(scipys.pvalue)
        limits = scipys.confidence_interval(0.95)
        np.testing.assert_allclose([at["low"], at["high"]], [*limits])
        assert at["n_significant"] == (at["p"] < 0.05).sum()
    assert found["n_observations"].values.tolist() == found["n_sessions"].values.tolist() == [8, 8]
    assert found.attrs["correction"] == "max statistic"
    assert found["p_corrected"].values[0] < 0.05 < found["p_corrected"].values[1]
    # which no shuffling of conditions within sessions leaves
    rng = np.random.default_rng(1)
    shuffled = table.assign(set=table.groupby(["session", "area"])["set"].transform(rng.permutation))
    assert compared(shuffled)["p_corrected"].min() > 0.05


def test_animals_are_the_observations_where_they_are_named() -> None:
    """Sessions of one are averaged first, however many; by column and by session it is the same."""
    table = trials(9)
    found = compared(table, subject="mouse")
    of_mice = differences(table).groupby(np.arange(9) // 2).mean()
    np.testing.assert_allclose(found["subject_difference"], of_mice)
    assert found["session_subject"].values.tolist() == [f"mouse {session // 2}" for session in range(9)]
    scipys = stats.ttest_1samp(of_mice["V1"], 0.0)
    assert found["p_across"].sel(group="V1") == pytest.approx(scipys.pvalue)
    assert found["n_observations"].values.tolist() == [5, 5]
    assert found["n_sessions"].values.tolist() == [9, 9]
    named = compared(table, subject={session: f"mouse {session // 2}" for session in range(9)})
    xr.testing.assert_equal(named, found)
    assert not found["mean"].equals(compared(table)["mean"])


def test_groups_of_few_sessions_are_corrected_as_by_holm() -> None:
    """By changes of sign alone five can't reach 0.05, though another group has nine."""
    table = trials(14)
    table["area"] = np.where(table["session"] < 5, "V1", "LM")
    found = compared(table)
    assert found["n_observations"].values.tolist() == [5, 9]
    assert found.attrs["correction"] == "Holm"
    p = found["p_across"].values
    np.testing.assert_allclose(
        found["p_corrected"], np.maximum.reduce([np.minimum(2 * p.min(), 1) * np.ones(2), p])
    )
    assert np.isnan(found["p_sign_flips"]).all()
    assert np.isnan(found["difference"].sel(group="V1")[5:]).all()


def test_one_session_and_no_spread() -> None:
    """Of one session nothing is said of others; equal values have no p."""
    found = compared(trials(1))
    assert np.isfinite(found["p"]).all()
    assert np.isnan(found["low"]).all()
    assert np.isnan(found["p_across"]).all()
    assert "With fewer than 2 sessions in V1, LM, nothing can be said" in dif.say_trials(found)[-1]
    constant = compared(trials(3).assign(differentiation=0.1))
    assert np.isnan(constant["p"]).all()
    assert constant["n_significant"].values.tolist() == [0, 0]


def test_the_seed_decides_alone() -> None:
    """Not the order of sessions, nor which others there are."""
    table = trials(4)
    found = compared(table)
    xr.testing.assert_equal(compared(table), found)
    less = compared(
        table[table["session"].isin([3, 1])].sort_values("session", ascending=False, kind="stable")
    )
    assert less["session"].values.tolist() == ["3", "1"]
    np.testing.assert_array_equal(less["p"], found["p"].sel(session=["3", "1"]))
    assert not found["p"].equals(compared(table, seed=1)["p"])


def test_logarithms_and_words() -> None:
    """Of logarithms a difference is a ratio, too."""
    table = trials(7, effect=0.0)
    table["differentiation"] = 10 ** (table["differentiation"] + np.log10(2) * (table["set"] == "film"))
    found = compared(table, log=True, alternative="greater", subject="mouse")
    expected = differences(table.assign(differentiation=np.log10(table["differentiation"])))
    np.testing.assert_allclose(found["difference"], expected)
    v1, lm, *rest = dif.say_trials(found)
    mean, low, high = (found[name].sel(group="V1").item() for name in ("mean", "low", "high"))
    assert v1.startswith(
        f"V1: film minus noise is {mean:.3g} (log10: {10**mean:.3g} times) [{low:.3g}, {high:.3g}]"
    )
    assert "over 4 animals (corrected p = " in v1
    assert "of 7 sessions (one-sided, higher), where chance alone gives 0.35." in lm
    assert not rest
    pooled = dif.say_trials(compared(table, group=None))
    assert pooled[0].startswith("film minus noise is ")
    few = table.groupby(["session", "area", "set"]).head(2)
    assert dif.say_trials(compared(few))[-1] == "14 sessions have too few trials for any p < 0.05."


def test_levels_that_differ_between_sessions_are_told() -> None:
    """The SD of their logarithms, by SciPy; not of logarithms, nor of values that have none."""
    table = trials(6)
    assert len(dif.say_trials(compared(table))) == 2
    strong = table.assign(differentiation=table["differentiation"] * 2.0 ** table["session"])
    strong.loc[strong["area"] == "LM", "differentiation"] = table["differentiation"] + 10
    found = compared(strong)
    means = strong.groupby(["area", "session", "set"])["differentiation"].mean().unstack().mean(axis=1)
    for area in ("V1", "LM"):
        expected = stats.gstd(means[area])
        assert np.exp(found["level_sd"].sel(group=area)) == pytest.approx(expected)
    *_, told = dif.say_trials(found)
    factor = np.exp(found["level_sd"].sel(group="V1").item())
    assert told.startswith(f"Levels differ between sessions in V1, by a factor of {factor:.2g} (SD): if")
    positive = strong.assign(differentiation=strong["differentiation"].clip(lower=0.1))
    for other in (
        compared(positive, log=True),
        compared(strong.assign(differentiation=-positive["session"])),
    ):
        assert np.isnan(other["level_sd"]).all()
        assert len(dif.say_trials(other)) == 2


def test_fewer_trials_that_vary_more_are_told() -> None:
    """By their SD in the median session; not where the condition with more trials varies more."""
    table = trials(9, effect=0.0)
    told = {}
    for name in ("film", "noise"):  # of which there are 5 and 7
        wide = table["differentiation"] * np.where((table["set"] == name) & (table["area"] == "V1"), 4.0, 1.0)
        found = compared(table.assign(differentiation=wide + 100))
        sds = (
            table.assign(differentiation=wide)
            .groupby(["session", "area", "set"])["differentiation"]
            .std()
            .unstack()
        )
        np.testing.assert_allclose(
            found["sd_first"].sel(group="V1"), sds["film"].xs("V1", level="area"), rtol=1e-6
        )
        told[name] = dif.say_trials(found)
        ratio = np.median((sds["film"] / sds["noise"]).xs("V1", level="area"))
    assert len(told["noise"]) == 2
    assert ratio < 1
    assert told["film"][-1].startswith("The condition with fewer trials varies more in V1: its SD is ")
    assert "compare logarithms (log=True, --log), or take as many trials of both" in told["film"][-1]
    many = table.groupby(["session", "area", "set"]).head(5)  # as many of both
    many = many.assign(differentiation=100 + many["differentiation"] * np.where(many["set"] == "film", 4, 1))
    assert len(dif.say_trials(compared(many))) == 2


def test_the_table(tmp_path: Path) -> None:
    """Sessions, animals and groups are rows; no name is missing, and Parquet holds it."""
    found = compared(trials(4), subject="mouse")
    table = dif.to_dataframe(found)
    assert table["level"].value_counts(sort=False).to_dict() == {"session": 8, "subject": 4, "group": 2}
    row = table[(table["level"] == "session") & (table["session"] == "2") & (table["group"] == "LM")].iloc[0]
    assert row["subject"] == "mouse 1"
    for name in ("difference", "p", "effect", "n_first"):
        assert row[name] == found[name].sel(session="2", group="LM")
    of_group = table[table["level"] == "group"].set_index("group").loc["V1"]
    for name, source in {
        "difference": "mean",
        "p": "p_across",
        "low": "low",
        "n_sessions": "n_sessions",
    }.items():
        assert of_group[name] == found[source].sel(group="V1")
    mouse = table[(table["subject"] == "mouse 0") & (table["level"] == "subject") & (table["group"] == "LM")]
    assert mouse["difference"].item() == found["subject_difference"].sel(subject="mouse 0", group="LM")
    back = pd.read_parquet(dif.save_table(table, tmp_path / "trials.parquet"))
    pd.testing.assert_frame_equal(back, table)
    plain = dif.to_dataframe(compared(trials(2)))
    assert "subject" not in plain
    assert {*OF_GROUP} - {"mean", "p_across"} <= {*plain}


def test_errors() -> None:
    for options, message in (
        ({"alternative": "more"}, "unknown alternative 'more'"),
        ({"permutations": 0}, "permutations is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"confidence": 2.0}, "confidence"),
        ({"group": "layer"}, "unknown column 'layer'"),
    ):
        with pytest.raises(dif.InputError, match=message):
            compared(trials(2), **options)
    for wrong in (3, xr.Dataset()):
        with pytest.raises(dif.InputError, match=r"not what compare_trials\(values\) returned"):
            require_trials(wrong)
        with pytest.raises(dif.InputError, match=r"not what compare_trials\(values\) returned"):
            dif.say_trials(wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_false_positives() -> None:
    """Skewed values, unequal numbers and a level of each session: no more than 5 % of sessions and groups."""
    rng = np.random.default_rng(0)
    p, across = [], []
    for seed in range(40):
        table = trials(10, effect=0.0, seed=seed)
        level = np.exp(rng.normal(size=10))
        table["differentiation"] = level[table["session"]] * np.exp(table["differentiation"])
        found = compared(table, log=True)
        p.append((found["p"] < 0.05).mean())
        across.append((found["p_corrected"] < 0.05).any())
    assert np.mean(p) < 0.07
    assert np.mean(across) < 0.13
    found = compared(trials(10, seed=0))
    assert (found["p"].sel(group="V1") < 0.05).mean() > 0.2  # which is there


@pytest.mark.real_data
def test_published_values(real_data: Path) -> None:
    """Films and their scrambles in mouse visual cortex (Mayner et al. 2022): counts and mean differences."""
    table = pd.read_csv(real_data / "neurons" / "openscope_differentiation.csv.gz")
    table = table[table["stimulus"].isin(FILMS)]
    found = dif.compare_trials(table, "natural", "artificial", **PUBLISHED, alternative="greater")
    assert found["group"].values.tolist() == ["L2/3", "L4", "L5"]
    assert found["n_significant"].values.tolist() == [8, 1, 0]
    assert found["n_sessions"].values.tolist() == [15, 15, 14]
    np.testing.assert_allclose(found["mean"], [0.1133, 0.0056, -0.0354], atol=5e-5)
    # the same of the stimuli themselves
    natural = [name for name in FILMS if "scramble" not in name]
    by_film = dif.compare_trials(
        table, natural, [*{*FILMS} - {*natural}], **{**PUBLISHED, "condition": "stimulus"}, permutations=1
    )
    np.testing.assert_array_equal(by_film["difference"], found["difference"])
