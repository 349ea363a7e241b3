"""What trains against what: the data sets, the T2T-GAN and its rivals, each for a given CPU time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from augmentor import recipe as recipes
from augmentor.adversary.batch import Batch
from augmentor.adversary.game import GROUP
from augmentor.adversary.penalties import verdict
from augmentor.ingest import ingest
from augmentor.learners.painter import Painter, Tiles, load_tiles
from augmentor.networks import device
from augmentor.recipe import Recipe
from augmentor.rivals import RIVALS, RivalGame, parameters, width_for
from augmentor.run import Facts
from augmentor.t2t.conditioning import size
from augmentor.together.team import Team
from augmentor.train import describe

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared/data"

HELD_OUT = 0.3
"""Part of the patients or scenes that is never trained on."""

UCMERCED = (
    "name=ucmerced",
    "data.labels=ucmerced_labels.csv",
    "conditions.use={column: label}",
    "tiles.cut=whole",
)
PHANTOMS = ROOT / "runs/phantoms/chest"
"""Where drawn radiographs lie, once something has drawn them."""

SETS: dict[str, tuple[str, Path, tuple[str, ...]]] = {
    "chest_xray": ("chest_xray", SHARED / "chest_xray", ()),
    "phantoms": ("chest_xray", PHANTOMS, ("conditions.finding.column=finding", "data.group=patient")),
    "ucmerced": ("satellite_tiles", SHARED / "tiles_labelled", UCMERCED),
}
"""Recipe, folder and changes of each data set."""


@dataclass(frozen=True)
class Split:
    """A data set cut for a trial: its recipe and facts, and both sides as tiles in memory."""

    recipe: Recipe
    facts: Facts
    train: Batch
    held_out: Batch
    groups: tuple[str, ...]
    """Patients or scenes of what is held out."""

    @property
    def channels(self) -> int:
        return self.facts.channels

    def few(self, count: int, seed: int) -> Split:
        """The same with ``count`` training tiles alone, drawn by ``seed``."""
        rows = torch.randperm(len(self.train.pixels), generator=torch.Generator().manual_seed(seed))[:count]
        return replace(self, train=self.train[rows])


def split(name: str, pixels: int, changes: tuple[str, ...], store: Path) -> Split:
    """Cut a data set; ``changes`` go to its recipe."""
    recipe_name, folder, own = SETS[name]
    fixed = (f"tiles.size=[{pixels},{pixels}]", f"tiles.held_out={HELD_OUT}")
    recipe = recipes.load(recipe_name, (*own, *fixed, *changes), path=folder)
    tiles = ingest(recipe, store)
    facts = describe(recipe, tiles)
    train, held_out = (load_tiles(tiles, tiles.rows(side), facts) for side in (False, True))
    return Split(recipe, facts, train, held_out, tuple(tiles.index[row].group for row in tiles.rows(True)))


class Contender(Protocol):
    """A model that can be trained for a while and drawn from."""

    @property
    def parameters(self) -> int:
        """Trainable parameters of all its networks."""

    def train(self, seconds: float) -> int:
        """Train for so many CPU seconds (seconds on a GPU); returns the tiles shown."""

    def draw(self, codes: Tensor, seed: int) -> Tensor:
        """A tile in [-1, 1] for each row of condition codes."""


def clock() -> Callable[[], float]:
    """CPU seconds of this process, or seconds where a GPU works."""
    return time.monotonic if torch.cuda.is_available() else time.process_time


class T2T:
    """The product's own learner on the product's own schedule, its length fitted to the time."""

    TRIAL = 4

    def __init__(self, data: Split, seed: int) -> None:
        self.data = data
        self.seed = seed
        self.place = device("auto")
        self.painter = self._painter(1)

    def _painter(self, images: int) -> Painter:
        game = self.data.recipe.game.model_copy(update={"images": max(1, images)})
        recipe = self.data.recipe.model_copy(update={"game": game, "seed": self.seed})
        return Painter(recipe, self.data.facts, self.data.train, team=Team(place=self.place))

    @property
    def parameters(self) -> int:
        game = self.painter.game
        networks = (game.generator, game.inference, game.discriminator)
        return sum(p.numel() for network in networks for p in network.parameters())

    def train(self, seconds: float) -> int:
        """Act by act as the recipe has it; how many tiles fit the time is measured on a throw-away learner."""
        now, schedule = clock(), self.data.recipe.game
        spent = now()
        trial = self.painter
        cost = {}
        for act in ("autoencode", "judge", "play"):
            getattr(trial.game, act)(trial.tiles.draw(schedule.batch))
            began = now()
            for _ in range(self.TRIAL):
                getattr(trial.game, act)(trial.tiles.draw(schedule.batch))
            cost[act] = (now() - began) / self.TRIAL / schedule.batch
        parts = (schedule.warm_start, schedule.judge_alone, 1 - schedule.warm_start - schedule.judge_alone)
        each = sum(part * cost[act] for part, act in zip(parts, cost, strict=True))
        left = seconds - (now() - spent)
        self.painter = self._painter(int(left / each))
        total = self.painter.schedule.images
        seen, began = 0, now()
        while seen < total:
            self.painter.step(seen)
            seen += schedule.batch
            if now() - began > left:
                # The machine was slower than the trial said: what is there counts.
                self.painter.game.fit_latents(self.painter.tiles.some(2_048))
                break
        return seen

    @torch.no_grad()
    def draw(self, codes: Tensor, seed: int) -> Tensor:
        generator = self.painter.game.average
        return _drawn(lambda n, c: generator(generator.prior(n, c), c), generator.latent, codes, seed, self.place)

    @torch.no_grad()
    def verdicts(self, made: Tensor, codes: Tensor) -> dict[str, float]:
        """What the judge says on average of training tiles, of held-out tiles and of samples (at most 256 of each).

        A judge that ranks held-out tiles with the samples knows its training tiles by heart (Karras et al. 2020,
        "Training generative adversarial networks with limited data", equation 1).
        """
        judge = self.painter.game.discriminator.eval()
        sides = {
            "training": (self.data.train.shown, self.data.train.conditions),
            "held out": (self.data.held_out.shown, self.data.held_out.conditions),
            "samples": (made, codes),
        }
        found = {}
        for name, (images, asked) in sides.items():
            whole = min(256, len(images)) // GROUP * GROUP
            parts = zip(images[:whole].split(4 * GROUP), asked[:whole].split(4 * GROUP), strict=True)
            said = [verdict(judge(i.to(self.place), c.to(self.place), GROUP)) for i, c in parts]
            found[name] = float(torch.cat(said).mean())
        judge.train()
        return found


class Against:
    """A rival, at a width, by its published recipe."""

    def __init__(self, name: str, width: float, data: Split, seed: int) -> None:
        self.place = device("auto")
        conditions = size(data.facts.conditions)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            rival = RIVALS[name](data.channels, data.facts.tile[0], conditions, width)
        self.parameters = parameters(rival)
        self.batch = rival.published.batch
        self.game = RivalGame(rival, seed).to(self.place)
        self.tiles = Tiles(data.train, data.recipe.model_copy(update={"seed": seed}), self.place)

    def train(self, seconds: float) -> int:
        now = clock()
        end, seen = now() + seconds, 0
        while now() < end:
            self.game.play(self.tiles.draw(self.batch))
            seen += self.batch
        return seen

    def draw(self, codes: Tensor, seed: int) -> Tensor:
        return _drawn(self.game.draw, self.game.generator.latent, codes, seed, self.place)


def _drawn(
    make: Callable[[Tensor, Tensor], Tensor], latent: int, codes: Tensor, seed: int, place: torch.device
) -> Tensor:
    """What a generator makes of noise and codes, some at a time, on the CPU."""
    noise = torch.randn(len(codes), latent, generator=torch.Generator().manual_seed(seed))
    pairs = zip(noise.split(64), codes.split(64), strict=True)
    return torch.cat([make(n.to(place), c.to(place)).cpu() for n, c in pairs])


SCALED = {"dcgan": 0.5, "transgan": 0.25, "vitgan": 0.25, "stylegan2": 0.125, "fastgan": 0.25}
"""Each rival's published widths scaled to what shows some thousands of tiles in ten CPU minutes."""


def contender(model: str, data: Split, seed: int) -> Contender:
    """``t2t``, a rival at its published widths scaled to the budget (``fastgan``), or ``fastgan=`` at our size."""
    if model == "t2t":
        return T2T(data, seed)
    name = model.removesuffix("=")
    if name != model:
        ours = T2T(data, seed).parameters
        return Against(
            name, width_for(name, data.channels, data.facts.tile[0], size(data.facts.conditions), ours), data, seed
        )
    return Against(name, 1.0 if torch.cuda.is_available() else SCALED[name], data, seed)


MODELS = ("t2t", *RIVALS, *(f"{name}=" for name in RIVALS))


def usual_codes(data: Split, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Condition codes (count, K) as often as they occur in training, and the masks (count, 1, H, W) beside them."""
    rows = np.random.default_rng(seed).integers(len(data.train.pixels), size=count)
    return data.train.conditions[rows], data.train.valid[rows]


def quiet() -> None:
    """One thread, and no question to the network on import."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
