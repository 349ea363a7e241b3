"""A scene's holes rebuilt block by block, so that it may exceed memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label

from augmentor.errors import TooLittleContext
from augmentor.filling.answer import Answer
from augmentor.filling.at_ends import AtEnds
from augmentor.filling.view import View
from augmentor.holes.context import look
from augmentor.holes.ends import volumes
from augmentor.holes.priors import Mask
from augmentor.progress import progress
from augmentor.tiles import AT_ONCE, widened, windows
from data_adapters import Patch, Window

SIDES = (256, 1024)
"""Sides of the blocks that are read and filled one by one: as large as their slices or dates fit memory, since tiles
are corrected in a block's margin, too."""

REACH = 288
"""Pixels from what is observed, in any slice or date, beyond which nothing is made up."""

MARGIN = 32
"""Pixels corrected around a block, so that a network sees what lies beside it."""

RIM = 192
"""Pixels looked at around a hole that reaches across the border of a block, within ``REACH`` of that. With 64, a stack
whose light changes stepped twice as far there."""

Made = tuple[Patch, NDArray[np.float64], NDArray[np.float64]]
"""Rebuilt pixels, the best guess at each, and half of the interval round that (C, h, w), in physical units."""


def anything(view: View) -> bool:
    """Whether any pixel is to be rebuilt."""
    return any(view.holes(block).any() for block in _blocks(view))


def check_reach(view: View) -> None:
    """Raise TooLittleContext if nothing is observed near a part of the holes. Only blocks with holes are read."""
    for block in _blocks(view):
        # Mostly something is observed in the block itself, and no more of the scene need be read.
        if not all(_out_of_reach(view, block, around) for around in (MARGIN, REACH)):
            continue
        raise TooLittleContext(
            f"nothing is observed within {REACH} pixels of a part of rows {block.row} to "
            f"{block.row + block.height}, columns {block.column} to {block.column + block.width}",
            where=view.scene.path,
            do="give a smaller mask, or a stack with other dates",
        )


def _out_of_reach(view: View, block: Window, around: int) -> bool:
    """Whether a part of the holes in a block is too far from what is observed in it and so many pixels around."""
    made = view.holes(block)
    if not made.any():
        return False
    wide, inner = widened(block, around, view.scene.shape[2:])
    near = np.asarray(view.load(wide).known.any(axis=0))
    far = distance_transform_edt(~near)[inner] if near.any() else np.inf
    return bool(np.any(made.any(axis=(0, 1)) & (far > REACH)))


def rebuilt(view: View, answer: Answer, at_ends: AtEnds | None) -> Iterator[Made]:
    """Rebuilt pixels, block by block, where something is observed near all holes (``check_reach``). Only blocks with
    holes are read whole."""
    height, width = view.scene.shape[2:]
    blocks = list(_blocks(view))
    with progress("fill", len(blocks)) as advance:
        done = np.zeros((height, width), dtype=bool)
        for number, block in enumerate(blocks):
            yield from _block(view, answer, at_ends, block, ~done[block.slices])
            done[block.slices] = True
            advance(number + 1, "")


def _blocks(view: View) -> Iterator[Window]:
    """The plane in blocks of about the same size."""
    channels, slices, height, width = view.scene.shape
    side = float(np.clip((AT_ONCE / (channels * slices)) ** 0.5, *SIDES))
    size = tuple(math.ceil(length / math.ceil(length / side)) for length in (height, width))
    return windows(height, width, size, 0.0)


def _block(view: View, answer: Answer, at_ends: AtEnds | None, block: Window, fresh: Mask) -> Iterator[Made]:
    holes = view.holes(block)
    made = holes & fresh
    wanted = np.flatnonzero(made.any(axis=(0, 2, 3)))
    if not len(wanted):
        return
    wide, inner = widened(block, MARGIN, view.scene.shape[2:])
    whole = _looked_at(view, wide, holes)
    cut = wide.inside(whole)
    everything = view.load(whole)
    seen = everything.part(*cut)
    near = np.asarray(seen.known.any(axis=0))
    ends = everything.ends()
    for index in map(int, wanted):
        hole = ~everything.known[index]
        context = look(everything, index, hole, match=not view.volume, prior=answer.prior).part(*cut)
        found = answer(context)
        if at_ends:
            own = next(volume for volume in volumes(view.scene) if index < volume.stop)
            found = at_ends(seen.some(own), index - own.start, found)
        # No slice or date shows more than all others: a spline or a network that says so is wrong.
        values, guess = (view.scaling.to_physical(v.clip(*ends))[:, *inner] for v in (found.values, found.guess))
        half = view.scaling.extent(found.half)[:, *inner]
        # What no slice shows, as the corners around a CT's circle, is no part of the patient, nor of a new slice.
        shown = near[inner] if view.volume and holes[:, index].all() else True
        yield Patch(index, block, values, made[:, index] & shown), guess, half


def _looked_at(view: View, wide: Window, holes: Mask) -> Window:
    """What is looked at to fill a block with ``holes`` (C, S, h, w), and so ``wide`` with its margin.

    A hole that reaches across the border is filled from its own surroundings on all sides in both blocks, so that no
    seam shows. Slices beside each other have what they need near each pixel.
    """
    rim = (holes[..., 0, :], holes[..., -1, :], holes[..., 0], holes[..., -1])
    if view.volume or not any(side.any() for side in rim):
        return wide
    far, inner = widened(wide, REACH, view.scene.shape[2:])
    parts, _ = label(view.holes.hidden(far).any(axis=(0, 1)))
    reached = np.isin(parts, np.setdiff1d(parts[inner], 0))
    reached[inner] = True
    (top, bottom), (left, right) = (np.flatnonzero(reached.any(axis=axis))[[0, -1]].tolist() for axis in (1, 0))
    found, _ = widened(Window(top, left, bottom + 1 - top, right + 1 - left), RIM, (far.height, far.width))
    return found._replace(row=far.row + found.row, column=far.column + found.column)
