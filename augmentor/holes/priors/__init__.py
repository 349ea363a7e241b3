"""Classical answers to a hole."""

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.along import (
    FEWEST,
    YEAR,
    Neighbours,
    between,
    cubic,
    linear,
    mean,
    median,
    nearest,
    neighbours,
    seasonal,
)
from augmentor.holes.priors.inside import completed, harmonic
from augmentor.holes.priors.kinds import Prior, Values
from augmentor.holes.priors.kriging import halfway, kriging
from augmentor.holes.priors.named import ALONG, KRIGED, SUITED, along
from augmentor.holes.priors.radiometry import matched, surroundings
from augmentor.holes.priors.variogram import Variogram, expected_error

__all__ = [
    "ALONG",
    "FEWEST",
    "KRIGED",
    "SUITED",
    "YEAR",
    "Mask",
    "Neighbours",
    "Prior",
    "Values",
    "Variogram",
    "along",
    "between",
    "completed",
    "cubic",
    "expected_error",
    "halfway",
    "harmonic",
    "kriging",
    "linear",
    "matched",
    "mean",
    "median",
    "nearest",
    "neighbours",
    "seasonal",
    "surroundings",
]
