"""What `fill` wrote, held against its source: which slot of one is which of the other."""

from __future__ import annotations

from pathlib import Path

from data_adapters import Scene
from data_adapters.errors import GridMismatch
from data_adapters.naming import named_beside, parted

REMEDY = "give what `fill` wrote, and its source; what `interpolate` wrote holds nothing that was observed"


def slotted(source: Scene, result: Scene, where: Path) -> Scene:
    """The source with as many slots as the result, where slices were put between its own.

    Raises:
        GridMismatch: if there is no such number of them; it is said of ``where``.
    """
    own, new = (scene.shape[1] // scene.volumes - 1 for scene in (source, result))
    if new == own:
        return source
    if own < 1 or new < own or new % own:
        raise GridMismatch(
            f"the result has {result.shape[1]} slices, the source {source.shape[1]}", where=where, do=REMEDY
        )
    return source.finer(new // own)


def alike(scene: Scene, source: Scene) -> bool:
    """Whether both have the same channels and planes, and the same dates: of one date, a name may have lost it."""
    same = (scene.format, scene.shape[0], scene.shape[2:]) == (source.format, source.shape[0], source.shape[2:])
    dates = {dates for dates in (scene.dates, source.dates) if dates or scene.kind == "stack"}
    return same and len(dates) < 2


def made_beside(result: Path) -> Path | None:
    """The mask of what was made that lies beside a result, if any does; that of DICOM is one file."""
    masks = (named_beside(result, "made"), result.with_name(f"{parted(result)[0]}_made.dcm"))
    return next((mask for mask in masks if mask.is_file()), None)


def marked_at(mask: Scene, result: Scene, index: int) -> int | None:
    """Which slice of the mask of what was made belongs to one of the result; None on a date when nothing was made."""
    if not result.dates or mask.shape[1] == result.shape[1]:
        return index
    return mask.dates.index(result.dates[index]) if result.dates[index] in mask.dates else None
