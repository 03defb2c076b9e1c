"""Networks that are PyTorch modules."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from differentia.errors import DifferentiaWarning, InputError, RecordingError, in_one_line
from differentia.networks.base import Call, Network, Observer, Trace, image_shape
from differentia.networks.preprocessing import describe_preprocessing, preprocessed, require_preprocessing
from differentia.networks.probes import memory_of

#: What normalises by the batch at hand where it keeps no statistics.
BATCH_NORMS = tuple(getattr(torch.nn, name) for name in dir(torch.nn) if "BatchNorm" in name)


class TorchNetwork(Network):
    """A PyTorch module that takes a batch of images; evaluated in eval mode, then put back as it was."""

    channels_first = True
    frameworks = ("torch",)
    traceable = True
    class_names = None
    #: By class name; some are not PyTorch's own.
    inert = frozenset(
        (
            *("AlphaDropout", "DropPath", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"),
            *("FeatureAlphaDropout", "Flatten", "Identity", "Permute", "StochasticDepth", "Unflatten"),
        )
    )

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        name: str,
        preprocess: str | Callable[[torch.Tensor], torch.Tensor] | None = None,
        input_shape: tuple[int, int, int] | None = None,
        class_names: tuple[str, ...] | None = None,
        device: str = "auto",
    ) -> None:
        self._preprocess = require_preprocessing(name, preprocess)
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f"{name}: this is a compiled TorchScript module, whose layers can't be looked into; "
                "give the module that it was made from"
            )
        if input_shape is None:
            raise InputError(
                f"{name}: its input size can't be known from the network; give "
                "load_network(..., input_shape=(channels, height, width)) or --input-size 224"
            )
        self.name = name
        self.input_shape = image_shape(name, input_shape, channels_first=True)
        self.preprocessing = describe_preprocessing(self._preprocess)
        self.class_names = class_names
        self.module = module
        self._layout = torch.channels_last  # in which convolutions are fastest, and their filters adjacent
        self._warn_of_batch_statistics()
        if device != "auto":
            try:
                self.module = module.to(device)
            except (RuntimeError, AssertionError) as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"device {device!r} can't be used here: {reason}") from error

    def _warn_of_batch_statistics(self) -> None:
        norms = [
            name
            for name, module in _named_modules(self.module)
            if isinstance(module, BATCH_NORMS) and module.running_mean is None
        ]
        if norms:
            warnings.warn(
                f"{self.name}: {', '.join(norms)} normalise by each batch even at inference "
                "(track_running_stats=False): an image's responses depend on the others in its batch",
                DifferentiaWarning,
                stacklevel=4,
            )

    def prepare(self, pixels: UInt8[np.ndarray, "b h w c"]) -> torch.Tensor:
        """Return a batch as the module's input, of shape (batch, channels, height, width)."""
        if isinstance(self._preprocess, str):
            values = preprocessed(pixels, self._preprocess)
            batch = torch.from_numpy(np.ascontiguousarray(values)).permute(0, 3, 1, 2)
        else:
            given = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
            batch = self._preprocess(given)
            floats = isinstance(batch, torch.Tensor) and batch.is_floating_point()
            if not floats or len(batch) != len(pixels):
                tensor = isinstance(batch, torch.Tensor)
                got = f"{len(batch)} images of {batch.dtype}" if tensor else f"a {type(batch).__name__}"
                raise InputError(
                    f"{self.name}: the function preprocess= returned {got}; expected a floating-point "
                    f"tensor of {len(pixels)} images for a uint8 tensor of shape {tuple(given.shape)}"
                )
        batch = batch.contiguous(memory_format=self._layout) if batch.ndim == 4 else batch
        parameter = next(self.module.parameters(), None)
        return batch if parameter is None else batch.to(parameter.device)

    def run(self, batch: torch.Tensor, observe: Observer, modules: frozenset[str] | None = None) -> None:
        """Do one forward pass in eval mode, reporting each call of a module."""
        parameter = next((p for p in self.module.parameters() if p.is_floating_point()), None)
        if parameter is not None:
            batch = batch.to(parameter.dtype)
        with _eval_mode(self.module), inference(self.name, batch.shape), self._observed(observe, modules):
            self.module(batch)

    def _traced(self, batch: int, *, computing: bool = True) -> Trace:
        """Return what a pass shows; code that takes for granted how its tensors lie in memory is obeyed."""
        try:
            return super()._traced(batch)
        except RecordingError as error:
            if "view size is not compatible" not in str(error) or self._layout == torch.contiguous_format:
                raise
            self._layout = torch.contiguous_format
            return super()._traced(batch)

    @property
    def device(self) -> str:
        parameter = next(self.module.parameters(), None)
        return "cpu" if parameter is None else str(parameter.device)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the layers and the state dict."""
        return self._hash(
            (f"{key}\0{value.dtype}\0{tuple(value.shape)}", memory_of(value))
            for key, value in self.module.state_dict().items()
            if isinstance(value, torch.Tensor)
        )

    @contextmanager
    def _observed(self, observe: Observer, modules: frozenset[str] | None) -> Iterator[None]:
        """Report every call of the modules, as each returns; one within which another came is a container."""
        open_calls: list[bool] = []

        def before(module: torch.nn.Module, args: Any) -> None:
            if open_calls:
                open_calls[-1] = True
            open_calls.append(False)

        def after(name: str, module: torch.nn.Module, args: Any, output: Any) -> None:
            container = open_calls.pop() if modules is None else False
            kind = type(module).__name__
            observe(Call(name, kind, container, kind in self.inert, channels_first=True), output)

        with ExitStack() as hooks:
            for name, module in _named_modules(self.module):
                if modules is None:
                    hooks.callback(module.register_forward_pre_hook(before).remove)
                if modules is None or name in modules:
                    hooks.callback(module.register_forward_hook(partial(after, name)).remove)
            yield


def _named_modules(root: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield the modules that compute, each once; the parametrisations of weights are not layers."""
    for name, module in root.named_modules():
        if "parametrizations" not in name.split("."):
            yield name or type(root).__name__, module


@contextmanager
def inference(name: str, shape: Sequence[int], failures: type[Exception] = RuntimeError) -> Iterator[None]:
    """Compute without gradients and in full float32; the error says which pass failed."""
    # A GPU's convolutions round float32 to TF32's ten bits by cuDNN's default.
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.no_grad():
            yield
    except RecordingError:
        raise
    except failures as error:
        small = "; use a smaller batch_size (--batch-size)"
        hint = small if isinstance(error, torch.OutOfMemoryError) else ""
        raise RecordingError(
            f"{name}: the forward pass of {tuple(shape)} failed: {in_one_line(error)}{hint}"
        ) from error
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def _eval_mode(root: torch.nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in root.modules()]
    root.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
