"""The package as a whole: its public names, and the one-way flow of imports."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import differentia as dif

SOURCE = Path(dif.__file__).parent

#: In import order: a module imports only from those above it.
ORDER = [
    "errors",
    "choices",
    "fields",
    "specs",
    "folders",
    "machine",
    "locking",
    "hdf5",
    "random_sources",
    "matrix",
    "pairs",
    "tiles",
    "medians",
    "grams",
    "definition",
    "stimuli",
    "presentation",
    "layers",
    "units",
    "probes",
    "sketches",
    "networks",
    "classes",
    "store",
    "responses",
    "schedule",
    "ranking",
    "recording_options",
    "planning",
    "cost",
    "passes",
    "recording",
    "selection",
    "schema",
    "resampling",
    "dataset",
    "result_files",
    "draws",
    "intervals",
    "relatives",
    "contrasts",
    "sufficiency",
    "views",
    "tables",
    "published",
    "summaries",
    "colours",
    "mathml",
    "words",
    "paper",
    "figures",
    "report",
    "folding",
    "options",
    "analysis",
    "experiment",
    "experiment_file",
    "cli",
    "__main__",
]


def imported(tree: ast.AST) -> set[str]:
    """Return the modules of this package that code imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [node.module or ""]
            if node.module == "differentia":
                names = [f"differentia.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("differentia.")}
    return found


def arrows_down(module: str, code: str) -> set[str]:
    """Return what a module imports though it stands at or below it in the order."""
    return {name for name in imported(ast.parse(code)) - {module} if ORDER.index(name) > ORDER.index(module)}


def test_imports_go_one_way() -> None:
    """No module imports one below it, also not within a function."""
    files = [path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py"]
    seen = set()
    for path in files:
        module = path.relative_to(SOURCE).with_suffix("").parts[0]
        seen.add(module)
        assert not arrows_down(module, path.read_text(encoding="utf-8")), path
    assert seen == set(ORDER)


def test_the_import_check_can_fail() -> None:
    """An arrow down is found, at the top and in a function, in each way of writing it."""
    assert arrows_down("units", "from differentia.recording import record") == {"recording"}
    assert arrows_down("units", "def f():\n    from differentia import dataset") == {"dataset"}
    assert arrows_down("units", "def f():\n    import differentia.cli") == {"cli"}
    assert arrows_down("cli", "from differentia.units import unit_order") == set()


def test_public_names() -> None:
    """Every public name is there, documented, and found lazily."""
    for name in dif.__all__:
        item = getattr(dif, name)
        assert item.__doc__, name
        assert name in dir(dif)
    assert sorted(dif.__all__) == dif.__all__
    assert dif.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        _ = dif.mesure


def test_importing_the_package_costs_nothing() -> None:
    """Nothing heavy is loaded before a name is used; and then it is."""
    script = (
        "import sys, differentia\n"
        "assert not {'torch', 'keras', 'numpy', 'xarray'} & set(sys.modules)\n"
        "differentia.differentiation\n"
        "assert 'numpy' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_needs_no_pytorch() -> None:
    """What results, figures and options are made from is there at once: PyTorch takes seconds to import."""
    free = [
        *("specs", "folders", "machine", "locking", "hdf5", "stimuli", "presentation", "layers", "classes"),
        *("networks", "networks.base", "networks.preprocessing", "networks.keras_files"),
    ]
    script = (
        f"import importlib, sys\nfor name in {free}:\n"
        "    importlib.import_module(f'differentia.{name}')\n"
        "    assert not {'torch', 'keras'} & set(sys.modules), name\n"
        "from differentia.networks import COMPILE, PREPROCESSINGS, Network\n"
        "assert not {'torch', 'keras'} & set(sys.modules)\n"
        "from differentia.networks import Runner\n"
        "assert 'torch' in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "use",
    ["result", "dif.plot(result)", "dif.write_report(result, 'x.html')", "dif.to_dataframe(result)"],
)
def test_looking_at_a_result_needs_no_network(use: str, tmp_path: Path) -> None:
    """Neither PyTorch nor Keras is loaded to read a result, draw it, or make its report or table."""
    rng = np.random.default_rng(0)
    arrays = {name: {"V1": rng.normal(size=(12, 30))} for name in ("cats", "noise")}
    dif.save(dif.measure_responses(arrays, n_units=10), tmp_path / "x.nc")
    script = (
        "import sys, differentia as dif\n"
        "result = dif.load_result('x.nc')\n"
        f"{use}\n"
        "assert not {'torch', 'keras'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=tmp_path, env={**os.environ, "MPLBACKEND": "agg"}
    )


def test_type_information_is_shipped() -> None:
    """Users' type checkers see the annotations."""
    assert (SOURCE / "py.typed").is_file()
