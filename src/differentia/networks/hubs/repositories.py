"""Repositories of the Hugging Face hub, as folders of what is needed of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from differentia.errors import InputError
from differentia.networks.hubs.downloads import not_downloaded

COMMIT = re.compile("[0-9a-f]{40}")


def fetched(
    spec: str, repository: str, files: Sequence[str], *, revision: str | None = None, otherwise: str
) -> Path:
    """Return the folder of a repository in the hub's cache, with those of its files that have such names.

    Without a connection it is what was fetched before. `otherwise` is what else can be done.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return Path(_snapshot(repository, revision, [*files]))
    except HFValidationError as error:
        raise InputError(
            f"{spec}: {repository!r} is neither a folder nor the name of a repository, owner/name"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(
            f"{spec}: {repository} has no revision {revision!r}; give a branch, a tag or a commit"
        ) from error
    except RepositoryNotFoundError as error:  # also for those who may not read it
        raise InputError(
            f"{spec}: there is no folder {repository!r}, and {constants.ENDPOINT} has no repository of that "
            "name that you may read; check the name, or log in (hf auth login)"
        ) from error
    except Exception as error:  # many kinds, of the connection and of the disk
        where = f"{repository} is not in {constants.HF_HUB_CACHE}"
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise not_downloaded(spec, where, cause, ways=otherwise) from error


def _snapshot(repository: str, revision: str | None, files: list[str]) -> str:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if revision is not None and COMMIT.fullmatch(revision):
        with suppress(LocalEntryNotFoundError):
            return snapshot_download(
                repository, revision=revision, allow_patterns=files, local_files_only=True
            )
        # Without a connection this fails at once; of a commit, all else is tried for half a minute.
        HfApi().model_info(repository, revision=revision)
    return snapshot_download(repository, revision=revision, allow_patterns=files)
