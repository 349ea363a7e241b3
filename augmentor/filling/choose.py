"""Which run fills a scene, and in which units."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from augmentor.errors import RunError
from augmentor.holes.kinds import Holes
from augmentor.run import Run
from augmentor.scaling import Scaling
from augmentor.tiles import middle
from data_adapters import Scene


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
    window = middle(scene)
    pixels = scene.read(0, scene.shape[1], window)
    known = np.asarray((pixels.valid & ~holes.hidden(window)).all(axis=0))
    return Scaling.fit(np.moveaxis(pixels.values, 1, 0), known, None)
