"""Which image files are taken for usual: those that programs write, and none that declare far more."""

from __future__ import annotations

import io

import PIL.Image
import pytest
from helpers import hostile_images as hostile
from helpers.image_samples import SAMPLES

from differentia.stimuli.usual import has_usual_metadata, is_usual

#: Small ones of a kind: what is looked at is what they declare.
UNUSUAL = {
    "strips": hostile.of_strips(30_000),
    "a tile": hostile.of_a_large_tile(5_000),
    "tags": hostile.of_overlapping_tags(15_000),
    "chunks": hostile.of_chunks(30_000),
    "scans": hostile.of_scans(100),
    "segments": hostile.of_segments(2_000),
    "comments": hostile.of_comments(2_000),
    "a canvas": hostile.of_a_large_canvas(16_383),
    "runs": hostile.of_runs(1_000),
    "numbers": hostile.of_numbers(1_100),
}
USUAL = {
    "strips": hostile.of_strips(10_000),
    "a tile": hostile.of_a_large_tile(1_000),
    "chunks": hostile.of_chunks(10_000),
    "scans": hostile.of_scans(10),
    "segments": hostile.of_segments(500),
    "comments": hostile.of_comments(500),
    "numbers": hostile.of_numbers(900),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_programs_write(name: str) -> None:
    """All but animations of WebP, which are decoded elsewhere."""
    assert is_usual(SAMPLES[name].content) == (name != "WEBP animated")


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_declares_more(what: str) -> None:
    """Of a hundredth of their size they would be usual, where such files are."""
    assert not is_usual(UNUSUAL[what])
    assert what not in USUAL or is_usual(USUAL[what])


def test_what_is_cut_off_is_not_known() -> None:
    """Wherever that is, no error is raised; all of a file that is no image is left to the decoders."""
    for sample in SAMPLES.values():
        for length in range(12, min(300, len(sample.content)), 7):
            is_usual(sample.content[:length])
    assert is_usual(b"no image")
    assert not is_usual(b"II+\0" + bytes(100))


def test_metadata() -> None:
    """EXIF of more than one segment of a JPEG is not usual, also in a text."""
    for make in (hostile.of_long_exif, hostile.of_a_long_raw_profile):
        with PIL.Image.open(io.BytesIO(make(10_000))) as image:
            assert has_usual_metadata(image)
        with PIL.Image.open(io.BytesIO(make(200_000))) as image:
            assert not has_usual_metadata(image)
