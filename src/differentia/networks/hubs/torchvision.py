"""Networks of torchvision for classifying images, with their weights, transforms and names of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torchvision import models
from torchvision.transforms import InterpolationMode

from differentia.errors import InputError, unknown_name
from differentia.networks.bounds import building
from differentia.networks.class_files import ClassIndex
from differentia.networks.hubs.base import HubNetwork, require_no_option
from differentia.networks.hubs.downloads import from_url
from differentia.networks.hubs.names import RANDOM
from differentia.networks.specs import NetworkSpec
from differentia.networks.transforms import Transform
from differentia.networks.weight_files import names_weights_file, weights_path
from differentia.networks.weights import load_weights, read_weights

#: What a network is built with where torchvision loads its weights, and is not where it does not.
AS_TRAINED: Mapping[str, Mapping[str, Any]] = {
    "googlenet": {"aux_logits": False, "transform_input": True},
    "inception_v3": {"transform_input": True},
}

#: Parts that only training needs, which a file of weights may hold.
FOR_TRAINING = {"googlenet": ("aux1.", "aux2.")}

#: The names of Pillow's filters.
RESIZES = {
    InterpolationMode.NEAREST: "nearest",
    InterpolationMode.BILINEAR: "bilinear",
    InterpolationMode.BICUBIC: "bicubic",
}


def load(spec: NetworkSpec) -> HubNetwork:
    """Return a network of ``torchvision.models``, with the weights and the transforms that a spec names."""
    name, options = spec.name, dict(spec.options)
    _require_classifier(spec)
    require_no_option(spec, "pretrained")
    weights, transforms = options.pop("weights", "DEFAULT"), options.pop("transforms", None)
    path = weights if isinstance(weights, str) and names_weights_file(weights) else None
    chosen = None if weights is None or path else _weights_named(spec, weights)
    told = chosen or _weights_named(spec, "DEFAULT")
    if transforms is not None:
        told = _weights_named(spec, transforms)
    if chosen is not None:
        tensors = read_weights(spec.text, from_url(spec.text, chosen.url))
        module = _with_tensors(spec, chosen, tensors, options)
    else:
        given = dict(options)
        if name in AS_TRAINED:
            options = {**AS_TRAINED[name], "init_weights": path is None, **options}
        if name.startswith("vit_"):  # whose weights are for one size
            options.setdefault("image_size", told.transforms().crop_size[0])
        module = _built(spec, options)
        if path:
            module = _with_file(spec, module, path, told, given)
    names = tuple(told.meta["categories"] or ())
    fit = names and options.get("num_classes", len(names)) == len(names)
    transform = _transform_of(told.transforms())
    if "image_size" in options:
        size = int(options["image_size"])
        transform = transform.of_size((size, size, 3))
    called = path or (RANDOM if chosen is None else chosen.name)
    return HubNetwork(module, transform, ClassIndex(names=names if fit else None), weights=called)


def _require_classifier(spec: NetworkSpec) -> None:
    """Raise an error unless a network takes a batch of images, and gives classes."""
    known = models.list_models(models)
    if spec.name in known:
        return
    if spec.name in models.list_models():
        kind = models.get_model_builder(spec.name).__module__.split(".")[2]
        raise InputError(
            f"{spec.text}: is of torchvision.models.{kind}; expected a network that classifies images. Load "
            "it with your own code, and give it to load_network, with preprocess=, input_shape= and forward="
        )
    raise unknown_name("network of torchvision", spec.name, known, form="torchvision:{}")


def _weights_named(spec: NetworkSpec, name: object) -> models.WeightsEnum:
    """Return the weights of a network by their name, also one such as ResNet18_Weights.IMAGENET1K_V1."""
    known = models.get_model_weights(spec.name)
    wanted = str(name).removeprefix(f"{known.__name__}.")
    if wanted not in known.__members__:
        # A path is known by its suffix, or by what lies there.
        raise unknown_name(
            f"weights of torchvision:{spec.name}", wanted, [*known.__members__, "none", "PATH"]
        )
    return known[wanted]


def _with_file(
    spec: NetworkSpec,
    module: torch.nn.Module,
    path: str,
    weights: models.WeightsEnum,
    options: Mapping[str, Any],
) -> torch.nn.Module:
    """Return a network with the weights of a file, which may have the names of torchvision's old files."""
    try:
        load_weights(spec.text, module, path, spare=FOR_TRAINING.get(spec.name, ()))
    except InputError as misfit:
        try:
            tensors = read_weights(spec.text, weights_path(spec.text, path))
            return _with_tensors(spec, weights, tensors, options)
        except InputError:
            raise misfit from None
    return module


def _with_tensors(
    spec: NetworkSpec,
    weights: models.WeightsEnum,
    tensors: Mapping[str, torch.Tensor],
    options: Mapping[str, Any],
) -> torch.nn.Module:
    """Return a network as torchvision builds it with such weights, of tensors that were read."""
    with _given(weights, tensors):
        return _built(spec, {"weights": weights, **options})


@contextmanager
def _given(weights: models.WeightsEnum, tensors: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Have weights give tensors that were read: torchvision itself would run what code a file holds."""

    def get_state_dict(*args: Any, **options: Any) -> Mapping[str, torch.Tensor]:
        return tensors

    weights.get_state_dict = get_state_dict
    try:
        yield
    finally:
        del weights.get_state_dict


def _built(spec: NetworkSpec, options: Mapping[str, Any]) -> torch.nn.Module:
    with building(spec.text, "torchvision can't build this network", "change its options"):
        module: torch.nn.Module = models.get_model(spec.name, **options)
    return module


def _transform_of(preset: Any) -> Transform:
    """Return the transforms of weights: torchvision resizes the shorter side, and cuts the middle out."""
    side = preset.crop_size[0]
    return Transform(
        shape=(side, side, 3),
        resize=RESIZES[preset.interpolation],
        crop="center",
        resize_to=preset.resize_size[0],
        mean=tuple(preset.mean),
        sd=tuple(preset.std),
    )
