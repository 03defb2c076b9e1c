"""The documentation site; ``make docs`` builds it. Neither the build nor its pages need a network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import differentia as dif

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the two extensions of this folder

# The notebook's kernel has the settings of the tests.
os.environ.setdefault("KERAS_BACKEND", "torch")

project = "differentia"
author = "The differentia developers"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
version = release = dif.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
    "public_names",
]
exclude_patterns = ["_build", "tutorial/README.md"]  # the site runs the notebook itself
smartquotes = False  # they would stand in the types and values of parameters
default_role = "name"  # of public_names: a link where it is a public name, else code

# Docstrings: parameters have their types in the section Parameters, not once more in the signature.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
maximum_signature_line_length = 80

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# Run anew in every build: a cache would keep what an older differentia gave.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True  # a notebook that saves a file leaves none in the checkout
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # from another host, and there are no widgets

# Bases of the errors: Python's own pages are not at hand, since their inventory would be a download.
nitpick_ignore = [
    ("py:class", "Exception"),
    ("py:class", "RuntimeError"),
    ("py:class", "UserWarning"),
    ("py:class", "ValueError"),
]

html_theme = "pydata_sphinx_theme"
html_title = "differentia"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
# These have no pages below them to list.
html_sidebars: dict[str, list[str]] = {
    page: []
    for page in (
        "start",
        "tutorial",
        "gallery",
        "comparison",
        "changelog",
        "contributing",
        "search",
        "genindex",
    )
}
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
