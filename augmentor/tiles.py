"""Tiles and where they were cut; the store that holds them between ingest and training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import zarr
from numpy.typing import NDArray

from augmentor.errors import RunError
from data_adapters import Pixels, Scene, Window
from data_adapters.atomic import read_json, write_json
from data_adapters.errors import UserError
from data_adapters.room import taken

Value = TypeVar("Value", bound=np.generic)

MIDDLE = 256
"""Side of the part of a plane that is read to judge a scene by."""

TYPES = {"pixels": "float32", "valid": "bool", "labels": "int32"}
DIMENSIONS = {"pixels": (4, 5), "valid": (3, 4), "labels": (3, 4)}
"""Types and numbers of axes of the arrays of a store."""

CODECS = {"BytesCodec", "ZstdCodec"}
"""What stores are written with; anything else is not theirs."""

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
    """``pixels`` (C, *size) float32 in physical units, ``valid`` (*size), ``labels`` (*size) or None, and its origin.

    A tile of two sides is cut from one slice, one of three from several; ``origin.slice`` is the first.
    """

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    labels: NDArray[np.int32] | None
    origin: Origin


def windows(height: int, width: int, size: tuple[int, ...], overlap: float) -> Iterator[Window]:
    """Windows of at most ``size`` that cover a plane; the last ones move inwards, so none sticks out."""
    rows, columns = min(size[0], height), min(size[1], width)
    for row in starts(height, rows, overlap):
        for column in starts(width, columns, overlap):
            yield Window(row, column, rows, columns)


def middle(scene: Scene) -> Window:
    """The part of a plane by which a scene is judged."""
    height, width = (min(side, MIDDLE) for side in scene.shape[2:])
    return Window((scene.shape[2] - height) // 2, (scene.shape[3] - width) // 2, height, width)


def widened(window: Window, pixels: int, plane: Sequence[int]) -> tuple[Window, tuple[slice, slice]]:
    """A window and so many pixels around it, as far as the plane reaches; and where the window lies in that."""
    top, left = max(0, window.row - pixels), max(0, window.column - pixels)
    bottom = min(plane[0], window.row + window.height + pixels)
    right = min(plane[1], window.column + window.width + pixels)
    wide = Window(top, left, bottom - top, right - left)
    return wide, window.inside(wide)


class Cut(NamedTuple):
    """What becomes a tile: pixels (C, *size), valid (*size), and how many source voxels one of it spans, by axis."""

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    span: tuple[float, ...]


def whole_tile(pixels: NDArray[Any], valid: NDArray[np.bool_], size: tuple[int, ...]) -> Cut:
    """All of (C, *source) where valid (*source), shrunk or grown to ``size``.

    A plane keeps its proportions and is padded with what is not valid. A volume fills the tile along every
    axis, since its slices are rarely as far apart as its pixels.
    """
    from skimage.transform import resize

    shape, span = _fitted(valid.shape, size)
    values = pixels.astype(np.float32)
    axes = tuple(range(1, values.ndim))
    # Not observed is not zero: it takes the mean of what was, so that shrinking does not bleed it in.
    filler = np.where(valid, values, 0).sum(axis=axes, keepdims=True) / max(1, valid.sum())
    values = np.where(valid, values, filler)
    soft = max(span) > 1
    small = np.stack([resize(v, shape, order=1, anti_aliasing=soft, preserve_range=True, mode="edge") for v in values])
    observed = resize(valid.astype(np.float32), shape, order=1, anti_aliasing=soft, mode="edge") > 0.5
    return Cut(*_pad(small.astype(np.float32), observed, size), span)


def whole_labels(labels: NDArray[Any], size: tuple[int, ...]) -> NDArray[np.int32]:
    """A label map as ``whole_tile`` sees its image; padding takes the nearest label."""
    from skimage.transform import resize

    shape, _ = _fitted(labels.shape, size)
    small = resize(labels, shape, order=0, anti_aliasing=False, preserve_range=True, mode="edge")
    return _pad(small[None].astype(np.int32), np.ones(shape, bool), size)[0][0]


def padded_labels(labels: NDArray[np.int32], size: tuple[int, ...]) -> NDArray[np.int32]:
    """A label map as ``grid_tile`` sees its image."""
    return _pad(labels[None], np.ones(labels.shape, bool), size)[0][0]


def uncut(tile: NDArray[np.floating[Any]], source: tuple[int, ...], *, whole: bool) -> NDArray[np.floating[Any]]:
    """What a tile (*size) says of the pixels (*source) that it was cut from: the way back from ``whole_tile``, where it
    is ``whole``, and from ``grid_tile``."""
    from skimage.transform import resize

    shape = _fitted(source, tile.shape)[0] if whole else source
    inner = tile[
        tuple(slice((side - own) // 2, (side - own) // 2 + own) for side, own in zip(tile.shape, shape, strict=True))
    ]
    if shape == source:
        return inner
    return np.asarray(resize(inner, source, order=1, mode="edge", anti_aliasing=False, preserve_range=True))


def _fitted(source: tuple[int, ...], size: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The shape that a source is resized to, and source voxels a tile voxel."""
    spans = tuple(a / b for a, b in zip(source, size, strict=True))
    if len(size) == 2:
        spans = (max(spans),) * 2
    return tuple(max(1, round(a / span)) for a, span in zip(source, spans, strict=True)), spans


