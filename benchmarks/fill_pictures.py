"""A filled case for the eye: the truth, the best classical answer, ours, and how far both are off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.report.pictures import sheet, visible
from benchmarks.fill_cases import Case

SIDE = 256
"""Rows and columns that are shown, at most, round the middle of the hole."""


def draw(case: Case, rival: NDArray[Any], made: NDArray[Any], path: Path) -> Path:
    """The slice or date whose gain over the rival is the median one; errors are in the limits of the rival's."""
    holed = np.flatnonzero(case.hole.any(axis=(1, 2)))
    errors = [[((m - case.truth)[:, i, case.hole[i]] ** 2).mean() for i in holed] for m in (rival, made)]
    index = int(holed[np.argsort(np.log(errors[0]) - np.log(errors[1]))[len(holed) // 2]])
    part = tuple(
        slice(first := max(0, min(int(np.median(at)) - SIDE // 2, side - SIDE)), first + SIDE)
        for at, side in zip(np.nonzero(case.hole[index]), case.hole.shape[1:], strict=True)
    )
    truth, classical, own = (p[:, index, part[0], part[1]].astype(float) for p in (case.truth, rival, made))
    names = [channel.name for channel in case.scene.channels]
    low, high = (np.nanpercentile(truth, p, axis=(1, 2)).tolist() for p in (1, 99))
    shown = [visible(plane, names, low, high) for plane in (truth, classical, own)]
    off = [np.abs(plane - truth).mean(axis=0, keepdims=True) for plane in (classical, own)]
    largest = float(np.percentile(off[0][:, case.hole[index][part]], 99))
    return sheet([*shown, *(visible(o, (), [0.0], [largest]) for o in off)], len(shown) + len(off), path)
