"""What the columns of a label file are: conditions, who or what was imaged, or neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from augmentor.labels import Row

Role = Literal["class", "number", "cycle", "text", "group", "none"]

GROUPS = (
    {"patient", "patients", "subject", "person", "participant", "case", "mrn"},
    {"place", "location", "scene", "roi", "plot", "region", "city", "parcel"},
)
"""Words of a column that names patients or places; the first set goes before the second."""

NOTES = {"orig", "original", "path", "url", "id", "uid", "index", "hash", "md5", "sha1", "sha256", "split", "fold",
         "subset", "licence", "license", "filename", "filepath", "name", "date", "time", "datetime"}  # fmt: skip
"""Words of a column that keeps books on files."""

SOURCES = {"source", "site", "hospital", "clinic", "centre", "center", "institution", "scanner", "vendor",
           "manufacturer", "camera", "device", "dataset", "sensor"}  # fmt: skip
"""Words of a column that says where images come from."""

CYCLES = (({"month"}, 12.0), ({"doy"}, 365.25), ({"day", "year"}, 365.25), ({"hour"}, 24.0), ({"azimuth"}, 360.0),
          ({"bearing"}, 360.0))  # fmt: skip
"""Words of a column that goes round, and its period."""

MOST_CLASSES = 20
FEWEST = 4
"""Images a class, on the mean, below which a column names things rather than classes."""

NUMBERS = 8
"""Different whole numbers from which on a column counts or measures."""

KNOWN = 0.5
"""Part of the images of which a condition must be known."""

LONGEST = 256
"""Bytes of a text that are read, at most."""


@dataclass(frozen=True)
class Reading:
    """What a column is taken for, why, and what else a condition of it says (a cycle's period, a text's length)."""

    column: str
    role: Role
    why: str
    says: tuple[tuple[str, Any], ...] = ()


def read_columns(rows: Sequence[Row]) -> list[Reading]:
    """What each column but ``file`` is taken for, one ``group`` among them at most."""
    names = [name for name in rows[0] if name != "file"] if rows else []
    group = next(_groups(names, rows), None)
    return [_reading(name, [row[name] for row in rows], group) for name in names]


def _groups(names: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Columns that may name patients or places, the best first: said of every image, and not the same of all."""
    for words in GROUPS:
        for name in names:
            values = [row[name] for row in rows]
            if _words(name) & words and all(values) and len(set(values)) > 1:
                yield name


def _words(name: str) -> set[str]:
    """``PatientId`` and ``patient_id`` are ``patient`` and ``id``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return set(re.split(r"[^a-z0-9]+", apart.lower()))


def _reading(name: str, cells: Sequence[str], group: str | None) -> Reading:
    values = [cell for cell in cells if cell]
    counted, words = Counter(values), _words(name)
    if name == group:
        return Reading(name, "group", f"{len(counted)} different ones of {len(cells)} images")
    if len(counted) < 2:
        return Reading(name, "none", "says the same of every image" if counted else "is empty")
    if words & NOTES or any(words & known for known in GROUPS):
        return Reading(name, "none", "keeps books")
    if words & SOURCES:
        return Reading(name, "none", "says where images come from, which samples need not imitate")
    if len(values) < KNOWN * len(cells):
        return Reading(name, "none", f"is empty for {len(cells) - len(values)} of {len(cells)} images")
    unknown = f"; unknown of {len(cells) - len(values)}" if len(values) < len(cells) else ""
    if (numbers := _numbers(values)) is not None:
        low, high = min(numbers), max(numbers)
        for cycle, period in CYCLES:
            if cycle <= words and low >= 0 and high <= period + 1:
                return Reading(name, "cycle", f"goes round: {low:g} to {high:g}{unknown}", (("period", period),))
        if len(counted) >= NUMBERS or any(value % 1 for value in numbers):
            return Reading(name, "number", f"{low:g} to {high:g}{unknown}")
    if len(counted) <= MOST_CLASSES and len(values) >= FEWEST * len(counted):
        said = ", ".join(f"{count} {value}" for value, count in counted.most_common(6))
        return Reading(name, "class", said + (", ..." if len(counted) > 6 else "") + unknown)
    if sum(len(value.split()) for value in values) >= 3 * len(values):
        needed = max(len(value.encode()) for value in values)
        length = min(LONGEST, 16 * -(-needed // 16))
        return Reading(name, "text", f"of {needed} bytes at most{unknown}", (("length", length),))
    return Reading(name, "none", f"has {len(counted)} different values, which are names rather than classes")


def _numbers(values: Sequence[str]) -> list[float] | None:
    """The values as numbers; None where one is none."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(abs(number) < float("inf") for number in numbers) else None
