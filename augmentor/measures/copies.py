"""Whether samples are copies: the nearest training image of each, flips and shifts included."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHIFTS = (-2, 0, 2)
"""Pixels by which an image is moved to find a copy of it."""


class Nearest(NamedTuple):
    """For each of N images: ``which`` is the nearest in a reference set, and the ``distance`` to it."""

    which: NDArray[np.int64]
    distance: NDArray[np.float64]


def nearest(images: NDArray[np.float32], reference: NDArray[np.float32], *, itself: bool = True) -> Nearest:
    """Root-mean-square distance of (N, C, H, W) to the nearest of (M, C, H, W), over mirror images and shifts.

    Unless ``itself``, an image is not compared with the one of its own number.
    """
    best = np.full(len(images), np.inf)
    index = np.zeros(len(images), dtype=np.int64)
    flat = images.reshape(len(images), -1).astype(np.float64)
    own = (flat**2).sum(axis=1)
    for mirrored in (reference, reference[..., ::-1]):
        for down in SHIFTS:
            for right in SHIFTS:
                moved = np.roll(mirrored, (down, right), (-2, -1)).reshape(len(reference), -1).astype(np.float64)
                squared = own[:, None] + (moved**2).sum(axis=1)[None] - 2 * flat @ moved.T
                if not itself:
                    np.fill_diagonal(squared, np.inf)
                closest = squared.argmin(axis=1)
                distance = np.sqrt(np.maximum(squared[np.arange(len(images)), closest], 0) / flat.shape[1])
                closer = distance < best
                best, index = np.where(closer, distance, best), np.where(closer, closest, index)
    return Nearest(index, best)
