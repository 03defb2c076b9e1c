"""Runs of the command line in processes that start in no time: all is imported once, then forked.

A run is a process of its own, to be killed like any other. Where the fault needs it, runs have a small disk
of their own, or one that can't be written to (a mount namespace), as far as the system lets them.

It reads a request from a line (JSON), and answers on a line: with the number of the process that was begun,
or with how one ended.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import time
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypedDict

#: Flags of unshare(2) and mount(2).
NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
READ_ONLY, REMOUNT, BIND, PRIVATE, RECURSIVE = 1, 32, 4096, 1 << 18, 1 << 14

IMPORTED = (
    *("differentia.cli.commands", "differentia.cli.entry", "differentia.experiment.measure"),
    *("differentia.experiment.file", "differentia.networks.load", "differentia.networks.torch"),
    *(
        "differentia.output.figures.save",
        "differentia.output.report.page",
        "differentia.recording.store.disk",
    ),
    *("differentia.results.files", "differentia.results.tables", "helpers.networks"),
    *("differentia.system.locking", "google_crc32c", "h5netcdf", "psutil", "zarr", "zarr.codecs"),
    # What a run imports only once it needs it, which takes half of its time.
    *("differentia.cli.loading", "differentia.cli.measuring", "differentia.cli.output"),
    *("differentia.networks.flow", "differentia.output.unchanged", "differentia.recording.parts"),
    *("dask.array", "h5netcdf.legacyapi", "pandas", "pyarrow.pandas_compat", "rich.console", "scipy.stats"),
    *("tomli_w", "xarray", "xarray.backends.h5netcdf_"),
)

#: The function of the command line that draws figures and report.
DRAWING = ("differentia.cli.measuring", "write_views")

#: What a run is in the middle of, by the function that it has just called.
STAGES = (
    ("differentia.recording.passes", "Passes._pass", None),
    ("differentia.experiment.measure", "_measure_recorded", "measuring"),
    ("differentia.results.files", "save", "saving"),
    (*DRAWING, "drawing"),
)


class Step(TypedDict, total=False):
    """One run, and what happens meanwhile.

    Attributes
    ----------
    argv
        Of ``differentia``.
    views
        Whether figures and the report are drawn.
    at
        The stage at which the disk is full.
    renames, writes
        How many files get their name, or chunks are written, before something happens at the next.
    then
        What: the process is killed (``"kill"``), or the disk is full (``"full"``).
    disk
        What is done before: ``"free"`` room, or make it ``"read-only"``.
    """

    argv: list[str]
    views: bool
    at: str
    renames: int
    writes: int
    then: str
    disk: str


class Request(TypedDict):
    """Runs, one after another, in a folder.

    Attributes
    ----------
    folder
        Where they run; the outputs are stderr-0, stderr-1, ... and stages-0, ...
    steps
        The runs.
    size
        Of their own disk in bytes, where they have one.
    """

    folder: str
    steps: list[Step]
    size: int


def serve() -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        request: Any = json.loads(line)
        if "wait" in request:
            process, status = os.waitpid(request["wait"], 0 if request["hang"] else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if process else None
        elif "script" in request:
            answer = _forked(functools.partial(_script, request))
        else:
            answer = _forked(functools.partial(_steps, request))
        _answer(answer)


def _answer(answer: Any) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


def _forked(work: Callable[[], int]) -> int:
    """Do something in another process, and return its number."""
    process = os.fork()
    if not process:
        _in_child(work)
    return process


def _in_child(work: Callable[[], int]) -> NoReturn:
    status = 70
    try:
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _script(request: dict[str, Any]) -> int:
    """Run a program in this process, whose main module it is; what it began ends with it, or is killed."""
    os.setsid()
    os.chdir(request["folder"])
    _write_output("script")
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(request["script"], "program.py", "exec"), vars(main))
    return 0


def _steps(request: Request) -> int:
    """Run the steps; where there is but one, in this process itself."""
    folder = Path(request["folder"])
    os.chdir(folder)
    if not request["size"] and len(request["steps"]) == 1:
        return _run(request["steps"][0], 0, Disk("none"))
    disk = Disk.small(folder / "disk", request["size"]) if request["size"] else Disk("none")
    codes: list[int | None] = []
    for nth, step in enumerate(request["steps"]):
        if step.get("disk") == "free":
            disk.free()
        if step.get("disk") == "read-only":
            disk = Disk.read_only(folder / "out")
        process = _forked(functools.partial(_run, step, nth, disk))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
    if disk.kind == "mount" and request["size"]:
        shutil.copytree(folder / "disk", folder / "copy", symlinks=True)
    (folder / "codes.json").write_text(json.dumps({"codes": codes, "disk": disk.kind}))
    return 0


class Disk:
    """What a run writes to: as it is, or a small or read-only one of its own."""

    def __init__(self, kind: str, path: Path = Path()) -> None:
        self.kind = kind
        self.path = path
        self.ballast = path / "ballast"

    @classmethod
    def small(cls, path: Path, size: int) -> Disk:
        """Return a disk of so many bytes; where the system gives none, files can be limited."""
        path.mkdir()
        if _own_mounts() and _mount(b"tmpfs", path, b"tmpfs", 0, f"size={size}".encode()):
            return cls("mount", path)
        shutil.disk_usage = lambda path: shutil._ntuple_diskusage(size, 0, size)
        return cls("limit", path)

    @classmethod
    def read_only(cls, path: Path) -> Disk:
        """Make a folder read-only: by a mount, else, for those who are not root, by its permissions."""
        bound = _own_mounts() and _mount(bytes(path), path, None, BIND)
        if bound and _mount(None, path, None, BIND | REMOUNT | READ_ONLY):
            return cls("mount", path)
        if os.geteuid():
            for place in (path, *path.rglob("*")):
                if place.is_dir():
                    place.chmod(0o500)
            return cls("permissions", path)
        return cls("hook", path)

    def fill(self) -> None:
        """Leave no room for more than a few kB."""
        if self.kind == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            return
        with self.ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Make room again; a limit ended with its process."""
        self.ballast.unlink(missing_ok=True)
        if self.kind == "mount":
            _mount(None, self.path, None, REMOUNT, b"size=200m")
        importlib.reload(shutil)


