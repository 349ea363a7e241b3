"""The verb: how strange images are, and where."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from augmentor.cli import main
from augmentor.run import Run
from augmentor.score import score
from augmentor.train import train
from data_adapters import open_scenes, phantoms


@pytest.fixture(scope="module")
def runs(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows a few radiographs, four in ten of them held out."""
    folder = tmp_path_factory.mktemp("runs")
    changes = ("data.labels=null", "data.group=null", "conditions={}", "tiles.size=[32,32]", "tiles.held_out=0.4",
               "game.images=960")  # fmt: skip
    train("chest_xray", data=drawn.chest, changes=changes, runs=folder)
    return folder


def told(*words: object) -> Result:
    return CliRunner().invoke(main, ["score", *map(str, words)])


@pytest.fixture(scope="module")
def marked(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A radiograph, the same with a white square, and another one."""
    folder = tmp_path_factory.mktemp("marked")
    first, second, *_ = sorted(drawn.chest.glob("*.dcm"))
    for number, source in enumerate((first, first, second)):
        image = pydicom.dcmread(source)
        image.SOPInstanceUID = f"{image.SOPInstanceUID}.{number}"
        if number == 1:
            pixels = image.pixel_array.copy()
            pixels[20:36, 28:44] = pixels.max() if image.PhotometricInterpretation == "MONOCHROME2" else 0
            image.PixelData = pixels.tobytes()
        image.save_as(folder / f"{number}.dcm")
    return folder


def test_what_was_never_seen_is_stranger_and_where_it_is(runs: Path, marked: Path, tmp_path: Path) -> None:
    result = told(marked, "--runs", runs, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "3 images" in result.output
    rows = list(csv.DictReader((tmp_path / "out/scores.csv").open()))
    assert [row["file"] for row in rows] == ["0.dcm", "1.dcm", "2.dcm"]
    assert float(rows[1]["score"]) > float(rows[0]["score"])
    record = json.loads((tmp_path / "out/scores.json").read_text())
    assert record["usual images"] == len(
        json.loads((Run.find(None, runs).folder / "normal.json").read_text())["scores"]
    )
    assert [row["score"] for row in record["images"]] == pytest.approx([float(r["score"]) for r in rows], abs=1e-4)
    (scene,) = open_scenes(marked / "1.dcm")
    where = pydicom.dcmread(tmp_path / f"out/{scene.name}_strange.dcm").pixel_array
    row, column = np.unravel_index(where.argmax(), where.shape)
    assert 16 <= row < 40 and 24 <= column < 48
    assert Image.open(tmp_path / f"out/{scene.name}_shown.png").size[0] > 300


def test_scores_are_the_same_again_and_without_the_images_that_were_learned_from(
    runs: Path, marked: Path, tmp_path: Path, drawn: phantoms.Phantoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score(marked, runs=runs, out=tmp_path / "out")
    files = {file.name: file.read_bytes() for file in first.folder.iterdir()}
    (tmp_path / "runs").mkdir()
    run = Run.find(None, runs)
    shutil.copytree(run.folder, tmp_path / "runs" / run.name)
    again = score(marked, run=tmp_path / "runs" / run.name, runs=tmp_path / "runs", out=tmp_path / "out")
    assert again.rows == first.rows
    assert {file.name: file.read_bytes() for file in again.folder.iterdir()} == files


def test_no_more_of_what_was_held_out_raises_an_alarm_than_was_allowed(
    runs: Path, drawn: phantoms.Phantoms, tmp_path: Path
) -> None:
    found = score(drawn.chest, runs=runs, out=tmp_path / "out", alarms=0.2, maps=False)
    assert len(found.rows) == 40
    assert sum(row.alarm for row in found.rows) / 40 < 0.2 + 0.2
    assert {file.name for file in found.folder.iterdir()} == {"scores.csv", "scores.json"}


def test_too_few_usual_images_for_a_rate_are_said(runs: Path, marked: Path, tmp_path: Path) -> None:
    result = told(marked, "--runs", runs, "-o", tmp_path / "out", "--alarms", "0.01", "--no-maps")
    assert result.exit_code == 0
    assert "allow no rate below" in result.stderr
    assert "0 of them" in result.output


def test_what_cannot_be_decoded_is_left_out_and_said(runs: Path, marked: Path, tmp_path: Path) -> None:
    shutil.copytree(marked, tmp_path / "images")
    broken = pydicom.dcmread(marked / "2.dcm")
    broken.PixelData = broken.PixelData[:100]
    broken.save_as(tmp_path / "images/2.dcm")
    result = told(tmp_path / "images", "--runs", runs, "-o", tmp_path / "out", "--no-maps")
    assert result.exit_code == 0 and "2 images" in result.output
    assert "left out: " in result.stderr and "2.dcm" in result.stderr
    (tmp_path / "images/0.dcm").unlink()
    (tmp_path / "images/1.dcm").unlink()
    result = told(tmp_path / "images", "--runs", runs, "-o", tmp_path / "none", "--no-maps")
    assert result.exit_code == 2 and "TooLittleData" in result.stderr


def test_what_cannot_be_scored_is_said(runs: Path, marked: Path, tmp_path: Path, drawn: phantoms.Phantoms) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    for words, error in (
        ((tmp_path / "none", "--runs", runs), "NothingFound"),
        ((marked, "--runs", tmp_path / "empty"), "NoRun"),
        ((marked, "--runs", runs, "-o", tmp_path / "full"), "OutputInTheWay"),
        ((drawn.stack, "--runs", runs, "-o", tmp_path / "other"), "RunError"),
    ):
        result = told(*words)
        assert result.exit_code == 2
        assert result.stderr.startswith(error), result.stderr
    assert (tmp_path / "full/notes.txt").read_text() == "mine"
