"""Files of other libraries' networks: where they are kept, and what to do where they can't be fetched."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

import torch

from differentia.errors import InputError, in_one_line

logger = logging.getLogger(__name__)

#: What else can be done where the weights of a network can't be fetched.
WAYS = "give weights=PATH (safetensors) or weights=none"

#: In characters, of what a library says of a failed download.
LONGEST_REASON = 90


def from_url(spec: str, url: str) -> Path:
    """Return the file of an address, where PyTorch keeps it; downloaded first where it is not there yet."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / os.path.basename(urlparse(url).path)
    if not path.exists():
        logger.info("%s: downloading %s to %s", spec, url, folder)
        digest = torch.hub.HASH_REGEX.search(path.name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                url, str(path), digest and digest.group(1), progress=sys.stderr.isatty()
            )
        except (OSError, RuntimeError) as error:  # the latter where it is not what its name says
            raise not_downloaded(spec, f"{path} is not there", error, ways=f"put it there, {WAYS}") from error
    return path


def from_hugging_face(
    spec: str, repository: str, names: Sequence[str], revision: str | None = None, *, ways: str = WAYS
) -> Path:
    """Return the first of some files that is kept here, or else that a repository has, downloaded."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names:
        if _is_kept(repository, name, revision):
            return Path(hf_hub_download(repository, name, revision=revision))
    problem: Exception = FileNotFoundError("no such file")
    for name in names:
        try:
            # Asked for first, as a download itself is tried again and again, for half a minute.
            get_hf_file_metadata(hf_hub_url(repository, name, revision=revision))
            logger.info("%s: downloading %s of %s", spec, name, repository)
            return Path(hf_hub_download(repository, name, revision=revision))
        except Exception as error:  # no connection, no such repository, no access to it: many kinds
            problem = error
            if not isinstance(error, EntryNotFoundError) or isinstance(error, LocalEntryNotFoundError):
                break
    where = f"{names[0]} of {repository} is not in {constants.HF_HUB_CACHE}"
    raise not_downloaded(spec, where, problem, ways=ways) from problem


def _is_kept(repository: str, name: str, revision: str | None) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, name, revision=revision), str)


def not_downloaded(spec: str, where: str, error: Exception, *, ways: str = WAYS) -> InputError:
    """Return the error for a file that is not where it is kept, and can't be fetched."""
    reason = in_one_line(error) or type(error).__name__
    reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
    return InputError(f"{spec}: {where}, and can't be downloaded ({reason}); connect once, or {ways}")
