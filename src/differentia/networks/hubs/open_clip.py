"""The towers for images of the CLIP models of open_clip."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
from open_clip.constants import HF_CONFIG_NAME, HF_SAFE_WEIGHTS_NAME
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

from differentia.errors import InputError, listed_names, require_known, unknown_name
from differentia.networks.bounds import building
from differentia.networks.hubs.base import HubNetwork, UntoldError
from differentia.networks.hubs.configs import read_config
from differentia.networks.hubs.names import RANDOM
from differentia.networks.hubs.repositories import fetched
from differentia.networks.misfits import brief
from differentia.networks.specs import NetworkSpec
from differentia.networks.transforms import Transform
from differentia.networks.weight_files import names_weights_file
from differentia.networks.weights import load_weights
from differentia.system.files import user_path

#: Both name the weights; the former is open_clip's own word.
OPTIONS = ("pretrained", "weights")

#: How the names of models begin that are repositories, and folders.
REPOSITORY, FOLDER = "hf-hub:", "local-dir:"

#: What weights are called in them, as safetensors.
WEIGHTS = (HF_SAFE_WEIGHTS_NAME, "open_clip_pytorch_model.safetensors", "model.safetensors")

#: The part of a model that sees; the one that reads is built as small as it can be, and left.
TOWER = "visual"
TEXT = {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}

#: Stands for weights that are not named.
OWN = object()


class _Model(NamedTuple):
    """What is known of a model: its architecture, what is done to images, and the file of its weights."""

    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    weights: str | None


def load(spec: NetworkSpec) -> HubNetwork:
    """Return the tower for images, and what the weights' own transform does to an image."""
    for option in spec.options:
        require_known(f"option of open_clip:{spec.name}", option, OPTIONS)
    if len(spec.options) > 1:
        raise InputError(f"{spec.text}: pretrained= and weights= say the same; keep one")
    named = next(iter(spec.options.values()), OWN)
    find = _of_folder if spec.name.startswith((REPOSITORY, FOLDER)) else _built_in
    model = find(spec, named)
    tower = _tower(spec, model)
    if model.weights is not None:
        load_weights(spec.text, tower, model.weights, part=TOWER)
    called = {None: RANDOM, OWN: ""}.get(named, str(named))
    try:
        transform, untold = _transform(model.preprocess, tower.image_size), ""
    except UntoldError as error:
        transform, untold = None, str(error)
    return HubNetwork(tower, transform, untold=untold, classifies=False, weights=called)


def _built_in(spec: NetworkSpec, named: Any) -> _Model:
    """Return a model that open_clip knows by its name, with the weights of a tag or a file."""
    name = spec.name.replace("/", "-")
    if name not in open_clip.list_models():
        raise unknown_name("network of open_clip", spec.name, open_clip.list_models(), form="open_clip:{}")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if named is OWN:
        raise InputError(
            f"{spec.text}: its weights are not named; write open_clip:{name}?pretrained=TAG, PATH of a "
            f"file, or none.{listed_names([*tags, 'none'], [])}"
        )
    config = open_clip.get_model_config(name)
    trained = [open_clip.get_pretrained_cfg(name, tag) for tag in tags]
    tag = open_clip.get_pretrained_cfg(name, named) if isinstance(named, str) else {}
    if tag:
        _require_its_activation(spec, name, config, tag)
        return _Model(config, tag, str(_of_tag(spec, tag)))
    if not (named is None or names_weights_file(str(named))):
        raise unknown_name(f"weights of open_clip:{name}", str(named), [*tags, "PATH", "none"])
    shared = {
        key: value
        for key, value in (trained[0] if trained else {}).items()
        if all(other.get(key) == value for other in trained)
    }
    return _Model(config, shared, None if named is None else str(named))


def _require_its_activation(
    spec: NetworkSpec, name: str, config: Mapping[str, Any], tag: Mapping[str, Any]
) -> None:
    """Raise an error for weights that were trained with another activation than the model has."""
    if tag.get("quick_gelu", False) and not config.get("quick_gelu", False):
        right = spec.text.replace(spec.name, f"{name}-quickgelu", 1)
        raise InputError(
            f"{spec.text}: these weights were trained with the activation QuickGELU, which {name} does not "
            f"have; write {right}"
        )


