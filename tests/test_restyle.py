"""The verb: a file with the look of another site or season, in its own format, what it shows kept."""

from __future__ import annotations

import csv
import json
import shutil
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import sobel

from augmentor.cli import main
from augmentor.errors import NothingToFill, OutputInTheWay, RunError, UserError, WrongCondition
from augmentor.restyle import restyle
from augmentor.run import Run
from augmentor.train import train
from augmentor.verify import verify
from data_adapters import Channel, Pixels, Provenance, Scene, Template, adapter, open_scenes, phantoms

FORMATS = ("dicom", "nifti", "png")
TEMPLATES = {
    "dicom": Template("dicom", "image", "CR", (Channel("CR"),), "uint16", 0, 4095, bits=12, unit="mm"),
    "nifti": Template("nifti", "volume", "", (Channel("intensity"),), "float32", 0, 4095, unit="mm"),
    "png": Template("png", "image", "", (Channel("gray"),), "uint8", 0, 255, bits=8),
}
SIDE, COUNT = 40, 24


def look(site: str, image: NDArray[np.float64]) -> NDArray[np.float64]:
    """A radiograph, 0 to 1, as a site has it: the second one's are brighter and flatter."""
    return 0.8 * image if site == "north" else 0.4 + 0.5 * image


def written(folder: Path, format: str, number: int, site: str) -> Path:
    """Radiograph ``number`` as a site has it, as a file; of volumes, twice over."""
    template = TEMPLATES[format]
    plane = phantoms.radiograph(np.random.default_rng([9, number]), SIDE, opacity=False)
    volume = np.repeat(look(site, plane)[None, None] * template.high, 1 + (format == "nifti"), axis=1)
    made_by = Provenance("phantom", "1", "drawn phantom", index=number, source=site)
    return Path(next(iter(adapter(format).write_sample(folder / f"{site}_{number:03d}", volume, template, made_by))))


