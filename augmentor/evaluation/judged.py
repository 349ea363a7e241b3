"""Parts of a verdict that were found before a stop, so that none is judged twice."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from augmentor.evaluation.part import Grade, Part
from augmentor.evaluation.sets import Sets, Side
from augmentor.report.chart import Chart
from augmentor.run import tool_version
from data_adapters.atomic import read_json, replacing, write_json

FOLDER = "judged"
CHARTS = TypeAdapter(list[Chart])


class Judged:
    """The parts that are found of ``sets`` as the ``origin`` says, kept below a folder until all of them are."""

    def __init__(self, folder: Path, sets: Sets, origin: Mapping[str, str]) -> None:
        self._folder = folder / FOLDER
        self._place = self._folder / digest(sets, origin)[:16]

    def part(self, name: str, judge: Callable[[], Part | None]) -> Part | None:
        """What is judged, or was before a stop."""
        path = self._place / f"{name.replace(' ', '_')}.json"
        if not path.is_file():
            _keep(judge(), path)
        # What was just found is read, too, so that a stop changes nothing.
        return _kept(path)

    def forget(self) -> None:
        """Remove what is kept of these sets and of any others."""
        shutil.rmtree(self._folder, ignore_errors=True)


def digest(sets: Sets, origin: Mapping[str, str]) -> str:
    """SHA-256 of all that a verdict depends on."""
    found = hashlib.sha256()
    told = [tool_version(), dict(origin), sets.recipe.digest(), sets.rows, sets.channels]
    told += [astuple(sets.scaling), list(map(repr, sets.conditions))]
    for side in (sets.train, sets.held_out, sets.made):
        told += [side.planes.shape, *_said(side)]
        found.update(side.planes.tobytes())
        if side.labels is not None:
            found.update(side.labels.tobytes())
    found.update(json.dumps(told, default=dict).encode())
    return found.hexdigest()


def _said(side: Side) -> tuple[Any, ...]:
    return side.names, side.conditions, side.groups, side.labels is not None


def _keep(part: Part | None, path: Path) -> None:
    record: dict[str, Any] = {"part": None}
    if part is not None:
        with replacing(path.with_suffix(".npy")) as temporary, temporary.open("wb") as file:
            np.save(file, np.array(part.pairs), allow_pickle=False)
        record["part"] = asdict(replace(part, pairs=()))
    write_json(path, record)


def _kept(path: Path) -> Part | None:
    record = read_json(path)["part"]
    if record is None:
        return None
    pairs = np.load(path.with_suffix(".npy"), allow_pickle=False)
    record |= {"grade": Grade(record["grade"]), "charts": CHARTS.validate_python(record["charts"])}
    return Part(**record | {"pairs": [(left, right) for left, right in pairs]})
