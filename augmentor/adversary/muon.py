"""Muon: orthogonalised momentum for weight matrices, Adam for everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

RATIO = 2.5
"""Rate of matrices over the rate of the rest."""

MOMENTUM = 0.95


class Muon(torch.optim.Optimizer):
    """Steps whose matrix part has all singular values near 1 (Jordan et al. 2024, "Muon").

    A convolution's weight counts as the matrix of its outputs by all of its inputs. Where torch's own
    Muon takes matrices alone, one optimiser here steps every parameter of a network: biases, gains and
    single-row weights by Adam (Kingma and Ba 2015). On the warm start at 64 px it brought in 50 CPU
    seconds what Adam had not reached in 150 (docs/model.md).
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float], momentum: float = MOMENTUM
    ) -> None:
        held = list(parameters)
        matrices = [p for p in held if is_matrix(p)]
        others = [p for p in held if not is_matrix(p)]
        defaults = {"betas": betas, "momentum": momentum}
        groups = [
            {"params": matrices, "matrices": True, "lr": rate * RATIO},
            {"params": others, "matrices": False, "lr": rate},
        ]
        super().__init__([group for group in groups if group["params"]], defaults)

    def set_rate(self, rate: float) -> None:
        """Change the rate of both kinds."""
        for group in self.param_groups:
            group["lr"] = rate * RATIO if group["matrices"] else rate

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step on the gradients that are there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    (self._orthogonal if group["matrices"] else self._adam)(parameter, parameter.grad, group)

    def _orthogonal(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        mean = state["momentum"].mul_(group["momentum"]).add_(gradient)
        rows, columns = len(parameter), parameter[0].numel()
        direction = orthogonal((gradient + group["momentum"] * mean).flatten(1)).view_as(parameter)
        parameter.add_(direction, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _adam(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state |= {"step": torch.tensor(0.0), "mean": torch.zeros_like(parameter)}
            state["square"] = torch.zeros_like(parameter)
        first, second = group["betas"]
        state["step"] += 1
        count = state["step"].item()
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        size = (state["square"] / (1 - second**count)).sqrt_().add_(1e-8)
        parameter.addcdiv_(state["mean"], size, value=-group["lr"] / (1 - first**count))


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter maps several inputs to several outputs."""
    return parameter.ndim >= 2 and len(parameter) > 1 and parameter[0].numel() > 1


def orthogonal(matrix: Tensor) -> Tensor:
    """About U·Vᵀ of a matrix U·S·Vᵀ, by five Newton-Schulz steps (Jordan et al. 2024).

    Singular values come to lie within 0.65 to 1.25, but for those below a thousandth of the matrix's norm. Every
    step is a polynomial in the Gram matrix, so that the steps are multiplied out on its few rows, and the matrix
    itself, which may have many columns, is met twice.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    gram = x @ x.T
    turn = step = _step(gram)
    for _ in range(4):
        gram = step @ gram @ step
        step = _step(gram)
        turn = step @ turn
    x = turn @ x
    return x.T if tall else x


def _step(gram: Tensor) -> Tensor:
    """What one Newton-Schulz step multiplies a matrix by, given its Gram matrix."""
    linear = 3.4445 * torch.eye(len(gram)).to(gram)
    return torch.addmm(linear, gram, gram, alpha=2.0315).add_(gram, alpha=-4.7750)
