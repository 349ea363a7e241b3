"""What lies beside files and speaks of them: sums, and the side-car or manifest that says who made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from data_adapters.fixity import NO_RECORD, OURS, Stated
from data_adapters.sums import SUFFIX, SUMS, read

MANIFEST = "synthesis.json"
"""What says of a whole folder how it was made."""

HEIGHT = 3
"""Folders above a file in which sums that name it are looked for: a series lies in one of its own."""


class Named(NamedTuple):
    """A file's digest by the sums that name it, and what their side-car says of its making, if it was ours."""

    digest: str
    made: Stated | None


class Asked(NamedTuple):
    """What samples were to be: conditions and how far they follow them, and the path of label maps, if there were."""

    conditions: Mapping[str, str]
    guidance: float
    maps: str


class SideCars:
    """The sums and side-cars of many files, each read once."""

    def __init__(self) -> None:
        self._named: dict[Path, dict[Path, Named]] = {}

    def of(self, file: Path) -> Named | None:
        """What sums in the file's folder, or above it, say of it."""
        at = file.absolute()
        return next((found for folder in at.parents[:HEIGHT] if (found := self._in(folder).get(at))), None)

    def named_below(self, path: Path) -> list[Path]:
        """The files at or below a path that sums beside, above or below it name and a side-car says to be ours."""
        top = path.absolute()
        folders = {*top.parents[:HEIGHT], *(p.parent for p in path.rglob("*") if self.is_sums(p))}
        if path.is_dir():
            folders.add(top)
        found = {file for folder in folders for file, named in self._in(folder.absolute()).items() if named.made}
        return sorted(path / file.relative_to(top) for file in found if file.is_relative_to(top))

    @staticmethod
    def is_sums(file: Path) -> bool:
        """Whether a file is one of sums, by its name."""
        return file.name == SUMS or file.name.endswith(SUFFIX)

    def asked(self, file: Path, made: Stated) -> Asked:
        """What was asked of a sample, as its folder's manifest says, if that is of the same making; else the file."""
        for folder in file.absolute().parents[:HEIGHT]:
            record = _record(folder / MANIFEST)
            if record is not None and (record["checkpoint"], record["seed"]) == (made.checkpoint, made.seed):
                of_all = Stated.from_record({**record, "conditions": record.get("asked")})
                return Asked(of_all.conditions, of_all.guidance, str(record.get("segmentation", "")))
        return Asked(made.conditions, made.guidance, "")

    def _in(self, folder: Path) -> dict[Path, Named]:
        if folder not in self._named:
            found: dict[Path, Named] = {}
            for sums in sorted({*folder.glob(SUMS), *folder.glob(f"*{SUFFIX}")}):
                of = folder / MANIFEST if sums.name == SUMS else sums.with_suffix(".json")
                record = _record(of)
                # It speaks of many files, and so of none by its number.
                made = None if record is None else replace(Stated.from_record(record), index=None)
                found |= {folder / name: Named(digest, made) for name, digest in read(sums).items()}
            self._named[folder] = found
        return self._named[folder]


def _record(path: Path) -> Mapping[str, Any] | None:
    """A side-car of ours as a mapping; None where there is none, or one of someone else's."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return dict(record) if Stated.from_record(record).tool == OURS else None
    except (OSError, *NO_RECORD):
        return None
