"""The priors that look along the slice axis, by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.along import cubic, linear, mean, median, nearest, seasonal
from augmentor.holes.priors.flow import flowing
from augmentor.holes.priors.kinds import Prior, Values
from augmentor.holes.priors.kriging import kriging
from augmentor.holes.priors.variogram import Variogram


def halfway(
    classical: Prior, other: Prior, values: Values, known: Mask, positions: Sequence[float], index: int
) -> tuple[Values, Mask]:
    """Half way from a ``classical`` answer to another, where that says anything.

    A variogram is had from few slices, which need not differ alike everywhere, and a flow may go astray; half way, what
    is wrong with either costs a quarter.
    """
    answer, said = classical(values, known, positions, index)
    found, told = other(values, known, positions, index)
    return np.where(told, (answer + found) / 2, answer), said


KRIGED: dict[str, Prior] = {"linear and kriging": linear, "cubic and kriging": cubic}
"""Those that go half way to what the differences of slices ask for, and from where."""

FLOWING = {name: f"{name} and flow" for name in ("linear", "cubic", *KRIGED)}
"""Of each of these, what goes half way from it to what lies along the optical flow."""

ALONG: dict[str, Prior] = {
    "linear": linear,
    "cubic": cubic,
    **{name: partial(halfway, classical, kriging) for name, classical in KRIGED.items()},
    "nearest": nearest,
    "mean": mean,
    "median": median,
    "seasonal": seasonal,
}
"""Priors that look along the slice axis."""

ALONG |= {name: partial(halfway, ALONG[classical], flowing) for classical, name in FLOWING.items()}

SUITED: dict[str, tuple[str, ...]] = {
    "volume": ("linear", "cubic", *KRIGED),
    "stack": ("linear", "median", "seasonal"),
    "raster": ("linear",),
    "image": ("linear",),
}
"""Those that may be best, by the kind of scene. Of one date alone all say nothing, and its own rim answers."""


def along(name: str, variogram: Variogram | None) -> Prior:
    """A prior by its name, of slices that differ as the ``variogram`` says."""
    classical = next((classical for classical, flows in FLOWING.items() if flows == name), name)
    kriged = partial(kriging, variogram=variogram)
    found = partial(halfway, KRIGED[classical], kriged) if classical in KRIGED else ALONG[classical]
    return found if classical == name else partial(halfway, found, flowing)
