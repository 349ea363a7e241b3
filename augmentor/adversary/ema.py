"""Averaged networks: what samples are drawn from and images are read with."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def averaged_copy(network: Network) -> Network:
    """A frozen copy to average into."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, batch: int, half_life: float) -> None:
    """average <- average · decay + network · (1 - decay); the half-life is counted in images (EDM, StyleGAN).

    Parameters alone: what a network measured (its buffers) is not a weight, and ``measured_into`` takes it over.
    """
    decay = 0.5 ** (batch / max(half_life, 1e-8))
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


@torch.no_grad()
def measured_into(average: nn.Module, network: nn.Module) -> None:
    """The buffers of ``network``, such as the statistics of a batch norm, as they are."""
    for held, current in zip(average.buffers(), network.buffers(), strict=True):
        held.copy_(current)
