"""What covers a scene: masks decoded by the meaning of their values, wherever they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.transform import from_origin

from augmentor.errors import UnclearMask
from augmentor.holes.find import find, masked, nodata
from augmentor.holes.quality import FIELDS, Meaning
from data_adapters import Scene, Window, open_scenes
from data_adapters.errors import GridMismatch

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Real data, beside the checkout where someone has put it."""

REAL = pytest.mark.skipif(not SHARED.is_dir(), reason="real data are not here")
SIDE = 48
PART = Window(5, 9, 17, 22)


def raster(
    path: Path, bands: NDArray[Any], names: tuple[str, ...] = (), *, pixel: float = 10, corner: float = 500_000
) -> Path:
    """A GeoTIFF of (B, h, w)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=len(bands), dtype=bands.dtype,
        crs="EPSG:32633", transform=from_origin(corner, 5_000_000, pixel, pixel),
    ) as data:  # fmt: skip
        data.write(bands)
        for index, name in enumerate(names, 1):
            data.set_band_description(index, name)
    return path


def only(path: Path) -> Scene:
    (scene,) = open_scenes(path)
    return scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return only(raster(tmp_path / "scene.tif", np.full((2, SIDE, SIDE), 100, np.uint16), ("B02", "B03")))


def codes(values: list[int], dtype: str) -> NDArray[Any]:
    """A mask in which every value occurs, in blocks of rows."""
    return np.resize(np.array(values, dtype), (1, SIDE, SIDE)).transpose(0, 2, 1)


# Meanings


@pytest.mark.parametrize(("meaning", "values"), [
    ("mask", {0: False, 1: True, 255: True}),
    ("mask:0,4", {0: True, 1: False, 3: False, 4: True, 40: False}),
    ("scl", dict.fromkeys((0, 2, 4, 5, 6, 7, 11), False) | dict.fromkeys((1, 3, 8, 9, 10), True)),
    ("scl:3, 8,9,10,11", {0: False, 1: False, 3: True, 7: False, 11: True}),
    ("scl:0", {0: True, 9: False}),
    # The values that USGS gives as examples: Landsat 8-9 Collection 2, table of QA_PIXEL values.
    ("qa_pixel", {1: False, 21824: False, 21888: False, 21952: False, 22280: True, 23888: True, 24088: True,
                  30048: False, 54596: True, 54852: True, 55052: True, 21826: True}),
    ("qa_pixel:snow", {30048: True, 21824: False, 22280: False}),
    ("qa_pixel:fill", {1: True, 21824: False}),
    # Landsat 8 Collection 1: clear, cloud with high confidence, high shadow, high cirrus, high snow.
    ("bqa", {1: False, 2720: False, 2800: True, 2976: True, 6816: True, 3744: False, 2752: False}),
    ("bqa:snow", {3744: True, 2720: False}),
    ("bqa_l8", {1: False, 20480: False, 53248: True, 28672: True, 49152: True, 36864: False}),
    ("pixel_qa", {1: False, 322: False, 324: False, 328: True, 352: True, 336: False, 898: True}),
    ("probability", {39: False, 40: True, 100: True}),
    ("probability:0.6", {59: False, 60: True}),
    ("probability:102", {101: False, 102: True, 255: True}),
])  # fmt: skip
def test_values_mean_what_their_sources_say(meaning: str, values: dict[int, bool]) -> None:
    found = Meaning.parse(meaning).covered(np.array(list(values), float), whole_numbers=True)
    assert found.tolist() == list(values.values())


@given(st.lists(st.floats(0, 1, width=32), min_size=1), st.floats(0.01, 1))
def test_a_fraction_covers_from_the_threshold_on(values: list[float], threshold: float) -> None:
    array = np.array(values)
    found = Meaning.parse(f"probability:{threshold:.6f}").covered(array, whole_numbers=False)
    assert np.array_equal(found, array >= float(f"{threshold:.6f}"))


@pytest.mark.parametrize(("whole", "value"), [(True, 101), (False, 1.5)])
def test_what_cannot_be_a_probability_is_refused(whole: bool, value: float) -> None:
    with pytest.raises(UnclearMask, match="own units"):
        Meaning.parse("probability").covered(np.array([value]), whole_numbers=whole)


@pytest.mark.parametrize("text", ["", "clouds", "scl:cloud", "scl:12", "qa_pixel:3", "bqa:haze", "probability:x",
                                  "probability:0.1,0.2", "mask:cloud", "probability:-1"])  # fmt: skip
def test_a_word_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UnclearMask, match="no meaning"):
        Meaning.parse(text)


@pytest.mark.parametrize("word", FIELDS)
def test_fields_do_not_overlap(word: str) -> None:
    bits = [full << first for first, full in FIELDS[word].values()]
    assert sum(bits) == np.bitwise_or.reduce(bits)


@pytest.mark.parametrize(("name", "word"), [
    ("SCL", "scl"), ("T32TPS_20230501T101601_SCL_20m", "scl"),
    ("LC08_L2SP_013032_20180131_20200902_02_T1_QA_PIXEL", "qa_pixel"),
    ("LC08_L1TP_013032_20180131_20180207_01_T1_BQA", "bqa"), ("LC80130312015295LGN00_BQA", "bqa_l8"),
    ("LC08_L1TP_013032_20180131_01_T1_pixel_qa", "pixel_qa"), ("s2cloudless_mask", "mask"),
    ("cloud_probability", "probability"),
    ("s2cloudless_prob_pct", "probability"), ("s2cloudless", "probability"), ("CLP", "probability"), ("CLM", "mask"),
    ("MSK_CLDPRB_20m", "probability"), ("clouds-prob", "probability"), ("clouds", "mask"),
    ("problem", "mask"), ("muscle", "mask"),
])  # fmt: skip
def test_names_say_what_a_mask_is(name: str, word: str) -> None:
    assert Meaning.of_names([name]).word == word
    assert Meaning.of_names(["gray", name]).word == word


# Masks on scenes


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
@pytest.mark.parametrize(("name", "values", "dtype", "covered"), [
    ("scl", [4, 9, 3, 5], "uint8", [9, 3]), ("x_QA_PIXEL", [21824, 22280, 23888], "uint16", [22280, 23888]),
    ("clouds", [0, 1], "uint8", [1]), ("x_prob", [10, 80], "uint8", [80]),
])  # fmt: skip
def test_a_coarser_mask_is_repeated(
    tmp_path: Path, scene: Scene, factor: int, name: str, values: list[int], dtype: str, covered: list[int]
) -> None:
    random = np.random.default_rng(0)
    stored = random.choice(np.array(values, dtype), (1, SIDE // factor, SIDE // factor))
    path = raster(tmp_path / "masks" / f"{name}.tif", stored, pixel=10 * factor)
    fine = np.isin(stored[0], covered).repeat(factor, 0).repeat(factor, 1)
    holes = masked(scene, path)
    for window in (PART, scene.plane):
        assert np.array_equal(holes(window), np.broadcast_to(fine[window.slices], (2, 1, *fine[window.slices].shape)))


@pytest.mark.parametrize(("shape", "pixel", "corner"), [
    ((20, 20), 10, 500_000), ((24, 48), 20, 500_000), ((24, 24), 10, 500_000), ((36, 36), 40 / 3, 500_000),
    ((48, 48), 10, 500_010), ((24, 24), 20, 500_010), ((96, 96), 5, 500_000),
])  # fmt: skip
def test_any_other_grid_is_refused(
    tmp_path: Path, scene: Scene, shape: tuple[int, int], pixel: float, corner: float
) -> None:
    path = raster(tmp_path / "m.tif", np.zeros((1, *shape), np.uint8), pixel=pixel, corner=corner)
    with pytest.raises(GridMismatch):
        masked(scene, path)


def test_the_bits_of_before_the_collections_are_told_by_the_scene_s_name(tmp_path: Path, scene: Scene) -> None:
    for name, word in (("LC80130312015295LGN00_BQA", 53248), ("LC08_L1TP_013032_20180131_01_T1_BQA", 2800)):
        path = raster(tmp_path / "masks" / f"{name}.tif", codes([1, word], "uint16"))
        assert masked(scene, path)(scene.plane).mean() == 0.5
        path.unlink()


@pytest.mark.parametrize(("name", "certain"), [("CLP", 255), ("x_prob", 100)])
def test_a_threshold_that_is_said_is_of_what_the_name_says_is_certain(
    tmp_path: Path, scene: Scene, name: str, certain: int
) -> None:
    path = raster(tmp_path / f"{name}.tif", codes([0, int(0.59 * certain), int(0.61 * certain), certain], "uint8"))
    assert masked(scene, path, "probability:0.6")(scene.plane).mean() == 0.5


def test_nodata_is_no_probability(tmp_path: Path, scene: Scene) -> None:
    path = raster(tmp_path / "x_prob.tif", codes([10, 80, 255], "uint8"))
    with rasterio.open(path, "r+") as data:
        data.nodata = 255
    assert masked(scene, path)(scene.plane).mean() == pytest.approx(1 / 3)


def test_what_is_said_overrules_the_name(tmp_path: Path, scene: Scene) -> None:
    path = raster(tmp_path / "x_prob.tif", codes([0, 3, 9], "uint8"))
    assert masked(scene, path, "scl")(scene.plane).mean() == pytest.approx(2 / 3)
    assert masked(scene, path, "mask")(scene.plane).mean() == pytest.approx(2 / 3)
    assert not masked(scene, path)(scene.plane).any()


def test_a_layer_of_the_product_is_named_without_a_file(tmp_path: Path) -> None:
    for band in ("B02", "B03"):
        raster(tmp_path / f"T32_20230501T101601_{band}_10m.tif", np.full((1, SIDE, SIDE), 100, np.uint16))
    scl = raster(tmp_path / "T32_20230501T101601_SCL_20m.tif", codes([4, 9], "uint8")[:, :24, :24], pixel=20)
    scene = only(tmp_path)
    named, said = find(scene, Path("scl"))
    assert said == "pixels under scl"
    assert named(PART).any() and np.array_equal(named(PART), masked(scene, scl)(PART))
    assert np.array_equal(named(PART), masked(scene, tmp_path)(PART)), "a whole product is masked by its layer"
    with pytest.raises(UnclearMask, match="scl, B02, B03"):
        find(scene, Path("qa_pixel"))


def test_classes_in_the_file_itself_mask_it_and_are_not_filled(tmp_path: Path) -> None:
    classes = codes([4, 9], "uint16")
    bands = np.concatenate([np.full((2, SIDE, SIDE), 100, np.uint16), classes])
    scene = only(raster(tmp_path / "a.tif", bands, ("B02", "B03", "SCL")))
    holes = masked(scene, Path("SCL"))(scene.plane)
    assert holes.shape == (2, 1, SIDE, SIDE) and np.array_equal(holes[0, 0], classes[0] == 9)


def test_a_nameless_band_needs_a_word_and_is_not_filled(tmp_path: Path) -> None:
    classes = codes([4, 9], "uint16")
    scene = only(raster(tmp_path / "a.tif", np.concatenate([np.full((2, SIDE, SIDE), 100, np.uint16), classes])))
    assert [c.name for c in scene.channels] == ["band1", "band2", "band3"]
    with pytest.raises(UnclearMask, match="scl"):
        masked(scene, Path("band3"))
    holes = masked(scene, Path("band3"), "scl")(scene.plane)
    assert not holes[2].any() and np.array_equal(holes[0, 0], classes[0] == 9) and np.array_equal(holes[0], holes[1])


def test_a_stack_of_layers_is_matched_by_date(tmp_path: Path) -> None:
    for day, value in (("20230501", 9), ("20230511", 4)):
        for band in ("B02", "B03"):
            raster(tmp_path / f"T32_{day}_{band}.tif", np.full((1, SIDE, SIDE), 100, np.uint16))
        raster(tmp_path / f"T32_{day}_SCL.tif", np.full((1, SIDE, SIDE), value, np.uint8))
    scene = only(tmp_path)
    assert masked(scene, Path("scl"))(PART).all(axis=(0, 2, 3)).tolist() == [True, False]
    (tmp_path / "T32_20230511_SCL.tif").unlink()
    with pytest.raises(GridMismatch, match="2023-05-11"):
        masked(only(tmp_path), Path("scl"))


def test_what_a_file_does_not_reach_is_no_hole(tmp_path: Path) -> None:
    for day, corner in ((1, 500_000), (2, 500_070)):
        raster(tmp_path / f"a_2024-01-0{day}.tif", np.full((1, SIDE, SIDE), 100, np.uint16), corner=corner)
        raster(tmp_path / "m" / f"m_2024-01-0{day}.tif", np.ones((1, SIDE, SIDE), np.uint8), corner=corner)
    scene = next(s for s in open_scenes(tmp_path) if s.path == tmp_path)
    assert scene.shape == (1, 2, SIDE, SIDE + 7) and not nodata(scene)(scene.plane).any()
    holes = masked(scene, tmp_path / "m")(scene.plane)
    assert holes[0, 0, :, :SIDE].all() and not holes[0, 0, :, SIDE:].any()
    assert holes[0, 1, :, 7:].all() and not holes[0, 1, :, :7].any()


@REAL
def test_a_real_scene_is_masked_by_its_own_classes() -> None:
    scene = only(SHARED / "satellite" / "S2_L2A_sample_5band.tif")
    assert [c.name for c in scene.channels] == ["B04", "B03", "B02", "B08"]
    holes = masked(scene, Path("scl"), "scl:5,6")(scene.plane)
    with rasterio.open(scene.path) as data:
        classes = data.read(5)
    assert np.array_equal(holes[0, 0], np.isin(classes, (5, 6))) and holes.any()


@REAL
def test_real_masks_of_clouds_are_masks_and_not_probabilities() -> None:
    series = SHARED / "satellite_timeseries"
    scene = only(series / "s2_rome_west")
    masks = only(series / "s2_rome_west_masks")
    assert np.array_equal(masked(scene, masks.path)(PART)[0], masks.read(0, 30, PART).values[0] != 0)


@REAL
def test_a_real_landsat_product_is_masked_by_its_quality_bits() -> None:
    folder = SHARED / "satellite_timeseries" / "L8NY18" / "LC08_L1TP_013032_20180405_20180417_01_T1"
    scene = next(s for s in open_scenes(folder) if s.shape[0] == 10)
    holes = masked(scene, Path("bqa"))(scene.plane)
    with rasterio.open(next(folder.glob("*BQA.TIF"))) as data:
        bits = data.read(1)
    expected = (bits >> 4 & 1 == 1) | (bits >> 7 & 3 == 3) | (bits >> 11 & 3 == 3)
    assert 0 < holes.mean() < 1 and np.array_equal(holes[0, 0], expected)
