"""How much detail images have at each fineness."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from augmentor.measures.features import in_rings


def radial_power(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean power of images (N, C, H, W) in sixteen rings of frequency: (C, 16). The mean of each image is left out.

    Source: Durall et al. 2020, "Watch your up-convolution", section 3.1.
    """
    planes = torch.from_numpy(images)
    spectrum = torch.fft.rfft2(planes - planes.mean(dim=(2, 3), keepdim=True), norm="ortho")
    power = spectrum.abs().square().mean(dim=0)
    return in_rings(power.float(), images.shape[3]).double().numpy()


def octaves(made: NDArray[np.float32], real: NDArray[np.float32]) -> NDArray[np.float64]:
    """By how many factors of two the power of made images differs from that of real ones: (C, 16).

    Rings that hold less than a millionth of a real image's power, as those beyond the resolution of an enlarged
    picture, say nothing: 0.
    """
    ours, theirs = radial_power(made), radial_power(real)
    there = theirs > 1e-6 * theirs.sum(axis=1, keepdims=True)
    return np.where(there, np.log2(np.maximum(ours, 1e-12) / np.maximum(theirs, 1e-12)), 0.0)
