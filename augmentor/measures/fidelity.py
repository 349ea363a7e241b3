"""Distances between two sets of features: Fréchet and kernel."""

from __future__ import annotations

import numpy as np
import torch
from monai.metrics.fid import get_fid_score

from augmentor.measures.features import Features


def frechet(a: Features, b: Features) -> float:
    """Fréchet distance between normals fitted to two sets, (N, F) and (M, F) (Heusel et al. 2017)."""
    return float(get_fid_score(torch.from_numpy(a), torch.from_numpy(b)))


def kernel(made: Features, real: Features) -> float:
    """KID: unbiased squared MMD with the cubic polynomial kernel (Binkowski et al. 2018).

    Features are standardised by the real set, so that no single one rules the kernel.
    """
    centre, spread = real.mean(axis=0), real.std(axis=0) + 1e-9
    a, b = (made - centre) / spread, (real - centre) / spread

    def similarity(x: Features, y: Features) -> Features:
        return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)

    def off_diagonal_mean(matrix: Features) -> float:
        n = len(matrix)
        return float((matrix.sum() - np.trace(matrix)) / (n * (n - 1)))

    within = off_diagonal_mean(similarity(a, a)) + off_diagonal_mean(similarity(b, b))
    return within - 2 * float(similarity(a, b).mean())
