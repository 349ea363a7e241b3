"""An answer follows its network as far as that helped, and its doubt is that of the hidden parts."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from augmentor.filling.answer import Answer
from augmentor.filling.trial import Trial
from augmentor.holes.context import Context, channels
from augmentor.holes.hide import Hidden

Plane = NDArray[np.float32]


def hidden(seed: int = 0, count: int = 2, parts: int = 24) -> Hidden:
    random = np.random.default_rng(seed)
    prior, truth = random.normal(size=(2, parts, count, 16, 16)).astype(np.float32)
    told = np.zeros((parts, channels(count), 16, 16), np.float32)
    # The truth hides in what is told, so that a network can be as good as one likes.
    told[:, :count] = truth - prior
    told[:, count + 1 : 2 * count + 1] = random.normal(size=truth.shape)
    return Hidden(told, prior, truth, random.random((parts, 1, 16, 16)) < 0.6)


def network(quality: float, noise: float = 0.0):  # type: ignore[no-untyped-def]
    def correct(told: Plane, drawn: torch.Tensor | None) -> Plane:
        apart = 0 if drawn is None else noise * drawn[:, :1].numpy()
        return np.asarray(quality * told[:, :2] + apart, dtype=np.float32)

    return correct


@pytest.mark.parametrize(("quality", "gain"), [(1.0, 1.0), (2.0, 0.5), (-1.0, 0.0), (0.5, 1.0)])
def test_a_network_is_followed_as_far_as_it_helps(quality: float, gain: float) -> None:
    parts = hidden()
    answer, judged = Answer("linear", network(quality)).judged(Trial(parts))
    assert answer.gain == pytest.approx((gain,) * 2, abs=1e-6)
    context = Context(parts.prior[0], parts.told[0])
    wanted = parts.prior[0] + gain * quality * parts.told[0, :2]
    np.testing.assert_allclose(answer(context).values, wanted, atol=1e-6)
    assert judged.error <= judged.prior_error


@pytest.mark.parametrize("quality", [None, 0.9, -1.0])
def test_the_interval_holds_nine_in_ten_hidden_truths(quality: float | None) -> None:
    own = Answer("linear") if quality is None else Answer("linear", network(quality, 0.3))
    answer, _ = own.judged(Trial(hidden(0)))
    parts = hidden(1)
    rebuilt = [answer(Context(prior, told)) for prior, told in zip(parts.prior, parts.told, strict=True)]
    inside = np.stack([np.abs(t - r.values) <= r.half for t, r in zip(parts.truth, rebuilt, strict=True)])
    assert np.moveaxis(inside, 1, -1)[parts.hole[:, 0]].mean() == pytest.approx(0.9, abs=0.03)


def test_a_sharp_answer_is_one_sample_and_the_same_again() -> None:
    parts = hidden()
    best, _ = Answer("linear", network(1.0, 0.3)).judged(Trial(parts))
    sharp, _ = Answer("linear", network(1.0, 0.3), sharp=True).judged(Trial(parts))
    context = Context(parts.prior[0], parts.told[0])
    assert not np.array_equal(sharp(context).values, best(context).values)
    np.testing.assert_array_equal(sharp(context).values, sharp(context).values)
    np.testing.assert_array_equal(sharp(context).half, best(context).half)


def test_without_hidden_parts_nothing_is_said_of_doubt() -> None:
    parts = hidden()
    rebuilt = Answer("linear")(Context(parts.prior[0], parts.told[0]))
    np.testing.assert_array_equal(rebuilt.values, parts.prior[0])
    assert not rebuilt.half.any()
