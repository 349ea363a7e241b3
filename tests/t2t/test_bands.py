"""Bands are a Haar pyramid: they add up to the image, and each of them has the spread that was asked for."""

import pytest
import torch
from torch import Tensor

from augmentor.t2t.bands import LEVELS, Bands

SHAPES = [(5, 1, 16, 24), (4, 3, 8, 8), (3, 13, 16, 8), (3, 1, 16, 16, 16), (2, 3, 8, 4, 12)]


def made(shape: tuple[int, ...]) -> tuple[Bands, Tensor]:
    """Bands, and smooth tiles whose channels differ in strength: fine detail is weak, as in radiographs."""
    x = torch.randn(shape)
    for axis in range(2, len(shape)):
        x = (x + x.roll(1, axis) + x.roll(2, axis) + x.roll(3, axis)) / 4
    return Bands(shape[1], len(shape) - 2), x * torch.linspace(0.5, 3, shape[1]).view(-1, *[1] * (len(shape) - 2))


def coarse(x: Tensor, side: int) -> Tensor:
    """Every block of ``side`` along each axis replaced by its mean."""
    for axis in range(2, x.ndim):
        means = x.unflatten(axis, (-1, side)).mean(dim=axis + 1)
        x = means.repeat_interleave(side, dim=axis)
    return x


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_detail_and_what_is_left_add_up_to_the_image(shape: tuple[int, ...]) -> None:
    bands, x = made(shape)
    image, *details = bands(x).chunk(1 + LEVELS, dim=1)
    assert bands(x).shape == (shape[0], bands.width, *shape[2:])
    assert torch.equal(image, x)
    shrunk = [x] + [coarse(x, 2**level) for level in range(1, LEVELS + 1)]
    for detail, finer, coarser in zip(details, shrunk[:-1], shrunk[1:], strict=True):
        torch.testing.assert_close(detail, finer - coarser, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sum(details) + shrunk[-1], x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("strength", [0.05, 1.0, 40.0])
def test_fitting_gives_every_band_half_a_units_spread(shape: tuple[int, ...], strength: float) -> None:
    bands, x = made(shape)
    bands.fit(strength * x)
    spread = bands(strength * x).transpose(0, 1).flatten(1).std(dim=1)
    torch.testing.assert_close(spread, torch.full((bands.width,), 0.5), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_without_contrast_have_finite_bands(shape: tuple[int, ...]) -> None:
    bands, x = made(shape)
    bands.fit(torch.full_like(x, 0.3))
    assert bands(x).isfinite().all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_hidden_bands_leave_the_image_alone(shape: tuple[int, ...]) -> None:
    bands, x = made(shape)
    bands.fit(x)
    bands.hide()
    image, *details = bands(x).chunk(1 + LEVELS, dim=1)
    assert torch.equal(image, x)
    assert not any(detail.any() for detail in details)


@pytest.mark.parametrize("shape", [(1, 2, 4, 8), (1, 1, 4, 4, 4)], ids=str)
def test_bands_can_be_differentiated_twice(shape: tuple[int, ...]) -> None:
    bands, x = made(shape)
    bands.fit(x)
    bands, x = bands.double(), x.double().requires_grad_()
    assert torch.autograd.gradcheck(bands, (x,))
    assert torch.autograd.gradgradcheck(lambda x: bands(x).tanh().sum(), (x,))


def test_the_gains_travel_with_the_state() -> None:
    bands, x = made(SHAPES[0])
    other = Bands(1, 2)
    bands.fit(x)
    other.load_state_dict(bands.state_dict())
    assert torch.equal(other(x), bands(x))
