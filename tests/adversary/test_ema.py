"""The average forgets by half in a half-life, however the images are batched."""

import pytest
import torch
from torch import nn

from augmentor.adversary.ema import average_into, averaged_copy, measured_into


class Numbers(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), value))
        self.register_buffer("seen", torch.full((2,), value))


@pytest.mark.parametrize("half_lives", [0.5, 1, 2, 3])
@pytest.mark.parametrize("batch", [1, 10, 50])
def test_what_is_left_halves_every_half_life(half_lives: float, batch: int) -> None:
    average, network = Numbers(0.0), Numbers(1.0)
    for _ in range(int(100 * half_lives / batch)):
        average_into(average, network, batch, half_life=100)
    torch.testing.assert_close(average.weight, torch.full((3,), 1 - 0.5**half_lives), atol=1e-4, rtol=0)


def test_what_was_measured_is_taken_over_as_it_is_and_only_when_asked() -> None:
    average = Numbers(0.0)
    average_into(average, Numbers(1.0), 1, half_life=1e6)
    assert average.seen.tolist() == [0, 0]
    measured_into(average, Numbers(1.0))
    assert average.seen.tolist() == [1, 1]
    assert average.weight.max() < 1e-3


def test_without_a_half_life_the_average_is_the_network() -> None:
    average = Numbers(0.0)
    average_into(average, Numbers(1.0), 8, half_life=0)
    assert average.weight.tolist() == [1, 1, 1]


def test_a_copy_is_frozen_and_on_its_own() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    copy = averaged_copy(network)
    assert not copy.training
    assert network.training
    assert not any(p.requires_grad for p in copy.parameters())
    assert all(p.requires_grad for p in network.parameters())
    before = copy[0].weight.clone()
    with torch.no_grad():
        network[0].weight.add_(1)
    assert torch.equal(copy[0].weight, before)
