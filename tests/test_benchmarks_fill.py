"""Filling is measured against the truth that was left out, beside answers that are what they are called."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from augmentor.fill import fill
from augmentor.holes.find import find
from augmentor.measures.filling import spectral_angle
from benchmarks import fill as bench
from benchmarks import fill_masked, fill_tables
from benchmarks.classical import BESIDE, INSIDE, a_line_a_band, everywhere
from benchmarks.fill_cases import Case
from data_adapters import open_scenes, phantoms


def case(drawn: phantoms.Phantoms, kind: str) -> Case:
    holed: Path = getattr(drawn, kind)
    mask = drawn.clouds if kind == "stack" else None
    scene, real = open_scenes(holed)[0], open_scenes(getattr(drawn, f"{kind}_truth"))[0]
    hole = find(scene, mask)[0](scene.plane)[0]
    return Case(f"{kind}, every 4th slice", holed, mask, scene, real.read(0, real.shape[1]).values, hole)


@pytest.mark.parametrize(("kind", "called"), [("ct", ""), ("mr", ""), ("mr", "mr.v2.nii.gz"), ("stack", "")])
def test_a_case_is_measured_beside_every_classical_answer(
    drawn: phantoms.Phantoms, monkeypatch: Any, tmp_path: Path, kind: str, called: str
) -> None:
    monkeypatch.setattr(bench, "fill", partial(fill, tiles=64))
    measured = case(drawn, kind)
    if called:
        measured = replace(measured, holed=Path(shutil.copy(measured.holed, tmp_path / called)))
    record = bench.measure(measured, tmp_path, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > 4 * picture.height
    assert record["untouched"]
    assert 0 <= record["covered"] <= 1
    assert set(record["classical"]) == {*BESIDE[measured.scene.kind], *(INSIDE if kind == "stack" else ())}
    for figures in (record["t2t_gan"], *record["classical"].values()):
        assert ("sam" in figures) == (kind == "stack")
        assert len(figures["each"]) == len(record["t2t_gan"]["each"])
        assert min(figures["each"]) <= figures["psnr"] + 10
    assert record["case"] in fill_tables.line(record)
    assert f"{fill_tables.gain(record):+.2f}" in fill_tables.write([record], tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("called", "slices", "whole"),
    [
        ("the last slice", 1, True),
        ("the last 3 slices", 3, True),
        ("damage of the last 3 slices", 3, False),
        ("damage 3 slices deep", 3, False),
        ("damage 12 slices deep", 12, False),
    ],
)
def test_what_a_mask_covers_is_measured_beside_what_can_answer_it(
    drawn: phantoms.Phantoms, monkeypatch: Any, tmp_path: Path, called: str, slices: int, whole: bool
) -> None:
    monkeypatch.setattr(bench, "fill", partial(fill, prior_only=True))
    covering = {**fill_masked.ENDS, **fill_masked.DAMAGE}[called]
    measured = fill_masked.masked(called, drawn.mr_truth, tmp_path / "case", covering)
    holed = measured.hole.any(axis=(1, 2))
    assert holed.sum() == slices
    assert holed[[0, -1]].any() == ("last" in called)
    assert measured.hole[holed].all() == whole
    record = bench.measure(measured, tmp_path)
    assert record["untouched"]
    assert set(record["classical"]) == {*BESIDE["volume"], *(() if whole else INSIDE)}
    assert len(record["t2t_gan"]["each"]) == slices
    title = "Damage in a part of slices" if called.endswith("deep") else "Slices at the end of a volume"
    assert title in fill_tables.write([record], tmp_path / "table.md").read_text()


@pytest.mark.parametrize("name", INSIDE)
def test_a_flat_plane_with_a_hole_is_flat_again(name: str) -> None:
    plane = np.stack([np.full((20, 24), 5.0), np.full((20, 24), 900.0)])
    hole = np.zeros((20, 24), dtype=bool)
    hole[5:12, 6:15] = True
    made = INSIDE[name](np.where(hole, 0, plane), hole)
    np.testing.assert_allclose(made[:, hole], plane[:, hole], rtol=2e-2)
    np.testing.assert_allclose(made[:, ~hole], plane[:, ~hole])


@pytest.mark.parametrize(("angle", "factor"), [(0.0, 1.0), (0.0, 7.0), (30.0, 2.0), (90.0, 1.0)])
def test_the_spectral_angle_is_that_between_spectra_however_bright(angle: float, factor: float) -> None:
    truth = np.zeros((2, 1, 4, 4))
    truth[0] = 3.0
    turned = np.radians(angle)
    made = factor * np.stack([truth[0] * np.cos(turned), truth[0] * np.sin(turned)])
    hole = np.ones((1, 4, 4), dtype=bool)
    assert spectral_angle(made, truth, hole) == pytest.approx(angle, abs=1e-4)


def test_rivals_are_as_strong_as_a_careful_person_makes_them() -> None:
    """A date in another light is answered rightly by a line a band, and ground that no date shows by its rim."""
    ground = np.random.default_rng(0).normal(size=(2, 20, 24)) + 50
    gain, offset = np.array([[0.5, 2.0], [-3.0, 7.0]])[..., None, None]
    known = np.ones((2, 20, 24), dtype=bool)
    known[0, 5:12, 6:15] = False
    values = np.where(known, np.stack([gain * ground + offset, ground], axis=1), 0)
    hole = ~known[0]
    found, said = a_line_a_band(values, known, [0, 5], 0)
    assert said.all()
    np.testing.assert_allclose(found[:, hole], (gain * ground + offset)[:, hole])
    known[1, 7:9, 8:11] = False
    for prior in BESIDE["stack"].values():
        answer = everywhere(prior, np.where(known, values, 0), known, [0, 5], 0)[:, hole & ~known[1]]
        assert (answer > 15).all()


@pytest.mark.parametrize("name", sorted(set(BESIDE["volume"]) - {"nearest"}))
@pytest.mark.parametrize("missing", [1, 3, 4])
def test_what_changes_steadily_from_slice_to_slice_is_answered_rightly(name: str, missing: int) -> None:
    rows, columns = np.mgrid[:40, :44]
    steady = np.stack([rows + 2.0 * columns + 5 * index for index in range(9)])[None]
    known = np.ones(steady.shape[1:], dtype=bool)
    known[missing] = False
    positions = np.arange(9) * 2.5
    found = everywhere(BESIDE["volume"][name], np.where(known, steady, 0), known, positions.tolist(), missing)
    # Flow takes a ramp that rises for one that moves, which near the frame nothing follows.
    np.testing.assert_allclose(found[:, 8:-8, 8:-8], steady[:, missing, 8:-8, 8:-8], atol=1.5)


def test_what_moves_is_followed_along_the_flow() -> None:
    rows, columns = np.mgrid[:64, :64]
    blobs = np.stack([np.exp(-((rows - 24 - 2 * i) ** 2 + (columns - 40 + 2 * i) ** 2) / 50) for i in range(5)])[None]
    known = np.ones(blobs.shape[1:], dtype=bool)
    known[1:4] = False
    wrong = {
        name: np.abs(everywhere(BESIDE["volume"][name], blobs * known, known, list(range(5)), 2) - blobs[:, 2]).mean()
        for name in ("linear", "along the optical flow")
    }
    assert wrong["along the optical flow"] < 0.3 * wrong["linear"]


def test_rivals_alone_are_judged_again_in_the_record(
    drawn: phantoms.Phantoms, monkeypatch: Any, tmp_path: Path
) -> None:
    measured = case(drawn, "mr")
    monkeypatch.setattr(bench, "RECORDS", tmp_path / "fill.jsonl")
    monkeypatch.setattr(bench, "fill", partial(fill, prior_only=True))
    record = bench.measure(measured, tmp_path)
    one = {"linear": record["classical"]["linear"]}
    bench.keep({**record, "classical": one})
    bench.judge_rivals(lambda *_: [(measured.name, lambda: measured), ("none such", lambda: measured)], tmp_path, ())
    assert bench.records() == [record]
