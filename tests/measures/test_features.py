"""Features are fixed, sample by sample, and see what they are meant to see."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from augmentor.measures.features import Features, layout_and_spectrum, random_convolutional

SETS: list[Callable[[torch.Tensor], Features]] = [random_convolutional, layout_and_spectrum]


@pytest.mark.parametrize("extract", SETS)
@pytest.mark.parametrize("shape", [(5, 1, 32, 32), (3, 13, 32, 32), (4, 3, 64, 40), (2, 1, 128, 128)])
def test_features_are_one_finite_row_an_image(
    extract: Callable[[torch.Tensor], Features], shape: tuple[int, ...]
) -> None:
    found = extract(torch.randn(shape))
    assert found.dtype == np.float64
    assert found.shape[0] == shape[0]
    assert np.isfinite(found).all()
    assert found.std(axis=0).min() >= 0
    assert (found.std(axis=0) > 0).mean() > 0.9


def test_the_number_of_features_is_as_said() -> None:
    assert random_convolutional(torch.randn(2, 3, 32, 32)).shape == (2, 240)
    assert layout_and_spectrum(torch.randn(2, 3, 32, 32)).shape == (2, 64 + 3 * 10 + 16)


@pytest.mark.parametrize("extract", SETS)
def test_an_image_has_its_features_whatever_it_is_batched_with(extract: Callable[[torch.Tensor], Features]) -> None:
    images = torch.randn(6, 2, 32, 32)
    together = extract(images)
    torch.manual_seed(99)
    apart = np.concatenate([extract(images[k : k + 1]) for k in range(6)])
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_random_features_follow_their_own_seed_alone() -> None:
    images = torch.randn(3, 1, 32, 32)
    first = random_convolutional(images, seed=1)
    torch.manual_seed(5)
    np.testing.assert_array_equal(first, random_convolutional(images, seed=1))
    assert not np.allclose(first, random_convolutional(images, seed=2))


@pytest.mark.parametrize("extract", SETS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x + 0.5, id="brighter"),
        pytest.param(lambda x: torch.nn.functional.avg_pool2d(x, 3, 1, 1), id="blurred"),
        pytest.param(lambda x: x * 0.5, id="flatter"),
    ],
)
def test_features_see_a_changed_set(
    extract: Callable[[torch.Tensor], Features], change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    images = torch.randn(64, 1, 32, 32)
    before, same, after = extract(images), extract(torch.randn(64, 1, 32, 32)), extract(change(images))
    spread = before.std(axis=0) + 1e-9
    moved = np.abs((after.mean(axis=0) - before.mean(axis=0)) / spread).max()
    assert moved > 4 * np.abs((same.mean(axis=0) - before.mean(axis=0)) / spread).max()


@pytest.mark.parametrize("cycles", [2, 4, 8, 15])
def test_a_wave_stands_out_in_its_ring_of_the_spectrum(cycles: int) -> None:
    wave = torch.sin(2 * torch.pi * cycles / 32 * torch.arange(32.0)).expand(1, 1, 32, 32)
    assert layout_and_spectrum(wave)[0, -16:].argmax() == int(cycles / 32 * 2 * 15.999)


def test_layout_is_where_it_is_bright() -> None:
    image = torch.zeros(1, 2, 32, 32)
    image[:, :, 4:8, 20:24] = 1
    layout = layout_and_spectrum(image)[0, :64].reshape(8, 8)
    assert np.argwhere(layout > 0.5).tolist() == [[1, 5]]
