"""Networks that are Keras models, on whichever backend Keras has, and those of ``keras.applications``."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from differentia.errors import InputError, in_one_line
from differentia.networks.arguments import FORWARD, advice, advice_of, arguments_of
from differentia.networks.base import Network, image_shape
from differentia.networks.bounds import Bound, keras_weights_counted
from differentia.networks.calls import Call, Observer
from differentia.networks.class_files import ClassIndex, read_class_index
from differentia.networks.devices import say_untried
from differentia.networks.keras_axes import KerasChannels, computing_class
from differentia.networks.keras_copies import cast_copy
from differentia.networks.keras_files import require_harmless_model
from differentia.networks.keras_weights import load_keras_weights
from differentia.networks.misfits import brief
from differentia.networks.preprocessing import describe_preprocessing, preprocessed, require_preprocessing
from differentia.networks.probes import memory_of
from differentia.networks.torch import inference
from differentia.system.files import user_path
from differentia.system.random import python_generator, python_numbers_kept


def import_keras() -> Any:
    """Return the module ``keras``, on PyTorch unless the user chose another backend."""
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", "torch")
        with python_numbers_kept():  # the import draws a seed
            import keras
    import keras

    return keras


def is_keras_model(candidate: object) -> bool:
    """Return whether an object is a Keras model, without importing Keras for the question."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(candidate, keras.Model)


