"""What a sample is asked to be: the kinds of condition that a recipe can declare.

Every kind turns a value as a label file holds it into a code: a fixed number of floats of which the
first says that the value is known. A code of zeros is an unknown or dropped value. Codes of all
conditions side by side, (B, K), are what networks are given.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from augmentor.t2t.text import TextEncoder, encode_with, trigrams

HARMONICS = 2
"""Sines and cosines of a cyclic value: the year and the half-year of a month."""


@dataclass(frozen=True)
class Condition(ABC):
    """One declared condition. ``size`` is the length of its code."""

    name: str

    @property
    @abstractmethod
    def size(self) -> int: ...

    @abstractmethod
    def numbers(self, value: str) -> Sequence[float]:
        """The code of a known value, without its leading 1.

        Raises:
            ValueError: if the value is none of this condition's.
        """

    @abstractmethod
    def embedder(self, width: int) -> nn.Module:
        """A network from the code without its leading number, (B, size - 1), to (B, width)."""

    def regressors(self, code: Tensor) -> Tensor:
        """What a latent is regressed on, (B, size - 1) -> (B, n): for most kinds the code itself."""
        return code

    def between(self, first: Tensor, second: Tensor, at: float) -> Tensor:
        """From one code (B, size), ``at`` 0, to another, at 1: for most kinds straight."""
        return torch.lerp(first, second, at)

    def encode(self, value: str | None) -> list[float]:
        """The code of a value; zeros for None."""
        return [0.0] * self.size if value is None else [1.0, *self.numbers(value)]


@dataclass(frozen=True)
class ClassCondition(Condition):
    """A condition with named classes, such as ``finding`` in {no_finding, pneumonia}; its code is one-hot."""

    classes: tuple[str, ...]

    @property
    def size(self) -> int:
        return 1 + len(self.classes)

    def numbers(self, value: str) -> Sequence[float]:
        if value not in self.classes:
            raise ValueError(f"{self.name} has no value {value!r}")
        return [float(value == known) for known in self.classes]

    def embedder(self, width: int) -> nn.Module:
        table = nn.Linear(len(self.classes), width, bias=False)
        nn.init.normal_(table.weight, std=1.2 / width**0.5)
        return table


@dataclass(frozen=True)
class NumberCondition(Condition):
    """A continuous value, such as an age or a slice position; ``low`` and ``high`` are the training data's."""

    low: float
    high: float

    @property
    def size(self) -> int:
        return 2

    def numbers(self, value: str) -> Sequence[float]:
        span = self.high - self.low or 1.0
        return [2 * (number(self.name, value) - self.low) / span - 1]

    def embedder(self, width: int) -> nn.Module:
        return nn.Sequential(Fourier(), nn.Linear(Fourier.SIZE, width))

    def regressors(self, code: Tensor) -> Tensor:
        return torch.cat([code, code.square()], dim=1)


@dataclass(frozen=True)
class CycleCondition(Condition):
    """A value that comes round again, such as a month (``period`` 12) or a day of the year (365.25)."""

    period: float

    @property
    def size(self) -> int:
        return 1 + 2 * HARMONICS

    def numbers(self, value: str) -> Sequence[float]:
        angle = 2 * math.pi * number(self.name, value) / self.period
        return [f(k * angle) for k in range(1, HARMONICS + 1) for f in (math.sin, math.cos)]

    def between(self, first: Tensor, second: Tensor, at: float) -> Tensor:
        """Along the cycle, the shorter way round; straight where one of both is unknown."""
        start, end = (torch.atan2(code[:, 1], code[:, 2]) for code in (first, second))
        angle = start + at * (torch.remainder(end - start + math.pi, 2 * math.pi) - math.pi)
        turned = [f(k * angle) for k in range(1, HARMONICS + 1) for f in (torch.sin, torch.cos)]
        known = (first[:, :1] * second[:, :1]) > 0
        return torch.where(known, torch.stack([torch.ones_like(angle), *turned], 1), torch.lerp(first, second, at))

    def embedder(self, width: int) -> nn.Module:
        return nn.Linear(2 * HARMONICS, width)


