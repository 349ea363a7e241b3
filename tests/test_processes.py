"""Training as processes of its own: several that learn together, and signals from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from augmentor.run import Run
from data_adapters import phantoms
from tests.test_verbs import CHEST

CHANGES = [word for change in (*CHEST, "game.images=1600", "game.checkpoint_every=400") for word in ("--set", change)]


def command(drawn: phantoms.Phantoms, runs: Path, *more: str) -> list[str]:
    words = ["train", "chest_xray", *CHANGES, "--data", str(drawn.chest), "--runs", str(runs), *more]
    return [sys.executable, "-m", "augmentor", *words]


ALONE = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")} | {
    "OMP_NUM_THREADS": "1"
}


def ended(words: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, env=ALONE, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done


def figures(run: Run) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in lines]


@pytest.fixture(scope="module")
def alone(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that one process trained without a stop."""
    runs = tmp_path_factory.mktemp("alone")
    ended(command(drawn, runs))
    return Run.find(None, runs)


def test_two_processes_train_what_one_does(drawn: phantoms.Phantoms, alone: Run, tmp_path: Path) -> None:
    done = ended(command(drawn, tmp_path, "--devices", "2"))
    assert done.stdout.count("trained") == 1
    together = Run.find(None, tmp_path)
    for found, wanted in zip(figures(together), figures(alone), strict=True):
        act = found.pop("act")
        assert act == wanted.pop("act")
        # Rounding grows from step to step, and what is measured on samples shows it most.
        assert found == pytest.approx(wanted, rel=0.2 if act == "looked" else 0.01, abs=0.01)


def started(words: list[str], runs: Path, images: int) -> subprocess.Popen[str]:
    """A training process that has logged so many tiles."""
    process = subprocess.Popen(words, env=ALONE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 240
    while time.monotonic() < until and process.poll() is None:
        log = runs / "latest/log.jsonl"
        if log.is_file() and f'"images": {images}' in log.read_text():
            return process
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_from_outside_costs_nothing(
    drawn: phantoms.Phantoms, alone: Run, tmp_path: Path, number: signal.Signals
) -> None:
    process = started(command(drawn, tmp_path), tmp_path, 512)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        last = said.strip().splitlines()[-1]
        assert "tiles, all of them kept; go on with: augmentor train --resume chest_xray-001" in last
        assert "Traceback" not in said
    ended([sys.executable, "-m", "augmentor", "train", "--resume", "--runs", str(tmp_path)])
    resumed = Run.find(None, tmp_path)
    assert resumed.weights.read_bytes() == alone.weights.read_bytes()
    assert figures(resumed) == figures(alone)


def test_a_team_stops_together_and_goes_on(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    process = started(command(drawn, tmp_path, "--devices", "2"), tmp_path, 512)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.count("all of them kept") == 1 and "Traceback" not in said
    ended([sys.executable, "-m", "augmentor", "train", "--resume", "--runs", str(tmp_path), "--devices", "2"])
    assert figures(Run.find(None, tmp_path))[-1]["images"] == 1600


def test_a_teams_error_is_said_once(tmp_path: Path) -> None:
    done = ended([sys.executable, "-m", "augmentor", "train", "chest_xray", "--data", str(tmp_path / "none"),
                  "--runs", str(tmp_path), "--devices", "2"], code=2)  # fmt: skip
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("NothingFound:")
