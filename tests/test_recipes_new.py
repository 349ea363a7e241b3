"""`augmentor recipes new`: what is written loads, says why, fits the domain, and trains."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from augmentor import train
from augmentor.cli import main
from augmentor.errors import OutputInTheWay, TooLittleData, UserError
from augmentor.fitting import new as writing
from augmentor.fitting import pace as pacing
from augmentor.fitting.choose import ways
from augmentor.fitting.columns import read_columns
from augmentor.fitting.look import look
from augmentor.fitting.new import new
from augmentor.fitting.pace import Machine, machine, needed, pace
from augmentor.recipe import Recipe, load, shipped
from data_adapters import open_scenes, phantoms
from data_adapters.errors import NothingFound
from data_adapters.geotiff.rasters import open_raster

SHARED = Path("../shared/data")
CPU = Machine(False, 16 << 30)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares a test that is about something else the seconds of timing."""
    monkeypatch.setattr(writing, "pace", lambda recipe, template: 100.0)


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def chosen(path: Path, at: Machine = CPU) -> dict[str, Any]:
    """What is chosen for the data at a path, by key."""
    return {choice.key: choice.value for choice in next(ways(look(path), at))[1]}


def reasons(path: Path) -> dict[str, str]:
    return {choice.key: choice.why for choice in next(ways(look(path), CPU))[1]}


def ct_of_two(folder: Path) -> Path:
    for seed in range(2):
        phantoms.write_ct(folder / str(seed), phantoms.ct_volume(seed, 64, 36), seed)
    return folder


def shallow(folder: Path) -> Path:
    """MR of ten slices, of three patients."""
    folder.mkdir()
    for seed in range(3):
        phantoms.write_mr(folder / f"{seed}.nii.gz", phantoms.mr_volume(seed, 64, 10), seed)
    return folder


DATA: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "radiographs": (
        lambda folder: phantoms.chest_set(folder, 24, 0, 96),
        {"task": "synthesize", "tiles.flips": False, "tiles.cut": "whole", "tiles.size": [64, 64],
         "data.labels": "labels.csv", "data.group": "patient", "synthesis.format": "source",
         "conditions.finding": {"column": "finding"}},
    ),
    "mammograms": (
        lambda folder: phantoms.mammogram_set(folder / "mammography", 16, 0, 96),
        {"tiles.flips": False, "tiles.cut": "whole", "data.modality": "MG", "data.group": "patient_id"},
    ),
    "ultrasound": (
        lambda folder: phantoms.ultrasound_set(folder / "ultrasound", 16, 0, 64),
        {"tiles.flips": False, "tiles.cut": "whole", "data.modality": "US"},
    ),
    "histology, by its colours": (
        lambda folder: phantoms.histology_set(folder / "fields", 16, 0, 192),
        {"tiles.flips": True, "tiles.cut": "grid", "conditions.label": {"column": "label"}},
    ),
    "aerial": (
        lambda folder: phantoms.aerial_set(folder, 16, 0, 96),
        {"tiles.flips": True, "tiles.cut": "whole", "data.group": "patient_id"},
    ),
    "radar": (
        lambda folder: phantoms.write_radar(folder / "scene.tif", 0, 192).parent,
        {"tiles.flips": False, "tiles.cut": "grid", "tiles.overlap": 0.5, "data.group": None, "conditions": {}},
    ),
    "scene classes": (
        lambda folder: phantoms.write_sentinel2(folder / "scene.tif", 0, 320),
        {"task": "synthesize", "tiles.flips": True, "data.masks": "SCL"},
    ),
    "quality bits": (
        lambda folder: phantoms.write_landsat(folder / "scene.tif", 0, 320),
        {"task": "synthesize", "tiles.flips": True, "data.masks": "QA_PIXEL"},
    ),
    "volumes": (
        ct_of_two,
        {"task": "synthesize", "tiles.size": [32, 32, 32], "tiles.limits": [-1000, 1000], "tiles.flips": False},
    ),
    "shallow volumes": (
        shallow,
        {"tiles.size": [64, 64], "tiles.cut": "whole", "data.modality": "MR", "tiles.limits": None,
         "conditions.position": {"kind": "number", "origin": "slice_position"}},
    ),
}  # fmt: skip
"""What is drawn, and what must be chosen for it."""


