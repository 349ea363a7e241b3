"""A recipe's values for what was seen, and the reason of each."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from augmentor.errors import TooLittleData
from augmentor.fitting.columns import Reading
from augmentor.fitting.look import Seen
from augmentor.fitting.pace import PART, Machine, needed
from augmentor.fitting.tiling import Cutting, cuttings
from augmentor.ingest import FEWEST
from augmentor.synthesize import MEDICAL
from data_adapters.room import told

GOOD = 50
"""Images below which little is to be expected."""

HU = (-1000, 1000)
"""Air to bone."""

SKEWED = 0.1
"""Part of the range below which the median of values above the lowest lies where they are skewed."""

SHOWN = 120
"""Times that a tile is shown, where there is room for it: 36,000 of 280 radiographs (docs/results.md)."""

FEW, MANY = 20_000, 60_000
"""Tiles shown in all, at least and at most, on a CPU."""

FILLED = 40_000
"""Hidden parts that filling learns from (docs/fill.md)."""

LARGE = 2_000
"""Tiles from which on the large preset is worth its parameters (docs/model.md)."""


class Choice(NamedTuple):
    """A value of a recipe by its ``section.key``, and why it is so."""

    key: str
    value: Any
    why: str


def ways(seen: Seen, machine: Machine) -> Iterator[tuple[int, list[Choice]]]:
    """Every value that suits what was seen, but for how long to train: by the best way to cut it, then by others.

    Each comes with the tiles to be expected, as far as sizes tell: masks and nodata are not counted.
    """
    task = _task(seen)
    fill = task.value == "fill"
    for cutting in cuttings(seen, machine, fill=fill):
        yield (
            cutting.tiles,
            [
                Choice("name", re.sub(r"[^A-Za-z0-9_-]+", "_", seen.path.resolve().stem).strip("_") or "mine", ""),
                Choice("about", _about(seen, fill=fill), ""),
                task,
                *_data(seen, cutting, fill=fill),
                *([] if fill else _conditions(seen, cutting)),
                *_tiles(seen, cutting, fill=fill),
                *_model(cutting, machine, fill=fill),
                *([] if fill else [_format(seen, cutting)]),
            ],
        )


def too_little(seen: Seen) -> TooLittleData:
    """What is said of images that cannot be cut in any way."""
    images = sum(scene.shape[1] for scene in seen.scenes)
    what = ("slice" if seen.scenes[0].kind == "volume" else "image") + "s" * (images > 1)
    if images >= FEWEST:
        return TooLittleData(
            f"{images} {what} of one patient or place, or too small ones, of which nothing can be held out",
            where=seen.path,
            do=f"give images of two patients or places at least, {FEWEST} tiles of 32 x 32 in all",
        )
    return TooLittleData(
        f"{images} {what}, and {FEWEST} tiles of 32 x 32 are needed at least",
        where=seen.path,
        do=f"give {FEWEST} or more; {GOOD} to {LARGE} make samples worth having",
    )


def _about(seen: Seen, *, fill: bool) -> str:
    domain = seen.domain[0].name
    return f"{'Holes filled in' if fill else 'Synthetic'} {domain} like those in {seen.path.resolve().name}."


def _task(seen: Seen) -> Choice:
    first = seen.scenes[0]
    lacking = f"missing slices: {sum(seen.gaps)}, between others, in {len(seen.gaps)} of {len(seen.scenes)} volumes"
    if 2 * len(seen.gaps) >= len(seen.scenes):
        return Choice("task", "fill", lacking)
    if seen.gaps:
        return Choice("task", "synthesize", f"{lacking}; fill rebuilds them without a run, too")
    if first.kind == "stack" and len(seen.scenes) == 1:
        if cover := seen.layer or seen.masks:
            return Choice("task", "fill", f"{first.shape[1]} dates of one place, and {cover} says what clouds hide")
        return Choice("task", "synthesize", "no mask says what clouds hide; with data.masks, fill would rebuild it")
    return Choice("task", "synthesize", "nothing is missing that could be filled")


def _data(seen: Seen, cutting: Cutting, *, fill: bool) -> Iterator[Choice]:
    first = seen.scenes[0]
    mind = f". Mind: {seen.strangers}; train on what goes together" if seen.strangers else ""
    yield Choice("data.path", str(seen.path), f"{_scenes(seen)}; --data overrides it{mind}")
    if not fill:
        if seen.table is not None:
            home = seen.path if seen.path.is_dir() else seen.path.parent
            beside = os.path.relpath(seen.table.resolve(), home.resolve())
            left_out = seen.found - len(seen.scenes)
            more = f"; {left_out} files that it does not name, or of another kind, are left out" if left_out else ""
            yield Choice("data.labels", beside, f"names {len(seen.rows)} of the images{more}{_unused(seen)}")
        else:
            yield Choice("data.labels", None, _unlabelled(seen))
        yield _group(seen)
    domain, told_by = seen.domain
    if domain.modality and not first.modality:
        yield Choice("data.modality", domain.modality, f"{domain.name}: {told_by}")
    elif first.kind == "image" and not (first.modality or domain.detail):
        yield Choice("data.modality", "", f"{told_by}: CR, MG, US, ... where they are medical")
    if cover := seen.layer or seen.masks:
        reason = "what it calls clouded is filled" if fill else "what it calls clouded is not learned"
        lies = "a layer of the data" if cover == seen.layer else "beside the data"
        yield Choice("data.masks", str(cover), f"{lies}; {reason}")


def _scenes(seen: Seen) -> str:
    """What there is: ``327 png images of 3 sizes, the smallest 256 x 256``."""
    first = seen.scenes[0]
    count = f"{len(seen.scenes)} {first.format} {first.kind}{'s' if len(seen.scenes) > 1 else ''}"
    sizes = {scene.shape[2:] for scene in seen.scenes}
    rows, columns = seen.least
    planes = f"of {rows} x {columns}" if len(sizes) == 1 else f"of {len(sizes)} sizes, the smallest {rows} x {columns}"
    along = {"volume": "slices", "stack": "dates"}.get(first.kind, "")
    depth = f", {seen.depth} {along}{' or more' if len(seen.scenes) > 1 else ''}" if along else ""
    names = [channel.name for channel in first.channels]
    listed = f", {len(names)} channels ({_listed(names, 13)})" if len(names) > 1 else ""
    return f"{count} {planes}{depth}{listed}, {first.dtype}; {seen.domain[0].name} ({seen.domain[1]})"


def _listed(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _unlabelled(seen: Seen) -> str:
    """What could be labels where there is no label file."""
    folders = Counter(scene.path.parent.name for scene in seen.scenes if scene.path.parent != seen.path)
    if len(seen.scenes) > 1 and 1 < len(folders) <= 20 and len(seen.scenes) >= 4 * len(folders):
        named = _listed(sorted(folders), 4)
        return (
            f"no CSV with a column `file` names the images; the {len(folders)} folders ({named}) may be classes, which "
            "a CSV with the columns file,label would tell"
        )
    return "no CSV with a column `file` names the images"


def _unused(seen: Seen) -> str:
    """Columns of the label file that are no conditions, by why."""
    reasons: dict[str, list[str]] = {}
    for reading in seen.readings:
        if reading.role == "none":
            reasons.setdefault(reading.why, []).append(reading.column)
    said = "; ".join(f"{_listed(columns, 6)} ({why})" for why, columns in reasons.items())
    return f". No conditions: {said}" if said else ""


def _group(seen: Seen) -> Choice:
    if seen.group:
        why = f"names {seen.groups} patients or places, none of which is on both sides of the split"
    elif seen.groups == 1:
        one = "place" if seen.scenes[0].kind in ("raster", "stack") else "patient"
        why = f"one {one} alone: samples will be of it, and parts of it are held out"
    elif seen.scenes[0].format == "dicom":
        why = f"headers name {seen.groups} patients"
    else:
        why = "nothing names patients or places, so that each file is taken for one of its own; where that is not so, "
        why += "a column of the label file should say it, or figures of held-out images flatter"
    return Choice("data.group", seen.group, why)


def _conditions(seen: Seen, cutting: Cutting) -> Iterator[Choice]:
    used = [reading for reading in seen.readings if reading.role not in ("group", "none")]
    for reading in used:
        kind = {} if reading.role == "class" else {"kind": reading.role}
        value = {**kind, "column": reading.column, **dict(reading.says)}
        yield Choice(f"conditions.{reading.column}", value, _said(seen, reading))
    first = seen.scenes[0]
    if first.kind == "volume" and len(cutting.size) == 2 and first.volumes == 1 and cutting.cut == "whole":
        value = {"kind": "number", "origin": "slice_position"}
        yield Choice("conditions.position", value, "where in the body a slice lies")
        return
    if first.dates and len({date[5:7] for scene in seen.scenes for date in scene.dates}) > 1:
        yield Choice("conditions.month", {"kind": "cycle", "origin": "month"}, "of the dates: seasons differ")
        return
    if not used:
        yield Choice("conditions", {}, "no column of a label file is one" if seen.rows else "there is no label file")


def _said(seen: Seen, reading: Reading) -> str:
    """What a column says; of a class, also which other column says the same."""
    if reading.role != "class":
        return f"{reading.role}: {reading.why}"
    from augmentor.evaluation.confounding import coinciding

    names = sorted({row[reading.column] for row in seen.rows if row[reading.column]})
    same = [
        f"{name} is one with {column} {value}" for name, column, value in coinciding(seen.rows, reading.column, names)
    ]
    return reading.why + (f". Mind: {'; '.join(same[:3])}; samples cannot tell which of them they show" if same else "")


def _tiles(seen: Seen, cutting: Cutting, *, fill: bool) -> Iterator[Choice]:
    yield Choice("tiles.size", list(cutting.size), f"{cutting.tiles} tiles: {cutting.why}")
    yield Choice("tiles.cut", cutting.cut, "one resized tile an image" if cutting.cut == "whole" else "")
    if cutting.overlap:
        yield Choice("tiles.overlap", cutting.overlap, "there are few tiles without")
    domain = seen.domain[0]
    if domain.modality == "CT":
        yield Choice("tiles.limits", list(HU), "HU of air and of bone, the same in every scanner")
    else:
        yield Choice("tiles.limits", None, _range(seen))
    yield Choice("tiles.flips", domain.flips and not fill, "filling turns tiles by itself" if fill else domain.why)


def _range(seen: Seen) -> str:
    """The range of values, and whether it is used well."""
    if not seen.samples:
        return "fitted to the training tiles"
    values = np.concatenate(seen.samples, axis=1)
    low, high = np.percentile(values, (0.1, 99.9), axis=1)
    span = f"{low.min():.4g} to {high.max():.4g}"
    said = f"fitted in each channel to 0.1 to 99.9 % of the training values; here {span}"
    skewed = seen.domain[0].name == "radar images" and [
        channel.name
        for channel, own, a, b in zip(seen.scenes[0].channels, values, low, high, strict=True)
        if (above := own[own > own.min()]).size and np.median(above) < a + SKEWED * (b - a)
    ]
    if skewed:
        said += f". Mind: {_listed(skewed, 4)}: half of the values lie within a tenth of that; decibels use it better"
    return said


def _model(cutting: Cutting, machine: Machine, *, fill: bool) -> Iterator[Choice]:
    room = told(machine.memory)
    pixels = int(np.prod(cutting.size))
    preset, why = "tiny", f"no GPU, {room} of memory: made for two CPU cores and tiles of 32 to 64"
    if machine.gpu:
        fine = min(cutting.size) >= 128
        gib = machine.memory / 2**30
        preset = "tiny" if gib < 8 else "small" if gib < 24 or not fine else "base"
        preset = "large" if preset == "base" and gib >= 40 and cutting.tiles >= LARGE else preset
        why = f"a GPU of {room}, {cutting.tiles} tiles; `tiny` is the one that was measured most"
    batch = 16
    while batch > 4 and needed(preset, batch * pixels) > PART * machine.memory:
        batch //= 2
    yield Choice("model.preset", preset, why)
    # Cubes are dear, and each holds many slices.
    images = (
        FILLED
        if fill
        else FEW
        if len(cutting.size) == 3
        else max(FEW, min(MANY, round(SHOWN * cutting.tiles, -3))) * (4 if machine.gpu else 1)
    )
    yield Choice("game.images", images, f"each tile about {max(1, round(images / cutting.tiles))} times")
    yield Choice("game.batch", batch, f"about {told(needed(preset, batch * pixels))} in training, of {room}")


def _format(seen: Seen, cutting: Cutting) -> Choice:
    first = seen.scenes[0]
    domain = seen.domain[0]
    modality = first.modality or domain.modality
    if first.format == "dicom" and (modality not in MEDICAL or first.shape[0] > 1):
        written = "nifti" if len(cutting.size) == 3 else "png"
        return Choice("synthesis.format", written, f"{modality} samples have no DICOM image class of their own here")
    also = ""
    if first.format != "dicom" and modality in MEDICAL and first.shape[0] == 1:
        also = f"; `dicom` makes {modality} objects of them"
    return Choice("synthesis.format", "source", f"as the source: {first.format}{also}")


def timed(chosen: list[Choice], words: str) -> list[Choice]:
    """The same, the tiles to be shown with the time that takes."""
    return [c._replace(why=f"{c.why}; {words}") if c.key == "game.images" else c for c in chosen]
