"""A scene before and after its look was changed, for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from augmentor.filling.show import SIDE, SLICES, filled_scene
from augmentor.report.pictures import sheet, visible
from data_adapters import Scene, Window


def show(scene: Scene, out: Path, slices: Sequence[int], picture: Path) -> Path:
    """Before beside after, in the limits of both together: some of the ``slices`` that were restyled, spread over them,
    or the middle of large ones."""
    written = filled_scene(out, scene)
    height, width = (min(side, SIDE) for side in scene.shape[2:])
    part = Window((scene.shape[2] - height) // 2, (scene.shape[3] - width) // 2, height, width)
    names = [channel.name for channel in scene.channels]
    rows = []
    # Not the outermost, which show little of a volume.
    for index in [slices[(2 * number + 1) * len(slices) // (2 * SLICES)] for number in range(min(SLICES, len(slices)))]:
        pixels = [side.read(index, 1, part) for side in (scene, written)]
        planes = [np.where(side.valid, side.values, np.nan)[:, 0].astype(float) for side in pixels]
        if not np.isfinite(planes[0]).all(axis=0).any():
            continue
        both = np.concatenate(planes, axis=2)
        low, high = (np.nanpercentile(both, share, axis=(1, 2)).tolist() for share in (1, 99))
        rows += [visible(plane, names, low, high) for plane in planes]
    return sheet(rows, 2, picture)
