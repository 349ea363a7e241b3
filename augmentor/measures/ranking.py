"""How well scores tell members of a class from others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu


def auc(members: NDArray[np.floating], others: NDArray[np.floating]) -> float:
    """The area under the ROC curve: how often a member scores higher than another, ties counting half.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve".
    """
    return float(mannwhitneyu(members, others).statistic / (len(members) * len(others)))


def mean_auc(scores: NDArray[np.floating], classes: NDArray[np.int64]) -> float:
    """The mean over classes of how well scores (N, K) tell each from the others; of two, that of either.

    Source: Provost and Domingos 2000, one class against the rest, each class counting alike. nan where ``classes`` (N,)
    are all one.
    """
    there = [k for k in range(scores.shape[1]) if 0 < (classes == k).sum() < len(classes)]
    found = [auc(scores[classes == k, k], scores[classes != k, k]) for k in there]
    return float(np.mean(found)) if found else float("nan")
