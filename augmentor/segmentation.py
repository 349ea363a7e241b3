"""Label maps of images: found, matched to their images, and turned into a channel a label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import LabelError
from data_adapters import Scene, open_scenes

ENDINGS = ("_seg", "_mask", "_labels", "_labelmap")
"""What the name of a label map may carry more than its image's."""

SUFFIX = re.compile(r"\.(nii\.gz|nii|dcm|tiff?|png|jpe?g|bmp|jp2)$")

MOST = 32
"""Labels above which channels a label are no longer reasonable."""


def label_maps(scenes: Sequence[Scene], path: Path) -> dict[str, Scene]:
    """The label map of each scene, by scene name: one file for one scene, or a folder of equally named ones.

    Raises:
        LabelError: if a scene has none, or one of another size.
        GridMismatch: if a segmentation lies on other slices.
    """
    if not path.exists():
        raise LabelError("no such label map", where=path, do="set segmentation.path to a file or folder")
    maps = open_scenes(path)
    by_name = {_bare(found.name): found for found in maps}
    matched = {}
    for scene in scenes:
        found = maps[0] if len(maps) == len(scenes) == 1 else by_name.get(_bare(scene.name))
        if found is None:
            raise LabelError(f"holds no label map for {scene.name}", where=path, do="name label maps like their images")
        found = found.on(scene)
        if found.shape[1:] != scene.shape[1:] or found.shape[0] != 1:
            raise LabelError(
                f"{found.name} is {found.shape}, its image {scene.shape} (channels, slices, rows, columns)",
                where=path,
                do="give one channel on the image's own grid",
            )
        matched[scene.name] = found
    return matched


def _bare(name: str) -> str:
    """A name without folder, file suffix and what marks it as a label map; dots of a UID stay."""
    name = SUFFIX.sub("", Path(name).name.lower())
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name


def values_of(labels: NDArray[np.int32]) -> tuple[int, ...]:
    """The labels that occur, in order.

    Raises:
        LabelError: if there are more than ``MOST``, as in a picture that is no label map.
    """
    found = np.unique(labels)
    if len(found) > MOST:
        raise LabelError(f"hold {len(found)} labels", where="label maps", do=f"merge them to at most {MOST}")
    return tuple(int(value) for value in found)


def check_known(labels: Sequence[NDArray[np.int32]], values: Sequence[int], where: Path) -> None:
    """Raise LabelError if maps hold a label that was not in training, for which there is no channel."""
    strange = sorted(set(np.unique(np.stack(labels)).tolist()) - set(values)) if labels else []
    if strange:
        raise LabelError(
            f"holds labels that training never saw: {', '.join(map(str, strange[:5]))}",
            where=where,
            do=f"use {', '.join(map(str, values))}",
        )


def to_channels(labels: NDArray[np.int32], values: Sequence[int]) -> NDArray[np.float32]:
    """(N, *tile) labels -> (N, L, *tile), 1 where a tile has that label and -1 elsewhere."""
    found = np.stack([labels == value for value in values], axis=1)
    return np.where(found, np.float32(1), np.float32(-1))


def from_channels(channels: NDArray[np.float32], values: Sequence[int]) -> NDArray[np.int32]:
    """(N, L, *tile) -> the label of the strongest channel, (N, *tile)."""
    return np.asarray(values, dtype=np.int32)[channels.argmax(axis=1)]
