"""Image models of transformers: of a repository of the Hugging Face hub, or of a folder."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoImageProcessor
from transformers.models.auto import modeling_auto
from transformers.utils import logging

from differentia.errors import InputError, require_known, unknown_name
from differentia.networks.bounds import building
from differentia.networks.class_files import ClassIndex
from differentia.networks.hubs.base import HubNetwork, UntoldError
from differentia.networks.hubs.configs import read_config
from differentia.networks.hubs.image_processors import transform_of
from differentia.networks.hubs.names import RANDOM
from differentia.networks.hubs.repositories import fetched
from differentia.networks.misfits import brief, misfit, unfitting
from differentia.networks.specs import NetworkSpec
from differentia.networks.transforms import Transform
from differentia.networks.weight_files import names_weights_file
from differentia.networks.weights import read_tensors
from differentia.system.files import user_path

OPTIONS = ("weights", "revision", "attn_implementation")

#: Stands for the weights that come with a model.
OWN = "DEFAULT"

#: How attention can be computed; other names may be those of code on the hub.
ATTENTION = ("eager", "sdpa")

#: What transformers calls a network of timm.
OF_TIMM = "timm_wrapper"

CONFIG, PROCESSORS = "config.json", ("preprocessor_config.json", "processor_config.json")
WEIGHTS, PARTS, INDEX = "model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def load(spec: NetworkSpec) -> HubNetwork:
    """Return the image model, or of a model of images and text the part that sees."""
    for option in spec.options:
        require_known(f"option of hf:{spec.name}", option, OPTIONS)
    attention = spec.options.get("attn_implementation")
    if attention is not None:
        require_known("attn_implementation", str(attention), ATTENTION)
    folder = _folder(spec)
    config = _config(spec, folder)
    config._attn_implementation = attention  # its own may be the name of code on the hub
    with _of_config(spec):
        kind, config = _kind(spec, config)
        channels, classes = getattr(config, "num_channels", 3), _classes(kind, config)
    try:
        transform, untold = _transform(spec, folder, channels), ""
    except UntoldError as error:
        transform, untold = None, str(error)
    with _quiet():
        module = _module(spec, folder, kind, config)
    called = {None: RANDOM, OWN: ""}
    weights = spec.options.get("weights", OWN)
    return HubNetwork(
        module,
        transform,
        classes,
        untold,
        classifies=_classifies(kind),
        weights=called.get(weights, str(weights)),
    )


def _folder(spec: NetworkSpec) -> Path:
    """Return the folder with the model's files, which are fetched unless it is one already."""
    folder = user_path(spec.name)
    if folder.is_dir():
        if "revision" in spec.options:
            raise InputError(f"{spec.text}: a folder has no revision; leave it out")
        return folder
    files = [CONFIG, *PROCESSORS]
    if spec.options.get("weights", OWN) == OWN:
        files += [WEIGHTS, PARTS, INDEX]
    revision = spec.options.get("revision")
    return fetched(
        spec.text,
        spec.name,
        files,
        revision=None if revision is None else str(revision),
        otherwise=f"name a folder with {CONFIG}, {PROCESSORS[0]} and {WEIGHTS}: hf:FOLDER",
    )


def _config(spec: NetworkSpec, folder: Path) -> Any:
    """Return the model's configuration, without code that may come with it."""
    for name in (CONFIG, *PROCESSORS):
        if "auto_map" in read_config(spec.text, folder / name):
            raise InputError(
                f"{spec.text}: its {name} asks for code of its own (auto_map), which is not run; if you "
                "trust it, load it with a function of yours: package.module:make_net"
            )
    if not (folder / CONFIG).is_file():
        raise InputError(f"{spec.text}: there is no {CONFIG} in {folder}; save it with model.save_pretrained")
    with _of_config(spec):
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def _kind(spec: NetworkSpec, config: Any) -> tuple[Any, Any]:
    """Return the class of the model with its configuration: a classifier, the part that sees, or the rest."""
    if config.model_type == OF_TIMM:
        where = "local-dir" if user_path(spec.name).is_dir() else "hf-hub"
        raise InputError(f"{spec.text}: is a network of timm; write timm:{where}:{spec.name}")
    named = [str(name) for name in config.architectures or ()]
    kind = None
    for classifiers in modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES.values():
        for name in [classifiers] if isinstance(classifiers, str) else classifiers:
            kind = getattr(transformers, name) if name in named else kind
    if kind is None:
        whole, config = config, getattr(config, "vision_config", config)
        called = type(config).__name__.replace("Config", "Model")
        kind = modeling_auto.MODEL_MAPPING.get(type(config), getattr(transformers, called, None))
        kind = kind[0] if isinstance(kind, tuple) else kind
        projecting = getattr(transformers, f"{kind.__name__}WithProjection", None) if kind else None
        of_pair = whole is not config and hasattr(whole, "projection_dim")
        if projecting is not None and (of_pair or projecting.__name__ in named):
            kind = projecting
            config.projection_dim = whole.projection_dim
    if kind is None or not _takes_pixels(kind):
        raise InputError(
            f"{spec.text}: its model, {', '.join(named) or type(config).__name__}, is not called with images "
            "alone; load it with your own code, and say how to call it with forward="
        )
    return kind, config


