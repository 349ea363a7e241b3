"""Runs as they lie in a folder: each state is told for what it is, and none that is broken hides the others."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from augmentor import recipe as recipes
from augmentor import runs
from augmentor.cli import main
from augmentor.runs import Listed, named_by, table

LINE = {"act": "play", "generator": 1.5, "gamma": 0.02, "reconstruction": 0.1}
WEIGHTS = b"weights"


def begun(folder: Path, *, log: tuple[int, ...] = (), weights: bytes = b"", state: dict[str, Any] | None = None,
          resume: bool = False, total: int = 1000) -> Path:  # fmt: skip
    """A run's folder as training leaves it."""
    folder.mkdir(parents=True)
    recipe = recipes.load("chest_xray", (f"game.images={total}",))
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
    (folder / "provenance.json").write_text(json.dumps({"recipe": recipe.digest()}))
    lines = [{"images": images, **LINE, "seconds": images / 10, "cpu_seconds": images / 5} for images in log]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if weights:
        (folder / "generator.safetensors").write_bytes(weights)
        (folder / "facts.json").write_text("{}")
    if resume:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / f"{log[-1]:012d}.pt").write_bytes(b"state")
    if state is not None:
        (folder / "state.json").write_text(json.dumps(state))
    return folder


def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def said(state: str, images: int = 500, **more: Any) -> dict[str, Any]:
    here = {"pid": os.getpid(), "host": os.uname().nodename}
    return {"state": state, "images": images, "total": 1000, **here, **more}


