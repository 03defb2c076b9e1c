"""Tables of NWB: columns of one value a row, texts of several joined, all else left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hdmf.common import DynamicTable

import differentia as dif
from differentia.neurons.dynamic_tables import Table, values_of, whole_numbers


def table(**data: Any) -> Table:
    """Return a table of arrays; columns are those that are neither labels nor indices."""
    names = tuple(name for name in data if name != "id" and not name.endswith("_index"))
    return Table("x", {name: np.asarray(values) for name, values in data.items()}, names)


def test_columns_are_those_of_hdmf() -> None:
    """The library that defines these tables gives the same values, and the texts that are joined."""
    made = DynamicTable(name="made", description="made", id=[4, 5, 6])
    made.add_column("number", "n", data=[1.5, np.nan, -2.0])
    made.add_column("flag", "f", data=[True, False, True])
    made.add_column("text", "t", data=["a", "", "c"])
    made.add_column("wave", "w", data=np.ones((3, 2)))
    made.add_column("tags", "g", data=["x", "y", "z"], index=[2, 2, 3])
    made.add_column("counts", "c", data=[1, 2, 3], index=[1, 2, 3])
    ours = Table(
        "x",
        {"id": np.array([4, 5, 6]), **{one.name: np.asarray(one.data) for one in made.columns}},
        made.colnames,
    ).frame()
    theirs = made.to_dataframe()
    assert ours.columns.tolist() == ["number", "flag", "text", "tags"]
    assert ours.index.tolist() == theirs.index.tolist() == [4, 5, 6]
    for name in ("number", "flag", "text"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert ours["tags"].tolist() == [", ".join(row) for row in theirs["tags"]] == ["x, y", "", "z"]


def test_what_has_no_labels() -> None:
    """Rows are numbered; as many are there as of the first column, or its index."""
    assert table(a=[1.0, 2.0]).frame().index.tolist() == [0, 1]
    assert table(a=["x", "y", "z"], a_index=[1, 3]).n_rows == 2
    assert table().n_rows == 0
    with pytest.raises(dif.InputError, match=r"^x/id: holds neither numbers nor text"):
        table(id=np.zeros((2, 2))).labels()


def test_indices() -> None:
    """Their ends are whole numbers of any size of integer; those of no unit are the control."""
    assert table(a=np.zeros(5), a_index=np.array([2, 5], np.uint8)).ends("a").tolist() == [2, 5]
    assert table(a=np.zeros(0), a_index=np.zeros(0, np.uint8)).ends("a").tolist() == []
    with pytest.raises(dif.InputError, match="goes from 1 to 18446744073709551615"):
        table(a=np.zeros(5), a_index=np.array([1, 2**64 - 1], np.uint64)).ends("a")
    with pytest.raises(dif.InputError, match="expected whole numbers"):
        whole_numbers(np.array(["1"]), "x")


def test_bytes_and_objects() -> None:
    """Bytes are text, whatever they hold; objects that are no text are left out."""
    texts = values_of(np.array([b"a", b"\xff"]))
    assert texts is not None
    assert texts.tolist() == ["a", "\ufffd"]
    assert values_of(np.array([object()])) is None
    assert values_of(np.zeros((2, 2))) is None


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", ">i2", "<u8", "g", "?"])
def test_numbers_of_every_kind(dtype: str) -> None:
    """They are the same numbers, of a kind that pandas takes as a label, too."""
    given = np.array([0, 1, 1], dtype)
    values = values_of(given)
    assert values is not None
    np.testing.assert_array_equal(values, given)
    assert values.dtype.isnative
    frame = table(id=given, a=given).frame()
    assert frame.index.tolist() == frame["a"].tolist() == [0, 1, 1]
