"""Networks that are PyTorch modules."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from differentia.errors import InputError, RecordingError, in_one_line
from differentia.networks.arguments import advice, advice_of, arguments_of, call, require_images_alone
from differentia.networks.axes import axis_of_function, axis_of_module
from differentia.networks.base import Network, graphs_are_on, image_shape, require_room
from differentia.networks.calls import Call, Manner, Observer, parts_of
from differentia.networks.devices import WITHOUT_FLOAT64, say_untried
from differentia.networks.misfits import lack_of_memory
from differentia.networks.operations import Operations
from differentia.networks.preprocessing import describe_preprocessing, preprocessed, require_preprocessing
from differentia.networks.probes import memory_of
from differentia.networks.rounding import DTYPES
from differentia.networks.transforms import Transform

if TYPE_CHECKING:
    from differentia.networks.flow import ChannelFlow

#: Modules whose code asks whether there are hooks on it or its parts, and computes in another way then.
ASKING = (torch.nn.TransformerEncoderLayer,)

#: Modules that compute another, which goes by their name; and where a compiled module keeps its own.
WRAPPERS = (
    torch.nn.DataParallel,
    torch.nn.parallel.DistributedDataParallel,
    torch.optim.swa_utils.AveragedModel,
)
COMPILED = "_orig_mod"


class TorchNetwork(Network):
    """A PyTorch module that takes a batch of images; evaluated in eval mode, then put back as it was."""

    channels_first = True
    frameworks = ("torch",)
    traceable = True
    manners = (Manner.FASTEST, Manner.IN_PARTS, Manner.OWN)
    manner = Manner.FASTEST
    class_names = None
    class_ids = None
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
        class_ids: tuple[str, ...] | None = None,
        transform: Transform | None = None,
        device: str = "auto",
        dtype: str | None = None,
        forward: Callable[[torch.Tensor], Any] | None = None,
        classifies: bool = True,
    ) -> None:
        self._preprocess = require_preprocessing(name, preprocess or transform)
        if input_shape is None and transform is not None:
            input_shape = transform.shape
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
        self.transform = transform and transform.of_size(self.input_shape)
        if self.transform is not None:
            self._require_room_to_resize(self.transform)
        self._require_channels_of_transform()
        self.preprocessing = describe_preprocessing(self._preprocess)
        self.class_names, self.class_ids = class_names, class_ids
        self.classifies = classifies
        self._asked_dtype = DTYPES[dtype] if dtype else None
        self._forward = forward
        self.forward = describe_preprocessing(forward) if forward else ""
        self.module = _cast(unwrapped(module), self._asked_dtype, name)
        if forward is None:
            require_images_alone(self.module, name)
        if device != "auto":
            try:
                self.module = self.module.to(device)
            except (RuntimeError, AssertionError, TypeError) as error:  # such as for weights in float64
                reason = str(error).splitlines()[0]
                raise InputError(f"device {device!r} can't be used here: {reason}") from error
        say_untried(name, self.device)

    def _require_room_to_resize(self, transform: Transform) -> None:
        """Raise an error where no image fits into memory as large as it is before its middle is cut out."""
        resized = transform.resize_to
        if resized is not None:
            height, width = (resized, resized) if isinstance(resized, int) else resized
            require_room(self.name, (height, width, transform.shape[2]))

    def _require_channels_of_transform(self) -> None:
        """Raise an error for images without the channels that are normalised; PyTorch would repeat them."""
        own = self._preprocess
        if isinstance(own, Transform) and own.shape[2] != self.input_shape[2]:
            raise InputError(
                f"{self.name}: its transform is for {own.shape[2]} channels, but input_shape (--input-size) "
                f"says {self.input_shape[2]}; give as many, or preprocess= (--preprocess) too"
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
                got = f"{batch.dtype} of shape {tuple(batch.shape)}" if tensor else type(batch).__name__
                raise InputError(
                    f"{self.name}: the function preprocess= returned {got} for a uint8 tensor of shape "
                    f"{tuple(given.shape)}; expected a floating-point tensor, with one entry for each image"
                )
        if batch.ndim == 4:  # channels last is the order in which convolutions are fastest
            fastest = self.manner == Manner.FASTEST
            batch = batch.contiguous(
                memory_format=torch.channels_last if fastest else torch.contiguous_format
            )
        parameter = next(self.module.parameters(), None)
        if parameter is None:
            return batch
        if batch.dtype == torch.float64 and parameter.device.type in WITHOUT_FLOAT64:
            batch = batch.float()
        return batch.to(parameter.device)

    def run(
        self,
        batch: torch.Tensor,
        observe: Observer,
        *,
        following: Callable[[Call], None] | None = None,
        operations: bool = False,
    ) -> None:
        """Do one forward pass in eval mode, reporting each call of a module."""
        batch = batch if self._dtype is None else batch.to(self._dtype)
        with (
            _eval_mode(self.module),
            self._undivided(),
            inference(self.name, batch.shape, self._on_error),
            _channel_flow(batch) if following else nullcontext() as flow,
            self._observed(observe, following, flow, operations=operations),
        ):
            given = batch
            if self._forward is not None:
                given = arguments_of(self._forward, batch, self.name, self.forward)
            call(self.module, given)

    def _on_error(self, error: Exception) -> str:
        """Return what to do about an error of a pass: of numbers that the user has cast, or of the input."""
        if self._asked_dtype is torch.bfloat16 and re.search("dtype|bfloat16", str(error), re.IGNORECASE):
            return "; its code also computes in other numbers: leave dtype (--dtype) out"
        if self._forward is not None:
            return advice_of(self.forward, error)
        return advice(self.module.forward, error)

    @contextmanager
    def _undivided(self) -> Iterator[None]:
        """Compute without what passes by the modules: compiled code, PyTorch's transformers as a whole."""
        before = torch.backends.mha.get_fastpath_enabled()
        compiling = "torch._dynamo" in sys.modules  # else nothing is compiled, and the import takes a second
        with torch.compiler.set_stance("force_eager") if compiling else nullcontext():
            torch.backends.mha.set_fastpath_enabled(before and self.manner == Manner.OWN)
            try:
                yield
            finally:
                torch.backends.mha.set_fastpath_enabled(before)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Put back what the module's code keeps of a pass, as counters and caches."""
        states = [
            (vars(part), dict(vars(part)), part._buffers, dict(part._buffers))
            for part in self.module.modules()
        ]
        try:
            yield
        finally:
            for state, before, buffers, buffers_before in states:
                state.update(before)
                for name in state.keys() - before.keys():
                    del state[name]
                buffers.update(buffers_before)

    @property
    def module_names(self) -> Iterator[str]:
        """The names of all modules, also of those that are not called."""
        return (name for name, _ in _named_modules(self.module))

    @property
    def weight_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The name and shape of each parameter and buffer."""
        return ((name, tuple(value.shape)) for name, value in self._state())

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The modules whose own code asks whether they are looked into, where they are left alone."""
        left_alone = self._left_alone()
        return [(name, _kind(part)) for name, part in left_alone if isinstance(part, ASKING)]

    def _left_alone(self) -> list[tuple[str, torch.nn.Module]]:
        if self.manner != Manner.OWN:
            return []
        asking = (module for module in self.module.modules() if isinstance(module, ASKING))
        parts = {part for module in asking for part in module.modules()}
        return [(name, module) for name, module in _named_modules(self.module) if module in parts]

    @property
    def _dtype(self) -> torch.dtype | None:
        """The type of the first of its weights; what was asked for, where it has none."""
        weights = (weight.dtype for weight in self.module.parameters() if weight.is_floating_point())
        return next(weights, self._asked_dtype)

    @property
    def dtype(self) -> str:  # type: ignore[override]
        return str(self._dtype or torch.float32).removeprefix("torch.")

    @property
    def device(self) -> str:
        parameter = next(self.module.parameters(), None)
        return "cpu" if parameter is None else str(parameter.device)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the layers and the state dict."""
        return self._hash(
            (f"{key}\0{value.dtype}\0{tuple(value.shape)}", memory_of(value)) for key, value in self._state()
        )

    def _state(self) -> Iterator[tuple[str, torch.Tensor]]:
        state = self.module.state_dict().items()
        return ((name, value) for name, value in state if isinstance(value, torch.Tensor))

    @contextmanager
    def _observed(
        self,
        observe: Observer,
        following: Callable[[Call], None] | None,
        flow: ChannelFlow | None,
        *,
        operations: bool,
    ) -> Iterator[None]:
        """Report every call of the modules, as each returns, and of the operations that they call."""
        open_calls: list[_OpenCall] = []
        left_alone = {module for _, module in self._left_alone()}
        observed = {module: name for name, module in _named_modules(self.module) if module not in left_alone}
        operations = operations and not left_alone  # which would ask whether operations are seen, too
        nested = operations or following is not None
        names = self._names

        def report_operation(name: str, output: Any) -> None:
            if not open_calls or _is_one_function(open_calls[-1].module):
                return
            within = open_calls[-1]  # the innermost module that has not returned
            named = names.operation(within.name, name)
            if following is None:
                observe(_plain_call(named, name, operation=True), output)
                return
            axis = partial(_channel_axis, flow, lambda output: axis_of_function(name, output.ndim))
            call = Call(named, name, operation=True, channel_axis=axis)
            observe(call, output)
            within.operation, within.operation_gave = call, _given(output)

        def before(module: torch.nn.Module, args: Any) -> None:
            open_calls.append(_OpenCall(observed[module], module))

        def after(module: torch.nn.Module, args: Any, output: Any) -> None:
            name = observed[module]
            kind = _kind(module)
            does_nothing = kind in self.inert
            if nested:
                within = open_calls.pop()
                while within.module is not module:  # it failed, and the network went on without it
                    failed, within = within, open_calls.pop()
                    within.calls += failed.calls
                    within.gave = failed.gave or within.gave
            if following is None:
                observe(_plain_call(name, kind, does_nothing=does_nothing), output)
                return
            by_operation = _is_given_on(within.operation_gave, output)
            call = Call(
                name,
                kind,
                type=type(module),
                does_nothing=does_nothing,
                generic=type(module) is torch.nn.Sequential,
                children=tuple(within.calls),
                passes_on=_is_given_on(within.gave, output),
                by_operation=within.operation if by_operation else None,
                channel_axis=partial(
                    _channel_axis, flow, lambda output: axis_of_module(module, output.shape)
                ),
            )
            observe(call, output)
            if open_calls:
                open_calls[-1].calls.append(call)
                open_calls[-1].gave = _given(output)
            else:
                following(call)

        scripted = {module for module in observed if isinstance(module, torch.jit.ScriptModule)}

        def before_scripted(module: torch.nn.Module, args: Any) -> None:
            if module in scripted:
                before(module, args)

        def after_scripted(module: torch.nn.Module, args: Any, output: Any) -> None:
            if module in scripted:
                after(module, args, output)

        with ExitStack() as hooks:
            for module in observed.keys() - scripted:
                if nested:
                    hooks.callback(module.register_forward_pre_hook(before).remove)
                hooks.callback(module.register_forward_hook(after).remove)
            if scripted:  # which take no hooks of their own
                if nested:
                    hooks.callback(register_module_forward_pre_hook(before_scripted).remove)
                hooks.callback(register_module_forward_hook(after_scripted).remove)
            with Operations(report_operation) if operations else nullcontext():
                yield


@dataclass
class _OpenCall:
    """A call that has not returned: those within it that have, and what the last of them gave."""

    name: str
    module: torch.nn.Module
    calls: list[Call] = field(default_factory=list)
    gave: tuple[Any, int] | None = None
    #: The last operation in its own code, and what that gave.
    operation: Call | None = None
    operation_gave: tuple[Any, int] | None = None


@lru_cache(maxsize=2**14)
def _plain_call(name: str, kind: str, *, does_nothing: bool = False, operation: bool = False) -> Call:
    """Return a call in a pass that is not followed; the same for each batch, which saves time."""
    return Call(name, kind, does_nothing=does_nothing, operation=operation)


def _is_one_function(module: torch.nn.Module) -> bool:
    """Return whether a module is PyTorch's own and has no parts: what it calls is what it gives."""
    own = type(module).__module__.startswith("torch.nn.modules.")
    return own and next(module.children(), None) is None