STATES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing logged": ({}, "no checkpoint"),
    "begun": ({"log": (500,)}, "no checkpoint"),
    "stopped, of an earlier version": (
        {"log": (500,), "resume": True}, "stopped at 500 of 1000 tiles, resumable"
    ),
    "stopped without a state": ({"log": (500,), "weights": WEIGHTS}, "stopped at 500 of 1000 tiles"),
    "finished, of an earlier version": ({"log": (500, 1000), "weights": WEIGHTS, "resume": True}, "finished"),
    "training": ({"log": (500,), "state": said("training")}, "training"),
    "training further": ({"log": (500, 900), "state": said("training")}, "training"),
    "training elsewhere": ({"log": (500,), "state": said("training", host="another", pid=1)}, "training"),
    "killed": (
        {"log": (500,), "resume": True, "state": said("training", pid=dead())},
        "stopped at 500 of 1000 tiles, resumable",
    ),
    "killed before its first checkpoint": ({"state": said("training", 0, pid=dead())}, "no checkpoint"),
    "stopped": (
        {"log": (500,), "resume": True, "state": said("stopped", 640)}, "stopped at 640 of 1000 tiles, resumable"
    ),
    "finished": ({"log": (1000,), "weights": WEIGHTS, "state": said("finished", 1000)}, "finished"),
    "failed": ({"log": (500,), "state": said("failed", why="losses are no numbers")}, "failed: losses are no numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_each_state_is_told_for_what_it_is(tmp_path: Path, name: str) -> None:
    made, words = STATES[name]
    begun(tmp_path / "a-001", **made)
    (found,) = runs(tmp_path)
    assert str(found) == words and found.recipe == "chest_xray" and found.total == 1000


def test_a_run_that_is_training_counts_what_it_has_logged_since_its_checkpoint(tmp_path: Path) -> None:
    begun(tmp_path / "a-001", log=(500, 900), state=said("training"))
    begun(tmp_path / "b-001", log=(500, 900), resume=True, state=said("training", pid=dead()))
    assert [run.images for run in runs(tmp_path)] == [900, 500]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system has no /proc")
def test_a_process_that_ended_unheard_trains_no_more(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    begun(tmp_path / "a-001", log=(500,), resume=True, state=said("training", pid=process.pid))
    assert runs(tmp_path)[0].state == "stopped"
    process.wait()


def spoilt(folder: Path, file: str, content: bytes) -> None:
    (begun(folder, log=(500,)) / file).write_bytes(content)


BROKEN = [
    ("recipe.yaml", b"{"), ("recipe.yaml", b""), ("recipe.yaml", b"\xff\xfe"), ("recipe.yaml", b"game: 3"),
    ("log.jsonl", b"[]\n"), ("log.jsonl", b"what?\n"), ("log.jsonl", b'{"images": "many"}\n'),
    ("state.json", b"[1]"), ("state.json", b'{"state'), ("state.json", b'{"pid": 1}'),
    ("provenance.json", b""),
]  # fmt: skip


@pytest.mark.parametrize(("file", "content"), BROKEN)
def test_a_broken_run_is_listed_beside_a_whole_one(tmp_path: Path, file: str, content: bytes) -> None:
    begun(tmp_path / "b-001", log=(1000,), weights=WEIGHTS)
    spoilt(tmp_path / "a-001", file, content)
    broken, whole = runs(tmp_path)
    assert whole.state == "finished" and "Traceback" not in str(broken)
    assert broken.state == "broken" if file != "provenance.json" else broken.state == "no checkpoint"
    assert named_by(tmp_path, hashlib.sha256(WEIGHTS).hexdigest(), "") == "b-001"


def test_a_torn_last_line_of_the_log_is_passed_over(tmp_path: Path) -> None:
    path = begun(tmp_path / "a-001", log=(500,), resume=True) / "log.jsonl"
    path.write_text(path.read_text() + '{"images": 10')
    assert runs(tmp_path)[0].images == 500


def test_what_is_no_run_is_not_listed(tmp_path: Path) -> None:
    begun(tmp_path / "a-001")
    (tmp_path / "tiles").mkdir()
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "latest").symlink_to("a-001")
    assert [run.name for run in runs(tmp_path)] == ["a-001"]


def test_the_clock_of_a_resumed_run_counts_on(tmp_path: Path) -> None:
    path = begun(tmp_path / "a-001", log=(500, 1000)) / "log.jsonl"
    path.write_text(path.read_text() + json.dumps({"images": 1500, **LINE, "cpu_seconds": 30.0}) + "\n")
    assert runs(tmp_path)[0].cpu_seconds == 200 + 30


def test_losses_come_first_among_the_last_figures(tmp_path: Path) -> None:
    begun(tmp_path / "a-001", log=(500,))
    assert list(runs(tmp_path)[0].figures) == ["generator", "reconstruction", "gamma"]


REPORTS: dict[str, tuple[dict[str, Any], str]] = {
    "of these weights": ({"checkpoint": hashlib.sha256(WEIGHTS).hexdigest(), "verdict": "pass"}, "pass"),
    "of earlier ones": ({"checkpoint": "0" * 64, "verdict": "fail"}, "fail, before it learned further"),
    "broken off": ({"verdict": "unfinished"}, "unfinished"),
    "of other folders": ({"verdict": "pass", "real": "somewhere"}, ""),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_verdict_is_that_on_the_weights_which_are_there(tmp_path: Path, name: str) -> None:
    folder = begun(tmp_path / "a-001", log=(1000,), weights=WEIGHTS)
    (folder / "report").mkdir()
    (folder / "report" / "report.json").write_text(json.dumps(REPORTS[name][0]))
    assert runs(tmp_path)[0].evaluated == REPORTS[name][1]


def test_a_run_is_found_by_its_weights_or_its_best_ones(tmp_path: Path) -> None:
    begun(tmp_path / "a-001", log=(1000,), weights=b"last")
    begun(tmp_path / "a-001" / "best", weights=b"best")
    begun(tmp_path / "b-001", log=(1000,), weights=b"other")
    found = [named_by(tmp_path, hashlib.sha256(w).hexdigest(), "") for w in (b"last", b"best", b"other", b"none")]
    assert found == ["a-001", "a-001/best", "b-001", ""]


def test_of_equal_weights_the_run_of_that_recipe_is_meant(tmp_path: Path) -> None:
    begun(tmp_path / "a-001", weights=WEIGHTS)
    other = begun(tmp_path / "b-001", weights=WEIGHTS, total=2000)
    recipe = json.loads((other / "provenance.json").read_text())["recipe"]
    assert named_by(tmp_path, hashlib.sha256(WEIGHTS).hexdigest(), recipe) == "b-001"


def test_the_table_is_aligned_and_the_command_prints_it(tmp_path: Path) -> None:
    begun(tmp_path / "a-001", log=(500,), state=said("failed", why="memory does not suffice"))
    begun(tmp_path / "another-run-002", log=(1000,), weights=WEIGHTS)
    done = CliRunner().invoke(main, ["runs", "--runs", str(tmp_path)])
    head, *rows = done.stdout.splitlines()
    assert done.exit_code == 0 and len(rows) == 2
    starts = [head.index(word) for word in ("state", "recipe", "tiles", "CPU", "size")]
    assert all(row[start - 1] == " " and row[start] != " " for row in rows for start in starts)
    as_json = CliRunner().invoke(main, ["runs", "--json", "--runs", str(tmp_path)])
    assert [record["state"] for record in json.loads(as_json.stdout)] == ["failed", "finished"]


def test_an_empty_folder_has_a_heading_and_no_folder_is_an_error(tmp_path: Path) -> None:
    assert table(runs(tmp_path)).startswith("run  state")
    assert CliRunner().invoke(main, ["runs", "--runs", str(tmp_path / "nowhere")]).exit_code == 2


def test_the_bytes_of_all_its_files_are_counted(tmp_path: Path) -> None:
    folder = begun(tmp_path / "a-001", log=(1000,), weights=WEIGHTS)
    assert runs(tmp_path)[0].bytes == sum(path.stat().st_size for path in folder.iterdir())
    sizes = [table([Listed("a", "finished", bytes=count)]).splitlines()[1].split()[-2:] for count in (999, 18_800_000)]
    assert sizes == [["999", "B"], ["18.8", "MB"]]
