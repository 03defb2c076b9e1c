"""The written names of networks: all that can be told of them before a framework is imported."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Literal, NamedTuple

from differentia.errors import InputError, nearest_names, require_known, unknown_name
from differentia.networks.applications import APPLICATIONS
from differentia.networks.keras_files import require_harmless_weights
from differentia.networks.preprocessing import require_preprocessing
from differentia.networks.weight_files import require_weights
from differentia.system.choices import PREPROCESS
from differentia.system.files import user_path
from differentia.system.specs import parse_spec

#: What is said about a network where only its name is given.
NOTHING = {"preprocess": None, "input_shape": None, "class_names": None, "device": "auto"}

#: ``auto`` and PyTorch's kinds of devices; those that are told, and what they are called elsewhere.
DEVICES = (
    *("auto", "cpu", "cuda", "fpga", "hip", "hpu", "ideep", "ipu", "lazy", "maia", "meta", "mkldnn", "mps"),
    *("mtia", "opencl", "opengl", "privateuseone", "ve", "vulkan", "xla", "xpu"),
)
USUAL_DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
DEVICE_SYNONYMS = {"gpu": "cuda", "nvidia": "cuda", "metal": "mps", "apple": "mps", "none": "auto"}

#: Files that hold weights, and no network.
OF_WEIGHTS = (".bin", ".ckpt", ".h5", ".hdf5", ".npz", ".pkl", ".pt", ".pth", ".safetensors", ".tar")

#: What is to be written for the name of a library and a network of it: of those that have it under another
#: name, and of all.
LIBRARIES = {
    "torchvision": "torchvision.models:{0} (?weights=PATH of its state dict)",
    "timm": "timm:create_model?model_name={0}&pretrained=true",
}
OWN_CODE = "my_code:make_net, the module and the name of a function of yours that returns {0}"
OTHER_LIBRARIES = (
    "hf",
    "huggingface",
    "hub",
    "keras_hub",
    "open_clip",
    "tf",
    "tfhub",
    "torch",
    "transformers",
)

KNOWN = (
    "digits",
    "keras:VGG16",
    "torchvision.models:resnet18 (package.module:factory)",
    "path/to/model.keras",
)


class NetworkSpec(NamedTuple):
    """A network's written name: of the embedded one, an application of Keras, a Keras file, or code."""

    kind: Literal["digits", "application", "file", "code", "hub"]
    #: As the user wrote it.
    text: str
    #: Of the application, the file or the module.
    name: str
    #: What of a module.
    attribute: str
    options: dict[str, Any]


def read_network_spec(spec: str, about: dict[str, Any]) -> NetworkSpec:
    """Return a network's written name, or raise an error for one of which no network can be loaded.

    Parameters
    ----------
    spec
        As `load_network` takes it.
    about
        What else is said about the network: a value for each name of `NOTHING`.
    """
    name, given = parse_spec(spec)
    scheme, colon, rest = name.partition(":")
    require_device_name(about["device"])
    if isinstance(about["preprocess"], str):
        PREPROCESS.checked(about["preprocess"])
    if name == "digits":
        if given:
            raise InputError(f"{spec}: the embedded network takes no options; write digits")
        why = "the embedded network has its own preprocessing, input size and class names"
        require_nothing({**about, "device": "auto"}, name, why)
        return NetworkSpec("digits", spec, name, "", given)
    if scheme == "keras" and colon:
        _require_application(spec, rest, given)
        return NetworkSpec("application", spec, rest, "", given)
    if name.endswith(".keras"):
        if given:
            raise InputError(f"{spec}: a Keras file takes no options; write {name}")
        path = user_path(name)
        if not path.is_file():
            raise InputError(f"{name}: no such file; check the path of the Keras model")
        require_harmless_weights(path)
        require_preprocessing(name, about["preprocess"])
        return NetworkSpec("file", spec, name, "", given)
    if names_code(name) and not scheme.endswith(".py"):
        _require_code(spec, scheme, rest)
        if given.get("weights") is not None:
            _require_weights(spec, str(given["weights"]))
        return NetworkSpec("code", spec, scheme, rest, given)
    raise _unknown_network(spec, name)


def names_code(spec: str) -> bool:
    """Return whether a spec is of the form ``package.module:factory``."""
    module, colon, attribute = spec.partition("?")[0].partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    return module != "keras" and bool(colon) and all(part.isidentifier() for part in parts)


def require_nothing(about: dict[str, Any], name: str, why: str) -> None:
    """Raise an error if anything is said about a network that knows it itself."""
    if about != NOTHING:
        raise InputError(
            f"{name}: {why}; leave out preprocess (--preprocess), input_shape (--input-size), "
            "class_names and device (--device)"
        )


