"""Files of tables, read as data frames once it is known that they take little time and memory.

A file of a few kilobytes can hold tens of thousands of columns, or say a long text a million times. So one
that is not short is first read in a process that can be given up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differentia.errors import InputError, in_one_line
from differentia.stimuli.columns import is_nested, values_of, written_values
from differentia.system.files import MOST_TEXT
from differentia.system.limited import GivenUpError, LimitedProcess
from differentia.system.machine import written_size
from differentia.system.regular import NotRegularError, open_regular

if TYPE_CHECKING:
    import pandas as pd

#: In bytes: a table of text that is shorter is read at once.
SHORT = 50_000

#: In bytes: of any table.
MOST_BYTES = 2_000_000_000

#: In seconds of computing, for reading a table; and bytes of its file for which it may take one more.
MOST_SECONDS, BYTES_IN_A_SECOND = 7.0, 2_000_000

#: In bytes, for reading it; and how many more for each of its file.
MOST_MEMORY, MORE_FOR_A_BYTE = 1_200_000_000, 5

_process = LimitedProcess("differentia.stimuli.table_files:answer")


def read_table(path: Path) -> tuple[pd.DataFrame, Callable[[pd.Series], Sequence[str | float]]]:
    """Return the table in a file, by the ending of its name, and what makes attributes of its columns.

    Raises
    ------
    InputError
        It is no table, or takes more time or memory than one may.
    """
    read, values = READERS[path.suffix.lower()]
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise _unread(path, error) from error
    if size > MOST_BYTES:
        raise InputError(
            f"{path}: holds {written_size(size)}; expected at most {written_size(MOST_BYTES)}: divide it"
        )
    if size > SHORT or path.suffix.lower() == ".parquet":
        _require_readable(path, size)
    table = read(path)
    if len(table) > max(size, SHORT):  # the paths of which would be the same
        raise InputError(
            f"{path}: declares {len(table):,} rows in {written_size(size)}, which can't name as many images"
        )
    return table, values


def _require_readable(path: Path, size: int) -> None:
    """Raise an error for a file that takes too much, or ends the process that tries to read it.

    What else is wrong with it is told when it is read here.
    """
    memory = MOST_MEMORY + MORE_FOR_A_BYTE * size
    seconds = round(MOST_SECONDS + size / BYTES_IN_A_SECOND, 1)
    reason = ""
    try:
        fits, _ = _process.do(os.path.abspath(path).encode(), b"", seconds=seconds, memory=memory)
        if not fits:
            reason = f"takes more than {written_size(memory)} of memory"
    except GivenUpError as error:
        reason = str(error)
    if reason:
        raise InputError(
            f"{path}: can't be read as a table (it {reason}); leave out columns, or write it anew"
        )


def answer(asked: bytes, _: bytes) -> tuple[bytes, bytes]:
    """Say whether a table's values fit into memory, in the process that can be given up."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others reserve memory ahead
    path = Path(asked.decode())
    read, values = READERS[path.suffix.lower()]
    try:
        _ = [values(column) for _, column in read(path).items() if not is_nested(column)]
    except MemoryError:
        return b"", b""
    except InputError:
        pass
    return b"fits", b""


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    """Return a table of text as it is written, and numbers where a whole column is of numbers."""
    import pandas as pd

    try:
        with open_regular(path) as file:
            cells = pd.read_csv(
                file, sep=separator, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
    except MemoryError:
        raise
    except OSError as error:
        raise _unread(path, error) from error
    except Exception as error:  # of pandas, on what is no such table
        if "out of memory" in str(error):
            raise MemoryError from error
        if other := _other_separator(path, separator):
            raise InputError(f"{path}: {other}") from error
        reason = in_one_line(error)
        raise InputError(f"{path}: can't be read as a table ({reason}); save it as CSV in UTF-8") from error
    if cells.shape[1] == 1 and (other := _other_separator(path, separator)):
        raise InputError(f"{path}: {other}")
    cells = cells.fillna("")  # of short rows
    table = cells.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index([str(name).strip() for name in cells.iloc[0]])
    return table.loc[:, table.columns != ""]  # such as pandas' index


def _unread(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: can't be read from the disk ({error}); check the path and the disk")


def _other_separator(path: Path, separator: str) -> str:
    """Return what to say of a table whose first line has other separators alone, as Excel's in Europe."""
    try:
        with open_regular(path) as file:
            first = file.readline(MOST_TEXT).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
    names = {",": "commas", ";": "semicolons", "\t": "tabs"}
    others = [name for mark, name in names.items() if mark in first]
    if separator in first or not others:
        return ""
    return f"its columns are separated by {others[0]}; expected {names[separator]}: save it with these"


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with open_regular(path) as file:
            return pd.read_parquet(file, engine="pyarrow", use_threads=False)
    except MemoryError:
        raise
    except NotRegularError as error:
        raise _unread(path, error) from error
    except ImportError as error:
        raise InputError(
            f"{path}: Parquet needs pyarrow, which is not installed: pip install 'differentia[parquet]'"
        ) from error
    except Exception as error:  # of many kinds, on broken files
        raise InputError(
            f"{path}: can't be read as Parquet ({in_one_line(error)}); write it again, or as CSV"
        ) from error


#: By the ending of a table's file: how it is read, and what makes attributes of its columns.
READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], Sequence[str | float]]]] = {
    ".csv": (lambda path: _read_text(path, ","), written_values),
    ".tsv": (lambda path: _read_text(path, "\t"), written_values),
    ".parquet": (_read_parquet, values_of),
}
