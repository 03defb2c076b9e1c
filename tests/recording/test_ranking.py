"""Ranked units: the highest over all images, in one pass or in two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import oracles
from helpers.recordings import SETS, for_ranking, leave_memory, load
from torch import nn

import differentia as dif
from differentia.recording.options import RecordOptions
from differentia.recording.record import record_kinds
from differentia.system.fields import accept


@pytest.mark.parametrize("two_passes", [False, True])
@pytest.mark.parametrize(("kind", "score"), [("top", np.mean), ("top_variance", np.var)])
def test_the_highest_units_of_all_images(
    kind: str, score: Callable[..., np.ndarray], two_passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranked over all images of all sets together, in one pass or in two."""
    everything = dif.record(load(), SETS, units="all")
    if two_passes:
        leave_memory(monkeypatch, 1e5 + for_ranking(load()))
    told: list[tuple[int, int, str]] = []
    ranked = dif.record(load(), SETS, pool=50, units=kind, progress=lambda *report: told.append(report))
    assert told[-1] == ((32, 32, "recording many") if two_passes else (16, 16, "recording many"))
    for name, values in everything.values.items():
        whole = np.asarray(values)
        scores = score(whole.astype(np.float64), axis=0)
        best = oracles.highest(scores, 50)
        assert ranked.units[name].tolist() == best, name
        np.testing.assert_array_equal(ranked.values[name], whole[:, best], err_msg=name)
        first_set_only = oracles.highest(score(whole[:5].astype(np.float64), axis=0), 50)
        assert len(best) < 50 or first_set_only != best


def test_ties_are_broken_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that never change rank by their index, in one pass and in two."""

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps = torch.arange(x[0].numel()).remainder(3).reshape(x.shape[1:])
            return self.act(steps + 0.0 * x + 0.1)

    expected = [unit for value in (2, 1) for unit in range(value, 768, 3)][:300]
    for available in (1e9, 6e4):
        leave_memory(monkeypatch, available)
        options: dict[str, Any] = {"layers": ["act"], "pool": 300, "views": False}
        ranked = record_kinds(
            load(Steps()), SETS, accept(RecordOptions, {"units": ("top", "top_variance"), **options})
        )
        assert ranked["top"].units["act"].tolist() == expected
        assert ranked["top_variance"].units["act"].tolist() == list(range(300))
