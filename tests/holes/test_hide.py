"""Hidden parts leak nothing of their truth, and a correction is judged fairly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from augmentor.holes.column import Column
from augmentor.holes.context import channels
from augmentor.holes.hide import GAPS, Hidden, Hider, Lost, runs
from augmentor.holes.judge import careful_gain, judge, least_gain


def column(slices: int, *, cloudy: float = 0.0, seed: int = 0, count: int = 2) -> Column:
    """Random values, all different, so that each pixel can be recognised."""
    random = np.random.default_rng(seed)
    values = random.permutation(count * slices * 16 * 20).reshape(count, slices, 16, 20)
    known = np.ones((slices, 16, 20), dtype=bool)
    known[:, :, : int(20 * cloudy)] = False
    positions = list(np.cumsum(random.uniform(1, 5, slices)))
    return Column.of((values / values.size).astype(np.float32), known, positions)


CASES = [(True, 3, 0.0), (True, 4, 0.0), (True, 9, 0.0), (False, 1, 0.0), (False, 1, 0.3), (False, 6, 0.3)]


@pytest.mark.parametrize(("volume", "slices", "cloudy"), CASES)
def test_hidden_parts_have_the_shapes_said_and_hide_what_was_known(volume: bool, slices: int, cloudy: float) -> None:
    columns = [column(slices, cloudy=cloudy, seed=seed) for seed in range(3)]
    hidden = Hider(columns, volume=volume, seed=0).draw(20)
    assert hidden.told.shape == (20, channels(2), 16, 20)
    assert hidden.prior.shape == hidden.truth.shape == (20, 2, 16, 20)
    assert hidden.hole.shape == (20, 1, 16, 20)
    assert hidden.hole.any(axis=(1, 2, 3)).all()
    assert np.isfinite(hidden.told).all()
    unobserved = np.concatenate([c.values[:, ~c.known].ravel() for c in columns])
    taken = np.moveaxis(hidden.truth, 1, -1)[hidden.hole[:, 0]]
    assert not set(taken.ravel()) & (set(unobserved) - {v for c in columns for v in c.values[:, c.known].ravel()})


@pytest.mark.parametrize(("volume", "slices", "cloudy"), CASES)
def test_nothing_of_the_truth_is_told(volume: bool, slices: int, cloudy: float) -> None:
    hidden = Hider([column(slices, cloudy=cloudy)], volume=volume, seed=0).draw(30)
    met = []
    for told, truth, hole in zip(hidden.told, hidden.truth, hidden.hole, strict=True):
        met.append(np.isin(truth[:, hole[0]], told).ravel())
        seen = told[:2][:, told[2] > 0]
        assert np.isin(seen, truth).all()
    # Interpolations do not meet a value again but by rare chance; a leak would meet all of them.
    assert np.concatenate(met).mean() < 0.005
    assert max(map(np.mean, met)) < 0.05


@pytest.mark.parametrize("slices", [3, 4, 6, 12])
def test_a_volume_hides_runs_between_its_first_and_last_slice(slices: int) -> None:
    depth = np.arange(slices, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 4, 4), np.float32)
    seen = np.ones((slices, 4, 4), bool)
    hider = Hider([Column.of(depth, seen, list(range(slices)))], volume=True, seed=0)
    hidden = hider.draw(300)
    assert hidden.hole.all()
    assert set(np.unique(hidden.truth)) == set(range(1, slices - 1))
    before, after = hidden.told[:, 2, 0, 0], hidden.told[:, 3, 0, 0]
    gaps = after - before - 1
    assert set(gaps) == {gap for gap in GAPS if gap <= slices - 2}
    np.testing.assert_allclose(hidden.prior, hidden.truth, atol=1e-5)


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_no_run_of_slices_lies_between_two_volumes(gap: int) -> None:
    """Volumes of one file follow each other, far apart."""
    depth, volumes = 6, 3
    positions = [i + 1000 * (i // depth) for i in range(depth * volumes)]
    inside = {first + depth * number for number in range(volumes) for first in range(1, depth - gap)}
    beside_each_other = column(depth * volumes)._replace(positions=positions)
    assert {run.start for run in runs(beside_each_other, (gap,))} == inside


def test_slices_that_lie_farther_apart_than_most_are_hidden_as_well() -> None:
    positions = [*np.arange(30) * 0.5, *(20 + 6 * np.arange(12))]
    irregular = column(42)._replace(positions=positions)
    assert {run.start for run in runs(irregular, (1,))} == set(range(1, 41))


@pytest.mark.parametrize("every", [2, 3, 5])
def test_slices_that_never_lie_together_are_hidden_one_by_one(every: int) -> None:
    whole = column(6 * every + 1)
    there = (np.arange(len(whole.known)) % every == 0)[:, None, None]
    sparse = whole._replace(known=whole.known & there, told=whole.told & there)
    found = runs(sparse, (every - 1,))
    assert found == [slice(k, k + 1) for k in range(every, 6 * every, every)]
    hidden = Hider([sparse], volume=True, seed=0, gaps=(every - 1,)).draw(8)
    assert set(hidden.slices.tolist()) <= set(range(every, 6 * every, every))


@pytest.mark.parametrize("away", [1, 2, 5, 8])
@pytest.mark.parametrize("lost", ["earlier", "later"])
def test_at_an_end_slices_are_hidden_with_all_beyond_and_the_nearest_lies_so_far_away(lost: Lost, away: int) -> None:
    height = np.broadcast_to(np.arange(9.0, dtype=np.float32)[:, None, None], (9, 16, 20))
    scene = Column.of(height[None], np.ones((9, 16, 20), dtype=bool), list(range(9)))
    hidden = Hider([scene], volume=True, seed=0, gaps=(away,), lost=lost, prior="nearest").draw(100)
    assert hidden.hole.all()
    np.testing.assert_array_equal(hidden.truth - hidden.prior, away if lost == "later" else -away)
    np.testing.assert_array_equal(hidden.truth[:, 0, 0, 0], hidden.slices)
    assert len(set(hidden.slices.tolist())) == 9 - away


@pytest.mark.parametrize("lost", ["earlier", "later"])
def test_what_lies_farther_away_than_there_are_slices_cannot_be_hidden(lost: Lost) -> None:
    assert not Hider([column(4)], volume=True, seed=0, gaps=(4,), lost=lost, prior="nearest").share.any()


def test_slices_that_show_nothing_in_common_cannot_be_hidden_at_an_end() -> None:
    halves = column(2)
    halves.known[0, :, :10] = halves.known[1, :, 10:] = False
    for lost in ("earlier", "later"):
        assert not Hider([halves], volume=True, seed=0, gaps=(1,), lost=lost, prior="nearest").share.any()


def test_what_goes_through_all_slices_is_hidden_in_all_of_them_and_in_part() -> None:
    hidden = Hider([column(6)], volume=True, seed=0, gaps=(6,), whole=0.0).draw(60)
    assert set(hidden.slices.tolist()) == set(range(6))
    assert not hidden.hole.all(axis=(1, 2, 3)).any()
    # No view before or behind tells anything where it is hidden, and the slice's own rim does.
    unknown = np.moveaxis(hidden.told[:, 2 + 1 + 4 * 2 : 2 + 1 + 4 * 2 + 4], 1, -1)[hidden.hole[:, 0]]
    assert (unknown > 0).all() and np.isfinite(hidden.prior).all()
    assert runs(column(6), (6,)) == [slice(k, k + 1) for k in range(1, 5)]


def test_the_wider_the_look_the_deeper_what_is_hidden() -> None:
    values = np.random.default_rng(0).normal(size=(1, 1, 256, 256)).astype(np.float32)
    plane = Column.of(values, np.ones((1, 256, 256), dtype=bool), [0.0])

    def deepest(looked_at: int) -> float:
        hidden = Hider([plane], volume=False, seed=0, size=(32, 32), looked_at=looked_at).draw(80)
        # Own values, where they are clear, four views, and four distances; the last one has the longest reach.
        return float(hidden.told[:, 9].max())

    assert deepest(64) < deepest(128) < deepest(256)


def test_clouds_that_move_keep_their_shape() -> None:
    scene = column(6, seed=1)
    scene.known[2, 4:9, 5:13] = False
    hidden = Hider([scene], volume=False, seed=0).draw(60)
    sizes = hidden.hole.sum(axis=(1, 2, 3))
    assert (sizes == 40).mean() > 0.4


@pytest.mark.parametrize("volume", [True, False])
def test_what_is_hidden_follows_the_seed_and_leaves_the_columns_alone(volume: bool) -> None:
    scene = column(5)
    before = (scene.values.copy(), scene.known.copy())
    first, again, other = (Hider([scene], volume=volume, seed=seed).draw(6) for seed in (0, 0, 1))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.truth, other.truth)
    np.testing.assert_array_equal(scene.values, before[0])
    np.testing.assert_array_equal(scene.known, before[1])


def example(seed: int = 0, count: int = 3) -> Hidden:
    random = np.random.default_rng(seed)
    prior, truth = random.normal(size=(2, 4, count, 8, 8))
    return Hidden(np.zeros((4, 1, 8, 8), np.float32), prior, truth, random.random((4, 1, 8, 8)) < 0.4, np.zeros(4, int))


@pytest.mark.parametrize(
    ("factor", "gain", "left"),
    [(1.0, 1.0, 0.0), (2.0, 0.5, 0.0), (0.5, 1.0, 0.25), (-1.0, 0.0, 1.0), (0.0, 0.0, 1.0), (10.0, 0.1, 0.0)],
)
def test_the_gain_of_a_multiple_of_the_perfect_correction(factor: float, gain: float, left: float) -> None:
    hidden = example()
    judged = judge(factor * (hidden.truth - hidden.prior), hidden)
    assert judged.gain == pytest.approx((gain,) * 3)
    assert judged.error == pytest.approx(left * judged.prior_error, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), help=st.floats(-2, 2), noise=st.floats(0, 5))
def test_a_judged_correction_never_loses_to_the_prior(seed: int, help: float, noise: float) -> None:
    hidden = example(seed)
    random = np.random.default_rng(seed + 1)
    correction = help * (hidden.truth - hidden.prior) + noise * random.normal(size=hidden.truth.shape)
    judged = judge(correction, hidden)
    assert all(0 <= gain <= 1 for gain in judged.gain)
    assert judged.error <= judged.prior_error * (1 + 1e-9)
    wanted = (hidden.truth - hidden.prior)[np.broadcast_to(hidden.hole, hidden.truth.shape)]
    assert judged.prior_error == pytest.approx((wanted**2).mean())


def test_channels_are_judged_apart() -> None:
    hidden = example()
    perfect = hidden.truth - hidden.prior
    assert judge(perfect * np.array([1, -1, 4])[:, None, None], hidden).gain == pytest.approx((1, 0, 0.25))


def test_what_lies_outside_of_the_hole_is_not_judged() -> None:
    hidden = example()
    correction = np.random.default_rng(5).normal(size=hidden.truth.shape)
    elsewhere = hidden._replace(truth=np.where(hidden.hole, hidden.truth, 50.0))
    assert judge(np.where(hidden.hole, correction, -7.0), elsewhere) == judge(correction, hidden)


@pytest.mark.parametrize(
    ("factors", "gain"),
    [((1, 1, 1, 1), 1.0), ((1, 1, 2, 2), 0.5), ((4, 4, 1, 1), 0.25), ((1, 1, -1, -1), 0.0), ((1, -1, 1, 1), None)],
)
def test_the_least_gain_is_that_of_the_slice_that_it_helped_least(factors: tuple[int, ...], gain: float | None) -> None:
    hidden = example()._replace(slices=np.array([2, 2, 5, 5]))
    correction = np.array(factors)[:, None, None, None] * (hidden.truth - hidden.prior)
    found = least_gain(correction, hidden)
    one = Hidden(*(part[:2] for part in hidden))
    assert found == pytest.approx((gain,) * 3) if gain is not None else found == judge(correction[:2], one).gain


def lots(seed: int, spread: float, parts: int = 48) -> tuple[Hidden, NDArray[np.float64]]:
    """Parts, three by three alike, whose best gain is 0.5 on the mean and lies so far apart; and a correction."""
    random = np.random.default_rng(seed)
    correction = random.normal(size=(parts, 3, 4, 4))
    best = 0.5 + spread * random.normal(size=(parts // 3, 3, 1, 1)).repeat(3, axis=0)
    none = np.zeros_like(correction)
    hole = np.ones((parts, 1, 4, 4), dtype=bool)
    return Hidden(none[:, :1], none, best * correction, hole, np.zeros(parts, int)), correction


@pytest.mark.parametrize("spread", [0.2, 0.5, 1.0])
def test_nine_in_ten_sets_of_parts_call_for_a_careful_gain(spread: float) -> None:
    found = np.array([careful_gain(correction, hidden) for hidden, correction in (lots(s, spread) for s in range(200))])
    # What would be below nothing is nothing.
    assert (found <= 0.5).mean() == pytest.approx(0.9, abs=0.035)


@pytest.mark.parametrize("parts", [2, 5, 48])
@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_a_careful_gain_is_no_larger_than_the_best_and_as_large_where_all_parts_say_the_same(
    spread: float, parts: int
) -> None:
    hidden, correction = lots(7, spread)
    some = Hidden(*(part[:parts] for part in hidden))
    careful, best = careful_gain(correction[:parts], some), judge(correction[:parts], some).gain
    assert all(0 <= one <= other + 1e-9 for one, other in zip(careful, best, strict=True))
    if not spread:
        assert careful == pytest.approx(best)