@pytest.fixture(scope="module")
def runs(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of radiographs of two sites in every format, and of dates by month."""
    folder = tmp_path_factory.mktemp("runs")
    for format in FORMATS:
        data = tmp_path_factory.mktemp(format)
        sites = [("north", "south")[number % 2] for number in range(COUNT)]
        files = [written(data, format, number, site) for number, site in enumerate(sites)]
        with (data / "labels.csv").open("w", newline="") as stream:
            rows = [(file.name, site) for file, site in zip(files, sites, strict=True)]
            csv.writer(stream).writerows([("file", "site"), *rows])
        changes = (f"name={format}", "conditions={site: {column: site}}", "data.group=null", "data.modality=''",
                   "tiles.size=[16,16]", "game.images=1600", "synthesis.format=source")  # fmt: skip
        train("chest_xray", data=data, changes=changes, runs=folder)
    changes = ("name=stack", "data.masks=null", "tiles.size=[16,16]", "game.images=320",
               "conditions={month: {kind: cycle, origin: month}}")  # fmt: skip
    train("satellite_tiles", data=drawn.stack_truth, changes=changes, runs=folder)
    return folder


@cache
def seen(path: Path) -> tuple[Scene, Pixels]:
    (scene,) = (scene for scene in open_scenes(path) if not scene.files[0].stem.endswith("_made"))
    return scene, scene.read(0, scene.shape[1])


def edges(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.hypot(sobel(values, -1), sobel(values, -2)).ravel()


def told(*words: object) -> Result:
    return CliRunner().invoke(main, ["restyle", *map(str, words)])


SUFFIX = {"dicom": ".dcm", "nifti": ".nii.gz", "png": ".png"}


@pytest.mark.parametrize("own", ["stated", "found"])
@pytest.mark.parametrize("format", FORMATS)
def test_the_look_is_the_other_site_s_and_the_edges_are_its_own(
    runs: Path, tmp_path: Path, format: str, own: str
) -> None:
    source, truth = (written(tmp_path, format, 1000, site) for site in ("north", "south"))
    digest = source.read_bytes()
    out = tmp_path / f"out{SUFFIX[format]}"
    stated = ("--from", "site=north") if own == "stated" else ()
    result = told(source, "-o", out, "--to", "site=south", *stated, "--run", f"{format}-001", "--runs", runs)
    assert result.exit_code == 0, result.output
    said = f"from site=north ({'as stated' if own == 'stated' else 'as fits best'}) to site=south"
    assert said in result.output
    assert source.read_bytes() == digest
    (before, old), (after, new), (_, wanted) = (seen(path) for path in (source, out, truth))
    assert (before.format, before.shape, before.dtype, before.grid) == (
        after.format, after.shape, after.dtype, after.grid
    )  # fmt: skip
    away, left = (np.abs(side.values.mean() - wanted.values.mean()) for side in (old, new))
    assert left < 0.5 * away
    assert np.corrcoef(edges(old.values), edges(new.values))[0, 1] > 0.85
    record = json.loads((tmp_path / f"{out.name}.json").read_text())
    assert record["style"] == said and record["conditions"] == {"site": "south", "from": "site=north"}
    assert record["pixels"] == old.seen.sum()
    with Image.open(tmp_path / f"{out.name}.png") as picture:
        left, right = np.array_split(np.asarray(picture, float), 2, axis=1)
    assert right.mean() > left.mean() + 10
    files = [out, tmp_path / f"{out.name}.json", tmp_path / f"{out.name}.png"]
    assert all(verdict.fine for verdict in verify(*files, runs=runs))


def test_a_derived_dicom_says_so(runs: Path, tmp_path: Path) -> None:
    source = written(tmp_path, "dicom", 1001, "north")
    restyle(source, tmp_path / "out", to={"site": "south"}, own={"site": "north"}, run="dicom-001", runs=runs)
    before, after = pydicom.dcmread(source), pydicom.dcmread(next((tmp_path / "out").glob("*.dcm")))
    assert after.ImageType[0] == "DERIVED" and after.SyntheticData == "YES"
    assert after.SOPInstanceUID != before.SOPInstanceUID != after.SeriesInstanceUID
    assert after.StudyInstanceUID == before.StudyInstanceUID
    assert "restyling" in after.DerivationDescription
    again = tmp_path / "again"
    restyle(source, again, to={"site": "south"}, own={"site": "north"}, run="dicom-001", runs=runs)
    assert [f.read_bytes() for f in sorted(again.iterdir())] == [
        f.read_bytes() for f in sorted((tmp_path / "out").iterdir())
    ]


def hidden(format: str, source: Path, where: NDArray[np.bool_]) -> Path:
    """The same file, where nothing was observed in a part of it."""
    if format == "png":
        with Image.open(source) as image:
            gray = np.asarray(image)
        Image.fromarray(np.stack([gray, np.where(where, 0, 255).astype(np.uint8)], axis=-1), "LA").save(source)
    elif format == "nifti":
        image = nibabel.load(source)
        values = np.array(image.dataobj)
        values[np.broadcast_to(where.T[..., None], values.shape)] = np.nan
        nibabel.save(nibabel.Nifti1Image(values, image.affine, image.header), source)
    else:
        image = pydicom.dcmread(source)
        stored = image.pixel_array.copy()
        stored[where] = 0
        image.add_new("PixelPaddingValue", "US", 0)
        image.PixelData = stored.tobytes()
        image.save_as(source)
    return source


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_not_observed_is_as_it_was(runs: Path, tmp_path: Path, format: str) -> None:
    where = np.zeros((SIDE, SIDE), bool)
    where[5:20, 10:30] = True
    source = hidden(format, written(tmp_path, format, 1002, "north"), where)
    out = tmp_path / f"out{SUFFIX[format]}"
    done = restyle(source, out, to={"site": "south"}, own={"site": "north"}, run=f"{format}-001", runs=runs)
    (_, old), (_, new) = seen(source), seen(out)
    np.testing.assert_array_equal(old.valid, new.valid)
    assert (~old.seen).sum() > 0 and done.pixels == old.seen.sum()
    np.testing.assert_array_equal(old.values[~old.valid], new.values[~old.valid])
    assert (old.values[old.valid] != new.values[old.valid]).mean() > 0.5


def test_dates_take_the_look_of_a_month(runs: Path, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    """Of a stack, each from its own; what has the look already, and nodata, stays."""
    result = told(drawn.stack, "-o", tmp_path / "out", "--to", "month=8", "--run", "stack-001", "--runs", runs)
    assert result.exit_code == 0, result.output
    assert "by its date" in result.output
    (before, old), (after, new) = seen(drawn.stack), seen(tmp_path / "out")
    assert (before.dates, before.shape, before.grid) == (after.dates, after.shape, after.grid)
    np.testing.assert_array_equal(old.values[~old.valid], new.values[~old.valid])
    for index, day in enumerate(before.dates):
        same = old.values[:, index] == new.values[:, index]
        if day[5:7] == "08":
            assert same.all()
        else:
            assert not same[old.valid[:, index]].all()
    assert any(day[5:7] == "08" for day in before.dates) and not old.valid.all()
    assert all(verdict.fine for verdict in verify(tmp_path / "out", runs=runs))
    result = CliRunner().invoke(main, ["verify", str(tmp_path / "out"), "--source", str(drawn.stack)])
    assert result.exit_code == 0, result.output


def test_slices_of_a_volume_are_restyled_one_by_one(runs: Path, tmp_path: Path) -> None:
    """The same plane twice over becomes the same plane twice over."""
    source = written(tmp_path, "nifti", 1003, "south")
    restyle(source, tmp_path / "out.nii.gz", to={"site": "north"}, run="nifti-001", runs=runs)
    _, new = seen(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(new.values[:, 0], new.values[:, 1])


REFUSED = {
    "no such condition": ("png", "png", {"to": {"scanner": "a"}}, WrongCondition),
    "no such value": ("png", "png", {"to": {"site": "west"}}, WrongCondition),
    "no such own value": ("png", "png", {"to": {"site": "south"}, "own": {"site": "west"}}, WrongCondition),
    "nothing wanted": ("png", "png", {"to": {}}, WrongCondition),
    "the same style": ("png", "png", {"to": {"site": "north"}, "own": {"site": "north"}}, WrongCondition),
    "the same style, found": ("png", "png", {"to": {"site": "north"}}, WrongCondition),
    "other channels": ("png", "stack", {"to": {"month": "8"}}, RunError),
    "other units": ("nifti", "png", {"to": {"site": "south"}}, RunError),
    "a run that fills": ("png", "filling", {"to": {"site": "south"}}, RunError),
    "a run without conditions": ("png", "plain", {"to": {"site": "south"}}, RunError),
    "out in the way": ("png", "png", {"to": {"site": "south"}, "out": "taken.png"}, OutputInTheWay),
    "another format": ("png", "png", {"to": {"site": "south"}, "out": "out.nii.gz"}, UserError),
    "several scenes": ("folder", "png", {"to": {"site": "south"}}, NothingToFill),
}


@pytest.fixture(scope="module")
def others(runs: Path) -> Path:
    """Beside the runs, one that fills and one without conditions, as far as their facts go."""
    for name, changes in (("filling", {"context": 3}), ("plain", {"conditions": []})):
        shutil.copytree(runs / "png-001", runs / f"{name}-001")
        facts = runs / f"{name}-001/facts.json"
        facts.write_text(json.dumps(json.loads(facts.read_text()) | changes))
    assert Run.find("filling-001", runs).facts.context == 3
    return runs


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_before_anything_is_written(others: Path, tmp_path: Path, case: str) -> None:
    format, run, options, error = REFUSED[case]
    if format == "folder":
        for number in (1, 2):
            written(tmp_path / "in", "png", number, "north")
        source = tmp_path / "in"
    else:
        source = written(tmp_path / "in", format, 1004, "north")
    (tmp_path / "taken.png").write_bytes(b"")
    there = sorted(tmp_path.rglob("*"))
    out = tmp_path / str(options.get("out", f"out{SUFFIX.get(format, '.png')}"))
    asked = {name: value for name, value in options.items() if name != "out"}
    with pytest.raises(error):
        restyle(source, out, run=f"{run}-001", runs=others, **asked)
    assert sorted(tmp_path.rglob("*")) == there


@pytest.mark.parametrize("words", [("--to", "site"), ("--to", "site=south", "--from", "north")])
def test_words_without_a_value_are_refused(runs: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    source = written(tmp_path, "png", 1005, "north")
    result = told(source, "-o", tmp_path / "out.png", *words, "--run", "png-001", "--runs", runs)
    assert result.exit_code == 2 and "name=value" in result.output