class KerasNetwork(Network):
    """A Keras model with one image input, evaluated with ``training=False``.

    A model within it is a container; its layers go by ``inner_model/layer``. So is a layer of somebody's own
    that holds others, which go by where it holds them: ``block/mlp``, ``block/heads/0``.
    """

    #: By class name.
    inert = frozenset(
        (
            *("ActivityRegularization", "AlphaDropout", "Dropout", "Flatten", "GaussianDropout"),
            *("GaussianNoise", "Identity", "Permute", "RandomBrightness", "RandomContrast", "RandomFlip"),
            *("RandomRotation", "RandomTranslation", "RandomZoom", "Reshape", "SpatialDropout1D"),
            *("SpatialDropout2D", "SpatialDropout3D"),
        )
    )

    def __init__(
        self,
        model: Any,
        *,
        name: str,
        preprocess: str | Callable[[np.ndarray], Any] | None = None,
        input_shape: tuple[int, int, int] | None = None,
        class_names: tuple[str, ...] | None = None,
        class_ids: tuple[str, ...] | None = None,
        class_index: Callable[[], ClassIndex] = ClassIndex,
        device: str = "auto",
        dtype: str | None = None,
        forward: Callable[[Any], Any] | None = None,
    ) -> None:
        self._preprocess = require_preprocessing(name, preprocess)
        require_device(device)
        self._keras = import_keras()
        self.frameworks = ("keras", str(self._keras.backend.backend()))
        self.traceable = "torch" in self.frameworks
        self.name = name
        self._forward = forward
        self.forward = describe_preprocessing(forward) if forward else ""
        self.model = model
        self.input_shape, self.channels_first = self._known_input_shape(input_shape)
        self.preprocessing = describe_preprocessing(self._preprocess)
        given = ClassIndex(class_ids, class_names)
        self._class_index = cache(class_index if class_names is None else lambda: given)
        self._device = device
        say_untried(name, device)
        if dtype is not None:
            self.model = self._cast(dtype)

    def _cast(self, dtype: str) -> Any:
        """Return the model, or a copy that computes in a type of numbers."""
        if all(layer.compute_dtype == dtype for _, layer in _named_layers(self.model)):
            return self.model
        try:
            with self.placed(), python_numbers_kept():
                return cast_copy(self.model, dtype)
        except Exception as error:  # of subclassed models, and of layers' own code
            raise InputError(
                f"{self.name}: no copy of it can be made that computes in {dtype} ({in_one_line(error)}); "
                f"build it under keras.config.set_dtype_policy({dtype!r}), and leave dtype (--dtype) out"
            ) from error

    @property
    def dtype(self) -> str:  # type: ignore[override]
        layers = (layer for _, layer in _named_layers(self.model) if layer.weights)
        own = (layer for layer in layers if not isinstance(layer, _model_class()))  # whose layers compute
        return next((str(layer.compute_dtype) for layer in own), "float32")

    @property
    def rewritten(self) -> bool:
        """Whether Keras runs on PyTorch, between whose layouts it copies each layer's input, and is built."""
        return self.traceable and bool(self.model.built)

    def _known_input_shape(self, given: tuple[int, int, int] | None) -> tuple[tuple[int, int, int], bool]:
        """Return the images' shape (height, width, channels), and whether the model has channels first."""
        channels_first = self._keras.config.image_data_format() == "channels_first"
        if self._forward is not None and given is not None:  # which makes of images what the model takes
            return image_shape(self.name, given, channels_first=channels_first), channels_first
        shapes: Any = (None, None, None, None)
        with contextlib.suppress(AttributeError, ValueError):  # a subclassed model, or one that is not built
            shapes = self.model.input_shape
        if isinstance(shapes, dict):
            shapes = list(shapes.values())
        elif not isinstance(shapes, list):
            shapes = [shapes]
        if len(shapes) != 1:
            also = "" if self._forward is None else ", and input_shape=(height, width, channels) of an image"
            raise InputError(
                f"{self.name}: the model has {len(shapes)} inputs; expected one, the image: {FORWARD}{also}"
            )
        if len(shapes[0]) != 4:
            raise InputError(
                f"{self.name}: the model's input has the shape {tuple(shapes[0])}; "
                "expected images (batch, height, width, channels)"
            )
        fixed = tuple(shapes[0][1:])
        if (fixed[0] in (1, 3)) != (fixed[2] in (1, 3)):  # the model's own order, whatever is configured
            channels_first = fixed[0] in (1, 3)
        if channels_first:
            fixed = (fixed[1], fixed[2], fixed[0])
        if given is None and None in fixed:
            raise InputError(
                f"{self.name}: the model takes images of any size; give "
                "input_shape=(height, width, channels) (--input-size 224)"
            )
        wanted = image_shape(self.name, given or fixed, channels_first=channels_first and given is not None)
        if any(f not in (None, w) for f, w in zip(fixed, wanted, strict=True)):
            raise InputError(
                f"{self.name}: input_shape is {wanted}, but the model takes {fixed} "
                "(height, width, channels); leave it out"
            )
        return wanted, channels_first

    def placed(self) -> contextlib.AbstractContextManager[Any]:
        return on_device(self._device)

    def prepare(self, pixels: UInt8[np.ndarray, "b h w c"]) -> Any:
        """Return a batch as the model's input: a float tensor of the backend."""
        if isinstance(self._preprocess, str):
            values: Any = preprocessed(pixels, self._preprocess)
        else:
            values = self._preprocess(pixels.astype(np.float32))
        with self.placed():
            batch = self._keras.ops.convert_to_tensor(values)
            if len(batch.shape) != 4 or batch.shape[0] != len(pixels):
                raise InputError(
                    f"{self.name}: the function preprocess= returned an array of shape {tuple(batch.shape)} "
                    f"for images of shape {pixels.shape}; expected one image for each of them"
                )
            if self.channels_first:
                batch = self._keras.ops.transpose(batch, (0, 3, 1, 2))
            return batch

    def run(
        self,
        batch: Any,
        observe: Observer,
        *,
        following: Callable[[Call], None] | None = None,
        operations: bool = False,
    ) -> None:
        """Do one forward pass with ``training=False``, reporting each call of a layer, which are all."""
        with self.placed(), inference(self.name, batch.shape, self._on_error):
            given = batch
            if self._forward is not None:
                given = arguments_of(self._forward, batch, self.name, self.forward)
            arguments = given if isinstance(given, tuple) else (given,)
            if not self.model.built:  # its first pass goes through the layers twice, once to build
                self.model(*arguments, training=False)
            with self._observed(batch, observe, following):
                self.model(*arguments, training=False)

    def _on_error(self, error: Exception) -> str:
        return advice(self.model.call, error) if self._forward is None else advice_of(self.forward, error)

    @property
    def module_names(self) -> Iterator[str]:
        """The names of all layers, also of those that are not called."""
        return (name for name, _ in _named_layers(self.model))

    @property
    def weight_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The path and shape of each weight."""
        return ((weight.path, tuple(weight.shape)) for weight in self.model.weights)

    @property
    def device(self) -> str:
        """The device of the model's first weight, as its backend names it."""
        weights = self.model.weights
        return str(weights[0].value.device) if weights else self._device

    @cached_property
    def class_names(self) -> tuple[str, ...] | None:
        return self._class_index().names

    @cached_property
    def class_ids(self) -> tuple[str, ...] | None:
        return self._class_index().ids

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the layers and the weights."""
        return self._hash(map(_described_weight, self.model.weights))

    @contextmanager
    def _observed(
        self, batch: Any, observe: Observer, following: Callable[[Call], None] | None
    ) -> Iterator[None]:
        """Report every call of the layers, as each returns.

        Keras has no hooks that all its backends share, so each layer's ``call`` is wrapped on the instance
        for the time of the pass.
        """
        channels = KerasChannels()
        channels.note(batch, 1 if self.channels_first else len(batch.shape) - 1)
        within: list[list[Call]] = [[]]

        def wrapped(name: str, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            kind = type(layer).__name__
            report = partial(Call, name, kind, type(layer), kind in self.inert, channel_axis=channels.axis)

            def observed_call(*args: Any, **kwargs: Any) -> Any:
                within.append([])
                output = call(*args, **kwargs)
                children = tuple(within.pop())
                done = report(children=children)
                if following is not None:
                    channels.follow(layer, (args, kwargs), output)
                    within[-1].append(done)
                observe(done, output)
                if following is not None and len(within) == 1:
                    following(done)
                return output

            return observed_call

        with ExitStack() as undo:
            for name, layer in _named_layers(self.model):
                quantized = getattr(layer, "quantization_mode", None) is not None
                method = "quantized_call" if quantized else "call"
                # Past Keras's __setattr__, which would track the function as a part of the layer.
                layer.__dict__[method] = wrapped(name, layer, getattr(layer, method))
                undo.callback(layer.__dict__.pop, method)
            yield


def _described_weight(variable: Any) -> tuple[str, Any]:
    """Return the type and shape of a weight, and its bytes: those of a tensor, which Keras would copy."""
    if isinstance(variable.value, torch.Tensor):
        dtype, values = str(variable.value.dtype).removeprefix("torch."), memory_of(variable.value)
    else:
        array = np.ascontiguousarray(variable.numpy())
        dtype, values = str(array.dtype), array.reshape(-1).view(np.uint8).data
    return f"{dtype}\0{tuple(variable.shape)}", values


def require_device(device: str) -> None:
    """Raise an error, with the backend's reason, where Keras can't compute on a device."""
    try:
        with on_device(device):
            import_keras().ops.zeros((1,))
    except Exception as error:  # every backend has its own kinds
        raise InputError(f"device {device!r} can't be used here: {in_one_line(error)}") from error


def on_device(device: str) -> contextlib.AbstractContextManager[Any]:
    """Return the context in which Keras makes and runs networks on `device`; ``auto`` is its own choice."""
    if device == "auto":
        return contextlib.nullcontext()
    keras = import_keras()
    called = device if keras.backend.backend() == "torch" else device.replace("cuda", "gpu")
    return keras.device(called)


def _named_layers(
    holder: Any, prefix: str = "", seen: set[int] | None = None, *, own: bool = False
) -> Iterator[tuple[str, Any]]:
    """Yield every layer of a model, and those within, each once, under its qualified name.

    `own` says that a layer of somebody's own is around.
    """
    seen = set() if seen is None else seen
    found = []
    for name, layer in _held_layers(holder, own=own):
        if id(layer) not in seen:  # one that is shared goes by the name that is least deep
            seen.add(id(layer))
            found.append((prefix + name, layer))
    for name, layer in found:
        yield name, layer
        yield from _named_layers(layer, f"{name}/", seen, own=own or not isinstance(layer, _model_class()))


def _model_class() -> Any:
    return import_keras().Model


def _held_layers(holder: Any, *, own: bool) -> Iterator[tuple[str, Any]]:
    """Yield the layers that a model is made of, or that a layer of somebody's own holds, with their names.

    Keras numbers names that nobody gave on and on. Within such a layer the place is the name instead, which
    is the same in every process.
    """
    if isinstance(holder, _model_class()):
        for nth, layer in enumerate(holder.layers):
            if not isinstance(layer, import_keras().layers.InputLayer):
                yield str(nth) if own and _is_numbered(layer) else layer.name, layer
    elif not computing_class(holder).__module__.startswith("keras."):
        attributes = dict(vars(holder))
        attributes.pop("_layers", None)  # Keras's own list of all
        attributes |= attributes.pop("_modules", {})  # where PyTorch keeps them
        found = (pair for name, value in attributes.items() for pair in _layers_in(value, name))
        yield from sorted(found, key=lambda pair: pair[0].count("/"))  # one of several places is the shortest


def _layers_in(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the layers in an attribute: itself, or those of lists and dicts."""
    if isinstance(value, import_keras().layers.Layer):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _layers_in(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for nth, item in enumerate(value):
            yield from _layers_in(item, f"{path}/{nth}")


def _is_numbered(layer: Any) -> bool:
    """Return whether a layer has the name that Keras makes of its class."""
    of_class = re.sub("(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", type(layer).__name__).lower()
    return re.fullmatch(rf"{of_class}(_\d+)?", layer.name) is not None


def load_application(
    spec: str,
    name: str,
    options: dict[str, Any],
    *,
    preprocess: Any,
    input_shape: tuple[int, int, int] | None,
    device: str,
    seed: int = 0,
    **about: Any,
) -> KerasNetwork:
    """Return a network of ``keras.applications`` with its own preprocessing, input size and class names.

    Of the options, ``weights`` is "imagenet", None or a path, and ``classes`` the path of a class index, or
    the number of classes; the others go to the network's constructor. Random weights are drawn from a seed.
    """
    require_device(device)
    constructor = getattr(import_keras().applications, name)
    options = dict(options)
    weights = options.setdefault("weights", "imagenet")
    class_index = partial(_index_of_imagenet, spec) if weights == "imagenet" else ClassIndex
    if isinstance(options.get("classes"), str):
        index = read_class_index(user_path(options.pop("classes")), spec)
        class_index = partial(ClassIndex, *index)
    path = user_path(str(weights)) if weights not in (None, "imagenet") else None
    if path is not None:
        options["weights"] = None
    if input_shape is not None:
        height, width, channels = image_shape(spec, input_shape, channels_first=False)
        first = import_keras().config.image_data_format() == "channels_first"
        options["input_shape"] = (channels, height, width) if first else (height, width, channels)
    bound = Bound(spec)
    try:
        with python_numbers_kept(seed), _seeds_of_layers(seed):
            model = _construct_afresh(constructor, options, device, bound)
    except Exception as error:  # Keras reports a failed download as a bare Exception
        problem = InputError(_construction_problem(spec, name, weights, error))
        raise bound.error or problem from error
    if path is not None:
        load_keras_weights(model, path, spec)
    own = partial(sys.modules[constructor.__module__].preprocess_input, data_format="channels_last")
    return KerasNetwork(
        model, name=spec, preprocess=preprocess or own, class_index=class_index, device=device, **about
    )


@contextmanager
def _seeds_of_layers(seed: int) -> Iterator[None]:
    """Have Keras draw the seeds of layers where no other thread draws meanwhile, as a worker of Dask does.

    It draws them from Python's random numbers, which all threads share.
    """
    import_keras()
    from keras.src.random import seed_generator  # no public name leads there

    shared = seed_generator.python_random
    seed_generator.python_random = python_generator(seed)
    try:
        yield
    finally:
        seed_generator.python_random = shared


def load_keras_file(path: str, *, device: str, **about: Any) -> KerasNetwork:
    """Return a model of a ``.keras`` file, in which there is no code."""
    file = user_path(path)
    require_device(device)
    load_model = import_keras().saving.load_model
    bound = Bound(path, require_harmless_model(file))
    try:
        with on_device(device), python_numbers_kept(), keras_weights_counted(bound):
            model = load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds on broken or unsafe files
        problem = InputError(f"{path}: can't be read as a Keras model: {brief(error)}")
        raise bound.error or problem from error
    return KerasNetwork(model, name=path, device=device, **about)


def _construct_afresh(
    constructor: Callable[..., Any], options: dict[str, Any], device: str, bound: Bound
) -> Any:
    """Return a new model whose unnamed layers are named as in a fresh process.

    Keras numbers them on and on, and which units are drawn from a layer depends on its name, so that a
    network would give other numbers after another one was made. The counters live in the thread.
    """
    policy = import_keras().config.dtype_policy()  # lives in the thread too

    def construct() -> Any:
        import_keras().config.set_dtype_policy(policy)
        with on_device(device), keras_weights_counted(bound):
            return constructor(**options)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(construct).result()


def _construction_problem(spec: str, name: str, weights: Any, error: Exception) -> str:
    reason = brief(error)
    if weights == "imagenet" and "URL fetch failure" in reason:
        return (
            f"{spec}: its ImageNet weights are not on this machine (Keras keeps them in "
            f"{_kept_by_keras()}) and can't be downloaded: {reason}. Connect to the internet "
            f"once, or name a file: keras:{name}?weights=PATH (weights=none for random weights)"
        )
    return f"{spec}: the network can't be built: {reason}"


def _kept_by_keras() -> Path:
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"


def _index_of_imagenet(spec: str) -> ClassIndex:
    """Return the classes of ImageNet, of which Keras keeps an index beside the weights."""
    path = _kept_by_keras() / "imagenet_class_index.json"
    with contextlib.suppress(Exception):  # no network: the classes go by their numbers
        if not path.is_file():
            import_keras().applications.imagenet_utils.decode_predictions(np.zeros((1, 1000)))
    return read_class_index(path, spec) if path.is_file() else ClassIndex()
