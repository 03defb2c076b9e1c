"""What a network is called with: a batch of images, or what a function of the user's makes of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch

from differentia.errors import InputError

#: What to do where a network takes something else than images.
FORWARD = "give load_network(..., forward=function), which makes of a batch of images what it is called with"

#: How an argument may be given by its place; and how any number of them may.
BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
ANY_NUMBER = inspect.Parameter.VAR_POSITIONAL


def call(module: torch.nn.Module, given: Any) -> None:
    """Call a module with a tuple of arguments, a mapping of keyword arguments, or one argument."""
    if isinstance(given, tuple):
        module(*given)
    elif isinstance(given, Mapping):
        module(**given)
    else:
        module(given)


def require_images_alone(module: torch.nn.Module, name: str) -> None:
    """Raise an error where a module can't be called with a batch of images and nothing else."""
    parameters = _parameters_of(module.forward)
    needed = [one for one, about in parameters.items() if about.default is about.empty]
    by_place = [one for one in needed if parameters[one].kind in BY_PLACE]
    by_name = [one for one in needed if parameters[one].kind is inspect.Parameter.KEYWORD_ONLY]
    takes_one = any(about.kind in (*BY_PLACE, ANY_NUMBER) for about in parameters.values())
    if len(by_place) > 1 or by_name or (parameters and not takes_one):
        takes = ", ".join([*by_place, *by_name] or parameters)
        raise InputError(f"{name}: its forward takes {takes}; expected one batch of images: {FORWARD}")


def advice(function: Callable[..., Any], error: Exception) -> str:
    """Return what to do about an error of a function that got images alone, where that was too little."""
    names = list(_parameters_of(function))
    takes_text = "pixel_values" in names[1:]  # as a whole CLIP, whose images come second
    missing = isinstance(error, TypeError) and "argument" in str(error)
    return f"; {FORWARD}" if takes_text or missing or _of_dictionary(error) else ""


def _of_dictionary(error: Exception) -> bool:
    """Return whether a tensor was taken for a dictionary, or for an object with attributes."""
    by_key = any(words in str(error) for words in ("too many indices for tensor", "invalid data type 'str'"))
    by_attribute = isinstance(error, AttributeError) and isinstance(error.obj, torch.Tensor)
    return by_attribute or (by_key and isinstance(error, IndexError | TypeError))


def _parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return what a function is called with; nothing where that can't be known."""
    with suppress(TypeError, ValueError):
        return inspect.signature(function).parameters
    return {}
