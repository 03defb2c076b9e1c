"""Networks of timm, with their weights, transforms and names of classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_data_config
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from timm.models import get_pretrained_cfg

from differentia.errors import InputError, unknown_name, warn
from differentia.networks.bounds import building
from differentia.networks.class_files import ClassIndex
from differentia.networks.hubs.base import HubNetwork, require_no_option
from differentia.networks.hubs.configs import read_config
from differentia.networks.hubs.downloads import from_hugging_face, from_url
from differentia.networks.hubs.names import RANDOM
from differentia.networks.specs import NetworkSpec
from differentia.networks.transforms import Transform
from differentia.networks.weight_files import names_weights_file, weights_path
from differentia.networks.weights import load_weights, read_weights
from differentia.system.files import user_path

#: How timm names a repository of Hugging Face, and a folder; what holds weights there, the safest first.
ON_HUB = ("hf-hub", "hf_hub")
LOCAL = "local-dir:"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")

CONFIG = "config.json"

#: What holds numbers only beside a file that may hold code, where it is not called the same.
SAFE = {
    "pytorch_model.bin": "model.safetensors",
    "open_clip_pytorch_model.bin": "open_clip_model.safetensors",
}


def load(spec: NetworkSpec) -> HubNetwork:
    """Return a network of timm, with the weights and the transform of the tag that its name has."""
    require_no_option(spec, "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path")
    if spec.name.startswith(LOCAL):
        spec = spec._replace(name=LOCAL + str(user_path(spec.name.removeprefix(LOCAL))))
    options = dict(spec.options)
    weights = options.pop("weights", "DEFAULT")
    _require_name(spec)
    if weights is None:
        module = _built(spec, options)
    elif weights == "DEFAULT":
        module = _with_tensors(spec, read_weights(spec.text, _own_file(spec)), options)
        _warn_of_random_head(spec, module)
    elif names_weights_file(str(weights)):
        module = _with_file(spec, str(weights), options)
    else:
        raise unknown_name(f"weights of {spec.name}", str(weights), ("DEFAULT", "none", "PATH"))
    untold = "its transform, with borders or for images that are not square, can't be done here"
    tag = "" if ":" in spec.name else str(_config_of(module).get("tag") or "")  # of others, what it began as
    with building(spec.text, "timm can't use this network's configuration", "fetch or save it again"):
        transform, classes = _transform_of(module, options), _classes_of(module)
    return HubNetwork(
        module,
        transform,
        classes,
        untold,
        classifies=getattr(module, "num_classes", 0) > 0,
        weights={None: RANDOM, "DEFAULT": tag}.get(weights, str(weights)),
    )


def _require_name(spec: NetworkSpec) -> None:
    """Raise an error for a name that timm does not know, or a place where there is no network of it."""
    source, _, place = spec.name.partition(":")
    if source in ON_HUB:
        repository, _, revision = place.partition("@")
        ways = "name a folder: timm:local-dir:FOLDER"
        config = from_hugging_face(spec.text, repository, [CONFIG], revision or None, ways=ways)
        read_config(spec.text, config)
        return
    if spec.name.startswith(LOCAL):
        if not (Path(place) / CONFIG).exists():
            raise InputError(f"{spec.text}: there is no {CONFIG} in {place}; name a folder that timm wrote")
        read_config(spec.text, Path(place) / CONFIG)
        return
    base, _, tag = spec.name.partition(".")
    if not timm.is_model(base):
        raise unknown_name("network of timm", spec.name, timm.list_models(), form="timm:{}")
    tags = [one.partition(".")[2] for one in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        raise unknown_name(f"weights of timm:{base}", tag, tags, form=f"timm:{base}.{{}}")


def _own_file(spec: NetworkSpec) -> Path:
    """Return the file of a network's own weights, the safest that there is."""
    source, _, place = spec.name.partition(":")
    if spec.name.startswith(LOCAL):
        found = [path for name in WEIGHTS if (path := Path(place) / name).is_file()]
        if not found:
            raise InputError(
                f"{spec.text}: there is no {WEIGHTS[0]} in {place}; save it there, or give weights=none"
            )
        return found[0]
    config = None if source in ON_HUB else get_pretrained_cfg(spec.name)
    repository, file, url = place, "", None
    if config is not None:
        repository, file, url = config.hf_hub_id or "", config.hf_hub_filename or "", config.url
    if repository:
        repository, _, revision = repository.partition("@")
        names = (SAFE.get(file, str(Path(file).with_suffix(".safetensors"))), file) if file else WEIGHTS
        return from_hugging_face(spec.text, repository, names, revision or None)
    if url:
        return from_url(spec.text, url if isinstance(url, str) else url[0])
    raise InputError(f"{spec.text}: timm has no weights of it; give weights=PATH, or weights=none")


