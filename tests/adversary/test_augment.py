"""Augmentation keeps within its limits, follows its generator, and its strength follows the game."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from augmentor.adversary import augment as module
from augmentor.adversary.augment import CUTOUT, INTENSITY, SHIFT, AdaptiveStrength, augment

SHAPES = [(6, 1, 32, 32), (5, 13, 16, 24), (4, 3, 64, 32)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", SHAPES)
def test_at_probability_zero_nothing_happens_and_nothing_is_drawn(shape: tuple[int, ...]) -> None:
    x, generator = torch.randn(shape), seeded()
    before = generator.get_state()
    assert augment(x, 0.0, generator) is x
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("shape", SHAPES)
def test_augmentation_follows_its_generator(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    first, again, other = (augment(x, 1.0, seeded(s)) for s in (1, 1, 2))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_as_many_samples_are_changed_as_chance_says(probability: float) -> None:
    x = torch.randn(3_000, 1, 8, 8)
    changed = (augment(x, probability, seeded()) != x).flatten(1).any(dim=1)
    # Three transforms; a translation by nothing happens once in nine, a cutout of nothing never here.
    at_most = 1 - (1 - probability) ** 3
    at_least = 1 - (1 - probability) ** 2 * (1 - probability * 8 / 9)
    assert at_least - 0.03 <= changed.float().mean() <= at_most + 0.03


@pytest.mark.parametrize("shape", SHAPES)
def test_intensity_is_one_small_line_a_sample(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    made = module._intensity(x, seeded())
    for before, after in zip(x.flatten(1).double(), made.flatten(1).double(), strict=True):
        gain = ((after - after.mean()) * (before - before.mean())).sum() / (before - before.mean()).square().sum()
        offset = after.mean() - gain * before.mean()
        assert abs(gain - 1) <= INTENSITY + 1e-5
        assert abs(offset) <= INTENSITY + 1e-5
        torch.testing.assert_close(after, gain * before + offset, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_translation_is_a_window_of_the_image_with_its_edge_repeated(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    made = module._translate(x, seeded())
    height, width = shape[2:]
    down, right = round(height * SHIFT), round(width * SHIFT)
    rows, columns = torch.arange(height), torch.arange(width)
    found = []
    for before, after in zip(x, made, strict=True):
        fits = [
            (r, c)
            for r in range(-down, down + 1)
            for c in range(-right, right + 1)
            if torch.equal(before[:, (rows + r).clamp(0, height - 1)][:, :, (columns + c).clamp(0, width - 1)], after)
        ]
        assert len(fits) == 1
        found += fits
    assert len(set(found)) > 1


@pytest.mark.parametrize("shape", SHAPES)
def test_cutout_blanks_one_small_rectangle_in_all_channels(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    made = module._cutout(x, seeded())
    for before, after in zip(x, made, strict=True):
        blank = (after != before).any(dim=0)
        assert (after[:, blank] == 0).all()
        rows, columns = blank.any(dim=1), blank.any(dim=0)
        assert torch.equal(blank, rows[:, None] & columns[None, :])
        assert 1 <= rows.sum() <= shape[2] * CUTOUT + 1
        assert 1 <= columns.sum() <= shape[3] * CUTOUT + 1


def test_augmentation_lets_gradients_through() -> None:
    x = torch.randn(8, 2, 16, 16, requires_grad=True)
    augment(x, 1.0, seeded()).sum().backward()
    assert (x.grad.flatten(1) != 0).float().mean() > 0.5


def pushed(strength: AdaptiveStrength, real: Tensor, fake: Tensor, times: int) -> float:
    for _ in range(times):
        strength.observe(real, fake)
    return strength.probability


def test_strength_rises_by_images_while_the_judge_is_sure_and_falls_otherwise() -> None:
    strength = AdaptiveStrength(images_to_full=1_000)
    sure, unsure = (torch.ones(10), -torch.ones(10)), (torch.tensor([1.0, -1.0] * 5), torch.zeros(10))
    assert pushed(strength, *sure, times=20) == pytest.approx(0.2)
    assert pushed(strength, *unsure, times=5) == pytest.approx(0.15)
    assert pushed(strength, *unsure, times=100) == 0
    assert pushed(strength, *sure, times=1_000) == strength.ceiling


def test_sureness_does_not_depend_on_the_level_of_the_logits() -> None:
    low, high = AdaptiveStrength(), AdaptiveStrength()
    real, fake = torch.randn(16) + 2, torch.randn(16) - 2
    assert pushed(low, real, fake, 3) == pushed(high, real + 100, fake + 100, 3) > 0


@settings(deadline=None, max_examples=50)
@given(
    logits=st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=30),
    images_to_full=st.integers(1, 100),
    ceiling=st.floats(0, 1),
)
def test_strength_stays_between_zero_and_its_ceiling(
    logits: list[tuple[float, float]], images_to_full: int, ceiling: float
) -> None:
    strength = AdaptiveStrength(images_to_full=images_to_full, ceiling=ceiling)
    for real, fake in logits:
        strength.observe(torch.full((4,), real), torch.full((4,), fake))
        assert 0 <= strength.probability <= ceiling
