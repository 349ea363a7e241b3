"""What a case is handed to: the same entries that the verbs use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from augmentor import labels
from augmentor import recipe as recipes
from augmentor.learners.loop import learn
from augmentor.networks import load_generator
from augmentor.recipe import Game, Recipe
from augmentor.run import Run
from augmentor.tiles import TileStore
from benchmarks.fuzz_seeds import Stub
from data_adapters import Scene, Window, open_scenes, scan
from data_adapters.errors import UserError

MOST = 4
"""Scenes of a case that are read."""

SHORT = Recipe(name="short", game=Game(images=4))
"""Of a run that has seen more than it asks for."""

SIDE = 64
"""Rows and columns of the window that is read."""


def scenes(folder: Path) -> None:
    """Open what is there, look at all that a verb asks of a scene, and read a window of its first two slices."""
    scan(folder)
    for scene in open_scenes(folder)[:MOST]:
        _looked_at(scene)


def _looked_at(scene: Scene) -> None:
    channels, slices, rows, columns = scene.shape
    assert min(scene.shape) > 0, f"a shape of {scene.shape}"
    window = Window(rows // 3, columns // 3, min(SIDE, rows - rows // 3), min(SIDE, columns - columns // 3))
    count = min(2, slices)
    refused = []
    for ask in (scene.template, lambda: scene.corner, lambda: scene.classes, lambda: dict(scene.layers), scene.missing):
        try:
            ask()
        except UserError as error:
            refused.append(error)
    pixels = scene.read(0, count, window)
    assert pixels.values.shape == pixels.valid.shape == (channels, count, window.height, window.width)
    assert pixels.valid.dtype == bool
    assert pixels.values.dtype.kind == "f"
    assert np.isfinite(pixels.values[pixels.valid]).all(), "observed values that are no numbers"
    if refused:
        raise refused[0]


def recipe(folder: Path) -> None:
    """Load a recipe, and what is asked of it first."""
    found = recipes.load(folder / "recipe.yaml")
    found.digest()
    recipes.load(folder / "recipe.yaml", ["tiles.size=[32,32]"], path="images")


def tables(folder: Path) -> None:
    """Find label files, read them and match them to images."""
    images = [folder / "a.png", folder / "b.png"]
    for path in [*labels.find(folder), folder / "labels.csv"]:
        labels.match(labels.read(path, ["finding"]), path, images)


def run(folder: Path) -> None:
    """Find a run, and everything that ``synthesize`` asks of it."""
    found = Run.find(folder, folder.parent)
    assert found.recipe.name
    dict(found.provenance)
    found.facts.as_dict()
    load_generator(found)


def resume(folder: Path) -> None:
    """Take up a checkpoint, and take no step."""
    learn(Run(folder), SHORT, Stub())


def store(folder: Path) -> None:
    """Read all of a tile store."""
    found = TileStore(folder)
    dict(found.facts)
    rows = [*found.rows(False), *found.rows(True)]
    pixels, valid = found.load(rows)
    assert len(pixels) == len(valid) == len(rows)


TARGETS: dict[str, Callable[[Path], None]] = {
    "dicom": scenes,
    "series": scenes,
    "nifti": scenes,
    "tiff": scenes,
    "stack": scenes,
    "image": scenes,
    "recipe": recipe,
    "labels": tables,
    "run": run,
    "resume": resume,
    "store": store,
}
