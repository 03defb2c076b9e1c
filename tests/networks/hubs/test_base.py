"""What is the same for all libraries."""

from __future__ import annotations

import pytest

import differentia as dif
from differentia.networks.hubs.base import require_no_option
from differentia.networks.specs import NetworkSpec


def test_an_option_that_loads_weights_is_refused() -> None:
    """By its name, with what to write; others are none of these."""
    spec = NetworkSpec("hub", "timm:net?checkpoint_path=w.pt", "net", "timm", {"checkpoint_path": "w.pt"})
    require_no_option(spec, "pretrained")
    with pytest.raises(dif.InputError) as caught:
        require_no_option(spec, "pretrained", "checkpoint_path")
    assert str(caught.value) == (
        "timm:net?checkpoint_path=w.pt: checkpoint_path can't be chosen; write weights=DEFAULT, weights=none "
        "or weights=PATH"
    )
