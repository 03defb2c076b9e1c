"""Weights of a file, put into a Keras model: all of them and nothing else, or one line."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

import differentia as dif
from differentia.networks.keras_weights import load_keras_weights


def chain(depth: int, width: int = 4) -> keras.Model:
    layers = [keras.layers.Conv2D(width, 3, padding="same", name=f"conv{n}") for n in range(depth)]
    end = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.5), keras.layers.Dense(5)]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, *end])


def saved(model: keras.Model, path: Path) -> Path:
    """Write a model, its weights, or its weights in the format of Keras 2, by the name of the file."""
    if path.suffix == ".keras":
        model.save(path)
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, model)
    return path


NAMES = ["w.weights.h5", "w.keras", "w.h5"]


@pytest.mark.parametrize("name", NAMES)
def test_weights_go_in(tmp_path: Path, name: str) -> None:
    """All of them, also beside those of an optimizer."""
    model, fresh = chain(3), chain(3)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(np.ones((4, 8, 8, 3)), np.ones((4, 5)), verbose=0)
    load_keras_weights(fresh, saved(model, tmp_path / name), "a:b")
    for one, other in zip(model.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((4, 4), r"of the tensors, 2 are unexpected \(layers/conv2d_3/0, \.\.\.\)"),
        ((2, 4), r"of the tensors, 2 are missing \(layers/conv2d_2/0, \.\.\.\)"),
        ((3, 7), r"7 are of another shape \(layers/conv2d/0 is \(3, 3, 3, 7\), not \(3, 3, 3, 4\), \.\.\.\)"),
    ],
)
def test_weights_of_another_architecture(
    tmp_path: Path, name: str, given: tuple[int, int], told: str
) -> None:
    """How many tensors differ, and the first; what Keras 2 wrote is told in Keras's words."""
    path = saved(chain(*given), tmp_path / name)
    told = "" if name == "w.h5" else told
    with pytest.raises(dif.InputError, match=f"^a:b: the weights do not fit: .*{told}") as caught:
        load_keras_weights(chain(3), path, "a:b")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_keras_itself_passes_over_what_is_left(tmp_path: Path) -> None:
    """The control: without the check, a part of a deeper network would be taken without a word."""
    model = chain(3)
    model.load_weights(saved(chain(4), tmp_path / "w.weights.h5"))
    with h5py.File(tmp_path / "w.weights.h5") as file:
        np.testing.assert_array_equal(model.layers[0].get_weights()[0], file["layers/conv2d/vars/0"][()])
