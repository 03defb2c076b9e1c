"""The package as a whole: its public names, and the one-way flow of imports."""

from __future__ import annotations

import ast
import graphlib
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import differentia as dif

SOURCE = Path(dif.__file__).parent

#: From the bottom up: a package imports only from those of lines above its own, `errors` being above all.
HOUSE = [
    {"errors"},
    {"system"},
    {"definition", "stimuli", "networks"},
    {"recording", "neurons"},
    {"results"},
    {"experiment", "output"},
    {"cli"},
    {"__main__"},
]
LEVEL = {package: level for level, packages in enumerate(HOUSE) for package in packages}


def imported(tree: ast.AST) -> set[str]:
    """Return the modules of this package that code imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("differentia.") for name in found if name.startswith("differentia.")}


def wrong_arrows(module: str, code: str) -> set[str]:
    """Return the packages that a module imports from though they do not stand above its own."""
    own = module.partition(".")[0]
    packages = {name.partition(".")[0] for name in imported(ast.parse(code))} - {own}
    return {package for package in packages if LEVEL[package] >= LEVEL[own]}


def modules() -> Iterator[tuple[str, str]]:
    """Yield the name and the code of each module; a package has the name of its folder."""
    for path in SOURCE.rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        if name:
            yield name, path.read_text(encoding="utf-8")


def import_cycle(code: Mapping[str, str]) -> list[str]:
    """Return modules that import each other in a circle, if there are any."""
    graph = {}
    for name, text in code.items():
        # "networks.base.Network" is a name within the module "networks.base".
        found = imported(ast.parse(text))
        targets = {target if target in code else target.rpartition(".")[0] for target in found}
        graph[name] = targets & set(code)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_imports_go_one_way() -> None:
    """No package imports one that does not stand above it, also not within a function."""
    for name, code in modules():
        assert not wrong_arrows(name, code), name
    assert {name.partition(".")[0] for name, _ in modules()} == set(LEVEL)


def test_no_modules_import_each_other() -> None:
    """Within the packages too imports go one way."""
    assert not import_cycle(dict(modules()))


def test_the_import_checks_can_fail() -> None:
    """A wrong arrow is found, at the top and in a function, in each way of writing it; so is a circle."""
    assert wrong_arrows("recording.units", "from differentia.results.schema import LIMITS") == {"results"}
    assert wrong_arrows("recording.units", "def f():\n    from differentia import results") == {"results"}
    assert wrong_arrows("recording.units", "def f():\n    import differentia.cli.entry") == {"cli"}
    assert wrong_arrows("output.words", "from differentia.experiment import measure") == {"experiment"}
    assert wrong_arrows("cli.entry", "from differentia.recording.units import unit_order") == set()
    one, other = "from differentia.recording import units", "from differentia.recording.passes import Passes"
    circle = import_cycle({"recording.passes": one, "recording.units": other, "recording": ""})
    assert set(circle) == {"recording.passes", "recording.units"}
    assert not import_cycle({"recording.passes": one, "recording.units": "", "recording": ""})


def test_public_names() -> None:
    """Every public name is there, documented, and found lazily."""
    for name in dif.__all__:
        item = getattr(dif, name)
        assert item.__doc__, name
        assert name in dir(dif)
    assert sorted(dif.__all__) == dif.__all__
    importlib.import_module("differentia.results.tables")  # no module joins or hides them
    assert dir(dif) == dif.__all__
    assert dif.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="differentia attribute mesure"):
        _ = dif.mesure  # type: ignore[attr-defined]


def test_no_public_name_shadows_a_module() -> None:
    """A module of that name would take the place of the function once it is imported."""
    top = {name.partition(".")[0] for name, _ in modules()}
    assert "recording" in top
    assert not top & set(dif.__all__)


def test_importing_the_package_costs_nothing() -> None:
    """Nothing heavy is loaded before a name is used; and then it is."""
    script = (
        "import sys, differentia\n"
        "assert not {'torch', 'keras', 'numpy', 'xarray'} & set(sys.modules)\n"
        "differentia.differentiation\n"
        "assert 'numpy' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


#: Packages, and modules, that results, figures and options are made from.
WITHOUT_A_NETWORK = (
    *("errors", "system", "definition.measure", "stimuli", "results", "output", "recording.responses"),
    *("recording.options", "recording.units", "networks.classes", "networks.layers"),
    *("networks.preprocessing", "networks.keras_files", "experiment.options"),
)


def test_what_needs_no_pytorch() -> None:
    """What looks at results is there at once: PyTorch takes seconds to import."""
    free = [
        name for name, _ in modules() if f"{name}.".startswith(tuple(f"{one}." for one in WITHOUT_A_NETWORK))
    ]
    assert {"output.figures.lines", "results.schema", "networks.layers"} <= set(free)
    script = (
        f"import importlib, sys\nfor name in {free}:\n"
        "    importlib.import_module(f'differentia.{name}')\n"
        "    assert not {'torch', 'keras'} & set(sys.modules), name\n"
        "import differentia.networks.runner\n"
        "assert 'torch' in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_looking_at_a_result_needs_no_network(tmp_path: Path) -> None:
    """Neither PyTorch nor Keras is loaded to read a result, draw it, or make its report or table."""
    rng = np.random.default_rng(0)
    arrays = {name: {"V1": rng.normal(size=(12, 30))} for name in ("cats", "noise")}
    dif.save(dif.measure_responses(arrays, n_units=10), tmp_path / "x.nc")
    script = (
        "import sys, differentia as dif\n"
        "result = dif.load_result('x.nc')\n"
        "for use in (dif.plot, lambda result: dif.write_report(result, 'x.html'), dif.to_dataframe):\n"
        "    assert not {'torch', 'keras'} & set(sys.modules)\n"
        "    use(result)\n"
        "assert not {'torch', 'keras'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, cwd=tmp_path, env={**os.environ, "MPLBACKEND": "agg"}
    )


def test_type_information_is_shipped() -> None:
    """Users' type checkers see the annotations."""
    assert (SOURCE / "py.typed").is_file()
