"""A command line that can't be parsed: what was meant, in one line of our words instead of Typer's."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from differentia.errors import InputError, nearest_names, shortened, unknown_name

#: What commands are called in their stead, without hyphens.
COMMAND_SYNONYMS = {
    **dict.fromkeys(("analyse", "analyze", "calculate", "compute", "measurement", "record"), "measure"),
    **dict.fromkeys(
        ("between", "dimensionality", "dimensions", "distances", "quantiles", "stats"), "statistics"
    ),
    **dict.fromkeys(("compare", "comparison", "diff", "ttest"), "contrast"),
    **dict.fromkeys(("correlate", "correlation", "follow", "mantel"), "depth"),
    **dict.fromkeys(("draw", "figures", "html", "plot", "show"), "report"),
    **dict.fromkeys(("info", "inspect", "list", "modules", "summary"), "layers"),
    **dict.fromkeys(("choose", "classify", "pick"), "select"),
    **dict.fromkeys(("permute", "phases", "randomize", "shuffle"), "scramble"),
    **dict.fromkeys(("repeat", "rerun", "reproduce"), "run"),
    **dict.fromkeys(("holders", "missing", "progress", "state", "store", "who"), "status"),
    **dict.fromkeys(("example", "tutorial"), "demo"),
}

#: What options, with their values, are called in their stead.
OPTION_SYNONYMS = {
    **dict.fromkeys(("cuda", "gpu"), "--device cuda"),
    **dict.fromkeys(("cpu", "nogpu"), "--device cpu"),
    **dict.fromkeys(("dir", "directory", "folder", "o", "output", "outputdir", "save"), "--out"),
    **dict.fromkeys(("data", "dataset", "images", "stimuli"), "--set"),
    **dict.fromkeys(("classfolders", "csv", "imagefolder", "manifest", "table"), "--sets-from"),
    **dict.fromkeys(("distance", "dist", "measure"), "--metric"),
    **dict.fromkeys(("imagesize", "inputshape", "resolution", "shape", "size"), "--input-size"),
    **dict.fromkeys(("batch", "bs"), "--batch-size"),
    **dict.fromkeys(("mean", "std", "transform"), "--preprocess"),
    **dict.fromkeys(("alpha", "ci", "level"), "--confidence"),
    **dict.fromkeys(("channel", "filter", "filters", "maps"), "--map"),
    **dict.fromkeys(("k", "neurons", "nneurons", "numberofunits", "numunits"), "--n-units"),
    **dict.fromkeys(("number", "n", "num", "nimages"), "--count"),
    **dict.fromkeys(("repeats", "repetitions", "resamples", "trials"), "--draws"),
    **dict.fromkeys(("mem", "ram"), "--memory"),
    **dict.fromkeys(("force", "overwrite", "restart"), "--fresh"),
    **dict.fromkeys(("baseline", "control", "relativeto"), "--reference"),
    **dict.fromkeys(("trace", "traceback", "verbose"), "--debug"),
}

#: Options that take several values, with commas between.
WITH_COMMAS = ("--layers", "--n-units", "--units", "--map-images")


class Command(TyperCommand):
    """A command that tells what surplus arguments were meant for; its errors know it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            left = super().parse_args(ctx, args)
        except typer.TyperException as error:
            error.ctx = ctx  # type: ignore[attr-defined]
            raise
        if left and not ctx.resilient_parsing:
            raise InputError(_surplus(ctx, given, left))
        return left


