"""Stores that somebody has changed: bytes, files, names, and what they say of themselves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from differentia.recording.division import _digest
from differentia.recording.store.batches import BatchLines, short_digest

#: What would move a terminal's cursor, or name its window.
ESCAPE = "\x1b]0;title\x07\x1b[2J"

#: Other values of JSON.
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 7, 2**31 - 1, 2**31, 2**48 - 1, 2**63, 10**30, 1.5, 1e308, float("nan"), ""),
    *(ESCAPE, "x" * 70_000, [], {}, [[]], {"a": 1}, [1] * 1000, "none", "zstd", "float64", "uint8"),
)

Change = Callable[[Path, np.random.Generator], str]


def _any(random: np.random.Generator, paths: list[Path]) -> Path:
    return sorted(paths)[random.integers(len(paths))]


def _file(store: Path, random: np.random.Generator) -> Path:
    return _any(random, [path for path in store.rglob("*") if path.is_file()])


def _folder(store: Path, random: np.random.Generator) -> Path:
    return _any(random, [path for path in store.rglob("*") if path.is_dir()])


def other_bytes(store: Path, random: np.random.Generator) -> str:
    """Flipped, zeroed, cut off, made longer, empty, or junk."""
    path = _file(store, random)
    content = bytearray(path.read_bytes())
    at, how = int(random.integers(len(content) or 1)), int(random.integers(8))
    length = int(random.integers(1, 600))
    if how == 0:
        content[at : at + 1] = bytes(byte ^ 1 << int(random.integers(8)) for byte in content[at : at + 1])
    elif how == 1:
        content[at : at + length] = bytes(length)
    elif how == 2:
        del content[at:]
    elif how == 3:
        content += random.bytes(length)
    elif how == 4:
        content.clear()
    elif how == 5:
        content[:] = bytes(len(content))
    elif how == 6:
        content[at : at + length] = random.bytes(length)
    else:
        content[:] = [b"[" * 100_000, b"{}", b"[]", b"\xff\xfe", b"9" * 5000, b"null", b'{"number": 0'][
            at % 7
        ]
    path.write_bytes(content)
    return f"bytes {how} of {path.relative_to(store)}"


def other_place(store: Path, random: np.random.Generator) -> str:
    """Two files change places, or one is also elsewhere, under another name, or nowhere."""
    one, other = _file(store, random), _file(store, random)
    how = int(random.integers(6))
    if how == 0:
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    elif how == 1:
        other.write_bytes(one.read_bytes())
    elif how == 2:
        one.unlink()
    elif how == 3:
        names = [
            "c.7.0",
            "c.999999999.0",
            "99.jsonl",
            "7.json",
            "9" * 30 + ".json",
            "0-9",
            "x",
            ESCAPE,
            "\u0663.json",
        ]
        names += [
            "\u0663.json",
            "c.0.0.vm_0123456789ab_7_456.01234567.partial",
            "zarr.json.partial",
            ".in-use",
        ]
        shutil.copy(one, one.with_name(names[random.integers(len(names))]))
    elif how == 4:
        folder = _folder(store, random)
        names = [ESCAPE, f"random-0.0-{10**12}", "random-0.0-7", "x.state-y", "a\nb", "x" * 255, "..x"]
        target = folder.with_name(names[random.integers(len(names))])
        if not target.exists():
            shutil.copytree(folder, target)
    else:
        shutil.rmtree(_folder(store, random))
    return f"place {how} of {one.relative_to(store)}"


def no_file(store: Path, random: np.random.Generator) -> str:
    """A link, a pipe, a folder or a huge file where a file or folder was; or folders in one another."""
    folder = random.random() < 0.3
    path = (_folder if folder else _file)(store, random)
    outside = store.parent / "outside"
    how = int(random.integers(8))
    if how == 7:
        deep = _folder(store, random)
        for _ in range(60):
            deep = deep / "deeper" / "deeper"
            deep.mkdir(parents=True)
        return f"deep {deep}"
    if how < 2:
        shutil.rmtree(outside, ignore_errors=True)
        (shutil.copytree if folder else shutil.copy)(path, outside)
    (shutil.rmtree if folder else os.unlink)(path)
    if how < 2:
        path.symlink_to(outside)
    elif how == 2:
        path.symlink_to("nowhere")
    elif how == 3:
        path.symlink_to(path.name)
    elif how == 4:
        os.mkfifo(path)
    elif how == 5:
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(10**12)
    return f"no file {how} at {path.relative_to(store)}"


def other_facts(store: Path, random: np.random.Generator) -> str:
    """Other values in JSON; the digest agrees, but where it is all that tells which image is which."""
    path = _any(random, [path for path in store.rglob("*.json*") if path.is_file() and path.stat().st_size])
    if path.suffix == ".jsonl":
        lines = path.read_text().splitlines()
        at = random.integers(len(lines))
        facts = json.loads(lines[at])
        which = json.dumps([facts.get("number"), facts.get("images")])
        told = _changed(facts, random)
        if which == json.dumps([facts.get("number"), facts.get("images")]):  # else nobody could tell
            facts["digest"] = digest_of_batch(path, facts)
        lines[at] = json.dumps(facts)
        path.write_text("\n".join(lines) + "\n")
    else:
        facts = json.loads(path.read_text())
        told = _changed(facts, random)
        if path.name != "zarr.json":
            facts["digest"] = _digest({name: value for name, value in facts.items() if name != "digest"})
        path.write_text(json.dumps(facts))
    return f"{told} in {path.relative_to(store)}"


def digest_of_batch(path: Path, facts: Any) -> str:
    """Return the digest that agrees with what a line of a file of batches says."""
    place = BatchLines(path.parent, 2**20, 2**20)._place(facts.get("number", 0))
    given = {name: value for name, value in facts.items() if name not in ("digest", "number")}
    return short_digest(place + json.dumps(given))


def _changed(facts: Any, random: np.random.Generator) -> str:
    places: list[tuple[Any, Any]] = []

    def walk(at: Any) -> None:
        for key, value in (
            at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
        ):
            places.append((at, key))
            walk(value)

    walk(facts)
    at, key = places[random.integers(len(places))]
    old = at[key]
    if random.random() < 0.1:
        del at[key]
        return f"{key} gone"
    value = VALUES[random.integers(len(VALUES))]
    if type(old) is int and random.random() < 0.5:
        value = old + int(random.choice([-1, 1, 2, 16, 1000, 10**6, 10**9]))
    at[key] = value
    return f"{key}: {str(old)[:30]} -> {str(value)[:30]!r}"


CHANGES: tuple[Change, ...] = (other_bytes, other_place, no_file, other_facts, other_facts)


def change_store(store: Path, nth: int) -> str:
    """Change a store in the nth way, or two; say how."""
    random = np.random.default_rng([25, nth])
    told = []
    for number in range(1 + (random.random() < 0.3)):
        change = CHANGES[nth % len(CHANGES) if number == 0 else random.integers(len(CHANGES))]
        try:
            told.append(change(store, random))
        except (
            OSError,
            ValueError,
            IndexError,
            TypeError,
            AttributeError,
        ) as error:  # after the first change
            told.append(f"not {change.__name__} {error}")
    return "; ".join(told)
