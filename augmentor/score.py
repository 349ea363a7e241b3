"""How strange images are to a run that was trained on usual ones, and where in them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from augmentor.errors import RecipeError, RunError, TooLittleData
from augmentor.ingest import cut_each
from augmentor.opening import opened
from augmentor.progress import note, progress
from augmentor.run import TOOL, Run, tool_version
from augmentor.scoring.laid import Laid
from augmentor.scoring.normal import FIGURES, Normal, image_scores, normal_of, strangeness
from augmentor.scoring.shown import show
from augmentor.scoring.views import Viewer
from augmentor.tiles import Tile
from augmentor.together.lock import alone_in, replaceable
from augmentor.together.workers import HERE, Workers
from data_adapters import Provenance, Scene
from data_adapters.atomic import replacing, write_json
from data_adapters.errors import Unwritable

TABLE, RECORD = "scores.csv", "scores.json"

ABOUT = "not remade, in standard deviations of usual pixels"


@dataclass(frozen=True)
class Row:
    """One image: a slice of a ``scene``, by its strangest tile, in standard deviations of usual images.

    ``score`` is the mean of ``reconstruction``, what cannot be remade of it, ``features``, how far that lies from it to
    the discriminator, and ``peak``, what cannot be remade where it is strangest; ``chance`` is how often a usual image
    scores as high. ``realism`` is higher where the discriminator takes it for an image that was not made.
    """

    file: str
    scene: str
    slice: int
    score: float
    chance: float
    alarm: bool
    reconstruction: float
    features: float
    peak: float
    realism: float


class Scored(NamedTuple):
    """What was found, and where it was written."""

    rows: list[Row]
    folder: Path


def score(
    source: str | Path,
    *,
    run: str | Path | None = None,
    out: str | Path = "scores",
    alarms: float = 0.05,
    maps: bool = True,
    runs: str | Path = "runs",
    hands: Workers = HERE,
) -> Scored:
    """Say of every image at ``source`` how strange it is to a run (the latest when none is named), and where.

    Three views are taken of it: what the run cannot remake of it (inference network and generator), how far that lies
    from it in the discriminator's features, and what the discriminator takes for made; each in standard deviations of
    images that were held out of training. An image raises an alarm where at most a part ``alarms`` of usual images is
    to be expected to score as high. With ``maps``, what cannot be remade is written for every pixel, in the source's
    own format and grid, and a picture of each scene.

    ``out`` receives ``scores.csv`` and ``scores.json``; earlier scores there are replaced.

    Raises:
        UserError: if there is no run that knows such images, nothing to score, or ``out`` holds anything else.
    """
    source, runs = Path(source), Path(runs)
    if not 0 < alarms < 1:
        raise RecipeError(f"a rate of false alarms of {alarms:g}", do="give a part between 0 and 1")
    found = Run.find(run, runs)
    viewer = Viewer.of(found)
    out = replaceable(Path(out), RECORD)
    scenes = _known(opened(source), found)
    normal = normal_of(found, viewer, runs / "tiles")
    least = 1 / (len(normal.scores) + 1)
    if least > alarms:
        note(f"{len(normal.scores)} usual images allow no rate below {least:.2g}: nothing can raise an alarm")
    recipe = found.recipe
    made_by = Provenance(TOOL, tool_version(), "T2T-GAN strangeness", recipe.digest(), normal.checkpoint)
    rows: list[Row] = []
    with alone_in(out), progress("score", len(scenes)) as advance:
        write_json(out / RECORD, {"tool": TOOL, "images": "unfinished"})
        cut = cut_each(scenes, recipe, hands, lambda error: note(f"left out: {error}"))
        for number, (scene, tiles) in enumerate(cut, 1):
            if tiles:
                looked = Looked.at(tiles, viewer, normal)
                rows += _rows(scene, looked, normal, alarms)
                if maps:
                    _write_maps(scene, looked, viewer, made_by, out, whole=recipe.tiles.cut == "whole")
            else:
                note(f"{scene.name} is not seen well enough for a single tile, and left out")
            advance(number, scene.name)
        if not rows:
            raise TooLittleData("no tile could be cut", where=source, do="give images as those that the run knows")
        _write_table(rows, out / TABLE)
        write_json(
            out / RECORD,
            {
                "tool": TOOL, "version": tool_version(), "run": found.name, "recipe": made_by.recipe,
                "checkpoint": made_by.checkpoint, "false alarms": alarms, "usual images": len(normal.scores),
                "images": [asdict(row) for row in rows],
            },
        )  # fmt: skip
    return Scored(rows, out)


def _known(scenes: Sequence[Scene], run: Run) -> list[Scene]:
    """Those with the channels of a run.

    Raises:
        RunError: if there is none.
    """
    channels = run.facts.channels
    alike = [scene for scene in scenes if scene.shape[0] == channels]
    if not alike:
        raise RunError(
            f"knows images of {channels} channels, and these have {scenes[0].shape[0]}",
            where=run.folder,
            do="name a run that was trained on such images",
        )
    for scene in scenes:
        if scene not in alike:
            note(f"{scene.name} has {scene.shape[0]} channels, and is left out")
    return alike


class Looked(NamedTuple):
    """Tiles of one scene, scaled and shown as networks see them, and what was found in them.

    ``shown`` (N, C, *tile), ``valid`` (N, 1, *tile); ``figures`` (N, 4) in standard deviations of usual images,
    ``strange`` (N, *tile) of usual pixels; ``scores`` (N,).
    """

    tiles: list[Tile]
    shown: torch.Tensor
    valid: torch.Tensor
    figures: NDArray[np.float64]
    strange: NDArray[np.float32]
    scores: NDArray[np.float64]

    @classmethod
    def at(cls, tiles: list[Tile], viewer: Viewer, normal: Normal) -> Looked:
        seen = np.stack([tile.valid for tile in tiles])
        unit = viewer.facts.scaling.to_unit(np.stack([tile.pixels for tile in tiles]), seen.ndim - 1)
        shown = torch.from_numpy(np.where(seen[:, None], unit, 0).astype(np.float32))
        valid = torch.from_numpy(seen)[:, None].float()
        apart = normal.apart(viewer.look(shown, valid).numpy())
        figures = normal.figures_of(apart, seen)
        return cls(tiles, shown, valid, figures, strangeness(apart, seen), image_scores(figures))


def _rows(scene: Scene, looked: Looked, normal: Normal, alarms: float) -> Iterator[Row]:
    """One for each slice, by its strangest tile."""
    best: dict[int, int] = {}
    for number, tile in enumerate(looked.tiles):
        index = tile.origin.slice
        if index not in best or looked.scores[number] > looked.scores[best[index]]:
            best[index] = number
    for index, number in sorted(best.items()):
        worth = float(looked.scores[number])
        chance = normal.chance(worth)
        told = dict(zip(FIGURES, map(float, looked.figures[number]), strict=True))
        yield Row(
            scene.path.name, scene.name, index, worth, chance, chance <= alarms,
            told["reconstruction"], told["features"], told["peak"], -told["tokens"],
        )  # fmt: skip


def _write_maps(scene: Scene, looked: Looked, viewer: Viewer, made_by: Provenance, out: Path, *, whole: bool) -> None:
    """The map of a scene on its own grid, and a picture of its strangest tile."""
    laid = Laid(scene, whole=whole)
    for tile, strange in zip(looked.tiles, looked.strange, strict=True):
        laid.add(tile, strange)
    stem = out / f"{scene.name}_strange"
    try:
        scene.write_map(stem, laid.values, ABOUT, replace(made_by, source=scene.name))
    except Unwritable as error:
        note(f"no map: {error}")
    worst = int(looked.scores.argmax())
    part = slice(worst, worst + 1)
    shown, names = looked.shown[part], [channel.name for channel in scene.channels]
    show(shown.numpy()[0], looked.strange[worst], viewer.attended(shown).numpy()[0], names,
         stem.with_name(f"{scene.name}_shown.png"))  # fmt: skip


def _write_table(rows: Sequence[Row], path: Path) -> None:
    with (
        replacing(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as f,
    ):
        table = csv.writer(f)
        table.writerow([field.name for field in fields(Row)])
        for row in rows:
            told = asdict(row) | {"alarm": "yes" if row.alarm else "no"}
            table.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in told.values()])
