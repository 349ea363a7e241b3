"""What is usual: chances of scores, maps and scores of images."""

from __future__ import annotations

import numpy as np
import pytest

from augmentor.measures.localisation import region_overlap
from augmentor.scoring.normal import FIGURES, Normal, Usual, image_scores, strangeness


@pytest.mark.parametrize("count", [9, 19, 99])
def test_of_usual_images_no_more_raise_an_alarm_than_were_allowed(count: int) -> None:
    random = np.random.default_rng(count)
    for alarms in (0.1, 0.3):
        raised = []
        for _ in range(400):
            *usual, new = random.normal(size=count + 1)
            raised.append(Normal("", (), (), tuple(sorted(usual))).chance(new) <= alarms)
        # A binomial of 400 trials strays by four standard deviations once in 16,000.
        assert np.mean(raised) <= alarms + 4 * np.sqrt(alarms * (1 - alarms) / 400)


def test_a_score_beyond_all_usual_ones_is_as_rare_as_their_number_can_tell() -> None:
    normal = Normal("", (), (), (1.0, 2.0, 3.0))
    assert [normal.chance(score) for score in (0, 1, 2.5, 3, 9)] == [1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("tile", [(16, 16), (8, 16, 16)])
def test_views_are_told_in_standard_deviations_of_valid_pixels(tile: tuple[int, ...]) -> None:
    views = np.random.default_rng(0).normal(3, 2, (4, 3, *tile)).astype(np.float32)
    valid = np.ones((4, *tile), bool)
    valid[..., :5] = False
    normal = Normal("", 3 * (Usual(3, 2),), 4 * (Usual(0, 1),), ())
    apart = normal.apart(views)
    np.testing.assert_allclose(apart, (views - 3) / 2, atol=1e-6)
    # What is not valid counts nowhere.
    wild = np.where(valid[:, None], apart, 1e6).astype(np.float32)
    np.testing.assert_allclose(normal.figures_of(wild, valid), normal.figures_of(apart, valid))
    np.testing.assert_allclose(strangeness(wild, valid), strangeness(apart, valid))
    assert not strangeness(apart, valid)[..., :5].any()


def test_figures_of_usual_images_have_mean_0_and_spread_1_and_a_score_grows_with_what_is_strange() -> None:
    random = np.random.default_rng(0)
    views, valid = random.normal(3, 2, (40, 3, 16, 16)).astype(np.float32), np.ones((40, 16, 16), bool)
    normal = Normal.of(views, valid)
    figures = normal.figures_of(normal.apart(views), valid)
    assert figures.shape == (40, len(FIGURES))
    np.testing.assert_allclose(figures.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(figures.std(axis=0), 1, atol=1e-4)

    def told(changed: np.ndarray) -> dict[str, float]:
        found = normal.figures_of(normal.apart(changed), valid)
        return dict(zip(FIGURES, found[0] - figures[0], strict=True)) | {
            "score": float((image_scores(found) - image_scores(figures))[0])
        }

    everywhere, somewhere, doubted = views.copy(), views.copy(), views.copy()
    everywhere[0, 0] += 1
    somewhere[0, 0, 5:8, 5:8] += 9
    doubted[0, FIGURES.index("tokens")] += 9
    for changed, grown in ((everywhere, "reconstruction"), (somewhere, "peak"), (doubted, "tokens")):
        found = told(changed)
        assert found[grown] == max(found.values()) > 3
        assert (found["score"] > 0.5) == (grown != "tokens")


def test_what_is_alike_everywhere_is_as_strange_after_smoothing() -> None:
    valid = np.random.default_rng(0).random((2, 32, 32)) > 0.3
    found = strangeness(np.full((2, 3, 32, 32), 1.5, np.float32), valid)
    np.testing.assert_allclose(found[valid], 1.5, rtol=1e-5)


def test_region_overlap_counts_small_regions_as_large_ones() -> None:
    truth = np.zeros((1, 40, 40), bool)
    truth[0, 2:4, 2:4] = truth[0, 10:30, 10:30] = True
    valid = np.ones_like(truth)
    assert region_overlap(truth.astype(float), truth, valid) == pytest.approx(1)
    only_large = np.zeros(truth.shape)
    only_large[0, 10:30, 10:30] = 1
    assert region_overlap(only_large, truth, valid) == pytest.approx(0.5, abs=0.02)
    assert region_overlap(-truth.astype(float), truth, valid) == 0
    noise = np.random.default_rng(0).random((8, 40, 40))
    assert region_overlap(noise, np.repeat(truth, 8, 0), np.repeat(valid, 8, 0)) == pytest.approx(0.15, abs=0.05)
