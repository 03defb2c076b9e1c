"""A network's pass as a graph of tensor operations, rewritten to what costs least, with the probes in it.

Keras on PyTorch copies each layer's input from one memory layout to another and back, and adds each bias in a
pass of its own. As a graph of operations without side effects such a pass can be taken apart and put together
again; it can also be compiled together with what the probes read.

All that this package uses of PyTorch's private API is here. ``DIFFERENTIA_GRAPHS=0`` turns it off, where a
version of PyTorch has changed it: then this module is not imported, and each network's own pass is done.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.fx
from torch import library
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import Graph, GraphModule

from differentia.errors import in_one_line
from differentia.networks.probes import Probe

aten = torch.ops.aten

#: `torch.fx.Node`, whose arguments may be almost anything.
Node = Any

#: Reports the outputs of a pass over a batch: (batch, report), report(name, output).
ReportingPass = Callable[[torch.Tensor, Callable[[str, torch.Tensor], None]], None]

#: Operations entry by entry, with what does the same in the memory of their first argument.
IN_PLACE = {
    getattr(getattr(aten, name), overload): getattr(getattr(aten, f"{name}_"), overload)
    for overload, names in {
        "Tensor": "add div mul sub",
        "default": "clamp elu hardsigmoid hardswish hardtanh leaky_relu relu sigmoid silu tanh",
    }.items()
    for name in names.split()
}

#: Operations that depend on how their input lies in memory, or whose results are parts of it unsaid.
LAYOUT_DEPENDENT = frozenset({aten.as_strided.default, aten.unsafe_chunk.default, aten.unsafe_split.Tensor})

#: Numbers of images with which a pass is followed, two at a time: a multiple of the first in one graph, where
#: the other has as many times the second, stands for as many times the images of any batch. Where a number
#: that stays the same is a multiple of the first, the next two are taken; none divides 2**63 - 1, the end of
#: a slice that has none.
FOLLOWED = (131, 137, 139, 149)

#: How what is computed of parameters alone is called.
CONSTANT = "constant_"

#: What compiled passes call on the outputs of layers, by number.
_LOOKS: dict[int, Callable[[torch.Tensor], None]] = {}
_NUMBERS = itertools.count()


@library.custom_op("differentia::look", mutates_args=(), schema="(Tensor output, int number) -> Tensor")
def _call_look(output: torch.Tensor, number: int) -> torch.Tensor:
    """Show an output to Python code: for the compiler an operation of which it knows the shape alone."""
    _LOOKS[number](output)
    return output.new_empty(0)


@_call_look.register_fake
def _(output: torch.Tensor, number: int) -> torch.Tensor:
    return output.new_empty(0)


def _look(name: str, probe: Probe, kept: dict[str, Any]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return an operation that puts what a probe keeps of an output into a dictionary."""
    number = next(_NUMBERS)

    def look(output: torch.Tensor) -> None:
        kept[name] = probe(output)

    _LOOKS[number] = look
    weakref.finalize(look_at := partial(_call_look, number=number), _LOOKS.pop, number)
    return look_at


class UntraceableError(Exception):
    """A pass can't be written as a graph; says why."""


class PassGraph:
    """A pass over batches of any number of images; it is followed without computing anything."""

    def __init__(self, run: ReportingPass, batch: torch.Tensor) -> None:
        for followed, other in pairwise(FOLLOWED):
            self._module, self._outputs = _traced(run, _fake_batch(batch, followed))
            self._followed = followed
            fixed = _fixed_numbers(self._module, followed, _traced(run, _fake_batch(batch, other))[0], other)
            if not any(_is_multiple(number, followed) for number in fixed):
                break
        else:
            raise UntraceableError(f"it has numbers that are multiples of {', '.join(map(str, FOLLOWED))}")
        marks = set(self._outputs.values())
        _drop_copies_of_layout(self._module.graph, marks)
        _compute_constants(self._module, marks, self._followed)
        _give_bias_to_convolutions(self._module)

    def reading(self, probes: Mapping[str, Probe], images: int) -> Callable[[torch.Tensor], dict[str, Any]]:
        """Return a function from a batch to what the probes keep; what none needs is not computed."""
        module = self._with(probes, images)
        _reuse_memory(module.graph)
        module.recompile()
        return module

    def compiled(self, probes: Mapping[str, Probe], images: int) -> Callable[[torch.Tensor], dict[str, Any]]:
        """Return the same, compiled when it is first called: the probes stand between compiled operations."""
        kept: dict[str, Any] = {}
        looks = {name: _look(name, probe, kept) for name, probe in probes.items()}
        compiled = torch.compile(self._with(looks, images), dynamic=False)

        def read(batch: torch.Tensor) -> dict[str, Any]:
            kept.clear()
            compiled(batch)
            return dict(kept)

        return read

    def _with(self, read: Mapping[str, Callable[[Any], Any]], images: int) -> GraphModule:
        """Return the graph for a number of images; its results are those of functions that read outputs."""

        def of_batch(given: Any) -> Any:
            return given // self._followed * images if _is_multiple(given, self._followed) else given

        graph = Graph()
        copies: dict[Node, Node] = {}
        results: dict[str, Node] = {}
        marks = {mark: name for name, mark in self._outputs.items()}
        for node in self._module.graph.nodes:
            if node.op == "output":
                continue
            if node not in marks:
                copy = copies[node] = graph.node_copy(node, copies.__getitem__)
                copy.args = torch.fx.node.map_aggregate(copy.args, of_batch)
                copy.kwargs = torch.fx.node.map_aggregate(copy.kwargs, of_batch)
            elif marks[node] in read:
                (output,) = node.all_input_nodes
                function = _named(read[marks[node]], f"read_{len(results)}")
                results[marks[node]] = graph.call_function(function, (copies[output],))
        graph.output({name: results[name] for name in read})
        graph.eliminate_dead_code()
        return GraphModule(self._module, graph)


