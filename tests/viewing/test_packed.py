"""Planes come back from their bytes: exactly where they can, else to within half a step that is told."""

import numpy as np
import pytest
from page_planes import unpack

from augmentor.viewing.packed import STEPS, pack


def plane(kind: str) -> tuple[np.ndarray, float]:
    """Values (37, 23), and the step that is known of them."""
    random = np.random.default_rng(1)
    stored = random.integers(-1024, 3071, (37, 23))
    return {
        "HU": (stored.astype(np.float32), 1.0),
        "a slope": ((stored * 0.0035 - 7).astype(np.float32), 0.0035),
        "all the same": (np.full((37, 23), 4.25), 0.0),
        "float": (random.normal(size=(37, 23)), 0.0),
        "too wide a range": (stored * 1e6, 1.0),
        "off the steps": (stored + random.random((37, 23)), 1.0),
        "tiny and huge": (np.where(stored > 0, 1e30, -1e-30), 0.0),
    }[kind]


EXACT = {"HU", "a slope", "all the same"}
KINDS = [*sorted(EXACT), "float", "too wide a range", "off the steps", "tiny and huge"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
def test_values_come_back(kind: str, holes: float) -> None:
    values, step = plane(kind)
    seen = np.random.default_rng(2).random(values.shape) >= holes
    found = unpack(pack(values, seen, step))
    assert np.array_equal(found.seen, seen)
    assert found.exact or kind not in EXACT
    off = np.abs(found.values - values)[seen]
    spread = np.ptp(values[seen]) if seen.any() else 0.0
    assert (off <= (1e-3 * step + 1e-6 * np.abs(values[seen]) if found.exact else 0.501 * found.step)).all()
    assert found.exact or found.step == pytest.approx(spread / STEPS)


def test_what_is_the_same_takes_no_room() -> None:
    values, step = plane("HU")
    seen = np.ones(values.shape, bool)
    same = np.ones(values.shape, bool)
    same[3, 4] = False
    found = unpack(pack(values, seen, step, same))
    assert np.array_equal(found.same, same) and found.values[3, 4] == values[3, 4]
    assert len(pack(values, seen, step, same)) < 100 < len(pack(values, seen, step))