@pytest.mark.parametrize("kind", DATA)
def test_choices_fit_the_domain_and_what_is_written_loads(kind: str, tmp_path: Path, unmeasured: None) -> None:
    draw, wanted = DATA[kind]
    data = draw(tmp_path / "data")
    found = chosen(data)
    assert {key: found.get(key, "absent") for key in wanted} == wanted
    recipe = load(new(data, tmp_path / "recipe.yaml"))
    assert recipe.data.path == data and recipe.tiles.flips == found["tiles.flips"]
    assert [*recipe.tiles.size] == found["tiles.size"]


@pytest.mark.parametrize("kind", ["ct", "mr", "stack"])
def test_what_lacks_slices_or_lies_under_clouds_is_filled(
    kind: str, drawn: phantoms.Phantoms, tmp_path: Path, unmeasured: None
) -> None:
    recipe = load(new(getattr(drawn, kind), tmp_path / "recipe.yaml"))
    assert recipe.task == "fill" and not recipe.conditions and recipe.tiles.cut == "grid"
    assert recipe.data.masks == (drawn.clouds if kind == "stack" else None)


def test_one_volume_with_gaps_among_whole_ones_is_no_reason_to_fill(tmp_path: Path) -> None:
    folder = shallow(tmp_path / "x")
    holed = phantoms.mr_volume(7, 64, 10)
    holed[4] = 0
    phantoms.write_mr(folder / "holed.nii.gz", holed, 7)
    assert chosen(folder)["task"] == "synthesize"
    assert "missing slices: 1, between others, in 1 of 4 volumes" in reasons(folder)["task"]


