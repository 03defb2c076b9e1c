"""What all tests share: shapes checked at run time, and the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import jaxtyping
import pytest

# Before the package is imported: every array's shape and type is then checked in every call.
jaxtyping.install_import_hook("differentia", "array_checks.check_arrays")

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("MPLBACKEND", "agg")

if TYPE_CHECKING:
    from digit_files import DigitFiles

VARIABLE = "DIFFERENTIA_TEST_DATA"


def find_real_data() -> Path | None:
    """Return the folder of real photographs and weights, where there is one."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ[VARIABLE]) if VARIABLE in os.environ else beside
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs and weights."""
    folder = find_real_data()
    if folder is None:
        if os.environ.get("DIFFERENTIA_REQUIRE_TEST_DATA"):
            pytest.fail(f"there is no real data: set {VARIABLE} to its folder")
        pytest.skip(f"there is no real data: set {VARIABLE} to its folder")
    return folder


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory: pytest.TempPathFactory) -> DigitFiles:
    """Handwritten digits as PNG files, which no test may change."""
    from digit_files import write_digit_files  # after the import hook

    return write_digit_files(tmp_path_factory.mktemp("digits"))
