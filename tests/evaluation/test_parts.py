"""Each part of a verdict: real images pass, and what is wrong with a set fails where it is wrong."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from augmentor.evaluation.detail import detail
from augmentor.evaluation.likeness import likeness
from augmentor.evaluation.memory import memory
from augmentor.evaluation.originals import originals
from augmentor.evaluation.part import Grade, Part, graded
from augmentor.evaluation.sets import Sets, Side
from augmentor.recipe import Evaluation, Recipe
from augmentor.scaling import Scaling
from data_adapters.phantoms import radiograph

LIMITS = Evaluation()
SIZE = 32
TRAIN, HELD_OUT, MADE = 120, 80, 120


@lru_cache(maxsize=1)
def chests() -> np.ndarray:
    """Radiographs of as many patients as three sides need, (N, 1, H, W) in [-1, 1]."""
    drawn = [
        radiograph(np.random.default_rng([5, k]), SIZE, opacity=k % 2 == 1) for k in range(TRAIN + HELD_OUT + MADE)
    ]
    return (np.stack(drawn)[:, None] * 2 - 1).astype(np.float32)


def side(planes: np.ndarray, name: str) -> Side:
    return Side(planes, tuple(f"{name} {k}" for k in range(len(planes))), tuple({} for _ in planes))


def sets(made: Callable[[np.ndarray], np.ndarray] = lambda unseen: unseen) -> Sets:
    """``made`` is given radiographs that nobody else has."""
    every = chests()
    train, held_out, unseen = np.split(every, (TRAIN, TRAIN + HELD_OUT))
    return Sets(
        side(train, "train"),
        side(held_out, "held out"),
        side(made(unseen.copy()), "sample"),
        Recipe(name="chests"),
        Scaling((0.0,), (4095.0,)),
        ("CR",),
    )


def shuffled(planes: np.ndarray) -> np.ndarray:
    flat = planes.reshape(len(planes), -1)
    return np.random.default_rng(0).permuted(flat, axis=1).reshape(planes.shape)


def blurred(planes: np.ndarray) -> np.ndarray:
    return gaussian_filter(planes, (0, 0, 1.5, 1.5))


def grainy(planes: np.ndarray) -> np.ndarray:
    return planes + np.random.default_rng(0).normal(scale=0.1, size=planes.shape).astype(np.float32)


def alike(planes: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(scale=0.005, size=planes.shape)
    return (planes[:1] + noise).astype(np.float32)


def copied(planes: np.ndarray) -> np.ndarray:
    planes[:7] = chests()[10:17]
    return planes


PARTS: dict[str, Callable[[Sets], Part]] = {
    "originals": originals,
    "likeness": lambda found: likeness(found, LIMITS),
    "detail": lambda found: detail(found, LIMITS),
    "memory": lambda found: memory(found, LIMITS),
}


@pytest.mark.parametrize("part", PARTS)
def test_real_images_pass(part: str) -> None:
    found = PARTS[part](sets())
    assert found.grade is Grade.PASS, found.reason


@pytest.mark.parametrize(
    ("wrong", "part", "word"),
    [
        (shuffled, "likeness", "Fréchet"),
        (alike, "likeness", "recall"),
        (blurred, "detail", "less power"),
        (grainy, "detail", "more power"),
        (copied, "memory", "7 of 120"),
    ],
)
def test_what_is_wrong_fails_where_it_is_wrong(wrong: Callable[[np.ndarray], np.ndarray], part: str, word: str) -> None:
    found = PARTS[part](sets(wrong))
    assert found.grade is Grade.FAIL
    assert word in found.reason


@pytest.mark.parametrize(
    "hidden",
    [lambda x: x, lambda x: x[..., ::-1], lambda x: np.roll(x, 2, axis=-1), lambda x: 0.98 * x + 0.01],
    ids=["as it is", "mirrored", "shifted", "relit"],
)
def test_one_copy_among_a_thousand_is_found(hidden: Callable[[np.ndarray], np.ndarray]) -> None:
    def planted(unseen: np.ndarray) -> np.ndarray:
        many = np.concatenate([unseen] * 9)[:1000]
        many = many + np.random.default_rng(0).normal(scale=0.02, size=many.shape).astype(np.float32)
        many[345] = hidden(chests()[33])
        return many

    found = memory(sets(planted), LIMITS)
    assert found.grade is Grade.FAIL
    assert found.figures["copies"] == ["sample 345"]
    assert found.table[1][:2] == ("sample 345", "train 33")


def test_what_is_on_both_sides_is_told_first() -> None:
    every = sets()
    every.held_out.planes[:8] = every.train.planes[20:28]
    found = originals(every)
    assert found.grade is Grade.FAIL
    assert found.figures["held_out_and_the_same_in_training"] == 8


@pytest.mark.parametrize(
    ("value", "sure", "grade"),
    [(1.0, None, Grade.PASS), (3.0, None, Grade.CAUTION), (5.0, None, Grade.FAIL), (5.0, 3.0, Grade.CAUTION)],
)
def test_a_doubtful_figure_refuses_nothing(value: float, sure: float | None, grade: Grade) -> None:
    assert graded(value, (2.0, 4.0), sure) is grade
