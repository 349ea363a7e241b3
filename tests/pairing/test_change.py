"""Pair k of a seed is the same wherever they begin, differs where its mask says, and is what was asked."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from augmentor.errors import RunError, UserError, WrongCondition
from augmentor.pairing.change import Change, Pair, Where, drawn
from augmentor.recipe import Model
from augmentor.run import Facts
from augmentor.sampling import BLOCK, samples
from augmentor.scaling import Scaling
from augmentor.t2t.conditioning import ClassCondition, CycleCondition
from augmentor.t2t.generator import Generator
from augmentor.t2t.presets import Preset, Stage
from data_adapters import Channel, Template

PRESET = Preset(
    (Stage(16, 1), Stage(8, 1, attend=False)), 8, Stage(16, 1), heads=2, latent=6, latent_per_token=2, style=8
)
LABELS = (0, 3, 7)
PLAIN = Facts(
    channels=2,
    context=0,
    tile=(16, 16),
    model=Model().model_dump(),
    conditions=(ClassCondition("finding", ("none", "nodule")), CycleCondition("month", 12.0)),
    combinations=(({"finding": "none", "month": "4"}, 3), ({"finding": "nodule"}, 1)),
    scaling=Scaling((-1000.0, 0.0), (1000.0, 1.0)),
    template=Template("png", "image", "", (Channel("a"), Channel("b")), "uint8", 0, 255),
)
VOLUME = replace(PLAIN, tile=(8, 8, 16))
ALONG, GIVEN = replace(PLAIN, labels=LABELS), replace(PLAIN, labels=LABELS, given=True)
UNCONDITIONED = replace(PLAIN, conditions=(), combinations=(({}, 1),))

NODULE = {"finding": "none"}, {"finding": "nodule"}
FLOOD = {"segmentation": "0"}, {"segmentation": "7"}
LATER = {"segmentation": "0", "month": "2"}, {"segmentation": "7", "month": "8"}

CASES = {
    "class": (PLAIN, NODULE, True),
    "volume": (VOLUME, NODULE, True),
    "label maps made along": (ALONG, NODULE, True),
    "label of a region": (GIVEN, FLOOD, True),
    "label that takes whatever there was": (GIVEN, ({}, {"segmentation": "3"}), True),
    "label and background": (GIVEN, FLOOD, False),
    "label in another month": (GIVEN, LATER, False),
    "class where label maps are given": (GIVEN, NODULE, True),
}
WHERE = Where((0.1, 0.3), 0.25)


def generator(facts: Facts) -> Generator:
    torch.manual_seed(0)
    made = Generator(facts.made, facts.tile, PRESET, facts.conditions, facts.read)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made.eval().requires_grad_(False)


def draw(name: str, first: int, end: int, seed: int = 0, where: Where = WHERE) -> list[Pair]:
    facts, (before, after), fixed = CASES[name]
    change = Change.asked(facts, before, after)
    every = drawn(generator(facts), facts, first, seed, change, where, fixed=fixed, maps=maps(facts))
    return list(islice(every, end - first))


def maps(facts: Facts) -> list[NDArray[np.int32]]:
    return [np.full(facts.tile, 0, np.int32), np.tile(np.array([0, 3], np.int32), (16, 8))] if facts.given else []


@pytest.mark.parametrize("name", CASES)
def test_a_pair_is_the_same_wherever_they_begin(name: str) -> None:
    whole = draw(name, 0, BLOCK + 2)
    for first, end in ((5, 8), (BLOCK - 1, BLOCK + 2)):
        for one, other in zip(draw(name, first, end), whole[first:end], strict=True):
            assert one.before.index == one.after.index == other.before.index
            np.testing.assert_array_equal(one.before.pixels, other.before.pixels)
            np.testing.assert_array_equal(one.after.pixels, other.after.pixels)
            np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize("name", [name for name, (*_, fixed) in CASES.items() if fixed])
def test_a_fixed_background_is_that_of_before_bit_for_bit(name: str) -> None:
    found = draw(name, 0, 12)
    assert any(pair.mask.any() for pair in found)
    for pair in found:
        np.testing.assert_array_equal(pair.after.pixels[:, ~pair.mask], pair.before.pixels[:, ~pair.mask])
        if pair.mask.any():
            apart = (pair.after.pixels != pair.before.pixels)[:, pair.mask]
            # Some are at the end of their range on both dates.
            assert apart.any()


def test_without_a_fixed_background_the_mask_is_of_labels_and_the_rest_may_follow() -> None:
    for name in ("label and background", "label in another month"):
        pairs = draw(name, 0, 12)
        for fixed, free in zip(draw("label of a region", 0, 12), pairs, strict=True):
            np.testing.assert_array_equal(free.mask, fixed.mask)
        changed = [pair for pair in pairs if pair.mask.any()]
        assert changed
        for pair in changed:
            assert (pair.after.pixels != pair.before.pixels)[:, ~pair.mask].any()
            assert pair.before.labels is not None and pair.after.labels is not None
            np.testing.assert_array_equal(pair.before.labels != pair.after.labels, pair.mask)
    unchanged = [pair for pair in draw("label in another month", 0, 12) if not pair.mask.any()]
    assert unchanged and all((pair.after.pixels != pair.before.pixels).any() for pair in unchanged)


def test_before_is_the_sample_of_that_number() -> None:
    pairs = draw("class", 0, 5, seed=2)
    alone = islice(samples(generator(PLAIN), PLAIN, 0, 2, NODULE[0]), 5)
    for pair, sample in zip(pairs, alone, strict=True):
        np.testing.assert_array_equal(pair.before.pixels, sample.pixels)
        assert pair.before.conditions == sample.conditions


@pytest.mark.parametrize("unchanged", [0.0, 0.25, 1.0])
def test_as_many_pairs_are_unchanged_as_was_asked(unchanged: float) -> None:
    found = draw("class", 0, 64, where=Where((0.1, 0.3), unchanged))
    still = [pair for pair in found if not pair.mask.any()]
    assert len(still) / 64 == pytest.approx(unchanged, abs=0.15 if 0 < unchanged < 1 else 0)
    for pair in found:
        assert (pair.after.pixels == pair.before.pixels).all() == (not pair.mask.any())
        assert pair.after.conditions["finding"] == ("nodule" if pair.mask.any() else "none")
        assert not pair.mask.any() or 0.09 < pair.mask.mean() < 0.31


def test_a_region_may_have_the_form_of_a_mask() -> None:
    shape = np.zeros((16, 16), bool)
    shape[2:6, 3:9] = True
    for pair in draw("class", 0, 4, where=Where(unchanged=0, shapes=[shape])):
        np.testing.assert_array_equal(pair.mask, shape)


@pytest.mark.parametrize(
    ("facts", "before", "after", "error", "said"),
    [
        (UNCONDITIONED, {}, {}, RunError, "no condition that could change"),
        (PLAIN, {"findings": "none"}, {"findings": "nodule"}, WrongCondition, "unknown condition 'findings'"),
        (PLAIN, {"finding": "none"}, {"finding": "mass"}, WrongCondition, "no value 'mass'"),
        (PLAIN, {"finding": "none"}, {"finding": "none"}, WrongCondition, "nothing changes .* finding, month$"),
        (PLAIN, {}, {}, WrongCondition, "nothing changes"),
        (PLAIN, {}, {"finding": "nodule"}, WrongCondition, "says finding of one date alone"),
        (PLAIN, {"month": "x"}, {"month": "3"}, WrongCondition, "month is a number"),
        (PLAIN, {}, {"segmentation": "7"}, WrongCondition, "unknown condition 'segmentation'"),
        (GIVEN, {"segmentation": "0"}, {"segmentation": "5"}, WrongCondition, "no label '5'; labels of this run: 0, 3"),
        (GIVEN, {"segmentation": "0"}, {}, WrongCondition, "says segmentation of before alone"),
        (GIVEN, {"segmentation": "7"}, {"segmentation": "7"}, WrongCondition, "nothing changes .* segmentation$"),
    ],
)
def test_what_cannot_change_is_said(
    facts: Facts, before: dict[str, str], after: dict[str, str], error: type[UserError], said: str
) -> None:
    with pytest.raises(error, match=said):
        Change.asked(facts, before, after)
