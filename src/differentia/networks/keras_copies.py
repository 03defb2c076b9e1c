"""Copies of Keras models that compute in other numbers."""

from __future__ import annotations

import sys
from typing import Any


def cast_copy(model: Any, dtype: str) -> Any:
    """Return a copy of a model with its weights, of which every layer computes in a type of numbers."""
    keras = sys.modules["keras"]

    def copied(layer: Any) -> Any:
        own = {"dtype": dtype} if isinstance(layer, keras.layers.Layer) else {}  # else an operation, of any
        made = type(layer).from_config({**_in_dtype(layer.get_config(), dtype), **own})
        made.name = layer.name  # which not every configuration has
        return made

    copy = keras.models.clone_model(model, clone_function=copied, recursive=True)
    copy.set_weights(model.get_weights())
    for layer in copy._flatten_layers():
        if hasattr(layer, "finalize_state"):  # of a Normalization, which computes from its weights once
            layer.finalize_state()
    return copy


def _in_dtype(config: Any, dtype: str) -> Any:
    """Return a configuration, also of layers within a layer, with another type of numbers.

    Weights begin as zeros: they are given afterwards, and not every way to draw them knows all types.
    """
    if isinstance(config, dict):
        if config.get("module") == "keras.initializers":
            return {
                "module": "keras.initializers",
                "class_name": "Zeros",
                "config": {},
                "registered_name": None,
            }
        if config.get("class_name") == "DTypePolicy":
            return dtype
        return {name: _in_dtype(value, dtype) for name, value in config.items()}
    return [_in_dtype(part, dtype) for part in config] if isinstance(config, list) else config