def _own_mounts() -> bool:
    """Take a mount namespace, in which this process is root; return whether that worked."""
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare") or "DIFFERENTIA_NO_MOUNTS" in os.environ:
        return False
    if libc.unshare(NEW_MOUNTS if user == 0 else NEW_MOUNTS | NEW_USER):
        return False
    if user:
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        except OSError:
            return False
    return _mount(None, Path("/"), None, PRIVATE | RECURSIVE)


def _mount(source: bytes | None, target: Path, kind: bytes | None, flags: int, data: bytes = b"") -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return not libc.mount(source, bytes(target), kind, ctypes.c_ulong(flags), data or None)


def _write_output(nth: int | str) -> None:
    """Let this process write to files what it prints."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(f"{name}-{nth}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)


def _run(step: Step, nth: int, disk: Disk) -> NoReturn:
    """Run the command line in this process."""
    _write_output(nth)
    stages = os.open(f"stages-{nth}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    passes = 0

    def reached(stage: str | None) -> None:
        nonlocal passes
        if stage is None:
            passes += 1
            stage = f"pass {passes}"
        os.write(stages, f"{stage}\t{time.monotonic()}\n".encode())
        if stage == step.get("at"):
            disk.fill()

    for module, name, stage in STAGES:
        owner: Any = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        _tell(owner, last, stage, reached)
    if not step.get("views"):
        module, name = DRAWING
        setattr(importlib.import_module(module), name, lambda *_, **__: {})
    if disk.kind == "hook":
        sys.addaudithook(_refuse_writes)
    left = {"renames": step.get("renames", -1), "writes": step.get("writes", -1)}

    def count(what: str) -> None:
        left[what] -= 1
        if left[what] == -1 and step["then"] == "full":
            disk.fill()
        elif left[what] == -1:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(lambda event, given: count("renames") if event == "os.rename" else None)
    follow_chunks(lambda: count("writes"))
    reached("start")
    sys.argv = ["differentia", *step["argv"]]
    from differentia.cli import script

    script()


#: How the line of a chunk begins that could not be written.
FAILED = "-"


def follow_chunks(before: Callable[[], None]) -> None:
    """Call something before each chunk of responses is written, and list those begun, and those that failed.

    Each process has its list, so short that it can be written where the size of files is limited.
    """
    from differentia.recording.store.sharded import Shards

    put = Shards.put
    written = os.open(f"written.{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def followed(self: Any, chunk: tuple[int, int], parts: Any) -> None:
        before()
        _, _, array = str(self.path).rpartition("responses.zarr/")
        name = f"{array}/{chunk[0]}.{chunk[1]}\n".encode()
        os.write(written, name)
        try:
            put(self, chunk, parts)
        except BaseException:
            os.write(written, FAILED.encode() + name)
            raise

    owner: Any = Shards
    owner.put = followed


def _tell(owner: Any, name: str, stage: str | None, reached: Callable[[str | None], None]) -> None:
    function = getattr(owner, name)

    def told(*given: Any, **options: Any) -> Any:
        reached(stage)
        return function(*given, **options)

    setattr(owner, name, told)


def _refuse_writes(event: str, given: tuple[Any, ...]) -> None:
    """What a read-only disk does, for a root whom the system gives no mounts."""
    writing = event in ("os.mkdir", "os.rename", "os.remove")
    if event == "open":
        flags = given[2]
        writing = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    path = given[0] if given else None
    if writing and isinstance(path, str | bytes | Path) and "/out" in os.path.abspath(os.fsdecode(path)):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import PIL.Image
    import torch

    torch.set_num_threads(1)
    PIL.Image.init()  # its formats
    for imported in IMPORTED:
        importlib.import_module(imported)
    _answer("ready")
    serve()
