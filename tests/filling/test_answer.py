"""An answer follows its network as far as that helped, and its doubt is that of the hidden parts."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from augmentor.filling.answer import Answer, over_planes
from augmentor.filling.trial import Trial
from augmentor.holes.context import Context, channels
from augmentor.holes.hide import Hidden
from augmentor.learners.corrector import NOISE
from augmentor.networks import build_generator
from augmentor.recipe import Model
from augmentor.run import Facts
from augmentor.scaling import Scaling
from augmentor.t2t.generator import Generator
from data_adapters import Channel, Template

Plane = NDArray[np.float32]


def hidden(seed: int = 0, count: int = 2, parts: int = 24) -> Hidden:
    random = np.random.default_rng(seed)
    prior, truth = random.normal(size=(2, parts, count, 16, 16)).astype(np.float32)
    told = np.zeros((parts, channels(count), 16, 16), np.float32)
    # The truth hides in what is told, so that a network can be as good as one likes.
    told[:, :count] = truth - prior
    told[:, count + 1 : 2 * count + 1] = random.normal(size=truth.shape)
    return Hidden(told, prior, truth, random.random((parts, 1, 16, 16)) < 0.6, np.zeros(parts, int))


def network(quality: float, noise: float = 0.0):  # type: ignore[no-untyped-def]
    def correct(told: Plane, drawn: torch.Tensor | None) -> Plane:
        apart = 0 if drawn is None else noise * drawn[:, :1].numpy()
        return np.asarray(quality * told[:, :2] + apart, dtype=np.float32)

    return correct


@pytest.mark.parametrize(("quality", "gain"), [(1.0, 1.0), (2.0, 0.5), (-1.0, 0.0), (0.5, 1.0)])
def test_a_network_is_followed_as_far_as_it_helps(quality: float, gain: float) -> None:
    parts = hidden()
    answer, judged = Answer("linear", network(quality)).judged(Trial(parts, unlike=True))
    # A few of the corrections are unusually large, and taken back.
    assert answer.gain == pytest.approx((gain,) * 2, abs=1e-3)
    context = Context(parts.prior[0], parts.told[0])
    correction = quality * parts.told[0, :2]
    usual = np.abs(correction) <= np.array(answer.most)[:, None, None]
    assert usual.mean() > 0.99
    made = answer(context).values - parts.prior[0]
    followed = np.array(answer.gain)[:, None, None] * correction
    np.testing.assert_allclose(made[usual], followed[usual], atol=1e-6)
    assert (np.abs(made) <= max(answer.gain) * np.array(answer.most)[:, None, None] + 1e-5).all()
    assert judged.error <= judged.prior_error


@pytest.mark.parametrize(("everywhere", "unseen", "gain"), [(1.0, 2.0, 0.5), (2.0, 1.0, 0.5), (1.0, -1.0, 0.0)])
def test_in_a_plane_alone_a_network_is_followed_no_farther_than_unseen_parts_say(
    everywhere: float, unseen: float, gain: float
) -> None:
    def parts(quality: float, seed: int) -> Hidden:
        of_it = hidden(seed)
        of_it.told[:, :2] *= quality
        return of_it

    trial = Trial(parts(everywhere, 0), unlike=True, unseen=parts(unseen, 1))
    answer, judged = Answer("linear", network(1.0)).judged(trial)
    # What is larger than is usual elsewhere is taken back, which leaves less to be taken back by the gain.
    assert answer.gain == pytest.approx((gain,) * 2, abs=0.08)
    assert judged.error <= judged.prior_error


@pytest.mark.parametrize("times", [1.0, 2.0, 10.0, 1000.0])
@pytest.mark.parametrize("sharp", [False, True])
def test_a_network_that_is_lost_is_followed_the_less_the_farther_it_goes(times: float, sharp: bool) -> None:
    parts = hidden()
    answer, _ = Answer("linear", network(1.0), sharp=sharp).judged(Trial(parts, unlike=True))
    told = parts.told[0].copy()
    told[:2, 4:8, 4:8] = times * np.array(answer.most)[:, None, None]
    made = answer(Context(parts.prior[0], told)).values - parts.prior[0]
    np.testing.assert_allclose(
        made[:, 4:8, 4:8] * times, np.broadcast_to(np.array(answer.most)[:, None, None], (2, 4, 4)), rtol=1e-2
    )
    # It is lost there alone.
    away = np.ones((16, 16), bool)
    away[4:8, 4:8] = False
    before = answer(Context(parts.prior[0], parts.told[0])).values - parts.prior[0]
    np.testing.assert_array_equal(made[:, away], before[:, away])


@pytest.mark.parametrize("quality", [None, 0.9, -1.0])
def test_the_interval_holds_nine_in_ten_hidden_truths(quality: float | None) -> None:
    def unforeseen(seed: int) -> Hidden:
        """Parts that no network is quite right about."""
        parts = hidden(seed)
        noise = np.random.default_rng(seed + 100).normal(size=parts.truth.shape)
        return parts._replace(truth=(parts.truth + 0.3 * noise).astype(np.float32))

    own = Answer("linear") if quality is None else Answer("linear", network(quality, 0.3))
    answer, _ = own.judged(Trial(unforeseen(0)))
    parts = unforeseen(1)
    rebuilt = [answer(Context(prior, told)) for prior, told in zip(parts.prior, parts.told, strict=True)]
    inside = np.stack([np.abs(t - r.values) <= r.half for t, r in zip(parts.truth, rebuilt, strict=True)])
    assert np.moveaxis(inside, 1, -1)[parts.hole[:, 0]].mean() == pytest.approx(0.9, abs=0.03)


def test_of_slices_that_are_all_alike_every_correction_is_followed() -> None:
    parts = hidden()
    answer, _ = Answer("linear", network(1.0)).judged(Trial(parts))
    told = parts.told[0].copy()
    told[:2] *= 100
    made = answer(Context(parts.prior[0], told)).values - parts.prior[0]
    np.testing.assert_allclose(made, answer.gain[0] * told[:2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_the_interval_is_as_much_wider_as_rows_err_more_with_the_neighbours_of_holes(times: float) -> None:
    own, as_hidden = hidden(0), hidden(1)
    context = Context(own.prior[0], own.told[0])

    def half(times: float) -> Plane:
        rows = as_hidden._replace(truth=as_hidden.prior + times * (as_hidden.truth - as_hidden.prior))
        return Answer("linear").judged(Trial(own, (rows, as_hidden)))[0](context).half

    alone, _ = Answer("linear").judged(Trial(own))
    # Each bin of rows has a quantile of its own.
    assert half(1.0).mean() == pytest.approx(alone(context).half.mean(), rel=0.02)
    np.testing.assert_allclose(half(times), times * half(1.0), rtol=1e-5)


@pytest.mark.parametrize("closer", [0.25, 0.5, 2.0])
def test_what_the_spread_tells_of_nearer_neighbours_is_not_counted_twice(closer: float) -> None:
    def erring(seed: int, times: float) -> Hidden:
        """Parts whose errors go with how far the neighbours lie apart, both so many times as large."""
        parts = hidden(seed, parts=96)
        told = parts.told.copy()
        told[:, 3:5] *= times
        noise = np.random.default_rng(seed).normal(size=parts.truth.shape)
        return parts._replace(told=told, truth=(parts.prior + told[:, 3:5] * noise).astype(np.float32))

    own, as_hidden, as_holes = erring(0, 1.0), erring(1, 1.0), erring(2, closer)
    answer, _ = Answer("linear").judged(Trial(own, (as_holes, as_hidden)))
    new = erring(3, closer)
    halves = [answer(Context(prior, told)).half for prior, told in zip(new.prior, new.told, strict=True)]
    inside = np.abs(new.truth - new.prior) <= np.stack(halves)
    assert inside.mean() == pytest.approx(0.9, abs=0.03)


def test_a_sharp_answer_is_one_sample_and_the_same_again() -> None:
    parts = hidden()
    best, _ = Answer("linear", network(1.0, 0.3)).judged(Trial(parts))
    sharp, _ = Answer("linear", network(1.0, 0.3), sharp=True).judged(Trial(parts))
    context = Context(parts.prior[0], parts.told[0])
    assert not np.array_equal(sharp(context).values, best(context).values)
    np.testing.assert_array_equal(sharp(context).values, sharp(context).values)
    for part in ("guess", "half"):
        np.testing.assert_array_equal(getattr(sharp(context), part), getattr(best(context), part))
    np.testing.assert_array_equal(best(context).values, best(context).guess)


def test_without_hidden_parts_nothing_is_said_of_doubt() -> None:
    parts = hidden()
    rebuilt = Answer("linear")(Context(parts.prior[0], parts.told[0]))
    np.testing.assert_array_equal(rebuilt.values, parts.prior[0])
    assert not rebuilt.half.any()


def moved_by_hand(facts: Facts) -> Generator:
    """A generator that answers something; an untrained one answers nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = build_generator(facts)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    return generator


