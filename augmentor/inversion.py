"""Images to latents and back: encode, reconstruct, go from one image to another, vary one.

from augmentor.inversion import Inversion

inversion = Inversion.of("runs/latest")
point = inversion.encode(pixels, valid, [{"finding": "pneumonia"}])
halfway = inversion.between(point[0], point[1], 0.5)
pictures = inversion.decode(halfway)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augmentor.adversary.losses import masked_l1
from augmentor.networks import load_generator, load_inference
from augmentor.run import Facts, Run
from augmentor.sampling import check_conditions, to_physical
from augmentor.segmentation import to_channels
from augmentor.t2t.conditioning import encode, parts
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference

RATE = 0.05
"""Step of the refinement, in units of the latents."""


@dataclass(frozen=True)
class Points:
    """Places in a run's latent space: ``latents`` (N, latent) and condition ``codes`` (N, K)."""

    latents: Tensor
    codes: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, which: int | slice) -> Points:
        rows = slice(which, which + 1 or None) if isinstance(which, int) else which
        return Points(self.latents[rows], self.codes[rows])


class Inversion:
    """A trained run's inference network and generator, for images on the run's own tile."""

    def __init__(self, facts: Facts, generator: Generator, inference: Inference) -> None:
        self.facts = facts
        self.generator = generator
        self.inference = inference

    @classmethod
    def of(cls, run: str | Path | None = None, runs: str | Path = "runs") -> Inversion:
        """The inversion of a run: a folder or name, the latest when none is named.

        Raises:
            UserError: if there is no such run, or it was trained to fill.
        """
        found = Run.find(run, Path(runs))
        return cls(found.facts, load_generator(found), load_inference(found))

    def encode(
        self,
        pixels: NDArray[Any],
        valid: NDArray[np.bool_] | None = None,
        conditions: Sequence[Mapping[str, str]] | None = None,
        labels: NDArray[np.int32] | None = None,
        *,
        refine: int = 0,
    ) -> Points:
        """The latents that remake (N, C, *tile) in physical units, where ``valid`` (N, *tile).

        The inference network answers at once; ``refine`` steps of gradient descent on the reconstruction then
        bring it closer (in-domain inversion, Zhu et al. 2020). ``labels`` (N, *tile) are needed by runs with a
        segmentation.

        Raises:
            ValueError: if the shape is not the run's tile.
            WrongCondition: if the run does not know a condition.
        """
        target, seen = self._unit(pixels, valid, labels)
        values = conditions if conditions is not None else [{}] * len(target)
        codes = torch.stack([encode(self.facts.conditions, check_conditions(self.facts, v)) for v in values])
        with torch.no_grad():
            latents = self.inference(torch.where(seen > 0, target, 0.0)).mean
        return Points(self._refined(latents, codes, target, seen, labels, refine), codes)

    def decode(
        self, points: Points, labels: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int32] | None]:
        """Pixels (N, C, *tile) in physical units, and label maps (N, *tile) where the run makes them."""
        with torch.inference_mode():
            made = self.generator(points.latents, points.codes, self._context(labels)).numpy()
        return to_physical(made, self.facts)

    def reconstruct(self, pixels: NDArray[Any], *others: Any, **options: Any) -> NDArray[np.float64]:
        """``decode(encode(...))``: what the run makes of images (N, C, *tile), in physical units."""
        return self.decode(self.encode(pixels, *others, **options))[0]

    def between(self, first: Points, second: Points, at: float) -> Points:
        """From one image (``at`` 0) to another (1); beyond these it extrapolates.

        Latents turn on a sphere in the prior's own units, so that what lies between is as typical as the ends
        (White 2016). Condition codes pass through what lies between: ages straight, months the shorter way round the
        year; of two texts the nearer one is asked for.
        """
        ends = (parts(self.facts.conditions, points.codes) for points in (first, second))
        every = [condition.between(*pair, at) for condition, *pair in zip(self.facts.conditions, *ends, strict=True)]
        codes = torch.cat([first.codes[:, :0], *every], dim=1)
        a, b = (self.generator.prior.noise(points.latents, points.codes) for points in (first, second))
        directions = (a / a.norm(dim=1, keepdim=True)) * (b / b.norm(dim=1, keepdim=True))
        angle = directions.sum(dim=1, keepdim=True).clamp(-0.9999, 0.9999).arccos()
        turned = (torch.sin((1 - at) * angle) * a + torch.sin(at * angle) * b) / torch.sin(angle)
        return Points(self.generator.prior(turned, codes), codes)

    def vary(self, point: Points, amount: float, n: int, seed: int = 0) -> Points:
        """``n`` relatives of one image: 0 is the image itself, 1 a fresh sample under its conditions."""
        noise = torch.randn(n, self.generator.latent, generator=torch.Generator().manual_seed(seed))
        own = self.generator.prior.noise(point.latents[:1], point.codes[:1]).expand(n, -1)
        codes = point.codes[:1].expand(n, -1)
        # Two normals mixed by weights of unit length are normal again.
        return Points(self.generator.prior((1 - amount**2) ** 0.5 * own + amount * noise, codes), codes)

    def _refined(
        self,
        latents: Tensor,
        codes: Tensor,
        target: Tensor,
        seen: Tensor,
        labels: NDArray[np.int32] | None,
        steps: int,
    ) -> Tensor:
        context = self._context(labels)
        latents = latents.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([latents], lr=RATE)
        for _ in range(steps):
            loss = masked_l1(self.generator(latents, codes, context), target, seen)
            (latents.grad,) = torch.autograd.grad(loss * len(latents), latents)
            optimiser.step()
        return latents.detach()

    def _unit(
        self, pixels: NDArray[Any], valid: NDArray[np.bool_] | None, labels: NDArray[np.int32] | None
    ) -> tuple[Tensor, Tensor]:
        expected = (self.facts.channels, *self.facts.tile)
        if pixels.shape[1:] != expected:
            raise ValueError(f"images are {pixels.shape[1:]} (channels, tile), the run's are {expected}")
        unit = self.facts.scaling.to_unit(pixels, len(self.facts.tile))
        if self.facts.made > self.facts.channels:
            if labels is None:
                raise ValueError("this run makes label maps along with images; give those of the images")
            unit = np.concatenate([unit, to_channels(labels, self.facts.labels)], axis=1)
        seen = np.ones((len(pixels), *self.facts.tile), bool) if valid is None else valid
        return torch.from_numpy(np.where(seen[:, None], unit, np.float32(0))), torch.from_numpy(seen)[:, None].float()

    def _context(self, labels: NDArray[np.int32] | None) -> Tensor | None:
        if not self.facts.given:
            return None
        if labels is None:
            raise ValueError("this run makes images for label maps; give those of the images")
        return torch.from_numpy(to_channels(labels, self.facts.labels))
