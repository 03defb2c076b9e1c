"""Tables as NWB keeps them: a dataset for each column, and an index for those with several values a row.

https://hdmf-common-schema.readthedocs.io/en/stable/format.html#dynamictable
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from differentia.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: The dataset that holds a label of each row, and what comes after the name of a column for its index.
ID, INDEX = "id", "_index"


@dataclass(frozen=True)
class Table:
    """The datasets of a table by their names, also those of indices, before they are read.

    Each has a shape, a dtype, and gives values for a slice. `names` are the columns in their order.
    """

    where: str
    data: Mapping[str, Any]
    names: tuple[str, ...]

    def __contains__(self, name: str) -> bool:
        return name in self.data

    @property
    def n_rows(self) -> int:
        """The number of rows: of labels, or, where there are none, of the first column."""
        for name in (ID, *(f"{name}{INDEX}" for name in self.names), *self.names):
            if name in self.data:
                return _length(self.data[name], f"{self.where}/{name}")
        return 0

    def labels(self) -> np.ndarray:
        """Return the label of each row: its number, unless the table says another."""
        if ID not in self.data:
            return np.arange(self.n_rows)
        values = values_of(self.data[ID])
        if values is None:
            raise InputError(
                f"{self.where}/{ID}: holds neither numbers nor text; expected a label of each row"
            )
        return values

    def column(self, name: str) -> np.ndarray | None:
        """Return a column, (row,) of numbers or text; None for one that holds anything else.

        Several texts of a row are joined. Numbers are not, and are left out.
        """
        if name not in self.data:
            raise InputError(
                f"{self.where}: names the column {name!r}, and holds no such dataset; it is damaged: "
                "write the file again"
            )
        data, place = self.data[name], f"{self.where}/{name}"
        if f"{name}{INDEX}" in self.data:
            return self._joined(name) if _holds_text(data) else None
        if _length(data, place) != self.n_rows:
            raise InputError(
                f"{place}: has {_length(data, place):,} values, and the table has {self.n_rows:,} rows; "
                "expected as many: write the file again"
            )
        return values_of(data)

    def _joined(self, name: str) -> np.ndarray | None:
        if f"{name}{INDEX}{INDEX}" in self.data:
            return None
        ends = self.ends(name)
        texts = values_of(self.data[name])
        if texts is None:
            return None
        starts = np.concatenate([[0], ends[:-1]])
        rows = [", ".join(map(str, texts[start:end])) for start, end in zip(starts, ends, strict=True)]
        return np.array(rows, object)

    def ends(self, name: str) -> Int[np.ndarray, " row"]:
        """Return where the values of each row end, in the column of that name."""
        place = f"{self.where}/{name}{INDEX}"
        if f"{name}{INDEX}" not in self.data:
            raise InputError(
                f"{self.where}: holds {name} without {name}{INDEX}, which says what is of which row; "
                "write the file again"
            )
        values = whole_numbers(self.data[f"{name}{INDEX}"], place)
        held = _length(self.data[name], f"{self.where}/{name}")
        if len(values) != self.n_rows:
            raise InputError(
                f"{place}: has {len(values):,} values, and the table has {self.n_rows:,} rows; expected as "
                "many: write the file again"
            )
        if (np.diff(values, prepend=0) < 0).any():
            raise InputError(
                f"{place}: goes back; expected where the values of each row end, one after the other: write "
                "the file again"
            )
        if (last := int(values[-1]) if len(values) else 0) != held:
            raise InputError(
                f"{place}: ends at {last:,}, and {name} holds {held:,} values; expected the same: write the "
                "file again"
            )
        return values

    def frame(self, leave_out: tuple[str, ...] = ()) -> pd.DataFrame:
        """Return the columns of one value a row, numbers or text, and the labels as the index."""
        import pandas as pd

        columns = {name: self.column(name) for name in self.names if name not in leave_out}
        index = pd.Index(self.labels(), name=ID)
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None}, index)


@dataclass(frozen=True)
class Coded:
    """A column of numbers, each of which stands for a text of a list, as which it is read: EnumData."""

    codes: Any
    texts: Any
    where: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.codes.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(object)

    def __getitem__(self, part: slice) -> np.ndarray:
        texts, codes = values_of(self.texts), np.asarray(self.codes[part])
        if texts is None or codes.dtype.kind not in "iu":
            raise InputError(
                f"{self.where}: holds {described(self.codes)} for {described(self.texts)}; expected whole "
                "numbers, each of a text"
            )
        if codes.size and not 0 <= codes.min() <= codes.max() < len(texts):
            raise InputError(
                f"{self.where}: goes from {codes.min()} to {codes.max()}, and there are {len(texts):,} texts "
                "(from 0); write the file again"
            )
        return texts.astype(object)[codes]


def values_of(data: Any) -> np.ndarray | None:
    """Return numbers or text, (n,), text as objects; None for data of another kind or shape."""
    if len(data.shape) != 1 or np.dtype(data.dtype).kind not in "biufSUO":
        return None
    values = np.asarray(data[:])
    if values.dtype.kind in "biuf":  # in the order of bytes and the precisions that pandas takes
        double = values.dtype.kind == "f" and values.dtype.itemsize != 4
        return values.astype(np.float64 if double else values.dtype.newbyteorder("="), copy=False)
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values]
    return np.array(texts, object) if all(isinstance(text, str) for text in texts) else None


def whole_numbers(data: Any, where: str) -> Int[np.ndarray, " n"]:
    """Return whole numbers >= 0, (n,), or raise an error for anything else."""
    values = values_of(data)
    if values is None or values.dtype.kind not in "iu":
        raise InputError(f"{where}: holds {described(data)}; expected whole numbers")
    if values.size and not 0 <= values.min() <= values.max() < 2**63:
        raise InputError(f"{where}: goes from {values.min()} to {values.max()}; expected numbers >= 0")
    return values.astype(np.int64)


def described(data: Any) -> str:
    """Return in words what data are, before they are read."""
    kind = np.dtype(data.dtype).kind
    what = "text" if kind in "SUO" else str(data.dtype) if kind in "biuf" else "references, records or lists"
    return f"{what} of shape {tuple(data.shape)}"


def _length(data: Any, where: str) -> int:
    if not data.shape:
        raise InputError(f"{where}: is a single value; expected one for each row")
    return int(data.shape[0])


def _holds_text(data: Any) -> bool:
    return np.dtype(data.dtype).kind in "SUO"
