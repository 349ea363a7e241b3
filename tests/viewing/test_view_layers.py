"""Planes that are shown coarser: means of what was observed, however they are read."""

import numpy as np
import pytest

from augmentor.viewing import layers
from augmentor.viewing.layers import Layer, Seen

SHAPE = (37, 23)


def numbers(classes: bool = False) -> tuple[Layer, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    values, seen = random.normal(size=(2, *SHAPE)), random.random((2, *SHAPE)) > 0.4
    seen[:, :6, :6] = False
    return Layer("values", 2, lambda n, w: Seen(values[:, *w.slices], seen[:, *w.slices]), classes), values, seen


@pytest.mark.parametrize("at_once", [1, 100, 1 << 20])
@pytest.mark.parametrize("factor", [1, 2, 3, 7, 40])
def test_a_coarse_pixel_is_the_mean_of_what_was_observed(
    factor: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "AT_ONCE", at_once)
    layer, values, seen = numbers()
    found = layer.plane(0, SHAPE, factor)
    assert found.values.shape == (2, -(-SHAPE[0] // factor), -(-SHAPE[1] // factor))
    for row in range(found.values.shape[1]):
        for column in range(found.values.shape[2]):
            part = (1, slice(row * factor, (row + 1) * factor), slice(column * factor, (column + 1) * factor))
            assert found.seen[1, row, column] == seen[part].any()
            if seen[part].any():
                assert found.values[1, row, column] == pytest.approx(values[part][seen[part]].mean())


@pytest.mark.parametrize("at_once", [100, 1 << 20])
def test_classes_are_picked_and_never_averaged(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "AT_ONCE", at_once)
    layer, values, _ = numbers(classes=True)
    assert np.array_equal(layer.plane(0, SHAPE, 3).values, values[:, ::3, ::3])
