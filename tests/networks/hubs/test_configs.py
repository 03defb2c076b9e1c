"""Configurations are looked over before a library reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from differentia.errors import InputError
from differentia.networks.hubs.configs import MOST, read_config


def test_what_it_says_is_returned(tmp_path: Path) -> None:
    """Nothing where there is no file; large numbers that count nothing are taken."""
    path = tmp_path / "config.json"
    assert read_config("x", path) == {}
    facts = {
        "num_labels": MOST,
        "text": {"rope_theta": 10**7, "max_position_embeddings": 10**7},
        "scale": 1e30,
    }
    path.write_text(json.dumps(facts))
    assert read_config("x", path) == facts


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "is damaged (it is no object); fetch it again"),
        ("{", "is damaged (Expecting property name"),
        ("[" * 100_000, "is damaged (maximum recursion depth"),
        (
            json.dumps({"a": {"depths": [1, MOST + 1]}}),
            "says that depths is 1048577; expected at most 1,048,576",
        ),
        (json.dumps({"size": -(10**9)}), "says that size is -1000000000; expected"),
        (json.dumps({"a\x1b[2J": 10**9}), r"says that 'a\x1b[2J' is 1000000000; expected"),
    ],
)
def test_what_can_not_be_used(tmp_path: Path, content: str, told: str) -> None:
    """The error names the file and the field."""
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_config("x", path)
    assert f"x: {path} {told}" in str(caught.value)
