"""Many sets at once: each sub-folder, film, name in a column of a table, or class of a data set is one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differentia.errors import (
    InputError,
    listed_names,
    require_distinct_names,
    require_known,
    short_tracebacks,
    shortened,
    warn,
)
from differentia.stimuli.base import Stimuli
from differentia.stimuli.columns import is_nested, names_of, texts_of, values_of
from differentia.stimuli.datasets import DatasetStimuli, is_of, of_hugging_face
from differentia.stimuli.files import (
    FileStimuli,
    files_in_folder,
    is_folder,
    is_shown,
    natural_key,
    require_within,
)
from differentia.stimuli.sources import ending_of_several, local_path, of_several_images
from differentia.stimuli.table_files import READERS, read_table
from differentia.system.regular import require_regular
from differentia.system.showing import counted, listed
from differentia.system.specs import parse_options

if TYPE_CHECKING:
    import pandas as pd

#: What the columns of the files and of the sets are called, where none is named.
PATHS = ("path", "file", "filename")
SETS = ("set", "category", "class", "label")

#: Sets that one error names.
MOST_NAMED = 30

_EXPECTED = (
    "expected a folder of folders or of films, a table (.csv, .tsv, .parquet), a DataFrame, or a data set "
    "with classes"
)


@short_tracebacks
def sets_from(
    source: Any,
    *,
    path: str | None = None,
    set: str | None = None,  # noqa: A002 - what tables call it, and --sets-from
    follow_links: bool = False,
) -> dict[str, Stimuli]:
    """Return many sets at once, each by its name, for `measure`.

    Parameters
    ----------
    source
        - A folder, in natural order: each sub-folder is a set, or each film, archive, array or HDF5 file,
          which goes by its name without the ending. Options behind the folder are those of every file:
          ``films?fps=1``. Where a folder holds both, the files are the sets if there are options.
        - A table with a row for each image, and a column that names its set: a ``.csv``, ``.tsv`` or
          ``.parquet`` file (which needs ``pip install 'differentia[parquet]'``), or a DataFrame of pandas.
          Paths are relative to the file's folder, or to the working folder for a DataFrame. Rows keep their
          order, and sets come as the rows first name them. Other columns are the images' attributes, which
          the result has as coordinates (``image_NAME``).
        - A data set of PyTorch with ``classes`` and ``targets``, as torchvision's ``ImageFolder``.
        - A data set of Hugging Face: a set for each class, or each text, of a column; other columns of
          numbers, classes and texts are attributes.
    path, set
        The columns of the image files (of the images, in a data set) and of the sets; by default the only one
        called path, file or filename, and set, category, class or label. In text they stand behind the file:
        ``table.csv?path=file&set=category``.
    follow_links
        Whether sub-folders, and images in them, may be links that lead out of the folder.

    Returns
    -------
    dict of Stimuli
        By the name of the set. Nothing is decoded yet.

    Raises
    ------
    InputError
        There are no sets or no such column, a row has no set or no image file (rows count from 1), a film or
        other file can't be opened, or a set has fewer than two images.
    """
    if isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        try:
            found = _from_path(text, path, set, follow_links)
        except OSError as error:  # no permission, a name too long
            reason = shortened(str(error))
            raise InputError(f"{text}: can't be looked into ({reason}); check the path") from error
    elif is_of(source, "pandas", "DataFrame"):
        text = "the table"
        found = _from_table(source, text, Path(), path, set, values_of)
    elif is_of(source, "datasets.arrow_dataset", "Dataset"):
        text = "the data set"
        found = _from_hugging_face(source, path, set)
    elif hasattr(source, "classes") and hasattr(source, "targets"):
        text = f"the data set ({type(source).__name__})"
        if path is not None or set is not None:
            raise InputError(f"{text} has its own classes; leave path= and set= out")
        found = _from_classes(source, text)
    else:
        raise InputError(f"the sets are to come from an object of type {type(source).__name__}; {_EXPECTED}")
    found = dict(zip(require_distinct_names("set", found), found.values(), strict=True))
    few = [name for name, stimuli in found.items() if len(stimuli) < 2]
    if few:
        shown = ", ".join(few[:MOST_NAMED]) + ", ..." * (len(few) > MOST_NAMED)
        raise InputError(
            f"{text}: {counted(len(few), 'set')} with one image alone ({shown}); expected at least 2 in "
            "each, a pair to compare: add images, or take such sets out"
        )
    return found


def _from_path(text: str, path: str | None, set_: str | None, follow_links: bool) -> dict[str, Stimuli]:
    if not text:
        raise InputError("an empty path was given; name a folder of folders or of films, or a table")
    place, query = local_path(text), ""
    if not place.exists():
        name, _, query = str(place).partition("?")
        place = Path(name)
    if place.is_dir():
        for option, column in (("path", path), ("set", set_)):
            if column is not None:
                raise InputError(
                    f"{place}: is a folder, whose sub-folders or files are the sets; leave {option}= out"
                )
        return _in_folder(place, query, follow_links)
    if not place.is_file():
        if place.exists():
            require_regular(place)
        raise InputError(f"{place}: no such folder or table; check the path")
    if ending_of_several(place.name):
        raise InputError(
            f"{place}: is one set; write --set NAME={text}, or name its folder for a set of each"
        )
    if place.suffix.lower() not in READERS:
        raise InputError(f"{place}: is no table that is read ({', '.join(READERS)}); {_EXPECTED}")
    columns = {"path": path, "set": set_}
    for option, column in parse_options(query, text, texts=("path", "set")).items():
        require_known("option of a table", option, columns)
        if columns[option] is not None:
            raise InputError(f"{text}: {option} is given twice; leave {option}= out")
        columns[option] = column
    table, values = read_table(place)
    return _from_table(table, str(place), place.parent, columns["path"], columns["set"], values)


def _in_folder(folder: Path, query: str, follow_links: bool) -> dict[str, Stimuli]:
    """Return a set for each sub-folder with images, or for each file of several; what is left out is said.

    Options are those of files, and so ask for them.
    """
    entries = sorted(_entries(folder), key=lambda entry: natural_key(entry.name))
    below = [entry for entry in entries if is_folder(entry)]
    hidden = [Path(entry) for entry in below if entry.name.startswith(".")]
    folders = [Path(entry) for entry in below if not entry.name.startswith(".")]
    filled = [one for one in folders if any(map(is_shown, _entries(one)))]
    empty = [one for one in folders if one not in filled]
    direct = [Path(entry) for entry in entries if is_shown(entry)]
    files = [Path(entry) for entry in entries if _is_of_several(entry)]
    taken: Sequence[Path]
    if files and (query or not filled):
        each, taken = "file that holds several images", files
        left_out = {"folders": folders, "files of one image": direct}
    elif query:
        raise InputError(
            f"{folder}: holds no film or other file of several images, whose options stand behind a folder; "
            f"leave ?{query} out"
        )
    elif filled:
        each, taken = "sub-folder", filled
        left_out = {"hidden folders": hidden, "folders without images": empty}
        left_out |= {"images beside them": direct, "files that hold several": files}
    else:
        deeper = next((one for one in folders if any(map(_is_set, _entries(one)))), None)
        way_out = f"did you mean {deeper}?" if deeper else "name a folder of folders, or of films"
        if direct:
            way_out = f"for the {counted(len(direct), 'image')} in it as one set, write --set NAME={folder}"
        raise InputError(f"{folder}: none of its sub-folders holds images; {way_out}")
    told = [
        f"{what} ({len(paths):,}: {listed([path.name for path in paths])})"
        for what, paths in left_out.items()
        if paths
    ]
    if told:
        warn("other", f"{folder}: each {each} is a set; left out {' and '.join(told)}")
    if not follow_links:
        require_within(taken, folder)
    if taken is filled:
        return {one.name: files_in_folder(one, follow_links=follow_links) for one in filled}
    sets: dict[str, Stimuli] = {}
    for file in files:
        name = file.name[: -len(ending_of_several(file.name))]
        if name in sets:
            raise InputError(f"{folder}: two files are called {name!r} but for their endings; rename one")
        sets[name] = of_several_images(file, query or None)
    return sets


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return list(found)


def _is_set(entry: os.DirEntry[str]) -> bool:
    return is_folder(entry) or _is_of_several(entry)


def _is_of_several(entry: os.DirEntry[str]) -> bool:
    return bool(ending_of_several(entry.name)) and not entry.name.startswith(".") and not is_folder(entry)


def _from_table(
    table: pd.DataFrame,
    where: str,
    folder: Path,
    path: str | None,
    set_: str | None,
    values: Callable[[pd.Series], Sequence[str | float]],
) -> dict[str, Stimuli]:
    """Return a set for each name in a column; `values` makes attributes of the other columns."""
    index = [name for name in table.index.names if name is not None and name not in table.columns]
    if index:  # which is a column, too
        table = table.reset_index(index)
    columns = [str(name) for name in table.columns]
    name, count = Counter(columns).most_common(1)[0] if columns else ("", 0)
    if count > 1:
        raise InputError(f"{where}: two columns are called {name!r}; give each its own name")
    table = table.set_axis(columns, axis="columns")
    path = _column(columns, path, PATHS, "path", where)
    set_ = _column(columns, set_, SETS, "set", where, path)
    for column in (set_, path):
        if is_nested(table[column]):
            raise InputError(f"{where}: {column} holds no texts or numbers; name another column")
    names, files = names_of(table[set_]), texts_of(table[path])
    if not names:
        raise InputError(f"{where}: has no rows; expected one for each image")
    for column, texts in ((set_, names), (path, files)):
        if "" in texts:
            row = texts.index("") + 1
            raise InputError(f"{where}, row {row}: {column} is empty; fill it in, or take out the row")
    paths = [_path_in(folder, file, f"{where}, row {row}") for row, file in enumerate(files, 1)]
    attributes = _attributes(table.drop(columns=[path, set_]), where, values)
    sets: dict[str, Stimuli] = {}
    for name, rows in _rows_by(names).items():
        try:
            sets[name] = FileStimuli((paths[row] for row in rows), f"{where}, {set_} {name!r}")
        except InputError as error:
            raise _in_row(error, where, paths) from None
        sets[name].attributes = {one: [known[row] for row in rows] for one, known in attributes.items()}
    return sets


def _path_in(folder: Path, file: str, where: str) -> Path:
    try:
        return folder / local_path(file)
    except InputError as error:  # a web address
        raise InputError(f"{where}: {error}") from None


def _in_row(error: InputError, where: str, paths: Sequence[Path]) -> InputError:
    """Return an error that says in which row the first of the files is that are not there."""
    missing = [row for row, path in enumerate(paths, 1) if not path.is_file()]
    if not missing:
        return error
    return InputError(
        f"{where}, row {missing[0]}: {paths[missing[0] - 1]} is no image file ({len(missing):,} of "
        f"{counted(len(paths), 'row')} name none); check the paths, which are relative to the table"
    )


def _column(
    columns: Sequence[str],
    given: str | None,
    usual: Sequence[str],
    option: str,
    where: str,
    other: str | None = None,
) -> str:
    """Return the column that is named, or the only one with a usual name; `other` is taken already."""
    if given is not None:
        if given not in columns:
            raise InputError(f"{where}: has no column {given!r}.{listed_names(columns, ())}")
        return given
    fitting = [name for name in columns if name.lower() in usual]
    if len(fitting) == 1:
        return fitting[0]
    what = {"path": "the image files", "set": "the sets"}[option]
    problem = f"{' and '.join(fitting)} could each name {what}" if fitting else f"no column names {what}"
    named = (fitting or [name for name in columns if name != other] or [option])[0]
    raise InputError(f"{where}: {problem}; say which does: {option}={named}.{listed_names(columns, ())}")


def _rows_by(names: Iterable[str]) -> dict[str, list[int]]:
    """Return the places of each name, in the order in which they first come."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def _attributes(
    table: pd.DataFrame, where: str, values: Callable[[pd.Series], Sequence[str | float]]
) -> dict[str, Sequence[str | float]]:
    """Return the other columns of a table; what holds no numbers or texts is left out, and that is said."""
    nested = [str(name) for name, column in table.items() if is_nested(column)]
    if nested:
        warn("other", f"{where}: left out columns that hold no numbers or texts ({listed(nested)})")
    return {str(name): values(column) for name, column in table.items() if str(name) not in nested}


