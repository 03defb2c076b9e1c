"""Files of weights: where they are kept, in which order they are looked for, and what fails."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
import torch
from helpers.hub_files import keep_hugging_face, keep_torch
from huggingface_hub.errors import EntryNotFoundError

import differentia as dif
from differentia.networks.hubs.downloads import LONGEST_REASON, from_hugging_face, from_url, not_downloaded

NAMES = ("model.safetensors", "pytorch_model.bin")


def test_what_is_kept_needs_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of the files that is there, of the version that is asked for."""
    place_of = keep_hugging_face(monkeypatch, tmp_path)
    place_of("me/net", NAMES[1]).write_bytes(b"pickle")
    assert from_hugging_face("net", "me/net", NAMES).read_bytes() == b"pickle"
    place_of("me/net", NAMES[0]).write_bytes(b"safe")
    assert from_hugging_face("net", "me/net", NAMES).read_bytes() == b"safe"
    assert from_hugging_face("net", "me/net", NAMES, "main").read_bytes() == b"safe"
    with pytest.raises(
        dif.InputError, match=r"^net: model\.safetensors of me/net is not in .* can't be down"
    ):
        from_hugging_face("net", "me/net", NAMES, "other")
    with pytest.raises(dif.InputError, match=r"^net: model\.safetensors of me/other is not in "):
        from_hugging_face("net", "me/other", NAMES)


def test_the_first_file_that_a_repository_has_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another is only asked for where there is a connection, but not the one before."""
    keep_hugging_face(monkeypatch, tmp_path)
    asked: list[str] = []

    def metadata(url: str) -> None:
        asked.append(url.rpartition("/")[2])
        if url.endswith(missing):
            raise EntryNotFoundError("404: there is no such file")

    def download(repository: str, name: str, *, revision: str | None) -> str:
        return f"/kept/{repository}/{name}"

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    missing: tuple[str, ...] = ()
    assert from_hugging_face("net", "me/net", NAMES) == Path("/kept/me/net/model.safetensors")
    missing = (".safetensors",)
    assert from_hugging_face("net", "me/net", NAMES) == Path("/kept/me/net/pytorch_model.bin")
    missing = (".safetensors", ".bin")
    with pytest.raises(dif.InputError, match=r"can't be downloaded \(404: there is no such file\); connect"):
        from_hugging_face("net", "me/net", NAMES)
    assert asked == [NAMES[0], *NAMES, *NAMES]


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's check of its digest is passed on in one line."""
    kept = keep_torch(monkeypatch, tmp_path)

    def download(url: str, path: str, digest: str, progress: bool) -> None:
        raise RuntimeError(f'invalid hash value\n(expected "{digest}")')

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(dif.InputError) as caught:
        from_url("net", "https://weights.example/net-0123abcd.pth")
    told = str(caught.value)
    assert told.startswith(
        f"net: {kept / 'net-0123abcd.pth'} is not there, and can't be downloaded (invalid hash"
    )
    assert told.endswith("; connect once, or put it there, give weights=PATH (safetensors) or weights=none")
    assert '(expected "0123abcd")' in told


def test_a_long_reason_is_cut() -> None:
    """One that says nothing is told by its kind."""
    told = str(not_downloaded("net", "w is not there", OSError("no " * 200), ways="wait"))
    assert len(told) < LONGEST_REASON + 80
    assert told.endswith("...); connect once, or wait")
    assert "(TimeoutError)" in str(not_downloaded("net", "w is not there", TimeoutError(), ways="wait"))
