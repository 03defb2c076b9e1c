"""Many sets at once: what a folder, a table, a data set names, in its order, with what else it says."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets as hugging_face
import h5py
import helpers.zoo  # noqa: F401 - before torchvision is imported
import numpy as np
import pandas as pd
import PIL.Image
import pytest
from helpers.film_files import film
from helpers.image_files import RGB, write
from torchvision import datasets as vision

import differentia as dif
from differentia.stimuli.base import Stimuli

ROWS = [("a.png", "cats"), ("sub/b.png", "dogs"), ("c.png", "cats"), ("d.png", "dogs"), ("e.png", "cats")]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with the images of `ROWS`."""
    (tmp_path / "sub").mkdir()
    for name, _ in ROWS:
        write(tmp_path / name)
    return tmp_path


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def table_of(folder: Path, header: str = "file,category", name: str = "table.csv", **others: Any) -> Path:
    """Write the table of `ROWS`, with further columns."""
    lines = [",".join([header, *others])]
    lines += [
        ",".join([*row, *(values[place] for values in others.values())]) for place, row in enumerate(ROWS)
    ]
    return written(folder, "\n".join(lines) + "\n", name)


def names_of(sets: Mapping[str, Stimuli]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(path.name for path in stimuli.paths or ()) for name, stimuli in sets.items()}


EXPECTED = {"cats": ("a.png", "c.png", "e.png"), "dogs": ("b.png", "d.png")}


