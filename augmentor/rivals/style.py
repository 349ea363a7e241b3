"""Parts of StyleGAN2 that ViTGAN borrows: equalised layers, the mapping network, modulated convolution."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear

from augmentor.rivals.rival import pixel_norm

MAPPING_RATE = 0.01
"""The mapping network learns at this part of the learning rate (Karras et al. 2019, appendix C)."""


class EqualLinear(nn.Linear):
    """A Linear whose weights are unit normal and scaled in use, so that Adam moves all of them alike.

    ``rate`` multiplies the learning rate, ``start`` is the initial bias. Source: Karras et al. 2018,
    section 4.1.
    """

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, start: float = 0.0) -> None:
        super().__init__(inputs, outputs)
        nn.init.normal_(self.weight, std=1 / rate)
        nn.init.constant_(self.bias, start / rate)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * (self.rate / self.in_features**0.5), self.bias * self.rate)


class EqualConv(nn.Conv2d):
    """The same as a convolution."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(channels, width, kernel, stride, padding)
        nn.init.normal_(self.weight)
        self.bias = nn.Parameter(torch.zeros(width))
        self.gain = 1 / (channels * kernel**2) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.gain, self.bias)


class Mapping(nn.Module):
    """Noise (B, latent) and codes (B, K) -> styles (B, style), by eight layers.

    Conditions are embedded, normalised as the noise is, and joined to it, as in the conditional networks
    of Karras et al. 2020, "Training generative adversarial networks with limited data".
    """

    def __init__(self, latent: int, conditions: int, style: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(conditions, latent)) if conditions else None
        widths = [latent * (2 if conditions else 1), *[style] * 8]
        self.layers = nn.ModuleList(EqualLinear(a, b, rate=MAPPING_RATE) for a, b in pairwise(widths))

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        x = pixel_norm(z)
        if self.embedding is not None:
            x = torch.cat([x, pixel_norm(conditions @ self.embedding)], dim=1)
        for layer in self.layers:
            x = activate(layer(x))
        return x


class ModulatedConv(nn.Module):
    """(B, channels, h, w) and styles (B, style) -> (B, width, h, w), or twice the sides with ``up``.

    Each sample has weights of its own: scaled by its style along the input channels and, with
    ``demodulate``, brought back to unit norm along the output channels. Source: Karras et al. 2020,
    "Analyzing and improving the image quality of StyleGAN", section 2.2, equations 1 and 3.
    """

    def __init__(
        self, channels: int, width: int, kernel: int, style: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.modulation = EqualLinear(style, channels, start=1.0)
        self.weight = nn.Parameter(torch.randn(width, channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        self.gain = 1 / (channels * kernel**2) ** 0.5
        self.demodulate = demodulate
        self.up = up

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        # Scaling what goes in and what comes out is scaling the weights, but one convolution serves all samples.
        scale = self.modulation(style)
        weight = self.weight * self.gain
        x = x * scale[:, :, None, None]
        if self.up:
            x = 4 * blur(conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1)
        else:
            x = conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            power = scale.square() @ weight.square().sum(dim=(2, 3)).T
            x = x * torch.rsqrt(power + 1e-8)[:, :, None, None]
        return x + self.bias[:, None, None]


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU, scaled so that a normal keeps its variance, nearly."""
    return leaky_relu(x, 0.2) * 2**0.5


def blur(x: Tensor, padding: int) -> Tensor:
    """Every channel of (B, C, h, w), padded by zeros, filtered by [1, 3, 3, 1] / 8 along rows and columns."""
    taps = x.new_tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 4, 4)
    return conv2d(x, kernel, padding=padding, groups=x.shape[1])
