"""Tiles and where they were cut; the store that holds them between ingest and training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from augmentor.errors import RunError
from data_adapters import Pixels, Scene, Window
from data_adapters.atomic import write_json

AT_ONCE = 50_000_000
"""Values of a scene that are held in memory at once; a larger scene is read window by window."""


@dataclass(frozen=True)
class Origin:
    """Where a tile was cut: scene, slice, its position along the slice axis, window, and the split it is in."""

    scene: str
    group: str
    slice: int
    position: float
    window: Window
    held_out: bool
    conditions: Mapping[str, str]


@dataclass(frozen=True)
class Tile:
    """``pixels`` (C, H, W) float32 in physical units, ``valid`` (H, W), and where it was cut."""

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    origin: Origin


def windows(height: int, width: int, size: tuple[int, int], overlap: float) -> Iterator[Window]:
    """Windows of at most ``size`` that cover a plane; the last ones move inwards, so none sticks out."""
    rows, columns = min(size[0], height), min(size[1], width)
    for row in _starts(height, rows, overlap):
        for column in _starts(width, columns, overlap):
            yield Window(row, column, rows, columns)


def _starts(length: int, size: int, overlap: float) -> list[int]:
    step = max(1, round(size * (1 - overlap)))
    return sorted({*range(0, length - size + 1, step), length - size})


def whole_tile(pixels: Pixels, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_], float]:
    """The first slice shrunk or grown to fit ``size``, its proportions kept, the rest padded and not valid.

    Returns pixels (C, H, W), valid (H, W), and how many source pixels a tile pixel spans.
    """
    from skimage.transform import resize

    height, width = pixels.valid.shape[2:]
    span = max(height / size[0], width / size[1])
    shape = _fitted(height, width, span)
    values = pixels.values[:, 0].astype(np.float32)
    seen = np.asarray(pixels.valid[:, 0].all(axis=0))
    # Not observed is not zero: it takes the mean of what was, so that shrinking does not bleed it in.
    filler = np.where(seen, values, 0).sum(axis=(1, 2), keepdims=True) / max(1, seen.sum())
    values = np.where(seen, values, filler)
    small = resize(values, (len(values), *shape), order=1, anti_aliasing=span > 1, preserve_range=True)
    observed = resize(seen.astype(np.float32), shape, order=1, anti_aliasing=span > 1) > 0.5
    return (*_pad(small.astype(np.float32), observed, size), span)


def _fitted(height: int, width: int, span: float) -> tuple[int, int]:
    return max(1, round(height / span)), max(1, round(width / span))


def _pad(
    values: NDArray[np.float32], seen: NDArray[np.bool_], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Centre on a canvas of ``size``; padding repeats the edge and is not valid."""
    height, width = values.shape[-2:]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    margins = ((top, size[0] - height - top), (left, size[1] - width - left))
    return np.pad(values, ((0, 0), *margins), mode="edge"), np.pad(seen, margins)


def grid_tile(pixels: Pixels, index: int, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """One slice of a window at full detail, padded where the scene is smaller than a tile."""
    return _pad(pixels.values[:, index].astype(np.float32), np.asarray(pixels.valid[:, index].all(axis=0)), size)


def windows_of(scene: Scene, size: tuple[int, int], overlap: float) -> Iterator[tuple[Window, Pixels]]:
    """Every window of a scene, with the pixels of all its slices; a scene that fits memory is read once."""
    whole = scene.read(0, scene.shape[1]) if np.prod(scene.shape) <= AT_ONCE else None
    for window in windows(*scene.shape[2:], size, overlap):
        if whole is None:
            yield window, scene.read(0, scene.shape[1], window)
        else:
            region = (slice(None), slice(None), *window.slices)
            yield window, Pixels(whole.values[region], whole.valid[region])


def fit_mask(mask: NDArray[np.bool_], size: tuple[int, int], *, whole: bool) -> NDArray[np.bool_]:
    """A mask of a plane or window as the tile cut from it sees it: padded, and resized first for a ``whole`` one."""
    from skimage.transform import resize

    span = max(mask.shape[0] / size[0], mask.shape[1] / size[1])
    shape = _fitted(mask.shape[0], mask.shape[1], span) if whole else mask.shape
    small = mask if shape == mask.shape else np.asarray(resize(mask.astype(np.float32), shape, order=1) > 0)
    return _pad(np.zeros((1, *shape), np.float32), small, size)[1]


class TileStore:
    """A zarr group of ``pixels`` (N, C, H, W) and ``valid`` (N, H, W), and an index line a tile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._group: Any = None
        self._index: list[Origin] | None = None

    @property
    def finished(self) -> bool:
        """Whether ingest wrote it to the end."""
        return (self.folder / "facts.json").is_file()

    @property
    def facts(self) -> dict[str, Any]:
        """What ingest noted: source, template, counts."""
        if not self.finished:
            raise RunError("the tile store is unfinished", where=self.folder, do="ingest again")
        return dict(json.loads((self.folder / "facts.json").read_text()))

    @property
    def index(self) -> list[Origin]:
        """Where each tile was cut, in the order of the arrays."""
        if self._index is None:
            lines = (self.folder / "index.jsonl").read_text().splitlines()
            self._index = [Origin(**{**r, "window": Window(*r["window"])}) for r in map(json.loads, lines)]
        return self._index

    def rows(self, held_out: bool) -> list[int]:
        """Numbers of the tiles on one side of the split."""
        return [n for n, origin in enumerate(self.index) if origin.held_out == held_out]

    def load(self, rows: list[int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pixels (n, C, H, W) and valid (n, H, W) of some tiles."""
        if self._group is None:
            self._group = zarr.open_group(self.folder / "tiles.zarr", mode="r")
        return self._group["pixels"].oindex[rows], self._group["valid"].oindex[rows]

    def write(self, tiles: Iterator[Tile], channels: int, size: tuple[int, int]) -> int:
        """Write tiles as they come; returns their number. The store is unfinished until ``finish``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(self.folder / "tiles.zarr", mode="w")
        shape = (channels, *size)
        block = max(1, (1 << 20) // (4 * int(np.prod(shape))))
        pixels = group.create_array("pixels", shape=(0, *shape), chunks=(block, *shape), dtype="float32")
        valid = group.create_array("valid", shape=(0, *size), chunks=(block, *size), dtype="bool")
        count = 0
        buffer: list[Tile] = []

        def flush() -> None:
            nonlocal count
            if buffer:
                pixels.resize((count + len(buffer), *shape))
                valid.resize((count + len(buffer), *size))
                pixels[count:] = np.stack([t.pixels for t in buffer])
                valid[count:] = np.stack([t.valid for t in buffer])
                count += len(buffer)
                buffer.clear()

        with (self.folder / "index.jsonl").open("w") as index:
            for tile in tiles:
                buffer.append(tile)
                index.write(json.dumps(asdict(tile.origin)) + "\n")
                if len(buffer) == block:
                    flush()
            flush()
        self._index = None
        return count

    def finish(self, facts: dict[str, Any]) -> None:
        """Note the facts, which mark the store as finished."""
        write_json(self.folder / "facts.json", facts)