def test_a_set_for_each_sub_folder(tmp_path: Path) -> None:
    """In natural order; what is left out is said by name, and nothing is where nothing is left out."""
    for folder in ("class 10", "class 2", "class 1"):
        (tmp_path / folder).mkdir()
        for number in (10, 9):
            write(tmp_path / folder / f"{number}.png")
    sets = dif.sets_from(tmp_path)
    assert names_of(sets) == dict.fromkeys(("class 1", "class 2", "class 10"), ("9.png", "10.png"))
    assert sets["class 2"].source == f"{tmp_path}/class 2"
    for folder in (".hidden", "empty"):
        (tmp_path / folder).mkdir()
    write(tmp_path / ".hidden" / "a.png")
    write(tmp_path / "beside.png")
    told = (
        r"each sub-folder is a set; left out hidden folders \(1: \.hidden\) and folders without images "
        r"\(1: empty\) and images beside them \(1: beside\.png\)"
    )
    with pytest.warns(dif.DifferentiaWarning, match=told):
        assert names_of(dif.sets_from(str(tmp_path))) == names_of(sets)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder of files that hold several images each, of four kinds, and of what belongs to none."""
    folder = tmp_path / "films"
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    film(folder / "film 10", count=30)
    film(folder / "film 9.b.avi", "avi", count=15)
    np.save(folder / "array.npy", frames)
    with h5py.File(folder / "cells.h5", "w") as file:
        file["frames"] = frames[:20]
    (folder / "notes.txt").write_text("calm and busy")
    (folder / ".film 1.mp4").write_bytes(b"what macOS adds")
    return folder


def test_a_set_for_each_file_of_several(films: Path) -> None:
    """By its name without the ending, in natural order; the options behind the folder are those of each."""
    sets = dif.sets_from(films)
    assert {name: len(stimuli) for name, stimuli in sets.items()} == {
        "array": 30,
        "cells": 20,
        "film 9.b": 15,
        "film 10": 30,
    }
    sets = dif.sets_from(f"{films}?every=10&start=0")
    assert {name: len(stimuli) for name, stimuli in sets.items()} == {
        "array": 3,
        "cells": 2,
        "film 9.b": 2,
        "film 10": 3,
    }
    assert sets["film 10"].source == f"{films}/film 10.mp4?every=10&start=0"
    one = dif.images(f"{films}/film 10.mp4?every=10")
    assert sets["film 10"].names == one.names == ("film 10_0.000s", "film 10_0.400s", "film 10_0.800s")
    assert np.array_equal(sets["film 10"].load(2, RGB).pixels, one.load(2, RGB).pixels)
    for name in ("array.npy", "cells.h5"):
        (films / name).unlink()
    assert [len(stimuli) for stimuli in dif.sets_from(f"{films}?fps=5").values()] == [3, 6]


def test_archives_are_sets(tmp_path: Path, photos: Path) -> None:
    """Whatever their endings are made of; options with text, too."""
    folder = tmp_path / "archives"
    folder.mkdir()
    write(photos / "sub" / "f.png")
    for kind, name in (("gztar", "cats.tar.gz"), ("zip", "dogs.v2.zip")):
        shutil.move(shutil.make_archive(str(tmp_path / "packed"), kind, photos, "sub"), folder / name)
    for source in (folder, f"{folder}?folder=sub"):
        assert {name: stimuli.names for name, stimuli in dif.sets_from(source).items()} == {
            "cats": ("b.png", "f.png"),
            "dogs.v2": ("b.png", "f.png"),
        }


def test_a_folder_of_both(films: Path) -> None:
    """Sub-folders are the sets, or the files where options ask for them; what is left out is said."""
    (films / "stills").mkdir()
    with pytest.warns(
        dif.DifferentiaWarning, match=r"each file .* is a set; left out folders \(1: stills\)$"
    ):
        assert len(dif.sets_from(films)) == 4
    for number in range(2):
        write(films / "stills" / f"{number}.png")
    write(films / "poster.png")
    told = r"each sub-folder is a set; left out images .* \(1: poster.png\) and files that hold several \(4: "
    with pytest.warns(dif.DifferentiaWarning, match=told):
        assert [*dif.sets_from(films)] == ["stills"]
    told = r"left out folders \(1: stills\) and files of one image \(1: poster.png\)$"
    with pytest.warns(dif.DifferentiaWarning, match=told):
        assert len(dif.sets_from(f"{films}?every=2")) == 4


def test_what_is_wrong_with_a_folder_of_films(films: Path, tmp_path: Path) -> None:
    """The file is named, and what to do."""
    for source, told in (
        (f"{films}?fps=1", r"array\.npy: unknown option of a \.npy file 'fps'\. Known: every, start, stop$"),
        (f"{films}?every=0", r"array\.npy\?every=0: every is 0"),
        (f"{films}?every", r"the option 'every' has no value"),
        (f"{films}?every=25", r"2 sets with one image alone \(cells, film 9\.b\)"),
        (
            films / "film 10.mp4",
            r"is one set; write --set NAME=.*film 10\.mp4, or name its folder for a set of each$",
        ),
        (f"{films}/film 10.mp4?fps=1", r"is one set; write --set NAME=.*film 10\.mp4\?fps=1, "),
        (tmp_path, rf"none of its sub-folders holds images; did you mean {films}\?"),
        (f"{tmp_path}?fps=1", r"holds no film or other file .*; leave \?fps=1 out"),
    ):
        with pytest.raises(dif.InputError, match=told):
            dif.sets_from(source)
    with pytest.raises(dif.InputError, match="whose sub-folders or files are the sets; leave set= out"):
        dif.sets_from(films, set="category")
    with pytest.raises(dif.InputError, match=rf"or take each as a set: --sets-from {films}"):
        dif.images(films)
    film(films / "film 10", "mkv")
    with pytest.raises(dif.InputError, match="two files are called 'film 10' but for their endings; rename"):
        dif.sets_from(films)
    (films / "film 10.mkv").write_bytes(b"")
    (films / "film 10.mp4").unlink()
    with pytest.raises(dif.InputError, match=r"film 10\.mkv: "):
        dif.sets_from(films)
    (films / "film 10.mkv").unlink()
    outside = film(tmp_path / "outside")
    (films / "link.mp4").symlink_to(outside)
    with pytest.raises(dif.InputError, match=r"link\.mp4: a link that leads out of .*--follow-links"):
        dif.sets_from(films)
    assert "link" in dif.sets_from(films, follow_links=True)


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    """Are taken when asked for, as in a set of one folder."""
    for name in ("all/cats", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        for number in (1, 2):
            write(tmp_path / name / f"{number}.png")
    (tmp_path / "all" / "dogs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(dif.InputError, match=r"dogs: a link that leads out of .*--follow-links"):
        dif.sets_from(tmp_path / "all")
    assert [*dif.sets_from(tmp_path / "all", follow_links=True)] == ["cats", "dogs"]


def test_rows_of_tables_in_their_order(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of text, of Parquet, of pandas: the same sets, from wherever they are read."""
    csv = table_of(photos)
    frame = pd.read_csv(csv)
    frame.to_parquet(photos / "table.parquet")
    frame.to_csv(photos / "indexed.csv")  # whose first column has no name
    frame.to_csv(photos / "table.tsv", sep="\t", index=False)
    windows = photos / "windows.CSV"
    windows.write_bytes(b"\xef\xbb\xbf" + csv.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.chdir("/")
    for name in ("table.csv", "table.tsv", "table.parquet", "indexed.csv", "windows.CSV"):
        sets = dif.sets_from(photos / name)
        assert names_of(sets) == EXPECTED
        assert sets["cats"].names == ("a.png", "c.png", "e.png")
        assert sets["dogs"].source == f"{photos / name}, category 'dogs'"
        assert not any(stimuli.attributes for stimuli in sets.values())
    frame["file"] = [str(photos / name) for name in frame["file"]]
    assert names_of(dif.sets_from(frame)) == names_of(dif.sets_from(frame.set_index("file"))) == EXPECTED
    monkeypatch.chdir(photos)
    assert names_of(dif.sets_from(pd.read_csv(csv).set_index("file", drop=False))) == EXPECTED


def test_columns_by_their_names(photos: Path) -> None:
    """Behind the file, or as keywords; the only usual name needs not be told."""
    odd = table_of(photos, "image & file,my class")
    for sets in (
        dif.sets_from(f"{odd}?path=image & file&set=my class"),
        dif.sets_from(odd, path="image & file", set="my class"),
        dif.sets_from(f"{odd}?set=my class", path="image & file"),
        dif.sets_from(table_of(photos, "Path,Label")),
    ):
        assert names_of(sets) == EXPECTED
    with_question_mark = table_of(photos, name="is it?.csv")
    assert names_of(dif.sets_from(with_question_mark)) == EXPECTED


def test_numbers_are_names_as_they_are_written(photos: Path) -> None:
    """1 and not 1.0, also where pandas wrote it so; 01 is another name."""
    sets = ("1", "01", "1", "01", "1")
    lines = [f"{file},{name}" for (file, _), name in zip(ROWS, sets, strict=True)]
    csv = written(photos, "\n".join(["file,set", *lines]))
    assert [*dif.sets_from(csv)] == ["1", "01"]
    csv.write_text(csv.read_text().replace(",01", ",2.0").replace(",1\n", ",1.0\n").rstrip("1") + "1.0")
    assert [*dif.sets_from(csv)] == ["1", "2"]
    csv.write_text(csv.read_text().replace(",2.0", ",2.5"))
    assert [*dif.sets_from(csv)] == ["1.0", "2.5"]
    files = [str(photos / file) for file, _ in ROWS]
    for values in ([1.0, 2.0, 1.0, 2.0, 1.0], [1, 2, 1, 2, 1], pd.array([1, 2, 1, 2, 1], dtype="Int64")):
        assert [*dif.sets_from(pd.DataFrame({"file": files, "set": values}))] == ["1", "2"]
    halves = pd.DataFrame({"file": files, "set": [0.5, 1, 0.5, 1, 1]})
    assert [*dif.sets_from(halves)] == ["0.5", "1"]


def test_other_columns_are_attributes(photos: Path) -> None:
    """Numbers where all are, text else; missing ones are NaN, or empty."""
    csv = table_of(
        photos,
        weight=["1.5", "2", "", "-3e2", "NA"],
        id=["007", "1", "2", "3", "4"],
        large=["12345678901234567890"] * 5,
        note=["", "a", "b ", "NA", "1"],
    )
    cats, dogs = dif.sets_from(csv).values()
    assert [*cats.attributes] == ["weight", "id", "large", "note"]
    assert dogs.attributes["weight"] == [2.0, -300.0]
    assert cats.attributes["weight"][0] == 1.5
    assert all(isinstance(weight, float) and math.isnan(weight) for weight in cats.attributes["weight"][1:])
    assert cats.attributes["id"] == ["007", "2", "4"]
    assert cats.attributes["large"] == ["12345678901234567890"] * 3
    assert (cats.attributes["note"], dogs.attributes["note"]) == (["", "b", "1"], ["a", "NA"])


def test_attributes_keep_the_types_of_a_frame(photos: Path) -> None:
    """Whole numbers that float64 can't hold become text; what is nested is left out, and that is said."""
    frame = pd.DataFrame(
        {
            "path": [str(photos / file) for file, _ in ROWS],
            "set": pd.Categorical([name for _, name in ROWS]),
            "count": pd.array([1, None, 3, 4, 5], dtype="Int64"),
            "large": [2**60 + place for place in range(5)],
            "flag": [True, False, True, False, True],
            "when": pd.to_datetime(["2020-01-01", None, *["2021-06-05"] * 3]),
            "text": ["1", None, "3", "4", "5"],
        }
    )
    cats, dogs = dif.sets_from(frame).values()
    assert cats.attributes["count"] == [1.0, 3.0, 5.0]
    assert math.isnan(float(dogs.attributes["count"][0]))
    assert cats.attributes["large"] == [str(2**60 + place) for place in (0, 2, 4)]
    assert cats.attributes["flag"] == ["True", "True", "True"]
    assert dogs.attributes["when"] == ["", "2021-06-05 00:00:00"]
    assert (cats.attributes["text"], dogs.attributes["text"]) == (["1", "3", "5"], ["", "4"])
    with pytest.raises(dif.InputError, match="the table: set holds no texts or numbers; name another"):
        dif.sets_from(frame.assign(set=[["a"]] * 5))
    with pytest.warns(dif.DifferentiaWarning, match=r"the table: left out columns .* \(box, raw\)"):
        nested = dif.sets_from(frame.assign(box=[[1, 2]] * 5, raw=[b"a"] * 5))
    assert [*nested["cats"].attributes] == [*cats.attributes]


HEADER = "file,category\n"


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (
            f"{HEADER}a.png,cats\ngone.png,cats\nlost.png,dogs\n",
            "",
            r"row 2: \S+gone\.png is no image file \(2 of 3 rows name none\)",
        ),
        (f"{HEADER}a.png,cats\n,cats\n", "", "row 2: file is empty; fill it in"),
        (f"{HEADER}a.png,cats\nc.png, \n", "", "row 2: category is empty"),
        (f"{HEADER}a.png,cats\nhttps://a.org/b.png,cats\n", "", "row 2: .* is a web address"),
        (
            f"{HEADER}a.png,a\nc.png,b\nd.png,c\ne.png,c\n",
            "",
            r"2 sets with one image alone \(a, b\); expected at least 2",
        ),
        ("file,category,file\n", "", "two columns are called 'file'"),
        (HEADER, "", "has no rows"),
        ("", "", "can't be read as a table .*; save it as CSV in UTF-8"),
        (f"{HEADER}a.png,cats,more\n", "", "can't be read as a table .*line 2, saw 3"),
        (
            "file;category\na.png;cats\n",
            "",
            r"/table\.csv: its columns are separated by semicolons; expected commas: save it with these$",
        ),
        ("file;category\na.png;cats, more\n", "", "separated by semicolons; expected commas"),
        ("file\tcategory\na.png\tcats\n", "", "separated by tabs; expected commas"),
        ("name\na.png\n", "", r"no column names the image files; say which does: path=name\. Known: name"),
        (
            "file,kind\na.png,cats\n",
            "",
            r"no column names the sets; say which does: set=kind\. Known: file, ",
        ),
        ("photo,kind\na.png,cats\n", "?path=photo", "say which does: set=kind"),
        ("file,path,set\n", "", "file and path could each name the image files; say which does: path=file"),
        ("file,class,label\n", "", "class and label could each name the sets; say which does: set=class"),
        (HEADER, "?path=name", r"has no column 'name'\. Known: file, category"),
        (HEADER, "?colour=red", "unknown option of a table 'colour'.*path, set"),
        (HEADER, "?path=file&path=file", "'path' is given twice"),
    ],
)
def test_what_is_wrong_with_a_table(photos: Path, text: str, options: str, told: str) -> None:
    """Rows count from 1; all columns, and all sets that are too small, are named."""
    path = written(photos, text)
    with pytest.raises(dif.InputError, match=told) as error:
        dif.sets_from(f"{path}{options}")
    assert "\n" not in str(error.value)
    assert options.startswith("?") or str(path) in str(error.value)