def _built(
    spec: NetworkSpec, options: Mapping[str, Any], held: int | None = None, **own: Any
) -> torch.nn.Module:
    with building(spec.text, "timm can't build this network", "change its options or weights", held=held):
        module: torch.nn.Module = timm.create_model(spec.name, **own, **options)
    return module


def _with_tensors(
    spec: NetworkSpec, tensors: Mapping[str, Any], options: Mapping[str, Any], **config: Any
) -> torch.nn.Module:
    """Return a network as timm builds it of weights, which it turns into those of the network."""
    overlay = {**config, "state_dict": tensors, "source": "state_dict"}
    held = None
    if spec.name.startswith((LOCAL, *ON_HUB)) and not options:  # a stranger's configuration
        held = sum(tensor.nbytes for tensor in tensors.values() if isinstance(tensor, torch.Tensor))
    module = _built(spec, options, held, pretrained=True, pretrained_cfg_overlay=overlay)
    _config_of(module).pop("state_dict", None)
    return module


def _with_file(spec: NetworkSpec, weights: str, options: Mapping[str, Any]) -> torch.nn.Module:
    """Return a network with the weights of a file: under its own names, or as timm takes its own files."""
    module = _built(spec, options)
    try:
        load_weights(spec.text, module, weights)
    except InputError as misfit:
        try:
            tensors = read_weights(spec.text, weights_path(spec.text, weights))
            module = _with_tensors(spec, tensors, options, num_classes=getattr(module, "num_classes", 0))
        except InputError:
            raise misfit from None
    return module


def _config_of(module: torch.nn.Module) -> dict[str, Any]:
    """Return what timm says of the weights that a network has, or would have."""
    return getattr(module, "pretrained_cfg", {})


def _warn_of_random_head(spec: NetworkSpec, module: torch.nn.Module) -> None:
    """Warn where timm leaves out the weights of the last layer, which tell other classes apart."""
    wanted, trained = getattr(module, "num_classes", 0), _config_of(module).get("num_classes")
    if wanted and trained is not None and wanted != trained:
        text = f"{spec.text}: the weights tell {trained:,} classes apart, not {wanted:,}: those of the last "
        warn("other", f"{text}layer are random")


def _transform_of(module: torch.nn.Module, options: Mapping[str, Any]) -> Transform | None:
    """Return what `timm.data.create_transform` does to an image where it is not for training."""
    config = resolve_data_config(pretrained_cfg=_config_of(module), model=module)
    channels, height, width = config["input_size"]
    channels = options.get("in_chans", channels)
    if size := options.get("img_size"):
        height, width = (size, size) if isinstance(size, int) else size
    larger = tuple(math.floor(length / config["crop_pct"]) for length in (height, width))
    squashed = config["crop_mode"] == "squash"
    if config["crop_mode"] == "border" or not (squashed or larger[0] == larger[1]):
        return None
    return Transform(
        shape=(height, width, channels),
        resize=config["interpolation"],
        crop="squash" if squashed else "center",
        resize_to=(larger[0], larger[1]) if squashed else larger[0],
        mean=_of_channels(config["mean"], channels),
        sd=_of_channels(config["std"], channels),
    )


def _of_channels(values: Sequence[Any], channels: int) -> tuple[float, ...]:
    """Return a mean or SD for each channel: for grey images that of the colours'."""
    numbers = tuple(map(float, values))
    return numbers if len(numbers) == channels else (sum(numbers) / len(numbers),) * channels


def _classes_of(module: torch.nn.Module) -> ClassIndex:
    """Return the classes that a network tells apart: those of its weights, or of ImageNet by their number."""
    count, config = getattr(module, "num_classes", 0), _config_of(module)
    if (labels := config.get("label_names")) and len(labels) == count:
        described = config.get("label_descriptions") or {}
        return ClassIndex(names=tuple(str(described.get(label, label)) for label in labels))
    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        return ClassIndex()
    known = ImageNetInfo(subset)
    names = tuple(name.partition(",")[0] for name in known.label_descriptions())
    return ClassIndex(tuple(known.label_names()), names)
