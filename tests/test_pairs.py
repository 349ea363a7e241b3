"""The verb: pairs of tiles, before and after a change, in the source's own format."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from augmentor.cli import main
from augmentor.pairs import pairs
from augmentor.run import Run
from augmentor.synthesize import synthesize
from augmentor.train import train
from augmentor.verify import verify
from data_adapters import open_scenes, phantoms

CHEST = ("conditions.finding.column=finding", "data.group=patient", "tiles.size=[32,32]", "game.images=320")
SIDES = ("before", "after", "mask")

nodules = partial(pairs, before={"finding": "clear"}, after={"finding": "opacity"}, run="chest_xray")
clouds = partial(pairs, before={"segmentation": "0"}, after={"segmentation": "1"})


@pytest.fixture(scope="module")
def runs(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of radiographs with a class each, and later, of dates with their clouds."""
    folder = tmp_path_factory.mktemp("runs")
    train("chest_xray", data=drawn.chest, changes=CHEST, runs=folder)
    masks = ("data.masks=null", "conditions={}", "tiles.size=[16,16]", "game.images=64",
              f"segmentation={{path: {drawn.clouds}, use: condition}}")  # fmt: skip
    train("satellite_tiles", data=drawn.stack, changes=masks, runs=folder)
    return folder


def told(*words: object) -> Result:
    return CliRunner().invoke(main, ["pairs", *map(str, words)])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "pairs.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def values(path: Path) -> NDArray[np.floating]:
    (scene,) = open_scenes(path)
    return scene.read(0, scene.shape[1]).values[:, 0]


def sides(folder: Path) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.bool_]]]:
    """Both dates and the mask of every changed pair, as files hold them."""
    for row in rows(folder):
        if float(row["changed"]):
            before, after, mask = (values(folder / row[side]) for side in SIDES)
            yield before, after, mask[0] > 0


@pytest.mark.parametrize("format", ["dicom", "nifti", "png"])
def test_pairs_are_equal_outside_the_mask_in_every_format(runs: Path, tmp_path: Path, format: str) -> None:
    words = ("chest_xray", "--n", 6, "-o", tmp_path / "out", "--runs", runs, "--format", format, "--unchanged", 0.3)
    result = told(*words, "--before", "finding=clear", "--after", "finding=opacity", "--guidance", 3)
    assert result.exit_code == 0, result.output
    found = rows(tmp_path / "out")
    assert len(found) == 6
    assert {row["before_finding"] for row in found} == {"clear"}
    for row in found:
        changed = float(row["changed"])
        assert row["after_finding"] == ("opacity" if changed else "clear")
        assert bool(row["difference"]) == bool(changed)
    assert any(not float(row["changed"]) for row in found)
    seen = 0
    for before, after, mask in sides(tmp_path / "out"):
        np.testing.assert_array_equal(before[:, ~mask], after[:, ~mask])
        seen += 1
    assert seen == sum(float(row["changed"]) > 0 for row in found) > 0
    assert all(verdict.fine for verdict in verify(tmp_path / "out", runs=runs, remake=True))
    assert (tmp_path / "out/contact_sheet.png").is_file()


