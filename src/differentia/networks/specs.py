"""The written names of networks: all that can be told of them before a framework is imported."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Literal, NamedTuple

from differentia.errors import InputError, nearest_names, require_known, unknown_name
from differentia.networks.applications import APPLICATIONS
from differentia.networks.class_files import ClassIndex, read_class_index
from differentia.networks.hubs.names import HUBS, hub_meant
from differentia.networks.keras_files import require_harmless_weights
from differentia.networks.preprocessing import require_preprocessing
from differentia.networks.weight_files import OF_WEIGHTS, names_weights_file, require_weights
from differentia.system.choices import PREPROCESS
from differentia.system.files import absolute_path, user_path
from differentia.system.specs import parse_spec

#: What is said about a network where only its name is given.
NOTHING = {
    "preprocess": None,
    "input_shape": None,
    "class_names": None,
    "classes": None,
    "device": "auto",
    "dtype": None,
    "forward": None,
}

#: The same with its option on the command line.
SAID = {
    "preprocess": "preprocess (--preprocess)",
    "input_shape": "input_shape (--input-size)",
    "classes": "classes (--classes)",
    "device": "device (--device)",
    "dtype": "dtype (--dtype)",
}

#: ``auto`` and PyTorch's kinds of devices; those that are told, and what they are called elsewhere.
DEVICES = (
    *("auto", "cpu", "cuda", "fpga", "hip", "hpu", "ideep", "ipu", "lazy", "maia", "meta", "mkldnn", "mps"),
    *("mtia", "opencl", "opengl", "privateuseone", "ve", "vulkan", "xla", "xpu"),
)
USUAL_DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
DEVICE_SYNONYMS = {"gpu": "cuda", "nvidia": "cuda", "metal": "mps", "apple": "mps", "none": "auto"}

#: How specs begin that may name a local folder.
LOCAL = ("hf:", "timm:local-dir:", "open_clip:local-dir:")

#: What has networks too, but of which none can be named here.
OTHER_LIBRARIES = ("keras_hub", "tf", "tfhub")
OWN_CODE = "my_code:make_net, the module and the name of a function of yours that returns {0}"

KNOWN = (
    "digits",
    "keras:VGG16",
    *(f"{scheme}:{hub.example}" for scheme, hub in HUBS.items()),
    "package.module:factory",
    "path/to/model.keras",
)


class NetworkSpec(NamedTuple):
    """A network's written name: of the embedded one, one of a library, a Keras file, or code."""

    kind: Literal["digits", "application", "hub", "file", "code"]
    #: As the user wrote it.
    text: str
    #: Of the application, of the library's network, of the file or of the module.
    name: str
    #: What of a module; or which of `HUBS`.
    attribute: str
    options: dict[str, Any]
    #: Of its random weights, where a library's network is to have these.
    seed: int = 0


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
    read_classes(spec, about)
    if name == "digits":
        if given:
            raise InputError(f"{spec}: the embedded network takes no options; write digits")
        why = "the embedded network has its own preprocessing, input size and class names"
        require_nothing({**about, "device": "auto", "dtype": None}, name, why)
        return NetworkSpec("digits", spec, name, "", given)
    if scheme == "keras" and colon:
        seed = _seed(spec, given)
        _require_application(spec, rest, given)
        return NetworkSpec("application", spec, rest, "", given, seed)
    if scheme in HUBS and colon:
        seed = _seed(spec, given)
        _require_hub(spec, scheme, rest, given)
        return NetworkSpec("hub", spec, rest, scheme, given, seed)
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


def read_classes(network: str, about: dict[str, Any]) -> ClassIndex:
    """Return what is said of a network's classes: by their names, or by a file of them."""
    names, classes = about["class_names"], about["classes"]
    if classes is None:
        return ClassIndex(names=names)
    if names is not None:
        raise InputError(f"{network}: class_names and classes (--classes) were given; keep one")
    if not isinstance(classes, str | os.PathLike):
        raise InputError(
            f"{network}: classes is {classes!r}; expected the path of a file (names go in class_names)"
        )
    return read_class_index(user_path(classes), network)


def names_code(spec: str) -> bool:
    """Return whether a spec is of the form ``package.module:factory``."""
    module, colon, attribute = spec.partition("?")[0].partition(":")
    parts = [*module.split("."), *attribute.split(".")]
    library = module == "keras" or module in HUBS
    return not library and bool(colon) and all(part.isidentifier() for part in parts)


