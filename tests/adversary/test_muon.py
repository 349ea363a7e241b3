"""Muon: matrices take steps of equal singular values, all else takes Adam's, and a resumed run takes the same."""

import io
import math

import pytest
import torch
from torch import Tensor, nn

from augmentor.adversary.muon import MOMENTUM, RATIO, Muon, is_matrix, orthogonal

BETAS = (0.5, 0.99)

SHAPES = [(64, 8), (8, 64), (24, 24), (2, 2), (96, 480), (300, 5)]


def of_spectrum(rows: int, columns: int, spectrum: Tensor) -> Tensor:
    """A matrix with these singular values and random vectors."""
    left, right = (torch.linalg.qr(torch.randn(n, len(spectrum))).Q for n in (rows, columns))
    return left @ torch.diag(spectrum) @ right.T


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("condition", [1, 10, 100, 10_000])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_direction_has_singular_values_near_one(shape: tuple[int, int], condition: int, scale: float) -> None:
    spectrum = torch.logspace(0, -math.log10(condition), min(shape))
    matrix = of_spectrum(*shape, scale * spectrum)
    made = orthogonal(matrix)
    values = torch.linalg.svdvals(made)
    # Five steps raise a value 480 times at most, so that what was hardly there still falls short.
    assert (values > 0.6).sum() >= (spectrum / spectrum.norm() > 1 / 700).sum()
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    # The vectors stay: seen through them, the direction is diagonal.
    through = left.T @ made @ right.T
    torch.testing.assert_close(through, torch.diag(through.diagonal()), atol=0.02, rtol=0)
    assert (through.diagonal() > -0.02).all()


def test_a_direction_without_size_is_finite() -> None:
    assert not orthogonal(torch.zeros(3, 5)).any()


def parameters() -> dict[str, nn.Parameter]:
    shapes = {
        "linear": (6, 4),
        "tall": (12, 3),
        "convolution": (4, 2, 3, 3),
        "volume": (3, 2, 2, 2, 2),
        "bias": (6,),
        "scalar": (),
        "row": (1, 7),
        "column": (7, 1),
        "position": (1, 5, 2, 3),
    }
    return {name: nn.Parameter(torch.randn(shape)) for name, shape in shapes.items()}


def descend(optimiser: torch.optim.Optimizer, held: dict[str, nn.Parameter], step: int) -> None:
    """One step on gradients that the step's number decides, of very different sizes."""
    random = torch.Generator().manual_seed(step)
    for parameter in held.values():
        parameter.grad = torch.randn(parameter.shape, generator=random) * 10.0 ** (step % 3 - 1)
    optimiser.step()


def test_what_maps_several_inputs_to_several_outputs_is_a_matrix() -> None:
    found = {name for name, parameter in parameters().items() if is_matrix(parameter)}
    assert found == {"linear", "tall", "convolution", "volume"}


def test_what_is_no_matrix_steps_as_adam_does() -> None:
    held = {name: p for name, p in parameters().items() if not is_matrix(p)}
    other = {name: nn.Parameter(p.detach().clone()) for name, p in held.items()}
    muon = Muon(held.values(), 3e-3, BETAS)
    adam = torch.optim.Adam(other.values(), 3e-3, betas=BETAS)
    for step in range(20):
        descend(muon, held, step)
        descend(adam, other, step)
        for name in held:
            torch.testing.assert_close(held[name], other[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["linear", "tall", "convolution", "volume"])
def test_a_matrix_steps_along_its_orthogonalised_momentum(name: str) -> None:
    held = {name: parameters()[name]}
    expected = held[name].detach().clone()
    rows, columns = len(expected), expected[0].numel()
    mean = torch.zeros_like(expected)
    muon = Muon(held.values(), 1e-2, BETAS)
    for step in range(5):
        descend(muon, held, step)
        gradient = held[name].grad
        mean = MOMENTUM * mean + gradient
        direction = orthogonal((gradient + MOMENTUM * mean).view(rows, columns)).view_as(expected)
        expected = expected - RATIO * 1e-2 * max(1, rows / columns) ** 0.5 * direction
        torch.testing.assert_close(held[name].detach(), expected)


@pytest.mark.parametrize("names", [("linear", "bias"), ("linear",), ("bias",)], ids="+".join)
def test_a_rate_is_that_of_the_rest_and_matrices_go_faster(names: tuple[str, ...]) -> None:
    held = {name: parameters()[name] for name in names}
    for muon in (Muon(held.values(), 1e-3, BETAS), Muon(held.values(), 7.0, BETAS)):
        muon.set_rate(1e-3)
        rates = {is_matrix(p): group["lr"] for group in muon.param_groups for p in group["params"]}
        assert rates == {is_matrix(p): pytest.approx(1e-3 * (RATIO if is_matrix(p) else 1)) for p in held.values()}


def test_a_rate_of_zero_moves_nothing() -> None:
    held = parameters()
    before = {name: p.detach().clone() for name, p in held.items()}
    muon = Muon(held.values(), 1.0, BETAS)
    muon.set_rate(0.0)
    descend(muon, held, 0)
    assert all(torch.equal(held[name], before[name]) for name in held)


def test_what_has_no_gradient_stays() -> None:
    held = parameters()
    before = {name: p.detach().clone() for name, p in held.items()}
    Muon(held.values(), 1.0, BETAS).step()
    assert all(torch.equal(held[name], before[name]) for name in held)


@pytest.mark.parametrize("behind", [0, 1, 5])
def test_a_resumed_optimiser_takes_the_same_steps_bit_for_bit(behind: int) -> None:
    held = parameters()
    muon = Muon(held.values(), 1e-2, BETAS)
    for step in range(behind):
        descend(muon, held, step)
    muon.set_rate(2e-3)
    file = io.BytesIO()
    torch.save(muon.state_dict(), file)
    file.seek(0)
    other = {name: nn.Parameter(p.detach().clone()) for name, p in held.items()}
    resumed = Muon(other.values(), 0.5, BETAS)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for step in range(behind, behind + 4):
        descend(muon, held, step)
        descend(resumed, other, step)
    assert all(torch.equal(held[name], other[name]) for name in held)


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (5, 5)], ids=str)
def test_least_squares_converge(shape: tuple[int, int]) -> None:
    outputs, inputs = shape
    x, layer = torch.randn(200, inputs), nn.Linear(inputs, outputs)
    wanted = x @ torch.randn(inputs, outputs) + torch.randn(outputs)
    muon = Muon(layer.parameters(), 0.0, BETAS)
    errors = []
    for step in range(200):
        muon.set_rate(0.05 * (1 - step / 200))
        error = (layer(x) - wanted).square().mean()
        muon.zero_grad()
        error.backward()
        muon.step()
        errors.append(error.item())
    assert errors[-1] < 1e-3 * errors[0]