def _named(function: Callable[[Any], Any], name: str) -> Callable[[Any], Any]:
    """Return a function under a name, which a graph needs."""

    def call(output: Any) -> Any:
        return function(output)

    call.__name__ = call.__qualname__ = name
    return call


def _fake_batch(batch: torch.Tensor, images: int) -> torch.Tensor:
    """Return a batch of another number of images, without numbers."""
    from torch._functorch import config  # which takes a while to import, and so does the next
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    shape, steps = batch.shape[1:], batch.stride()[1:]
    size = 1 + sum((length - 1) * step for length, step in zip(shape, steps, strict=True))
    # Code that would look at the memory of its tensors, of which there is none, gets an error.
    with config.patch(fake_tensor_allow_unsafe_data_ptr_access=False):
        mode = FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv(), static_shapes=True)
    with mode:
        return torch.empty_strided((images, *shape), (size, *steps), dtype=batch.dtype, device=batch.device)


def _is_multiple(given: Any, followed: int) -> bool:
    return type(given) is int and given != 0 and given % followed == 0


def _traced(run: ReportingPass, batch: torch.Tensor) -> tuple[GraphModule, dict[str, Node]]:
    """Return a pass as a graph without side effects, with the node that marks each output."""
    from torch.fx.experimental.proxy_tensor import make_fx  # takes a while to import

    names: list[str] = []

    def marked(batch: torch.Tensor) -> list[torch.Tensor]:
        outputs: list[torch.Tensor] = []

        def report(name: str, output: torch.Tensor) -> None:
            names.append(name)
            outputs.append(output.clone())

        run(batch, report)
        return outputs

    pure = torch.func.functionalize(marked, remove="mutations")
    try:
        with torch.no_grad():
            module = make_fx(pure, tracing_mode="fake")(batch)
    except Exception as error:  # a network's own code may do anything
        raise UntraceableError(f"followed with {len(batch)} images, {in_one_line(error)}") from error
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    marks = output.args[0]
    _require_no_side_effects(module)
    return module, dict(zip(names, marks, strict=True))


def _fixed_numbers(one: GraphModule, images: int, other: GraphModule, others: int) -> set[int]:
    """Return the whole numbers of a pass that are the same with another number of images."""
    fixed: set[int] = set()
    twins = dict(zip(other.graph.nodes, one.graph.nodes, strict=False))

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, torch.fx.Node):
            return twins.get(b) is a
        if isinstance(a, list | tuple):
            return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
        if type(a) is int and a != b:
            return type(b) is int and _is_multiple(a, images) and b == a // images * others
        if type(a) is int:
            fixed.add(a)
        return bool(a == b)

    def given(node: Node) -> list[Any]:
        return [node.op, node.args, list(node.kwargs.items())]

    alike = len(one.graph.nodes) == len(other.graph.nodes)
    for second, first in twins.items():
        alike = alike and first.target == second.target and same(given(first), given(second))
        if alike and first.op == "get_attr":
            value, twin = (operator.attrgetter(first.target)(module) for module in (one, other))
            alike = value is twin or (value.shape == twin.shape and torch.equal(value, twin))
        if not alike:
            raise UntraceableError("it does something else with another number of images")
    return fixed


def _require_no_side_effects(module: GraphModule) -> None:
    """Raise an error where a graph writes to what it was given, draws random numbers, or calls other code."""
    for node in _calls(module.graph):
        if node.target is operator.getitem:
            continue
        if not isinstance(node.target, torch._ops.OpOverload):
            raise UntraceableError(f"it calls {node.target}")
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            raise UntraceableError(f"it draws random numbers ({node.target})")
        if node.target._schema.is_mutable and not _is_made_of_constants(node):
            raise UntraceableError(f"it writes to its parameters or its input ({node.target})")
        if node.target in LAYOUT_DEPENDENT:
            raise UntraceableError(f"it depends on how its tensors lie in memory ({node.target})")


def _is_made_of_constants(node: Node) -> bool:
    """Return whether a node is computed of parameters alone, and writes to none of them."""
    inputs = node.all_input_nodes
    if node.op != "call_function" or not inputs:
        return node.op == "get_attr"
    if node.target._schema.is_mutable and _owner(inputs[0]).op == "get_attr":
        return False
    return all(_is_made_of_constants(each) for each in inputs)


