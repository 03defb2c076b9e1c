"""Repositories of the Hugging Face hub: what is fetched of them, and what is said where nothing is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
from helpers.hub_folders import COMMIT, cut_off

import differentia as dif
from differentia.networks.hubs.repositories import fetched

FILES = {
    "config.json": b"{}",
    "model.safetensors": b"numbers",
    "pytorch_model.bin": b"code",
    "evil.py": b"code",
}


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does about one repository, lab/net, of one revision."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        if "/lab/net" not in path:
            self.send(404, {"X-Error-Code": "RepoNotFound"})
        elif path in (f"/api/models/lab/net/revision/{COMMIT}", "/api/models/lab/net/revision/main"):
            self.send(200, {}, json.dumps({"id": "lab/net", "sha": COMMIT}).encode())
        elif path.startswith("/api/models/lab/net/tree/"):
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in FILES.items()
            ]
            self.send(200, {}, json.dumps(entries).encode())
        elif path.startswith(f"/lab/net/resolve/{COMMIT}/"):
            content = FILES[path.rpartition("/")[2]]
            etag = f'"{hashlib.sha1(content).hexdigest()}"'
            self.send(200, {"ETag": etag, "X-Repo-Commit": COMMIT}, content)
        else:
            self.send(404, {"X-Error-Code": "RevisionNotFound"})

    def send(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A hub on this machine, and where its files are kept."""
    cut_off(monkeypatch, tmp_path / "kept")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    Hub.asked.clear()
    yield tmp_path / "kept"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_only_what_is_needed_is_fetched(
    revision: str | None, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither pickles nor code; later, without a connection, it is there."""
    folder = fetched(
        "hf:lab/net", "lab/net", ["config.json", "*.safetensors"], revision=revision, otherwise=""
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "config.json": b"{}",
        "model.safetensors": b"numbers",
    }
    assert not [path for path in Hub.asked if path.endswith((".bin", ".py"))]
    cut_off(monkeypatch, hub)
    again = fetched(
        "hf:lab/net", "lab/net", ["config.json", "*.safetensors"], revision=revision, otherwise=""
    )
    assert again == folder
    with pytest.raises(dif.InputError, match=r"lab/net is not in .*kept, and can't be downloaded"):
        fetched("hf:lab/net", "lab/net", ["*.bin"], revision=revision, otherwise="")  # fetched in part


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("repository", "revision", "message"),
    [
        (
            "lab/other",
            None,
            r"no folder 'lab/other', and http://127\.0\.0\.1:\d+ has no repository of that name",
        ),
        ("lab/net", "v2", "lab/net has no revision 'v2'; give a branch, a tag or a commit"),
        ("lab/net", 40 * "f", f"lab/net has no revision '{40 * 'f'}'; give a branch, a tag or a commit"),
        ("no such/name/at all", None, "neither a folder nor the name of a repository, owner/name"),
    ],
)
def test_what_is_not_there(repository: str, revision: str | None, message: str) -> None:
    """One line says whether the name or the revision is wrong."""
    with pytest.raises(dif.InputError, match=message):
        fetched(f"hf:{repository}", repository, ["*"], revision=revision, otherwise="")
