"""What users at a terminal rely on: masks that fit, words that are heeded, nothing wrong without a word."""

from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from augmentor import fill
from augmentor.cli import main
from augmentor.fill import Filled
from augmentor.inspect import inspect
from data_adapters import Delivery, Provenance, adapter, open_scenes, phantoms
from data_adapters.dicom.send import stow
from data_adapters.errors import GridMismatch, NotDelivered, Unwritable, UserError

SIDE = 64
HIDDEN = (slice(20, 28), slice(24, 36))
"""Rows and columns that masks cover."""

RIGHT = np.diag([2.0, 2.0, 2.0, 1.0])


def raster(path: Path, bands: NDArray[Any], names: tuple[str, ...] = (), **profile: Any) -> Path:
    """A GeoTIFF of (B, h, w)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": len(bands), "dtype": bands.dtype,
        "crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 10, 10), **profile,
    }  # fmt: skip
    with rasterio.open(path, "w", **options) as data:
        data.write(bands)
        for index, name in enumerate(names, 1):
            data.set_band_description(index, name)
    return path


def ground(bands: int = 1) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(900, 1100, (bands, SIDE, SIDE)).astype(np.uint16)


def cover() -> NDArray[np.uint8]:
    found = np.zeros((1, SIDE, SIDE), np.uint8)
    found[0, *HIDDEN] = 1
    return found


def volume(path: Path, values: NDArray[Any], affine: NDArray[Any] = RIGHT, intent: str = "none") -> Path:
    """A NIfTI volume (X, Y, Z)."""
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_intent(intent)
    nibabel.save(image, path)
    return path


def body(seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(1, 900, (24, 20, 10)).astype(np.int16)


def pixels(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as data:
        return np.asarray(data.read())


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


# Masks that lie elsewhere


def test_a_mask_in_another_coordinate_system_is_refused(tmp_path: Path) -> None:
    scene = raster(tmp_path / "scene.tif", ground())
    mask = raster(tmp_path / "clouds.tif", cover(), crs="EPSG:32632")
    with pytest.raises(GridMismatch):
        fill(scene, tmp_path / "out.tif", mask=mask, prior_only=True)


ELSEWHERE = {
    "shifted": np.array([[2.0, 0, 0, 30], [0, 2, 0, 0], [0, 0, 2, 4], [0, 0, 0, 1]]),
    "of finer voxels": np.diag([1.0, 1.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("affine", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_mask_of_another_place_in_the_patient_is_refused(tmp_path: Path, affine: NDArray[Any]) -> None:
    scene = volume(tmp_path / "scene.nii.gz", body())
    marked = np.zeros(body().shape, np.uint8)
    marked[5:9, 5:9, 4] = 1
    mask = volume(tmp_path / "mask.nii.gz", marked, affine)
    with pytest.raises(GridMismatch):
        fill(scene, tmp_path / "out.nii.gz", mask=mask, prior_only=True)


# What masks do not say


NOWHERE = {
    "mask": (cover(), "clouds.tif", ""),
    "probability": (cover() * np.uint8(90), "clouds.tif", "probability:40"),
}


@pytest.mark.parametrize(("values", "name", "meaning"), NOWHERE.values(), ids=NOWHERE)
def test_what_a_mask_does_not_know_is_not_covered(
    tmp_path: Path, values: NDArray[np.uint8], name: str, meaning: str
) -> None:
    values = values.copy()
    values[:, :5] = 255
    scene = raster(tmp_path / "scene.tif", ground())
    mask = raster(tmp_path / name, values, nodata=255)
    filled = fill(scene, tmp_path / "out.tif", mask=mask, mask_means=meaning, prior_only=True)
    assert filled.pixels == cover().sum()


UNSEEN = {
    "scl": ("T32TPS_20230501T101601_B04_10m.tif", "T32TPS_20230501T101601_SCL_10m.tif", 0, 9),
    "bqa": ("LC08_L1TP_013032_20180421_B4.TIF", "LC08_L1TP_013032_20180421_BQA.TIF", 1, 1 << 4),
}


@pytest.mark.parametrize("stated", [False, True], ids=["as a class", "as nodata too"])
@pytest.mark.parametrize(("image", "layer", "unseen", "cloud"), UNSEEN.values(), ids=UNSEEN)
def test_the_edge_of_a_swath_does_not_darken_what_is_filled(
    tmp_path: Path, image: str, layer: str, unseen: int, cloud: int, stated: bool
) -> None:
    values, classes = ground(), np.full((1, SIDE, SIDE), 4 if unseen == 0 else 0, np.uint16)
    edge = HIDDEN[1].start
    values[..., :edge], classes[..., :edge] = 0, unseen
    classes[0, *HIDDEN] = cloud
    scene = raster(tmp_path / "in" / image, values)
    raster(tmp_path / "in" / layer, classes, nodata=unseen if stated else None)
    filled = fill(scene.parent, tmp_path / "out", mask=layer.split("_")[-1 if unseen else -2].split(".")[0].lower(),
                  prior_only=True)  # fmt: skip
    assert pixels(filled.files[0])[0, *HIDDEN].min() > 800


# What is said


def test_fill_names_the_files_that_it_could_not_read(tmp_path: Path) -> None:
    for day in ("2023-05-01", "2023-05-11", "2023-05-21"):
        raster(tmp_path / "stack" / f"{day}.tif", ground())
        raster(tmp_path / "masks" / f"{day}.tif", cover() * (day == "2023-05-01"))
    (tmp_path / "stack" / "2023-05-11.tif").write_bytes(b"II*\0" + bytes(20))
    said = augmentor("fill", tmp_path / "stack", "--mask", tmp_path / "masks", "-o", tmp_path / "out", "--prior-only")
    assert said.exit_code == 0, said.output
    assert "2023-05-11.tif" in said.output


IDLE = {"--mask-means without --mask": ("--mask-means", "scl"), "--run with --prior-only": ("--run", "no-such-run")}


@pytest.mark.parametrize("words", IDLE.values(), ids=IDLE)
def test_an_option_without_effect_is_refused(tmp_path: Path, words: tuple[str, str]) -> None:
    values = ground()
    values[0, *HIDDEN] = 0
    scene = raster(tmp_path / "scene.tif", values, nodata=0)
    assert augmentor("fill", scene, "-o", tmp_path / "out.tif", "--prior-only", *words).exit_code == 2


@pytest.mark.parametrize("name", ["out.nii.gz", "out.png", "out.dcm"])
def test_an_output_named_as_another_format_is_refused(tmp_path: Path, name: str) -> None:
    scene, mask = raster(tmp_path / "scene.tif", ground()), raster(tmp_path / "clouds.tif", cover())
    with pytest.raises(Unwritable):
        fill(scene, tmp_path / name, mask=mask, prior_only=True)


def test_scenes_are_opened_by_text_as_the_verbs_are(tmp_path: Path) -> None:
    assert len(open_scenes(str(raster(tmp_path / "scene.tif", ground())))) == 1  # type: ignore[arg-type]


# What is delivered


def gaps(folder: Path) -> Path:
    """A CT series without one of its slices."""
    return phantoms.write_ct(folder, phantoms.ct_volume(0, 32, 6), 0, leave_out=[2])


def nobody() -> str:
    """A DICOMweb service at a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/dicom-web"


