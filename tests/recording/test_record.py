"""Recording: the same units for every image, whatever the batches, the sets and the layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import oracles
from helpers.recordings import SETS, by_hand, leave_memory, load, write_images

import differentia as dif
from differentia.recording.units import filter_order, unit_order


def test_same_units_for_every_image_and_set() -> None:
    """The pool's units are those of the order, in that order, in every row."""
    sampled = dif.record(load(), SETS, pool=50, seed=4)
    everything = dif.record(load(), SETS, units="all")
    assert sampled.sets == {"few": slice(0, 5), "many": slice(5, 16)}
    for layer in sampled.layers:
        units = sampled.units[layer.name]
        assert np.array_equal(units, unit_order(layer.name, layer.size, min(50, layer.size), seed=4))
        np.testing.assert_array_equal(
            sampled.values[layer.name], everything.values[layer.name][:, units], err_msg=layer.name
        )
    others = dif.record(load(), SETS, pool=50, seed=5)
    assert not np.array_equal(others.units["conv"], sampled.units["conv"])


def test_units_do_not_depend_on_layers_sets_or_pool() -> None:
    """Other layers, other sets and a larger pool leave the units of a layer where they were."""
    first = dif.record(load(), SETS, pool=50)
    second = dif.record(load(), {"many": SETS["many"]}, pool=80, layers=["conv"])
    assert np.array_equal(second.units["conv"][:50], first.units["conv"])
    kept = np.asarray(first.values["conv"])[5:]
    np.testing.assert_array_equal(np.asarray(second.values["conv"])[:, :50], kept)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 16])
def test_batch_size_does_not_matter(batch_size: int) -> None:
    """Short last batches included."""
    whole = dif.record(load(), SETS, pool=100, batch_size=100)
    parts = dif.record(load(), SETS, pool=100, batch_size=batch_size)
    for name, values in whole.values.items():
        np.testing.assert_allclose(
            np.asarray(parts.values[name]), np.asarray(values), rtol=1e-4, atol=1e-6, err_msg=name
        )