def test_what_holds_no_sets(photos: Path) -> None:
    """What was given, and what could be."""
    (photos / "deep" / "a" / "b").mkdir(parents=True)
    with pytest.raises(dif.InputError, match=r"none of its sub-folders holds images; did you mean .*/a\?"):
        dif.sets_from(photos / "deep")
    (photos / "flat").mkdir()
    write(photos / "flat" / "1.png")
    write(photos / "flat" / "2.png")
    with pytest.raises(dif.InputError, match=rf"2 images in it as one set, write --set NAME={photos}/flat"):
        dif.sets_from(photos / "flat")
    with (
        pytest.warns(dif.DifferentiaWarning, match=r"folders without images \(1: deep\)"),
        pytest.raises(dif.InputError, match=r"1 set with one image alone \(sub\)"),
    ):
        dif.sets_from(photos)
    for source, told in (
        (photos / "gone", "no such folder or table"),
        (photos / "sub" / "b.png", r"is no table that is read \(\.csv, \.tsv, \.parquet\)"),
        ("", "an empty path"),
        (7, "from an object of type int; expected a folder of folders or of films, a table"),
        (written(photos, "no Parquet", "table.parquet"), "can't be read as Parquet"),
    ):
        with pytest.raises(dif.InputError, match=told):
            dif.sets_from(source)
    with pytest.raises(dif.InputError, match=r"whose sub-folders or files are the sets; leave path= out"):
        dif.sets_from(photos, path="file")
    with pytest.raises(dif.InputError, match="path is given twice"):
        dif.sets_from(f"{table_of(photos)}?path=a", path="b")
    latin = photos / "latin.csv"
    latin.write_bytes("file,category\na.png,Bär\n".encode("latin-1"))
    with pytest.raises(dif.InputError, match=r"latin\.csv: can't be read as a table .*UTF-8"):
        dif.sets_from(latin)