def _calls(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "call_function"]


def _owner(node: Node) -> Node:
    """Return the node whose memory a node's value may lie in: views, and what is done in place, have none."""
    while node.target is operator.getitem or (
        isinstance(node.target, torch._ops.OpOverload)  # and no probe, which keeps a copy
        and any(value.alias_info for value in node.target._schema.returns)
    ):
        node = node.all_input_nodes[0]
    return node


def _drop_copies_of_layout(graph: Graph, marks: set[Node]) -> None:
    """Let every operation take its input as it lies in memory: without side effects no copy is needed."""
    for node in _calls(graph):
        if node.target in (aten.view.default, aten._unsafe_view.default):
            node.target = aten.reshape.default
        if node.target == aten._to_copy.default:
            before, after = node.args[0].meta["val"], node.meta["val"]
            copy = (before.dtype, before.device) == (after.dtype, after.device)
        else:
            copy = node.target == aten.clone.default and node not in marks
        if copy:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _compute_constants(module: GraphModule, marks: set[Node], followed: int) -> None:
    """Compute once what depends on parameters alone, but for marks of outputs and what there is per image."""

    def is_of_each_image(node: Node) -> bool:
        found: list[bool] = []
        torch.fx.node.map_aggregate(
            (node.args, node.kwargs), lambda given: found.append(_is_multiple(given, followed))
        )
        return any(found)

    constants: dict[Node, Any] = {}
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            constants[node] = operator.attrgetter(node.target)(module)
            continue
        inputs = node.all_input_nodes
        if node in marks or node.op != "call_function" or not inputs:
            continue
        if all(given in constants for given in inputs) and not is_of_each_image(node):
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), constants.__getitem__)
            with torch.no_grad():
                constants[node] = node.target(*args, **kwargs)
    for node, value in constants.items():
        wanted = [user for user in node.users if user not in constants]
        if node.op == "get_attr" or not wanted or not isinstance(value, torch.Tensor):
            continue
        if value.ndim == 4:  # the layout in which convolutions take their filters
            value = value.contiguous(memory_format=torch.channels_last)
        constant = _constant_before(node, module, value)
        for user in wanted:
            user.replace_input_with(node, constant)
    for node in reversed(constants):  # not by what is dead: writing to a constant counts as alive
        if not node.users:
            module.graph.erase_node(node)


def _constant_before(node: Node, module: GraphModule, value: torch.Tensor) -> Node:
    """Return a node for a value that is known, placed before another node."""
    name = f"{CONSTANT}{len(dict(module.named_buffers(recurse=False)))}"
    module.register_buffer(name, value.detach())
    with module.graph.inserting_before(node):
        constant = module.graph.get_attr(name)
    constant.meta["val"] = value
    return constant


def _give_bias_to_convolutions(module: GraphModule) -> None:
    """Let a convolution add the constants that are added to its filters right after it."""
    for convolution in _calls(module.graph):
        if convolution.target != aten.convolution.default or convolution.args[2] is not None:
            continue
        filters, axis = convolution.meta["val"].shape[1], 1
        output = convolution
        while len(output.users) == 1 and next(iter(output.users)).target == aten.permute.default:
            (output,) = output.users
            axis = [at % len(output.args[1]) for at in output.args[1]].index(axis)
        if len(output.users) != 1:
            continue
        (addition,) = output.users
        if addition.target != aten.add.Tensor or addition.kwargs:
            continue
        first, bias = addition.args
        if first is not output or not isinstance(bias, torch.fx.Node) or bias.op != "get_attr":
            continue
        value: torch.Tensor = operator.attrgetter(str(bias.target))(module)
        ndim = output.meta["val"].ndim
        shape = [1] * (ndim - value.ndim) + list(value.shape)
        if shape == [filters if at == axis else 1 for at in range(ndim)]:
            flat = _constant_before(convolution, module, value.reshape(-1))
            convolution.update_arg(2, flat)
            addition.replace_all_uses_with(output)
            module.graph.erase_node(addition)
    module.graph.eliminate_dead_code()


def _reuse_memory(graph: Graph) -> None:
    """Let operations entry by entry write to the memory of an input that nothing else needs any more."""
    order = {node: at for at, node in enumerate(graph.nodes)}
    last_use: dict[Node, int] = {}
    for node in graph.nodes:
        for given in node.all_input_nodes:
            last_use[_owner(given)] = order[node]
    for node in _calls(graph):
        if node.target not in IN_PLACE:
            continue
        given = node.args[0]
        owner = _owner(given)
        tensors = [each.meta.get("val") for each in (owner, given, node)]
        others = [_owner(each) for each in node.all_input_nodes if each is not given]
        if (
            owner.op == "call_function"  # not a parameter or the input
            and last_use[owner] == order[node]
            and owner not in others
            and all(isinstance(tensor, torch.Tensor) for tensor in tensors)
            and len({(tensor.numel(), tensor.dtype) for tensor in tensors}) == 1  # no part, nothing repeated
            and tensors[1].shape == tensors[2].shape
        ):
            last_use[owner] = last_use[node]
            node.target = IN_PLACE[node.target]
