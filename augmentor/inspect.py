"""What is at a path: scenes, their geometry, gaps, bands, dates and labels, and a recipe for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from augmentor import labels
from data_adapters import Inventory, Scene, scan
from data_adapters.errors import NothingFound, UserError, printable

SHOWN = 8
"""Scenes and problems listed one by one; the rest are counted."""

RECIPES = {
    ("volume", "CT"): "ct_missing_slices",
    ("volume", "MR"): "mri_missing_slices",
    ("stack", ""): "sentinel2_clouds",
    ("raster", ""): "satellite_tiles",
}


def inspect(path: str | Path) -> str:
    """A report, in lines, of everything at ``path``; headers are read, and pixels only to find blank slices.

    Raises:
        UserError: if nothing there can be used.
    """
    path = Path(path)
    inventory = scan(path)
    if not inventory.scenes:
        if inventory.problems:
            raise inventory.problems[0]
        counted = _counts(inventory.passed_over)
        raise NothingFound(
            f"no image in a known format{': only ' + counted if counted else ''}",
            where=path,
            do="give DICOM, NIfTI, GeoTIFF, PNG or JPEG",
        )
    return "\n".join(map(printable, _lines(path, inventory)))


def _lines(path: Path, inventory: Inventory) -> Iterator[str]:
    kinds = Counter(f"{scene.format} {scene.kind}" for scene in inventory.scenes)
    yield f"{path}: {_counts(kinds)}"
    sizes = Counter(f"{s.shape[2]}x{s.shape[3]}" for s in inventory.scenes)
    if len(sizes) > 1:
        yield f"  sizes: {_counts(sizes)}"
    for scene in inventory.scenes[:SHOWN]:
        yield from _scene_lines(scene)
    if len(inventory.scenes) > SHOWN:
        yield f"  ... and {len(inventory.scenes) - SHOWN} more"
    for folder in sorted({path, *(f.parent for s in inventory.scenes for f in s.files[:1])}):
        for table in labels.find(folder):
            yield from _label_lines(table)
    if inventory.problems:
        yield f"  {len(inventory.problems)} {'problem' if len(inventory.problems) == 1 else 'problems'}:"
        for problem in inventory.problems[:SHOWN]:
            yield f"    {type(problem).__name__}: {problem}"
        if len(inventory.problems) > SHOWN:
            rest = Counter(type(problem).__name__ for problem in inventory.problems[SHOWN:])
            yield f"    ... and {_counts(rest)}"
    if inventory.passed_over:
        yield f"  passed over: {_counts(inventory.passed_over)}"
    yield f"  recipe to start from: {suggest(inventory.scenes[0])}, or one fitted to this: augmentor recipes new {path}"


def _scene_lines(scene: Scene) -> Iterator[str]:
    channels, slices, rows, columns = scene.shape
    extent = f"{rows}x{columns}" + (f", {slices} {'dates' if scene.dates else 'slices'}" if slices > 1 else "")
    modality = f" {scene.modality}" if scene.modality else ""
    yield f"  {scene.name}: {scene.format} {scene.kind}{modality}, {extent}, {scene.dtype}"
    names = ", ".join(f"{c.name}{f' [{c.unit}]' if c.unit else ''}" for c in scene.channels)
    yield f"    channels: {channels} ({names})"
    between, down, across = scene.grid.spacing
    if scene.grid.unit != "pixels":
        apart = f"{between:.4g} x " if scene.kind == "volume" else ""
        yield f"    spacing: {apart}{down:.4g} x {across:.4g} {scene.grid.unit}"
    if scene.dates:
        yield f"    dates: {scene.dates[0]}" + (f" to {scene.dates[-1]}" if len(scene.dates) > 1 else "")
    for name, fact in scene.facts.items():
        yield f"    {name}: {fact}"
    if scene.kind == "volume":
        try:
            missing = scene.missing()
            yield f"    missing slices: {', '.join(map(str, missing)) if missing else 'none'}"
        except UserError as error:
            yield f"    {type(error).__name__}: {error}"


def _label_lines(table: Path) -> Iterator[str]:
    rows = list(labels.read(table, ()).values())
    yield f"  labels in {table.name}: {len(rows)} rows"
    for column in rows[0] if rows else ():
        values = Counter(row[column] for row in rows)
        if column != "file" and 1 < len(values) <= 20:
            yield f"    {column}: {_counts(values)}"


def suggest(scene: Scene) -> str:
    """The shipped recipe that is nearest to a scene."""
    if scene.kind == "volume":
        return RECIPES["volume", "CT" if scene.modality == "CT" else "MR"]
    return RECIPES.get((scene.kind, scene.modality), "chest_xray")


def _counts(counted: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items(), key=lambda pair: -pair[1]))
