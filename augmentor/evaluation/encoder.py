"""Features that no one fixed beforehand: learned on the real images themselves, or by a network that the user has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.losses.contrastive import ContrastiveLoss
from monai.networks.nets.resnet import ResNet
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from augmentor.adversary.augment import EVERYWHERE, TURNING, augment
from augmentor.adversary.draws import Draws
from augmentor.errors import ExtractorError
from augmentor.evaluation.classifier import answers, learned
from augmentor.measures.features import Features

PAIRS = 2
"""Pairs of views in a batch, for each image that a classifier's has."""

PROJECTED = 32
"""Numbers that views are told apart by; what is measured is what lies before them (Chen et al. 2020, section 4.2)."""

TEMPERATURE = 0.2

Extract = Callable[[Tensor], Features]
"""Images (N, C, H, W) in [-1, 1] to features (N, F)."""


def self_supervised(planes: NDArray[np.float32], *, flips: bool, seed: int = 0) -> Extract:
    """An encoder that has learned on real images (N, C, H, W), without labels, to know an image again.

    Two views of an image, moved, relit and cut out, are to lie nearer to each other than to any other's. Source: Chen
    et al. 2020, "A simple framework for contrastive learning of visual representations" (SimCLR).
    """
    images = torch.from_numpy(planes)
    transforms = (*EVERYWHERE, *TURNING) if flips else EVERYWHERE
    alike = ContrastiveLoss(temperature=TEMPERATURE)

    def draw(size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(images), (PAIRS * size,), generator=random)
        views = [augment(images[rows], 1.0, Draws(random), transforms) for _ in range(2)]
        return torch.cat(views), rows

    network = learned(draw, PROJECTED, seed, lambda projected, _: alike(*projected.chunk(2)))
    trunk = nn.Sequential(*list(network)[:-2])
    return lambda seen: answers(trunk, seen.numpy()).double().numpy()


def of_file(path: Path) -> Extract:
    """The user's own: a TorchScript module from (N, C, H, W) in [-1, 1] to (N, F), such as a scripted Inception; or the
    weights of a residual network, as ``.safetensors`` with the names that torchvision and timm give them.

    Raises:
        ExtractorError: if it cannot be loaded, or does not give a finite row of numbers an image.
    """
    module = ResidualFeatures(path) if path.suffix == ".safetensors" else _scripted(path)

    def extract(seen: Tensor) -> Features:
        try:
            found = answers(module, seen.numpy()).double()
        except RuntimeError as error:
            raise ExtractorError(
                f"fails on images of {tuple(seen.shape[1:])} ({str(error).strip().splitlines()[-1]})",
                where=path,
                do="let its forward bring them to the channels and size that it wants",
            ) from None
        if found.ndim != 2 or not torch.isfinite(found).all():
            raise ExtractorError(
                f"gives {tuple(found.shape)} for {len(seen)} images, or numbers that are not finite",
                where=path,
                do="let it give a finite row of numbers an image",
            )
        return found.numpy()

    return extract


def _scripted(path: Path) -> nn.Module:
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        said = str(error).strip().splitlines() or ["empty"]
        raise ExtractorError(
            f"is no TorchScript module ({said[0]})", where=path, do="save one with torch.jit.script(module).save"
        ) from None


class ResidualFeatures(nn.Module):
    """What the last layer but one of a trained residual network (ResNet-18 to -152) says: (N, C, H, W) -> (N, F).

    Images of one channel are shown in all of its three, by the mean and spread of ImageNet's.

    Raises:
        ExtractorError: if the file holds no such network's weights.
    """

    MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            # The last layer tells classes of the network's own.
            held = {name: values for name, values in load_file(path).items() if not name.startswith("fc.")}
            blocks = [len({name.split(".")[1] for name in held if name.startswith(f"layer{k}.")}) for k in range(1, 5)]
            self.channels = held["conv1.weight"].shape[1]
            self.network = ResNet(
                "bottleneck" if "layer1.0.conv3.weight" in held else "basic",
                blocks,
                [64, 128, 256, 512],
                spatial_dims=2,
                n_input_channels=self.channels,
                conv1_t_stride=2,
                feed_forward=False,
                bias_downsample=False,
            )
            self.network.load_state_dict(held)
        except (SafetensorError, RuntimeError, OSError, KeyError, ValueError) as error:
            said = str(error).strip().splitlines() or ["empty"]
            raise ExtractorError(
                f"holds no weights of a residual network ({said[0]})", where=path, do="give a TorchScript module"
            ) from None
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        shown = images.expand(-1, self.channels, -1, -1) if images.shape[1] == 1 else images
        if self.channels == 3:
            mean, spread = (torch.tensor(ends).view(1, 3, 1, 1) for ends in (self.MEAN, self.SPREAD))
            shown = ((shown + 1) / 2 - mean) / spread
        found: Tensor = self.network(shown)
        return found
