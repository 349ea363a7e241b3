"""A tile beside where it is strange, and where a network looked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.report.pictures import sheet, visible

FROM, TO = 1.0, 4.0
"""Standard deviations at which colour begins, and is full."""

COLOUR = (255, 72, 0)
"""Orange, which neither gray nor the ground's own colours hide."""


def show(
    pixels: NDArray[np.float32],
    strange: NDArray[np.float32],
    attended: NDArray[np.float32],
    names: Sequence[str],
    picture: Path,
) -> Path:
    """Pixels (C, *tile) in [-1, 1], with strangeness (*tile), and with what each counted (*tile); of volumes, the
    middle slice."""
    if strange.ndim == 3:
        middle = len(strange) // 2
        pixels, strange, attended = pixels[:, middle], strange[middle], attended[middle]
    ends = [1.0] * len(pixels)
    plain = visible(pixels, names, [-end for end in ends], ends)
    looked = (attended - attended.min()) / max(float(attended.max() - attended.min()), 1e-12)
    parts = [plain, _tinted(plain, (strange - FROM) / (TO - FROM)), _tinted(plain, looked)]
    return sheet(parts, len(parts), picture)


def _tinted(picture: NDArray[np.uint8], strength: NDArray[Any]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) covered by up to two thirds with colour, by a strength (H, W) of 0 to 1."""
    cover = np.clip(strength, 0, 1)[..., None] * 2 / 3
    return np.asarray(np.rint(picture * (1 - cover) + np.array(COLOUR) * cover), dtype=np.uint8)
