"""The loop that every kind of training shares: steps, log, checkpoints, and going on after a stop."""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch

from augmentor.errors import RunError
from augmentor.progress import progress
from augmentor.recipe import Game as Schedule
from augmentor.run import Run
from data_adapters.atomic import replacing

LOG_EVERY = 500
"""Tiles between lines of the log."""


class Learner(Protocol):
    """Something that learns a batch at a time."""

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        """Learn from one batch, ``seen`` tiles being behind; returns the act's name and its figures."""

    def start_from(self, run: Run, frozen_stages: int) -> None:
        """Take over the networks of another run, as far as they fit."""

    def publish(self, run: Run) -> None:
        """Write weights and facts that the other verbs can use."""

    def snapshot(self) -> dict[str, Any]:
        """Everything that a resumed learner must find again."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""


def learn(run: Run, schedule: Schedule, learner: Learner) -> None:
    """Step until the schedule's tiles are shown, from where the run's last checkpoint stopped.

    Raises:
        RunError: if that checkpoint does not load.
    """
    seen, total = _take_up(run, learner), schedule.images
    began, busy = time.monotonic(), time.process_time()
    with progress(f"train {run.name}", total, seen) as advance:
        while seen < total:
            act, figures = learner.step(seen)
            before, seen = seen, min(total, seen + schedule.batch)
            if before // LOG_EVERY != seen // LOG_EVERY or seen == total:
                clocks = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - busy}
                run.log({"images": seen, "act": act, **figures, **clocks})
            if before // schedule.checkpoint_every != seen // schedule.checkpoint_every or seen == total:
                learner.publish(run)
                _put_down(run, learner, seen)
            advance(seen, act)


def _put_down(run: Run, learner: Learner, seen: int) -> None:
    with replacing(run.folder / "resume.pt") as temporary:
        torch.save({"images": seen, "learner": learner.snapshot()}, temporary)


def _take_up(run: Run, learner: Learner) -> int:
    """Tiles shown up to the last checkpoint; 0 for a fresh run."""
    path = run.folder / "resume.pt"
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        learner.restore(state["learner"])
        return int(state["images"])
    except Exception as error:
        raise RunError(f"checkpoint does not load ({error})", where=path, do="train anew") from error