def _of_tag(spec: NetworkSpec, tag: Mapping[str, Any]) -> Path:
    """Return the file with the weights of a tag, as safetensors, fetched where it is not here yet."""
    repository, file = os.path.split(tag["hf_hub"])
    file = Path(file).with_suffix(".safetensors").name if file else HF_SAFE_WEIGHTS_NAME
    name = spec.text.partition("?")[0]
    otherwise = f"name a file, {name}?pretrained=PATH (pretrained=none for random weights)"
    path = fetched(spec.text, repository, [file], otherwise=otherwise) / file
    if not path.is_file():
        raise _no_weights(spec, repository)
    return path


def _of_folder(spec: NetworkSpec, named: Any) -> _Model:
    """Return a model of a repository or a folder, with a configuration beside its weights."""
    if spec.name.startswith(FOLDER):
        place = spec.name.removeprefix(FOLDER)
        folder = user_path(place)
        if not folder.is_dir():
            raise InputError(f"{spec.text}: there is no folder {place}; check the path")
    else:
        place = spec.name.removeprefix(REPOSITORY)
        files = [HF_CONFIG_NAME, *(WEIGHTS if named is OWN else ())]
        otherwise = f"name a folder with {HF_CONFIG_NAME} and {WEIGHTS[0]}: open_clip:{FOLDER}PATH"
        folder = fetched(spec.text, place, files, otherwise=otherwise)
    read = read_config(spec.text, folder / HF_CONFIG_NAME)
    config, preprocess = read.get("model_cfg"), read.get("preprocess_cfg") or {}
    if not (isinstance(config, dict) and isinstance(preprocess, dict)):
        raise InputError(
            f"{spec.text}: {folder / HF_CONFIG_NAME} is no configuration of open_clip: it has no model_cfg"
        )
    if named is OWN:
        found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
        if not found:
            raise _no_weights(spec, place)
        named = str(found[0])
    return _Model(config, preprocess, None if named is None else str(named))


def _no_weights(spec: NetworkSpec, place: str) -> InputError:
    return InputError(
        f"{spec.text}: no weights as safetensors were found in {place}, and pickles are not fetched; connect "
        "once, if you were not, or give pretrained=PATH of a file of yours, or pretrained=none"
    )


def _tower(spec: NetworkSpec, model: _Model) -> Any:
    """Return the tower with random weights."""
    with building(spec.text, "open_clip can't build this network", "fetch or save its configuration again"):
        vision = {**model.config["vision_cfg"], "timm_model_pretrained": False}
        quick_gelu = model.config.get("quick_gelu", False)
        whole = open_clip.CLIP(model.config["embed_dim"], vision, TEXT, quick_gelu=quick_gelu)
    return whole.visual


def _transform(given: Mapping[str, Any], image_size: int | tuple[int, int]) -> Transform:
    """Return what open_clip does to an image.

    Raises
    ------
    UntoldError
        It keeps an image's proportions otherwise than a transform does, or is damaged.
    """
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    try:
        config = PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(), {**given, "size": (height, width)}))
        mean, sd = _of_channels(config.mean), _of_channels(config.std)
    except (AssertionError, TypeError, ValueError) as error:
        raise UntoldError(f"its preprocess_cfg can't be used ({brief(error)})") from error
    squashed = config.resize_mode == "squash"
    if not squashed and (config.resize_mode != "shortest" or height != width):
        raise UntoldError(f"open_clip fits images to {height} x {width} by their {config.resize_mode} side")
    return Transform(
        shape=(height, width, 3),
        resize="bilinear" if config.interpolation == "bilinear" else "bicubic",
        crop="squash" if squashed else "center",
        resize_to=None if squashed else height,
        mean=mean,
        sd=sd,
    )


def _of_channels(given: Any) -> tuple[float, ...]:
    """Return a mean or SD of each channel, which may be given as one for all."""
    red, green, blue = given if isinstance(given, tuple | list) else (given,) * 3
    return float(red), float(green), float(blue)
