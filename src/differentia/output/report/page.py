"""The page: what was measured, written into one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from differentia.errors import InputError
from differentia.networks.hubs.names import RANDOM
from differentia.output.paper.paragraph import describe_methods
from differentia.output.report.breaks import breakable
from differentia.output.report.contents import contents
from differentia.output.report.facts import facts, warnings_of, yardstick
from differentia.output.report.formula import formula
from differentia.output.report.trust import trust
from differentia.output.words import computed_label, tokens_label
from differentia.results.contrasts import contrasts_of
from differentia.results.dataset import as_kinds, provenance
from differentia.results.schema import checked
from differentia.results.summaries import extreme_layers
from differentia.results.weights import file_name, is_of_hub, weights_of
from differentia.system.files import user_path, written_whole

if TYPE_CHECKING:
    import xarray as xr
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

#: In the order in which they are read.
SCRIPTS = (
    *("data", "theme", "curves", "sets", "contrasts", "correlations", "between", "layer", "map"),
    *("time_courses", "predictions", "table", "enlarging", "address", "main"),
)

#: In pixels, of the main view in a notebook.
HEIGHT = 900


@checked
def write_report(
    results: xr.Dataset | Mapping[str, xr.Dataset],
    path: str | os.PathLike[str] = "report.html",
    contrasts: Sequence[xr.Dataset] | None = None,
) -> Path:
    """Write a result as one self-contained page that can be explored, sent and printed.

    The page asks for nothing from the network. What is too large for it is thinned, and it says so.

    Parameters
    ----------
    results
        What `measure`, `measure_responses` or `measure_kinds` returned.
    path
        Of the file; an existing one is replaced, at once or not at all.
    contrasts
        What `contrast` returned for pairs of sets. By default every two sets beside the reference are
        compared, where the (first) result has intervals; ``contrasts=()`` leaves that out.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    InputError
        There is no result, a contrast is not of it, or the file can't be written.
    StorageError
        The disk is full.
    """
    page = _page(results, contrasts, main_view=False)
    with written_whole(path) as beside:
        beside.write_text(page, encoding="utf-8")
    return user_path(path)


@checked
def show(
    results: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    height: int = HEIGHT,
    contrasts: Sequence[xr.Dataset] = (),
) -> None:
    """Show the report's main view, the curves and what is behind each layer, inline in Jupyter.

    Each view adds some 2 MB to the notebook for Plotly, and 3 MB at most for distances of many images.

    Parameters
    ----------
    results
        What `measure`, `measure_responses` or `measure_kinds` returned.
    height
        In pixels.
    contrasts
        What `contrast` returned for pairs of sets.

    Raises
    ------
    InputError
        There is no result, a contrast is not of it, or no IPython to show it with.
    """
    try:
        from IPython.display import HTML, display
    except ImportError as error:
        raise InputError(
            "show() needs a Jupyter notebook (pip install jupyterlab); write_report() writes a file that "
            "browsers open"
        ) from error
    page = _page(results, contrasts, main_view=True)
    # Within a <div>, since IPython warns of a lone <iframe>: its own IFrame takes no srcdoc.
    frame = (
        f'<div><iframe title="differentia" srcdoc="{html.escape(page)}" loading="lazy" '
        f'style="width: 100%; height: {int(height)}px; border: 0"></iframe></div>'
    )
    display(HTML(frame))  # type: ignore[no-untyped-call]


def _page(
    given: xr.Dataset | Mapping[str, xr.Dataset],
    compared: Sequence[xr.Dataset] | None,
    *,
    main_view: bool,
) -> str:
    results = as_kinds(given)
    first = next(iter(results.values()))
    known = provenance(first)
    network = str(known.get("network", ""))
    compared = contrasts_of(results) if compared is None else compared
    data = contents(results, compared, main_view=main_view)
    mathematics, meaning = formula(first)
    begin, script = read_template("begin.js"), "\n".join(read_template(f"{name}.js") for name in SCRIPTS)
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            title=f"Differentiation in {titled(known)}" if network else "Differentiation of responses",
            conditions=list(filter(None, [tokens_label(first), computed_label(first)])),
            data=data,
            data_of_scripts=_packed(_as_json(_without_gallery(data))),
            network=network,
            words=data["words"],
            overview=extreme_layers(first),
            facts=facts(results),
            trust=None if main_view else trust(results),
            warnings=warnings_of(results),
            yardstick=yardstick(first),
            provenance=known,
            shown=_switches(data),
            published=any(kind["raw"]["published"] for kind in data["kinds"]),
            formula=mathematics,
            formula_note=meaning,
            methods=None if main_view else describe_methods(results, contrasts=compared),
            main_view=main_view,
            style=Markup(read_template("style.css")),
            plotly=_plotly().compressed,
            script=Markup(script),
            begin=Markup(begin),
            policy=_policy([_plotly().digest, _digest(script), _digest(begin)]),
        )
    )


def _switches(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what of the curves can be left out, where it is there: a name of the scripts, and a text."""
    lines = [lines for kind in data["kinds"] for name in ("raw", "relative") if (lines := kind[name])]
    words = data["words"]
    texts = {"images": f"other {words['items']}", "units": f"other {words['units']}"}
    found = {source: text for source, text in texts.items() if any(of[source] for of in lines)}
    return {**found, **({"differ": "where sets differ"} if data["contrasts"] else {})}


def _without_gallery(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page's data without the pictures that the gallery holds: none is there twice."""
    gallery = {str(row) for row in data["gallery"]}
    images = {
        row: {name: value for name, value in image.items() if name != "picture" or row not in gallery}
        for row, image in data["images"].items()
    }
    return {**data, "images": images}


def short_name(network: str) -> str:
    """Return the name of a network without its options and the folder of its file."""
    name = network.partition("?")[0]
    return name.rpartition("/")[2] or name


def titled(known: Mapping[str, Any]) -> str:
    """Return the short name of a network, with those weights that its name does not stand for."""
    name, weights = short_name(str(known["network"])), weights_of(known)
    if weights == RANDOM:
        return f"{name} with random weights"
    told = not is_of_hub(str(known["network"])) or name.endswith(f".{weights}")
    return name if told or not weights else f"{name} with the weights {file_name(weights)}"


class _Plotly(NamedTuple):
    compressed: str
    digest: str


@cache
def _plotly() -> _Plotly:
    """Return the script that draws, which is 4.5 MB long, as gzip in base64; and its digest."""
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs()
    return _Plotly(_packed(script), _digest(script))


def _packed(text: str) -> str:
    """Return a text as gzip in base64."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _as_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, allow_nan=False, separators=(",", ":"))


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _policy(digests: Sequence[str]) -> str:
    """Return what the browser may do with the page: run scripts with these digests, ask for nothing."""
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def read_template(name: str) -> str:
    """Return the text of a file of the pages."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Return what fills the pages' templates."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment
