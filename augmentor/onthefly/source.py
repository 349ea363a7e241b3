"""A run that samples are drawn from, in a training script's own process or in a worker of its loader."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from augmentor.errors import WrongCondition
from augmentor.networks import load_generator
from augmentor.run import Run
from augmentor.sampling import BLOCK, Maps, Sample, check_conditions, samples
from augmentor.t2t.conditioning import ClassCondition
from augmentor.t2t.generator import Generator


class Source:
    """Blocks of a run's samples, under ``condition`` where there is one. Weights are read once a process.

    The run is found as verbs find it: by name below ``runs``, by folder, or the latest when none is named. It is found
    once, and workers draw from the same one, though another is trained meanwhile.

    Raises:
        UserError: if there is no such run, it was trained to fill, or it does not know a condition.
    """

    def __init__(
        self,
        run: str | Path | None = None,
        *,
        condition: Mapping[str, str] | None = None,
        guidance: float = 1.0,
        runs: str | Path = "runs",
    ) -> None:
        self.run = Run.find(run, Path(runs))
        self.run.check_draws()
        self.facts = self.run.facts
        self.asked = dict(check_conditions(self.facts, condition or {}))
        self.guidance = guidance

    @cached_property
    def generator(self) -> Generator:
        """The trained generator, on the CPU."""
        return load_generator(self.run)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "generator"}

    def block(
        self, number: int, seed: int, asked: Mapping[str, str] | None = None, maps: Maps = ()
    ) -> tuple[Sample, ...]:
        """Samples ``BLOCK * number`` and the following of a seed, as many as are drawn together."""
        every = samples(
            self.generator,
            self.facts,
            BLOCK * number,
            seed,
            self.asked if asked is None else asked,
            guidance=self.guidance,
            maps=maps,
        )
        return tuple(islice(every, BLOCK))

    def labelled_by(self, name: str | None = None) -> ClassCondition | None:
        """The condition whose classes label samples: the one named, else the only one; None where there is none.

        Raises:
            WrongCondition: if the run has none of that name, or several and none is named.
        """
        known = {said.name: said for said in self.facts.conditions if isinstance(said, ClassCondition)}
        listed = ", ".join(known) or "none"
        if name is None and len(known) > 1:
            raise WrongCondition(f"several conditions have classes: {listed}", do="name one: labelled_by='...'")
        if name is not None and name not in known:
            raise WrongCondition(
                f"no condition {name!r} with classes", do=f"this run's conditions with classes: {listed}"
            )
        return next(iter(known.values()), None) if name is None else known[name]
