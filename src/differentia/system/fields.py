"""Options as fields of dataclasses: what each may be, its default and its texts are declared once.

The signatures and docstrings of public functions are made from them (`takes`), and so are the checks of
keywords, experiment files and the command line (`accept`, `model_of`, `value_of`), and the help.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, fields
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from differentia.errors import InputError, require_known, short_tracebacks
from differentia.system.choices import Choice

_AnyOptions = TypeVar("_AnyOptions")
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _distinct(given: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [one for one in given if given.count(one) > 1]
    if twice:
        raise InputError(f"{twice[0]!r} is given twice; give it once")
    return given


Count = Annotated[int, Field(ge=1, lt=2**63)]
Whole = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
SEVERAL = BeforeValidator(lambda given: tuple(given) if isinstance(given, list | tuple) else (given,))
DISTINCT = AfterValidator(_distinct)

#: What letters behind a number stand for.
_FACTORS = {"k": Decimal(1000), "m": Decimal(1_000_000), "%": Decimal("0.01")}

#: What is expected, by Pydantic's name of an error; other errors are told in Pydantic's own words.
_EXPECTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    "bool_type": "true or false",
    **dict.fromkeys(("string_type", "string_unicode"), "a text"),
    "dict_type": "a dictionary",
    "greater_than_equal": "at least {ge:,.19g}",
    "less_than_equal": "at most {le:,.19g}",
    "greater_than": "more than {gt:,.19g}",
    "less_than": "less than {lt:,.19g}",
    "too_short": "{min_length} or more of them",
    "string_too_short": "a text that is not empty",
}


class Option(NamedTuple):
    """A field of options: what it may be, and what is told of it."""

    name: str
    kind: Any
    default: Any
    text: str  # how its help text and its entry in a docstring begin
    typed: str = ""  # how the help text goes on
    doc: str = ""  # how the entry goes on
    metavar: str = ""
    shown: str | None = None  # in the help, for a default of None
    in_file: bool = True  # whether an experiment file may give it: not what depends on the machine

    @property
    def choice(self) -> Choice | None:
        return _choice_of(self.kind)

    @property
    def placeholder(self) -> str:
        """What stands in the help for its value."""
        return self.metavar or ("NAME" if self.choice else "N,N,..." if takes_several(self.kind) else "N")

    @property
    def help(self) -> str:
        """What the command line says of it."""
        return f"{self.text}{self.typed}" + (f": {self.choice.listed}" if self.choice else ".")

    @property
    def entry(self) -> str:
        """What a docstring says of it, in its section Parameters."""
        names = ", ".join(f'"{name}"' for name in self.choice.names) if self.choice else ""
        heading = f"{self.name} : {{{names}}}" if names else self.name
        return f"{heading}\n{textwrap.indent(textwrap.fill(f'{self.text}{self.doc}.', 100), '    ')}"


def option(default: Any, text: str, **told: Any) -> Any:
    """Return a dataclass's field of which `Option` is told."""
    return field(default=default, metadata={"text": text, **told})


@cache
def options_of(*classes: Any) -> dict[str, Option]:
    """Return the fields of classes of options by name."""
    return {
        own.name: Option(own.name, kind, own.default, **own.metadata)
        for one in classes
        for own, kind in zip(fields(one), get_type_hints(one, include_extras=True).values(), strict=True)
    }


def _choice_of(kind: Any) -> Choice | None:
    if isinstance(kind, Choice):
        return kind
    parts = (*get_args(kind), *getattr(kind, "__metadata__", ()))
    return next(filter(None, map(_choice_of, parts)), None)


def takes_several(kind: Any) -> bool:
    """Return whether values of a type are tuples."""
    return get_origin(kind) is tuple or any(map(takes_several, get_args(kind)))


