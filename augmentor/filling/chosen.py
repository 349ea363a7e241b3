"""What fills a scene: the answer that comes closest on what the scene itself shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from augmentor.filling.adapt import adapt, by_run
from augmentor.filling.answer import Answer
from augmentor.filling.at_ends import REPEATED, AtEnds
from augmentor.filling.rehearsal import TILE, Rehearsal
from augmentor.filling.view import View
from augmentor.holes.judge import Judged
from augmentor.holes.priors import FLOWING
from augmentor.run import Run

CLASSICAL = {
    "volume": "{} interpolation between slices",
    "stack": "{} interpolation between dates, matched to the scene",
    "raster": "harmonic inpainting",
    "image": "harmonic inpainting",
}
"""What a prior is called, by the kind of scene."""

CLEARLY = 0.5
"""Of a prior's squared errors, those with the optical flow are to be fewer, for a network to learn over it. What less
it tells a network finds by itself, and better than in what the flow leaves."""

NEVER_ACQUIRED = "{} interpolation between dates"
"""What it is called of a date that has nothing of its own to be matched to."""


class Choice(NamedTuple):
    """What fills a scene, what that is called, and how it did on hidden parts, where any could be hidden.

    ``at_ends`` fills what lies at the ends of a volume, if anything does.
    """

    answer: Answer
    method: str
    judged: Judged | None
    at_ends: AtEnds | None = None


def choose(view: View, run: Run | None, adapting: bool, tiles: int | None, reason: str) -> Choice:
    """The answer that comes closest on the scene's own hidden parts: a network's over a prior, or a prior's alone.

    At the ends of a volume, where others lie on one side alone, no network has learned what to add, and the nearest
    slice is repeated. ``reason`` is said where no network is asked.
    """
    rehearsal = Rehearsal(view, run.facts.tile if run else TILE, learning=adapting)
    ends = sum(count for step, count in view.depths.steps.items() if step) if view.volume else 0
    if not ends:
        return _between(rehearsal, run, adapting, tiles, reason)
    at_ends = AtEnds.rehearsed(rehearsal)
    if not view.depths.steps[0]:
        answer = next(iter(at_ends.answers.values()), Answer("nearest"))
        return Choice(answer, REPEATED, None, at_ends)
    between = _between(rehearsal, run, adapting, tiles, reason)
    return between._replace(method=f"{between.method}, and by {REPEATED} at the ends", at_ends=at_ends)


def _between(rehearsal: Rehearsal, run: Run | None, adapting: bool, tiles: int | None, reason: str) -> Choice:
    """The best answer between others."""
    view = rehearsal.view
    if not rehearsal.possible:
        if run is None:
            return Choice(Answer("linear"), f"{_called(view, 'linear')} (too little is observed to learn from)", None)
        return Choice(replace(by_run(run, view), gain=run.facts.gain), f"T2T-GAN {run.name}", None)
    plain = rehearsal.best_prior()
    flow = rehearsal.flow_errs(plain)
    best, learned_over = (FLOWING[plain] if flow < most else plain for most in (1.0, CLEARLY))
    trial = rehearsal.judged_by(best)
    alone, least = Answer(best).judged(trial)
    classical = Choice(alone, f"{_called(view, best)} ({reason})", least)
    if rehearsal.blind and (adapting or run is not None):
        return classical._replace(method=f"{_called(view, best)} (no slice can be hidden as the missing ones are)")
    learned = adapting and rehearsal.teaches
    if learned:
        network = adapt(rehearsal, learned_over, start=run, tiles=tiles)
    elif run is not None:
        network = by_run(run, view)
    elif adapting:
        return classical._replace(method=f"{_called(view, best)} (too little is observed to learn from)")
    else:
        return classical
    answer, judged = network.judged(trial if network.prior == best else rehearsal.judged_by(network.prior))
    who = f"T2T-GAN {run.name}" if run else "T2T-GAN"
    who += ", learned on the scene itself" if learned else ""
    if judged.error >= least.error:
        return classical._replace(method=f"{_called(view, best)} ({who} did not beat it here)")
    better = 10 * np.log10(least.error / judged.error)
    than = "it" if network.prior == best else _called(view, best)
    return Choice(
        answer,
        f"{who}, over {_called(view, network.prior)} (on hidden observed parts {better:+.2f} dB over {than})",
        judged,
    )


def _called(view: View, prior: str) -> str:
    return (CLASSICAL[view.scene.kind] if view.lost == "parts" else NEVER_ACQUIRED).format(prior)


def expected(choice: Choice, view: View) -> str:
    """How wrong a rebuilt pixel is to be expected to be, in the scene's own units."""
    said = [_size(choice.judged.errors, view)] if choice.judged else []
    if choice.at_ends and choice.at_ends.errors:
        at_least = "at least " if choice.at_ends.beyond else ""
        said.append(f"{'at the ends ' if said else ''}{at_least}{_size(choice.at_ends.errors, view)}")
    if not said:
        return "unknown: nothing that is observed can be hidden like it"
    return f"{', '.join(said)} (root mean square, by hiding observed pixels)"


def _size(errors: Sequence[float], view: View) -> str:
    """The root of mean squared errors, in the scene's own units."""
    error = view.scaling.extent(np.sqrt(errors)[:, None, None])[:, 0, 0]
    unit = view.scene.channels[0].unit
    spread = f"{error.mean():.3g}" if len(error) == 1 else f"{error.min():.3g} to {error.max():.3g} by channel"
    return f"{spread}{' ' + unit if unit else ''}"
