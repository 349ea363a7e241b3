"""What is put into a hole: the prior, corrected by a network as far as that has proved to help, and its doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from augmentor.filling.doubt import Doubt
from augmentor.filling.trial import Trial
from augmentor.holes.context import Context
from augmentor.holes.hide import Hidden
from augmentor.holes.judge import Judged, careful_gain, errors, judge, least_gain
from augmentor.learners.corrector import NOISE, correct
from augmentor.networks import quickly
from augmentor.run import Facts
from augmentor.t2t.generator import Generator

FEATHER = 3.0
"""Pixels from the rim of a hole over which a correction sets in: a prior meets the rim, a correction need not."""

MIRRORS = ((), (2,), (3,), (2, 3))
"""Axes of a plane along which it is mirrored: as it is, upside down, left to right, and both."""

USUAL = 0.999
"""Part of the corrections to hidden parts that are as small as the largest one that is followed whole."""

OVERLAP = 0.25
"""Of neighbouring tiles that a plane is corrected by."""

Correct = Callable[[NDArray[np.float32], "torch.Tensor | None"], NDArray[np.float32]]
"""What is told (B, K, h, w), and noise (B, NOISE, h, w) or none -> corrections to the prior (B, C, h, w), in [-1, 1]
units."""


def over_planes(generator: Generator, facts: Facts, *, mirrored: bool = False) -> Correct:
    """A network's correction over planes of any size, seamless; the best guess is the mean of four where ``mirrored``.

    Nothing is corrected where a tile shows no hole. Source of the four: Timofte et al. 2016, "Seven ways to improve
    example-based single image super resolution", section 3.6.
    """
    from monai.inferers.utils import sliding_window_inference

    def tiles(every: torch.Tensor) -> torch.Tensor:
        holed = (every[:, facts.channels] == 0).flatten(1).any(dim=1)
        made = every.new_zeros(len(every), facts.channels, *every.shape[2:])
        if holed.any():
            made[holed] = correct(generator, every[holed, :-NOISE], every[holed, -NOISE:]).float()
        return made

    def once(told: NDArray[np.float32], noise: torch.Tensor) -> NDArray[np.float32]:
        every = torch.cat([torch.from_numpy(told), noise], dim=1)
        with torch.inference_mode():
            how: Any = {"mode": "gaussian", "padding_mode": "replicate"}
            return np.asarray(sliding_window_inference(every, facts.tile, 16, tiles, OVERLAP, **how))

    def apply(told: NDArray[np.float32], noise: torch.Tensor | None) -> NDArray[np.float32]:
        if noise is not None:
            # What samples differ by need not be exact, and most of the time goes into them.
            with quickly(next(generator.parameters()).device):
                return once(told, noise)
        none = torch.zeros(len(told), NOISE, *told.shape[2:])
        turned = [(axes, once(np.flip(told, axes).copy(), none)) for axes in (MIRRORS if mirrored else MIRRORS[:1])]
        return np.asarray(np.mean([np.flip(made, axes) for axes, made in turned], axis=0))

    return apply


def feathered(told: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """How far to follow a correction (h, w) to an image of so many channels: all the way, but near the rim of a hole;
    all of a slice that has none."""
    clear = told[channels] > 0
    if not clear.any():
        return np.ones(clear.shape, np.float32)
    return np.minimum(distance_transform_edt(~clear) / FEATHER, 1).astype(np.float32)


def tamed(correction: NDArray[np.float32], most: Sequence[float]) -> NDArray[np.float32]:
    """A correction (..., C, h, w), taken back where it is larger than ``most`` (C,): the more, the farther beyond.

    A network may be lost where it is told of what no hidden part showed, as a cloud's shadow that no mask knows.
    Source: the redescending influence of robust statistics (Hampel et al. 1986, section 2.6), of power 2.
    """
    beyond = np.abs(correction) / np.maximum(np.asarray(most, np.float32)[:, None, None], 1e-12)
    return np.asarray(correction / np.maximum(beyond, 1) ** 2)


def _set_in(told: NDArray[np.float32], made: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a network made (B, C, h, w) of what it is told (B, K, h, w), setting in over the rims of the holes."""
    far = np.stack([feathered(one, made.shape[1]) for one in told])
    return np.asarray(far[:, None] * made)


class Rebuilt(NamedTuple):
    """A slice rebuilt (C, h, w), in [-1, 1] units; and the best guess, with half of the interval round it that holds
    nine in ten truths."""

    values: NDArray[np.float32]
    guess: NDArray[np.float32]
    half: NDArray[np.float32]