def test_parquet_needs_its_library(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(dif.InputError, match=r"needs pyarrow.*: pip install 'differentia\[parquet\]'"):
        dif.sets_from(written(photos, "", "table.parquet"))


def test_classes_of_pytorch(tmp_path: Path) -> None:
    """Each item stays what it is in the whole; classes of one name are told apart, empty ones left out."""
    for number in range(5):
        folder = tmp_path / "photos" / ("cats", "dogs")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{number}.png", np.full((4, 6, 3), number, np.uint8))
    data = vision.ImageFolder(tmp_path / "photos")
    sets = dif.sets_from(data)
    assert {name: stimuli.names for name, stimuli in sets.items()} == {
        "cats": ("0", "1", "2"),
        "dogs": ("3", "4"),
    }
    folders = dif.sets_from(tmp_path / "photos")
    for name, stimuli in sets.items():
        for index in range(len(stimuli)):
            both = stimuli.load(index, RGB), folders[name].load(index, RGB)
            assert np.array_equal(both[0].pixels, both[1].pixels)
    data.classes = ["crane", ("tench", "Tinca tinca"), "crane"]
    data.targets = [0, 0, 1, 2, 2]
    with pytest.raises(dif.InputError, match=r"1 set with one image alone \(tench, Tinca tinca\)"):
        dif.sets_from(data)
    data.targets = [0, 0, 2, 2, 2]
    assert [*dif.sets_from(data)] == ["crane (0)", "crane (2)"]
    data.targets = [0, 0, 2, 2, 7]
    with pytest.raises(dif.InputError, match=r"item 4: its target is 7; expected .* 3 classes"):
        dif.sets_from(data)
    with pytest.raises(dif.InputError, match="has its own classes; leave path= and set= out"):
        dif.sets_from(data, set="label")


def labelled(label: Callable[[], Any], values: list[Any], **others: Any) -> hugging_face.Dataset:
    pictures = [PIL.Image.new("RGB", (6, 4), (number, 0, 0)) for number in range(len(values))]
    plain = {name: hugging_face.Value(kind) for name, (kind, _) in others.items()}
    features = hugging_face.Features(image=hugging_face.Image(), label=label(), **plain)
    columns = {name: given for name, (_, given) in others.items()}
    return hugging_face.Dataset.from_dict({"image": pictures, "label": values, **columns}, features=features)


def test_columns_of_hugging_face() -> None:
    """Classes by their names; the items, and what else is known of each, are those of its row."""

    def classes() -> Any:
        return hugging_face.ClassLabel(names=["cat", "dog", "none"])

    data = labelled(
        classes, [1, 0, 1, 0, 0], weight=("float32", [0, 1, None, 3, 4]), word=("string", list("abcde"))
    )
    sets = dif.sets_from(data)
    assert {name: stimuli.names for name, stimuli in sets.items()} == {
        "dog": ("0", "2"),
        "cat": ("1", "3", "4"),
    }
    assert [sets["cat"].load(index, RGB).pixels[0, 0, 0] for index in range(3)] == [1, 3, 4]
    assert sets["cat"].attributes == {"weight": [1.0, 3.0, 4.0], "word": ["b", "d", "e"]}
    assert math.isnan(float(sets["dog"].attributes["weight"][1]))
    some = dif.sets_from(data.select([4, 1, 3]))
    assert [some["cat"].load(index, RGB).pixels[0, 0, 0] for index in range(3)] == [4, 1, 3]
    texts = labelled(lambda: hugging_face.Value("string"), ["a", "b", "a", "b"])
    assert [*dif.sets_from(texts)] == [*dif.sets_from(texts, path="image", set="label")] == ["a", "b"]
    with pytest.raises(dif.InputError, match=r"no column names the sets; .*Known: kind"):
        dif.sets_from(texts.rename_column("label", "kind"))
    with pytest.raises(dif.InputError, match=r"the data set, item 1: label is empty"):
        dif.sets_from(labelled(classes, [1, -1, 1]))
    with pytest.raises(dif.InputError, match="unknown column of the data set 'photo'"):
        dif.sets_from(texts, path="photo")
