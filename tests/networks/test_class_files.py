"""Names of classes out of files: by line, as JSON, as Keras's class index; for networks of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.keras_models import functional
from helpers.networks import SHAPE, factory

import differentia as dif
from differentia.networks.class_files import read_class_index

NAMES, IDS = ("ant", "bee, honey", "Siamese cat"), ("n01", "n02", "n03")


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("lines.txt", "ant\nbee, honey\n Siamese cat \n\n", None),
        ("windows.csv", "ant\r\nbee, honey\r\nSiamese cat", None),
        ("notepad.txt", "\ufeffant\r\nbee, honey\r\nSiamese cat", None),
        ("list.json", json.dumps(NAMES), None),
        ("list.txt", json.dumps(NAMES, indent=1), None),
        ("object.json", json.dumps({"2": NAMES[2], "0": NAMES[0], "1": NAMES[1]}), None),
        (
            "index.json",
            json.dumps({str(n): pair for n, pair in enumerate(zip(IDS, NAMES, strict=True))}),
            IDS,
        ),
        ("pairs.json", json.dumps([*zip(IDS, NAMES, strict=True)]), IDS),
    ],
)
def test_forms(tmp_path: Path, name: str, content: str, ids: tuple[str, ...] | None) -> None:
    """In the order of the classes, whatever the order of the file."""
    (tmp_path / name).write_bytes(content.encode())
    assert read_class_index(tmp_path / name, "net") == (ids, NAMES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "it names no class"),
        ("a.json", b"[]", "it names no class"),
        ("a.json", b"", "JSONDecodeError"),
        ("a.json", b"3", "neither a list nor an object"),
        ("a.txt", b"ant\n\nbee\n", "class 1 has no name"),
        ("a.txt", b"ant\x1b[2J\nbee\n", "a name has control characters"),
        ("a.txt", b"\xff\xfe\x00", "UnicodeDecodeError"),
        ("a.json", b'{"0": "ant", "2": "bee"}', "of 2 classes none has the number 1"),
        ("a.json", b'["ant", 3]', "a class is not an identifier and a name"),
        ("a.json", b'{"0": ["n01", "ant"], "1": "bee"}', "a class is not an identifier and a name"),
    ],
)
def test_what_is_no_file_of_classes(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """One line says why, and what is expected."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(dif.InputError, match=f"^net: .*{name} is not a class index") as caught:
        read_class_index(tmp_path / name, "net")
    assert message in str(caught.value)
    assert 'expected a name per line, or JSON: ["tench", ...]' in str(caught.value)


def test_networks_of_every_kind_take_them(tmp_path: Path) -> None:
    """Modules, models, code by its name; a ready network does not."""
    path, index = tmp_path / "classes.txt", tmp_path / "index.json"
    path.write_text("\n".join("abcde"))
    index.write_text(json.dumps({str(n): [f"n0{n}", name] for n, name in enumerate("abcde")}))
    about: dict[str, Any] = {"preprocess": "unit", "input_shape": SHAPE}
    for network in (
        dif.load_network(factory(), classes=path, **about),
        dif.load_network("helpers.networks:factory", classes=str(path), **about),
        dif.load_network(functional(), preprocess="unit", classes=path),
    ):
        assert (network.class_names, network.class_ids) == (tuple("abcde"), None)
    for network in (
        dif.load_network(factory(), classes=index, **about),
        dif.load_network(functional(), preprocess="unit", classes=index),
    ):
        assert network.class_ids == ("n00", "n01", "n02", "n03", "n04")
    with pytest.raises(dif.InputError, match=r"loaded already; leave out classes \(--classes\)$"):
        dif.load_network(network, classes=path)
    with pytest.raises(dif.InputError, match="the embedded network has its own"):
        dif.load_network("digits", classes=path)
