"""What can go wrong for a user of the verbs. The errors of files are in ``data_adapters.errors``."""

from __future__ import annotations

from pathlib import Path

from data_adapters.errors import DataError, UserError

__all__ = [
    "ClusterError",
    "DataError",
    "DeviceMissing",
    "ExtractorError",
    "Extrapolation",
    "FolderInUse",
    "Interrupted",
    "LabelError",
    "NoRun",
    "NothingToFill",
    "OutputInTheWay",
    "RecipeError",
    "RunError",
    "TooLittleContext",
    "TooLittleData",
    "TrainingFailed",
    "UnclearMask",
    "UserError",
    "WrongCondition",
    "WrongSpacing",
]


class RecipeError(UserError):
    """The recipe says something that it may not, or a value that makes no sense."""


class LabelError(UserError):
    """The label file is absent, lacks a column, or misses images."""


class TooLittleData(UserError):
    """Fewer images or groups than training and a held-out part need."""


class TrainingFailed(UserError):
    """Training went wrong in a way that the recipe wants it to end for."""


class Interrupted(UserError):
    """Somebody asked for an end. ``signal`` is the number of the signal that did."""

    def __init__(self, found: str, *, signal: int, where: str | Path | None = None, do: str = "") -> None:
        self.signal = signal
        super().__init__(found, where=where, do=do)


class ClusterError(UserError):
    """A scheduler that is not there, or workers that are lost."""


class FolderInUse(UserError):
    """Another process works in the folder."""


class NoRun(UserError):
    """No finished or resumable run where one was expected."""


class RunError(UserError):
    """A run's folder is incomplete or of another kind than the verb needs."""


class WrongCondition(UserError):
    """A condition or value that the run does not know."""


class OutputInTheWay(UserError):
    """The output exists, and was not made by the same command."""


class NothingToFill(UserError):
    """No hole was found, or nothing but holes."""


class UnclearMask(UserError):
    """A mask whose values nobody said the meaning of, or not such as it was said."""


class TooLittleContext(UserError):
    """A hole with nothing observed around it."""


class Extrapolation(UserError):
    """Slices to be rebuilt that lie beyond the last one that is known."""


class WrongSpacing(UserError):
    """A spacing that is not the present one, divided by a whole number."""


class ExtractorError(UserError):
    """A file that was to give features of images, and does not."""


class DeviceMissing(UserError):
    """The recipe asks for a device that this machine lacks."""
