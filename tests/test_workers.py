"""A cluster does what one process does, loses nothing with a worker, and tells a user's error as one process does."""

import os
import pickle
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augmentor import recipe as recipes
from augmentor.errors import ClusterError, Interrupted, RunError
from augmentor.ingest import ingest
from augmentor.synthesize import synthesize
from augmentor.tiles import TileStore
from augmentor.together.workers import Here, Workers, workers
from augmentor.train import train
from data_adapters import phantoms
from data_adapters.errors import BrokenFile, NoPixels, UserError
from tests.test_verbs import CHEST

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with workers("local:2") as found:
        yield found


def squared(number: int) -> int:
    time.sleep(0.01 * (number % 3))
    return number**2


def test_results_come_in_the_order_of_the_items(two: Workers) -> None:
    assert list(two.map(squared, range(20))) == list(Here().map(squared, range(20))) == [n**2 for n in range(20)]


def test_no_more_tasks_are_taken_in_hand_than_keep_it_busy(two: Workers) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = two.map(squared, items())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(taken) < 12
    results.close()  # type: ignore[attr-defined]


def refused(number: int) -> int:
    raise BrokenFile(f"number {number} is broken", where="a.dcm", do="mend it")


def test_a_users_error_comes_through(two: Workers) -> None:
    with pytest.raises(BrokenFile, match=r"^a.dcm: number 7 is broken; mend it$") as raised:
        list(two.map(refused, [7]))
    assert (raised.value.found, raised.value.where, raised.value.do) == ("number 7 is broken", "a.dcm", "mend it")


@pytest.mark.parametrize("error", [NoPixels("a report", where="x"), Interrupted("stopped", signal=15, do="go on")])
def test_every_kind_of_error_travels(error: UserError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error) and str(there) == str(error) and vars(there) == vars(error)


def dies_once(place: Path) -> int:
    """Takes its worker along the first time that it is done."""
    if not place.exists():
        place.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def test_what_a_dead_worker_had_in_hand_is_done_again(two: Workers, tmp_path: Path) -> None:
    done = list(two.map(dies_once, [tmp_path / str(number) for number in range(3)]))
    assert len(done) == 3 and os.getpid() not in done


def always_dies(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_kills_every_worker_is_given_up(two: Workers) -> None:
    with pytest.raises(ClusterError, match="died again and again"):
        list(two.map(always_dies, [0]))


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ("local:", "no number of processes"),
        ("local:0", "no number of processes"),
        ("tcp://127.0.0.1:9", "nobody works"),
    ],
)
def test_a_scheduler_that_is_none_is_said(scheduler: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmentor.together.workers.JOINS_WITHIN", 1.0)
    with pytest.raises(ClusterError, match=said), workers(scheduler):
        pass


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def content(store: TileStore) -> dict[str, bytes]:
    return files(store.folder)


@pytest.fixture
def small_parcels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmentor.parcels.SCENES", 8)


@pytest.mark.usefixtures("small_parcels")
def test_a_cluster_ingests_what_one_process_does(drawn: phantoms.Phantoms, two: Workers, tmp_path: Path) -> None:
    recipe = recipes.load("chest_xray", CHEST, path=drawn.chest)
    one, other = ingest(recipe, tmp_path / "one"), ingest(recipe, tmp_path / "two", two)
    assert content(one) == content(other)


@pytest.mark.usefixtures("small_parcels")
def test_an_interrupted_ingest_cuts_nothing_twice(
    drawn: phantoms.Phantoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augmentor import parcels

    recipe = recipes.load("chest_xray", CHEST, path=drawn.chest)
    whole = ingest(recipe, tmp_path / "whole")
    cut: list[str] = []
    original = parcels.tiles_of

    def counted(recipe: recipes.Recipe, scene: object, *rest: object) -> object:
        cut.append(scene.name)  # type: ignore[attr-defined]
        if len(cut) == 20:
            raise KeyboardInterrupt
        return original(recipe, scene, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(parcels, "tiles_of", counted)
    with pytest.raises(KeyboardInterrupt):
        ingest(recipe, tmp_path / "torn")
    torn = ingest(recipe, tmp_path / "torn")
    assert content(torn) == content(whole)
    # Two parcels of eight were whole; of the third, three were cut for nothing.
    assert len(cut) == 40 + 4


@pytest.mark.parametrize("sieve", [False, True])
def test_a_cluster_writes_the_samples_that_one_process_does(
    drawn: phantoms.Phantoms, two: Workers, tmp_path: Path, sieve: bool
) -> None:
    changes = (*CHEST, "tiles.held_out=0.4", "evaluation.unlike=0", "evaluation.copy_at=1e-9")
    run = train("chest_xray", data=drawn.chest, changes=changes, runs=tmp_path / "runs")
    asked: dict[str, Any] = {"run": run.folder, "sieve": sieve, "runs": tmp_path / "runs"}
    try:
        one = synthesize(70, out=tmp_path / "one", **asked)
    except RunError:
        # So little training may leave nothing that looks real.
        assert sieve
        with pytest.raises(RunError, match="came through"):
            synthesize(70, out=tmp_path / "two", hands=two, **asked)
        return
    synthesize(40, out=tmp_path / "two", hands=two, **asked)
    other = synthesize(70, out=tmp_path / "two", hands=two, **asked)
    assert files(one) == files(other)