def _takes_pixels(kind: Any) -> bool:
    """Return whether a model is called with a batch of pixels alone."""
    _, first, *others = inspect.signature(kind.forward).parameters.values()
    optional = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return first.name == "pixel_values" and all(
        other.default is not inspect.Parameter.empty or other.kind in optional for other in others
    )


def _module(spec: NetworkSpec, folder: Path, kind: Any, config: Any) -> torch.nn.Module:
    """Return the model with its own weights, those of a file, or random ones."""
    weights = spec.options.get("weights", OWN)
    if not (weights in (None, OWN) or names_weights_file(str(weights))):
        raise unknown_name(f"weights of hf:{spec.name}", str(weights), (OWN, "none", "PATH"))
    told = (spec.text, "the model can't be built", f"fetch or save its {CONFIG} again")
    if weights is None:
        with building(*told):
            module: torch.nn.Module = kind(config)
            return module.float()
    tensors = _own_tensors(spec, folder) if weights == OWN else read_tensors(spec.text, str(weights))
    held = sum(tensor.nbytes for tensor in tensors.values())
    with building(*told, held=held):
        module, found = _with_tensors(kind, config, tensors)
    if _only_pooler(found["missing_keys"]) and "add_pooling_layer" in inspect.signature(kind).parameters:
        with building(*told, held=held):
            module, found = _with_tensors(kind, config, tensors, add_pooling_layer=False)
    reshaped = {name: f"{(*given,)}, not {(*own,)}" for name, given, own in sorted(found["mismatched_keys"])}
    if problem := misfit(sorted(found["missing_keys"]), [], reshaped):
        raise unfitting(spec.text, problem)
    return module


def _with_tensors(
    kind: Any, config: Any, tensors: Mapping[str, torch.Tensor], **options: Any
) -> tuple[torch.nn.Module, Mapping[str, Any]]:
    """Return a model with tensors as its weights, and which of both do not fit."""
    found: tuple[torch.nn.Module, Mapping[str, Any]] = kind.from_pretrained(
        None,
        config=config,
        state_dict=dict(tensors),
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
    )
    return found


def _only_pooler(missing: Collection[str]) -> bool:
    """Return whether all that is missing is of a pooler, which models like DINO were trained without."""
    return bool(missing) and all(name.startswith("pooler.") for name in missing)


def _own_tensors(spec: NetworkSpec, folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights in a folder, which may be spread over several files."""
    names = [WEIGHTS] if (folder / WEIGHTS).is_file() else []
    if not names:
        index = read_config(spec.text, folder / INDEX).get("weight_map", {})
        if not isinstance(index, dict):
            raise InputError(f"{spec.text}: the weight_map of its {INDEX} is no object; fetch it again")
        names = sorted({Path(str(name)).name for name in index.values()})
    if not names:
        pickles = [name for name in PICKLES if (folder / name).is_file()]
        found = f"; {pickles[0]} there is a pickle, which is not read" if pickles else ""
        fetched_before = folder != user_path(spec.name)
        first = "connect once, if they were not fetched yet, save" if fetched_before else "save"
        raise InputError(
            f"{spec.text}: there are no weights as safetensors ({WEIGHTS}) in {folder}{found}; {first} them "
            "with model.save_pretrained, or give weights=PATH or weights=none"
        )
    tensors: dict[str, torch.Tensor] = {}
    for name in names:
        tensors |= read_tensors(spec.text, str(folder / name))
    return tensors


def _transform(spec: NetworkSpec, folder: Path, channels: int) -> Transform:
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise UntoldError(f"there is no {PROCESSORS[0]} in {folder}")
    try:
        with _quiet():
            make: Any = AutoImageProcessor.from_pretrained
            return transform_of(make(folder, trust_remote_code=False, local_files_only=True), channels)
    except UntoldError:
        raise
    except Exception as error:  # many kinds, of what is no image processor
        raise UntoldError(f"its image processor can't be used ({brief(error)})") from error


def _classes(kind: Any, config: Any) -> ClassIndex:
    """Return the names of a classifier's classes, unless they are only numbered."""
    labels = getattr(config, "id2label", None) or {}
    names = tuple(str(labels[number]) for number in sorted(labels))
    numbered = tuple(f"LABEL_{number}" for number in range(len(names)))
    if not _classifies(kind) or names == numbered:
        return ClassIndex()
    return ClassIndex(names=names)


def _classifies(kind: Any) -> bool:
    return "ForImageClassification" in kind.__name__


@contextmanager
def _of_config(spec: NetworkSpec) -> Iterator[None]:
    """Have the errors of transformers, of many kinds where a value is of another type, say where they are."""
    try:
        with _quiet():
            yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{spec.text}: its {CONFIG} can't be used: {brief(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from printing what it loads, which is said by our own errors."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(50)  # that of critical errors
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