@dataclass(frozen=True)
class TextCondition(Condition):
    """Free text, at most ``length`` bytes of it: read by a small byte-level encoder that is trained along."""

    length: int = 64

    @property
    def size(self) -> int:
        return 1 + self.length

    def numbers(self, value: str) -> Sequence[float]:
        said = value.encode()[: self.length]
        return [*(float(byte + 1) for byte in said), *[0.0] * (self.length - len(said))]

    def between(self, first: Tensor, second: Tensor, at: float) -> Tensor:
        """The nearer one: nothing lies between two texts."""
        return first if at < 0.5 else second

    def embedder(self, width: int) -> nn.Module:
        return TextEncoder(self.length, width)

    def regressors(self, code: Tensor) -> Tensor:
        return trigrams(code)


@dataclass(frozen=True)
class LanguageCondition(Condition):
    """Free text read by a language model in a local folder ``encoder`` (Hugging Face layout), which stays as it is.

    Its code is the mean of the model's last hidden states, ``width`` numbers.
    """

    encoder: str
    width: int

    @property
    def size(self) -> int:
        return 1 + self.width

    def numbers(self, value: str) -> Sequence[float]:
        return encode_with(self.encoder, value)

    def embedder(self, width: int) -> nn.Module:
        return nn.Linear(self.width, width)


KINDS: dict[str, type[Condition]] = {
    "class": ClassCondition,
    "number": NumberCondition,
    "cycle": CycleCondition,
    "text": TextCondition,
    "language": LanguageCondition,
}


def as_record(condition: Condition) -> dict[str, Any]:
    """A condition as plain values."""
    (kind,) = (name for name, known in KINDS.items() if type(condition) is known)
    return {"kind": kind, **asdict(condition)}


def from_record(record: Mapping[str, Any]) -> Condition:
    """The way back from ``as_record``."""
    rest = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k != "kind"}
    kind: Callable[..., Condition] = KINDS[record["kind"]]
    return kind(**rest)


def number(name: str, value: str) -> float:
    """A finite number, or ValueError."""
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{name} is a number, and {value!r} is none")
    return found


def size(conditions: Iterable[Condition]) -> int:
    """Length of all codes together."""
    return sum(condition.size for condition in conditions)


def encode(conditions: Sequence[Condition], values: Mapping[str, str]) -> Tensor:
    """Values by name -> (K,) float32, the conditions' codes side by side.

    Raises:
        ValueError: if a value is none of its condition's.
    """
    return torch.tensor([n for c in conditions for n in c.encode(values.get(c.name))], dtype=torch.float32)


def parts(conditions: Sequence[Condition], codes: Tensor) -> tuple[Tensor, ...]:
    """Codes (B, K) cut into one (B, size) a condition."""
    return codes.split([condition.size for condition in conditions], dim=1)


class Fourier(nn.Module):
    """(B, 1) in about [-1, 1] -> sines and cosines at octaves, and the value itself (Tancik et al. 2020)."""

    OCTAVES = 4
    SIZE = 2 * OCTAVES + 1

    def forward(self, x: Tensor) -> Tensor:
        angles = x * math.pi / 2 * 2.0 ** torch.arange(self.OCTAVES, device=x.device)
        return torch.cat([x, angles.sin(), angles.cos()], dim=1)


class Conditioner(nn.Module):
    """Codes (B, K) -> the sum of their embeddings (B, width); an unknown value adds nothing."""

    def __init__(self, conditions: Sequence[Condition], width: int) -> None:
        super().__init__()
        self.width = width
        self.conditions = tuple(conditions)
        self.embedders = nn.ModuleList(condition.embedder(width) for condition in conditions)

    def forward(self, codes: Tensor) -> Tensor:
        total = codes.new_zeros(len(codes), self.width)
        for code, embedder in zip(parts(self.conditions, codes), self.embedders, strict=True):
            total = total + code[:, :1] * embedder(code[:, 1:])
        return total


def drop(conditions: Sequence[Condition], codes: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Make each value unknown with probability ``rate``, so that unconditional and guided sampling work."""
    kept = [
        code * (torch.rand(len(code), 1, generator=generator) >= rate).to(code) for code in parts(conditions, codes)
    ]
    return torch.cat(kept, dim=1) if kept else codes
