"""Which run fills a scene, and in which units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import RunError
from augmentor.holes.kinds import Holes, Mask
from augmentor.run import Run
from augmentor.scaling import Scaling
from augmentor.tiles import MIDDLE, middle, windows
from data_adapters import Scene

SEEN = 0.05
"""Part of the pixels that are known, at least, where a scene's values are looked at."""


def choose_run(scene: Scene, named: str | Path | None, runs: Path) -> Run | None:
    """The run named, or the latest one that was trained to fill scenes like this one."""
    if named is not None:
        run = Run.find(named, runs)
        if not suits(run, scene):
            raise RunError("was not trained to fill scenes like this", where=run.folder, do="name another --run")
        return run
    folders = [path.parent for path in runs.glob("*/generator.safetensors") if not path.parent.is_symlink()]
    suited = [run for run in map(Run, folders) if suits(run, scene)]
    return max(suited, key=lambda run: run.weights.stat().st_mtime, default=None)


def suits(run: Run, scene: Scene) -> bool:
    """Whether a run fills this kind of scene; volumes go by modality where both state one, rasters by bands."""
    facts = run.facts
    template = facts.template
    if not facts.context or template.kind != scene.kind or facts.channels != scene.shape[0]:
        return False
    if scene.kind == "volume":
        return template.modality == scene.modality or "" in (template.modality, scene.modality)
    return [c.name for c in template.channels] == [c.name for c in scene.channels]


def scaling(scene: Scene, holes: Holes, run: Run | None) -> Scaling:
    """The run's scaling where units are physical; the scene's own where they are arbitrary, as in MR."""
    if run is not None and (scene.kind != "volume" or run.recipe.tiles.limits is not None):
        return run.facts.scaling
    values, known = _shown(scene, holes)
    return Scaling.fit(np.moveaxis(values, 1, 0), known, None)


def _shown(scene: Scene, holes: Holes) -> tuple[NDArray[Any], Mask]:
    """Values (C, S, h, w), and where all channels are known (S, h, w): of the middle of the plane, or, where hardly
    anything is known there, of the first part of it that shows something."""
    best: tuple[NDArray[Any], Mask] | None = None
    for window in (middle(scene), *windows(*scene.shape[2:], (MIDDLE, MIDDLE), 0.0)):
        pixels = scene.read(0, scene.shape[1], window)
        known = np.asarray((pixels.valid & ~holes.hidden(window)).all(axis=0))
        if best is None or known.mean() > best[1].mean():
            best = pixels.values, known
        if known.mean() > SEEN:
            break
    assert best is not None
    return best