def require_nothing(about: dict[str, Any], name: str, why: str) -> None:
    """Raise an error if anything is said about a network that knows it itself."""
    if about != NOTHING:
        given = [SAID.get(key, key) for key in NOTHING if about[key] != NOTHING[key]]
        raise InputError(f"{name}: {why}; leave out {', '.join(given)}")


def require_device_name(device: str) -> None:
    """Raise an error for a word that is no device's: ``auto``, ``cpu``, ``cuda:1``."""
    word, colon, number = str(device).partition(":")
    elsewhere = os.environ.get("KERAS_BACKEND", "torch") != "torch"  # whose devices have other names
    if not elsewhere and word not in DEVICES:
        raise unknown_name("device", word, USUAL_DEVICES, DEVICE_SYNONYMS)
    if colon and not number.isdecimal():
        raise InputError(f"device is {device!r}; expected the number of one behind the colon, as in {word}:0")


def absolute_spec(spec: str, folder: Path) -> str:
    """Return a network's spec with the paths in it absolute."""
    name, _, query = spec.partition("?")
    of_hub = name.partition(":")[0] in HUBS
    if name.endswith(".keras") and not of_hub:
        name = absolute_path(name, folder)
    for start in LOCAL:
        if name.startswith(start) and Path(absolute_path(name.removeprefix(start), folder)).is_dir():
            name = start + absolute_path(name.removeprefix(start), folder)
    parts = []
    for part in query.split("&") if query else []:
        key, _, value = part.partition("=")
        weights = key in ("weights", "pretrained") and names_weights_file(value)
        if not of_hub:
            weights = key == "weights" and value.lower() not in ("imagenet", "none")
        if weights or (key == "classes" and Path(absolute_path(value, folder)).is_file()):
            part = f"{key}={absolute_path(value, folder)}"
        parts.append(part)
    return f"{name}?{'&'.join(parts)}" if parts else name


def _seed(spec: str, options: dict[str, Any]) -> int:
    """Take the seed of random weights out of the options, or raise an error where the weights are others."""
    if "seed" not in options:
        return 0
    seed = options.pop("seed")
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise InputError(f"{spec}: seed is {seed!r}; expected a whole number, at least 0")
    if options.get("weights", options.get("pretrained", "")) is not None:
        raise InputError(f"{spec}: seed is that of random weights; write weights=none, or leave it out")
    return seed


def _require_hub(spec: str, scheme: str, name: str, options: dict[str, Any]) -> None:
    """Raise an error where a library is not installed, names no network, or its weights are no such file."""
    hub = HUBS[scheme]
    if not name:
        raise InputError(f"{spec}: names no network; write {scheme}:{hub.example}")
    if hub.module not in sys.modules and importlib.util.find_spec(hub.module) is None:
        raise InputError(
            f"{spec}: needs {hub.module}, which is not installed; pip install 'differentia[{hub.extra}]'"
        )
    for option in ("weights", "pretrained"):
        if isinstance(given := options.get(option), str) and names_weights_file(given):
            require_weights(spec, given, f"give {option}=PATH of a file, or {option}=none")


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
    first, *others = module.split(".")
    if module in ("torch", "transformers") and "." not in attribute:
        raise _of_a_hub(spec, module, attribute)
    if module in sys.modules:
        return
    try:
        found = importlib.util.find_spec(first)
    except (ImportError, ValueError):  # the import says why
        return
    if found is None:
        if hub_meant(module):
            raise _of_a_hub(spec, module, attribute)
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


def _of_a_hub(spec: str, library: str, name: str) -> InputError:
    """Return the error for what another library is called elsewhere."""
    return InputError(f"{spec}: names no code. Did you mean {f'{hub_meant(library)}:{name}'!r}?")


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
    if colon and hub_meant(scheme):
        return _of_a_hub(spec, scheme, rest)
    if colon and scheme.lower() in OTHER_LIBRARIES:
        return InputError(f"{spec}: names no code; write {OWN_CODE.format(rest)}")
    wanted = rest if scheme.lower() == "keras" else name
    close = [f"keras:{one}" for one in nearest_names(wanted, APPLICATIONS, cutoff=0.85)]
    close += nearest_names(name, ["digits"], {"mnist": "digits", "demo": "digits"})
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not path.parent.is_dir():  # as Hugging Face names networks
        close.append(f"timm:{path.name}" if path.parts[0] == "timm" else f"hf:{name}")
    guess = f" Did you mean {close[0]!r}?" if close else ""
    return InputError(f"unknown network {name!r}.{guess} Known: {', '.join(KNOWN)}")
