"""What is usual to a run: how its held-out tiles look to it, by which others are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

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

FIGURES = (*NAMES, "peak")
"""What is told of an image: the mean of each view, and where it is strangest."""

COUNTED = ("reconstruction", "features", "peak")
"""Of these, what its score is the mean of. Illness changes all of an image a little, a small finding one place of it
much (docs/score.md)."""


class Usual(NamedTuple):
    """The mean of a figure of what is usual, and its standard deviation."""

    mean: float
    spread: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Usual:
        return cls(float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)))


@dataclass(frozen=True)
class Normal:
    """Each view of held-out ``pixels``, the ``figures`` of held-out images, and their ``scores``, ascending."""

    checkpoint: str
    pixels: tuple[Usual, ...]
    figures: tuple[Usual, ...]
    scores: tuple[float, ...]

    @classmethod
    def of(cls, views: NDArray[np.float32], valid: NDArray[np.bool_], checkpoint: str = "") -> Normal:
        """By the views (N, 3, *tile) of usual tiles; without scores."""
        pixels = cls(checkpoint, tuple(Usual.of(views[:, index][valid]) for index in range(views.shape[1])), (), ())
        return replace(pixels, figures=tuple(map(Usual.of, _figures(pixels.apart(views), valid).T)))

    def apart(self, views: NDArray[np.float32]) -> NDArray[np.float32]:
        """Views (N, 3, *tile), each in standard deviations from the mean of usual pixels."""
        return _apart(views, self.pixels).astype(np.float32)

    def figures_of(self, apart: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What ``apart`` gives -> (N, 4): ``FIGURES``, each in standard deviations from the mean of usual images."""
        return _apart(_figures(apart, valid), self.figures)

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


def image_scores(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """What ``Normal.figures_of`` gives -> (N,)."""
    return figures[:, [FIGURES.index(name) for name in COUNTED]].mean(axis=1)


def _apart(values: NDArray[Any], usual: Sequence[Usual]) -> NDArray[np.float64]:
    """(N, K, ...), each of K in standard deviations from the mean of what is usual."""
    means, spreads = np.array(usual).T.reshape(2, 1, -1, *[1] * (values.ndim - 2))
    return np.asarray((values - means) / np.maximum(spreads, 1e-12))


def _figures(apart: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 3, *tile) -> (N, 4): the mean of each view over valid pixels, and the strangest of them."""
    axes = tuple(range(2, apart.ndim))
    counted = np.maximum(valid.reshape(len(valid), -1).sum(axis=1), 1)
    means = np.where(valid[:, None], apart, 0).sum(axis=axes, dtype=np.float64) / counted[:, None]
    peaks = np.where(valid, strangeness(apart, valid), -np.inf).reshape(len(valid), -1).max(axis=1)
    return np.column_stack([means, np.where(np.isfinite(peaks), peaks, 0)])


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
        # An earlier version kept less.
        if record["checkpoint"] == checkpoint and "figures" in record:
            pixels, figures = (tuple(Usual(*one) for one in record[name]) for name in ("pixels", "figures"))
            return Normal(checkpoint, pixels, figures, tuple(record["scores"]))
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
    found = Normal.of(views, valid, checkpoint)
    scores = image_scores(found.figures_of(found.apart(views), valid))
    worst = dict.fromkeys(images, -np.inf)
    for origin, worth in zip(origins, scores, strict=True):
        worst[origin.scene, origin.slice] = max(worst[origin.scene, origin.slice], float(worth))
    return replace(found, scores=tuple(sorted(worst.values())))