def in_our_words(error: typer.TyperException, given: Sequence[str]) -> str:
    """Return what was wrong with a command line that Typer could not parse, and where its help is."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return str(error)
    kind, parameter = type(error).__name__, getattr(error, "param", None)
    commands = getattr(context.command, "commands", None)
    if kind == "NoSuchOption":
        told = _unknown_option(context, str(getattr(error, "option_name", "")), given)
    elif kind == "BadOptionUsage":
        told = _without_its_value(context, str(getattr(error, "option_name", "")))
    elif kind == "MissingParameter" and parameter is not None:
        told = f"{_name(parameter)} is missing ({parameter.help.rstrip('.')}); write {_as_written(context)}"
    elif kind == "BadParameter" and parameter is not None:
        told = f"{_name(parameter)}: {getattr(error, 'message', error)}"
    elif commands and (word := next((one for one in given if not one.startswith("-")), "")):
        told = _unknown_command(word, commands)
    else:
        told = getattr(error, "format_message", error.__str__)()
    return f"{told.rstrip('.')}; see {context.command_path} --help"


def _name(parameter: Any) -> str:
    """Return how a parameter is called: an option by its name, an argument by what stands for it."""
    is_option = parameter.param_type_name == "option"
    return str(parameter.opts[-1] if is_option else parameter.metavar or parameter.name.upper())


def _as_written(context: Any) -> str:
    """Return how a command is written, with its arguments."""
    arguments = [_name(one) for one in context.command.params if one.param_type_name == "argument"]
    return " ".join([context.command_path, *arguments])


def _unknown_command(word: str, commands: Sequence[str]) -> str:
    if word.endswith(".toml"):
        return (
            f"{word!r} is no command; to measure what an experiment file says, write differentia run {word}"
        )
    if ":" in word or word == "digits":
        return f"{word!r} is no command; to measure a network, write differentia measure {word}"
    return str(unknown_name("command", word, commands, COMMAND_SYNONYMS))


def _unknown_option(context: Any, name: str, given: Sequence[str]) -> str:
    command = context.command
    if commands := getattr(command, "commands", {}):
        behind = next((word for word in given if word in commands), "measure")
        return f"unknown option {name!r}; options stand behind the command: differentia {behind} {name}"
    # Of -layers the parser tells -l.
    typed = next((word for word in given if word.startswith(name) and name[1:2] != "-"), name)
    name = typed.partition("=")[0]
    plain = name.replace("-", "").replace("_", "").lower()
    known = _options(command)
    if command.name == "run" and name in _options(context.parent.command.commands["measure"]):
        return f"unknown option {name!r}; run measures what the file says: write it there"
    if plain in ("model", "net", "network") and "NETWORK" in _as_written(context):
        return f"unknown option {name!r}; the network stands by itself: {_as_written(context)}"
    meant = OPTION_SYNONYMS.get(plain, "")
    close = [meant] if meant.partition(" ")[0] in known else nearest_names(name, known, cutoff=0.6)
    return f"unknown option {name!r}" + (f"; did you mean {close[0]}?" if close else "")


def _options(command: Any) -> list[str]:
    names = [option for one in command.params for option in (*one.opts, *one.secondary_opts)]
    return [option for option in names if option.startswith("--")]


def _without_its_value(context: Any, name: str) -> str:
    for one in context.command.params:
        if name in (*one.opts, *one.secondary_opts):
            return f"{name} takes no value" if one.is_flag else f"{name} needs a value: {name} {one.metavar}"
    return f"{name} can't be used like this"


def _surplus(context: Any, given: Sequence[str], left: Sequence[str]) -> str:
    """Return what arguments that a command does not take were meant for."""
    for at, (word, name) in enumerate(itertools.pairwise(given)):
        sources = list(itertools.takewhile(lambda other: not other.startswith("-"), given[at + 2 :]))
        if word == "--set" and "=" not in name and sources:
            source = pattern_of(sources) if _are_files(sources) else sources[0]
            return f"--set {name} {shortened(sources[0])}: write both as one, --set '{name}={source}'"
    start = given.index(left[0])
    option, *values = [*given[max(0, start - 2) : start], *left]
    if _are_files(values):
        return (
            f"{len(left):,} surplus arguments, which are files: the shell has put them in the place of a "
            f"pattern; quote it: '{pattern_of(values)}'"
        )
    if option in WITH_COMMAS:
        return f"{option} {' '.join(values)}: write several with commas, {option} {','.join(values)}"
    return (
        f"{context.command_path} does not take {shortened(' '.join(left))!r}; write {_as_written(context)} "
        f"and options; see {context.command_path} --help"
    )


def _are_files(words: Sequence[str]) -> bool:
    """Return whether words are files that a shell may have put in the place of one pattern."""
    alike = len(set(map(os.path.isabs, words))) == 1
    return len(words) > 1 and alike and all(map(os.path.exists, words))


def pattern_of(files: Sequence[str]) -> str:
    """Return the pattern that a shell probably put files in the place of."""
    folder = os.path.commonpath([os.path.dirname(file) for file in files])
    endings = {Path(file).suffix for file in files}
    between = len(Path(files[0]).parts) - len(Path(folder).parts) - 1
    return os.path.join(folder, *["*"] * between, f"*{endings.pop() if len(endings) == 1 else ''}")
