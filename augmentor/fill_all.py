"""Every scene of a folder with its holes rebuilt, each in a folder of its own; what is done stays done."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augmentor.errors import NothingToFill, OutputInTheWay
from augmentor.fill import fill
from augmentor.opening import opened
from augmentor.progress import progress
from augmentor.together.lock import alone_in
from augmentor.together.workers import HERE, Workers
from data_adapters import Scene
from data_adapters.atomic import read_json, replacing, write_json
from data_adapters.errors import UserError

MANIFEST, SUMMARY, RECORD = "fills.json", "fills.jsonl", "filled.json"


@dataclass(frozen=True)
class Task:
    """A scene to be filled into ``folder``, as ``options`` of ``fill`` say."""

    scene: Scene
    folder: Path
    options: Mapping[str, Any]


def fill_all(source: str | Path, out: str | Path, *, hands: Workers = HERE, **options: Any) -> list[dict[str, Any]]:
    """Fill every scene at ``source``, by ``hands``, as ``fill`` does with these ``options``.

    ``out`` is given a folder for each, with what ``fill`` writes and ``filled.json``, which says how it went: a scene
    without holes, or with nothing to fill them from, is left out, and why is said there. ``fills.jsonl`` holds all of
    these in one. ``mask`` may be a folder of masks named like the scenes' files. Interrupted, the same call goes on.

    Raises:
        UserError: if there is no scene, none had anything to fill, or ``out`` holds anything else.
    """
    source, out = Path(source), Path(out)
    scenes = opened(source)
    if source.resolve() in (out.resolve(), *out.resolve().parents):
        raise OutputInTheWay("lies inside the source", where=out, do="choose another -o")
    asked = json.loads(json.dumps({"source": source.resolve(), "options": options}, default=str))
    if out.exists() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise OutputInTheWay("holds other files", where=out, do="choose another -o or empty it")
    with alone_in(out):
        if (out / MANIFEST).is_file() and read_json(out / MANIFEST) != asked:
            raise OutputInTheWay("holds scenes filled from elsewhere, or otherwise", where=out, do="choose another -o")
        write_json(out / MANIFEST, asked)
        tasks = [Task(scene, out / name, options) for scene, name in zip(scenes, _names(scenes), strict=True)]
        records = []
        with progress("fill", len(tasks)) as advance:
            for number, record in enumerate(hands.map(fill_one, tasks), 1):
                records.append(record)
                advance(number, str(record["scene"]))
        with replacing(out / SUMMARY) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    if all("left out" in record for record in records):
        raise NothingToFill(f"none of {len(records)} scenes was filled", where=source, do=records[0]["left out"])
    return records


def fill_one(task: Task) -> dict[str, Any]:
    """Fill one scene, or find that it is filled; gives what became of it."""
    if (task.folder / RECORD).is_file():
        return read_json(task.folder / RECORD)
    # It comes to its place whole, with what is said of it.
    unfinished = task.folder.with_name(f".{task.folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    scene = task.scene
    name = scene.path.name if len(scene.files) == 1 else task.folder.name
    record: dict[str, Any] = {"scene": scene.name}
    try:
        filled = fill(scene, unfinished / name, **{**task.options, "mask": _mask(scene, task.options.get("mask"))})
    except UserError as error:
        record |= {"left out": str(error)}
    else:
        record |= {"file": f"{task.folder.name}/{name}", "holes": filled.holes, "pixels": filled.pixels}
        record |= {"method": filled.method, "expected error": filled.expected_error}
    write_json(unfinished / RECORD, record)
    shutil.rmtree(task.folder, ignore_errors=True)
    unfinished.rename(task.folder)
    return record


def _mask(scene: Scene, mask: str | Path | None) -> str | Path | None:
    """The mask of one scene: that of its name, where ``mask`` is a folder that holds one."""
    named = Path(mask) / scene.path.name if mask is not None else None
    return named if named is not None and named.is_file() else mask


def _names(scenes: list[Scene]) -> Iterator[str]:
    """A folder's name for each scene, no two alike."""
    seen: Counter[str] = Counter()
    for scene in scenes:
        plain = re.sub(r"[^\w.-]+", "_", scene.name).strip(".") or "scene"
        seen[plain] += 1
        yield plain if seen[plain] == 1 else f"{plain}-{seen[plain]}"
