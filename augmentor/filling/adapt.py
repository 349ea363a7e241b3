"""Learning on the very file that is filled: from what it shows, hidden in turn, until that no longer helps."""

from __future__ import annotations

from augmentor.adversary.ema import averaged_copy
from augmentor.filling.answer import Answer, over_planes
from augmentor.filling.rehearsal import Rehearsal
from augmentor.filling.view import View
from augmentor.holes.context import channels
from augmentor.learners.corrector import NOISE, Corrector
from augmentor.networks import device, load_generator
from augmentor.progress import progress
from augmentor.recipe import Game, Model
from augmentor.run import Facts, Run
from augmentor.together.team import Team

TILES = 24_000
"""Hidden parts that are learned from, at most. After 40,000 a stack of 30 dates was no nearer."""

TILES_OF_VOLUME = 40_000
"""The same of a volume, which has its rows and columns to learn from, too: 0.1 dB nearer than after 24,000."""

CHECK = 4_000
"""Hidden parts between looks at what is kept aside."""

PATIENCE = 3
"""Looks without a gain, after which learning stops."""


def adapt(rehearsal: Rehearsal, prior: str, *, start: Run | None, tiles: int | None = None) -> Answer:
    """An answer whose network has learned on the scene itself, from ``start`` where one is given.

    It stops before ``tiles`` hidden parts (unless given, ``TILES``, or ``TILES_OF_VOLUME``) when those kept aside are
    filled no better, and gives the best it was.

    Raises:
        RunError: if ``start`` does not fit.
    """
    view = rehearsal.view
    tiles = tiles or (TILES_OF_VOLUME if view.volume else TILES)
    scene = view.scene
    facts = Facts(
        channels=scene.shape[0],
        context=channels(scene.shape[0], sum(other.channels for other in view.beside)) + NOISE,
        tile=rehearsal.tile,
        model=start.facts.model if start else Model().model_dump(),
        conditions=(),
        combinations=(),
        scaling=view.scaling,
        template=scene.template(),
    )
    schedule = Game(images=tiles)
    learner = Corrector(
        schedule,
        facts,
        rehearsal.lessons(prior),
        rehearsal.watched(prior),
        Team(place=device("auto")),
    )
    if start is not None:
        learner.start_from(start, 0)
    best, least, waited = averaged_copy(learner.average).cpu(), learner.judge().error, 0
    with progress(f"learn on {scene.name}", tiles) as advance:
        for seen in range(0, tiles, schedule.batch):
            learner.step(seen)
            done = min(tiles, seen + schedule.batch)
            if seen // CHECK != done // CHECK or done == tiles:
                error = learner.judge().error
                waited = 0 if error < least else waited + 1
                if error < least:
                    best, least = averaged_copy(learner.average).cpu(), error
                if waited == PATIENCE:
                    break
            advance(done, "")
    return Answer(prior, over_planes(best, facts, mirrored=view.volume))


def by_run(run: Run, view: View) -> Answer:
    """The answer of a trained run to a view.

    Raises:
        RunError: if its weights do not load.
    """
    return Answer(run.facts.prior, over_planes(load_generator(run), run.facts, mirrored=view.volume))
