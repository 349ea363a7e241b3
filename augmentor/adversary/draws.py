"""Random numbers for a batch, or for a part of it such as the whole batch would get."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from augmentor.together.team import Part


class Draws:
    """Numbers from ``random``, one row a sample; of a ``part``, those rows of what the batch would be given.

    Rows may be asked for several times the part's count, as where real tiles and fakes lie in one tensor: each time
    over they are those of the part.
    """

    def __init__(self, random: torch.Generator, part: Part | None = None) -> None:
        self.random = random
        self.part = part

    def uniform(self, *shape: int) -> Tensor:
        """In [0, 1)."""
        return self._rows(shape, lambda s: torch.rand(s, generator=self.random))

    def normal(self, *shape: int) -> Tensor:
        """From N(0, 1)."""
        return self._rows(shape, lambda s: torch.randn(s, generator=self.random))

    def whole(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers from ``low`` to below ``high``."""
        return self._rows(shape, lambda s: torch.randint(low, high, s, generator=self.random))

    def _rows(self, shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
        if self.part is None:
            return draw(shape)
        rows, *rest = shape
        times = rows // self.part.count
        drawn = draw((times * self.part.of, *rest)).view(times, self.part.of, *rest)
        return drawn[:, self.part.rows].reshape(shape)
