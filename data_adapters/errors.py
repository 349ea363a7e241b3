"""What can go wrong with a file, said so that a user can act: what was found, where, what to do."""

from __future__ import annotations

import errno
import unicodedata
from pathlib import Path
from typing import Any


def printable(text: str) -> str:
    """Text with everything that a terminal would obey, or could not show, told by its code: names come from files."""
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """An error that is the input's and not the program's. Its text is one line."""

    def __init__(self, found: str, *, where: str | Path | None = None, do: str = "") -> None:
        self.found = found
        self.where = str(where) if where is not None else ""
        self.do = do
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {do}" if do else ""
        super().__init__(printable(" ".join(f"{place}{found}{remedy}".split())))

    def __reduce__(self) -> tuple[Any, ...]:
        # From a worker's process to the one that tells the user, whatever arguments a kind of error takes.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[UserError], text: tuple[str, ...], held: dict[str, Any]) -> UserError:
    """An error of a ``kind`` that came from elsewhere."""
    error = kind.__new__(kind)
    error.args = text
    error.__dict__.update(held)
    return error


class DataError(UserError):
    """Something about the user's data."""


class NothingFound(DataError):
    """No image in any known format lies at the path."""


class NotThisFormat(DataError):
    """The name says one format, the content another or none."""


class BrokenFile(DataError):
    """The file is of a known format but cannot be read: truncated, corrupt, or not decodable."""


class TooLarge(DataError):
    """The file asks for more memory, or holds more slices or bands, than can be dealt with at once."""


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


class SystemRefused(UserError):
    """The operating system does not let a file be read or written: no space, no permission, no such place."""

    @classmethod
    def of(cls, error: OSError, where: str | Path | None = None) -> SystemRefused:
        """What the system said, of the file that it said it of, or ``where``; and what helps."""
        named = where or error.filename
        said = error.strerror or str(error)
        return cls(said[:1].lower() + said[1:], where=named, do=REMEDIES.get(error.errno or 0, "check the place"))


REMEDIES = {
    errno.ENOSPC: "free space there, or choose another folder",
    errno.EDQUOT: "free space there, or choose another folder",
    errno.EFBIG: "choose a folder that may hold so large a file",
    errno.EROFS: "choose a folder that may be written to",
    errno.EACCES: "choose a place that you have the right to use",
    errno.EPERM: "choose a place that you have the right to use",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a file stands where a folder is needed: choose another name",
    errno.EISDIR: "a folder stands where a file is needed: choose another name",
    errno.EEXIST: "something of that name is there: choose another name",
    errno.ENOENT: "something was taken away meanwhile: run it again",
    errno.EMFILE: "let this process open more files (ulimit -n)",
    errno.EIO: "the disk is failing: choose another one",
}


class WrongPlace(DataError):
    """A slice or date was asked for that cannot be told, or that the scene has."""


class NotDelivered(DataError):
    """A server did not take what was written; the files themselves are whole."""
