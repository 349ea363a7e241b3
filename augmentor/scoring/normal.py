"""What is usual to a run: how its held-out tiles look to it, by which others are judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from augmentor.errors import RunError
from augmentor.ingest import ingest
from augmentor.learners.painter import load_tiles
from augmentor.run import Run
from augmentor.scoring.views import NAMES, Viewer
from augmentor.tiles import TileStore
from data_adapters.atomic import read_json, write_json

FILE = "normal.json"

BLUR = 1 / 32
"""Standard deviation of what maps are smoothed by, in sides of a tile: single pixels say nothing."""

FEWEST = 8
"""Held-out images, below which nobody can say what is usual."""


@dataclass(frozen=True)
class Normal:
    """``means`` and ``spreads`` of each view over held-out pixels, and the ``scores`` of held-out images, ascending."""

    checkpoint: str
    means: tuple[float, ...]
    spreads: tuple[float, ...]
    scores: tuple[float, ...]

    def apart(self, views: NDArray[np.float32]) -> NDArray[np.float32]:
        """Views (N, 3, *tile), each in standard deviations from the mean of usual pixels."""
        means, spreads = (np.reshape(ends, (1, -1, *[1] * (views.ndim - 2))) for ends in (self.means, self.spreads))
        return np.asarray((views - means) / np.maximum(spreads, 1e-12), dtype=np.float32)

    def chance(self, score: float) -> float:
        """How often a usual image scores as high, or higher: by n held-out ones, once in n + 1 at least.

        Source: the conformal p-value of Vovk et al. 2005, "Algorithmic learning in a random world".
        """
        above = len(self.scores) - int(np.searchsorted(self.scores, score, side="left"))
        return (above + 1) / (len(self.scores) + 1)


def strangeness(apart: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What ``Normal.apart`` gives -> (N, *tile): what cannot be remade, smoothed over ``valid`` pixels; zero elsewhere.

    The discriminator's features say more of which image is strange and less of where (docs/score.md).
    """
    residual = np.where(valid, apart[:, NAMES.index("reconstruction")], 0.0)
    blur = (0.0, *(BLUR * side for side in valid.shape[1:]))
    smooth = gaussian_filter(residual, blur) / np.maximum(gaussian_filter(valid.astype(float), blur), 1e-6)
    return np.where(valid, smooth, 0.0).astype(np.float32)


def image_scores(apart: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What ``Normal.apart`` gives -> (N,): the mean over valid pixels of what cannot be remade and of how far that lies
    in features."""
    return over_images(apart, valid)[:, [NAMES.index(name) for name in ("reconstruction", "features")]].mean(axis=1)


def over_images(apart: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 3, *tile) -> (N, 3): the mean of each view over valid pixels."""
    axes = tuple(range(2, apart.ndim))
    counted = np.maximum(valid.reshape(len(valid), -1).sum(axis=1), 1)
    return np.where(valid[:, None], apart, 0).sum(axis=axes, dtype=np.float64) / counted[:, None]


def normal_of(run: Run, viewer: Viewer, store: Path) -> Normal:
    """How a run's held-out tiles look to it; kept in its folder, so that its data need not be there again.

    Raises:
        RunError: if too little was held out.
        UserError: if it was never looked at, and its data has gone.
    """
    checkpoint = run.checkpoint_digest()
    path = run.folder / FILE
    if path.is_file():
        record = read_json(path)
        if record["checkpoint"] == checkpoint:
            return Normal(checkpoint, *(tuple(record[name]) for name in ("means", "spreads", "scores")))
    found = measured(viewer, ingest(run.recipe, store), checkpoint)
    write_json(path, asdict(found))
    return found


def measured(viewer: Viewer, tiles: TileStore, checkpoint: str) -> Normal:
    """What is usual, by the tiles that were held out."""
    rows = tiles.rows(held_out=True)
    origins = [tiles.index[row] for row in rows]
    images = sorted({(origin.scene, origin.slice) for origin in origins})
    if len(images) < FEWEST:
        raise RunError(
            f"{len(images)} images were held out, fewer than {FEWEST}: nobody can say what is usual",
            where=tiles.folder,
            do="train with a larger tiles.held_out",
        )
    batch = load_tiles(tiles, rows, viewer.facts)
    valid = batch.valid[:, 0].numpy() > 0
    views = viewer.look(batch.shown, batch.valid).numpy()
    seen = [views[:, index][valid] for index in range(views.shape[1])]
    means, spreads = (tuple(float(figure(view)) for view in seen) for figure in (np.mean, np.std))
    found = Normal(checkpoint, means, spreads, ())
    scores = image_scores(found.apart(views), valid)
    worst = dict.fromkeys(images, -np.inf)
    for origin, worth in zip(origins, scores, strict=True):
        worst[origin.scene, origin.slice] = max(worst[origin.scene, origin.slice], float(worth))
    return replace(found, scores=tuple(sorted(worst.values())))
