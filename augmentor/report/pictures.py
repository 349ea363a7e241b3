"""Pictures of tiles and slices for people; never data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augmentor.scaling import Scaling
from data_adapters.atomic import replacing

NATURAL = (("red", "green", "blue"), ("B04", "B03", "B02"), ("B4", "B3", "B2"))
"""Channel names of red, green and blue."""

CELL = 128
"""Smallest side of a picture on a sheet, in pixels."""

GAP = 2


def visible(
    pixels: NDArray[Any], names: Sequence[str] = (), low: Sequence[float] = (), high: Sequence[float] = ()
) -> NDArray[np.uint8]:
    """(C, H, W) -> (H, W, 3): natural colours where the channels have them, else the first, in gray.

    ``low`` and ``high`` bound what is shown, a number a channel; by default the 1 and 99 percentiles.
    """
    chosen = rgb_channels(names) or (range(3) if len(pixels) == 3 else [0, 0, 0])
    planes = []
    for channel in chosen:
        plane = np.asarray(pixels[channel], dtype=float)
        a, b = (low[channel], high[channel]) if len(low) else np.nanpercentile(plane, (1, 99))
        planes.append(np.clip((plane - a) / max(b - a, 1e-12), 0, 1))
    return np.asarray(np.rint(np.nan_to_num(np.stack(planes, axis=-1)) * 255), dtype=np.uint8)


def rgb_channels(names: Sequence[str]) -> list[int] | None:
    """Where red, green and blue are among channel names."""
    for wanted in NATURAL:
        if all(name in names for name in wanted):
            return [list(names).index(name) for name in wanted]
    return None


def sheet(pictures: Sequence[NDArray[np.uint8]], columns: int, destination: Path) -> Path:
    """Lay (H, W, 3) pictures out in rows of equal cells, enlarged to be seen, and save them as PNG."""
    height, width = (max(picture.shape[side] for picture in pictures) for side in (0, 1))
    scale = max(1, round(CELL / min(height, width)))
    rows = -(-len(pictures) // columns)
    canvas = np.full((rows * (height * scale + GAP) - GAP, columns * (width * scale + GAP) - GAP, 3), 24, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height * scale + GAP), number % columns * (width * scale + GAP)
        own = (picture.shape[1] * scale, picture.shape[0] * scale)
        enlarged = Image.fromarray(picture).resize(own, Image.Resampling.BICUBIC)
        canvas[top : top + own[1], left : left + own[0]] = np.asarray(enlarged)
    with replacing(destination) as temporary:
        Image.fromarray(canvas).save(temporary, format="PNG")
    return destination


def contact_sheet(
    tiles: Sequence[NDArray[Any]], scaling: Scaling, destination: Path, names: Sequence[str] = (), columns: int = 8
) -> Path:
    """Tiles (C, H, W) in physical units, shown between the scaling's limits."""
    shown = [visible(tile, names, scaling.low, scaling.high) for tile in tiles]
    return sheet(shown, min(columns, len(shown)), destination)
