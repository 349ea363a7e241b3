"""One plane of numbers as bytes that a browser unpacks by itself (``planes.js`` holds the way back)."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEAD = struct.Struct("<ddIII")
"""Least value, step, height, width, and 1 where every value is exact."""

UNSEEN, SAME = 0xFFFF, 0xFFFE
"""Codes of what was not observed, and of what is as in the plane that this one is held against."""

STEPS = 0xFFFD
"""The largest code of a value."""


def pack(
    values: NDArray[Any], seen: NDArray[np.bool_], step: float = 0.0, same: NDArray[np.bool_] | None = None
) -> bytes:
    """A plane (H, W) in 16 bits: deflate (RFC 1950) over ``HEAD``, then the codes' differences, low bytes first.

    A value is the least value plus its code times the step. ``step`` is that of the stored numbers, where it is known:
    if it spans the plane, every value comes back as it was; else the step is the plane's range by ``STEPS``, and values
    come back to within half of it. Pixels that are the ``same`` as elsewhere are told so, and take hardly any room.
    """
    told = seen if same is None else seen & ~same
    known = values[told].astype(np.float64)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    exact = high == low or (step > 0 and (high - low) / step <= STEPS and _on_steps(known, low, step))
    if not exact:
        step = (high - low) / STEPS
    step = step or 1.0
    codes = np.full(values.shape, UNSEEN, np.uint16)
    codes[told] = np.rint((known - low) / step).astype(np.uint16)
    if same is not None:
        codes[seen & same] = SAME
    differences = np.diff(codes.ravel(), prepend=np.uint16(0))
    halves = (differences & 0xFF).astype(np.uint8).tobytes() + (differences >> 8).astype(np.uint8).tobytes()
    return zlib.compress(HEAD.pack(low, step, *values.shape, exact) + halves, 3)


def _on_steps(values: NDArray[np.float64], low: float, step: float) -> bool:
    """Whether all values lie on a row of steps, as far as a float32 tells."""
    off = np.abs(low + np.rint((values - low) / step) * step - values)
    return bool((off <= np.maximum(1e-6 * np.abs(values), 1e-3 * step)).all())
