"""How much memory is free, by the machine and by control groups; sizes that people write; cores."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

import differentia as dif
from differentia.system.machine import (
    free_memory,
    is_bomb,
    memory_budget,
    parse_size,
    untouched_array,
    usable_cores,
    written_size,
)

AVAILABLE = 10**10
UNLIMITED_1 = 9223372036854771712


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 10 GB to spare."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=AVAILABLE))


def groups(root: Path, lines: str, files: dict[str, object]) -> Path:
    """Describe control groups below a root: the groups of the process, and what files say."""
    contents = {"proc/self/cgroup": lines} | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n", encoding="utf-8")
    return root


def version_2(folder: str, limit: object, used: int, inactive: int = 0) -> dict[str, object]:
    stat = f"anon 5\ninactive_anon 7\ninactive_file {inactive}\nactive_file 11"
    return {f"{folder}memory.max": limit, f"{folder}memory.current": used, f"{folder}memory.stat": stat}


def version_1(folder: str, limit: int, used: int, inactive: int = 0) -> dict[str, object]:
    stat = f"inactive_file 3\ntotal_inactive_anon 7\ntotal_inactive_file {inactive}"
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    return {f"memory/{folder}{name}": text for name, text in zip(names, (limit, used, stat), strict=True)}


@pytest.mark.parametrize(
    ("lines", "files", "free"),
    [
        ("", {}, AVAILABLE),
        # a job of Slurm: its own group has no limit, the one above has; cached files make room
        ("0::/job_7/step_0", version_2("job_7/", 10**9, 4 * 10**8, 10**8), 7 * 10**8),
        (
            "0::/job_7/step_0",
            version_2("job_7/step_0/", "max", 300) | version_2("job_7/", 10**9, 400),
            10**9 - 400,
        ),
        # the strictest group counts, whichever it is
        ("0::/a/b", version_2("a/b/", 5000, 1000) | version_2("a/", 9000, 6000), 3000),
        ("0::/a/b", version_2("a/b/", 5000, 3000) | version_2("a/", 9000, 1000), 2000),
        # in a container the host's path is not there, and the group is the root of what it sees
        ("0::/../../docker/77", version_2("", 6000, 1000), 5000),
        ("0::/", version_2("", 6000, 1000), 5000),
        # a limit beyond what the machine has, and one that is used up
        ("0::/a", version_2("a/", 10**12, 0), AVAILABLE),
        ("0::/a", version_2("a/", 1000, 3000), 0),
        ("0::/a", {"a/memory.max": 1000, "a/memory.current": 300}, 700),
        # version 1, whose other controllers do not matter, and both versions side by side
        ("9:cpu,cpuacct:/x\n4:memory:/job\n0::/", version_1("job/", 8000, 3000, 500), 5500),
        ("4:hugetlb,memory:/job", version_1("job/", 8000, 3000), 5000),
        ("4:memory:/host/path", version_1("", 8000, 3000), 5000),
        ("4:memory:/job", version_1("job/", UNLIMITED_1, 3000), AVAILABLE),
        ("4:cpu:/job", version_1("job/", 8000, 3000), AVAILABLE),
        # other groups' limits, and lines that say nothing
        ("0::/a", version_2("b/", 1000, 0), AVAILABLE),
        ("nonsense\n0\n0::", version_2("", "nonsense", 0), AVAILABLE),
    ],
)
def test_free_memory(lines: str, files: dict[str, object], free: int, tmp_path: Path) -> None:
    """The least of what the machine and every group of the process leave."""
    assert free_memory(groups(tmp_path, lines, files)) == free


def test_free_memory_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Linux's files the machine alone counts; with them it is never more than that."""
    assert free_memory(Path("/nonexistent")) == AVAILABLE
    assert 0 <= free_memory() <= AVAILABLE
    monkeypatch.setattr("differentia.system.machine.free_memory", lambda: 1001)
    assert memory_budget() == 500
    assert memory_budget(None) == 500


