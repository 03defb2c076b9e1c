"""Where the channels of a tensor are: by computing it again with other numbers in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch

Operation = Callable[[torch.Tensor], torch.Tensor]


def indices_that_change(
    operation: Operation, given: torch.Tensor, axis: int, along: Iterable[int]
) -> list[set[tuple[int, ...]]]:
    """Return for each channel on an axis of the input where the output changes with it, on some axes."""
    along = list(along)
    found = []
    with torch.no_grad():
        before = operation(given)
        for channel in range(given.shape[axis]):
            other = given.clone()
            other.select(axis, channel).mul_(1.5).add_(1)
            changed = (operation(other) != before).nonzero()
            found.append({tuple(int(index[at]) for at in along) for index in changed})
    return found


def keeps_apart(operation: Operation, given: torch.Tensor, axis: int, along: Iterable[int]) -> bool:
    """Return whether each channel changes entries of its own along some axes of the output."""
    changed = indices_that_change(operation, given, axis, along)
    return bool(set().union(*changed)) and sum(map(len, changed)) == len(set().union(*changed))


def values(shape: Sequence[int]) -> torch.Tensor:
    """Return positive numbers, all different."""
    count = torch.Size(shape).numel()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return (0.5 + order.reshape(*shape)) / count
