"""Physical units to [-1, 1] and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """One line a channel: ``low`` maps to -1 and ``high`` to 1. Values beyond them map beyond, unclipped.

    Invertible to float32 precision, which holds every 16-bit value; stored with the checkpoint.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def fit(cls, tiles: NDArray[Any], valid: NDArray[np.bool_], limits: tuple[float, float] | None) -> Scaling:
        """Fit to tiles (N, C, *tile) where valid (N, *tile): the given limits, else the 0.1 and 99.9 percentiles."""
        channels = tiles.shape[1]
        if limits is not None:
            return cls((float(limits[0]),) * channels, (float(limits[1]),) * channels)
        low, high = [], []
        for channel in range(channels):
            seen = tiles[:, channel][valid]
            a, b = np.percentile(seen, (0.1, 99.9)) if seen.size else (0.0, 1.0)
            low.append(float(a))
            high.append(float(b if b > a else a + 1.0))
        return cls(tuple(low), tuple(high))

    def to_unit(self, values: NDArray[Any], dims: int = 2) -> NDArray[np.float32]:
        """Physical (..., C, *tile) -> [-1, 1] float32; a tile has ``dims`` axes."""
        low, high = self._columns(dims)
        return np.asarray((values - low) / (high - low) * 2 - 1, dtype=np.float32)

    def to_physical(self, values: NDArray[Any], dims: int = 2) -> NDArray[np.float64]:
        """[-1, 1] (..., C, *tile) -> physical float64."""
        low, high = self._columns(dims)
        return (values.astype(np.float64) + 1) / 2 * (high - low) + low

    def extent(self, lengths: NDArray[Any], dims: int = 2) -> NDArray[np.float64]:
        """Differences in [-1, 1] units (..., C, *tile) -> in physical ones."""
        low, high = self._columns(dims)
        return lengths.astype(np.float64) / 2 * (high - low)

    def _columns(self, dims: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shape = (-1, *[1] * dims)
        return np.array(self.low).reshape(shape), np.array(self.high).reshape(shape)
