"""Random numbers depend on what they are for alone, and stay the same for ever."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from helpers import oracles

import differentia as dif
from differentia.system.random import (
    fixed_generator,
    generator_of,
    generator_of_image,
    random_keys,
    random_signs,
)

SOURCE = Path(dif.__file__).parent


def test_keys_and_signs_are_those_of_the_oracle() -> None:
    """The i-th is the same however many are made; other words give others."""
    np.testing.assert_array_equal(random_keys(70, "order", 3, "a"), oracles.random_keys(70, "order", 3, "a"))
    np.testing.assert_array_equal(random_signs(70, 3, "a"), oracles.random_signs(70, 3, "a"))
    np.testing.assert_array_equal(random_keys(70, "a")[:9], random_keys(9, "a"))
    np.testing.assert_array_equal(random_signs(70, "a")[:9], random_signs(9, "a"))
    assert (random_keys(9, "a") != random_keys(9, "b")).all()


def test_generators_are_as_they_ever_were() -> None:
    """First numbers of each, by NumPy alone."""
    key = np.array(oracles.philox_key("images", 4, "b"), dtype="<u8")
    made = np.random.Generator(np.random.Philox(key=key))
    assert generator_of("images", 4, "b").integers(0, 2**60) == made.integers(0, 2**60)
    made = np.random.Generator(np.random.Philox(key=[7, 2]))
    assert generator_of_image(7, 2).integers(0, 2**60) == made.integers(0, 2**60)
    assert fixed_generator().integers(0, 2**60) == np.random.default_rng(0).integers(0, 2**60)


def makers(code: str) -> set[str]:
    """Return what code calls that makes a source of random numbers, or changes a global one."""
    names = {
        "default_rng",
        "Generator",
        "Philox",
        "RandomState",
        "SeedSequence",
        "manual_seed",
        "seed",
        "Random",
    }
    calls = (node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    called = {getattr(function, "attr", getattr(function, "id", "")) for function in calls}
    return names & called


@pytest.mark.parametrize("path", [*SOURCE.rglob("*.py")], ids=lambda path: path.stem)
def test_every_source_is_made_in_one_module(path: Path) -> None:
    """No other module makes a generator."""
    found = makers(path.read_text(encoding="utf-8"))
    assert bool(found) == (path == SOURCE / "system" / "random.py"), found


def test_that_check_can_fail() -> None:
    """Each way to make one is seen."""
    assert makers("rng = np.random.default_rng(0)") == {"default_rng"}
    assert makers("torch.Generator().manual_seed(3)") == {"Generator", "manual_seed"}
    assert makers("np.random.seed(3)") == {"seed"}
