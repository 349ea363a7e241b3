"""ViTGAN: a vision transformer on both sides, the discriminator's held Lipschitz.

Source: Lee et al., "ViTGAN: training GANs with vision transformers", ICLR 2022. The weights of R1 and of
bCR are those of the authors' PyTorch release, which says that they differ from the paper's TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor, nn

from augmentor.rivals.rival import Discriminator, Generator, Projection, Published, Rival, scaled
from augmentor.rivals.style import EqualConv, EqualLinear, Mapping, ModulatedConv, activate
from augmentor.t2t.discriminator import Logits
from augmentor.t2t.spectral import normalise_spectrum

WIDTH = 384
"""Numbers a token, and of the latent."""

HEADS = 6
RECIPE = Published(
    "non_saturating",
    generator_rate=2e-3,
    discriminator_rate=2e-3,
    betas=(0.0, 0.99),
    batch=32,
    penalty="r1",
    gamma=0.1,
    consistency=1.0,
    half_life=10_000,
    ramp=0.05,
    augmentation=0.8,
)


class L2Attention(nn.Module):
    """Attention by squared distance, queries and keys being the same: (B, N, width) -> (B, N, width).

    softmax(-‖q_i - q_j‖² / √d) is Lipschitz where the dot product is not (section 3.2; Kim et al. 2021).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = HEADS * ceil(width / HEADS)
        self.query = EqualLinear(width, inner)
        self.value = EqualLinear(width, inner)
        self.out = EqualLinear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        q, v = (f(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for f in (self.query, self.value))
        # Written out, because cdist has no double backward on the diagonal.
        square = q.square().sum(dim=-1)
        distance = square[..., :, None] + square[..., None, :] - 2 * q @ q.transpose(-1, -2)
        weights = (-distance / q.shape[-1] ** 0.5).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class SelfModulatedNorm(nn.LayerNorm):
    """A layer norm of tokens (B, N, width) whose gain and shift are linear in a style (B, width)."""

    def __init__(self, width: int) -> None:
        super().__init__(width, elementwise_affine=False)
        self.gain = EqualLinear(width, width, start=1.0)
        self.shift = EqualLinear(width, width)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x) * self.gain(style)[:, None] + self.shift(style)[:, None]


class Block(nn.Module):
    """A pre-norm transformer block; its norms, made by ``norm``, take a style where there is one."""

    def __init__(self, width: int, hidden: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm, self.mlp_norm = norm(width), norm(width)
        self.attention = L2Attention(width)
        self.mlp = nn.Sequential(EqualLinear(width, hidden), nn.GELU(), EqualLinear(hidden, width))

    def forward(self, x: Tensor, *style: Tensor) -> Tensor:
        x = x + self.attention(self.norm(x, *style))
        return x + self.mlp(self.mlp_norm(x, *style))


class ViTGANGenerator(Generator):
    """Learned tokens, modulated by the latent; each becomes the weights of a picture of its patch.

    A patch is an implicit function of the place inside it: two layers, modulated by the token, read a
    Fourier embedding of the pixel's coordinates (section 3.3; CIPS, Anokhin et al. 2021).
    """

    places: Tensor

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        self.latent, size = WIDTH, scaled(WIDTH, width)
        patch, depth = _patch(tile), _depth(tile)
        self.grid = tile // patch
        self.mapping = Mapping(WIDTH, conditions, size)
        self.tokens = nn.Parameter(torch.randn(self.grid**2, size))
        self.blocks = nn.ModuleList(Block(size, scaled(4 * WIDTH, width), SelfModulatedNorm) for _ in range(depth))
        self.norm = SelfModulatedNorm(size)
        line = torch.linspace(-1, 1, patch)
        places = torch.stack([line[:, None].expand(patch, patch), line.expand(patch, patch)])
        self.register_buffer("places", places[None], persistent=False)
        self.fourier = nn.Conv2d(2, size, 1)
        nn.init.uniform_(self.fourier.weight, -(4.5**0.5), 4.5**0.5)
        self.hidden = ModulatedConv(size, size, 1, size)
        self.to_image = ModulatedConv(size, channels, 1, size, demodulate=False)

    def forward(self, z: Tensor, conditions: Tensor) -> Tensor:
        style = self.mapping(z, conditions)
        x = self.tokens.expand(len(z), -1, -1)
        for block in self.blocks:
            x = block(x, style)
        tokens = self.norm(x, style).flatten(0, 1)
        pixels = activate(self.hidden(torch.sin(self.fourier(self.places)), tokens))
        patches = self.to_image(pixels, tokens).unflatten(0, (len(z), self.grid, self.grid))
        return patches.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


class ViTGANDiscriminator(Discriminator):
    """A vision transformer on patches that overlap by half, with L2 attention and held spectral norms."""

    def __init__(self, channels: int, tile: int, conditions: int, width: float) -> None:
        super().__init__()
        size, patch = scaled(WIDTH, width), _patch(tile)
        self.split = EqualConv(channels, size, 2 * patch, patch, patch // 2)
        self.token = nn.Parameter(torch.randn(1, 1, size) * 0.02)
        self.position = nn.Parameter(torch.randn((tile // patch) ** 2 + 1, size) * 0.02)
        hidden = scaled(4 * WIDTH, width)
        self.blocks = nn.Sequential(*(Block(size, hidden, nn.LayerNorm) for _ in range(_depth(tile))))
        self.norm = nn.LayerNorm(size)
        self.logit = EqualLinear(size, 1)
        self.projection = Projection(conditions, size)
        normalise_spectrum(self)

    def forward(self, x: Tensor, conditions: Tensor) -> Logits:
        patches = self.split(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1) + self.position
        judged = self.norm(self.blocks(tokens)[:, 0])
        return Logits(self.logit(judged)[:, 0] + self.projection(judged, conditions), [])


def _patch(tile: int) -> int:
    return 4 if tile <= 32 else 8


def _depth(tile: int) -> int:
    return 4 if tile <= 32 else 6


def vitgan(channels: int, tile: int, conditions_width: int, width: float) -> Rival:
    """ViTGAN for square tiles of a multiple of 8 px; ``width`` multiplies the numbers a token."""
    sizes = (channels, tile, conditions_width, width)
    return Rival(ViTGANGenerator(*sizes), ViTGANDiscriminator(*sizes), RECIPE)
