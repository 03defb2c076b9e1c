"""Keras's own format is read; what is not known to be harmless is not."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.keras_models import functional, load, record_all

import differentia as dif


def test_keras_files(tmp_path: Path) -> None:
    """Keras's own format is loaded; code in it (a lambda) is not."""
    model = functional()
    model.save(tmp_path / "model.keras")
    loaded = dif.load_network(str(tmp_path / "model.keras"), preprocess="unit")
    assert dif.load_network(tmp_path / "model.keras", preprocess="unit").fingerprint == loaded.fingerprint
    np.testing.assert_allclose(
        record_all(loaded)["predictions"], record_all(load(model))["predictions"], rtol=1e-5
    )
    image = keras.Input((4, 4, 3))
    keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image)).save(tmp_path / "unsafe.keras")
    with pytest.raises(dif.InputError, match=r"unsafe\.keras: can't be read as a Keras model"):
        dif.load_network(str(tmp_path / "unsafe.keras"), preprocess="unit")
    with pytest.raises(dif.InputError, match=r"a Keras file takes no options"):
        dif.load_network(f"{tmp_path / 'model.keras'}?weights=x", preprocess="unit")
    (tmp_path / "junk.keras").write_bytes(b"junk")
    with pytest.raises(dif.InputError, match=r"junk\.keras: can't be read as a Keras model: it is text"):
        dif.load_network(str(tmp_path / "junk.keras"), preprocess="unit")