def _pad(
    values: NDArray[Value], seen: NDArray[np.bool_], size: tuple[int, ...]
) -> tuple[NDArray[Value], NDArray[np.bool_]]:
    """Centre on a canvas of ``size``; padding repeats the edge and is not valid."""
    room = [wanted - there for wanted, there in zip(size, seen.shape, strict=True)]
    if not any(room):
        return values, seen
    margins = [(extra // 2, extra - extra // 2) for extra in room]
    return np.pad(values, ((0, 0), *margins), mode="edge"), np.pad(seen, margins)


def reach(source: tuple[int, ...], size: tuple[int, ...], *, whole: bool) -> float:
    """The part of a tile that an image fills, the rest being padding; of one that is cut in windows, the fullest."""
    shape = _fitted(source, size)[0] if whole else np.minimum(source, size)
    return float(np.prod(shape) / np.prod(size))


def grid_tile(pixels: NDArray[Any], valid: NDArray[np.bool_], size: tuple[int, ...]) -> Cut:
    """(C, *window) at full detail, padded where the scene is smaller than a tile."""
    return Cut(*_pad(pixels.astype(np.float32, copy=False), valid, size), (1.0,) * len(size))


def starts(length: int, size: int, overlap: float) -> list[int]:
    """Where windows of ``size`` begin that cover ``length``; the last one moves inwards."""
    size = min(size, length)
    step = max(1, round(size * (1 - overlap)))
    return sorted({*range(0, length - size + 1, step), length - size})


def windows_of(scene: Scene, size: tuple[int, ...], overlap: float) -> Iterator[tuple[Window, Pixels]]:
    """Every window of a scene, with the pixels of all its slices; a scene that fits memory is read once."""
    whole = scene.read(0, scene.shape[1]) if np.prod(scene.shape) <= AT_ONCE else None
    for window in windows(*scene.shape[2:], size, overlap):
        if whole is None:
            yield window, scene.read(0, scene.shape[1], window)
        else:
            region = (slice(None), slice(None), *window.slices)
            yield window, Pixels(whole.values[region], whole.valid[region])


def fit_mask(mask: NDArray[np.bool_], size: tuple[int, ...], *, whole: bool) -> NDArray[np.bool_]:
    """A mask of a plane or window as the tile cut from it sees it: padded, and resized first for a ``whole`` one."""
    from skimage.transform import resize

    shape = _fitted(mask.shape, size)[0] if whole else mask.shape
    small = (
        mask if shape == mask.shape else np.asarray(resize(mask.astype(np.float32), shape, order=1, mode="edge") > 0)
    )
    return _pad(np.zeros((1, *shape), np.float32), small, size)[1]


def _origin(record: dict[str, Any]) -> Origin:
    """The way back from a line of an index.

    Raises:
        ValueError, TypeError, KeyError: if it is none.
    """
    origin = Origin(**{**record, "window": Window(*map(int, record["window"]))})
    if not (isinstance(origin.scene, str) and isinstance(origin.group, str) and isinstance(origin.conditions, dict)):
        raise TypeError("a scene, group or condition that is none")
    return origin


def _broken(path: Path, error: object) -> RunError:
    return RunError(f"the tile store cannot be read ({error})", where=path, do="delete it and ingest again")


READ = 64
"""Tiles that are read at once."""


class TileStore:
    """A zarr group of ``pixels`` (N, C, *size), ``valid`` and perhaps ``labels`` (N, *size); an index line a tile."""

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
        """What ingest noted: source, template, counts.

        Raises:
            RunError: if ingest did not write it to the end.
            BrokenFile: if it cannot be read.
        """
        if not self.finished:
            raise RunError("the tile store is unfinished", where=self.folder, do="ingest again")
        return read_json(self.folder / "facts.json")

    @property
    def index(self) -> list[Origin]:
        """Where each tile was cut, in the order of the arrays.

        Raises:
            RunError: if it cannot be read.
        """
        if self._index is None:
            path = self.folder / "index.jsonl"
            try:
                lines = path.read_text(encoding="utf-8").split("\n")
                self._index = [_origin(json.loads(line)) for line in lines if line]
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise _broken(path, error) from error
        return self._index

    def rows(self, held_out: bool) -> list[int]:
        """Numbers of the tiles on one side of the split."""
        return [n for n, origin in enumerate(self.index) if origin.held_out == held_out]

    def load(self, rows: list[int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pixels (n, C, *size) and valid (n, *size) of some tiles.

        Raises:
            RunError: if they cannot be read, or are no tiles of the index.
        """
        pixels, valid = self._some("pixels", rows), self._some("valid", rows)
        if pixels.shape[2:] != valid.shape[1:]:
            raise _broken(self.folder, f"pixels of {pixels.shape} and marks of {valid.shape}")
        return pixels, valid

    def load_labels(self, rows: list[int]) -> NDArray[np.int32]:
        """Label maps (n, *size) of some tiles, of a store that was written with them.

        Raises:
            RunError: if they cannot be read, or are no tiles of the index.
        """
        return self._some("labels", rows)

    def _some(self, name: str, rows: list[int]) -> NDArray[Any]:
        """Some tiles of an array."""
        length = len(self.index)
        try:
            if self._group is None:
                # The one version whose arrays this package writes: the one before knows codecs that run what they read.
                self._group = zarr.open_group(self.folder / "tiles.zarr", mode="r", zarr_format=3)
            array = self._group[name]
            if array.dtype != TYPES[name] or array.ndim not in DIMENSIONS[name] or array.shape[0] != length:
                raise ValueError(f"{name} of {array.dtype} and {array.shape}, where {length} tiles are told of")
            if strange := {type(codec).__name__ for codec in array.metadata.codecs} - CODECS:
                raise ValueError(f"codecs {', '.join(sorted(strange))}")
            each = math.prod(array.shape[1:]) * array.dtype.itemsize
            taken((len(rows) + 1) * each + math.prod(array.chunks) * array.dtype.itemsize, self.folder)
            return np.asarray(array.oindex[rows])
        except UserError:
            raise
        except Exception as error:
            # What zarr and its codecs raise for a store that is not as it should be has no common type.
            raise _broken(self.folder / "tiles.zarr", error) from error

    def tiles(self) -> Iterator[Tile]:
        """Every tile in turn, some in memory at once.

        Raises:
            RunError: if they cannot be read.
        """
        rows = range(len(self.index))
        for first in range(0, len(rows), READ):
            some = list(rows[first : first + READ])
            pixels, valid = self.load(some)
            labels = self.load_labels(some) if "labels" in self._group else None
            for number, row in enumerate(some):
                yield Tile(pixels[number], valid[number], None if labels is None else labels[number], self.index[row])

    def write(self, tiles: Iterator[Tile], channels: int, size: tuple[int, ...], *, labelled: bool = False) -> int:
        """Write tiles as they come; returns their number. The store is unfinished until ``finish``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        group = zarr.open_group(self.folder / "tiles.zarr", mode="w")
        shapes = {"pixels": ((channels, *size), "float32"), "valid": (size, "bool")}
        if labelled:
            shapes["labels"] = (size, "int32")
        block = max(1, (1 << 20) // (4 * channels * int(np.prod(size))))
        arrays = {
            name: group.create_array(name, shape=(0, *shape), chunks=(block, *shape), dtype=dtype)
            for name, (shape, dtype) in shapes.items()
        }
        count = 0
        buffer: list[Tile] = []

        def flush() -> None:
            nonlocal count
            if buffer:
                for name, array in arrays.items():
                    array.resize((count + len(buffer), *shapes[name][0]))
                    array[count:] = np.stack([getattr(tile, name) for tile in buffer])
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
