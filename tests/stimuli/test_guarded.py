"""Images that are decoded elsewhere are those that are decoded here."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from helpers.image_samples import SAMPLES

from differentia.stimuli import guarded


@pytest.mark.parametrize("name", SAMPLES)
def test_both_ways_see_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels, mode, and what is known without them."""
    content = SAMPLES[name].content
    monkeypatch.setattr(guarded, "is_usual", lambda _: True)
    here, known_here = guarded.decode(content), guarded.colours(content)
    monkeypatch.setattr(guarded, "is_usual", lambda _: False)
    elsewhere, known_elsewhere = guarded.decode(content), guarded.colours(content)
    assert here.image is not None
    assert elsewhere.image is not None
    assert here.image.mode == elsewhere.image.mode
    assert np.array_equal(np.asarray(here.image), np.asarray(elsewhere.image))
    assert here[1:] == elsewhere[1:] == known_here[1:] == known_elsewhere[1:]
    assert known_here.image is known_elsewhere.image is None


def test_errors_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that is cut off, and of one of more pixels than this process allows at the time."""
    content = SAMPLES["PNG RGB"].content
    for usual in (True, False):
        monkeypatch.setattr(guarded, "is_usual", lambda _, usual=usual: usual)
        with pytest.raises((OSError, ValueError), match=r"truncated|broken"):
            guarded.decode(content[:600])
        with monkeypatch.context() as patch:
            patch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 700)
            with pytest.raises(ValueError, match="32 x 24 pixels are more than"):
                guarded.decode(content)
        assert guarded.decode(content).image is not None
