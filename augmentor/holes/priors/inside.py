"""A hole filled from its own rim, where nothing else is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.kinds import Values


def completed(answer: Values, said: Mask, target: Values, clear: Mask) -> Values:
    """What other slices or dates answer (C, h, w) where they ``said`` anything (h, w); elsewhere ``harmonic``, from
    that and from where the ``target`` itself is clear."""
    if said.all():
        return answer
    own = np.where(clear, target, answer)
    return np.where(said, answer, harmonic(own, ~clear & ~said))


def harmonic(plane: Values, hole: Mask) -> Values:
    """Solve Laplace's equation in the hole of each channel (C, h, w), the rim as boundary, the frame free.

    A hole with no rim at all takes zero.
    """
    filled = plane.astype(np.float64, copy=True)
    if not hole.any():
        return plane
    if hole.all():
        return np.zeros_like(plane)
    height, width = hole.shape
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    rows, columns = np.nonzero(hole)
    me = number[rows, columns]
    diagonal = np.zeros(len(me))
    entries: list[tuple[NDArray[Any], NDArray[Any]]] = []
    rim = np.zeros((len(plane), len(me)))
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        r, c = rows + down, columns + right
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        diagonal += inside
        r, c, who = r[inside], c[inside], me[inside]
        other = number[r, c]
        entries.append((who[other >= 0], other[other >= 0]))
        edge = other < 0
        for channel in range(len(plane)):
            np.add.at(rim[channel], who[edge], filled[channel, r[edge], c[edge]])
    i, j = (np.concatenate(side) for side in zip(*entries, strict=True))
    matrix = sparse.csc_matrix((-np.ones(len(i)), (i, j)), shape=(len(me), len(me))) + sparse.diags(diagonal)
    solved = spsolve(matrix.tocsc(), rim.T).reshape(len(me), len(plane))
    filled[:, rows, columns] = solved.T
    return filled.astype(plane.dtype)