def test_too_much_for_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the size, the budget and what to do instead."""
    leave_memory(monkeypatch, 10)
    with pytest.raises(
        dif.InputError, match=r"responses of 11 layers to 16 images take .* use --units random"
    ):
        dif.record(load(), SETS, units="all")
    with pytest.raises(dif.InputError, match="fewer --n-units than 100,000"):
        dif.record(load(), SETS)


@pytest.mark.parametrize(
    ("sets", "options", "message"),
    [
        ({}, {}, "no set of images"),
        ("noise:3", {}, "the sets are of type str; expected {name: images}"),
        ({1: SETS["few"], "1": SETS["few"]}, {}, "two sets have the name '1'"),
        ({"a": SETS["few"][:1]}, {}, "set 'a' has 1 image .* at least 2"),
        ({"a": "nowhere/"}, {}, "set 'a': nowhere/: no such file"),
        (SETS, {"units": "some"}, "unknown kind of units 'some'"),
        (SETS, {"pool": 0}, "pool is 0"),
        (SETS, {"batch_size": 0}, "batch_size is 0"),
        (SETS, {"seed": -1}, "seed is -1"),
        (SETS, {"resize": "big"}, "unknown resize filter 'big'"),
        (SETS, {"layers": ["convx"]}, "Did you mean 'conv'"),
    ],
)
def test_what_can_not_be_recorded_is_refused(sets: Any, options: dict[str, Any], message: str) -> None:
    """Each error says what was given."""
    with pytest.raises(dif.InputError, match=message):
        dif.record(load(), sets, **options)


def test_per_filter() -> None:
    """The same number of every filter, in rounds; the values are those of the very units."""
    responses = dif.record(load(), SETS, pool=30, units="per_filter", seed=4)
    everything = dif.record(load(), SETS, units="all")
    sizes = {}
    for layer in responses.layers:
        units = responses.units[layer.name]
        assert np.array_equal(units, filter_order(layer, len(units), seed=4))
        whole = everything.values[layer.name]
        np.testing.assert_array_equal(responses.values[layer.name], whole[:, units], err_msg=layer.name)
        sizes[layer.name] = len(units)
    assert (sizes["input"], sizes["conv"], sizes["split[0]"]) == (30, 24, 28)
    assert (sizes["named[mean]"], sizes["head"]) == (8, 5)
    assert len(dif.record(load(), SETS, pool=1, units="per_filter").units["conv"]) == 8


def test_filter_means() -> None:
    """One number per filter, its mean over space in float64."""
    responses = dif.record(load(), SETS, units="filter_mean")
    given = by_hand()
    assert set(given) == set(responses.values)
    for layer in responses.layers:
        expected = oracles.filter_means(given[layer.name], 0)
        np.testing.assert_allclose(
            np.asarray(responses.values[layer.name]), expected, atol=1e-6, err_msg=layer.name
        )
        assert responses.units[layer.name].tolist() == list(range(expected.shape[1]))


def test_unreadable_images_are_left_out(tmp_path: Path) -> None:
    """With a warning that names them; the rest is as if they had not been there, the maps too."""
    folder = write_images(tmp_path / "a", SETS["many"])
    for number in (0, 4, 5):
        (folder / f"{number:02}.png").write_bytes(b"no image")
    sets = {"few": SETS["few"], "a": folder}
    options: dict[str, Any] = {"pool": 20, "maps": {"conv": [1]}, "map_images": (0, 1, 4, 6), "batch_size": 2}
    with pytest.warns(dif.DifferentiaWarning, match=r"what can't be read \(3\): set 'a': ") as caught:
        responses = dif.record(load(), sets, skip_unreadable=True, **options)
    assert len(caught) == 1
    left = [1, 2, 3, 6, 7, 8, 9, 10]
    assert [image.name for image in responses.images[5:]] == [f"{number:02}.png" for number in left]
    skipped = responses.provenance["skipped"]
    assert [(image["set"], image["name"]) for image in skipped] == [
        ("a", f"{number:02}.png") for number in (0, 4, 5)
    ]
    assert all(image["reason"] in str(caught[0].message) for image in skipped)
    assert responses.provenance["warnings"] == [{"kind": "left_out", "text": str(caught[0].message)}]
    assert responses.views.map_images == (0, 1, 4, 5 + 0, 5 + 3)  # places 1 and 6 of the folder
    assert responses.views.thumbnails is not None
    np.testing.assert_array_equal(responses.views.thumbnails[5:], SETS["many"][left])
    alone = dif.record(load(), {"few": SETS["few"], "a": SETS["many"][left]}, **options)
    for name, values in alone.values.items():
        np.testing.assert_allclose(
            np.asarray(responses.values[name]), np.asarray(values), rtol=1e-4, atol=1e-6, err_msg=name
        )
    np.testing.assert_allclose(
        responses.views.filter_means["conv"], alone.views.filter_means["conv"], rtol=1e-5, atol=1e-6
    )
    with pytest.raises(dif.InputError, match=r"set 'a': .*00\.png: can't be read as an image"):
        dif.record(load(), sets, **options)


def test_too_few_readable_images_are_refused(tmp_path: Path) -> None:
    """Two must be left in every set, though others have enough."""
    folder = write_images(tmp_path / "a", SETS["few"])
    for number in range(4):
        (folder / f"{number:02}.png").write_bytes(b"no image")
    message = r"set 'a' has 1 image \(.*, without what can't be read\); expected at least 2"
    with pytest.raises(dif.InputError, match=message):
        dif.record(load(), {"a": folder, "few": SETS["few"]}, pool=5, skip_unreadable=True)
    (folder / "04.png").write_bytes(b"no image")
    with pytest.raises(dif.InputError, match="set 'a' has no image"):
        dif.record(load(), {"a": folder}, pool=5, skip_unreadable=True)


def test_duplicates_are_told() -> None:
    """Within a set, by name, in a warning and in the provenance; between sets they are none."""
    images = SETS["few"]
    with pytest.warns(dif.DifferentiaWarning) as caught:
        responses = dif.record(load(), {"a": images[[0, 1, 0, 2, 0]], "b": images[[3, 3]]}, pool=5)
    assert len(caught) == 1
    assert str(caught[0].message).endswith(
        "no distance from each other: set 'a': 0, 2, 4; set 'b': 0, 1; drop_duplicates=True "
        "(--drop-duplicates) keeps the first of each"
    )
    groups = responses.provenance["duplicates"]
    assert [[(image["set"], image["name"]) for image in group] for group in groups] == [
        *([("a", "0"), ("a", "2"), ("a", "4")], [("b", "0"), ("b", "1")]),
    ]
    apart = dif.record(load(), {"a": images[:3], "b": images[:3]}, pool=5)
    assert apart.provenance["duplicates"] == []
    assert responses.provenance["warnings"] == [{"kind": "same_content", "text": str(caught[0].message)}]
    assert apart.provenance["warnings"] == []


def test_copies_are_left_out() -> None:
    """What is recorded is what the images without copies give; copies in two sets stay in both."""
    images = SETS["few"]
    sets = {"a": images[[0, 1, 0, 2, 0]], "b": images[[1, 3]]}
    options: dict[str, Any] = {"pool": 5, "units": "top", "maps": {"conv": (1,)}, "map_images": (0, 2)}
    found = dif.record(load(), sets, drop_duplicates=True, **options)
    expected = dif.record(load(), {"a": images[:3], "b": images[[1, 3]]}, **options)
    assert [image.name for image in found.images] == ["0", "1", "3", "0", "1"]
    assert [image.hash for image in found.images] == [image.hash for image in expected.images]
    for layer, values in expected.values.items():
        np.testing.assert_array_equal(found.units[layer], expected.units[layer])
        np.testing.assert_allclose(found.values[layer][:, :], values[:, :], rtol=1e-6)
    for one, other in zip(found.views.maps, expected.views.maps, strict=True):
        np.testing.assert_allclose(one.values, other.values, rtol=1e-6)
    assert [(image["set"], image["name"]) for image in found.provenance["dropped"]] == [
        ("a", "2"),
        ("a", "4"),
    ]
    assert found.provenance["duplicates"] == []
    assert found.provenance["warnings"] == expected.provenance["warnings"]
    assert expected.provenance["dropped"] == []
    too_far = r"has 3 images, numbered from 0 to 2, without its copies \(drop_duplicates\); choose"
    with pytest.raises(dif.InputError, match=too_far):
        dif.record(load(), sets, drop_duplicates=True, **{**options, "map_images": (4,)})
    with pytest.warns(dif.DifferentiaWarning, match="have the same content"):
        kept = dif.record(load(), sets, pool=5)
    assert len(kept.images) == 7


def test_the_store_serves_with_and_without_copies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Images are known by their content: nothing of the other run is recorded again."""
    images = SETS["few"]
    sets = {"a": images[[0, 1, 0, 2, 0]]}
    options: dict[str, Any] = {"pool": 5, "store": tmp_path / "responses.zarr", "views": False}
    with pytest.warns(dif.DifferentiaWarning, match="have the same content"):
        whole = dif.record(load(), sets, **options)
    with caplog.at_level("INFO", logger="differentia"):
        left = dif.record(load(), sets, drop_duplicates=True, **options)
    assert "left out images with the content of another of their set (2): set 'a': 2, 4\n" in caplog.text
    assert "all that is needed of 3 images is recorded already" in caplog.text
    assert "new" not in caplog.text.replace("of 3 images", "")
    with caplog.at_level("INFO", logger="differentia"):
        dif.record(load(), {"a": images[:4]}, **options)
    assert "all that is needed of 3 images is recorded already; 1 image is new" in caplog.text
    for layer, values in left.values.items():
        np.testing.assert_array_equal(values[:, :], np.asarray(whole.values[layer][:, :])[[0, 1, 3]])
