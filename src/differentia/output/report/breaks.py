"""Where a name may go on in a new line: behind what separates its parts, not within a word or a number."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_SEPARATOR = r"(?:[\s/_:|\\;=&?]|[.,\-](?!\d))"

#: Of a part without separators, in characters; longer ones are broken all the same.
_LONGEST = 18

#: A part of a name with the separators behind it, as Python and the page's scripts find it.
PART = rf"(?:(?!{_SEPARATOR})[\s\S]){{1,{_LONGEST}}}{_SEPARATOR}*|{_SEPARATOR}+"

_PART = re.compile(PART)


def breakable(text: str) -> Markup:
    """Return a name as markup that may be broken between its parts."""
    return Markup("<wbr>").join(escape(part) for part in _PART.findall(text))
