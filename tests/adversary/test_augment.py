"""Augmentation keeps within its limits, follows its generator, and its strength follows the game."""

from inspect import signature
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from augmentor.adversary.augment import (
    CUTOUT,
    EVERYWHERE,
    INTENSITY,
    SHIFT,
    TRANSFORMS,
    TURNING,
    AdaptiveStrength,
    augment,
)
from augmentor.adversary.draws import Draws
from augmentor.adversary.rules import Rules
from augmentor.together.team import Part

SHAPES = [(6, 1, 32, 32), (5, 13, 16, 24), (4, 3, 64, 32), (4, 2, 8, 16, 16), (3, 1, 16, 8, 24)]


def seeded(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def test_labels_stay_true_unless_turning_is_asked_for() -> None:
    assert {*EVERYWHERE, *TURNING} == set(TRANSFORMS)
    assert not {"mirror", "turn"} & {*EVERYWHERE}
    assert Rules().transforms == signature(augment).parameters["transforms"].default == EVERYWHERE


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_at_probability_zero_nothing_happens_and_nothing_is_drawn(shape: tuple[int, ...]) -> None:
    x, draws = torch.randn(shape), seeded()
    before = draws.random.get_state()
    assert augment(x, 0.0, draws) is x
    assert torch.equal(draws.random.get_state(), before)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("names", [*((name,) for name in TRANSFORMS), EVERYWHERE + TURNING], ids="+".join)
def test_augmentation_keeps_the_shape_follows_its_generator_and_lets_gradients_through(
    names: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    x = torch.randn(shape, requires_grad=True)
    first, again, *others = (augment(x, 1.0, seeded(s), names) for s in (1, 1, *range(2, 12)))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    # A plane that is not square has one turn, and everything one mirror.
    one_way = names == ("mirror",) or (names == ("turn",) and shape[-1] != shape[-2])
    assert any(not torch.equal(first, other) for other in others) != one_way
    (slope,) = torch.autograd.grad(first.square().sum(), x)
    assert slope.isfinite().all()
    assert (slope != 0).float().mean() > 0.5


@pytest.mark.parametrize("probability", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_a_batch_are_changed_as_the_whole_is(probability: float, parts: int) -> None:
    x, names = torch.randn(8, 1, 16, 16), EVERYWHERE + TURNING
    for seed in range(20):
        whole = seeded(seed)
        expected = augment(x, probability, whole, names)
        for rows in torch.arange(8).split(8 // parts):
            draws = Draws(torch.Generator().manual_seed(seed), Part(int(rows[0]), len(rows), 8))
            assert torch.equal(augment(x[rows], probability, draws, names), expected[rows])
            assert torch.equal(draws.random.get_state(), whole.random.get_state())


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_as_many_samples_are_changed_as_chance_says(probability: float) -> None:
    x = torch.randn(3_000, 1, 8, 8)
    changed = (augment(x, probability, seeded()) != x).flatten(1).any(dim=1)
    # Three transforms; a translation by nothing happens once in nine, a cutout of nothing never here.
    at_most = 1 - (1 - probability) ** 3
    at_least = 1 - (1 - probability) ** 2 * (1 - probability * 8 / 9)
    assert at_least - 0.03 <= changed.float().mean() <= at_most + 0.03


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_intensity_is_one_small_line_a_sample(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    made = TRANSFORMS["intensity"](x, seeded())
    for before, after in zip(x.flatten(1).double(), made.flatten(1).double(), strict=True):
        gain = ((after - after.mean()) * (before - before.mean())).sum() / (before - before.mean()).square().sum()
        offset = after.mean() - gain * before.mean()
        assert abs(gain - 1) <= INTENSITY + 1e-5
        assert abs(offset) <= INTENSITY + 1e-5
        torch.testing.assert_close(after, gain * before + offset, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_translation_is_a_window_of_the_image_with_its_edge_repeated(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    made = TRANSFORMS["translate"](x, seeded())

    def moved(image: Tensor, steps: tuple[int, ...]) -> Tensor:
        for axis, step in enumerate(steps, start=1):
            side = image.shape[axis]
            image = image.index_select(axis, (torch.arange(side) + step).clamp(0, side - 1))
        return image

    reach = [range(-round(side * SHIFT), round(side * SHIFT) + 1) for side in shape[2:]]
    found = []
    for before, after in zip(x, made, strict=True):
        fits = [steps for steps in product(*reach) if torch.equal(moved(before, steps), after)]
        assert len(fits) == 1
        found += fits
    assert len(set(found)) > 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cutout_blanks_one_small_box_in_all_channels(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    made = TRANSFORMS["cutout"](x, seeded())
    for before, after in zip(x, made, strict=True):
        blank = (after != before).any(dim=0)
        assert (after[:, blank] == 0).all()
        box = torch.ones_like(blank)
        for axis, side in enumerate(shape[2:]):
            others = [other for other in range(blank.ndim) if other != axis]
            along = blank.any(dim=others[1]).any(dim=others[0]) if len(others) == 2 else blank.any(dim=others[0])
            assert 1 <= along.sum() <= side * CUTOUT + 1
            box &= along.view([-1 if a == axis else 1 for a in range(blank.ndim)])
        assert torch.equal(blank, box)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", TURNING)
def test_turning_moves_pixels_of_a_plane_and_nothing_else(name: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    turns = [1, 2, 3] if shape[-1] == shape[-2] else [2]
    for before, after in zip(x, TRANSFORMS[name](x, seeded()), strict=True):
        if name == "mirror":
            ways = [before.index_select(-1, torch.arange(shape[-1] - 1, -1, -1))]
        else:
            ways = [torch.rot90(before, turn, (-2, -1)) for turn in turns]
        assert sum(torch.equal(after, way) for way in ways) == 1
        assert torch.equal(after.flatten(-2).sort().values, before.flatten(-2).sort().values)


def test_a_square_is_turned_in_all_ways() -> None:
    x = torch.randn(1, 1, 4, 4).expand(60, -1, -1, -1)
    made = TRANSFORMS["turn"](x, seeded())
    assert len({tuple(image.flatten().tolist()) for image in made}) == 3


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
