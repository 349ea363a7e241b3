"""How close a filled scene comes to its truth, inside the holes and nowhere else."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity


class Closeness(NamedTuple):
    """``psnr`` in dB over the range of the truth, and mean ``ssim``, both inside the holes."""

    psnr: float
    ssim: float


def closeness(made: NDArray[Any], truth: NDArray[Any], hole: NDArray[np.bool_]) -> Closeness:
    """Compare (C, S, H, W) where ``hole`` (S, H, W); SSIM a channel and slice (Wang et al. 2004).

    Each channel counts with its own range, so that no band rules the mean.
    """
    errors, likeness = [], []
    for channel in range(len(truth)):
        span = float(np.ptp(truth[channel])) or 1.0
        difference = (made[channel].astype(float) - truth[channel])[hole] / span
        errors.append(float((difference**2).mean()))
        for index in np.flatnonzero(hole.any(axis=(1, 2))):
            _, local = structural_similarity(
                made[channel, index].astype(float), truth[channel, index].astype(float), data_range=span, full=True
            )
            likeness.append(float(local[hole[index]].mean()))
    return Closeness(10 * float(np.log10(1 / max(float(np.mean(errors)), 1e-12))), float(np.mean(likeness)))


def spectral_angle(made: NDArray[Any], truth: NDArray[Any], hole: NDArray[np.bool_]) -> float:
    """Mean angle in degrees between the spectra of (C, S, H, W) where ``hole`` (S, H, W).

    Source: Kruse et al. 1993, "The spectral image processing system (SIPS)", the spectral angle mapper.
    """
    a, b = made[:, hole].astype(float), truth[:, hole].astype(float)
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    cosine = (a * b).sum(axis=0) / np.maximum(lengths, 1e-12)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean())
