"""Training goes on from wherever it was stopped as if it never had been, and answers what goes wrong."""

import errno
import json
import math
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from augmentor.errors import FolderInUse, Interrupted, RunError, TrainingFailed
from augmentor.learners.checkpoints import BEST, Checkpoints
from augmentor.learners.loop import BACK, learn
from augmentor.recipe import Recipe
from augmentor.run import Run
from augmentor.together.lock import LOCK, alone_in
from augmentor.together.team import ALONE, Team, joined
from data_adapters.errors import SystemRefused
from tests.holding import held_elsewhere

TOTAL, BATCH, EVERY = 800, 8, 80


class Walk:
    """A learner whose one number takes random steps; a part of a checkpoint that were lost would show in it."""

    def __init__(
        self,
        looks: Callable[[int], dict[str, float]] = lambda seen: {},
        trouble: Callable[["Walk", int], float] = lambda walk, seen: 0.0,
    ) -> None:
        self.team: Team = ALONE
        self.random = torch.Generator().manual_seed(3)
        self.place = torch.zeros(64)
        self.rate = 1.0
        self.path: list[int] = []
        self.looks, self.trouble = looks, trouble

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        self.path.append(seen)
        loss = self.trouble(self, seen)
        self.place += self.rate * torch.randn(64, generator=self.random)
        return "walk", {"loss": loss}

    def start_from(self, run: Run, frozen_stages: int) -> None: ...

    def examine(self) -> dict[str, float]:
        return {"distance": float(self.place.norm()), **self.looks(self.path[-1] + BATCH)}

    def slow_down(self) -> None:
        self.rate /= 2

    def publish(self, run: Run) -> None:
        (run.folder / "generator.safetensors").write_bytes(self.place.numpy().tobytes())

    def snapshot(self) -> dict[str, Any]:
        return {"place": self.place.clone(), "random": self.random.get_state(), "rate": self.rate}

    def restore(self, state: dict[str, Any]) -> None:
        self.place, self.rate = state["place"].clone(), state["rate"]
        self.random.set_state(state["random"])


def recipe(batch: int = BATCH, **health: str) -> Recipe:
    game = {"images": TOTAL, "batch": batch, "checkpoint_every": EVERY}
    return Recipe.model_validate({"name": "walk", "game": game, "health": health})


def fresh(folder: Path) -> Run:
    return Run.create(recipe(), folder, source="", tiles=folder)


def walked(folder: Path, walk: Walk | None = None, **health: str) -> tuple[Run, Walk]:
    run, walk = fresh(folder), walk or Walk()
    learn(run, recipe(**health), walk)
    return run, walk


def state(run: Run) -> dict[str, Any]:
    return json.loads((run.folder / "state.json").read_text())


def lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]


def told(run: Run) -> list[dict[str, Any]]:
    """The log without its clocks."""
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines(run)]


def start_anew(folder: Path, slowly: float) -> None:
    """What a killed process was: a fresh learner that takes up the run."""

    def linger(walk: Walk, seen: int) -> float:
        time.sleep(slowly)
        return 0.0

    learn(Run.find(None, folder), recipe(), Walk(trouble=linger))


