"""Whether values that no header explains are labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIKE = 0.6
"""Part of the neighbours that hold one value, from which on they are labels: 0.82 in a map of 41 organs at 3 mm,
0.02 to 0.06 in CT and MR."""

MOST = 512
"""Labels that a map has, at most; atlases of a brain have some two hundred."""


def labelled(slices: NDArray[Any]) -> bool:
    """Whether slices (S, H, W) hold few whole numbers that are mostly those of their neighbours, the commonest one,
    which is taken for the background, left aside."""
    whole = slices.dtype.kind in "iu" or bool((np.isfinite(slices) & (slices == np.trunc(slices))).all())
    if not whole or not slices.size:
        return False
    values, counts = np.unique(slices, return_counts=True)
    if not 1 < len(values) <= MOST:
        return False
    inside = slices != values[counts.argmax()]
    alike = pairs = 0
    for axis in (1, 2):
        one, other = (np.moveaxis(slices, axis, 0)[part] for part in (slice(1, None), slice(-1)))
        near = np.moveaxis(inside, axis, 0)
        either = near[1:] | near[:-1]
        pairs += int(either.sum())
        alike += int((one == other)[either].sum())
    return alike > ALIKE * pairs