def test_a_stack_without_masks_is_made_anew_by_month(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    alone = shutil.copytree(drawn.stack_truth, tmp_path / "deep" / "stack")
    found = chosen(alone)
    assert found["task"] == "synthesize" and found["conditions.month"] == {"kind": "cycle", "origin": "month"}


@pytest.mark.parametrize("kind", ["radiographs", "quality bits", "shallow volumes"])
def test_training_starts_with_what_is_written(kind: str, tmp_path: Path, unmeasured: None) -> None:
    data = DATA[kind][0](tmp_path / "data")
    out = new(data, tmp_path / "recipe.yaml")
    run = train(out, changes=("game.images=32",), runs=tmp_path / "runs")
    assert run.file("generator").is_file()


def test_every_value_says_why_and_how_long_it_takes(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    out = tmp_path / "recipe.yaml"
    result = augmentor("recipes", "new", drawn.chest, "-o", out)
    assert result.exit_code == 0 and result.stdout.startswith(f"{out}: written")
    lines = out.read_text().splitlines()
    assert max(map(len, lines)) <= 120
    values = [k for k, line in enumerate(lines) if line.startswith("  ") and not line.lstrip().startswith("#")]
    assert values and all(lines[k - 1].lstrip().startswith("# ") for k in values)
    assert any("of 2 sizes, the smallest 56 x 64" in line for line in lines)
    assert "tiles/s measured)" in out.read_text() and "on this machine" in out.read_text()


@pytest.mark.parametrize("task", ["synthesize", "fill"])
def test_the_pace_is_tiles_by_the_seconds_of_mean_steps(
    task: str, drawn: phantoms.Phantoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = open_scenes(drawn.ct)[0].template()
    recipe = Recipe.model_validate({"name": "x", "task": task, "tiles": {"size": [16, 16]}, "game": {"batch": 8}})
    monkeypatch.setattr(pacing, "SECONDS", 0.0)
    assert 0 < pace(recipe, template) < 1e5
    taken = iter([1.0, 2.0, 4.0])
    monkeypatch.setattr(pacing, "_timed", lambda step: next(taken))
    acts = 0.3 * 1 + 0.05 * 2 + 0.65 * 4 if task == "synthesize" else 1.0
    assert pace(recipe, template) == pytest.approx(8 / acts)


def test_memory_decides_on_preset_and_batch(tmp_path: Path) -> None:
    data = ct_of_two(tmp_path / "data")
    assert chosen(data, Machine(False, 1 << 30))["game.batch"] == 4
    assert chosen(data, Machine(False, 64 << 30))["game.batch"] == 16
    assert [chosen(data, Machine(True, gib << 30))["model.preset"] for gib in (4, 12, 80)] == ["tiny", "small", "small"]
    assert needed("small", 1000) > needed("tiny", 1000)
    assert machine().memory > 0


COLUMNS: dict[str, tuple[list[str], str]] = {
    "finding": (["clear", "opacity"] * 20, "class"),
    "grade": (["1", "2", "3", "4"] * 10, "class"),
    "age": ([str(20 + k) for k in range(40)], "number"),
    "weight": ([f"{50 + k / 3:.1f}" for k in range(40)], "number"),
    "month": ([str(1 + k % 12) for k in range(40)], "cycle"),
    "acquisition_month": ([str(1 + k % 12) for k in range(40)], "cycle"),
    "report": ([f"heart of size {k} and clear lungs" for k in range(40)], "text"),
    "PatientID": ([f"p{k // 2}" for k in range(40)], "group"),
    "image_id": ([f"i{k}" for k in range(40)], "none"),
    "orig_size": (["256x256", "320x320"] * 20, "none"),
    "hospital": (["north", "south"] * 20, "none"),
    "view": ([*["ap", "pa"] * 8, *[""] * 24], "none"),
    "constant": (["same"] * 40, "none"),
    "empty": ([""] * 40, "none"),
    "code": ([f"c{k}" for k in range(40)], "none"),
    "odd": (["nan", "inf"] * 20, "class"),
}
"""Cells of a column, and what it is taken for."""


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_taken_for_what_it_is(name: str) -> None:
    cells, role = COLUMNS[name]
    (reading,) = read_columns([{"file": f"{k}.png", name: cell} for k, cell in enumerate(cells)])
    assert reading.role == role and reading.why


def test_one_column_alone_names_the_groups() -> None:
    rows = [{"file": f"{k}", "place": f"p{k // 2}", "patient": f"q{k // 4}"} for k in range(16)]
    assert [(r.column, r.role) for r in read_columns(rows)] == [("place", "none"), ("patient", "group")]


def pictures(folder: Path, count: int, labels: list[dict[str, str]] | None = None) -> Path:
    """Gray pictures, and perhaps a label file."""
    folder.mkdir()
    for k in range(count):
        plane = np.random.default_rng(k).integers(0, 255, (40, 40)).astype(np.uint8)
        Image.fromarray(plane).save(folder / f"{k:02d}.png")
    if labels:
        with (folder / "labels.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(labels[0]))
            writer.writeheader()
            writer.writerows(labels)
    return folder


def test_names_of_columns_and_files_cannot_leave_their_comment(tmp_path: Path, unmeasured: None) -> None:
    odd = "of\nseed: 7\n# x: {[&*!"
    labels = [{"file": f"{k:02d}.png", odd: ("a: b", "c\nseed: 9")[k % 2]} for k in range(16)]
    recipe = load(new(pictures(tmp_path / "x", 16, labels), tmp_path / "recipe.yaml"))
    assert recipe.seed == 0 and recipe.conditions[odd].column == odd


def test_classes_that_are_one_with_another_column_are_told(tmp_path: Path) -> None:
    labels = [{"file": f"{k:02d}.png", "label": "ab"[k % 2], "hospital": ("north", "south")[k % 2]} for k in range(16)]
    why = reasons(pictures(tmp_path / "x", 16, labels))
    assert "a is one with hospital north" in why["conditions.label"]
    assert "hospital (says where images come from" in why["data.labels"]


def test_a_list_of_sums_is_no_label_file(tmp_path: Path) -> None:
    labels = [{"file": f"{k:02d}.png", "sha1": f"{k:040d}"} for k in range(8)]
    assert chosen(pictures(tmp_path / "x", 16, labels))["data.labels"] is None


@pytest.mark.parametrize("linear", [False, True], ids=["decibels", "power"])
def test_radar_that_is_no_decibels_is_told(linear: bool, tmp_path: Path) -> None:
    path = phantoms.write_radar(tmp_path / "scene.tif", 0, 128)
    if linear:
        with open_raster(path, "r+") as raster:
            raster.write(10 ** (raster.read() / 10))
    assert ("decibels use it better" in reasons(path)["tiles.limits"]) == linear


def test_volumes_that_do_not_go_together_are_told(tmp_path: Path) -> None:
    folder = shallow(tmp_path / "x")
    phantoms.write_mr(folder / "organs_seg.nii.gz", np.zeros((10, 64, 64)), 0)
    assert "organs_seg may be label maps" in reasons(folder)["data.path"]


def nothing(folder: Path) -> Path:
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")
    return folder


def of_one(folder: Path) -> Path:
    labels = [{"file": f"{k:02d}.png", "label": "ab"[k % 2]} for k in range(5)]
    return pictures(folder, 5, labels)


def clouded(folder: Path) -> Path:
    """A raster of enough tiles, nearly all of them under clouds."""
    path = phantoms.write_sentinel2(folder / "scene.tif", 0, 192)
    with open_raster(path, "r+") as raster:
        raster.write(np.full((192, 192), 9, np.uint16), 6)
    return folder


@pytest.mark.parametrize(
    ("draw", "kind", "said"),
    [
        (lambda folder: folder, NothingFound, "no such file"),
        (nothing, NothingFound, "no image in a known format"),
        (of_one, TooLittleData, "5 images, and 16"),
        (lambda folder: pictures(folder, 1) / "00.png", TooLittleData, "1 image, and 16"),
        (clouded, TooLittleData, "left out as covered by masks"),
    ],
    ids=["nowhere", "no images", "five", "one", "all clouded"],
)
def test_what_no_recipe_fits_is_refused(
    draw: Callable[[Path], Path], kind: type[UserError], said: str, tmp_path: Path
) -> None:
    out = tmp_path / "recipe.yaml"
    result = augmentor("recipes", "new", draw(tmp_path / "data"), "-o", out)
    assert result.exit_code == 2 and result.stderr.strip().splitlines()[-1].startswith(f"{kind.__name__}: ")
    assert said in result.stderr and not out.exists()


def test_nothing_is_overwritten(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    out = tmp_path / "recipe.yaml"
    out.write_text("mine")
    with pytest.raises(OutputInTheWay, match="exists"):
        new(drawn.chest, out)
    assert out.read_text() == "mine"


def test_recipes_are_still_listed_and_printed() -> None:
    assert [line.split()[0] for line in augmentor("recipes").output.splitlines()] == [*shipped()]
    assert yaml.safe_load(augmentor("recipes", "chest_xray").output)["name"] == "chest_xray"
    assert augmentor("recipes", "chest_xrays").stderr.startswith("RecipeError: ")


REAL: dict[str, dict[str, Any]] = {
    "chest_xray": {"data.group": "patient_id", "data.modality": "CR", "tiles.flips": False, "tiles.size": [64, 64],
                   "conditions.label": {"column": "label"}},
    "ct_dicom/abdomen_20_j2k": {"task": "synthesize", "tiles.limits": [-1000, 1000], "tiles.cut": "grid"},
    "ct_dicom/ge_head_28_irregular": {"tiles.size": [64, 64], "tiles.flips": False},
    "mr_dicom/sag_mprage_64": {"tiles.size": [32, 32, 32], "tiles.limits": None},
    "nifti/totalseg_example_ct.nii.gz": {"data.modality": "CT", "tiles.limits": [-1000, 1000]},
    "satellite/S2_L2A_sample_5band.tif": {"data.masks": "SCL", "tiles.flips": True},
    "satellite_timeseries/s2_rome_west": {"task": "fill", "tiles.size": [32, 32],
                                          "data.masks": str(SHARED / "satellite_timeseries/s2_rome_west_masks")},
    "tiles_labelled/ucmerced": {"data.labels": "../ucmerced_labels.csv", "tiles.flips": True, "tiles.cut": "whole",
                                "conditions.label": {"column": "label"}},
}  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared sample data")
@pytest.mark.parametrize("name", REAL)
def test_real_data_is_understood(name: str) -> None:
    found = chosen(SHARED / name)
    assert {key: found.get(key, "absent") for key in REAL[name]} == REAL[name]
