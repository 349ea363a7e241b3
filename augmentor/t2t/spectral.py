"""Improved spectral normalisation: the spectral norm of each weight is held at its initial value."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class HeldSpectrum(nn.Module):
    """W -> W · sigma(W_init) / sigma(W), with sigma by one power iteration a training forward.

    Plain spectral normalisation (Miyato et al. 2018) sets sigma to 1, which starves a transformer of
    capacity; holding it where initialisation put it keeps the bound and the scale (ViTGAN, Lee et al.
    2022, section 3.2).
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("left", nn.functional.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("initial", torch.linalg.matrix_norm(matrix, ord=2))
        for _ in range(15):
            self._iterate(matrix)

    left: Tensor
    initial: Tensor

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> Tensor:
        right = nn.functional.normalize(self.left @ matrix, dim=0)
        self.left.copy_(nn.functional.normalize(matrix @ right, dim=0))
        return right

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        # A norm that is rounded to eight bits holds nothing.
        with torch.autocast("cuda" if weight.is_cuda else "cpu", enabled=False):
            if self.training:
                right = self._iterate(matrix)
            else:
                with torch.no_grad():
                    right = nn.functional.normalize(self.left @ matrix, dim=0)
            sigma = self.left.clone() @ (matrix @ right.clone())
        return weight * (self.initial / sigma)


def normalise_spectrum(network: nn.Module) -> None:
    """Put ``HeldSpectrum`` on the weight of every Linear and convolution in ``network``, in place."""
    for module in list(network.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
            parametrize.register_parametrization(module, "weight", HeldSpectrum(module.weight))