def _from_hugging_face(dataset: Any, path: str | None, set_: str | None) -> dict[str, Stimuli]:
    """Return a set for each value of a column of Hugging Face's data set."""
    from datasets import ClassLabel, Value

    features: Mapping[str, Any] = dataset.features
    plain = {name: about for name, about in features.items() if isinstance(about, ClassLabel | Value)}
    if set_ is None:
        labels = [name for name, about in plain.items() if isinstance(about, ClassLabel)]
        set_ = labels[0] if len(labels) == 1 else None
    set_ = _column([*plain], set_, SETS, "set", "the data set")
    table = dataset.select_columns([*plain]).with_format("pandas")[:]
    for name, about in plain.items():
        if isinstance(about, ClassLabel):
            classes = dict(enumerate(about.names))  # a row that belongs to none has -1, or nothing
            table[name] = [classes.get(number, "") for number in table[name]]
    names = names_of(table[set_])
    if "" in names:
        raise InputError(f"the data set, item {names.index('')}: {set_} is empty; take out such items first")
    attributes = _attributes(table.drop(columns=[set_]), "the data set", values_of)
    sets: dict[str, Stimuli] = {}
    for name, rows in _rows_by(names).items():
        stimuli = of_hugging_face(dataset, path, rows)
        stimuli.source += f", {set_} {name!r}"
        stimuli.attributes = {one: [values[row] for row in rows] for one, values in attributes.items()}
        sets[name] = stimuli
    return sets


def _from_classes(dataset: Any, where: str) -> dict[str, Stimuli]:
    """Return a set for each class of a data set of PyTorch."""
    names = [", ".join(name) if isinstance(name, tuple | list) else str(name) for name in dataset.classes]
    rows: dict[int, list[int]] = {target: [] for target in range(len(names))}
    for place, target in enumerate(dataset.targets):
        try:
            rows[int(target)].append(place)
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{where}, item {place}: its target is {target!r}; expected the number of one of the "
                f"{len(names)} classes"
            ) from None
    return {
        f"{names[target]} ({target})" if names.count(names[target]) > 1 else names[target]: DatasetStimuli(
            dataset.__getitem__, places, f"{where}, class {names[target]!r}"
        )
        for target, places in rows.items()
        if places
    }
