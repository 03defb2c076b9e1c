"""Train the embedded digits network on one half of scikit-learn's digits; print its accuracy on the other.

Run ``python training/train_digits.py`` from the repository's root: it writes
``src/differentia/networks/digits.safetensors``. Seeded; about a minute on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from safetensors.torch import save_file
from write_digits import digits_of_half

from differentia.networks.digits import (
    DIGITS_PREPROCESSING,
    INPUT_SHAPE,
    WEIGHTS,
    build_digits_module,
)
from differentia.networks.preprocessing import preprocessed
from differentia.stimuli.base import Fit


def load_half(*, held_out: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one half of the digits as the network sees them, (n, 1, 32, 32), and their labels."""
    images, labels = digits_of_half(held_out=held_out)
    fit = Fit(INPUT_SHAPE)
    pixels = np.stack([fit(PIL.Image.fromarray(image)) for image in images])
    inputs = preprocessed(pixels, DIGITS_PREPROCESSING).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(inputs)), torch.from_numpy(labels.astype(np.int64))


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return images moved by up to two pixels, each its own way, filled with black."""
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    offsets = torch.randint(0, 5, (len(images), 2), generator=generator).tolist()
    height, width, _ = INPUT_SHAPE
    moved = [image[:, y : y + height, x : x + width] for image, (y, x) in zip(padded, offsets, strict=True)]
    return torch.stack(moved)


def train(seed: int, epochs: int) -> torch.nn.Module:
    """Return a network trained on the first half."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    inputs, labels = load_half(held_out=False)
    module = build_digits_module()
    *_, softmax = module.children()
    until_logits = torch.nn.Sequential(*[m for m in module.children() if m is not softmax])
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3, weight_decay=1e-2)
    batch = 64
    steps = epochs * -(-len(inputs) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    module.train()
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=generator)
        for chosen in torch.split(order, batch):
            logits = until_logits(shifted(inputs[chosen], generator))
            loss = torch.nn.functional.cross_entropy(logits, labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return module.eval()


def accuracy(module: torch.nn.Module, *, held_out: bool) -> float:
    """Return the share of digits that the network reads rightly, 0..1."""
    inputs, labels = load_half(held_out=held_out)
    with torch.no_grad():
        return float((module(inputs).argmax(dim=1) == labels).double().mean())


def main() -> None:
    """Train, write the weights, and print what they can do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    module = train(options.seed, options.epochs)
    state = {key: value.contiguous() for key, value in module.state_dict().items()}
    save_file(state, options.out)
    print(f"trained half:  {accuracy(module, held_out=False):.4f}")
    print(f"held-out half: {accuracy(module, held_out=True):.4f}")
    print(f"{options.out}: {options.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
