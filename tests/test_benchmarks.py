"""The benchmarks of networks and of samples run through on phantoms; trials are recorded once, and tables tell them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from augmentor.evaluation import classifier, sieve
from augmentor.evaluation.arms import ALONE, ARMS, Gain
from augmentor.run import Run
from augmentor.sampling import Sample
from benchmarks import contenders, evaluate, gan, use
from benchmarks.tables import write
from data_adapters import phantoms

CHANGES = ("conditions.finding.column=finding", "data.group=patient")
SHORT = ("--pixels", "32", "--minutes", "0.02")


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantoms.draw_all(tmp_path_factory.mktemp("phantoms"), seed=4, radiographs=40, size=64).chest


@pytest.fixture(autouse=True)
def on_phantoms(chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contenders.SETS, "chest_xray", ("chest_xray", chest, CHANGES))
    monkeypatch.setattr(gan, "RECORDS", tmp_path / "gan.jsonl")
    monkeypatch.setattr(gan, "PICTURES", tmp_path)
    monkeypatch.setattr(gan, "TABLES", tmp_path / "gan.md")
    monkeypatch.setattr(gan, "STORE", chest.parent / "tiles")
    monkeypatch.setattr(gan, "ABLATIONS", {"hinge": ("game.loss=hinge",)})


def bench(*words: str) -> Result:
    result = CliRunner().invoke(gan.main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_trials_are_recorded_once_with_floor_time_and_commit(tmp_path: Path) -> None:
    models = ("--model", "t2t", "--model", "dcgan", "--model", "dcgan=")
    bench("compare", *SHORT, *models)
    records = [json.loads(line) for line in (tmp_path / "gan.jsonl").read_text().splitlines()]
    assert [record["model"] for record in records] == ["t2t", "dcgan", "dcgan="]
    for record in records:
        assert record["tiles_shown"] > 0 and record["finite"] and record["commit"] and record["date"]
        for features in ("random convolutions", "layout and spectrum"):
            assert record[features]["frechet"] > 0 and 0 <= record[features]["recall"] <= 1
            assert record[features]["recall_floor"] > 0
        assert set(record.get("verdicts", ())) == (
            {"training", "held out", "samples"} if record is records[0] else set()
        )
    ours, _, matched = (record["parameters"] for record in records)
    assert abs(matched - ours) <= 0.1 * ours
    assert {path.name for path in tmp_path.glob("gan_*.png")} == {
        f"gan_chest_xray_32_{shown}.png"
        for shown in ("real", *(f"{model}_0.02_minutes" for model in ("t2t", "dcgan", "dcgan_matched")))
    }
    assert bench("compare", *SHORT, *models).output.count("there: ") == 3
    assert len((tmp_path / "gan.jsonl").read_text().splitlines()) == 3
    assert bench("compare", *SHORT, "--model", "dcgan", "--again").output.count("there: ") == 0
    assert [record["model"] for record in gan.records()] == ["t2t", "dcgan=", "dcgan"]


def test_every_kind_of_trial_has_its_table_and_its_figure(tmp_path: Path) -> None:
    bench("compare", *SHORT, "--model", "dcgan", "--seed", "0", "--seed", "1")
    bench("few", *SHORT, "--model", "dcgan")
    bench("ablate", *SHORT)
    bench("table")
    assert all((tmp_path / f"figure_{what}.png").is_file() for what in ("compare", "few", "ablate"))
    text = (tmp_path / "gan.md").read_text()
    assert "| dcgan | 2 |" in text and " to " in text and "30 images" in text and "| hinge | 1 |" in text


def ablation(change: str, seed: int, distance: float) -> dict[str, Any]:
    names = ("frechet", "kid", "recall", "coverage")
    scores = dict.fromkeys((*names, *(f"{name}_floor" for name in names)), 0.5) | {"frechet": distance}
    sizes = {"trained_on": 10, "held_out": 5, "tiles_shown": 100, "parameters": 7}
    known = {"what": "ablate", "data": "chest_xray", "pixels": 32, "minutes": 1.0, "change": change, "seed": seed}
    return {**known, **sizes, "random convolutions": scores, "layout and spectrum": scores}


@pytest.mark.parametrize(
    ("changed", "said"),
    # Student's t of two degrees of freedom leaves 2.5 % above 4.303: 4.303 · 1 / √3 = 2.48.
    [([11, 22, 33], "+2 ± 2.5"), ([15, 25, 35], "+5 ± 0"), ([9], "-1")],
)
def test_a_change_is_told_by_its_difference_from_the_whole_seed_by_seed(
    changed: list[float], said: str, tmp_path: Path
) -> None:
    trials = [ablation("full", seed, 10 * (seed + 1)) for seed in range(3)]
    trials += [ablation("hinge", seed, distance) for seed, distance in enumerate(changed)]
    (row,) = [line for line in write(trials, tmp_path / "gan.md").read_text().splitlines() if "| hinge |" in line]
    assert row.endswith(f"| {said} | {said} |")


@pytest.mark.parametrize("each", [4, 8])
def test_what_few_images_gain_is_measured_with_as_many_of_every_class(
    each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "STEPS", 2)
    monkeypatch.setattr(use, "STORE", gan.STORE)
    cut = use.split("chest_xray", 32, (), gan.STORE)
    seen = [use.few(cut, each, seed).train for seed in range(2)]
    assert all(np.bincount(use.numbers(own.conditions)).tolist() == [each, each] for own in seen)
    assert not torch.equal(seen[0].pixels, seen[1].pixels)
    record = use.measure("chest_xray", 32, each, 0.02, 2)
    assert set(record["auc"]) == {*ARMS, ALONE} and all(len(own) == 2 for own in record["auc"].values())
    for found in record["gain"].values():
        assert found["low"] <= found["value"] <= found["high"] and found["said"].startswith(Gain(**_ends(found)).word)


def _ends(found: dict[str, Any]) -> dict[str, float]:
    return {end: found[end] for end in ("value", "low", "high")}


def test_a_trained_run_is_judged_with_and_without_a_sieve(
    chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = (*CHANGES, "tiles.size=[32,32]", "game.images=32")
    monkeypatch.setitem(contenders.SETS, "chest_xray", ("chest_xray", chest, short))
    monkeypatch.setattr(classifier, "STEPS", 2)
    monkeypatch.setattr(evaluate, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(evaluate, "ROOT", tmp_path)
    monkeypatch.setattr(evaluate, "COUNT", 16)
    monkeypatch.setattr(sieve.Sieve, "_dropped", lambda self, block: (_every_fourth(block), _every_fourth(block)))
    (tmp_path / "docs/pictures").mkdir(parents=True)
    record = evaluate.measure("chest_xray")
    assert record["sieved"]["drawn"] == 21 and record["sieved"]["let_through"] == 16
    assert record["every"]["parts"].keys() == record["sieved"]["parts"].keys() >= {"likeness", "memory", "use"}
    assert (tmp_path / "docs/pictures/evaluate_chest_xray.png").is_file()
    assert evaluate.trained("chest_xray").folder == Run.find(None, tmp_path / "runs").folder


def _every_fourth(block: list[Sample]) -> np.ndarray:
    return np.array([sample.index % 4 == 1 for sample in block])


def test_speeds_name_flops_rates_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import speed

    monkeypatch.setattr(speed, "STEPS", 1)
    monkeypatch.setattr(speed, "RIVALS", {"dcgan": None})
    monkeypatch.setattr(speed, "SAMPLES", 32)
    cut = contenders.split("chest_xray", 32, (), gan.STORE)
    records = list(speed.speeds(cut))
    assert [record["act"] for record in records] == ["autoencode", "judge", "play", "play", "sampling"]
    assert all(0 < record["fraction_of_matmul_rate"] < 1.5 for record in records[:3])
    assert records[-1]["samples"] == 32 and records[-1]["cpu_seconds"] > 0
