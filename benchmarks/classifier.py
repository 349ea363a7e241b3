"""Whether samples look like the class they were asked for, to a classifier that saw real images alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from augmentor.adversary.augment import augment
from benchmarks.contenders import Contender, Split
from benchmarks.verdict import draw

STEPS = 600


class Classifier(nn.Sequential):
    """A small convolutional network: (B, C, H, W) -> (B, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        layers: list[nn.Module] = []
        for width in (24, 48, 96):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(8, width), nn.GELU(), nn.MaxPool2d(2)]
            channels = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * width, classes))


def _classes(data: Split, codes: Tensor) -> Tensor:
    """The class that a one-hot code names: (N,)."""
    return codes[:, 1:].argmax(dim=1)


def learned(data: Split, seed: int) -> Classifier:
    """A classifier of the one condition of ``data``, trained on its real training side."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    network = Classifier(data.channels, data.facts.conditions[0].size - 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=STEPS)
    images, wanted = data.train.shown, _classes(data, data.train.conditions)
    for _ in range(STEPS):
        rows = torch.randint(len(images), (32,), generator=random)
        loss = nn.functional.cross_entropy(network(augment(images[rows], 0.8, random)), wanted[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    return network.eval()


def recovered(model: Contender, data: Split, seed: int) -> dict[str, Any]:
    """Accuracy on held-out images and on samples, overall and by class."""
    classifier = learned(data, seed)
    made, codes, _ = draw(model, data, seed=2)
    names = data.facts.conditions[0].classes  # type: ignore[attr-defined]
    found: dict[str, Any] = {}
    for side, images, asked in (
        ("real", data.held_out.shown, _classes(data, data.held_out.conditions)),
        ("samples", made, _classes(data, codes)),
    ):
        with torch.inference_mode():
            right = classifier(images).argmax(dim=1) == asked
        by_class = {name: right[asked == k].float().mean().item() for k, name in enumerate(names)}
        found[side] = {"accuracy": right.float().mean().item(), "by_class": by_class}
    found["ratio"] = found["samples"]["accuracy"] / found["real"]["accuracy"]
    return found
