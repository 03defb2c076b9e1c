"""Small models of transformers with random weights, in folders as the Hugging Face hub has them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import helpers.zoo as zoo  # before transformers imports torchvision
import pytest
import torch
import transformers
from torch import nn
from transformers.utils import logging

SIZES = zoo.SMALL_SIZES
READER = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 99,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}

#: What a repository is kept at.
COMMIT = "0123456789abcdef" * 2 + "01234567"

CLASSES = ("tench", "goldfish", "great white shark")


def vit(**options: Any) -> nn.Module:
    return zoo.small_transformers_vit(id2label=dict(enumerate(CLASSES)), **options)


def clip() -> nn.Module:
    config = transformers.CLIPConfig(
        vision_config={**SIZES, "projection_dim": 24},
        text_config={**READER, "projection_dim": 24},
        projection_dim=24,
    )
    return transformers.CLIPModel(config)


def siglip() -> nn.Module:
    return transformers.SiglipModel(transformers.SiglipConfig(vision_config=SIZES, text_config=READER))


def dinov2(**options: Any) -> nn.Module:
    """Return one that is trained with larger images than it is given, as all of them are."""
    return zoo.transformers_dinov2(**{**SIZES, "image_size": 56, **options})


def vit_processor() -> Any:
    return transformers.ViTImageProcessor(size={"height": 32, "width": 32})


def clip_processor() -> Any:
    return transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32)


def bit_processor() -> Any:
    return transformers.BitImageProcessor(size={"shortest_edge": 37}, crop_size=32)


def swin_processor() -> Any:
    return transformers.ViTImageProcessor(size={"height": 112, "width": 112})


def convnext_processor() -> Any:
    return transformers.ConvNextImageProcessor(size={"shortest_edge": 64})


def siglip_processor() -> Any:
    return transformers.SiglipImageProcessor(size={"height": 32, "width": 32})


#: What makes a model and its image processor, and how its part that sees is called in it ("": the whole).
MODELS: dict[str, tuple[Callable[..., nn.Module], Callable[[], Any], str]] = {
    "vit": (vit, vit_processor, ""),
    "clip": (clip, clip_processor, "vision_model"),
    "siglip": (siglip, siglip_processor, "vision_model"),
    "dinov2": (dinov2, bit_processor, ""),
    "swin": (zoo.small_transformers_swin, swin_processor, ""),
    "convnext": (zoo.small_transformers_convnext, convnext_processor, ""),
}


@contextmanager
def silent() -> Iterator[None]:
    """Keep transformers from drawing bars while it saves."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def written(folder: Path, name: str, **options: Any) -> nn.Module:
    """Return a model in eval mode, with weights of its own, after it was saved with its processor."""
    make, processor, _ = MODELS[name]
    module = make().eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        zoo.randomise(module)
    with silent():
        module.save_pretrained(folder, **options)  # type: ignore[operator]
    processor().save_pretrained(folder)
    return module


def cut_off(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Leave the Hugging Face hub out of reach, with a cache of its files that is elsewhere."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def keep(cache: Path, repository: str, folder: Path, revision: str = "main") -> None:
    """Put the files of a folder where the hub keeps a repository that was fetched once."""
    kept = cache / f"models--{repository.replace('/', '--')}"
    shutil.copytree(folder, kept / "snapshots" / COMMIT)
    (kept / "refs").mkdir()
    (kept / "refs" / revision).write_text(COMMIT)


class Bomb:
    """What runs code when it is unpickled: it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)
