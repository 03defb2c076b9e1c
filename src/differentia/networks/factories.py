"""Code that a network's name is of: it is imported and called, and what comes is a network, or an error."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import torch

from differentia.errors import DifferentiaError, InputError, unknown_name
from differentia.networks.base import Network
from differentia.networks.keras import is_keras_model
from differentia.networks.misfits import brief
from differentia.networks.specs import import_problem, installed_package
from differentia.networks.weights import load_weights

EXPECTED = (
    "expected a torch.nn.Module, a keras.Model or a Network; name a function of yours that returns one, as "
    "in my_code:make_net"
)


def run_factory(
    spec: str, module_name: str, attribute: str, /, *, weights: Any = None, **options: Any
) -> Any:
    """Import and call the user's own code, then load its weights."""
    made = _found(spec, module_name, attribute)
    if _is_network(made):
        if options:
            raise InputError(f"{spec}: {attribute} is a network, not a factory; it takes no options")
    elif callable(made):
        made = _called(spec, module_name, attribute, made, options)
    else:
        raise InputError(f"{spec}: {attribute} is of type {type(made).__name__}; {EXPECTED}")
    if weights is not None:
        load_weights(spec, made, str(weights))
    return made


def broken_package(spec: str, package: str, error: BaseException) -> InputError:
    """Return the error for a package of others that is installed, and can't be imported."""
    while error.__cause__ is not None:  # which is where it began
        error = error.__cause__
    return InputError(
        f"{spec}: the installed package {package!r} can't be imported ({type(error).__name__}: "
        f"{brief(error)}); it, or what it imports, may be made for another version than PyTorch's here, "
        f"{torch.__version__}: reinstall it for that version"
    )


def _found(spec: str, module_name: str, attribute: str) -> Any:
    """Import a module, and return what it calls by a name."""
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise import_problem(spec, module_name, error, []) from error
    except (Exception, SystemExit) as error:
        if package := installed_package(module_name):
            raise broken_package(spec, package, error) from error
        if isinstance(error, ImportError):
            raise import_problem(spec, module_name, error, []) from error
        raise _failed(spec, f"importing {module_name}", module_name, error) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = [name for name in dir(found) if not name.startswith("_")]
            raise unknown_name(f"name in {module_name}", part, public)
        found = getattr(found, part)
    return found


def _called(spec: str, module_name: str, attribute: str, factory: Any, options: dict[str, Any]) -> Any:
    """Return the network that a factory makes, which is not called where it surely makes something else."""
    promised = _promised(factory)
    if _is_of_another_type(promised):
        name = promised.__name__ if isinstance(promised, type) else str(promised)
        raise InputError(f"{spec}: {attribute} makes {name}, so that it was not called; {EXPECTED}")
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise InputError(f"{spec}: {attribute} does not take these options ({error}); change them") from error
    except ValueError:  # some that are written in C tell no signature
        pass
    try:
        made = factory(**options)
    except DifferentiaError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(spec, attribute, module_name, error) from error
    if not _is_network(made):
        raise InputError(f"{spec}: {attribute} returned an object of type {type(made).__name__}; {EXPECTED}")
    return made


def _is_network(candidate: object) -> bool:
    return isinstance(candidate, torch.nn.Module | Network) or is_keras_model(candidate)


def _promised(factory: Any) -> Any:
    """Return what a factory says that it returns; a class is its own annotation."""
    if isinstance(factory, type):
        return factory
    try:
        return inspect.signature(factory, eval_str=True).return_annotation
    except Exception:  # it has no signature, or an annotation names what is not there
        return inspect.Signature.empty


def _is_of_another_type(annotation: Any) -> bool:
    """Return whether nothing of an annotation's type can be a network; what is not sure is False."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return all(map(_is_of_another_type, get_args(annotation)))
    if origin is Annotated:
        return _is_of_another_type(get_args(annotation)[0])
    kind = NoneType if annotation is None else origin or annotation
    if not isinstance(kind, type) or kind in (Any, inspect.Signature.empty):
        return False
    if getattr(kind, "_is_protocol", False):
        return False
    try:
        return not _may_be_network(kind)
    except Exception:  # of a metaclass that is asked
        return False


def _may_be_network(kind: type) -> bool:
    """Return whether a class is one of a network, above one, or has one of a network below it."""
    keras = sys.modules.get("keras")
    networks = (torch.nn.Module, Network, *(() if keras is None else (keras.Model,)))
    if issubclass(kind, networks) or any(issubclass(network, kind) for network in networks):
        return True
    return any(map(_may_be_network, type.__subclasses__(kind)))


def _failed(spec: str, what: str, module_name: str, error: BaseException) -> InputError:
    """Return the error for the user's own code, with the last of its lines that was run."""
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(sys.modules.get(module_name), "__file__", None)
    frame = ([frame for frame in frames if frame.filename == own] or frames)[-1]
    place = f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
    return InputError(
        f"{spec}: {what} failed with {type(error).__name__}: {brief(error)}"
        f"{'' if isinstance(error, SyntaxError) else place}; mend that code, or its options"
    )
