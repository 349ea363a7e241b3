"""What a hole is, window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_adapters import Window

Mask = NDArray[np.bool_]
Masking = Callable[[Window], Mask]
"""A window -> (C, S, h, w)."""


@dataclass(frozen=True)
class Holes:
    """Where pixels are to be rebuilt, window by window; and, where that is more, what is not to be looked at."""

    made: Masking
    unknown: Masking | None = None

    def __call__(self, window: Window) -> Mask:
        """A window -> (C, S, h, w), True where a pixel is to be rebuilt."""
        return self.made(window)

    def hidden(self, window: Window) -> Mask:
        """The same, and where nothing can be learned from what the file holds."""
        return (self.unknown or self.made)(window)
