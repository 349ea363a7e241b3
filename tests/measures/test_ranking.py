"""The area under the ROC curve."""

import numpy as np
import pytest

from augmentor.measures.ranking import auc, mean_auc


@pytest.mark.parametrize(
    ("members", "others", "area"),
    [([2, 3], [0, 1], 1.0), ([0, 1], [2, 3], 0.0), ([1], [1], 0.5), ([1, 2], [1, 0], 0.875), ([3, 0], [1, 2], 0.5)],
)
def test_it_is_how_often_a_member_scores_higher(members: list[float], others: list[float], area: float) -> None:
    assert auc(np.array(members, float), np.array(others, float)) == pytest.approx(area)


def test_of_several_classes_each_counts_alike() -> None:
    wanted = np.array([0] * 50 + [1] * 5 + [2] * 5)
    scores = np.eye(3)[wanted]
    assert mean_auc(scores, wanted) == 1.0
    scores[wanted == 2] = scores[wanted == 0][0]
    # Class 2 is told no better than by chance from 0, and worse than 1; class 0 half from 2.
    own = [auc(scores[wanted == k, k], scores[wanted != k, k]) for k in range(3)]
    assert mean_auc(scores, wanted) == pytest.approx(np.mean(own))
    assert np.isnan(mean_auc(scores[:50], wanted[:50]))
