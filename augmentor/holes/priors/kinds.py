"""What every prior takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.holes.kinds import Mask

Values = NDArray[np.floating[Any]]

Prior = Callable[[Values, Mask, Sequence[float], int], tuple[Values, Mask]]
"""Values (C, S, h, w), known (S, h, w), S positions (mm, days), a slice -> that slice (C, h, w), where said (h, w)."""