class Strict(BaseModel):
    """Fields of which no other is taken, and none that is not of its type: a text is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


def model_of(options: Iterable[Option]) -> type[Strict]:
    """Return the Pydantic model of options."""
    own: dict[str, Any] = {one.name: (one.kind, one.default) for one in options}
    return create_model("Options", __base__=Strict, **own)


@cache
def _model(options: Any) -> type[Strict]:
    return model_of(options_of(options).values())


def accept(options: type[_AnyOptions], given: Mapping[str, Any], *others: type) -> _AnyOptions:
    """Return the options of one class among a user's keywords; the others are those of other classes."""
    kind: Any = options  # a class, as which it can be hashed
    own, known = options_of(kind), options_of(kind, *others)
    for name in given:
        require_known("option", name, known)
    wanted = {
        name: value if callable(value) else as_toml(value) for name, value in given.items() if name in own
    }
    try:
        model = _model(kind)(**wanted)
    except ValidationError as error:
        raise InputError("; ".join(map(str, problems(error)))) from None
    return options(**{name: getattr(model, name) for name in own})


def value_of(kind: Any, text: str) -> Any:
    """Return the value of a type that a text of the command line stands for; commas part several values."""
    parts = [part.strip() for part in text.split(",")] if takes_several(kind) else [text]
    try:
        return TypeAdapter(kind).validate_python(parts if takes_several(kind) else text.strip())
    except ValidationError as error:
        problem = next(problems(error))
        if problem.given is None:
            raise InputError(problem.reason) from None
        part = str(problem.given).strip("'")
        meant = _number_meant(text, problem) or _number_meant(part, problem)
        held = f" holds {problem.given}" if len(parts) > 1 and part != text else ""
        raise InputError(f"{text!r}{held}; {problem.reason}{meant and f': write {meant}'}") from None


def _number_meant(text: str, problem: Problem) -> str:
    """Return how a number is written that was given as 10k, 1e4, 10,000, 95% or 95; "" if none was."""
    unit = text[-1:].lower()
    try:
        number = Decimal(text[:-1] if unit in _FACTORS else _without_commas(text))
    except InvalidOperation:
        return ""
    if not number.is_finite() or abs(number) > 10**12:
        return ""
    number *= _FACTORS.get(unit, 1)
    if percentage := problem.reason in ("expected less than 1", "expected at most 1") and 1 < number < 100:
        number /= 100
    thousands = problem.kind == "greater_than_equal" and "," in text  # of which a part is 000
    parsing = problem.kind == "float_parsing" or (problem.kind == "int_parsing" and not number % 1)
    return f"{number.normalize():f}" if percentage or thousands or parsing else ""


def _without_commas(text: str) -> str:
    return text.replace(",", "") if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", text) else text


class Problem(NamedTuple):
    """An error of Pydantic. What was given is None where the reason says it."""

    kind: str
    place: tuple[str, ...]
    given: str | None
    reason: str

    def __str__(self) -> str:
        name = ".".join(part for part in self.place if not part.isdecimal())
        return f"{name}: {self.reason}" if self.given is None else f"{name} is {self.given}; {self.reason}"


def problems(error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors():
        kind, reason = detail["type"], str(detail["msg"]).removeprefix("Value error, ")
        if kind in _EXPECTED:
            reason = f"expected {_EXPECTED[kind].format(**detail.get('ctx', {}))}"
        # What is there by mistake may be nested too deep to be shown.
        told = kind in ("value_error", "extra_forbidden", "missing")
        given = None if told else repr(detail["input"])
        yield Problem(kind, tuple(map(str, detail["loc"])), given, reason[0].lower() + reason[1:])


def as_toml(value: Any) -> Any:
    """Return a value as TOML has it: of lists, not tuples, and without NumPy's types."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: as_toml(item) for name, item in value.items()}
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return [as_toml(item) for item in value] if several else value


def takes(*classes: type, keywords: Any) -> Callable[[_Function], _Function]:
    """Give a function of ``**options`` the signature of the fields of classes that `keywords` has.

    Their entries are put into its docstring in place of ``{options}``; `keywords` is a TypedDict.
    """

    def give(function: _Function) -> _Function:
        own = inspect.signature(function)
        parameters = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
        known = [one for one in options_of(*classes).values() if one.name in keywords.__annotations__]
        for one in known:
            kind = keywords.__annotations__[one.name].__forward_arg__
            default = one.default[0] if kind == "str" and isinstance(one.default, tuple) else one.default
            parameters.append(
                inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            )
        function.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        entries = "\n".join(one.entry for one in known)
        function.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("{options}", entries)
        return short_tracebacks(function)

    return give
