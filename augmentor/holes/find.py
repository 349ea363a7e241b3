"""Which pixels of a scene are to be rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import Extrapolation, NothingToFill, UnclearMask, WrongSpacing
from augmentor.holes.ends import extents
from augmentor.holes.grow import grown
from augmentor.holes.kinds import Holes, Mask
from augmentor.holes.place import placed
from augmentor.holes.quality import WORDS, Meaning
from data_adapters import Scene, Window, open_scenes
from data_adapters.errors import DuplicatePositions, GridMismatch

NEAR = 0.01
"""How far a spacing may be off the present one's part, as a part of itself."""

MOST = 64
"""Parts that the distance between two slices is divided into, at most."""

LISTED = 12
"""Slices that are named one by one."""


def refined(scene: Scene, spacing: float) -> Scene:
    """The scene with missing slices between its own, so that slices are ``spacing`` mm apart.

    Raises:
        WrongSpacing: if that is not the present spacing divided by a whole number.
        NothingToFill: if there are fewer than two slices.
        Unwritable, GeometryError: as ``Scene.finer``.
    """
    if scene.shape[1] // scene.volumes < 2:
        raise NothingToFill("holds a single slice", where=scene.path, do="give a series with two or more")
    present = scene.grid.spacing[0] * scene.grid.millimetres
    parts = min(present / spacing, MOST + 1.0) if spacing > 0 else MOST + 1.0
    factor = max(1, round(parts))
    finer = scene.finer(factor)
    if not 1 < factor <= MOST or abs(present / factor - spacing) > NEAR * spacing:
        nearest = sorted({min(max(2, int(parts) + more), MOST) for more in (0, 1)})
        raise WrongSpacing(
            f"slices are {present:.4g} mm apart, which is not {spacing:.4g} times a whole number from 2 to {MOST}",
            where=scene.path,
            do=f"give --spacing {' or '.join(f'{present / n:.4g}' for n in nearest)}",
        )
    return finer


def missing_slices(scene: Scene, *, ends: bool = False) -> tuple[Holes, tuple[int, ...]]:
    """Holes that are whole slices of a volume, and which; with ``ends``, those before the first one and after the last.

    Raises:
        GeometryError: if the slices lie on no regular row.
        NothingToFill: if none is missing, or fewer than two are there.
    """
    slots = scene.missing(ends=ends)
    count = scene.shape[1]
    blank = slots or scene.missing(ends=True)
    if count - len(blank) < 2:
        raise NothingToFill(
            f"fewer than two of {count} slices are there", where=scene.path, do="give a series with two or more"
        )
    if blank and not slots:
        raise NothingToFill(
            f"no slice is missing between others; at the ends, slices {_listed(blank)} show nothing",
            where=scene.path,
            do="give --extrapolate to fill these, or --mask where slices are damaged",
        )
    if not slots:
        raise NothingToFill(
            f"no slice of {count} is missing", where=scene.path, do="give --mask where slices are damaged"
        )

    def holes(window: Window) -> Mask:
        mask = np.zeros((scene.shape[0], count, window.height, window.width), dtype=bool)
        mask[:, list(slots)] = True
        return mask

    return Holes(holes), slots


def beyond(scene: Scene, holes: Holes) -> tuple[int, ...]:
    """Slices of a volume with holes before the first slice that is known anywhere, or after the last.

    Raises:
        NothingToFill: if no slice of a volume that has holes is known anywhere.
    """
    found: list[int] = []
    for _, made, first, last in extents(scene, holes):
        if first < 0:
            raise NothingToFill(
                f"nothing is known in any of {scene.shape[1] // scene.volumes} slices",
                where=scene.path,
                do="give a smaller mask",
            )
        found += [index for index in made if not first <= index <= last]
    return tuple(found)


def _listed(slices: tuple[int, ...]) -> str:
    return ", ".join(map(str, slices[:LISTED])) + (", ..." if len(slices) > LISTED else "")


def nodata(scene: Scene) -> Holes:
    """Holes that are the scene's own unobserved pixels, band by band, as far as its files reach."""
    return Holes(lambda window: ~scene.read(0, scene.shape[1], window).valid & scene.covered(window))


