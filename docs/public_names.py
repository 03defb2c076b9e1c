"""What the site knows of the package's public names: their entries, their types, and links to them.

- The directive ``public-names:: MODULE ...`` holds the entries of the public names whose home is one of those
  modules. A public name that no page has an entry for is a warning, and so an error of ``make docs``.
- The docstrings say what a parameter is, and its annotation says of which type; here they are joined.
- ```measure``` in a docstring, and ``dif.measure`` as code on a page, become links.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import differentia as dif

_log = logging.getLogger(__name__)

#: ``dif.measure``, ``dif.measure(...)``: code that stands for a public name.
_MENTION = re.compile(r"dif\.(\w+)(?:\(.*\))?")


def _home(name: str) -> str:
    """Return the module or subpackage that a public name comes from."""
    return str(getattr(dif, name).__module__).removeprefix("differentia.")


class PublicNames(SphinxDirective):
    """A table of the public names of some modules, and the entry of each."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Return the table and the entries, functions first."""
        modules = self.arguments[0].split()
        names = [
            name for name in dif.__all__ if f"{_home(name)}.".startswith(tuple(f"{one}." for one in modules))
        ]
        if not names:
            return []
        names.sort(key=lambda name: inspect.isclass(getattr(dif, name)))
        lines = [".. currentmodule:: differentia", "", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in names]
        for name in names:
            lines += ["", *_entry(name)]
        return self.parse_text_to_nodes("\n".join(lines))


def _entry(name: str) -> list[str]:
    item = getattr(dif, name)
    if not inspect.isclass(item):
        return [f".. autofunction:: {name}"]
    if issubclass(item, BaseException):
        return [f".. autoexception:: {name}", "   :show-inheritance:"]
    return [f".. autoclass:: {name}", "   :members:", "   :class-doc-from: class"]


def _require_entries(app: Sphinx, env: BuildEnvironment) -> None:
    documented = env.domains.python_domain.objects
    for name in dif.__all__:
        if f"differentia.{name}" not in documented:
            _log.warning(
                "no page has an entry for %s: name its module, %r, after a public-names:: directive",
                name,
                _home(name),
            )


def _skip_fields(app: Sphinx, what: str, name: str, item: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples, which the section Attributes describes."""
    return True if type(item).__name__ == "_tuplegetter" else None


def _add_types(app: Sphinx, what: str, name: str, item: Any, options: object, lines: list[str]) -> None:
    """Write the annotations beside the names of a docstring's parameters and attributes."""
    try:
        parameters = inspect.signature(item).parameters.values()
        types = {parameter.name: parameter.annotation for parameter in parameters}
    except (TypeError, ValueError):  # a property; a class without a signature of its own
        types = {}
    types |= getattr(item, "__annotations__", {}) if inspect.isclass(item) else {}
    written = {name: kind for name, kind in types.items() if isinstance(kind, str) and kind != "Any"}
    said = {name: kind.replace("'", '"') for name, kind in written.items()}  # as in the source
    lines[:] = _typed(lines, said)


def _typed(lines: list[str], types: Mapping[str, str]) -> Iterator[str]:
    section = ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch("-{3,}", following):
            section = line
        names = line.replace("*", "").split(", ")
        kinds = {types.get(name) for name in names}
        if section in ("Parameters", "Attributes") and len(kinds) == 1 and None not in kinds:
            yield f"{line} : {kinds.pop()}"
        else:
            yield line


def _name_role(
    role: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Inliner,
    options: Mapping[str, Any] | None = None,
    content: list[str] | None = None,
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Return what stands in single backticks: a link to a public name, or else code (a parameter)."""
    literal = nodes.literal(rawtext, text)
    return [_link(text, literal) if text in dif.__all__ else literal], []


def _link(name: str, literal: nodes.literal) -> addnodes.pending_xref:
    return addnodes.pending_xref(
        "",
        literal,
        refdomain="py",
        reftype="obj",
        reftarget=f"differentia.{name}",
        refexplicit=True,
        refwarn=True,
    )


def _link_mentions(app: Sphinx, doctree: nodes.document) -> None:
    for literal in list(doctree.findall(nodes.literal)):
        mention = _MENTION.fullmatch(literal.astext())
        linked = isinstance(literal.parent, nodes.reference | addnodes.pending_xref)
        if mention and not linked and mention[1] in dif.__all__:
            literal.replace_self(_link(mention[1], literal.deepcopy()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, the role ``name``, and what is done to docstrings and pages."""
    app.add_directive("public-names", PublicNames)
    app.add_role("name", _name_role)
    app.connect("env-check-consistency", _require_entries)
    app.connect("autodoc-skip-member", _skip_fields)
    app.connect("autodoc-process-docstring", _add_types, priority=400)  # before numpydoc reads it
    app.connect("doctree-read", _link_mentions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
