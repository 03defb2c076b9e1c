"""What the command line prints: numbers on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from differentia.cli.tables import WIDTH_IN_FILES, Column, aligned, table_lines
from differentia.errors import printable
from differentia.system.terminal import PrintableStream

#: What is printed of more sets than have a column.
QUANTILES = {"10 %": 0.1, "median": 0.5, "90 %": 0.9}

#: Layers in which sets differ that are named below a table.
MOST_NAMED = 10

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


def say(message: str) -> None:
    """Print a message on one line of stderr, above a progress bar."""
    sys.stderr.write(" ".join(message.split()) + "\n")
    sys.stderr.flush()


def print_text(text: str = "", *, bold: bool = False) -> None:
    """Print lines of text on stdout."""
    if bold and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        _as_it_is(f"\x1b[1m{printable(text)}\x1b[0m\n")
    else:
        sys.stdout.write(f"{printable(text)}\n")


def print_json(content: Any) -> None:
    """Print as JSON on stdout; what is not a number is null."""
    content = json.loads(json.dumps(content), parse_constant=lambda _: None)
    print_text(json.dumps(content, indent=1, ensure_ascii=False))


def print_csv(text: str) -> None:
    """Print a table of CSV on stdout; a pipe gets names as they are."""
    if sys.stdout.isatty():
        sys.stdout.write(text)
    else:
        _as_it_is(text)


def _as_it_is(text: str) -> None:
    stream = sys.stdout
    if isinstance(stream, PrintableStream):
        stream.write_as_it_is(text)
    else:
        stream.write(text)


def print_table(title: str, names: Column, columns: Sequence[Column]) -> None:
    """Print a table of named rows."""
    print_text(_wrapped(title), bold=True)
    for line in table_lines(_shown(names), list(map(_shown, columns)), _room()):
        print_text(line)


def _shown(column: Column) -> Column:
    """Return a column as it is printed, which is how wide it is."""
    heading, cells = map(printable, column.heading), map(printable, column.cells)
    return replace(column, heading=list(heading), cells=list(cells))


def print_paragraph(*sentences: str) -> None:
    """Print sentences one after the other."""
    if sentences:
        print_text(_wrapped(" ".join(sentences)))


def _wrapped(text: str) -> str:
    """Return a text on lines that fit the terminal, and do not end within a word or before a percent sign."""
    text = printable(text)
    if not sys.stdout.isatty():
        return text
    kept = text.replace(" %", "\N{NO-BREAK SPACE}%")
    kept = textwrap.fill(kept, _room(), break_long_words=False, break_on_hyphens=False)
    return kept.replace("\N{NO-BREAK SPACE}%", " %")


def _room() -> int:
    """Return how many columns there are to write into."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_IN_FILES


class _Say(logging.Handler):
    """Prints what the library has to tell."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"differentia: {record.getMessage()}")


@contextmanager
def told_by_the_library() -> Iterator[None]:
    """Print on stderr what the library logs: what is reused, and how long the rest will take."""
    library, handler = logging.getLogger("differentia"), _Say(logging.INFO)
    level = library.level
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.setLevel(level)


def print_result(result: xr.Dataset) -> None:
    """Print layers x sets at the largest number of units, relative columns beside; then what to trust.

    Of many sets the columns are quantiles over them, beside the reference.
    """
    import numpy as np

    from differentia.output.chosen import are_many
    from differentia.output.words import units_title
    from differentia.results.copies import say_copies
    from differentia.results.doubts import doubts, say_doubts, say_undefined
    from differentia.results.precision import say_precision
    from differentia.results.references import references_of, short_name
    from differentia.results.schema import LIMITS
    from differentia.results.subject import subject_of, unit_noun
    from differentia.results.summaries import confidence_of, layer_names, percent
    from differentia.results.tables import table_rows

    count, references = int(result["n_units"].values[-1]), references_of(result)
    reference = str(result.attrs["reference"])
    subject = subject_of(result)
    names = [str(name) for name in result["set"].values]
    many, others = are_many(result), [name for name in names if name != reference]
    layers = layer_names(result)
    found = {(one["layer"], one["set"]): one for one in table_rows(result) if one["n_units"] == count}
    doubted = (doubts(result) != "").sel(n_units=count)
    if many:
        doubted = doubted.sel(set=[name for name in names if name == reference])

    def marks_of(*names: str) -> list[str]:
        return ["?" if mark else "" for mark in doubted.sel(set=list(names)).any("set").values]

    def values_of(name: str) -> Column:
        marked = zip(layers, marks_of(name), strict=True)
        return Column([name], aligned([_value_parts(found[layer, name], mark) for layer, mark in marked]))

    def over_sets(share: float, name: str, what: str) -> Column:
        values = np.array([[_number(found[layer, one][name]) for one in others] for layer in layers])
        return Column(
            [f"{what},", f"{len(others):,} sets"],
            aligned([written_value(value, np.nan, np.nan) for value in _over_sets(values, share)]),
        )

    def relative_to(name: str) -> Column:
        known = ("relative", "relative_images_low", "relative_images_high")
        marked = zip(layers, marks_of(name, references[name]), strict=True)
        cells = [
            (written_value(*(found[layer, name][what] for what in known))[0], mark) for layer, mark in marked
        ]
        return Column([f"{name} /", references[name]], aligned(cells))

    title = f"Differentiation, {units_title(str(result['units'].item()), count, subject.unit.many)}"
    confidence = confidence_of(result)
    if confidence is not None and bool(result[LIMITS[0]].sel(source="images").notnull().any()):
        title += f" [{percent(confidence)}: other {subject.item.many}]"
    used = Column([unit_noun(result).many], [f"{found[layer, names[0]]['units_used']:,}" for layer in layers])
    if not many:
        columns = [
            *map(values_of, names),
            *(relative_to(name) for name in names if references[name] not in ("", name)),
        ]
    else:
        columns = [
            *([values_of(reference)] if reference else []),
            *(over_sets(share, "differentiation", what) for what, share in QUANTILES.items()),
            *(
                [over_sets(0.5, "relative", f"median / {short_name(references)}")]
                if short_name(references)
                else []
            ),
        ]
    print_table(
        title,
        Column([subject.place.one], layers, text=True),
        [used, *columns],
    )
    if many:
        which = f"the other {len(others):,}" if reference else f"all {len(others):,}"
        kept = "--json prints the values of each, and result.nc holds them (--out)"
        print_text(f"Quantiles over {which} sets. {kept}.")
    print_text()
    if bool(doubted.any()):
        print_text(f"?: not to be trusted for other {subject.item.many}; why is said below")
    print_paragraph(
        *say_precision(result),
        *say_doubts(result),
        *say_undefined(result),
        *say_copies(result),
        *_say_too_many(result, subject.item.many),
    )


def _say_too_many(result: xr.Dataset, items: str) -> list[str]:
    """Say that the result holds nothing of pairs, where there were too many images."""
    from differentia.experiment.measure import MOST_IMAGES_WITH_DISTANCES
    from differentia.results.schema import TRIAL_VALUES

    if {"distance", TRIAL_VALUES} & {*result} or result.sizes["image"] <= MOST_IMAGES_WITH_DISTANCES:
        return []
    return [
        f"Of {result.sizes['image']:,} {items} no distances, maps or small pictures are kept, and no "
        f"statistics of pairs: measure at most {MOST_IMAGES_WITH_DISTANCES:,} in all for these."
    ]


def _over_sets(values: np.ndarray, share: float) -> list[float]:
    """Return a quantile over the sets (columns) of each layer (row); of none that is known, NaN."""
    import numpy as np

    known = [of[np.isfinite(of)] for of in values]
    return [float(np.quantile(of, share)) if len(of) else math.nan for of in known]


def _value_parts(row: dict[str, Any], mark: str) -> tuple[str, str, str]:
    name, spread = "differentiation", row["sd_over_draws"]
    limits = row[f"{name}_images_low"], row[f"{name}_images_high"]
    value, around, interval = written_value(row[name], *limits, spread)
    return value, around, mark or interval


def written_value(value: float, low: float, high: float, spread: float = 0.0) -> tuple[str, str, str]:
    """Return a value, its SD over draws, and its interval as texts; what is not known is empty."""
    digits = _decimals(value, high - low, 4 * spread)
    style = ".1e" if 0 < abs(value) < 1e-4 else f".{digits}f"
    around = f"\u00b1 {_written(spread, style)}" if spread > 0 else ""
    interval = "" if math.isnan(high - low) else f"[{_written(low, style)}, {_written(high, style)}]"
    return _written(value, style), around, interval


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _written(number: float, style: str) -> str:
    """Return a number as text; one that is not 0 does not look like it."""
    text = f"{number:{style}}"
    return f"{number:.1g}" if number and float(text) == 0 else text


def _decimals(value: float, interval: float, around: float) -> int:
    """Return the decimals of a value that is known so closely: the smaller width is 3 to 30 of the last.

    There are at least two, or as many as make three figures of a value; where it is not known how closely,
    there are no more, but for two figures of a small value.
    """
    known = [width for width in (interval, around) if 0 < width < math.inf]
    size = math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0
    if interval == 0 and not known:
        return max(3, 1 - size)
    if not known:
        return max(2 - max(size, 0), 1 - size, 0)
    return min(max(1 - round(math.log10(min(known))), 2 - max(size, 0), 0), max(4, 2 - size))


def print_contrast(found: xr.Dataset, result: xr.Dataset) -> None:
    """Print what `contrast` returned of a result: layer by layer, where the sets differ, what is unknown."""
    from differentia.output.words import corrected_over, units_title
    from differentia.results.contrasts import SIGNIFICANT
    from differentia.results.copies import say_copies
    from differentia.results.doubts import say_doubts, say_undefined
    from differentia.results.precision import say_missing
    from differentia.results.subject import subject_of
    from differentia.results.summaries import layer_names, percent

    subject = subject_of(result)
    place = subject.place
    first, second = found.attrs["first"], found.attrs["second"]
    rows = found.to_dataframe().reset_index().to_dict("records")
    print_table(
        f"{first} and {second}{', paired' if found.attrs['paired'] else ''}, "
        f"{units_title(str(found.attrs['units']), int(found.attrs['n_units']), subject.unit.many)} "
        f"[{percent(found.attrs['confidence'])}: other {subject.item.many}]",
        Column([place.one], layer_names(found), text=True),
        [
            *(
                Column([f"{first} {sign}", second], _contrasted(rows, name))
                for name, sign in _BETWEEN.items()
            ),
            *(Column(heading, [written_p(one[name]) for one in rows]) for name, heading in _OF_P.items()),
        ],
    )
    print_text()
    differ = [str(name) for name in found["layer"].values[found["p_corrected"].values < SIGNIFICANT]]
    unknown, number = int(found["p"].isnull().sum()), found.sizes["layer"]
    said = f"They can't be compared in any {place.one}."
    if unknown < number:
        named = f": {place.listed(differ, MOST_NAMED)}" if 0 < len(differ) < number else ""
        said = (
            f"They differ in {len(differ)} of {place.count(number)} (p < {SIGNIFICANT:g}, corrected over "
            f"{corrected_over(found, place.one)}){named}{f'; unknown in {unknown}' if unknown else ''}."
        )
    compared = result.sel(set=[first, second])
    known = (*say_missing(compared), *say_doubts(compared), *say_undefined(compared), *say_copies(compared))
    print_paragraph(said, *known)


#: How the names of the two sets stand above a difference and a ratio, and the headings of p.
_BETWEEN = {"difference": "-", "ratio": "/"}
_OF_P = {"p": ["p"], "p_corrected": ["corrected", "p"]}


def _contrasted(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    """Return a difference or a ratio of each layer with its interval."""
    cells = [written_value(one[name], one[f"{name}_low"], one[f"{name}_high"]) for one in rows]
    return aligned([("-", "", "") if cell[0] == "nan" else cell for cell in cells])


def written_p(p: float) -> str:
    """Return a p as text; "-" where there is none."""
    if math.isnan(p):
        return "-"
    return f"{p:.1e}" if p < 0.0001 else f"{p:.4f}"


#: What is printed of the sets, below the headings: of each layer.
_OF_SETS = {
    "mean": ["mean"],
    "dimensionality": ["dimensions"],
    "dimensionality_unbiased": ["unbiased", "dimensions"],
}


def print_statistics(found: xr.Dataset, result: xr.Dataset) -> None:
    """Print what `statistics` returned of a result: sets, then the pairs with p, each layer by layer.

    Of many sets the columns are quantiles over them, beside the reference.
    """
    from differentia.output.chosen import are_many
    from differentia.output.words import units_title
    from differentia.results.subject import subject_of
    from differentia.results.summaries import layer_names

    subject = subject_of(result)
    items, names = subject.item.many, Column([subject.place.one], layer_names(found), text=True)
    count = units_title(str(found.attrs["units"]), int(result["n_units"].max()), subject.unit.many)
    if bool(found["dimensionality"].notnull().any()):
        shown = {what: heading for what, heading in _OF_SETS.items() if bool(found[what].notnull().any())}
        many = are_many(result)
        alone = [name for name in found["set"].values if not many or name == result.attrs["reference"]]
        columns = [
            Column([str(name), *heading], [_value(one) for one in found[what].sel(set=name).values])
            for name in alone
            for what, heading in shown.items()
        ]
        if many:
            others = found.drop_sel(set=alone)
            columns += [
                Column([*heading, part], [_value(one) for one in _over_sets(values, share)])
                for what, heading in shown.items()
                for values in [others[what].transpose("layer", "set").values]
                for part, share in QUANTILES.items()
            ]
        print_table(f"Mean distance of pairs, and dimensions of responses, {count}", names, columns)
        if many:
            print_text(
                f"Quantiles over {others.sizes['set']:,} sets. --json prints the values of each, and --table "
                "FILE writes them."
            )
        print_text()
    compared = found.isel(pair=found["p"].notnull().any("layer").values)
    for at in range(compared.sizes["pair"]):
        _print_between(compared.isel(pair=at), names, items)
    said = [found.attrs["unknown"]] if found.attrs["unknown"] else []
    if found.sizes["set"] <= MOST_NAMED:
        sizes = zip(found["set"].values, found["n_images"].values, strict=True)
        counts = ", ".join(f"{name} {int(n):,}" for name, n in sizes)
        said.append(
            f"{items.capitalize()}: {counts}. Dimensions are at most one less, and too few; unbiased ones "
            f"are those of all {items} of the kind."
        )
    print_paragraph(*said, *_say_shared(compared, result))


def _print_between(of_pair: xr.Dataset, names: Column, items: str) -> None:
    """Print the distances between two sets and within each, layer by layer."""
    from differentia.results.summaries import percent

    first, second = str(of_pair["first"].item()), str(of_pair["second"].item())
    headings = {
        "between": ["between"],
        "within_first": ["within", first],
        "within_second": ["within", second],
    }
    limits = zip(*(of_pair[f"excess{end}"].values for end in ("", "_low", "_high")), strict=True)
    cells = [("-", "", "") if math.isnan(one[0]) else written_value(*map(float, one)) for one in limits]
    columns = [
        *(
            Column(heading, [_value(one) for one in of_pair[name].values])
            for name, heading in headings.items()
        ),
        Column(["excess"], aligned(cells)),
        *(
            Column(heading, [written_p(float(p)) for p in of_pair[name].values])
            for name, heading in _OF_P.items()
        ),
    ]
    level = percent(of_pair.attrs["confidence"])
    print_table(
        f"Median distances between {first} and {second}, and within [{level}: other {items}]", names, columns
    )
    print_text()


def _say_shared(compared: xr.Dataset, result: xr.Dataset) -> list[str]:
    """Say which of the sets that were compared show the same images, and what is done about them."""
    from differentia.results.copies import in_two_sets

    if not bool((result["image_hash"] != "").any()):  # of stimuli that are not known
        return []
    pairs = set(zip(compared["first"].values.tolist(), compared["second"].values.tolist(), strict=True))
    cases = [f"{' and '.join(pair)}: {n:,}" for pair, n in in_two_sets(result).items() if pair in pairs]
    told = (
        f"Images are in two sets ({'; '.join(cases)}): none is compared with itself, and they stay in both."
    )
    return [told] if cases else []


def _value(number: float) -> str:
    return "-" if math.isnan(number) else written_value(float(number), math.nan, math.nan)[0]
