"""Samples are let through one by one: no copies, and nothing that looks like no real image."""

import csv
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pytest

from augmentor.errors import RunError, TooLittleData
from augmentor.evaluation.sets import padded_alike
from augmentor.evaluation.sieve import FEWEST, PATIENCE, TOGETHER, Patience, Sieve
from augmentor.ingest import ingest
from augmentor.run import Run
from augmentor.sampling import Sample
from augmentor.synthesize import synthesize
from augmentor.train import train
from data_adapters import phantoms

SMALL = ("tiles.size=[32,32]", "tiles.held_out=0.4", "game.images=16", "data.group=patient",
         "conditions.finding.column=finding")  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("sieve")
    phantoms.chest_set(folder / "real", 90, 3, 48)
    return train("chest_xray", data=folder / "real", changes=SMALL, runs=folder / "runs")


@pytest.fixture(scope="module")
def real(trained: Run) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that were trained on, and pixels that were held out, (N, 1, 32, 32)."""
    tiles = ingest(trained.recipe, trained.folder.parent / "tiles")
    train_side, held_out = (tiles.load(tiles.rows(held_out=aside))[0] for aside in (False, True))
    return train_side, held_out


@pytest.fixture(scope="module")
def sieve(trained: Run) -> Sieve:
    return Sieve(trained, trained.folder.parent / "tiles")


def drawn(pixels: Iterator[np.ndarray]) -> Iterator[Sample]:
    return (Sample(plane.astype(float), None, {}, 0, index) for index, plane in enumerate(pixels))


def let_through(sieve: Sieve, samples: Iterator[Sample]) -> list[int]:
    """Numbers of those that come through, looked at together as they always are."""
    blocks = groupby(samples, key=lambda sample: sample.index // TOGETHER)
    return [sample.index for _, block in blocks for sample in sieve.let_through(list(block)).samples]


def _noise(seed: int, like: np.ndarray) -> np.ndarray:
    return np.random.default_rng(seed).permutation(like.ravel()).reshape(like.shape)


BAD: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "copy": lambda seen, unseen: seen,
    "mirrored copy": lambda seen, unseen: seen[..., ::-1],
    "shifted copy": lambda seen, unseen: np.roll(seen, 2, axis=-1),
    "shuffled pixels": lambda seen, unseen: _noise(1, unseen),
    "blank": lambda seen, unseen: np.full_like(unseen, unseen.mean()),
    "negative": lambda seen, unseen: unseen.max() + unseen.min() - unseen,
}


@pytest.mark.parametrize("bad", BAD)
def test_a_planted_sample_is_dropped_and_unseen_real_images_come_through(
    bad: str, sieve: Sieve, real: tuple[np.ndarray, np.ndarray]
) -> None:
    seen, unseen = real
    planted = BAD[bad](seen[7], unseen[7])
    passed = let_through(sieve, drawn(iter([*unseen[:10], planted, *unseen[10:]])))
    assert 10 not in passed
    assert len(passed) >= 0.9 * len(unseen)


def test_whether_a_sample_comes_through_depends_on_no_other(sieve: Sieve, real: tuple[np.ndarray, np.ndarray]) -> None:
    mixed = np.concatenate([real[1], real[0][:10], real[1][::-1]])
    whole = let_through(sieve, drawn(iter(mixed)))
    later = islice(drawn(iter(mixed)), TOGETHER, None)
    assert let_through(sieve, later) == [index for index in whole if index >= TOGETHER]


@pytest.mark.parametrize(("came", "copies"), [(0, 32), (0, 0), (1, 3), (2, 0), (32, 0)])
def test_it_gives_up_where_hardly_anything_comes_through(trained: Run, came: int, copies: int) -> None:
    patience = Patience(trained)
    for _ in range(PATIENCE // TOGETHER - 1):
        patience.count(TOGETHER, came, copies)
    if came / TOGETHER >= FEWEST:
        patience.count(TOGETHER, came, copies)
        return
    with pytest.raises(RunError, match=f"{came * PATIENCE // TOGETHER} of {PATIENCE} samples"):
        patience.count(TOGETHER, came, copies)


def test_others_are_drawn_in_place_of_the_dropped_and_an_interruption_shows_nowhere(
    trained: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Hardly trained, none of its samples would come through; every third is to be dropped instead.
    def thirds(self: Sieve, block: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.array([sample.index for sample in block])
        return numbers % 3 == 1, np.zeros(len(block), bool)

    monkeypatch.setattr(Sieve, "_dropped", thirds)
    runs = trained.folder.parent
    once = synthesize(40, run=trained.name, out=tmp_path / "once", format="png", sieve=True, runs=runs)
    twice = synthesize(7, run=trained.name, out=tmp_path / "twice", format="png", sieve=True, runs=runs)
    synthesize(40, run=trained.name, out=twice, format="png", sieve=True, runs=runs)
    plain = synthesize(60, run=trained.name, out=tmp_path / "plain", format="png", runs=runs)
    files = sorted(path.name for path in once.iterdir())
    assert files == sorted(path.name for path in twice.iterdir())
    assert all((once / name).read_bytes() == (twice / name).read_bytes() for name in files)
    with (once / "labels.csv").open(newline="") as stream:
        named = [row["file"] for row in csv.DictReader(stream)]
    assert named == [f"sample_{k:06d}.png" for k in range(60) if k % 3 != 1][:40]
    assert all((once / name).read_bytes() == (plain / name).read_bytes() for name in named)


def test_too_few_real_images_are_said(tmp_path: Path) -> None:
    phantoms.chest_set(tmp_path / "few", 18, 3, 48)
    run = train("chest_xray", data=tmp_path / "few", changes=SMALL, runs=tmp_path / "runs")
    with pytest.raises(TooLittleData, match="real tiles"):
        synthesize(2, run=run.name, sieve=True, runs=tmp_path / "runs")


def test_a_sample_is_seen_through_the_padding_of_tiles_that_have_its_conditions() -> None:
    valid = np.array([[True, True], [True, False], [False, True], [False, True]])
    said = [{"site": "a", "text": "one"}, {"site": "a"}, {"site": "b"}, {"site": "b"}]

    def shown(conditions: dict[str, str]) -> set[tuple[bool, ...]]:
        drawn = [Sample(np.zeros((1, 2)), None, conditions, 0, index) for index in range(40)]
        return {tuple(mask.tolist()) for mask in padded_alike(drawn, valid, said)}

    assert shown({"site": "a"}) == {(True, True), (True, False)}
    assert shown({"site": "b"}) == {(False, True)}
    assert shown({"site": "c"}) == shown({}) == {tuple(mask) for mask in valid.tolist()}