def to(web: str, source: Path, out: Path) -> Filled:
    return fill(source, out, prior_only=True, deliver=Delivery(web=web))


def test_a_service_is_asked_before_any_work_is_done(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered):
        to(nobody(), gaps(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_address_that_is_none_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        stow([tmp_path / "any.dcm"], "nonsense")


def test_what_could_not_be_sent_has_its_side_car(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered):
        to(nobody(), gaps(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists() or (tmp_path / "out.json").exists()


def test_the_same_command_sends_again_what_could_not_be_sent(tmp_path: Path) -> None:
    series = gaps(tmp_path / "in")
    for _ in range(2):
        with pytest.raises(NotDelivered):
            to(nobody(), series, tmp_path / "out")


# What is made


def test_samples_are_stored_by_the_scale_of_each_band(tmp_path: Path) -> None:
    source = raster(tmp_path / "scene.tif", ground(2), ("B04", "ST_B10"))
    with rasterio.open(source, "r+") as data:
        data.scales, data.offsets = (0.0001, 0.01), (-0.1, 100.0)
    (scene,) = open_scenes(source)
    made = scene.read(0, 1).values
    maker = Provenance("t2t-augmentor", "0.1", "law")
    (file,) = adapter("geotiff").write_sample(tmp_path / "sample", made, scene.template(), maker)
    (again,) = open_scenes(file)
    np.testing.assert_allclose(again.read(0, 1).values, made, rtol=1e-3)


def test_a_filled_class_map_has_no_classes_of_its_own(tmp_path: Path) -> None:
    classes = np.where(np.indices((1, SIDE, SIDE))[2] < 30, 10, 90).astype(np.uint8)
    source = raster(tmp_path / "cover.tif", classes)
    with rasterio.open(source, "r+") as data:
        data.write_colormap(1, {10: (0, 99, 0, 255), 90: (0, 0, 255, 255)})
    mask = raster(tmp_path / "clouds.tif", cover())
    try:
        filled = fill(source, tmp_path / "out.tif", mask=mask, prior_only=True)
    except UserError:
        return
    assert set(np.unique(pixels(filled.files[0]))) <= {10, 90}


# What is derived from pixels


@pytest.mark.parametrize("cog", [False, True], ids=["rebuilt", "of a COG"])
def test_overviews_hold_only_classes_that_the_pixels_have(tmp_path: Path, cog: bool) -> None:
    side = 1024 if cog else SIDE
    classes = np.where(np.indices((side, side)).sum(axis=0) // 2 % 2, 4, 11)
    values = np.stack([np.full((side, side), 1000), classes]).astype(np.uint16)
    scene = raster(tmp_path / "scene.tif", values, ("B04", "SCL"), tiled=True, blockxsize=256, blockysize=256)
    if not cog:
        with rasterio.open(scene, "r+") as data:
            data.build_overviews([2, 4], Resampling.nearest)
    mask = raster(tmp_path / "clouds.tif", np.pad(cover(), [(0, 0), (0, side - SIDE), (0, side - SIDE)]))
    filled = fill(scene, tmp_path / "out.tif", mask=mask, prior_only=True, deliver=Delivery(cog=cog))
    with rasterio.open(filled.files[0], overview_level=0) as data:
        assert set(np.unique(data.read(2))) <= {4, 11}


def test_statistics_of_old_pixels_are_not_told_of_new_ones(tmp_path: Path) -> None:
    values = ground()
    values[0, *HIDDEN] = 9000
    scene = raster(tmp_path / "scene.tif", values)
    with rasterio.open(scene, "r+") as data:
        data.update_tags(1, STATISTICS_MAXIMUM="9000")
    mask = raster(tmp_path / "clouds.tif", cover())
    filled = fill(scene, tmp_path / "out.tif", mask=mask, prior_only=True)
    with rasterio.open(filled.files[0]) as data:
        assert float(data.tags(1).get("STATISTICS_MAXIMUM", data.read(1).max())) == data.read(1).max()


def test_a_filled_label_map_has_no_labels_of_its_own(tmp_path: Path) -> None:
    labels = np.zeros((24, 20, 10), np.uint8)
    labels[4:20, 4:16, :5], labels[4:20, 4:16, 6:] = 10, 50
    source = volume(tmp_path / "labels.nii.gz", labels, intent="label")
    try:
        filled = fill(source, tmp_path / "out.nii.gz", prior_only=True)
    except UserError:
        return
    assert set(np.unique(nibabel.Nifti1Image.from_filename(filled.files[0]).dataobj)) <= {0, 10, 50}


def test_volumes_are_not_cut_from_doubled_slices(tmp_path: Path) -> None:
    series = phantoms.write_ct(tmp_path / "in", phantoms.ct_volume(0, 64, 36), 0)
    one = min(series.iterdir())
    (series / "copy.dcm").write_bytes(one.read_bytes())
    said = augmentor("ingest", "ct_volume", "--data", series, "--set", "tiles.size=[8,16,16]", "--store", tmp_path)
    assert "DuplicatePositions" in said.output


@pytest.mark.parametrize("words", [["--all", "--scene", "one"], ["--scheduler", "local:1"]])
def test_words_that_do_not_go_together_are_refused(tmp_path: Path, words: list[str]) -> None:
    source = raster(tmp_path / "a.tif", ground())
    result = CliRunner().invoke(main, ["fill", str(source), "-o", str(tmp_path / "out.tif"), *words])
    assert result.exit_code == 2 and result.stderr.splitlines()[-1].startswith("Error: --s")
    assert not (tmp_path / "out.tif").exists()


def test_paths_are_texts_too_and_one_auxiliary_raster_need_not_be_a_list(tmp_path: Path) -> None:
    bands = ground()
    raster(tmp_path / "a.tif", bands, nodata=0)
    assert inspect(str(tmp_path / "a.tif")) == inspect(tmp_path / "a.tif")
    raster(tmp_path / "m.tif", cover())
    raster(tmp_path / "radar.tif", bands)
    made = fill(str(tmp_path / "a.tif"), str(tmp_path / "out.tif"), mask=str(tmp_path / "m.tif"),
                aux=str(tmp_path / "radar.tif"), tiles=64)  # fmt: skip
    assert made.pixels


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [
        (["ingest", "chest_xray"], "the same command goes on"),
        (["train", "chest_xray"], "train --resume"),
        (["synthesize", "--n", "3"], "the same command goes on"),
        (["evaluate"], "the same command goes on"),
        (["pairs", "--n", "3", "--after", "month=8"], "the same command goes on"),
        (["fill", "{}", "-o", "out"], "one scene begins again"),
        (["fill", "{}", "-o", "out", "--all"], "goes on after the last scene"),
        (["interpolate", "{}", "-o", "out.tif", "--at", "2018-08-16"], "begins again"),
        (["score", "{}"], "begins again"),
        (["restyle", "{}", "-o", "out", "--to", "kernel=B"], "begins again"),
    ],
)
def test_a_verb_that_is_interrupted_says_whether_it_goes_on(
    words: list[str], goes_on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    module = "fill_all" if "--all" in words else words[0]
    monkeypatch.setattr(import_module(f"augmentor.{module}"), module, stopped)
    result = CliRunner().invoke(main, [word.format(tmp_path) for word in words])
    assert result.exit_code == 130
    assert result.output.startswith("Interrupted:") and goes_on in result.output
