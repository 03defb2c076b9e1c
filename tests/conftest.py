"""What all tests share: shapes checked at run time, the folder of real data, and a browser."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xarray as xr
from helpers import array_checks, run_server, shared, tries

# What is imported stays, and there is much of it: looking through it again and again takes seconds.
gc.disable()

# Before the package is imported: every array's shape and type is then checked in every call.
array_checks.install("differentia")

# Labels that differ are an error where they would be left out in silence; and equal ones cost half as much.
xr.set_options(arithmetic_join="exact")  # type: ignore[no-untyped-call]

os.environ.setdefault("DIFFERENTIA_TRACEBACKS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("MPLBACKEND", "agg")

if TYPE_CHECKING:
    from helpers.digit_files import DigitFiles
    from playwright.sync_api import Browser

VARIABLE = "DIFFERENTIA_TEST_DATA"


TESTS = Path(__file__).parent

#: What takes longest, in this order: it is begun first, so that no worker is left alone with it at the end.
LONGEST = (
    *("test_real_data.py", "test_reliability.py", "output/report/test_reading.py", "test_tutorial.py"),
    *("output/report/test_intervals.py", "test_guides.py", "output/report/test_exploring.py", "test_site.py"),
    *("cli/test_measuring.py", "output/figures/test_save.py", "test_readme.py", "networks/test_keras.py"),
    *("networks/test_runner.py", "output/figures/test_lines.py", "cli/test_neurons.py"),
    *("cli/test_parts.py", "recording/test_cluster.py", "cli/test_resuming.py"),
    *("output/report/test_page.py", "cli/test_commands.py", "cli/test_stopping.py"),
    *("experiment/test_workers.py", "recording/test_parts.py", "recording/test_resuming.py"),
    *("results/test_published.py", "results/test_precision.py", "test_zoo.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    places = {TESTS / name: place for place, name in enumerate(LONGEST)}
    assert all(path.is_file() for path in places), "LONGEST names a file that is not there"
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish() -> None:
    """From here on unused objects are looked for, but not among what the imports have made."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave what was counted for the page that is written from it."""
    tries.write_counts(session.items)


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Counts tries of the test's row, once all that was asserted of them held."""
    (what,) = request.node.get_closest_marker("row").args

    def count(times: int = 1) -> None:
        request.module.ROWS.tries[what] += times

    return count


def find_real_data() -> Path | None:
    """Return the folder of real photographs and weights, where there is one."""
    beside = TESTS.parents[1] / "shared" / "data"
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


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is made once lies in a folder of the whole run, whatever number of workers it has."""
    own = tmp_path_factory.getbasetemp()
    run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    shared.FOLDER = run / "shared"
    shared.FOLDER.mkdir(exist_ok=True)


@pytest.fixture
def no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands draw neither figures nor report, but for the tests marked ``pictures``, which look at them."""
    if request.node.get_closest_marker("pictures") is None:
        monkeypatch.setattr(".".join(run_server.DRAWING), lambda *_, **__: {})


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory: pytest.TempPathFactory) -> DigitFiles:
    """Handwritten digits as PNG files, which no test may change."""
    from helpers.digit_files import write_digit_files  # after the import hook

    return write_digit_files(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window; one for all tests."""
    from helpers import browser as settings
    from playwright.sync_api import sync_playwright

    path = settings.find_chromium()
    if path is None:
        missing = f"there is no Chromium: install it, or set {settings.VARIABLE} to its path"
        if os.environ.get("DIFFERENTIA_REQUIRE_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=settings.OPTIONS)
        yield chromium
        chromium.close()
