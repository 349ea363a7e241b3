"""What a game looks like from outside while it is played: its samples beside its tiles, and its judge's verdicts."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from augmentor.adversary.batch import Batch
from augmentor.adversary.game import GROUP, Game
from augmentor.adversary.penalties import verdict
from augmentor.measures.features import Features, random_convolutional
from augmentor.measures.fidelity import kernel, standardised

LOOKED_AT = 256
"""Tiles and samples that are compared, at most."""

AT_ONCE = 64
"""Samples drawn, and judged, at once."""

TOLD = 0.1
"""Least distance of the verdicts of training tiles and samples at which it says anything who lies between."""


class Mirror:
    """Compares samples with ``tiles``, the fixed seed's own noise each time, and verdicts with those of ``held_out``.

    Nothing here is learned from, and no random number of the game is used up.
    """

    def __init__(self, tiles: Batch, held_out: Batch | None) -> None:
        self.tiles = tiles
        self.held_out = held_out
        self._features: Features | None = None

    @torch.no_grad()
    def look(self, game: Game) -> dict[str, float]:
        """``distance`` of samples from the tiles (KID); their ``spread``, as a part of that of the tiles; ``by_heart``:
        how far from training tiles to samples the discriminator ranks tiles that it never saw.

        The last is the measure of overfitting of Karras et al. 2020 ("Training generative adversarial networks with
        limited data", equation 1), turned round; it is left out where the discriminator tells nothing.
        """
        samples = self._samples(game)
        if self._features is None:
            self._features = self._seen(self.tiles.shown)
        made, real = standardised(self._seen(samples), self._features)
        apart = pdist(real).mean()
        # Tiles that are all alike leave nothing to fall short of.
        spread = float(pdist(made).mean() / apart) if apart else 1.0
        found = {"distance": kernel(made, real), "spread": spread}
        return found | {"outranked": game.gamma.outranked} | self._overfit(game, samples)

    def _samples(self, game: Game) -> Tensor:
        noise = torch.randn(len(self.tiles.pixels), game.average.latent, generator=torch.Generator().manual_seed(0))
        drawn = []
        for rows in torch.arange(len(noise)).split(AT_ONCE):
            asked = self.tiles[rows]
            latents = game.average.prior(noise[rows].to(asked.pixels), asked.conditions)
            drawn.append(game.average(latents, asked.conditions, asked.context) * asked.valid)
        return torch.cat(drawn)

    def _overfit(self, game: Game, samples: Tensor) -> dict[str, float]:
        if self.held_out is None or len(self.held_out.pixels) < GROUP or game.steps == 0:
            return {}
        unseen = self.held_out
        sides = ((self.tiles.shown, self.tiles), (unseen.shown, unseen), (samples, self.tiles))
        learned, new, made = (self._verdict(game, images, beside) for images, beside in sides)
        return {"by_heart": (learned - new) / (learned - made)} if learned - made > TOLD else {}

    def _verdict(self, game: Game, images: Tensor, beside: Batch) -> float:
        """The discriminator's mean verdict of whole groups of images."""
        whole = len(images) // GROUP * GROUP
        judge = game.discriminator.eval()
        said = []
        for rows in torch.arange(whole).split(AT_ONCE):
            asked = beside[rows]
            said.append(verdict(judge(images[rows], asked.conditions, GROUP, asked.context)))
        game.discriminator.train()
        game.freeze(game.frozen)
        return float(torch.cat(said).mean())

    def _seen(self, images: Tensor) -> Features:
        """Features of planes, or of the middle slices of volumes."""
        planes = images if images.ndim == 4 else images[:, :, images.shape[2] // 2]
        return np.concatenate([random_convolutional(some.cpu().float()) for some in planes.split(AT_ONCE)])
