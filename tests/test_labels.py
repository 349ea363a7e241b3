"""Labels: rows meet images by path, and whatever is wrong is named."""

from pathlib import Path

import pytest

from augmentor.errors import LabelError
from augmentor.labels import find, match, read


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def images(folder: Path, *names: str) -> list[Path]:
    found = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        found.append(path)
    return found


@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_rows_are_read_by_file(start: str, end: str, tmp_path: Path) -> None:
    lines = ["file,label,patient", "a.png,none,1", 'sub/b c.png,"effusion, left",2', ""]
    path = tmp_path / "labels.csv"
    path.write_bytes((start + end.join(lines)).encode())
    rows = read(path, ["label", "patient"])
    assert rows == {
        "a.png": {"file": "a.png", "label": "none", "patient": "1"},
        "sub/b c.png": {"file": "sub/b c.png", "label": "effusion, left", "patient": "2"},
    }


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("name,label\na,b\n", ["label"], "has no column 'file'; it has: name, label"),
        ("file,lable\na,b\n", ["label"], "has no column 'label'; it has: file, lable"),
        ("file,label\na,b\n", ["label", "patient"], "has no column 'patient'"),
        ("", ["label"], "has no column 'file'"),
    ],
)
def test_a_missing_column_is_named_beside_those_there(text: str, columns: list[str], said: str, tmp_path: Path) -> None:
    path = table(tmp_path, text)
    with pytest.raises(LabelError) as caught:
        read(path, columns)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"labels\.csv: no such label file"):
        read(tmp_path / "labels.csv", [])


def test_a_table_that_is_no_utf8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("file,label\na.png,Röntgen\n".encode("latin-1"))
    with pytest.raises(LabelError, match=r"labels\.csv"):
        read(path, ["label"])


def test_a_row_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="label"):
        read(table(tmp_path, "file,label\na.png,none\nb.png\n"), ["label"])


def test_rows_meet_images_by_path(tmp_path: Path) -> None:
    found = images(tmp_path, "a.png", "sub/a.png", "series/1.dcm", "unlabelled.png")
    folder = tmp_path / "series"
    path = table(tmp_path, "file,label\na.png,x\nsub/../sub/a.png,y\nseries,z\n")
    matched = match(read(path, ["label"]), path, [*found, folder])
    assert {image: row["label"] for image, row in matched.items()} == {found[0]: "x", found[1]: "y", folder: "z"}


def test_a_label_file_can_lie_elsewhere_than_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = images(tmp_path / "data", "a.png")
    path = table(tmp_path / "data", "file,label\na.png,x\n")
    monkeypatch.chdir(tmp_path)
    relative = Path("data/labels.csv")
    assert match(read(relative, []), relative, [found])[found] == match(read(path, []), path, [found])[found]


@pytest.mark.parametrize(
    ("absent", "said"), [(1, r"names 1 files that are not there \(0\.png\)"), (5, r"5 files .*, \.\.\.")]
)
def test_rows_without_images_are_named(absent: int, said: str, tmp_path: Path) -> None:
    found = images(tmp_path, "a.png")
    rows = "".join(f"{n}.png,x\n" for n in range(absent))
    path = table(tmp_path, f"file,label\na.png,x\n{rows}")
    with pytest.raises(LabelError, match=said):
        match(read(path, []), path, found)


def test_labels_of_none_of_the_images_are_refused(tmp_path: Path) -> None:
    found = images(tmp_path, "a.png", "b.png", "other.png")
    path = table(tmp_path, "file,label\nother.png,x\n")
    with pytest.raises(LabelError, match="names none of the 2 images"):
        match(read(path, []), path, found[:2])


def test_label_files_are_found_by_their_column(tmp_path: Path) -> None:
    first, second = table(tmp_path, "file,label\n"), table(tmp_path, "label,file\n", "more.csv")
    table(tmp_path, "name,label\n", "other.csv")
    table(tmp_path, "", "empty.csv")
    table(tmp_path, "file,label\n", "notes.txt")
    (tmp_path / "binary.csv").write_bytes(b"\xff\x00\xfe,")
    assert find(tmp_path) == [first, second]
    assert find(tmp_path / "image.png") == [first, second]
