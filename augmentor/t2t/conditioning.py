"""What a sample is asked to be: the kinds of condition a recipe can declare.

A kind turns the declared value into numbers (``encode``) and numbers into a vector that joins the
style (``Conditioner``). Today there is one kind, ``class``; a further kind is one more branch in
``encode`` and one more embedding in ``Conditioner``, and nothing else in the network changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

UNKNOWN = 0
"""Index of a value that is absent or dropped; declared classes count from 1."""


@dataclass(frozen=True)
class ClassCondition:
    """A condition with named classes, such as ``finding`` in {no_finding, pneumonia}."""

    name: str
    classes: tuple[str, ...]

    def encode(self, value: str | None) -> int:
        """Index of the class, ``UNKNOWN`` for None.

        Raises:
            KeyError: if the value is not one of the classes.
        """
        if value is None:
            return UNKNOWN
        try:
            return self.classes.index(value) + 1
        except ValueError:
            raise KeyError(value) from None


def encode(conditions: Sequence[ClassCondition], values: Mapping[str, str]) -> Tensor:
    """Values by name -> (len(conditions),) int64, one index each."""
    return torch.tensor([c.encode(values.get(c.name)) for c in conditions], dtype=torch.long)


class Conditioner(nn.Module):
    """Indices (B, K) -> the sum of their embeddings (B, width); dropped values embed as ``UNKNOWN``."""

    def __init__(self, conditions: Sequence[ClassCondition], width: int) -> None:
        super().__init__()
        self.width = width
        self.tables = nn.ModuleList()
        for condition in conditions:
            table = nn.Embedding(len(condition.classes) + 1, width)
            nn.init.normal_(table.weight, std=1.2 / width**0.5)
            self.tables.append(table)

    def forward(self, indices: Tensor) -> Tensor:
        total = torch.zeros(indices.shape[0], self.width, device=indices.device)
        for column, table in enumerate(self.tables):
            total = total + table(indices[:, column])
        return total


def drop(indices: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Replace each value by ``UNKNOWN`` with probability ``rate``, so that unconditional sampling works."""
    lost = torch.rand(indices.shape, generator=generator) < rate
    return indices.masked_fill(lost.to(indices.device), UNKNOWN)
