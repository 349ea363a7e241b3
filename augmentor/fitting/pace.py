"""What a machine can hold, and how fast it learns."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from augmentor.adversary.batch import Batch
from augmentor.holes.column import Column
from augmentor.holes.context import channels
from augmentor.holes.hide import Hider
from augmentor.learners.corrector import NOISE, OVERCAST, WHOLE, Corrector
from augmentor.learners.painter import FIT_EVERY, Painter
from augmentor.networks import device
from augmentor.recipe import Recipe
from augmentor.run import Facts
from augmentor.scaling import Scaling
from augmentor.t2t.presets import PRESETS
from augmentor.together.team import Team
from data_adapters import Template
from data_adapters.room import memory

SECONDS = 1.5
"""That each act of training is timed for, at most; one step is always taken."""

STEPS = 4
"""Steps that an act is timed for: one in so many is penalised."""

LONG = 1_000_000_000
"""Tiles of a schedule with room between its acts."""

VOXEL = 1_400
"""Bytes that a voxel of a batch takes in training at ``tiny``: 1.4 GB for 64³ voxels of 4 tiles (docs/model.md)."""

PART = 0.25
"""Of the memory, what a batch may take."""


class Machine(NamedTuple):
    """Whether there is a GPU, and the bytes of its memory, or else of the machine's."""

    gpu: bool
    memory: int


def machine() -> Machine:
    """What is at hand."""
    if torch.cuda.is_available():
        return Machine(True, int(torch.cuda.get_device_properties(0).total_memory))
    return Machine(False, memory())


def needed(preset: str, voxels: int) -> int:
    """Bytes that a batch of so many voxels is expected to take in training."""
    # What is held of a voxel grows with the width of its tokens.
    return round(VOXEL * voxels * PRESETS[preset].stages[0].width / PRESETS["tiny"].stages[0].width)


def pace(recipe: Recipe, template: Template) -> float:
    """Tiles a second that this machine learns from, by some steps of each act of training on random tiles.

    Reading the data is no part of it, and conditions are left out.
    """
    count = len(template.channels)
    fill = recipe.task == "fill"
    facts = Facts(
        channels=count,
        context=channels(count) + NOISE if fill else 0,
        tile=recipe.tiles.size,
        model=recipe.model.model_dump(),
        conditions=(),
        combinations=(),
        scaling=Scaling((-1.0,) * count, (1.0,) * count),
        template=template,
    )
    seconds = (_filling if fill else _painting)(recipe, facts)
    return recipe.game.batch / seconds


def _noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Smooth noise in [-1, 1], the same at every call."""
    random = np.random.default_rng(0).standard_normal(shape)
    smooth = ndimage.gaussian_filter(random, (0, 0, *[2] * (len(shape) - 2)))
    return np.asarray(smooth / np.abs(smooth).max(), dtype=np.float32)


def _painting(recipe: Recipe, facts: Facts) -> float:
    """Seconds of a mean step of the game's three acts."""
    batch = recipe.game.batch
    tiles = Batch(
        torch.from_numpy(_noise(batch, facts.channels, *facts.tile)),
        torch.ones(batch, 1, *facts.tile),
        torch.zeros(batch, 0),
    )
    game = recipe.game.model_copy(update={"images": LONG})
    team = Team(place=device(game.device))
    painter = Painter(recipe.model_copy(update={"game": game}), facts, tiles, team=team)
    alone = game.warm_start + game.judge_alone
    acts = {game.warm_start / 2: game.warm_start, (game.warm_start + alone) / 2: game.judge_alone,
            (alone + 1) / 2: 1 - alone}  # fmt: skip
    total = 0.0
    for middle, part in acts.items():
        # In the midst of an act, and of the tiles between two fits of the prior.
        at = round(middle * LONG / FIT_EVERY) * FIT_EVERY
        total += part * _timed(partial(painter.step, at))
    return total


def _filling(recipe: Recipe, facts: Facts) -> float:
    """Seconds of a step of the corrector."""
    depth, volume = 8, facts.template.kind == "volume"
    values = _noise(facts.channels, depth, *facts.tile)
    column = Column.of(values, np.ones(values.shape[1:], dtype=bool), [float(index) for index in range(depth)])
    hider = Hider([column], volume=volume, seed=0, whole=WHOLE if volume else 0.0, overcast=OVERCAST)
    team = Team(place=device(recipe.game.device))
    corrector = Corrector(recipe.game, facts, hider, hider.draw(1), team)
    return _timed(lambda: corrector.step(0))


def _timed(step: Callable[[], object]) -> float:
    """Seconds of a step, once it was taken before."""
    step()
    start, taken = time.perf_counter(), 0
    while True:
        step()
        taken, spent = taken + 1, time.perf_counter() - start
        if taken == STEPS or spent > SECONDS:
            return spent / taken