@dataclass(frozen=True)
class Answer:
    """``prior`` is one of ``holes.priors.ALONG``; ``gain``, a number a channel, says how far to follow ``network``, and
    ``most``, if anything, the largest correction, before that, that is no larger than usual.

    ``sharp`` gives one sample in place of the best guess. Without ``doubt``, the interval is empty.
    """

    prior: str
    network: Correct | None = None
    gain: tuple[float, ...] = ()
    most: tuple[float, ...] = ()
    doubt: Doubt | None = None
    sharp: bool = False

    def judged(self, trial: Trial) -> tuple[Answer, Judged]:
        """The same, with gain, most and doubt by what it makes of hidden parts of known truth, and how it did there."""
        guesses = [self._guess(hidden) for hidden in trial.parts]
        corrections = [_set_in(hidden.told, guess) for hidden, guess in zip(trial.parts, guesses, strict=True)]
        most: tuple[float, ...] = ()
        if trial.unlike:
            inside = np.moveaxis(np.abs(corrections[0]), 1, -1)[trial.own.hole[:, 0]]
            most = tuple(np.quantile(inside, USUAL, axis=0).tolist())
            corrections = [tamed(correction, most) for correction in corrections]
        gain = self._judged_gain(trial, np.concatenate(corrections[:2]), most)
        chosen = replace(self, gain=gain, most=most)
        followed = [chosen._gain * correction for correction in corrections]
        left = trial.expected([errors(hidden, c) for hidden, c in zip(trial.parts, followed, strict=True)])
        prior = trial.expected([errors(hidden) for hidden in trial.parts])
        judged = Judged(gain, float(prior.mean()), float(left.mean()), tuple(left.tolist()))
        seen = [
            (hidden.truth - hidden.prior - c, chosen._signs(hidden.told, guess), hidden.hole)
            for hidden, guess, c in zip(trial.parts, guesses, followed, strict=True)
        ]
        doubt = Doubt.calibrated(*seen[0])
        if trial.rows:
            # What holes of rows need for each half that hidden rows would have; background, where both are small,
            # does not make up for what shows.
            (error, signs, hole), as_hidden = seen[1:]
            doubt = doubt.then(Doubt.calibrated(error, Doubt.calibrated(*as_hidden).half(signs)[None], hole))
        return replace(chosen, doubt=doubt), judged

    def _judged_gain(self, trial: Trial, alike: NDArray[np.float32], most: tuple[float, ...]) -> tuple[float, ...]:
        """How far to follow the network, by its corrections to what is ``alike`` the holes, and to what is unseen."""
        if trial.by_date:
            return least_gain(alike, trial.alike)
        if trial.unseen is None:
            return judge(alike, trial.alike).gain
        corrections = _set_in(trial.unseen.told, self._guess(trial.unseen))
        unseen = judge(tamed(corrections, most), trial.unseen).gain
        return tuple(map(min, careful_gain(alike, trial.alike), unseen))

    def _guess(self, hidden: Hidden) -> NDArray[np.float32]:
        """The network's best guess (B, C, h, w) of hidden parts, as it is."""
        return np.zeros_like(hidden.prior) if self.network is None else self.network(hidden.told, None)

    def __call__(self, context: Context) -> Rebuilt:
        """The slice that ``context`` tells of."""
        told, guess = context.told[None], np.zeros((1, *context.prior.shape), np.float32)
        best = values = context.prior
        if network := self.followed:
            guess = network(told, None)
            best = values = self._corrected(context, guess)
            if self.sharp:
                values = self._corrected(context, network(told, self._noise(told)))
        half = np.zeros_like(values)
        if self.doubt is not None:
            half = self.doubt.half(self._signs(told, guess)[:, 0])
        return Rebuilt(values, best, half)

    def _corrected(self, context: Context, made: NDArray[np.float32]) -> NDArray[np.float32]:
        """The prior (C, h, w) with what the network ``made`` of it (1, C, h, w), as far as that is followed."""
        correction = _set_in(context.told[None], made)[0]
        return np.asarray(context.prior + self._gain * (tamed(correction, self.most) if self.most else correction))

    @property
    def followed(self) -> Correct | None:
        """The network, if it is followed at all."""
        return self.network if any(self.gain) else None

    @property
    def _gain(self) -> NDArray[np.float32]:
        return np.array(self.gain, np.float32)[:, None, None]

    def _signs(self, told: NDArray[np.float32], guess: NDArray[np.float32]) -> NDArray[np.float32]:
        """What grows with the error, pixel by pixel (K, B, C, h, w): how far the neighbours lie apart; and of a network
        that is followed, how much its best guess (B, C, h, w) changes, and how far a sample lies from that.

        Nothing is tamed: where the network is lost, they say so.
        """
        channels = guess.shape[1]
        views = np.split(told[:, channels + 1 : 5 * channels + 1], 4, axis=1)
        # Where one side alone is known, what lies there is the answer, and the next one behind it.
        signs = [np.ptp(views, axis=0) if self.prior == "nearest" else np.abs(views[1] - views[0]) / 2]
        if network := self.followed:
            sample = network(told, self._noise(told))
            signs += [np.abs(self._gain * guess), np.abs(self._gain * (sample - guess))]
        return np.stack(signs)

    def _noise(self, told: NDArray[np.float32]) -> torch.Tensor:
        """The same for every part."""
        noise = torch.randn(1, NOISE, *told.shape[2:], generator=torch.Generator().manual_seed(0))
        return noise.expand(len(told), -1, -1, -1)