def test_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that this process may use, where the system tells; else those that there are."""
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 5}, raising=False)
    assert usable_cores() == 2
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert usable_cores() == 7
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("asked", "cores"), [("2", 2), ("1", 1), ("8", 8), ("64", 8), ("0", 8), ("", 8), ("2(x4)", 8), ("-1", 8)]
)
def test_usable_cores_of_a_job(asked: str, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as it asked Slurm for, which may not have bound it to them; never more than there are."""
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", asked)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {*range(8)}, raising=False)
    assert usable_cores() == cores
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4000000000", 4 * 10**9),
        ("4GB", 4 * 10**9),
        ("4 GiB", 4 * 2**30),
        (" 500mb ", 5 * 10**8),
        ("1.5kib", 1536),
        ("0.1TB", 10**11),
        ("2TiB", 2**41),
        ("7 B", 7),
        ("0.001kB", 1),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Decimal and binary units, in any case, with or without a space."""
    assert parse_size(text) == size
    assert memory_budget(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "GB", "0", "0GB", "0.4", "-4GB", "nan", "inf", "4 G", "4GBs", "4,5GB", "1e9", "4 4GB", "٤GB"],
)
def test_what_is_no_size(text: str) -> None:
    """The error says what would have been one."""
    with pytest.raises(
        dif.InputError, match=r"expected bytes, or a number with a unit: 4GB \(10\*\*9 bytes\)"
    ):
        parse_size(text)


def test_a_size_whose_unit_was_forgotten() -> None:
    """A small number is bytes in Python; in a text it is a mistake."""
    with pytest.raises(
        dif.InputError, match=r"^the size of memory is ' 4', which is bytes; write its unit: 4GB$"
    ):
        memory_budget(" 4")
    assert memory_budget(4) == memory_budget("4 B") == 4


def test_budgets_that_are_numbers() -> None:
    """Bytes may be a number; no number of bytes is refused."""
    assert memory_budget(12) == memory_budget(np.int64(12)) == 12  # type: ignore[arg-type]
    for wrong in (0, -1, True, float("nan"), [4]):
        with pytest.raises(dif.InputError, match="the size of memory is"):
            memory_budget(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_600, "1 MB"),
        (540_000_000, "540 MB"),
        (8_404_000_000, "8.4 GB"),
        (12_345 * 10**9, "12.3 TB"),
        (2 * 10**15, "2000 TB"),
    ],
)
def test_written_sizes(size: int, text: str) -> None:
    """Three digits, and what is written is read as nearly the same."""
    assert written_size(size) == text
    if size:
        assert abs(parse_size(text) - size) <= 0.005 * size


@pytest.mark.skipif(sys.platform != "linux", reason="the system's own count of a process's memory")
def test_untouched_arrays_take_memory_as_they_are_written() -> None:
    """They are zeros, and ordinary arrays otherwise; what was taken goes back with the array."""

    def resident() -> int:
        return psutil.Process().memory_info().rss

    assert untouched_array((0, 3), np.float32).shape == (0, 3)
    before = resident()
    array = untouched_array((100, 2**18), np.float32)
    assert resident() - before < 10 * 2**20
    assert (array[3, :5] == 0).all()
    array[:50] = 1.0
    assert 45 * 2**20 < resident() - before < 60 * 2**20
    assert array.sum() == 50 * 2**18
    del array
    assert resident() - before < 10 * 2**20
    with pytest.raises(MemoryError, match="no memory for an array of 563 TB"):
        untouched_array((2**46,), np.float64)


def test_what_is_made_to_fill_a_memory() -> None:
    """What is neither little nor in proportion to its size."""
    assert not is_bomb(1_000_000_000, 1)
    assert is_bomb(1_000_000_001, 1)
    assert not is_bomb(2_000_000_000, 20_000_000)
    assert is_bomb(2_000_000_001, 20_000_000)
