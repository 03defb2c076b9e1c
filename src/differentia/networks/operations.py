"""Operations that are no modules: PyTorch's functions, as a module's own code calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function

#: Functions that compute something. In place they have the same names, with a "_".
ACTIVATIONS = (
    *("celu", "elu", "gelu", "glu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax"),
    *("logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus"),
    *("softsign", "tanh"),
)
POOLS = (
    *(f"{kind}_pool{ndim}d" for kind in ("avg", "lp", "max") for ndim in (1, 2, 3)),
    *(f"adaptive_{kind}_pool{ndim}d" for kind in ("avg", "max") for ndim in (1, 2, 3)),
    *("amax", "mean"),
)
WEIGHTED = (
    *("batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"),
    *(f"{kind}{ndim}d" for kind in ("conv", "conv_transpose") for ndim in (1, 2, 3)),
    *("bilinear", "linear"),
)
JOINING = ("bmm", "cat", "einsum", "matmul", "scaled_dot_product_attention", "stack")
OTHERS = ("interpolate", "normalize")

#: Arithmetic, where both terms are tensors: what is scaled or shifted by a number is the same but for that.
ARITHMETIC = frozenset(("add", "div", "mul", "sub"))

#: What functions are called by, of which some have several names.
NAMES = {
    **{name: name for name in (*ACTIVATIONS, *POOLS, *WEIGHTED, *JOINING, *OTHERS, *ARITHMETIC)},
    **dict.fromkeys(("concat", "concatenate"), "cat"),
    **dict.fromkeys(("divide", "true_divide"), "div"),
    "multiply": "mul",
    "subtract": "sub",
    "log_sigmoid": "logsigmoid",  # what F.logsigmoid is
    "special_expit": "sigmoid",
    "special_log_softmax": "log_softmax",
    "special_softmax": "softmax",
}


class Operations(TorchFunctionMode):
    """Reports each array of floats that an operation gives, as soon as it is done, as long as it is entered.

    What an operation calls in turn is a part of it, and is not seen. Whole numbers are places or sizes, which
    many networks compute in their first pass only.
    """

    def __init__(self, report: Callable[[str, Any], None]) -> None:
        super().__init__()
        self._report = report

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        called = getattr(func, "__name__", "").partition(".")[0]  # of one form: "add.Tensor"
        name = NAMES.get(called.rstrip("_"))
        if name is not None and _counts(name, (*args, *(kwargs or {}).values()), output):
            self._report(name, output)
        return output


def unseen(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function whose operations are none of the network's: none is reported."""
    if has_torch_function((function,)):  # a mode is entered, which is left while it handles this call
        return handle_torch_function(unseen, (), function, *args)
    return function(*args)


def _counts(name: str, given: tuple[Any, ...], output: Any) -> bool:
    """Return whether an operation gives floats, and is no arithmetic with a number."""
    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        return False
    return name not in ARITHMETIC or sum(isinstance(term, torch.Tensor) for term in given) > 1
