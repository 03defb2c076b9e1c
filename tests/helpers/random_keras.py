"""Keras models drawn by a seed, and what their layers give."""

from __future__ import annotations

import keras
import numpy as np

#: Of the images that they are shown: height, width, channels.
SHAPE = (12, 12, 3)


def model(seed: int) -> keras.Model:
    """Return the model of a seed: some maps, of which two may be added up, and numbers."""
    random = np.random.default_rng([seed, 6])
    keras.utils.set_random_seed(seed % 2**32)
    layers = keras.layers
    image = x = keras.Input(SHAPE, name="image")
    for nth in range(random.integers(1, 4)):
        before, width = x, int(random.integers(2, 7))
        act = str(random.choice(["relu", "gelu", "tanh", "linear"]))
        x = layers.Conv2D(width, 3, padding="same", activation=act, name=f"conv_{nth}")(x)
        if random.random() < 0.4:
            x = layers.BatchNormalization(name=f"norm_{nth}", beta_initializer="random_normal")(x)
        if random.random() < 0.3 and before.shape == x.shape:
            x = layers.Add(name=f"sum_{nth}")([before, x])
        if random.random() < 0.3:
            x = layers.MaxPooling2D(2, name=f"pool_{nth}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    act = str(random.choice(["softmax", "linear"]))
    return keras.Model(image, layers.Dense(int(random.integers(2, 9)), activation=act, name="head")(x))


def outputs(model: keras.Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return what every layer gives for one image, by its name."""
    names = [layer.name for layer in model.layers if layer.name != "image"]
    of_all = keras.Model(model.input, [model.get_layer(name).output for name in names])
    given = image[np.newaxis].astype(np.float32)
    found = [keras.ops.convert_to_numpy(value) for value in of_all(given, training=False)]
    return {"input": given, **dict(zip(names, found, strict=True))}
