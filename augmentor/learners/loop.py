"""The loop that every kind of training shares: steps, log, checkpoints, going on after a stop, and what went wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from signal import SIGTERM
from typing import Any, Protocol

import torch

from augmentor.adversary.game import GROUP
from augmentor.errors import Interrupted, RunError, TrainingFailed
from augmentor.learners.checkpoints import Checkpoints, best, least, note_best
from augmentor.learners.curves import Curves
from augmentor.learners.health import Complaint, Watch, broken
from augmentor.learners.stopping import Stop, stopping
from augmentor.progress import NO_FIGURES, Advance, note, progress
from augmentor.recipe import Recipe
from augmentor.run import Run
from augmentor.together.team import OthersLackMemory, Team

LOG_EVERY = 500
"""Tiles between lines of the log."""

BACK = 3
"""Times that a run goes back to its last good checkpoint before it is given up."""


class Learner(Protocol):
    """Something that learns a batch at a time."""

    team: Team

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        """Learn from one batch, ``seen`` tiles being behind; returns the act's name and its figures."""

    def start_from(self, run: Run, frozen_stages: int) -> None:
        """Take over the networks of another run, as far as they fit."""

    def examine(self) -> dict[str, float]:
        """What it finds out of itself; ``distance`` is what is least of the best networks."""

    def slow_down(self) -> None:
        """Halve its rates from now on."""

    def publish(self, run: Run) -> None:
        """Write weights and facts that the other verbs can use."""

    def snapshot(self) -> dict[str, Any]:
        """Everything that a resumed learner must find again."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""


def learn(run: Run, recipe: Recipe, learner: Learner) -> None:
    """Step until the recipe's tiles are shown, from where the run's last checkpoint stopped.

    Raises:
        Interrupted: if a signal asked for an end; the run can go on.
        TrainingFailed: if the recipe wants training that went wrong to end.
        RunError: if no checkpoint loads, or memory does not suffice for the smallest part of a batch.
    """
    Course(run, recipe, learner).take()


class Course:
    """The way of one run, from its last checkpoint to its end."""

    def __init__(self, run: Run, recipe: Recipe, learner: Learner) -> None:
        self.run = run
        self.recipe = recipe
        self.learner = learner
        self.checkpoints = Checkpoints(run, recipe.game.keep)
        self.watch = Watch()
        self.seen = 0
        self.back = 0
        # How often the way led back to the same checkpoint, whose rates are those before it did.
        self.again = 0
        self.clocks = Clocks()
        self.curves: Curves | None = None

    @property
    def leads(self) -> bool:
        return self.learner.team.leads

    def take(self) -> None:
        """Go it to the end."""
        total = self.recipe.game.images
        self._take_up()
        self._say("training")
        shown = progress(f"train {self.run.name}", total, self.seen) if self.leads else nullcontext(_unseen)
        with stopping() as stop, shown as advance:
            while self.seen < total:
                try:
                    self._advance(advance)
                    self._heed(stop)
                except (RuntimeError, MemoryError) as error:
                    self._divide(error)
        self._say("finished")
        if self.curves:
            self.curves.close()

    def _advance(self, advance: Advance) -> None:
        """Take a step, and answer what is wrong with it, or go on."""
        act, figures = self.learner.step(self.seen)
        if complaint := broken(figures):
            self._answer(complaint)
            return
        self._go_on(act, figures)
        advance(self.seen, act, figures)

    def _go_on(self, act: str, figures: dict[str, float]) -> None:
        """Count a step, and log, look and keep where it is time to."""
        game, before = self.recipe.game, self.seen
        self.seen = min(game.images, before + game.batch)
        last = self.seen == game.images
        if before // LOG_EVERY != self.seen // LOG_EVERY or last:
            self._log({"act": act, **figures})
        if before // game.checkpoint_every != self.seen // game.checkpoint_every or last:
            self._look()

    def _divide(self, error: BaseException) -> None:
        """Learn each batch in twice as many parts from the last checkpoint on, where it is memory that lacks."""
        if not is_out_of_memory(error):
            raise error
        team, batch = self.learner.team, self.recipe.game.batch
        if not isinstance(error, OthersLackMemory):
            team.withdraw()
        parts = 2 * team.parts
        if batch % (team.size * parts * GROUP):
            self._fail(
                f"memory does not suffice for {batch // (team.size * team.parts)} tiles at once",
                "set game.parts and game.batch, or choose a smaller preset or tile",
            )
        self._restore()
        self.learner.team = team.in_parts(parts)
        if self.leads:
            note(f"memory does not suffice: from {self.seen} tiles on each batch is learned in {parts} parts")

    def _look(self) -> None:
        """Examine the learner, answer what is wrong, and keep what is good."""
        figures = self.learner.examine()
        self._log({"act": "looked", **figures})
        for complaint in self.watch.look(figures):
            if self._answer(complaint):
                return
        doubted = any(getattr(self.recipe.health, kind) == "roll_back" for kind in self.watch.doubts)
        # What may have to be gone back from is nothing to go back to.
        if not doubted or self.seen == self.recipe.game.images:
            self._keep()
        if self.leads and figures["distance"] < least(self.run):
            self.learner.publish(best(self.run))
            note_best(self.run, self.seen, figures["distance"])

    def _answer(self, complaint: Complaint) -> bool:
        """Do what the recipe says; whether the way led back."""
        answer = getattr(self.recipe.health, complaint.kind)
        self._log({"act": answer, "why": complaint.said})
        where = f"after {self.seen} tiles {complaint.said}"
        if answer == "stop" or (answer == "roll_back" and self.back == BACK):
            again = f", after going back {BACK} times" if self.back else ""
            self._fail(f"{where}{again}", "see log.jsonl; lower game.generator_rate, or give more images")
        if answer == "roll_back":
            self.back += 1
            self.again += 1
            self._restore()
        for _ in range({"say": 0, "slow_down": 1, "roll_back": self.again}[answer]):
            self.learner.slow_down()
        done = {
            "say": "",
            "slow_down": "; rates are halved",
            "roll_back": f"; it goes on from the checkpoint of {self.seen} tiles at half the rates",
        }
        if self.leads:
            note(f"{where}{done[answer]}")
        return answer == "roll_back"

    def _heed(self, stop: Stop) -> None:
        if not self.learner.team.any(stop.signal is not None):
            return
        if self.seen < self.recipe.game.images:
            self._keep()
            self._say("stopped")
            raise Interrupted(
                f"stopped after {self.seen} of {self.recipe.game.images} tiles, all of them kept",
                # Another process of the team was told so.
                signal=int(stop.signal or SIGTERM),
                where=self.run.folder,
                do=f"go on with: augmentor train --resume {self.run.name}",
            )

    def _fail(self, found: str, do: str) -> None:
        self._say("failed", found)
        raise TrainingFailed(found, where=self.run.folder, do=do)

    def _keep(self) -> None:
        self.again = 0
        if not self.leads:
            return
        if self.seen:
            self.learner.publish(self.run)
        self.checkpoints.put(self.seen, self._state())
        self._say("training")

    def _state(self) -> dict[str, Any]:
        return {
            "learner": self.learner.snapshot(),
            "parts": self.learner.team.parts,
            "watch": self.watch.state(),
            "back": self.back,
            "clocks": self.clocks.state(),
        }

    def _take_up(self) -> None:
        """From the newest checkpoint; a fresh run gets one of its own, which it can always go back to."""
        clocks = self._restore()
        if clocks is None:
            self._keep()
        else:
            self.clocks = clocks
        if self.leads:
            self.run.forget_after(self.seen)
            self.curves = Curves(self.run, self.seen)
        self.learner.team.wait()

    def _restore(self) -> Clocks | None:
        """Take up the newest checkpoint, if there is one, and tell what its clocks said."""
        state = self.checkpoints.newest()
        if state is None:
            return None
        try:
            self.seen, back = int(state["images"]), int(state["back"])
            self.learner.restore(state["learner"])
            self.watch.restore(state["watch"])
            clocks = Clocks(**state["clocks"])
            self.learner.team = self.learner.team.in_parts(max(self.learner.team.parts, state["parts"]))
        except Exception as error:
            raise RunError(
                f"a checkpoint is none of this recipe ({error})",
                where=self.checkpoints.folder,
                do="train anew",
            ) from error
        self.back = max(self.back, back)
        return clocks

    def _log(self, record: dict[str, Any]) -> None:
        if self.leads:
            line = {"images": self.seen, **record, **self.clocks.state()}
            self.run.log(line)
            if self.curves:
                self.curves.add(line)

    def _say(self, state: str, why: str = "") -> None:
        if self.leads:
            self.run.say(state, self.seen, self.recipe.game.images, why)


def _unseen(done: int, note: str = "", figures: Mapping[str, float] = NO_FIGURES) -> None:
    """What the others of a team show."""


class Clocks:
    """Wall and CPU seconds of a run, over all the times that it went on."""

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        self._began = time.monotonic() - seconds, time.process_time() - cpu_seconds

    def state(self) -> dict[str, float]:
        wall, busy = self._began
        return {"seconds": time.monotonic() - wall, "cpu_seconds": time.process_time() - busy}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch found no memory, on a GPU or a CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
