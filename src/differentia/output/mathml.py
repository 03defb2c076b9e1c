"""The pieces of which formulas are made, in MathML, which browsers draw."""

from __future__ import annotations

MINUS = "<mo>&#x2212;</mo>"
EQUALS = "<mo>=</mo>"


def symbol(name: str, index: str = "") -> str:
    """Return a letter, or a Greek one's reference, with a letter of its index for each of `index`."""
    letters = "".join(f"<mi>{letter}</mi>" for letter in index)
    return f"<msub><mi>{name}</mi><mrow>{letters}</mrow></msub>" if index else f"<mi>{name}</mi>"


def over(top: str, bottom: str) -> str:
    """Return a fraction."""
    return f"<mfrac><mrow>{top}</mrow><mrow>{bottom}</mrow></mfrac>"


def row(*parts: str) -> str:
    """Return what browsers draw as one line of its own."""
    between = "<mspace width='2em'/>"
    return f'<math display="block"><mrow>{between.join(parts)}</mrow></math>'
