"""Volumes under a mask whose truth is known: the last slices, and damage in a part of some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from augmentor.holes.find import find
from augmentor.holes.kinds import Mask
from benchmarks.fill_cases import VOLUMES, Build, Case
from data_adapters import open_scenes

Covering = Callable[[tuple[int, ...]], Mask]
"""What is covered of so many columns, rows and slices."""


def last(count: int, shape: tuple[int, ...]) -> Mask:
    """So many slices at the end of the file."""
    covered = np.zeros(shape, dtype=bool)
    covered[..., -count:] = True
    return covered


def ellipse(shape: tuple[int, ...]) -> Mask:
    """In the middle of the plane of every slice, a quarter of it wide and high."""
    across, down = ((np.arange(side) - side / 2) / (side / 8) for side in shape[:2])
    return np.broadcast_to((across[:, None] ** 2 + down**2 <= 1)[..., None], shape)


def deep(count: int, shape: tuple[int, ...]) -> Mask:
    """So many slices in the middle."""
    slices = np.arange(shape[2]) - (shape[2] - count) // 2
    return np.broadcast_to((slices >= 0) & (slices < count), shape)


ENDS: dict[str, Covering] = {
    "the last slice": partial(last, 1),
    "the last 3 slices": partial(last, 3),
    "damage of the last 3 slices": lambda shape: last(3, shape) & ellipse(shape),
}
ENDED = ("MR totalseg_mr_sm", "CT totalseg_ct", "CT totalseg_ct_sm")
"""Volumes whose last slices show anything."""

DAMAGE: dict[str, Covering] = {
    "damage 3 slices deep": lambda shape: deep(3, shape) & ellipse(shape),
    "damage 12 slices deep": lambda shape: deep(12, shape) & ellipse(shape),
}
DAMAGED = ("MR stroke_T1", "CT totalseg_ct")


def ends(data: Path, work: Path) -> Iterator[Build]:
    """Volumes whose last slices are under a mask, whole or in part."""
    return _under(ENDS, ENDED, data, work)


def damaged(data: Path, work: Path) -> Iterator[Build]:
    """Volumes with damage in a part of slices between others."""
    return _under(DAMAGE, DAMAGED, data, work)


def _under(coverings: Mapping[str, Covering], names: Sequence[str], data: Path, work: Path) -> Iterator[Build]:
    for called, covering in coverings.items():
        for name in names:
            case = f"{name}, {called}"
            yield case, partial(masked, case, data / VOLUMES[name], work / case, covering)


def masked(name: str, source: Path, work: Path, covering: Covering) -> Case:
    """A volume under a mask that is drawn on its own grid, in the order of its file."""
    work.mkdir(parents=True)
    mask = work / "mask.nii.gz"
    image: Any = nibabel.load(source)
    covered = covering(image.shape[:3])
    nibabel.save(nibabel.Nifti1Image(covered.astype(np.uint8), image.affine), mask)
    scene = open_scenes(source)[0]
    pixels = scene.read(0, scene.shape[1])
    hole = find(scene, mask, extrapolate=True)[0](scene.plane)[0] & pixels.valid.all(axis=0)
    return Case(name, source, mask, scene, pixels.values, hole, at_ends=True)
