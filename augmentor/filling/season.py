"""The time of the year of every date, for what grows and fades with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.priors import YEAR
from data_adapters import Scene, Window


@dataclass(frozen=True)
class Season:
    """Tells a network of a stack where each date lies in the circle of the year."""

    scene: Scene

    channels = 2

    def load(self, window: Window) -> NDArray[np.float32]:
        """Cosine and sine of the day of the year as an angle: (2, S, h, w)."""
        days = np.array(self.scene.dates, dtype="datetime64[D]")
        angle = 2 * np.pi * (days - days.astype("datetime64[Y]")).astype(float) / YEAR
        planes = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)[..., None, None]
        return np.broadcast_to(planes, (2, len(days), window.height, window.width))