def test_killed_at_random_moments_again_and_again_it_ends_as_if_it_never_had_been(tmp_path: Path) -> None:
    whole, _ = walked(tmp_path / "whole")
    torn = fresh(tmp_path / "torn")
    chance, kills = random.Random(0), 0
    start = multiprocessing.get_context("fork").Process
    for _ in range(40):
        process = start(target=start_anew, args=(tmp_path / "torn", 3e-3))
        process.start()
        process.join(chance.uniform(0.005, 0.1))
        if not process.is_alive():
            break
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        kills += 1
    else:
        start_anew(tmp_path / "torn", 0)
    assert kills > 3
    assert torn.weights.read_bytes() == whole.weights.read_bytes()
    assert (torn.folder / BEST / "generator.safetensors").read_bytes() == (
        whole.folder / BEST / "generator.safetensors"
    ).read_bytes()
    assert told(torn) == told(whole)
    assert state(torn)["state"] == "finished"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_step_and_keeps_it(tmp_path: Path, number: signal.Signals) -> None:
    whole, _ = walked(tmp_path / "whole")
    run, before = fresh(tmp_path / "torn"), signal.getsignal(number)

    def ask(walk: Walk, seen: int) -> float:
        if seen == 200:
            os.kill(os.getpid(), number)
        return 0.0

    with pytest.raises(Interrupted, match=f"stopped after 208 of {TOTAL} tiles") as raised:
        learn(run, recipe(), Walk(trouble=ask))
    assert raised.value.signal == number
    assert signal.getsignal(number) == before
    assert state(run) | {"pid": 0, "host": ""} == {
        "state": "stopped", "images": 208, "total": TOTAL, "why": "", "pid": 0, "host": "",
    }  # fmt: skip
    resumed = Walk()
    learn(run, recipe(), resumed)
    assert resumed.path[0] == 208
    assert run.weights.read_bytes() == whole.weights.read_bytes()


def test_outside_of_the_main_thread_training_leaves_signals_alone(tmp_path: Path) -> None:
    thread = threading.Thread(target=walked, args=(tmp_path,))
    thread.start()
    thread.join()
    assert state(Run.find(None, tmp_path))["state"] == "finished"


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_newest_checkpoints_are_kept_and_a_torn_one_costs_only_itself(
    tmp_path: Path, keep: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fresh(tmp_path)
    checkpoints = Checkpoints(run, keep)
    for seen in range(0, 800, 100):
        checkpoints.put(seen, {"learner": {"seen": seen}})
    found = sorted(checkpoints.folder.iterdir())
    assert [int(path.stem) for path in found] == list(range(800 - 100 * keep, 800, 100))
    for torn, newest in enumerate(range(700, 700 - 100 * keep, -100)):
        state = checkpoints.newest()
        assert state is not None and state["images"] == newest
        assert capsys.readouterr().err.count("does not load") == torn
        found[-1 - torn].write_bytes(found[-1 - torn].read_bytes()[:100])
    with pytest.raises(RunError, match="none of its checkpoints loads"):
        checkpoints.newest()


def test_without_room_for_a_checkpoint_those_before_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(fresh(tmp_path), 2)
    checkpoints.put(100, {"learner": {}})

    def full(*given: Any) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            # As torch tells it.
            raise RuntimeError("unexpected pos 704 vs 598")  # noqa: B904

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SystemRefused, match="no space left on device"):
        checkpoints.put(200, {"learner": {}})
    assert [path.name for path in checkpoints.folder.iterdir()] == ["000000000100.pt"]


def test_the_best_networks_are_kept_as_a_run_of_their_own(tmp_path: Path) -> None:
    run, _ = walked(tmp_path)
    looks = {line["images"]: line["distance"] for line in lines(run) if line["act"] == "looked"}
    chosen = json.loads((run.folder / BEST / "chosen.json").read_text())
    assert chosen["distance"] == min(looks.values()) == looks[chosen["images"]]
    kept = Run.find(run.folder / BEST, tmp_path)
    assert kept.recipe == run.recipe and kept.weights.is_file()


def once(what: float) -> Callable[[Walk, int], float]:
    """A loss that goes wrong at one place while rates are as they were."""
    return lambda walk, seen: what if seen == 400 and walk.rate == 1 else 0.0