def require_device_name(device: str) -> None:
    """Raise an error for a word that is no device's: ``auto``, ``cpu``, ``cuda:1``."""
    word, colon, number = str(device).partition(":")
    elsewhere = os.environ.get("KERAS_BACKEND", "torch") != "torch"  # whose devices have other names
    if not elsewhere and word not in DEVICES:
        raise unknown_name("device", word, USUAL_DEVICES, DEVICE_SYNONYMS)
    if colon and not number.isdecimal():
        raise InputError(f"device is {device!r}; expected the number of one behind the colon, as in {word}:0")


def _require_application(spec: str, name: str, options: dict[str, Any]) -> None:
    if name not in APPLICATIONS:
        raise unknown_name("network of keras.applications", name, APPLICATIONS, form="keras:{}")
    for option in options:
        require_known(f"option of keras:{name}", option, APPLICATIONS[name])
    weights, classes = options.get("weights"), options.get("classes")
    if isinstance(weights, str) and weights != "imagenet":
        if weights.casefold() == "imagenet":
            raise InputError(f"{spec}: weights is {weights!r}; write weights=imagenet")
        _require_weights(spec, weights)
    if isinstance(classes, str) and not user_path(classes).is_file():
        raise InputError(f"{spec}: there is no class index at {classes}; give classes=PATH of a JSON file")


def _require_weights(spec: str, weights: str) -> None:
    advice = "give weights=PATH of a file"
    if spec.startswith("keras:"):
        advice += ", weights=imagenet or weights=none"
    elif not Path(weights).suffix:  # a library's own word for its weights
        advice += ", or name a function of yours that returns the network with its weights: my_code:make_net"
    require_weights(spec, weights, advice)


def _require_code(spec: str, module: str, attribute: str) -> None:
    """Raise an error where there is no such module; nothing is imported, not even the packages around it."""
    if module in LIBRARIES and "." not in attribute and attribute != "create_model":
        raise InputError(f"{spec}: names no code; write {LIBRARIES[module].format(attribute)}")
    first, *others = module.split(".")
    if module in sys.modules:
        return
    try:
        found = importlib.util.find_spec(first)
    except (ImportError, ValueError):  # the import says why
        return
    if found is None:
        if module in OTHER_LIBRARIES:
            raise InputError(f"{spec}: names no code; write {OWN_CODE.format(attribute)}")
        here = [one.name for one in pkgutil.iter_modules([place for place in sys.path if not place])]
        close = [f"{one}:{attribute}" for one in nearest_names(first, [*here, "keras"], cutoff=0.7)]
        raise import_problem(spec, module, f"No module named {first!r}", close[:1])
    name = first
    for part in others:
        places = found.submodule_search_locations or []
        inside = [one.name for one in pkgutil.iter_modules(places)]
        found = PathFinder.find_spec(f"{name}.{part}", places)
        if found is None:
            close = [f"{name}.{one}:{attribute}" for one in nearest_names(part, inside, cutoff=0.7)]
            if not close:  # it may be made when its package is imported
                return
            raise import_problem(spec, module, f"No module named {f'{name}.{part}'!r}", close[:1])
        name = f"{name}.{part}"


def import_problem(spec: str, module: str, reason: object, close: list[str]) -> InputError:
    """Return the error for a module that is not there, or fails; `close` is what may be meant."""
    guess = f". Did you mean {close[0]!r}? If not," if close else ";"
    return InputError(
        f"{spec}: the module {module!r} can't be imported ({reason}){guess} install it, or add its folder "
        "to PYTHONPATH (the command line looks into the working folder too)"
    )


def installed_package(module: str) -> str:
    """Return the package of a module where it is installed, rather than the user's own code; "" if not."""
    package, _, _ = module.partition(".")
    found = PathFinder.find_spec(package)
    places = Path(found.origin or "").parts if found else ()
    return package if {"site-packages", "dist-packages"} & {*places} else ""


def _unknown_network(spec: str, name: str) -> InputError:
    """Return the error for a name of no known form, with what it may be meant for."""
    scheme, colon, rest = name.partition(":")
    path = Path(scheme)
    if path.suffix.lower() in OF_WEIGHTS:
        keras = f"keras:NAME?weights={name} or " if path.suffix.lower() in (".h5", ".hdf5") else ""
        return InputError(
            f"{spec}: is a file of weights, without the network that they are for; "
            f"write {keras}package.module:factory?weights={name}"
        )
    if path.suffix == ".py":
        module = ".".join(path.with_suffix("").parts)
        return InputError(
            f"{spec}: is a file of code; write the module and what returns the network, "
            f"{module}:{rest or 'make_net'}"
        )
    if colon and scheme.lower() in (*LIBRARIES, *OTHER_LIBRARIES):
        meant = LIBRARIES.get(scheme.lower(), OWN_CODE)
        return InputError(f"{spec}: names no code; write {meant.format(rest)}")
    wanted = rest if scheme.lower() == "keras" else name
    close = [f"keras:{one}" for one in nearest_names(wanted, APPLICATIONS, cutoff=0.85)]
    close += nearest_names(name, ["digits"], {"mnist": "digits", "demo": "digits"})
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return InputError(f"unknown network {name!r}.{guess} Known: {', '.join(KNOWN)}")