def test_label_maps_change_in_the_source_s_own_format(runs: Path, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    words = ("--n", 5, "-o", tmp_path / "out", "--runs", runs, "--segmentation", drawn.clouds, "--extent", 0.2, 0.4)
    result = told(*words, "--after", "segmentation=1", "--unchanged", 0)
    assert result.exit_code == 0, result.output
    for row in rows(tmp_path / "out"):
        assert row["before"].endswith(".tif") and row["mask"].endswith(".tif")
    for before, after, mask in sides(tmp_path / "out"):
        assert before.shape[0] == 5
        np.testing.assert_array_equal(before[:, ~mask], after[:, ~mask])
    shaped = clouds(
        5, runs=runs, out=tmp_path / "shaped", segmentation=drawn.clouds, shapes=drawn.clouds,
        extent=(0.01, 0.99), unchanged=0, fixed=False,
    )  # fmt: skip
    assert len(rows(shaped)) == 5


def test_volumes_are_folders_of_slices_and_change_where_the_mask_says(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    changes = ("conditions.depth={kind: number, origin: slice_position}", "tiles.size=[8,16,16]", "game.images=32")
    train("ct_volume", data=drawn.ct_truth, changes=changes, runs=tmp_path / "runs")
    ends = {"before": {"depth": "0"}, "after": {"depth": "0.7"}}
    out = pairs(
        2, before=ends["before"], after=ends["after"], runs=tmp_path / "runs", out=tmp_path / "out", unchanged=0
    )
    for row in rows(out):
        before, after = (np.stack([s.read(0, 8).values for s in open_scenes(out / row[side])]) for side in SIDES[:2])
        assert before.shape == after.shape == (1, 1, 8, 16, 16)
        (map,) = open_scenes(out / row["mask"])
        (scene,) = open_scenes(out / row["after"])
        mask = map.on(scene).read(0, 8).values[0] > 0
        assert mask.mean() == pytest.approx(float(row["changed"]), abs=1e-4)
        np.testing.assert_array_equal(before[0, 0, ~mask], after[0, 0, ~mask])


def test_an_interrupted_call_goes_on_and_a_larger_n_adds(runs: Path, tmp_path: Path) -> None:
    whole = nodules(5, runs=runs, out=tmp_path / "whole")
    part = nodules(2, runs=runs, out=tmp_path / "part")
    with (part / "pairs.csv").open("a") as stream:
        stream.write("before/sample_000002.dcm,aft")
    assert nodules(5, runs=runs, out=part) == part
    assert content(part) == content(whole)
    nodules(3, runs=runs, out=whole)
    assert len(rows(whole)) == 5


def test_before_is_what_synthesize_writes_and_no_two_files_share_an_identifier(runs: Path, tmp_path: Path) -> None:
    folder = nodules(4, runs=runs, out=tmp_path / "pairs", unchanged=0.5, seed=1)
    alone = synthesize(
        4, run="chest_xray-001", runs=runs, out=tmp_path / "alone", condition={"finding": "clear"}, seed=1
    )
    known = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm")) + sorted(alone.glob("*.dcm"))]
    assert len({image.SOPInstanceUID for image in known}) == len(known)
    for number in range(4):
        name = f"sample_{number:06d}.dcm"
        np.testing.assert_array_equal(values(folder / "before" / name), values(alone / name))


def test_a_pair_is_of_one_patient_and_no_two_pairs_are(runs: Path, tmp_path: Path) -> None:
    folder = nodules(3, runs=runs, out=tmp_path / "pairs", unchanged=0, guidance=2)
    patients = [{pydicom.dcmread(folder / row[side]).PatientID for side in SIDES} for row in rows(folder)]
    assert all(len(patient) == 1 for patient in patients)
    assert len(set.union(*patients)) == 3


def test_a_recipe_stands_for_its_latest_run_and_no_name_for_the_latest_of_all(runs: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text((Run.find("chest_xray-001", runs).folder / "recipe.yaml").read_text())
    known: tuple[str | Path, ...] = ("chest_xray", "chest_xray-001", recipe, runs / "chest_xray-001")
    for number, name in enumerate(known):
        out = nodules(1, run=name, runs=runs, out=tmp_path / str(number))
        assert (
            json.loads((out / "synthesis.json").read_text())["checkpoint"]
            == Run.find("chest_xray-001", runs).checkpoint_digest()
        )


def test_what_cannot_be_paired_is_said(runs: Path, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    finding = ("chest_xray", "--before", "finding=clear", "--after", "finding=opacity")
    maps = ("--segmentation", drawn.clouds)
    for words, error in (
        (("chest_xray", "--after", "finding"), "WrongCondition: --after 'finding' has no '='"),
        (("chest_xray", "--before", "finding=clear", "--after", "finding=gout"), "WrongCondition"),
        (("chest_xray", "--before", "finding=clear", "--after", "finding=clear"), "WrongCondition: nothing changes"),
        ((*finding, "--free"), "WrongCondition: acts on the whole tile"),
        ((*finding, *maps), "RunError"),
        ((*finding, "--extent", "0.5", "0.1"), "RecipeError: an extent of 0.5 to 0.1"),
        ((*finding, "--extent", "0", "0.1"), "RecipeError"),
        ((*finding, "--unchanged", "1.5"), "RecipeError: a part of 1.5 unchanged"),
        ((*finding, "--shapes", tmp_path / "none"), "NothingFound"),
        (("--after", "segmentation=1"), "RunError"),
        (("--after", "segmentation=9", *maps), "WrongCondition"),
        (("--after", "segmentation=1", *maps, "--shapes", drawn.clouds, "--extent", "0.501", "0.503"), "TooLittleData"),
        (("histology", *finding[1:]), "NoRun"),
        ((*finding, "-o", tmp_path / "full"), "OutputInTheWay"),
        ((*finding, "--format", "geotiff"), "Unwritable"),
    ):
        result = told("--n", 2, "--runs", runs, "-o", tmp_path / "out", *words)
        assert result.exit_code == 2, (words, result.output)
        assert error in result.stderr, (words, result.stderr)
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "full/notes.txt").read_text() == "mine"
