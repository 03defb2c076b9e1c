"""Write the digits that the package shows: the half of scikit-learn's that does not train the network.

Run ``python training/write_digits.py`` from the repository's root; it needs scikit-learn.
"""

from __future__ import annotations

import numpy as np
from sklearn import datasets

from differentia.stimuli.digits import DIGITS


def digits_of_half(*, held_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the grey images, (n, 8, 8) of 0..255, and digits of one half: held out is every second one."""
    bundled = datasets.load_digits()
    half = slice(1 if held_out else 0, None, 2)
    images = np.rint(bundled.images[half] * (255 / 16)).astype(np.uint8)
    return images, bundled.target[half].astype(np.uint8)


def main() -> None:
    """Write the file, the same bytes each time."""
    images, labels = digits_of_half(held_out=True)
    np.savez_compressed(DIGITS, images=images, labels=labels)
    print(f"{DIGITS}: {len(images)} digits, {DIGITS.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
