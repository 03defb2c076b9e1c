"""Code that a name is of: what fails in it is told, and what surely makes no network is not called."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

import pytest
import torch
from helpers.networks import SHAPE

import differentia as dif
from differentia.networks.factories import run_factory

CODE = """
import sys
def raises(): raise ValueError("no\\n good")
def ends(): sys.exit(3)
def gives(): return {"a": 1}
"""


def test_code_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was raised, and on which of its lines; modules that can't be compiled, or end the program."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, code in {
        "own_code": CODE,
        "own_typo": "def x(:",
        "own_script": "\n1 / 0",
        "own_names": "from own_code import raises",
    }.items():
        (tmp_path / f"{name}.py").write_text(code)
    for spec, told in {
        "own_code:raises": r"raises failed with ValueError: no good \(own_code\.py, line 3\); mend that code",
        "own_names:raises": r"raises failed with ValueError: no good \(own_code\.py, line 3\)",
        "own_code:ends": r"ends failed with SystemExit: 3 \(own_code\.py, line 4\)",
        "own_code:gives": "gives returned an object of type dict; expected a torch.nn.Module, a keras.Model "
        "or a Network; name a function of yours that returns one, as in my_code:make_net$",
        "own_typo:x": r"importing own_typo failed with SyntaxError: .* \(own_typo\.py, line 1\); mend",
        "own_script:x": r"importing own_script failed with ZeroDivisionError: .* \(own_script\.py, line 2\)",
    }.items():
        with pytest.raises(dif.InputError, match=f"^{spec}: {told}") as caught:
            dif.load_network(spec, preprocess="unit", input_shape=SHAPE)
        assert "\n" not in str(caught.value)


def test_an_installed_package_that_fails_is_no_code_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is made for another PyTorch does; what a package lacks is named all the same."""
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    for name, code in {
        "of_another": "raise RuntimeError('operator nms does not exist')",
        "of_yet_another": "raise ImportError('libtorch.so: cannot open')",
        "in_need": "import not_there",
    }.items():
        (tmp_path / "site-packages" / name).mkdir(parents=True)
        (tmp_path / "site-packages" / name / "__init__.py").write_text(code)
        (tmp_path / "site-packages" / name / "models.py").touch()
    version = re.escape(torch.__version__)
    for spec, told in {
        "of_another.models:x": r"package 'of_another' can't be imported \(RuntimeError: operator nms does "
        r"not exist\); it, or what it imports, may be made for another version than PyTorch's here, "
        rf"{version}: reinstall it",
        "of_yet_another:x": r"package 'of_yet_another' can't be imported \(ImportError: libtorch\.so: cannot",
        "in_need:x": r"the module 'in_need' can't be imported \(No module named 'not_there'\); install it",
    }.items():
        with pytest.raises(dif.InputError, match=told):
            dif.load_network(spec, preprocess="unit", input_shape=SHAPE)


CALLED: list[str] = []


class Plain:
    """No network."""


class Mixin:
    """What a network is, among other things."""


class Mixed(Mixin, torch.nn.ReLU):
    """A network."""


class Odd(type):
    """A class of classes that can't be compared."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise TypeError("no")


class Incomparable(metaclass=Odd):
    """No network, but who knows."""


class Called(Protocol):
    """What a network is, too."""

    def __call__(self, images: Any) -> Any: ...


Either = TypeVar("Either")
Made = TypeVar("Made", bound=torch.nn.Module)

#: What may be a network, as far as can be told without calling.
POSSIBLE = (
    *(Any, object, torch.nn.Module, torch.nn.Linear, dif.Network, Mixin, Called, Incomparable, Either, Made),
    *(torch.nn.Module | None, int | torch.nn.Module, Annotated[torch.nn.Module, "trained"], Literal[1]),
    *(Callable[[torch.Tensor], torch.Tensor], "NoSuchName", "torch.nn.Module", "keras.Model"),
)

#: What surely is none.
IMPOSSIBLE = {
    "int": int,
    "str": "str",
    "None": None,
    "Plain": Plain,
    "Path": Path,
    "Tensor": torch.Tensor,
    "ndarray": "__import__('numpy').ndarray",
    "list[int]": list[int],
    "tuple[torch.nn.modules.module.Module, int]": tuple[torch.nn.Module, int],
    "int | None": int | None,
    "typing.Annotated[int, 'bytes']": Annotated[int, "bytes"],
}


def annotated(returned: Any) -> Callable[[], Any]:
    """Return a factory that says what it returns, and is seen when it is called."""

    def make() -> Any:
        CALLED.append("make")
        return torch.nn.ReLU()

    make.__annotations__["return"] = returned
    return make


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Gives what the name of a factory is loaded as."""
    CALLED.clear()

    def run(factory: Any, **options: Any) -> Any:
        monkeypatch.setattr(f"{__name__}.factory", factory, raising=False)
        return run_factory("spec", __name__, "factory", **options)

    return run


@pytest.mark.parametrize("returned", POSSIBLE, ids=str)
def test_what_may_make_a_network_is_called(made: Callable[..., Any], returned: Any) -> None:
    """It is what comes that counts."""
    assert isinstance(made(annotated(returned)), torch.nn.ReLU)
    assert CALLED == ["make"]


@pytest.mark.parametrize("name", list(IMPOSSIBLE))
def test_what_surely_makes_none_is_not_called(made: Callable[..., Any], name: str) -> None:
    """Its annotation says so; the message repeats it."""
    told = f"^spec: factory makes {re.escape(name)}, so that it was not called; expected a torch"
    with pytest.raises(dif.InputError, match=told):
        made(annotated(IMPOSSIBLE[name]))
    assert CALLED == []


def test_a_class_is_its_own_annotation(made: Callable[..., Any]) -> None:
    """One of networks is called with its options, another is not."""
    assert made(torch.nn.Linear, in_features=2, out_features=3).weight.shape == (3, 2)
    assert isinstance(made(Mixed), Mixed)
    with pytest.raises(dif.InputError, match="factory makes Popen, so that it was not called"):
        made(subprocess.Popen, args="false")
    with pytest.raises(dif.InputError, match="returned an object of type Mixin; expected"):
        made(Mixin)


def test_what_comes_is_a_network(made: Callable[..., Any]) -> None:
    """Also of code without annotation or signature; weights of a file are not asked for before."""
    for factory, kind in {lambda: 3: "int", lambda: (torch.nn.ReLU(), 1): "tuple", dict: "dict"}.items():
        with pytest.raises(dif.InputError, match=f"(returned an object of type|makes) {kind}[,;]"):
            made(factory, weights="gone.pt")
    with pytest.raises(dif.InputError, match="returned an object of type NoneType"):
        made(print)
    with pytest.raises(dif.InputError, match="spec: factory failed with TypeError"):
        made(iter)  # of which inspect knows no signature
    with pytest.raises(dif.InputError, match="spec: factory is of type int; expected a torch"):
        made(7)
