"""FastGAN's blocks: gated doublings, residual halvings and skip-layer excitation.

Source: Liu et al., ICLR 2021, sections 3.1 and 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d
from torch.nn.utils.parametrizations import spectral_norm

from augmentor.rivals.rival import Noise


def convolution(channels: int, width: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """A convolution without bias, spectrally normalised as all of the authors' released networks are."""
    return spectral_norm(nn.Conv2d(channels, width, kernel, stride, padding, bias=False))


class Doubling(nn.Sequential):
    """Nearest upsampling and one convolution, or two with noise.

    (B, channels, side / 2, side / 2) -> (B, width, side, side).
    """

    def __init__(self, channels: int, width: int, side: int, *, noisy: bool = False) -> None:
        layers: list[nn.Module] = [nn.Upsample(scale_factor=2.0)]
        for inputs in (channels, width) if noisy else (channels,):
            layers.append(convolution(inputs, 2 * width, 3, padding=1))
            layers += [Noise(side)] if noisy else []
            layers += [nn.BatchNorm2d(2 * width), nn.GLU(dim=1)]
        super().__init__(*layers)


class Excitation(nn.Module):
    """Skip-layer excitation: coarse (B, channels, h, w) scales the channels of fine (B, width, H, W); section 3.1."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.squeeze = convolution(channels, width, 4)
        self.excite = convolution(width, width, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        squeezed = nn.functional.silu(self.squeeze(adaptive_avg_pool2d(coarse, 4)))
        return fine * torch.sigmoid(self.excite(squeezed))


class Halving(nn.Module):
    """The mean of two convolutions and of a pooled one: (B, channels, h, w) -> (B, width, h / 2, w / 2)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            convolution(channels, width, 4, 2, 1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
            convolution(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.2),
        )
        self.direct = nn.Sequential(convolution(channels, width, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.direct(avg_pool2d(x, 2))) / 2
