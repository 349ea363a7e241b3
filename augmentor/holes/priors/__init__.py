"""Classical answers to a hole."""

from augmentor.holes.kinds import Mask
from augmentor.holes.priors.along import (
    FEWEST,
    YEAR,
    Neighbours,
    alike,
    between,
    cubic,
    linear,
    mean,
    median,
    nearest,
    neighbours,
    seasonal,
)
from augmentor.holes.priors.flow import flowing
from augmentor.holes.priors.inside import completed, harmonic
from augmentor.holes.priors.kinds import Prior, Values
from augmentor.holes.priors.kriging import kriging
from augmentor.holes.priors.named import ALONG, FLOWING, KRIGED, SUITED, along, halfway
from augmentor.holes.priors.radiometry import matched, surroundings
from augmentor.holes.priors.variogram import Variogram, expected_error

__all__ = [
    "ALONG",
    "FEWEST",
    "FLOWING",
    "KRIGED",
    "SUITED",
    "YEAR",
    "Mask",
    "Neighbours",
    "Prior",
    "Values",
    "Variogram",
    "alike",
    "along",
    "between",
    "completed",
    "cubic",
    "expected_error",
    "flowing",
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
