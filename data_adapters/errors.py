"""What can go wrong with a file, said so that a user can act: what was found, where, what to do."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """An error that is the input's and not the program's. Its text is one line."""

    def __init__(self, found: str, *, where: str | Path | None = None, do: str = "") -> None:
        self.found = found
        self.where = str(where) if where is not None else ""
        self.do = do
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {do}" if do else ""
        super().__init__(" ".join(f"{place}{found}{remedy}".split()))


class DataError(UserError):
    """Something about the user's data."""


class NothingFound(DataError):
    """No image in any known format lies at the path."""


class NotThisFormat(DataError):
    """The name says one format, the content another or none."""


class BrokenFile(DataError):
    """The file is of a known format but cannot be read: truncated, corrupt, or not decodable."""


class NoPixels(DataError):
    """The file is of a known format but holds no image: ``what`` it is (a structured report, a plan, a waveform)."""

    def __init__(self, what: str, *, where: str | Path | None = None) -> None:
        self.what = what
        super().__init__(f"holds no image ({what})", where=where, do="give the images it belongs to")


class BurnedInText(DataError):
    """The image says that identifying text is burned into its pixels."""


class GeometryError(DataError):
    """The slices of a series do not form a regular, upright volume."""


class DuplicatePositions(GeometryError):
    """Two slices of one series lie at the same place."""


class TiltedSeries(GeometryError):
    """The slices are sheared against their normal (gantry tilt): a regular row of slots, and no upright volume."""


class IrregularSpacing(GeometryError):
    """The slices lie on no regular row: their distances are not multiples of one spacing, or they leave its line."""


class GridMismatch(DataError):
    """Two files that should lie on one grid do not."""


class OverlappingSegments(DataError):
    """A pixel of a segmentation belongs to two segments, where one label is wanted."""


class Unwritable(DataError):
    """The result cannot be written in the format that was asked for."""


class NotDelivered(DataError):
    """A server did not take what was written; the files themselves are whole."""
