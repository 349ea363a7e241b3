"""Label files: a CSV with a column ``file`` and one column a condition."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from augmentor.errors import LabelError

Row = dict[str, str]

LONGEST = 1 << 16
"""Characters of a head that is looked through for a column ``file``."""


def find(folder: Path) -> list[Path]:
    """CSV files in a folder, or beside a file, that have a column ``file``."""
    home = folder if folder.is_dir() else folder.parent
    found = []
    for path in sorted(home.glob("*.csv")):
        if path.is_file() and "file" in _head(path):
            found.append(path)
    return found


def _head(path: Path) -> list[str]:
    """The names of a table's columns; none where it is no table."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream, suppress(csv.Error):
        return next(csv.reader([stream.readline(LONGEST)]), [])
    return []


def read(path: Path, columns: Iterable[str]) -> dict[str, Row]:
    """Rows by file, keyed by the path relative to the label file.

    Raises:
        LabelError: if the file is absent, no table, or lacks a column; the columns that it has are named.
    """
    if not path.is_file():
        raise LabelError("no such label file", where=path, do="set data.labels to a CSV with a column `file`")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(f"is not UTF-8 text ({error.reason})", where=path, do="save it as a UTF-8 CSV") from error
    # Lines are the reader's to tell: a text in quotes may hold ends of lines, and other marks of Unicode that look so.
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        return _rows(path, reader, columns)
    except csv.Error as error:
        raise LabelError(f"is no CSV ({error})", where=f"{path}:{reader.line_num}", do="mend the row") from error


def _rows(path: Path, reader: csv.DictReader[str], columns: Iterable[str]) -> dict[str, Row]:
    for column in ("file", *columns):
        if column not in (reader.fieldnames or []):
            raise LabelError(
                f"has no column {column!r}", where=path, do=f"it has: {', '.join(reader.fieldnames or [])}"
            )
    rows = list(reader)
    for number, row in enumerate(rows, start=2):
        if None in row.values():
            raise LabelError("a row is shorter than the head", where=f"{path}:{number}", do="mend the row")
        # What lies beyond the last column is read under no name.
        if any(row.pop(None, [])):
            raise LabelError(
                "a row is longer than the head", where=f"{path}:{number}", do="quote cells that hold a comma"
            )
    return {row["file"]: row for row in rows}


def _resolved(path: Path, labels: Path) -> Path:
    """A path without links and steps back, or LabelError for what is no path."""
    try:
        resolved = path.resolve()
        resolved.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise LabelError(
            f"names a file that can be none ({str(path)[:80]!r})", where=labels, do="mend the row"
        ) from error
    return resolved


def match(rows: dict[str, Row], labels: Path, images: list[Path]) -> dict[Path, Row]:
    """The row of each labelled image; images that no row names are left out.

    An image is labelled by its path relative to the label file. A folder of a series is labelled by the
    folder's path.

    Raises:
        LabelError: if rows name files that are not there, or no image is named at all.
    """
    home = labels.parent.resolve()
    by_path = {_resolved(home / name, labels): (name, row) for name, row in rows.items()}
    found = {image: by_path[image.resolve()][1] for image in images if image.resolve() in by_path}
    missing = [name for path, (name, _) in by_path.items() if not path.exists()]
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise LabelError(
            f"names {len(missing)} files that are not there ({listed})", where=labels, do="mend the rows or the files"
        )
    if not found:
        raise LabelError(
            f"names none of the {len(images)} images found", where=labels, do="give paths relative to the label file"
        )
    return found
