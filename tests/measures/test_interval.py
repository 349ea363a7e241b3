"""An interval holds what it says it holds."""

import numpy as np
import pytest

from augmentor.measures.interval import interval, spread


@pytest.mark.parametrize("count", [30, 200])
@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_the_error_of_a_mean_is_known(count: int, scale: float) -> None:
    random = np.random.default_rng(0)
    found = [spread(lambda x: float(x.mean()), [scale * random.normal(size=(count, 1))], k) for k in range(60)]
    assert np.mean(found) == pytest.approx(scale / count**0.5, rel=0.1)


def test_of_two_sets_both_count() -> None:
    random = np.random.default_rng(0)
    found = [
        spread(lambda a, b: float(a.mean() - b.mean()), [random.normal(size=100), 2 * random.normal(size=50)], k)
        for k in range(60)
    ]
    assert np.mean(found) == pytest.approx((1 / 100 + 4 / 50) ** 0.5, rel=0.1)


def test_nineteen_intervals_in_twenty_hold_the_truth() -> None:
    random = np.random.default_rng(0)
    held = 0
    for k in range(300):
        _, low, high = interval(lambda x: float(x.var()), [random.normal(size=150)], k)
        held += low <= 1 <= high
    assert 0.9 <= held / 300 <= 0.98