FACTS = Facts(
    channels=1,
    context=channels(1) + NOISE,
    tile=(16, 16),
    model=Model().model_dump(),
    conditions=(),
    combinations=(),
    scaling=Scaling((0.0,), (1.0,)),
    template=Template("nifti", "volume", "MR", (Channel("a"),), "int16", 0, 255),
)


def same(one: Plane, other: Plane) -> bool:
    """Equal but for the rounding of sums, which the number of tiles in a batch decides."""
    return bool(np.abs(one - other).max() < 1e-5 * np.abs(other).max())


def plane(height: int, width: int, hole: tuple[slice, slice]) -> Plane:
    """What is told of two planes with one hole."""
    told = np.random.default_rng(0).normal(size=(2, channels(1), height, width)).astype(np.float32)
    told[:, 1] = 1
    told[:, 1, *hole] = 0
    return told


@pytest.mark.parametrize("axes", [(2,), (3,), (2, 3)])
@pytest.mark.parametrize("mirrored", [True, False])
def test_what_is_mirrored_is_answered_by_the_mirrored_guess(mirrored: bool, axes: tuple[int, ...]) -> None:
    generator = moved_by_hand(FACTS)
    guess = over_planes(generator, FACTS, mirrored=mirrored)
    told = plane(16, 16, (slice(3, 9), slice(2, 12)))
    there, back = guess(told, None), np.flip(guess(np.flip(told, axes).copy(), None), axes)
    assert same(there, back) == mirrored
    # A sample is one draw, not a mean of four.
    noise = torch.randn(2, NOISE, 16, 16, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(guess(told, noise), over_planes(generator, FACTS)(told, noise))


def test_tiles_without_a_hole_cost_nothing_and_change_nothing() -> None:
    hole = (slice(10, 20), slice(30, 44))
    told = plane(48, 64, hole)
    generator = moved_by_hand(FACTS)
    asked: list[int] = []
    hook = generator.register_forward_pre_hook(lambda _, args: asked.append(len(args[2])))
    few = over_planes(generator, FACTS)(told, None)
    hook.remove()
    everywhere = told.copy()
    everywhere[:, 1, :1, :] = everywhere[:, 1, -1:, :] = 0
    assert 0 < sum(asked) < 2 * 4 * 5
    assert few[:, :, *hole].any()
    assert not few[:, :, 40:].any()
    # Those that hold the hole hold nothing else, and are what they were.
    whole = over_planes(generator, FACTS)(everywhere, None)
    far = (slice(16, 20), slice(34, 40))
    assert same(few[:, :, *far], whole[:, :, *far])
