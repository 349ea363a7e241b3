"""Bands, layers and dates that lie in files of their own: one scene, and each file comes back on its own grid."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from adapter_factories import SHARED, bits_equal, geotiff, only, patch, provenance
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from data_adapters import Patch, Window, open_scenes, scan
from data_adapters.errors import GridMismatch, Unwritable
from data_adapters.geotiff.dates import acquired
from data_adapters.geotiff.names import named
from data_adapters.geotiff.rasters import open_raster

REAL = pytest.mark.skipif(not SHARED.is_dir(), reason="real data are not here")
LEFT, TOP = 500000, 5000000
SAFE = "S2A_MSIL2A_20230501T101601_N0509_R022_T32TPS_20230501T162100.SAFE"
TILE = "T32TPS_20230501T101601"


def raw(path):
    with open_raster(path) as data:
        return data.read()


def band(path, pixel=10, side=120, dtype="uint16", seed=0, name="", **profile):
    """One band over a square of 1200 m, as GeoTIFF or, by its suffix, as lossless JPEG 2000; no band description."""
    tif = path.with_suffix(".tif")
    geotiff(tif, bands=1, size=(side * 10 // pixel,) * 2, dtype=dtype, seed=seed,
            **{"transform": from_origin(LEFT, TOP, pixel, pixel), **profile})  # fmt: skip
    with open_raster(tif, "r+") as data:
        data.descriptions = [name]
        if path.suffix == ".jp2":
            data.write(data.read() // 4)
    if path.suffix == ".jp2":
        options = {"QUALITY": "100", "REVERSIBLE": "YES", "YCBCR420": "NO"}
        rasterio.shutil.copy(tif, path, driver="JP2OpenJPEG", **options)
        tif.unlink()
    return path


def safe(folder, suffix=".tif", day="20230501"):
    """A Sentinel-2 L2A product: bands at three resolutions, one of them twice, quality layers, a preview, metadata."""
    home = folder / SAFE.replace("20230501", day)
    image = home / "GRANULE" / "L2A_T32TPS_A041026" / "IMG_DATA"
    tile = TILE.replace("20230501", day)
    for seed, (name, pixel) in enumerate([("B02", 10), ("B08", 10), ("B02", 20), ("B05", 20), ("B09", 60)]):
        band(image / f"R{pixel}m" / f"{tile}_{name}_{pixel}m{suffix}", pixel, seed=seed)
    for name in ("SCL", "AOT"):
        band(image / "R20m" / f"{tile}_{name}_20m{suffix}", 20, dtype="uint8")
    band(image / "R10m" / f"{tile}_TCI_10m{suffix}", 10, dtype="uint8")
    band(image.parent / "QI_DATA" / f"MSK_CLDPRB_20m{suffix}", 20, dtype="uint8")
    band(image.parent / "QI_DATA" / f"{tile}_PVI{suffix}", 40, dtype="uint8")
    return home


@pytest.mark.parametrize("suffix", [".tif", ".jp2"])
def test_a_sentinel_2_product_is_one_scene_on_its_finest_grid(tmp_path, suffix):
    home = safe(tmp_path, suffix)
    scene = only(home)
    assert [c.name for c in scene.channels] == ["B02", "B05", "B08", "B09"]
    assert scene.shape == (4, 1, 120, 120) and scene.grid.spacing == (1.0, 10.0, 10.0)
    assert scene.dates == ("2023-05-01",) and scene.name == SAFE
    assert set(scene.layers) == {"SCL", "AOT", "TCI", "MSK_CLDPRB", "PVI"}
    assert "B02_20m" in scene.facts["set aside"] and scene.facts["coarser bands"] == "B05 by 2, B09 by 6"
    for channel, path in enumerate(scene.files):
        stored = raw(path)[0]
        factor = 120 // len(stored)
        expected = stored.repeat(factor, 0).repeat(factor, 1)
        assert np.array_equal(scene.read(0, 1).values[channel, 0], expected)
    scl = scene.layers["SCL"]
    assert scl.shape == (1, 1, 120, 120) and [c.name for c in scl.channels] == ["SCL"]
    (path,) = scl.files
    assert np.array_equal(scl.read(0, 1).values[0, 0], raw(path)[0].repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("suffix", [".tif", ".jp2"])
def test_a_filled_product_is_written_band_by_band_at_its_own_resolution(tmp_path, suffix):
    scene = only(safe(tmp_path, suffix))
    window = Window(13, 25, 29, 31)
    random = np.random.default_rng(1)
    made = np.broadcast_to(random.random((1, 29, 31)) < 0.2, (4, 29, 31))
    values = random.integers(0, 5000, (4, 29, 31)).astype(np.float32)
    # The window is cut in two, across coarse pixels, as blocks are.
    first, second = Window(13, 25, 10, 31), Window(23, 25, 19, 31)
    halves = [Patch(0, first, values[:, :10], made[:, :10]), Patch(0, second, values[:, 10:], made[:, 10:])]
    files = scene.write_filled(tmp_path / "out", halves, provenance())
    out = {named(p).band: p for p in files if not p.stem.endswith("_made")}
    assert all(p.suffix == ".tif" for p in files) and len(out) == 4
    for channel, path in enumerate(scene.files):
        before, after = raw(path)[0], raw(out[scene.channels[channel].name])[0]
        factor = 120 // len(before)
        whole = np.full((120, 120), np.nan)
        whole[window.slices] = np.where(made[channel], values[channel], np.nan)
        squares = whole.reshape(len(before), factor, len(before), factor)
        touched = np.isfinite(squares).any(axis=(1, 3))
        assert np.array_equal(after[~touched], before[~touched]) and after.dtype == before.dtype
        means = np.rint(np.nanmean(squares.transpose(0, 2, 1, 3)[touched], axis=(1, 2)))
        assert np.abs(after[touched] - means).max() <= 0.5 and touched.any()
        with open_raster(path) as one, open_raster(out[scene.channels[channel].name]) as other:
            assert (one.transform, one.shape, one.dtypes) == (other.transform, other.shape, other.dtypes)
            assert one.crs == other.crs
            assert '"synthetic": true' in other.tags()["AUGMENTOR_PROVENANCE"]
    again = [s for s in open_scenes(tmp_path / "out") if s.channels == scene.channels]
    assert [s.shape for s in again] == [scene.shape] * 2, "the image, and the mask of what was made"


def test_a_product_in_which_nothing_is_made_is_its_own_copy(tmp_path):
    scene = only(safe(tmp_path))
    files = scene.write_filled(tmp_path / "out", [], provenance())
    assert [f.read_bytes() for f in files] == [f.read_bytes() for f in scene.files]


def test_a_jpeg_2000_file_is_a_raster_and_goes_out_as_geotiff(tmp_path):
    path = band(tmp_path / "a.jp2")
    scene = only(path)
    assert scene.format == "geotiff" and np.array_equal(scene.read(0, 1).values[:, 0], raw(path))
    with pytest.raises(Unwritable, match=r"name the output \.tif"):
        scene.write_filled(tmp_path / "b.jp2", [], provenance())
    out, *_ = scene.write_filled(tmp_path / "b.tif", [patch(scene, 0, Window(3, 4, 5, 6), 65000)], provenance())
    where = np.zeros((120, 120), bool)
    where[3:8, 4:10] = True
    assert bits_equal(raw(out)[:, ~where], raw(path)[:, ~where]) and (raw(out)[:, where] == 65000).all()


@pytest.mark.parametrize(("pixel", "count"), [(15, 2), (20, 1), (30, 1), (25, 2)])
def test_only_whole_ratios_over_equal_bounds_are_one_scene(tmp_path, pixel, count):
    band(tmp_path / "x_B02.tif")
    band(tmp_path / "x_B05.tif", pixel, side=120 if 120 * 10 % pixel == 0 else 125)
    assert len(open_scenes(tmp_path)) == count


def test_equal_ratios_over_other_bounds_are_two_scenes(tmp_path):
    band(tmp_path / "x_B02.tif")
    band(tmp_path / "x_B05.tif", 20, transform=from_origin(LEFT + 10, TOP, 20, 20))
    assert [s.shape[0] for s in open_scenes(tmp_path)] == [1, 1]


LANDSAT = "LC08_L2SP_013032_20180131_20200902_02_T1"


def test_a_landsat_product_keeps_quality_apart_and_knows_its_day(tmp_path):
    for name in ("SR_B2", "SR_B5", "ST_B10", "QA_PIXEL", "QA_RADSAT", "SR_QA_AEROSOL", "ST_EMIS"):
        band(tmp_path / LANDSAT / f"{LANDSAT}_{name}.TIF".replace("TIF", "tif"), 30)
    (tmp_path / LANDSAT / f"{LANDSAT}_MTL.txt").write_text(
        "  DATE_PRODUCT = 2020-09-02\n  DATE_ACQUIRED = 2018-01-31\n"
    )
    scene = only(tmp_path)
    assert [c.name for c in scene.channels] == ["B2", "B5", "B10"] and scene.dates == ("2018-01-31",)
    assert set(scene.layers) == {"QA_PIXEL", "QA_RADSAT", "SR_QA_AEROSOL", "ST_EMIS"}


@pytest.mark.parametrize("name", ["T32TPS_20230501T101601_SCL_20m", f"{LANDSAT}_QA_PIXEL", "x_BQA", "SCL"])
def test_a_layer_of_no_product_is_a_scene_by_which_to_mask(tmp_path, name):
    scene = only(band(tmp_path / f"{name}.tif", dtype="uint8"))
    assert [c.name for c in scene.channels] == [named(Path(name + ".tif")).layer]


def test_a_layer_in_the_file_itself_is_no_channel_and_stays_as_it_was(tmp_path):
    path = geotiff(tmp_path / "a.tif", bands=3)
    with open_raster(path, "r+") as data:
        data.descriptions = ["B02", "SCL", "B08"]
    scene = only(path)
    assert [c.name for c in scene.channels] == ["B02", "B08"] and list(scene.layers) == ["SCL"]
    assert np.array_equal(scene.layers["SCL"].read(0, 1).values[0], raw(path)[1:2])
    out, *_ = scene.write_filled(tmp_path / "b.tif", [patch(scene, 0, scene.plane, 7)], provenance())
    assert (raw(out)[[0, 2]] == 7).all() and bits_equal(raw(out)[1], raw(path)[1])


@pytest.mark.parametrize("suffix", [".tif", ".jp2"])
def test_dated_products_in_folders_of_their_own_are_a_stack(tmp_path, suffix):
    for day in ("20230501", "20230511"):
        safe(tmp_path, suffix, day)
    scene = only(tmp_path)
    assert scene.kind == "stack" and scene.dates == ("2023-05-01", "2023-05-11") and scene.shape == (4, 2, 120, 120)
    assert scene.layers["SCL"].shape == (1, 2, 120, 120) and scene.layers["SCL"].dates == scene.dates


def test_dates_that_name_their_files_alike_are_written_apart(tmp_path):
    for month in ("2024-01-01", "2024-02-01"):
        for number in (2, 3):
            band(tmp_path / "in" / month / f"B0{number}.tif", seed=number)
    scene = only(tmp_path / "in")
    assert scene.dates == ("2024-01-01", "2024-02-01") and scene.shape[0] == 2
    files = scene.write_filled(tmp_path / "out", [patch(scene, 1, Window(0, 0, 9, 9), 5)], provenance())
    assert len(set(files)) == 6 and only(tmp_path / "out" / "2024-01-01").shape == (2, 1, 120, 120)


# Dates


@pytest.mark.parametrize(("path", "day"), [
    (f"{SAFE}/GRANULE/L2A_T32TPS_A041026/IMG_DATA/R10m/{TILE}_B02_10m.jp2", "2023-05-01"),
    ("S2A_OPER_PRD_MSIL1C_PDMC_20160102T010101_R022_V20151231T101010_20151231T101010.SAFE/GRANULE/G/IMG_DATA/T32_B02.jp2",
     "2015-12-31"),
    (f"{SAFE}/GRANULE/L2A_T32TPS_A041026/IMG_DATA/R10m/B02.jp2", "2023-05-01"),
    ("LC08_L1TP_013032_20180131_20180207_01_T1_B1.TIF", "2018-01-31"),
    ("LC80130312015295LGN00_B1_toa.tif", "2015-10-22"),
    ("LE70130312000060EDC00_B1.TIF", "2000-02-29"),
    ("2024-01-05/B02.tif", "2024-01-05"),
    ("2024-01-05/scene.tif", ""),
    ("a_2024_01_05.tif", "2024-01-05"), ("a_20241305.tif", ""), ("a_2024-0105.tif", ""),
    ("a_20240230_20240301.tif", "2024-03-01"),
    ("nothing.tif", ""),
])  # fmt: skip
def test_the_day_stands_in_the_name(tmp_path, path, day):
    assert acquired(tmp_path / path, {}, located=True) == day


@pytest.mark.parametrize(("tags", "located", "day"), [
    ({"ACQUISITION_DATE": "2018-01-06"}, False, "2018-01-06"),
    ({"ACQUISITIONDATETIME": "2018-01-31 15:39:05"}, True, "2018-01-31"),
    ({"TIFFTAG_DATETIME": "2019:03:04 10:00:00"}, True, "2019-03-04"),
    ({"TIFFTAG_DATETIME": "2019:03:04 10:00:00"}, False, ""),
    ({"TIFFTAG_DATETIME": "2019:03:04 10:00:00", "acquisition_date": "2018-01-06"}, True, "2018-01-06"),
    ({"PROCESSING_DATE": "2019-03-04"}, True, ""),
])  # fmt: skip
def test_the_day_stands_in_the_tags(tmp_path, tags, located, day):
    assert acquired(tmp_path / "x.tif", tags, located=located) == day


def test_metadata_beside_a_product_tells_acquisition_and_not_processing(tmp_path):
    home = tmp_path / "L2A.SAFE"
    inner = home / "GRANULE" / "G" / "IMG_DATA" / "R10m"
    inner.mkdir(parents=True)
    (home / "MTD_MSIL2A.xml").write_text(
        "<GENERATION_TIME>2023-06-01T00:00:00.000Z</GENERATION_TIME>"
        "<PRODUCT_START_TIME>2023-05-01T10:16:01.024Z</PRODUCT_START_TIME>"
    )
    assert acquired(inner / "T32_B02_10m.jp2", {}, located=True) == "2023-05-01"
    (tmp_path / "LX_MTL.txt").write_text("DATE_PRODUCT = 2020-01-01\nDATE_ACQUIRED = 2018-01-31\n")
    assert acquired(tmp_path / "LX_B1.TIF", {}, located=True) == "2018-01-31"
    assert acquired(tmp_path / "other_B1.TIF", {}, located=True) == ""


# Footprints


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(-6, 6), columns=st.integers(-6, 6), off=st.sampled_from([0.0, 0.04, -0.04]),
    size=st.tuples(st.integers(36, 44), st.integers(50, 60)),
)  # fmt: skip
def test_dates_whole_pixels_apart_are_one_stack_and_come_back_on_their_own_grids(
    tmp_path_factory, rows, columns, off, size
):
    folder = tmp_path_factory.mktemp("apart")
    one = geotiff(folder / "in" / "a_2024-01-01.tif", seed=1)
    corner = from_origin(LEFT + 10 * (columns + off), TOP - 10 * (rows + off), 10, 10)
    two = geotiff(folder / "in" / "a_2024-02-01.tif", seed=2, size=size, transform=corner)
    inventory = scan(folder / "in")
    (scene,) = inventory.scenes
    assert not inventory.problems
    top, left = min(rows, 0), min(columns, 0)
    bottom, right = max(40, rows + size[0]), max(56, columns + size[1])
    assert scene.shape == (3, 2, bottom - top, right - left)
    places = [(one, -top, -left, 40, 56), (two, rows - top, columns - left, *size)]
    pixels, covered = scene.read(0, 2), scene.covered(scene.plane)
    for index, (path, row, column, height, width) in enumerate(places):
        where = np.zeros(scene.shape[2:], bool)
        where[row : row + height, column : column + width] = True
        assert np.array_equal(covered[index], where)
        assert not pixels.valid[:, index, ~where].any()
        assert np.array_equal(pixels.values[:, index, where].reshape(3, height, width), raw(path))
    patches = [patch(scene, 0, scene.plane, 7), patch(scene, 1, Window(15, 20, 4, 5), 9)]
    files = scene.write_filled(folder / "out", patches, provenance())
    assert (raw(files[0]) == 7).all() and raw(files[0]).shape == (3, 40, 56)
    changed = raw(two)
    row, column = 15 - (rows - top), 20 - (columns - left)
    changed[:, max(0, row) : max(0, row + 4), max(0, column) : max(0, column + 5)] = 9
    second = next(f for f in files if f.name == two.name)
    assert bits_equal(raw(second), changed)
    with open_raster(two) as before, open_raster(second) as after:
        assert before.transform == after.transform


@pytest.mark.parametrize("change", [
    {"transform": from_origin(LEFT, TOP, 10.1, 10)}, {"transform": from_origin(LEFT + 4, TOP, 10, 10)},
    {"transform": from_origin(LEFT, TOP, 20, 20), "size": (20, 28)},
], ids=["pixel size", "half a pixel", "resolution"])  # fmt: skip
def test_dates_of_one_place_on_several_grids_are_told_and_stay_usable(tmp_path, change):
    geotiff(tmp_path / "a_2024-01-01.tif")
    geotiff(tmp_path / "a_2024-02-01.tif", **change)
    inventory = scan(tmp_path)
    assert [s.shape[1] for s in inventory.scenes] == [1, 1]
    (problem,) = inventory.problems
    assert isinstance(problem, GridMismatch)
    for word in ("a_2024-01-01.tif", "a_2024-02-01.tif", "gdalwarp -tr 10 10 -te 500000 4999600 500560 5000000"):
        assert word in str(problem)


def test_another_place_or_the_same_day_is_no_mismatch(tmp_path):
    geotiff(tmp_path / "a_2024-01-01.tif")
    geotiff(tmp_path / "a_2024-02-01.tif", transform=from_origin(LEFT + 404, TOP, 10, 10))
    geotiff(tmp_path / "b_2024-01-01.tif", transform=from_origin(LEFT + 4, TOP, 10, 10))
    inventory = scan(tmp_path)
    assert len(inventory.scenes) == 3 and not inventory.problems


def test_dates_on_one_grid_twice_a_day_are_not_torn_into_other_stacks(tmp_path):
    for name in ("a_2024-01-01", "b_2024-01-01", "a_2024-02-01"):
        geotiff(tmp_path / f"{name}.tif")
    assert [s.shape[1] for s in open_scenes(tmp_path)] == [1, 1, 1]


def test_a_cut_in_another_coordinate_system_is_told(tmp_path):
    from rasterio.warp import transform

    (x,), (y,) = transform("EPSG:32633", "EPSG:32632", [LEFT], [TOP])
    geotiff(tmp_path / "a_2024-01-01.tif")
    geotiff(tmp_path / "a_2024-02-01.tif", crs="EPSG:32632", transform=from_origin(x, y, 10, 10))
    inventory = scan(tmp_path)
    assert len(inventory.scenes) == 2 and "EPSG:32632" in str(inventory.problems[0])


@REAL
def test_real_dates_on_several_grids_are_named(tmp_path):
    inventory = scan(SHARED / "satellite_timeseries" / "L8NY18")
    images = [s for s in inventory.scenes if s.shape[0] == 10]
    assert sum(s.shape[1] for s in images) == 19 and all(list(s.layers) == ["BQA"] for s in images)
    assert [type(p) for p in inventory.problems] == [GridMismatch] * 3
    assert not [s for s in inventory.scenes if any(c.name in ("BQA", "gray") for c in s.channels)]
    shutil.copytree(images[0].files[0].parent, tmp_path / "one")
    scene = next(s for s in open_scenes(tmp_path / "one") if s.shape[0] == 10)
    files = scene.write_filled(tmp_path / "out", [patch(scene, 0, Window(5, 6, 7, 8), 100)], provenance())
    assert len(files) == 20
