"""Whether values that no header explains are labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import UserError

ALIKE = 0.6
"""Part of the neighbours that hold one value, from which on they are labels: 0.82 in a map of 41 organs at 3 mm,
0.02 to 0.06 in CT and MR."""

MOST = 512
"""Labels that a map has, at most; atlases of a brain have some two hundred."""

FEW = 16
"""Values up to which a map of labels need not be told from a smooth image of few grey levels."""

STEP = 2
"""Values that lie between most neighbours that differ: fewer in an image, which is smooth where neighbours agree."""


def read_as_labels(read: Callable[[], NDArray[Any]]) -> bool:
    """Whether the slices that ``read`` gives are ``labelled``; what cannot be read is not said to be."""
    try:
        return labelled(read())
    except UserError:
        return False


def labelled(slices: NDArray[Any]) -> bool:
    """Whether slices (S, H, W) hold few whole numbers that are mostly those of their neighbours, and jump where they
    are not; the commonest one, which is taken for the background, is left aside."""
    whole = slices.dtype.kind in "iu" or bool((np.isfinite(slices) & (slices == np.trunc(slices))).all())
    if not whole or not slices.size:
        return False
    values, ranks, counts = np.unique(slices, return_inverse=True, return_counts=True)
    if not 1 < len(values) <= MOST:
        return False
    ranks = ranks.reshape(slices.shape).astype(np.int16)
    background = counts.argmax()
    found = []
    for planes in (ranks, ranks.swapaxes(1, 2)):
        one, other = planes[:, 1:], planes[:, :-1]
        found.append(np.abs(one - other)[(one != background) | (other != background)])
    steps = np.concatenate(found, axis=None)
    jumps = steps[steps > 0]
    if not 0 < len(jumps) < (1 - ALIKE) * len(steps):
        return False
    return len(values) <= FEW or bool(np.median(jumps) > STEP)
