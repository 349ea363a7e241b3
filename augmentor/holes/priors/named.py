"""The priors that look along the slice axis, by name."""

from __future__ import annotations

from functools import partial

from augmentor.holes.priors.along import cubic, linear, mean, median, nearest, seasonal
from augmentor.holes.priors.kinds import Prior
from augmentor.holes.priors.kriging import halfway
from augmentor.holes.priors.variogram import Variogram

KRIGED: dict[str, Prior] = {"linear and kriging": linear, "cubic and kriging": cubic}
"""Those that go half way to what the differences of slices ask for, and from where."""

ALONG: dict[str, Prior] = {
    "linear": linear,
    "cubic": cubic,
    **{name: partial(halfway, classical) for name, classical in KRIGED.items()},
    "nearest": nearest,
    "mean": mean,
    "median": median,
    "seasonal": seasonal,
}
"""Priors that look along the slice axis."""

SUITED: dict[str, tuple[str, ...]] = {
    "volume": ("linear", "cubic", *KRIGED),
    "stack": ("linear", "median", "seasonal"),
    "raster": ("linear",),
    "image": ("linear",),
}
"""Those that may be best, by the kind of scene. Of one date alone all say nothing, and its own rim answers."""


def along(name: str, variogram: Variogram | None) -> Prior:
    """A prior by its name, of slices that differ as the ``variogram`` says."""
    return partial(halfway, KRIGED[name], variogram=variogram) if name in KRIGED else ALONG[name]
