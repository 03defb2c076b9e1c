"""Where networks are run, and what is known of that."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)

#: The kinds of devices that were tried.
TRIED = ("auto", "cpu", "cuda")

#: Those that have no float64.
WITHOUT_FLOAT64 = frozenset({"mps"})


def say_untried(network: str, device: str) -> None:
    """Say so where nobody has compared a device's numbers with those of the processor."""
    kind = device.partition(":")[0]
    if kind not in TRIED:
        logger.info(
            "%s: %s was not tried on a machine of ours: compare some layers with --device cpu", network, kind
        )
