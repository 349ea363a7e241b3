"""The power of images by fineness."""

import numpy as np
import pytest

from augmentor.measures.spectrum import octaves, radial_power


@pytest.mark.parametrize("plane", [(32, 32), (48, 32), (33, 41)], ids=str)
@pytest.mark.parametrize("frequency", [0.1, 0.2, 0.4])
def test_a_wave_lies_in_one_ring(frequency: float, plane: tuple[int, int]) -> None:
    wave = np.cos(2 * np.pi * frequency * np.arange(plane[0]))[:, None] * np.ones(plane)
    power = radial_power(wave[None, None].astype(np.float32))[0]
    assert abs(int(power.argmax()) - int(frequency * 32)) <= 1


@pytest.mark.parametrize("times", [0.25, 1.0, 2.0])
def test_twice_the_amplitude_is_two_octaves_of_power(times: float) -> None:
    images = np.random.default_rng(0).normal(size=(8, 2, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(octaves(images * np.float32(times), images), 2 * np.log2(times), atol=1e-4)


def test_what_real_images_do_not_hold_says_nothing() -> None:
    smooth = np.cos(2 * np.pi * 2 * np.arange(32) / 32)[:, None] * np.ones((4, 1, 32, 32))
    noisy = smooth + np.random.default_rng(0).normal(scale=1e-5, size=smooth.shape)
    assert not octaves(noisy.astype(np.float32), smooth.astype(np.float32))[0, 8:].any()
