"""Physical values to stored words: the inverse of ``decode.physical``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.processing import convert_color_space
from scipy.spatial import KDTree

from data_adapters.dicom import decode
from data_adapters.scene import to_stored


def to_words(
    values: NDArray[np.floating[Any]], dataset: FileDataset, dtype: np.dtype[Any], frame: int = 0
) -> NDArray[Any]:
    """Words of ``dtype`` for (C, rows, columns) physical values: (rows, columns), or (rows, columns, 3).

    Values are clipped to what BitsStored holds and never become padding. Where pixels are entries of a colour table,
    each takes the entry of the nearest colour. Bits beside BitsStored are empty.
    """
    if decode.is_palette(dataset):
        return _entries(np.moveaxis(values, 0, -1), dataset, dtype)
    lowest, highest = decode.limits(dataset)
    if decode.is_colour(dataset):
        colours = to_stored(np.moveaxis(values, 0, -1), dtype, low=lowest, high=highest)
        space = str(dataset.PhotometricInterpretation)
        return colours if space == "RGB" else np.asarray(convert_color_space(colours, "RGB", space))
    slope, intercept = decode.rescale(dataset, frame)
    stored = to_stored(values[0], dtype, slope, intercept, lowest, highest)
    if decode.is_inverted(dataset):
        stored = decode.inverted(stored, dataset).astype(dtype)
    stored = _avoid_padding(stored, dataset)
    return stored if int(dataset.BitsAllocated) == 1 else stored << decode.field(dataset)[1]


def _entries(colours: NDArray[np.floating[Any]], dataset: FileDataset, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The entries of a colour table that are nearest to (rows, columns, 3) colours."""
    count, first, _ = (int(v) for v in dataset.RedPaletteColorLookupTableDescriptor)
    entries = np.arange(first, min(first + (count or 1 << 16), decode.limits(dataset)[1] + 1)).astype(dtype)
    table = decode.from_palette(entries[None], dataset)[0].astype(np.float64)
    return np.asarray(entries[KDTree(table).query(colours)[1]])


def _avoid_padding(stored: NDArray[Any], dataset: FileDataset) -> NDArray[Any]:
    """A made pixel never reads as padding: such values move to the nearest one that is none."""
    padded = decode.padding(dataset)
    if padded is None:
        return stored
    lowest, highest = decode.limits(dataset)
    below, above = padded[0] - 1, padded[1] + 1
    hit = (stored >= padded[0]) & (stored <= padded[1])
    nearer_below = stored.astype(np.int64) - below < above - stored.astype(np.int64)
    free = np.where(nearer_below if below >= lowest else False, below, above if above <= highest else below)
    return np.where(hit, free, stored).astype(stored.dtype)


def blank(dataset: FileDataset, words: NDArray[Any]) -> NDArray[Any]:
    """A frame like ``words`` in which nothing was observed: of padding where it is stated, else of stored zeros."""
    if decode.is_colour(dataset):
        return to_words(np.zeros((3, *words.shape[:2])), dataset, words.dtype)
    padded = decode.padding(dataset)
    return np.full_like(words, padded[0] << decode.field(dataset)[1] if padded else 0)
