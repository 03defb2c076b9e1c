"""From what a user names to a network."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

from differentia.errors import InputError, unknown_name
from differentia.networks.base import Network
from differentia.networks.digits import load_digits_network
from differentia.networks.keras import (
    KerasNetwork,
    import_keras,
    is_keras_model,
    load_application,
    on_device,
    require_device,
)
from differentia.networks.keras_files import require_harmless_model, require_harmless_weights
from differentia.networks.torch import TorchNetwork
from differentia.system.files import user_path
from differentia.system.specs import parse_spec


def load_network(
    network: Any,
    *,
    preprocess: str | Callable[..., Any] | None = None,
    input_shape: tuple[int, int, int] | None = None,
    class_names: tuple[str, ...] | None = None,
    device: str = "auto",
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
        - ``package.module:factory?weights=PATH&...``: importable code that is, or returns, a module, a
          model or a `Network`. **That code is run.** Other options go to the factory;
        - ``path/to/model.keras``: Keras's own format, read in safe mode.
    preprocess
        One of ``none``, ``unit``, ``signed``, ``imagenet``, ``caffe``, or a function in the framework's
        own convention: for PyTorch from a uint8 tensor (batch, channels, height, width), for Keras from
        a float32 array (batch, height, width, channels) of 0..255. Needed wherever it can't be known.
    input_shape
        Of one image, (channels, height, width) or (height, width, channels). Needed for PyTorch, and for
        Keras models that take any size.
    class_names
        Of the classes that the last layer tells apart.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...; ``auto`` leaves a module where it is, and takes a
        GPU for a network named by a spec, where there is one.

    Raises
    ------
    InputError
        No such network, missing or unfitting weights, or a preprocessing or input shape that can't be
        known and was not given.
    """
    options = _Options(preprocess, input_shape, class_names, device)
    if isinstance(network, str):
        return _from_spec(network, options)
    return _from_object(network, type(network).__name__, options)


class _Options(NamedTuple):
    """What a user says of a network beside naming it."""

    preprocess: str | Callable[..., Any] | None
    input_shape: tuple[int, int, int] | None
    class_names: tuple[str, ...] | None
    device: str

    def require_none(self, name: str, why: str) -> None:
        """Raise an error if anything was said."""
        if self != _Options(None, None, None, "auto"):
            raise InputError(
                f"{name}: {why}; leave preprocess (--preprocess), input_shape (--input-size), "
                "class_names and device (--device) out"
            )

    def on_resolved_device(self) -> _Options:
        """Return the options with a GPU for ``auto``, where there is one."""
        if self.device != "auto":
            return self
        return self._replace(device="cuda" if torch.cuda.is_available() else "cpu")


def _from_object(candidate: Any, name: str, options: _Options) -> Network:
    if isinstance(candidate, Network):
        options.require_none(name, "this is a network that is ready")
        return candidate
    # On its PyTorch backend a Keras model is a torch.nn.Module too.
    adapter: type[KerasNetwork] | type[TorchNetwork]
    if is_keras_model(candidate):
        adapter = KerasNetwork
    elif isinstance(candidate, torch.nn.Module):
        adapter = TorchNetwork
    else:
        raise InputError(
            f"{name}: this is a {type(candidate).__name__}; "
            "expected a torch.nn.Module, a keras.Model or a network's name"
        )
    return adapter(candidate, name=name, **options._asdict())


def _from_spec(spec: str, options: _Options) -> Network:
    name, given = parse_spec(spec)
    scheme, colon, rest = name.partition(":")
    if name == "digits":
        if given:
            raise InputError(f"{spec}: the embedded network takes no options; write digits")
        beside_device = options._replace(device="auto")
        beside_device.require_none(name, "the embedded network knows its input and its classes")
        return load_digits_network(device=options.on_resolved_device().device)
    if scheme == "keras" and colon:
        return load_application(spec, rest, given, **options._asdict())
    if name.endswith(".keras"):
        if given:
            raise InputError(f"{spec}: a Keras file takes no options; write {name}")
        return _from_keras_file(name, options)
    if names_code(name):
        made = _run_factory(spec, scheme, rest, given)
        ready = isinstance(made, Network)
        return _from_object(made, spec, options if ready else options.on_resolved_device())
    known = ["digits", "keras:VGG16", "package.module:factory", "path/to/model.keras"]
    raise unknown_name("network", spec, known)


def names_code(spec: str) -> bool:
    """Return whether a spec is of the form ``package.module:factory``."""
    module, colon, attribute = spec.partition("?")[0].partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return module != "keras" and bool(colon) and all(part.isidentifier() for part in parts)


def _from_keras_file(path: str, options: _Options) -> Network:
    file = user_path(path)
    if not file.is_file():
        raise InputError(f"{path}: no such file; check the path of the Keras model")
    require_device(options.device)
    load = import_keras().saving.load_model
    require_harmless_model(file)
    try:
        with on_device(options.device):
            model = load(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on broken or unsafe files
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: can't be read as a Keras model: {reason}") from error
    return _from_object(model, path, options)


def _run_factory(spec: str, module_name: str, attribute: str, options: dict[str, Any]) -> Any:
    """Import and call the user's own code, then load its weights."""
    try:
        made: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"{spec}: the module {module_name!r} can't be imported ({error}); "
            "install it, or add its folder to PYTHONPATH (the command line looks into the working folder too)"
        ) from error
    for part in attribute.split("."):
        if not hasattr(made, part):
            public = [name for name in vars(made) if not name.startswith("_")]
            raise unknown_name(f"name in {module_name}", part, public)
        made = getattr(made, part)
    options = dict(options)
    weights = options.pop("weights", None)
    if _is_network(made):
        if options:
            raise InputError(f"{spec}: {attribute} is a network, not a factory; it takes no options")
    elif callable(made):
        try:
            inspect.signature(made).bind(**options)
        except TypeError as error:
            raise InputError(
                f"{spec}: {attribute} does not take these options ({error}); change them"
            ) from error
        made = made(**options)
    if weights is not None:
        _load_weights(spec, made, str(weights))
    return made


def _is_network(candidate: Any) -> bool:
    return isinstance(candidate, torch.nn.Module | Network) or is_keras_model(candidate)


def _load_weights(spec: str, made: Any, weights: str) -> None:
    path = user_path(weights)
    if not path.is_file():
        raise InputError(f"{spec}: there are no weights at {weights}; check the path")
    try:
        if is_keras_model(made):
            require_harmless_weights(path)
            made.load_weights(path)
        elif path.suffix == ".safetensors":
            made.load_state_dict(load_file(path))
        else:
            made.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # each format has its own kinds, and a misfit is another
        reason = " ".join(str(error).split())
        raise InputError(f"{spec}: the weights in {weights} can't be loaded: {reason}") from error
