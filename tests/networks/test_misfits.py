"""What does not fit, in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from differentia.networks.misfits import LONGEST_REASON, brief, misfit, shown, unfitting


def test_counts_and_the_first_of_each_kind() -> None:
    """A thousand names are as short as one; nothing is said where all fits."""
    assert misfit([], [], {}) == ""
    assert misfit(["a"], [], {}) == "of the tensors, 1 is missing (a)"
    many = [f"layer{number}.weight" for number in range(1_000)]
    told = misfit(many, many[:2], dict.fromkeys(many, "(3,), not (4,)"))
    assert told == (
        "of the tensors, 1,000 are missing (layer0.weight, ...), 2 are unexpected (layer0.weight, ...), "
        "1,000 are of another shape (layer0.weight is (3,), not (4,), ...)"
    )
    assert str(unfitting("a:b", told)).startswith("a:b: the weights do not fit: of the tensors, 1,000 are")


def test_names_of_strangers_can_be_shown() -> None:
    """What a terminal would obey is escaped; a long name keeps both its ends."""
    assert shown("conv.weight") == "conv.weight"
    assert shown("a\x1b[2Jb") == r"'a\x1b[2Jb'"
    long = shown("start" + "x" * 1_000 + "end")
    assert len(long) == 50
    assert (long[:5], long[-3:]) == ("start", "end")


def test_errors_of_others_are_cut() -> None:
    """One line, not too long; an error without words is told by its kind."""
    assert brief(ValueError("a\n  b")) == "a b"
    assert brief(KeyError()) == "KeyError"
    assert len(brief(ValueError("x" * 10_000))) == LONGEST_REASON + 3
    assert brief(ValueError("a\x1b[1mb")) == r"'a\x1b[1mb'"


def test_no_advice_to_run_code_is_passed_on(tmp_path: Path) -> None:
    """Neither where a user's own code reads a file; PyTorch's own error has it, the control."""
    torch.save(torch.nn.ReLU(), tmp_path / "module.pt")
    with pytest.raises(pickle.UnpicklingError, match="weights_only") as caught:
        torch.load(tmp_path / "module.pt", weights_only=True)
    assert brief(caught.value) == "a pickle of more than tensors, which could run code, is not read"