@pytest.mark.parametrize("what", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_leads_back_to_the_last_good_checkpoint(
    tmp_path: Path, what: float, capsys: pytest.CaptureFixture[str]
) -> None:
    run, walk = walked(tmp_path, Walk(trouble=once(what)))
    again = walk.path.index(400) + 1
    assert walk.path[again] == 400
    assert walk.rate == 0.5
    assert [line["why"] for line in lines(run) if line["act"] == "roll_back"] == ["its loss is no number any more"]
    assert "after 400 tiles its loss is no number any more; it goes on from" in capsys.readouterr().err
    assert state(run)["state"] == "finished"


def test_what_goes_wrong_every_time_is_given_up_with_the_last_good_networks(tmp_path: Path) -> None:
    run = fresh(tmp_path)
    walk = Walk(trouble=lambda walk, seen: math.nan if seen == 408 else 0.0)
    with pytest.raises(TrainingFailed, match=rf"no number any more, after going back {BACK} times"):
        learn(run, recipe(), walk)
    assert state(run)["state"] == "failed" and state(run)["images"] == 408
    assert run.weights.is_file()
    assert walk.path.count(400) == BACK + 1


@pytest.mark.parametrize("slow_enough", [0.5, 0.25, 0.125])
def test_each_time_that_the_way_leads_back_rates_are_half_of_those_that_failed(
    tmp_path: Path, slow_enough: float
) -> None:
    walk = Walk(trouble=lambda walk, seen: math.nan if seen == 408 and walk.rate > slow_enough else 0.0)
    run, _ = walked(tmp_path, walk)
    assert walk.rate == slow_enough and state(run)["state"] == "finished"
    # A checkpoint that was kept since has the lower rates.
    bearable = {168: 0.5, 408: 0.25}
    later = Walk(trouble=lambda walk, seen: math.nan if walk.rate > bearable.get(seen, 1) else 0.0)
    walked(tmp_path / "later", later)
    assert later.rate == 0.25


@pytest.mark.parametrize(
    ("health", "looks", "rate", "back"),
    [
        pytest.param({}, {}, 1, 0, id="well"),
        pytest.param({"collapsed": "say"}, {"spread": 0.1}, 1, 0, id="collapse is said"),
        pytest.param({"collapsed": "slow_down"}, {"spread": 0.1}, 0.5, 0, id="collapse, slower"),
        pytest.param({}, {"spread": 0.1}, 0.5, 1, id="collapse, back"),
        pytest.param({}, {"outranked": 0.99}, 0.5, 0, id="won"),
        pytest.param({"won": "roll_back"}, {"outranked": 0.99}, 0.5, 1, id="won, back"),
        pytest.param({}, {"by_heart": 1.2}, 1, 0, id="by heart"),
        pytest.param({"memorised": "slow_down"}, {"by_heart": 1.2}, 0.5, 0, id="by heart, slower"),
    ],
)
def test_what_a_learner_sees_of_itself_is_answered_as_the_recipe_says(
    tmp_path: Path, health: dict[str, str], looks: dict[str, float], rate: float, back: int
) -> None:
    walk = Walk()
    # Wrong at two looks in a row, while rates are as they were; well before and after.
    walk.looks = lambda seen: looks if walk.rate == 1 and seen in (320, 400) else {"spread": 0.9}
    run, _ = walked(tmp_path, walk, **health)
    assert walk.rate == rate
    assert [line["act"] for line in lines(run)].count("roll_back") == back
    # Back to before the first of both looks.
    assert walk.path.count(240) == 1 + back and walk.path.count(232) == 1
    assert state(run)["state"] == "finished"


@pytest.mark.parametrize(("kind", "looks"), [("collapsed", {"spread": 0.1}), ("won", {"outranked": 1.0})])
def test_a_recipe_may_want_the_end(tmp_path: Path, kind: str, looks: dict[str, float]) -> None:
    run = fresh(tmp_path)
    with pytest.raises(TrainingFailed):
        learn(run, recipe(**{kind: "stop"}), Walk(lambda seen: looks if seen > 300 else {"spread": 0.9}))
    assert state(run)["why"].startswith("after 400 tiles")


def test_samples_that_never_had_variety_have_not_collapsed(tmp_path: Path) -> None:
    _, walk = walked(tmp_path, Walk(lambda seen: {"spread": 0.05}))
    assert walk.rate == 1


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried"), MemoryError()])
def test_without_memory_a_batch_is_learned_in_parts(
    tmp_path: Path, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def scarce(walk: Walk, seen: int) -> float:
        if seen == 168 and walk.team.parts < 2:
            raise error
        return 0.0

    run, walk = walked(tmp_path, Walk(trouble=scarce))
    assert walk.team.parts == 2
    assert walk.path.count(160) == 2
    assert "from 160 tiles on each batch is learned in 2 parts" in capsys.readouterr().err
    resumed = Walk()
    learn(run, recipe(), resumed)
    assert resumed.team.parts == 2


def test_memory_that_never_suffices_is_said(tmp_path: Path) -> None:
    def never(walk: Walk, seen: int) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    run = fresh(tmp_path)
    with pytest.raises(TrainingFailed, match="memory does not suffice for 4 tiles at once"):
        learn(run, recipe(), Walk(trouble=never))
    assert state(run)["state"] == "failed"


def member(rank: int, folder: Path, lacking: set[int], after: bool, most: int) -> None:
    """One process of a team, in which some lack memory once, before or after they meet the others."""
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")

    def scarce(walk: Walk, seen: int) -> float:
        lacks = seen == 176 and rank in lacking and walk.team.parts < most
        if lacks and not after:
            raise torch.OutOfMemoryError("CUDA out of memory")
        walk.team.add_up([torch.ones(3)])
        if lacks:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 0.0

    with joined(torch.device("cpu")) as team:
        walk = Walk(trouble=scarce)
        walk.team = team
        try:
            learn(Run(folder), recipe(2 * BATCH), walk)
            said = ""
        except TrainingFailed as error:
            said = str(error)
        told = {"parts": walk.team.parts, "path": walk.path, "place": walk.place.tolist(), "said": said}
        (folder / f"{rank}.json").write_text(json.dumps(told))


def team_walked(folder: Path, lacking: set[int], after: bool, most: int) -> tuple[dict[str, Any], ...]:
    """What each process of a team of two made of its walk."""
    run = fresh(folder)
    os.environ["MASTER_PORT"] = str(28_500 + os.getpid() % 1_000)
    torch.multiprocessing.spawn(member, (run.folder, lacking, after, most), nprocs=2)
    return tuple(json.loads((run.folder / f"{rank}.json").read_text()) for rank in (0, 1))


@pytest.mark.parametrize(("lacking", "after"), [({1}, False), ({0}, True), ({0, 1}, False)])
def test_where_one_of_a_team_lacks_memory_all_learn_in_parts(tmp_path: Path, lacking: set[int], after: bool) -> None:
    one, other = team_walked(tmp_path / "torn", lacking, after, most=2)
    whole = Walk()
    learn(fresh(tmp_path / "whole"), recipe(2 * BATCH), whole)
    assert one["place"] == other["place"] == whole.place.tolist()
    for told in (one, other):
        assert told["parts"] == 2 and told["path"].count(160) == 2 and told["said"] == ""


def test_where_one_of_a_team_never_has_memory_it_ends_for_all(tmp_path: Path) -> None:
    one, other = team_walked(tmp_path, {1}, False, most=9)
    assert one["said"] == other["said"]
    assert "memory does not suffice for 4 tiles at once" in one["said"]


def test_a_bug_is_no_lack_of_memory(tmp_path: Path) -> None:
    def wrong(walk: Walk, seen: int) -> float:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        learn(fresh(tmp_path), recipe(), Walk(trouble=wrong))


def test_a_folder_has_one_process_at_a_time_and_none_after_a_kill(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as (process, _):
        with pytest.raises(FolderInUse, match=f"process {process.pid} on"), alone_in(tmp_path):
            pass
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        with alone_in(tmp_path):
            assert (tmp_path / LOCK).is_file()
        assert list(tmp_path.iterdir()) == []


def test_a_patient_process_waits_its_turn(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as (process, done):
        threading.Timer(0.2, done.set).start()
        with alone_in(tmp_path, patient=True):
            assert done.is_set()
    assert process.exitcode == 0
