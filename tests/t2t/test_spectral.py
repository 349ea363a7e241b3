"""Improved spectral normalisation holds each weight's spectral norm where initialisation put it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from augmentor.t2t.discriminator import Discriminator
from augmentor.t2t.presets import PRESETS
from augmentor.t2t.spectral import HeldSpectrum, normalise_spectrum

LAYERS = [
    pytest.param(lambda: nn.Linear(12, 7), (3, 12), id="linear"),
    pytest.param(lambda: nn.Linear(5, 20), (3, 5), id="wide linear"),
    pytest.param(lambda: nn.Conv2d(3, 6, 3), (1, 3, 5, 5), id="convolution"),
    pytest.param(lambda: nn.Conv2d(8, 4, 1), (1, 8, 2, 2), id="pointwise convolution"),
    pytest.param(lambda: nn.Conv2d(2, 1, 1), (1, 2, 2, 2), id="one row"),
    pytest.param(lambda: nn.Conv3d(2, 5, 3), (1, 2, 3, 3, 4), id="convolution of volumes"),
]


def norm(weight: Tensor) -> float:
    return torch.linalg.matrix_norm(weight.detach().flatten(1), ord=2).item()


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_the_spectral_norm_stays_the_initial_one_whatever_the_updates(make, shape) -> None:  # type: ignore[no-untyped-def]
    layer = make()
    initial = norm(layer.weight)
    network = nn.Sequential(layer)
    normalise_spectrum(network)
    assert norm(layer.weight) == pytest.approx(initial, rel=0.05)
    x = torch.randn(shape)
    original = layer.parametrizations.weight.original
    for _ in range(5):
        with torch.no_grad():
            original.add_(torch.randn_like(original))
        for _ in range(100):
            network(x)
        assert norm(original) > 1.05 * initial
        assert norm(layer.weight) == pytest.approx(initial, rel=0.02)


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_the_scale_of_a_weight_does_not_matter(make, shape) -> None:  # type: ignore[no-untyped-def]
    layer = make()
    normalise_spectrum(nn.Sequential(layer))
    layer.eval()
    x = torch.randn(shape)
    before = layer(x)
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(10)
    torch.testing.assert_close(layer(x), before, atol=1e-5, rtol=1e-5)


def test_looking_in_eval_mode_leaves_no_trace() -> None:
    layer = nn.Linear(6, 4)
    normalise_spectrum(nn.Sequential(layer))
    held = layer.parametrizations.weight[0]
    with torch.no_grad():
        layer.parametrizations.weight.original.add_(torch.randn(4, 6))
    layer.eval()
    before = held.left.clone()
    layer(torch.randn(2, 6))
    assert torch.equal(held.left, before)
    layer.train()
    layer(torch.randn(2, 6))
    assert not torch.equal(held.left, before)


@pytest.mark.parametrize("spectral", [True, False])
@pytest.mark.parametrize("tile", [(32, 32), (16, 16, 16)], ids=str)
def test_every_linear_and_convolution_of_the_discriminator_is_held_unless_told_otherwise(
    tile: tuple[int, ...], spectral: bool
) -> None:
    judge = Discriminator(1, tile, PRESETS["tiny"], spectral=spectral)
    layers = [m for m in judge.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Conv3d)]
    assert len(layers) > 10
    for layer in layers:
        assert parametrize.is_parametrized(layer, "weight") == spectral
        assert not spectral or isinstance(layer.parametrizations.weight[0], HeldSpectrum)