def _kind(module: torch.nn.Module) -> str:
    scripted = isinstance(module, torch.jit.ScriptModule)
    return str(module.original_name) if scripted else type(module).__name__


def _given(output: Any) -> tuple[Any, int]:
    """Return the first of what a module gives, and how often that was changed in place."""
    first = next((part for _, part in parts_of(output)), None)
    if not isinstance(first, torch.Tensor) or first.is_inference():
        return first, 0
    return first, first._version


def _is_given_on(last: tuple[Any, int] | None, output: Any) -> bool:
    """Return whether a module gives just what the last within it gave, which no residual was added to."""
    first, version = _given(output)
    return last is not None and first is not None and first is last[0] and version == last[1]


def _channel_axis(
    flow: ChannelFlow | None, by_kind: Callable[[torch.Tensor], int | None], output: torch.Tensor
) -> int | None:
    """Return the axis of an output that holds the channels, as it was followed, or else by what gave it."""
    axes = flow.axes(output) if flow is not None else None
    if axes is not None:
        return next(iter(axes)) if len(axes) == 1 else None
    axis = by_kind(output)
    if axis is not None and flow is not None:
        flow.note(output, frozenset({axis}))
    return axis


@contextmanager
def _channel_flow(batch: torch.Tensor) -> Iterator[ChannelFlow | None]:
    """Follow the channels from the input on, where this version of PyTorch lets us."""
    followed = None
    if graphs_are_on():
        with suppress(ImportError):  # of a private API, which may have changed
            from differentia.networks.flow import ChannelFlow

            followed = ChannelFlow()
    if followed is None:
        yield None
        return
    with followed as flow:
        flow.note(batch, frozenset({1}) if batch.ndim == 4 else None)
        yield flow


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module that a wrapper (of several GPUs, or compiled) computes."""
    while isinstance(module, WRAPPERS) or hasattr(module, COMPILED):
        inner: Any = getattr(module, COMPILED, None) or module.module
        module = inner
    return module


def _named_modules(
    root: torch.nn.Module, prefix: str = "", seen: set[torch.nn.Module] | None = None
) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield the modules that compute, each once, without wrappers and parametrisations of weights."""
    seen = set() if seen is None else seen
    root = unwrapped(root)
    if root in seen:
        return
    seen.add(root)
    yield prefix or _root_name(root), root
    if isinstance(root, torch.jit.ScriptModule):  # what it is made of is not called from Python
        return
    for name, child in root.named_children():
        if name != "parametrizations":
            yield from _named_modules(child, f"{prefix}.{name}" if prefix else name, seen)


