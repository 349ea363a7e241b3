"""What samples can be asked to be, end to end: values, texts, months, label maps, volumes, other runs, inversion."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from augmentor import synthesize, train
from augmentor.cli import main
from augmentor.errors import LabelError, RecipeError, RunError, WrongCondition
from augmentor.inversion import Inversion
from augmentor.run import Run
from augmentor.sampling import samples
from data_adapters import open_scenes, phantoms

SHORT = ("tiles.size=[16,16]", "tiles.held_out=0.2", "game.images=640")
DISCS = """
name: discs
data: {labels: labels.csv, modality: CR}
conditions:
  radius: {kind: number, column: radius}
  month: {kind: cycle, column: month}
  report: {kind: text, column: report}
  side: {column: side}
synthesis: {format: png}
"""


def disc(radius: float, right: bool) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:32, :32]
    inside = (rows - 16) ** 2 + (columns - (21 if right else 11)) ** 2 < radius**2
    return np.where(inside, 200, 40).astype(np.uint8)


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of discs that differ in radius and side, their label maps, and what is said of them."""
    folder = tmp_path_factory.mktemp("discs")
    (folder / "images").mkdir()
    (folder / "maps").mkdir()
    random = np.random.default_rng(0)
    with (folder / "images/labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "radius", "month", "report", "side"])
        for k in range(48):
            radius, right = float(random.uniform(3, 9)), bool(k % 2)
            picture = disc(radius, right)
            Image.fromarray(picture).save(folder / f"images/disc_{k:02d}.png")
            Image.fromarray((picture > 100).astype(np.uint8) * 7).save(folder / f"maps/disc_{k:02d}_seg.png")
            said = ["large disc" if radius > 6 else "small disc", "right" if right else "left"]
            # An empty cell is a value that is not known.
            writer.writerow([f"disc_{k:02d}.png", f"{radius:.2f}", k % 12 + 1 if k % 5 else "", *said])
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "discs.yaml"
    path.write_text(DISCS)
    return path


@pytest.fixture(scope="module")
def run(discs: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    changes = (*SHORT, "game.images=5000", "game.warm_start=0.9", "game.judge_alone=0.02")
    return train(recipe, data=discs / "images", changes=changes, runs=tmp_path_factory.mktemp("runs"))


def brightness(folder: Path) -> float:
    return float(np.mean([np.asarray(Image.open(path)) for path in folder.glob("sample_*[0-9].png")]))


@pytest.mark.parametrize(
    ("small", "large"),
    [({"radius": "3"}, {"radius": "9"}), ({"report": "small disc"}, {"report": "large disc"})],
    ids=["number", "text"],
)
def test_samples_follow_what_is_asked(run: Run, tmp_path: Path, small: dict[str, str], large: dict[str, str]) -> None:
    """Larger discs are brighter on the whole, and further guidance goes further."""
    low, high, further = (
        brightness(synthesize(64, run=run.folder, out=tmp_path / name, condition=asked, guidance=guidance))
        for name, asked, guidance in (("low", small, 1.0), ("high", large, 1.0), ("further", large, 2.0))
    )
    assert low < high < further


def test_sides_are_kept_apart(run: Run, tmp_path: Path) -> None:
    halves = {}
    for side in ("left", "right"):
        folder = synthesize(24, run=run.folder, out=tmp_path / side, condition={"side": side})
        picture = np.mean([np.asarray(Image.open(path), float) for path in folder.glob("sample_*[0-9].png")], axis=0)
        halves[side] = picture[:, :8].sum() - picture[:, 8:].sum()
    assert halves["left"] > halves["right"]


def test_texts_and_exact_values_stay_out_of_the_run(run: Run) -> None:
    """What is kept for sampling names no text, and numbers in steps of their range."""
    kept = [values for values, _ in run.facts.combinations]
    assert not any("report" in values for values in kept)
    assert len({values["radius"] for values in kept}) <= 51
    weights = run.weights.read_bytes() + (run.folder / "facts.json").read_bytes()
    assert b"large disc" not in weights


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("radius=wide", "radius is a number, and 'wide' is none"),
        ("radius=nan", "radius is a number"),
        ("month=May", "month is a number"),
        ("side=up", "values of side: left, right"),
        ("colour=red", "this run's conditions: radius, month, report, side"),
    ],
)
def test_what_cannot_be_asked_is_said(run: Run, asked: str, message: str) -> None:
    result = augmentor("synthesize", "--n", 1, "--run", run.folder, "--condition", asked)
    assert result.exit_code == 2 and result.output.startswith("WrongCondition") and message in result.output


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("conditions.report.kind=number", LabelError),
        ("conditions.side.kind=cycle", LabelError),
        ("conditions.side={origin: month}", LabelError),
        ("conditions.side={origin: month, column: side}", RecipeError),
        ("conditions.side={kind: language, column: side}", RecipeError),
        ("segmentation.path=nowhere", LabelError),
        ("tiles.size=[16,16,16,16]", RecipeError),
        ("game.frozen_stages=1", RecipeError),
    ],
)
def test_a_recipe_that_does_not_suit_the_labels_is_refused(
    discs: Path, recipe: Path, tmp_path: Path, change: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        train(recipe, data=discs / "images", changes=(*SHORT, change), runs=tmp_path)


class TestSegmentation:
    @pytest.fixture(scope="class")
    def together(self, discs: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
        changes = (*SHORT, "game.images=3000", f"segmentation.path={discs / 'maps'}", "conditions={}")
        return train(recipe, data=discs / "images", changes=changes, runs=tmp_path_factory.mktemp("runs"))

    @pytest.fixture(scope="class")
    def conditioned(self, discs: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
        own = (f"segmentation.path={discs / 'maps'}", "segmentation.use=condition", "conditions={}")
        runs = tmp_path_factory.mktemp("runs")
        return train(recipe, data=discs / "images", changes=(*SHORT, "game.images=3000", *own), runs=runs)

    def test_a_sample_brings_its_own_label_map(self, together: Run, tmp_path: Path) -> None:
        folder = synthesize(12, run=together.folder, out=tmp_path / "out")
        with (folder / "labels.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        inside, outside = [], []
        for row in rows:
            image, labels = (np.asarray(Image.open(folder / row[key])) for key in ("file", "segmentation"))
            assert image.shape == labels.shape and set(np.unique(labels)) <= {0, 7}
            inside += image[labels == 7].tolist()
            outside += image[labels == 0].tolist()
        assert np.mean(inside) > np.mean(outside) + 50

    def test_an_image_is_made_for_a_label_map(self, conditioned: Run, discs: Path, tmp_path: Path) -> None:
        folder = synthesize(16, run=conditioned.folder, out=tmp_path / "out", segmentation=discs / "maps")
        pairs = [
            (np.asarray(Image.open(folder / f"sample_{k:06d}.png")), np.asarray(Image.open(path)))
            for k in range(16)
            for path in [folder / f"sample_{k:06d}_seg.png"]
        ]
        maps = np.stack([labels for _, labels in pairs])
        asked = [np.asarray(Image.open(discs / f"maps/disc_{k:02d}_seg.png")) for k in range(16)]
        shares = [[float((m == 7).mean()) for m in group] for group in (maps, asked)]
        np.testing.assert_allclose(*shares, atol=0.05)
        assert np.mean([i[m == 7].mean() for i, m in pairs]) > np.mean([i[m == 0].mean() for i, m in pairs]) + 50

    def test_maps_are_asked_for_where_they_are_needed_and_nowhere_else(
        self, together: Run, conditioned: Run, discs: Path
    ) -> None:
        with pytest.raises(RunError, match="makes images for label maps"):
            synthesize(1, run=conditioned.folder)
        with pytest.raises(RunError, match="takes no label maps"):
            synthesize(1, run=together.folder, segmentation=discs / "maps")

    def test_a_label_that_training_never_saw_is_refused(self, conditioned: Run, tmp_path: Path) -> None:
        Image.fromarray(np.full((32, 32), 9, np.uint8)).save(tmp_path / "map.png")
        with pytest.raises(LabelError, match="labels that training never saw: 9"):
            synthesize(1, run=conditioned.folder, segmentation=tmp_path / "map.png")

    def test_a_missing_map_is_named(self, discs: Path, recipe: Path, tmp_path: Path) -> None:
        (tmp_path / "maps").mkdir()
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "maps/disc_00.png")
        with pytest.raises(LabelError, match="holds no label map for"):
            changes = (*SHORT, f"segmentation.path={tmp_path / 'maps'}")
            train(recipe, data=discs / "images", changes=changes, runs=tmp_path / "runs")


class TestVolumes:
    @pytest.fixture(scope="class")
    def run(self, tmp_path_factory: pytest.TempPathFactory) -> Run:
        folder = tmp_path_factory.mktemp("ct")
        for seed in range(2):
            phantoms.write_ct(folder / f"patient{seed}", phantoms.ct_volume(seed, 48), seed)
        changes = ("tiles.size=[16,16,16]", "game.images=160", "game.batch=8")
        return train("ct_volume", data=folder, changes=changes, runs=folder / "runs")

    def test_a_volume_becomes_a_series(self, run: Run, tmp_path: Path) -> None:
        folder = synthesize(2, run=run.folder, out=tmp_path / "out")
        scenes = open_scenes(folder / "sample_000001")
        assert len(scenes) == 1 and scenes[0].shape == (1, 16, 16, 16) and not scenes[0].missing()
        assert scenes[0].modality == "CT" and len(list((folder / "sample_000001").iterdir())) == 16

    def test_a_volume_becomes_a_nifti_with_the_same_values_and_spacing(self, run: Run, tmp_path: Path) -> None:
        dicom = synthesize(1, run=run.folder, out=tmp_path / "dicom")
        nifti = synthesize(1, run=run.folder, out=tmp_path / "nifti", format="nifti")
        image = nibabel.load(nifti / "sample_000000.nii.gz")
        series = open_scenes(dicom / "sample_000000")[0]
        values = np.asarray(image.dataobj).transpose(2, 1, 0)
        np.testing.assert_allclose(values, series.read(0, 16).values[0], atol=1)
        np.testing.assert_allclose(image.header.get_zooms(), run.facts.template.spacing[::-1], rtol=1e-4)


def test_the_month_of_a_date_and_the_place_in_a_volume_need_no_label_file(tmp_path: Path) -> None:
    drawn = phantoms.draw_all(tmp_path / "drawn", seed=5, radiographs=2, size=64)
    month = ("conditions.month={kind: cycle, origin: month}", "tiles.size=[32,32]", "game.images=160")
    stack = train("satellite_tiles", data=drawn.stack_truth, changes=month, runs=tmp_path / "runs")
    assert {values["month"] for values, _ in stack.facts.combinations} <= {str(m) for m in range(1, 13)}
    folder = synthesize(2, run=stack.folder, condition={"month": "7"})
    with rasterio.open(folder / "sample_000000.tif") as raster:
        assert raster.count == stack.facts.channels
    place = ("conditions.height={kind: number, origin: slice_position}", "conditions.finding=null")
    short = ("tiles.size=[32,32]", "game.images=160", "data.labels=null", "data.modality=CT", "data.group=null")
    with pytest.raises(RecipeError):
        train("chest_xray", data=drawn.ct_truth, changes=(*place, *short), runs=tmp_path / "runs")
    ct = ("conditions={height: {kind: number, origin: slice_position}}", *short)
    run = train("chest_xray", data=drawn.ct_truth, changes=(*ct, "tiles.cut=grid"), runs=tmp_path / "runs")
    assert run.facts.conditions[0].name == "height"


class TestAnotherRun:
    def test_it_starts_from_its_networks_and_keeps_frozen_stages(self, run: Run, discs: Path, recipe: Path) -> None:
        from safetensors.torch import load_file

        changes = (*SHORT, "game.images=64", "game.warm_start=0", "game.judge_alone=0", "game.frozen_stages=1")
        result = augmentor(
            "train", recipe, "--data", discs / "images", "--from", run.name, "--runs", run.folder.parent,
            *(word for change in changes for word in ("--set", change)),
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        later = Run.find(None, run.folder.parent)
        before, after = (load_file(r.file("discriminator")) for r in (run, later))
        frozen = [k for k in before if k.startswith("encoder.fusions.0") and "original" in k]
        assert frozen and all(before[k].equal(after[k]) for k in frozen)
        assert not before["logit.parametrizations.weight.original"].equal(
            after["logit.parametrizations.weight.original"]
        )

    def test_it_and_resume_exclude_each_other(self, run: Run, recipe: Path) -> None:
        result = augmentor("train", recipe, "--from", run.name, "--resume", "--runs", run.folder.parent)
        assert result.exit_code == 2 and result.output.startswith("RecipeError")


class TestInversion:
    @pytest.fixture(scope="class")
    def inversion(self, run: Run) -> Inversion:
        return Inversion.of(run.folder)

    @pytest.fixture(scope="class")
    def pictures(self) -> NDArray[np.float32]:
        from skimage.transform import resize

        drawn = [disc(radius, right).astype(np.float32) for radius, right in ((4, True), (8, False))]
        return np.stack([resize(d, (16, 16), order=1, anti_aliasing=True)[None] for d in drawn])

    def test_a_picture_comes_back_and_closer_when_refined(
        self, inversion: Inversion, pictures: NDArray[np.float32]
    ) -> None:
        flat = np.abs(pictures - pictures.mean()).mean()
        once = np.abs(inversion.reconstruct(pictures) - pictures).mean()
        refined = np.abs(inversion.reconstruct(pictures, refine=60) - pictures).mean()
        assert refined < once < flat

    def test_between_two_pictures_lie_the_two(self, inversion: Inversion, pictures: NDArray[np.float32]) -> None:
        points = inversion.encode(pictures, conditions=[{"side": "right"}, {"side": "left"}])
        for at, end in ((0.0, 0), (1.0, 1)):
            there = inversion.between(points[0], points[1], at)
            np.testing.assert_allclose(there.latents, points[end].latents, atol=1e-3)
            np.testing.assert_array_equal(there.codes, points[end].codes)
        made, _ = inversion.decode(inversion.between(points[0], points[1], 0.5))
        assert made.shape == (1, 1, 16, 16) and np.isfinite(made).all()

    def test_relatives_grow_apart_with_the_amount(self, inversion: Inversion, pictures: NDArray[np.float32]) -> None:
        point = inversion.encode(pictures[:1])
        own, _ = inversion.decode(point)
        apart = [
            np.abs(inversion.decode(inversion.vary(point, amount, 8))[0] - own).mean() for amount in (0.0, 0.3, 1.0)
        ]
        assert apart[0] < 1e-2 and apart[0] < apart[1] < apart[2]

    def test_a_fresh_relative_is_a_sample(self, run: Run, inversion: Inversion, pictures: NDArray[np.float32]) -> None:
        """With amount 1 nothing of the picture is left but its conditions."""
        first, second = (inversion.vary(inversion.encode(p[None]), 1.0, 4, seed=3).latents for p in pictures)
        np.testing.assert_allclose(first, second, atol=1e-4)
        assert next(samples(inversion.generator, run.facts, 0, 0, {})).pixels.shape == (1, 16, 16)

    @pytest.mark.parametrize(
        ("shape", "condition", "error"),
        [
            ((1, 1, 8, 8), {}, ValueError),
            ((1, 2, 16, 16), {}, ValueError),
            ((1, 1, 16, 16), {"age": "3"}, WrongCondition),
        ],
    )
    def test_what_does_not_fit_the_run_is_refused(
        self, inversion: Inversion, shape: tuple[int, ...], condition: dict[str, str], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            inversion.encode(np.zeros(shape, np.float32), conditions=[condition])
