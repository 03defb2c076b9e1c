"""Which layers are recorded where none are named, and why: in words."""

from __future__ import annotations

from collections.abc import Sequence

from differentia.networks.layers import (
    BLOCKS,
    LEAVES,
    MOST_LEAVES,
    OPERATIONS,
    Layer,
    default_preset,
    select_layers,
    without_operations,
)


def default_in_words(layers: Sequence[Layer]) -> str:
    """Return which layers of a network are recorded by default, why, and how others are asked for."""
    leaves = f"{len(select_layers(layers, [LEAVES])):,} leaves"
    if default_preset(layers) == BLOCKS:
        return f"blocks ({BLOCKS}), because {_why_blocks(layers)}; --layers {LEAVES} takes its {leaves}"
    blocks = sum(layer.block and layer.container for layer in layers)
    others = f"; --layers {BLOCKS} takes its {blocks:,} blocks and what stands around them" if blocks else ""
    return f"leaves ({LEAVES}): what computes, and is made of nothing else that does{others}"


def blocks_in_words(layers: Sequence[Layer]) -> str:
    """Return why blocks are recorded where nobody named layers, with the way back; "" where leaves are."""
    if default_preset(layers) != BLOCKS:
        return ""
    return (
        f"blocks are recorded, because {_why_blocks(layers)}; --layers {LEAVES} (layers={LEAVES!r}) "
        f"records its {len(select_layers(layers, [LEAVES])):,} leaves"
    )


def operations_in_words(layers: Sequence[Layer]) -> str:
    """Return how many operations there are, and how they are asked for; "" where there are none."""
    operations = [layer for layer in layers if layer.operation]
    if not operations:
        return ""
    are = "operation that is no module" if len(operations) == 1 else "operations that are no modules"
    return (
        f"{len(operations):,} {are}, first {operations[0].name!r}: --layers {OPERATIONS} takes all, "
        f"'*/{operations[0].kind}*' those of one kind"
    )


def _why_blocks(layers: Sequence[Layer]) -> str:
    leaves = sum(not (layer.container or layer.inert) for layer in without_operations(layers))
    if leaves > MOST_LEAVES:
        return f"the network has {leaves:,} leaves, more than {MOST_LEAVES}"
    return "the network has attention, and its leaves give parts of sums that blocks give whole"