def _root_name(root: torch.nn.Module) -> str:
    name = type(root).__name__
    while name in dict(root.named_children()):
        name += "()"
    return name


def _cast(module: torch.nn.Module, dtype: torch.dtype | None, name: str) -> torch.nn.Module:
    """Return a module that computes in a type of numbers: itself where it does, or a copy."""
    tensors = (*module.parameters(), *module.buffers())
    if dtype is None or {tensor.dtype for tensor in tensors if tensor.is_floating_point()} <= {dtype}:
        return module
    try:
        return deepcopy(module).to(dtype)
    except Exception as error:  # a module's own code may do anything
        raise InputError(
            f"{name}: no copy of it can be cast to {dtype} ({in_one_line(error)}); cast it with your own "
            "code, module.to(...), and leave dtype (--dtype) out"
        ) from error


@contextmanager
def inference(
    name: str, shape: Sequence[int], on_error: Callable[[Exception], str] = lambda error: ""
) -> Iterator[None]:
    """Compute without gradients and in full float32; the error says which pass failed, and what to do."""
    # A GPU's convolutions round float32 to TF32's ten bits by cuDNN's default.
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.no_grad():
            yield
    except RecordingError:
        raise
    except (
        Exception
    ) as error:  # a network's own code, and each of Keras's backends, has errors of its own kinds
        small = "; use a smaller batch_size (--batch-size)"
        lacking = lack_of_memory(error)
        if lacking:
            small += " or input_shape (--input-size)"
        hint = small if lacking or isinstance(error, torch.OutOfMemoryError) else on_error(error)
        kind = "" if isinstance(error, RuntimeError | MemoryError) else f"{type(error).__name__}: "
        # A context manager that is left by an error from StopIteration lets that one through.
        cause = None if isinstance(error, StopIteration) else error
        raise RecordingError(
            f"{name}: the forward pass of {tuple(shape)} failed: {kind}{lacking or in_one_line(error)}{hint}"
        ) from cause
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def _eval_mode(root: torch.nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in root.modules()]
    with suppress(NotImplementedError):  # of an exported module, which computes as it was exported
        root.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
