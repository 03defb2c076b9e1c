"""What is packed is unpacked, and what a stranger packed takes no more memory than ours."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.stored import peak_memory
from numcodecs import zstd

from differentia.recording.store.compression import COMPRESSIONS
from differentia.system.choices import COMPRESS

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("sparse", [0.0, 0.9, 1.0])
def test_what_is_packed_is_unpacked(name: str, sparse: float) -> None:
    """Whatever it is, and within the bytes that are allowed for; zeros take fewer where they are packed."""
    way = COMPRESSIONS[name]
    numbers = RNG.standard_normal((16, 1000)).astype(np.float32) * (RNG.random((16, 1000)) >= sparse)
    packed = way.pack(numbers)
    size = memoryview(packed).nbytes
    assert size <= way.most(numbers.nbytes)
    if name != "none":
        assert size < numbers.nbytes * (1 - sparse / 2)
    unpacked = np.frombuffer(way.unpack(memoryview(bytes(packed)), numbers.nbytes), np.float32)
    np.testing.assert_array_equal(unpacked.reshape(numbers.shape), numbers)


def test_noise_is_within_what_is_allowed_for() -> None:
    """What can't be packed takes a little more than it had."""
    for size in (1, 100, 10_000, 10**6):
        assert len(COMPRESSIONS["zstd"].pack(RNG.bytes(size))) <= COMPRESSIONS["zstd"].most(size)


def test_a_bomb_takes_no_memory() -> None:
    """A small frame of very many zeros, and what is none, are errors."""
    bomb = zstd.compress(bytes(10**9), 1)
    assert len(bomb) < 10**5

    def unpack() -> None:
        for packed in (bomb, b"junk", b""):
            with pytest.raises((ValueError, RuntimeError)):
                COMPRESSIONS["zstd"].unpack(memoryview(packed), 1000)

    assert peak_memory(unpack) < 10**6


def test_each_has_a_name_that_can_be_chosen() -> None:
    """The choices on the command line are these."""
    assert [*COMPRESSIONS] == list(COMPRESS.names)