def masked(scene: Scene, mask: Path, meaning: str = "") -> Holes:
    """Holes where a mask says that the scene is covered; dates are matched by date.

    ``mask`` is a file or folder on the scene's grid, or one coarser by a whole factor (its first band counts); or the
    name of what came with the scene: a layer of its product (``scl``, ``qa_pixel``, ``bqa``), or one of its bands,
    which is then a class map and never filled. ``meaning`` is one of ``augmentor.holes.quality``; what the mask's own
    names say, when empty. What the mask itself did not observe is not covered, and what it says was never observed
    (the edge of a swath) is neither rebuilt nor looked at.

    Raises:
        GridMismatch: if the mask's place, rows, columns, slices or dates are not the scene's.
        UnclearMask: if no file and no layer has the name, or the meaning is none.
    """
    cover, band, names = _cover(scene, mask)
    named = Meaning.of_names(names)
    # What certainty is, no word of a user's says.
    said = replace(Meaning.parse(meaning), certain=named.certain) if meaning else named
    if not meaning and band is not None and said == Meaning("mask"):
        raise UnclearMask(
            f"nothing says what the values of band {mask} mean",
            where=scene.path,
            do=f"say so (one of {', '.join(WORDS)}), or name the band in its file, e.g. SCL",
        )
    there = placed(cover, scene, mask, "mask")
    whole_numbers = np.dtype(cover.dtype).kind in "iu"

    def covered(values: NDArray[Any], valid: Mask) -> Mask:
        # Nodata is no probability.
        return said.covered(np.where(valid, values, 0), whole_numbers=whole_numbers) & valid

    def unknown(values: NDArray[Any], valid: Mask) -> Mask:
        # What says that nothing was observed may itself be the layer's nodata.
        return covered(values, valid) | said.unseen(values)

    def where(window: Window, says: Callable[[NDArray[Any], Mask], Mask]) -> Mask:
        pixels = there.read(window, slice(band or 0, (band or 0) + 1))
        found = says(pixels.values[0], pixels.valid[0]) & scene.covered(window)
        every = np.repeat(found[None], scene.shape[0], axis=0)
        if band is not None:
            every[band] = False
        return every

    return Holes(
        lambda window: where(window, covered),
        (lambda window: where(window, unknown)) if said.knows_unseen else None,
    )


def _cover(scene: Scene, mask: Path) -> tuple[Scene, int | None, list[str]]:
    """The mask as a scene, the band of the scene itself that it is, and its names from the most telling one on."""
    if mask.exists():
        found = open_scenes(mask)
        if len(found) != 1:
            raise GridMismatch(
                f"{len(found)} scenes where one mask was expected", where=mask, do="give one mask, or one stack"
            )
        cover = found[0].on(scene)
        for name, layer in cover.layers.items():
            # Of a whole product, or of an image with its classes, the layer is the mask.
            if Meaning.of_names([name]) != Meaning("mask"):
                return layer, None, [name, layer.files[0].stem]
        return cover, None, [cover.channels[0].name, cover.files[0].stem, cover.name]
    wanted = str(mask).lower()
    layers = scene.layers
    for name, layer in layers.items():
        if wanted == name.lower():
            return layer, None, [name, layer.files[0].stem]
    for band, channel in enumerate(scene.channels):
        if wanted == channel.name.lower():
            return scene, band, [channel.name]
    came = ", ".join([*(name.lower() for name in layers), *(c.name for c in scene.channels)])
    raise UnclearMask(f"no such file, and no layer or band of the scene, which has {came}", where=mask, do="name one")


def find(
    scene: Scene, mask: Path | None, meaning: str = "", *, grow: int = 0, extrapolate: bool = False
) -> tuple[Holes, str]:
    """The holes of a scene and what they are called.

    A mask rules where one is given: a path, or the name of a layer of the scene, as in ``masked``, and all that lies
    within ``grow`` pixels of it. Without one, holes are the missing slices of a volume, and the nodata of a raster or
    stack. Whole slices of a volume that lie beyond the last known one are only looked for, and only allowed, where it
    is asked to ``extrapolate``.

    Raises:
        Extrapolation: if a mask covers all of an end of a volume.
        NothingToFill, GeometryError, GridMismatch, UnclearMask: as the functions above.
    """
    if mask is not None:
        # Anything but two slices at one place is interpolated by where slices lie.
        if isinstance(scene.trouble, DuplicatePositions):
            raise scene.trouble
        holes = grown(masked(scene, mask, meaning), scene, grow)
        outside = beyond(scene, holes) if scene.kind == "volume" else ()
        if outside and not extrapolate:
            raise Extrapolation(
                f"slices to rebuild lie beyond the last known one: {_listed(outside)}",
                where=scene.path,
                do="give --extrapolate to repeat what is nearest, or a smaller mask",
            )
        return holes, f"pixels under {mask.name}"
    if scene.kind in ("raster", "stack"):
        return nodata(scene), "nodata pixels"
    if scene.kind == "image":
        raise NothingToFill("a single image has no slices to miss", where=scene.path, do="give --mask")
    holes, slots = missing_slices(scene, ends=extrapolate)
    return holes, f"{len(slots)} missing slices ({_listed(slots)})"
