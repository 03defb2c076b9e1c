"""From what a user names to a network."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import torch

from differentia.errors import InputError, short_tracebacks
from differentia.networks.base import Network
from differentia.networks.digits import load_digits_network
from differentia.networks.factories import broken_package, run_factory
from differentia.networks.hubs.base import HubNetwork
from differentia.networks.hubs.names import HUBS
from differentia.networks.keras import KerasNetwork, is_keras_model, load_application, load_keras_file
from differentia.networks.origin import origin_of
from differentia.networks.specs import (
    NOTHING,
    NetworkSpec,
    read_classes,
    read_network_spec,
    require_device_name,
    require_nothing,
)
from differentia.networks.torch import TorchNetwork
from differentia.system.choices import DTYPE
from differentia.system.random import torch_numbers_kept


@short_tracebacks
def load_network(
    network: Any,
    *,
    weights: str | os.PathLike[str] | None = None,
    preprocess: str | Callable[..., Any] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    class_names: tuple[str, ...] | None = None,
    classes: str | os.PathLike[str] | None = None,
    device: str = "auto",
    dtype: str | None = None,
    forward: Callable[[Any], Any] | None = None,
) -> Network:
    """Return a network that can be recorded.

    Parameters
    ----------
    network
        A ``keras.Model``, a ``torch.nn.Module``, a `Network` (returned as it is, without other
        arguments), or a spec:

        - ``digits``: the embedded network, trained on handwritten digits;
        - ``keras:NAME?weights=imagenet|none|PATH&classes=PATH&...``: a network of
          ``keras.applications`` with its own preprocessing, input size and class names (``classes`` is a
          local class index); any other option goes to its constructor;
        - ``torchvision:NAME?weights=DEFAULT|NAME|none|PATH&...``,
          ``timm:NAME?weights=DEFAULT|none|PATH&...``, ``hf:NAME_OR_FOLDER?...`` (image models of
          transformers), ``open_clip:NAME?pretrained=TAG|none|PATH`` (the tower for images): a network of
          that library, with the weights, the transform and the class names that go with it; random
          weights (``weights=none``, also of ``keras:``) are the same each time, and others by ``seed=3``;
        - ``package.module:factory?weights=PATH&...``: importable code that is, or returns, a module, a
          model or a `Network`. **That code is run**, unless its annotation says that it returns something
          else. Other options go to the factory;
        - ``path/to/model.keras``, or a ``pathlib.Path``: Keras's own format, read in safe mode.
    weights
        Of a network that a spec names: what ``?weights=`` says.
    preprocess
        One of ``none``, ``unit``, ``signed``, ``imagenet``, ``caffe``, or a function in the framework's
        own convention: for PyTorch from a uint8 tensor (batch, channels, height, width), for Keras from
        a float32 array (batch, height, width, channels) of 0..255. Needed wherever it can't be known.
    input_shape
        Of one image, (channels, height, width) or (height, width, channels). Needed for PyTorch, and for
        Keras models that take any size.
    class_names
        Of the classes that the last layer tells apart.
    classes
        A file of their names instead: one per line, or JSON (a list, or an object by number, whose values
        are names or, as in Keras's class index, pairs of a WordNet identifier and a name).
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...; ``auto`` leaves a module where it is, and takes a
        GPU for a network named by a spec, where there is one.
    dtype : {"float32", "bfloat16"}
        What the network computes in: its weights are cast, those of a module or a model in a copy. By
        default they stay as they are. Responses are kept in float32.
    forward
        Of a network that takes something else than a batch of images: a function from the preprocessed batch
        to what it is called with. For PyTorch a tensor, a tuple of arguments, or a dictionary of keyword
        arguments; for Keras what the model takes (a tensor, a list, a dictionary), or a tuple of arguments.

    Raises
    ------
    InputError
        No such network, missing or unfitting weights, or a preprocessing or input shape that can't be
        known and was not given.
    """
    given = (preprocess, input_shape, class_names, classes, device, dtype, forward)
    about = dict(zip(NOTHING, given, strict=True))
    require_device_name(device)
    if dtype is not None:
        about["dtype"] = DTYPE.checked(str(dtype).removeprefix("torch."))
    if not (forward is None or callable(forward)):
        raise InputError(f"forward is {forward!r}; expected a function from a batch to the call's arguments")
    if isinstance(network, str | os.PathLike):
        spec = _with_weights(os.fspath(network), weights)
        loaded = _from_spec(spec, about)
        loaded.origin = origin_of(spec, about)
        return loaded
    if weights is not None:
        raise InputError("weights= goes with the name of a network; load them into this one beforehand")
    return _from_object(network, type(network).__name__, about)


def _with_weights(spec: str, weights: str | os.PathLike[str] | None) -> str:
    if weights is None:
        return spec
    return f"{spec}{'&' if '?' in spec else '?'}weights={os.fspath(weights)}"


def _with_gpu(about: dict[str, Any]) -> dict[str, Any]:
    """Return what is said about a network with a GPU for ``auto``, where there is one."""
    automatic = "cuda" if torch.cuda.is_available() else "cpu"
    return {**about, "device": automatic if about["device"] == "auto" else about["device"]}


def _from_object(candidate: Any, name: str, about: dict[str, Any]) -> Network:
    if isinstance(candidate, Network):
        require_nothing(about, name, "this network was loaded already")
        return candidate
    if is_keras_model(candidate):  # asked first: on its PyTorch backend it is a torch.nn.Module too
        return KerasNetwork(candidate, name=name, **_with_classes(name, about))
    if isinstance(candidate, torch.nn.Module):
        return TorchNetwork(candidate, name=name, **_with_classes(name, about))
    raise InputError(
        f"{name}: this is of type {type(candidate).__name__}; "
        "expected a torch.nn.Module, a keras.Model or a network's name"
    )


def _from_spec(text: str, about: dict[str, Any]) -> Network:
    spec = read_network_spec(text, about)
    if spec.kind == "digits":
        return load_digits_network(device=_with_gpu(about)["device"], dtype=about["dtype"])
    if spec.kind == "application":
        about = _with_classes(text, about)
        return load_application(text, spec.name, spec.options, seed=spec.seed, **about)
    if spec.kind == "hub":
        return _from_hub(spec, _with_gpu(_with_classes(text, about)))
    if spec.kind == "file":
        return load_keras_file(spec.name, **_with_classes(text, about))
    made = run_factory(text, spec.name, spec.attribute, **spec.options)
    return _from_object(made, text, about if isinstance(made, Network) else _with_gpu(about))


def _with_classes(name: str, about: dict[str, Any]) -> dict[str, Any]:
    """Return what is said about a network with the identifiers and names of its classes, read from a file."""
    found = read_classes(name, about)
    rest = {key: value for key, value in about.items() if key != "classes"}
    return {**rest, "class_names": found.names, "class_ids": found.ids}


def _from_hub(spec: NetworkSpec, about: dict[str, Any]) -> Network:
    """Return a network of another library; what the user says goes before what the library does."""
    try:
        importlib.import_module(HUBS[spec.attribute].module)
        hub = importlib.import_module(f"differentia.networks.hubs.{spec.attribute}")  # which needs more of it
    except (Exception, SystemExit) as error:
        raise broken_package(spec.text, HUBS[spec.attribute].module, error) from error
    with torch_numbers_kept(spec.seed):
        found: HubNetwork = hub.load(spec)
    if found.transform is None and None in (about["preprocess"], about["input_shape"]):
        raise InputError(
            f"{spec.text}: {found.untold}; say how images are prepared with preprocess= and input_shape= "
            "(--preprocess, --input-size; and --resize, --crop)"
        )
    if about["class_names"] is None:
        classes = found.classes.shown
        about |= {"class_names": classes.names, "class_ids": classes.ids}
    network = TorchNetwork(
        found.module, name=spec.text, transform=found.transform, classifies=found.classifies, **about
    )
    network.weights, network.package = found.weights, HUBS[spec.attribute].package
    return network
