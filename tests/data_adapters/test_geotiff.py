"""GeoTIFF: a filled copy differs from its source in the holes alone, by every mechanism that can say so."""

import shutil

import numpy as np
import pytest
import rasterio
from adapter_factories import (
    HOLE,
    MECHANISMS,
    SHARED,
    bits_equal,
    can_say,
    draw_part,
    everything,
    geotiff,
    only,
    patch,
    provenance,
    template,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.rpc import RPC
from rasterio.transform import from_origin

from data_adapters import Patch, Window, adapter, open_scenes, scan
from data_adapters.errors import BrokenFile, Unwritable
from data_adapters.geotiff.rasters import open_raster

DTYPES = ("uint8", "int16", "uint16", "int32", "float32")
CASES = [
    pytest.param(dtype, mechanism, tiled, scaled, id=f"{dtype}-{mechanism}-{'tiled' * tiled}-{'scaled' * scaled}")
    for dtype in DTYPES
    for mechanism in MECHANISMS
    if can_say(mechanism, dtype)
    for tiled in (False, True)
    for scaled in (False, True)
]
every_case = pytest.mark.parametrize(("dtype", "mechanism", "tiled", "scaled"), CASES)
REAL = pytest.mark.skipif(not SHARED.is_dir(), reason="real data are not here")
WINDOW = Window(3, 6, 12, 14)
"""Overlaps the factory's hole in part."""


def raw(path):
    with open_raster(path) as data:
        return data.read()


def masks(path):
    with open_raster(path) as data:
        return data.read_masks()


def said(path, *, structure=True):
    """All that a file says beside its pixels and our provenance."""
    ours = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS")
    with open_raster(path) as data:

        def tags(*band):
            spaces = [s for s in data.tag_namespaces(*band) if s not in ours]
            plain = {k: v for k, v in data.tags(*band).items() if k != "AUGMENTOR_PROVENANCE"}
            return {"": plain, **{s: data.tags(*band, ns=s) for s in spaces}}

        found = {
            "tags": tags(),
            "band tags": [tags(i) for i in data.indexes],
            "descriptions": data.descriptions,
            "units": data.units,
            "scales": data.scales,
            "offsets": data.offsets,
            "colours": data.colorinterp,
            "nodata": repr(data.nodata),
            "flags": data.mask_flag_enums,
            "crs": data.crs,
            "transform": data.transform,
            "dtypes": data.dtypes,
            "gcps": [(g.row, g.col, g.x, g.y) for g in data.gcps[0]],
            "gcp crs": data.gcps[1],
            "rpcs": data.rpcs.to_gdal() if data.rpcs else None,
        }
        if structure:
            found["blocks"] = data.block_shapes
            found["structure"] = data.tags(ns="IMAGE_STRUCTURE")
            found["interleave"] = data.interleaving
            found["overviews"] = [data.overviews(i) for i in data.indexes]
        return found


def fill(path, out, patches):
    scene = only(path)
    return scene.write_filled(out, patches(scene) if callable(patches) else patches, provenance())


# The law of the way back


@every_case
def test_without_a_patch_the_copy_is_the_file(tmp_path, dtype, mechanism, tiled, scaled):
    path = geotiff(tmp_path / "a.tif", dtype=dtype, mechanism=mechanism, tiled=tiled, scaled=scaled)
    (out,) = fill(path, tmp_path / "b.tif", [])
    assert out.read_bytes() == path.read_bytes()


@every_case
def test_what_was_read_is_written_back(tmp_path, dtype, mechanism, tiled, scaled):
    path = geotiff(tmp_path / "a.tif", dtype=dtype, mechanism=mechanism, tiled=tiled, scaled=scaled)
    out = fill(path, tmp_path / "b.tif", everything)[0]
    assert bits_equal(raw(out), raw(path)) and bits_equal(masks(out), masks(path))
    assert said(out) == said(path)


@every_case
def test_only_the_patch_changes_and_it_is_observed(tmp_path, dtype, mechanism, tiled, scaled):
    path = geotiff(tmp_path / "a.tif", dtype=dtype, mechanism=mechanism, tiled=tiled, scaled=scaled)
    scene = only(path)
    made = np.broadcast_to(np.random.default_rng(3).random((1, WINDOW.height, WINDOW.width)) < 0.6, (3, 12, 14))
    value = 20 * 2.75e-5 - 0.2 if scaled else 20
    out, mask = fill(path, tmp_path / "b.tif", [patch(scene, 0, WINDOW, value, made)])
    where = np.zeros(scene.shape[2:], bool)
    where[WINDOW.slices] = made[0]
    assert bits_equal(raw(out)[:, ~where], raw(path)[:, ~where])
    assert bits_equal(masks(out)[:, ~where], masks(path)[:, ~where])
    assert raw(out)[:3, where] == pytest.approx(20, abs=1e-3)
    assert np.array_equal(raw(mask)[0] > 0, where)
    pixels = only(out).read(0, 1)
    assert pixels.valid[:, 0, where].all() and pixels.values[:, 0, where] == pytest.approx(value, abs=1e-6)
    assert said(out) == said(path)


@every_case
def test_holes_are_read_as_holes(tmp_path, dtype, mechanism, tiled, scaled):
    path = geotiff(tmp_path / "a.tif", dtype=dtype, mechanism=mechanism, tiled=tiled, scaled=scaled)
    valid = only(path).read(0, 1).valid[:, 0]
    expected = np.ones(valid.shape, bool)
    if mechanism != "none":
        expected[(slice(None), *HOLE)] = False
    assert np.array_equal(valid, expected)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint8", 0), ("uint8", 255), ("uint16", 65535), ("int16", -32768), ("int16", 32767), ("int16", 5),
        ("float32", -9999.0), ("float32", 0.0), ("float32", -1e38), ("float32", 1e38), ("float64", -1e300),
    ],
)  # fmt: skip
def test_a_made_pixel_never_equals_nodata(tmp_path, dtype, nodata):
    path = geotiff(tmp_path / "a.tif", dtype=dtype, nodata=nodata)
    scene = only(path)
    out = fill(path, tmp_path / "b.tif", [patch(scene, 0, WINDOW, nodata)])[0]
    made = raw(out)[:, *WINDOW.slices]
    assert not (made == np.array(nodata, dtype)).any() and np.isfinite(made).all()
    assert only(out).read(0, 1, WINDOW).valid.all()
    assert np.abs(made.astype(float) - nodata).max() <= max(1, abs(nodata) * 1e-5)


def test_values_beyond_the_type_are_clipped_not_wrapped(tmp_path):
    path = geotiff(tmp_path / "a.tif", dtype="uint8")
    scene = only(path)
    out = fill(path, tmp_path / "b.tif", [patch(scene, 0, WINDOW, 300), patch(scene, 0, Window(20, 20, 3, 3), -7)])[0]
    assert (raw(out)[:, *WINDOW.slices] == 255).all() and (raw(out)[:, 20:23, 20:23] == 0).all()


@pytest.mark.parametrize("bands", [1, 3])
def test_bands_are_made_one_by_one(tmp_path, bands):
    path = geotiff(tmp_path / "a.tif", bands=bands)
    made = np.zeros((bands, 12, 14), bool)
    made[-1, 2:5] = True
    out = fill(path, tmp_path / "b.tif", [Patch(0, WINDOW, np.full(made.shape, 7.0), made)])[0]
    where = np.zeros((bands, 40, 56), bool)
    where[:, *WINDOW.slices] = made
    assert (raw(out)[where] == 7).all() and bits_equal(raw(out)[~where], raw(path)[~where])


# What a file says beside its pixels


@pytest.mark.parametrize(
    "profile",
    [{"interleave": "band"}, {"interleave": "pixel"}, {"compress": "lzw", "predictor": 2}, {"compress": "zstd"},
     {"compress": None}, {"BIGTIFF": "YES"}, {"endianness": "BIG"}, {"photometric": "RGB", "dtype": "uint8"},
     {"transform": from_origin(0, 0, 1, 1) @ rasterio.Affine.rotation(30)}, {"crs": "EPSG:4326"}],
    ids=str,
)  # fmt: skip
def test_layouts_are_kept(tmp_path, profile):
    path = geotiff(tmp_path / "a.tif", **profile)
    out = fill(path, tmp_path / "b.tif", [patch(only(path), 0, WINDOW, 9)])[0]
    assert said(out) == said(path)
    assert path.read_bytes()[:4] == out.read_bytes()[:4]


def test_ground_control_points_are_kept(tmp_path):
    path = geotiff(tmp_path / "a.tif", gcps=True)
    scene = only(path)
    assert scene.grid.frame == "pixels" and "ground control points" in scene.facts
    out = fill(path, tmp_path / "b.tif", [patch(scene, 0, WINDOW, 9)])[0]
    assert said(out) == said(path) and len(said(out)["gcps"]) == 4


def test_rational_polynomials_and_colour_maps_are_kept(tmp_path):
    path = geotiff(tmp_path / "a.tif", bands=1, dtype="uint8", crs=None, transform=None)
    with open_raster(path, "r+") as data:
        data.write_colormap(1, {i: (i, 0, 255 - i, 255) for i in range(256)})
        data.rpcs = RPC(500, 100, 45, 0.1, [0.0] * 20, [1.0] + [0.0] * 19, 20, 10, 12, 0.1, [0.0] * 20,
                        [1.0] + [0.0] * 19, 28, 14, 1, 1)  # fmt: skip
    out = fill(path, tmp_path / "b.tif", [patch(only(path), 0, WINDOW, 9)])[0]
    assert said(out) == said(path) and said(out)["rpcs"]
    with open_raster(path) as one, open_raster(out) as other:
        assert one.colormap(1) == other.colormap(1)


@pytest.mark.parametrize("external", [False, True])
def test_overviews_are_rebuilt(tmp_path, external):
    path = geotiff(tmp_path / "a.tif", size=(128, 160), tiled=True)
    with rasterio.Env(TIFF_USE_OVR=external), open_raster(path, "r+") as data:
        data.build_overviews([2, 4], Resampling.average)
    window = Window(0, 0, 64, 64)
    out = fill(path, tmp_path / "out" / "b.tif", [patch(only(path), 0, window, 1000)])[0]
    with open_raster(out) as data:
        assert data.overviews(1) == [2, 4]
        assert (data.read(1, out_shape=(32, 40))[:14, :14] == 1000).all()
    assert said(out) == said(path)
    assert [s.name for s in open_scenes(path)] == ["a"] and len(scan(path.parent / "a.tif").scenes) == 1


def test_an_external_mask_is_kept_and_is_no_scene(tmp_path):
    path = geotiff(tmp_path / "a.tif")
    seen = np.full((40, 56), 255, np.uint8)
    seen[HOLE] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), open_raster(path, "r+") as data:
        data.write_mask(seen)
    assert (tmp_path / "a.tif.msk").exists()
    scene = only(tmp_path)
    assert not scene.read(0, 1).valid[:, 0, *HOLE].any()
    out = fill(path, tmp_path / "out" / "b.tif", [patch(scene, 0, WINDOW, 9)])[0]
    where = np.zeros((40, 56), bool)
    where[WINDOW.slices] = True
    assert bits_equal(masks(out)[:, ~where], masks(path)[:, ~where]) and (masks(out)[:, where] == 255).all()
    assert not [p for p in out.parent.iterdir() if p.name.startswith(".")]
    unchanged = fill(path, tmp_path / "same" / "b.tif", [])[0]
    assert bits_equal(masks(unchanged), masks(path))


@pytest.mark.parametrize("kept", ["domains", "band tags"])
@pytest.mark.parametrize("overviews", ["NONE", "AUTO"])
@pytest.mark.parametrize("mechanism", ["none", "nodata", "alpha", "mask"])
def test_a_cloud_optimised_file_stays_one(tmp_path, mechanism, overviews, kept):
    plain = geotiff(tmp_path / "plain.tif", mechanism=mechanism, size=(300, 520), tiled=True, scaled=True)
    path = tmp_path / "a.tif"
    options = {"compress": "lzw", "blocksize": 128, "overviews": overviews}
    # GDAL 3.10 writes one or the other.
    options["COPY_SRC_MDD"] = "YES" if kept == "domains" else "AUTO"
    rasterio.shutil.copy(plain, path, driver="COG", **options)
    scene = only(path)
    out = fill(path, tmp_path / "b.tif", [patch(scene, 0, WINDOW, 0.1)])[0]
    before, after = said(path), said(out)
    assert (
        after == before and after["structure"]["LAYOUT"] == "COG" and ("CUSTOM" in after["tags"]) == (kept == "domains")
    )
    assert ("WAVELENGTH" in after["band tags"][0][""]) == (kept == "band tags")
    where = np.zeros((300, 520), bool)
    where[WINDOW.slices] = True
    assert bits_equal(raw(out)[:, ~where], raw(path)[:, ~where]) and bits_equal(
        masks(out)[:, ~where], masks(path)[:, ~where]
    )
    with open_raster(out) as data:
        assert '"synthetic": true' in data.tags()["AUGMENTOR_PROVENANCE"]


@pytest.mark.parametrize("profile", [{"compress": "JPEG", "photometric": "YCBCR", "tiled": True, "interleave": "pixel"},
                                     {"compress": "JPEG"}, {"compress": "WEBP", "interleave": "pixel"},
                                     {"compress": "LERC", "MAX_Z_ERROR": 5}], ids=str)  # fmt: skip
def test_a_lossy_file_loses_nothing_more(tmp_path, profile):
    path = geotiff(tmp_path / "a.tif", dtype="uint8", size=(64, 80), **{"blockysize": 16, "blockxsize": 16, **profile})
    with open_raster(path, "r+") as data:
        data.build_overviews([2], Resampling.average)
    out = fill(path, tmp_path / "b.tif", [patch(only(path), 0, WINDOW, 9)])[0]
    where = np.zeros((64, 80), bool)
    where[WINDOW.slices] = True
    assert bits_equal(raw(out)[:, ~where], raw(path)[:, ~where]) and (raw(out)[:, where] == 9).all()
    before, after = said(path, structure=False), said(out, structure=False)
    assert before == after
    assert said(out)["overviews"] == [[2]] * 3


def test_provenance_is_written_into_the_file(tmp_path):
    path = geotiff(tmp_path / "a.tif")
    out, mask = fill(path, tmp_path / "b.tif", [patch(only(path), 0, WINDOW, 9)])
    with open_raster(out) as data:
        assert '"checkpoint": "c"' in data.tags()["AUGMENTOR_PROVENANCE"]
    with open_raster(mask) as data:
        assert data.count == 1 and data.dtypes == ("uint8",) and data.crs == "EPSG:32633"
        assert data.transform == from_origin(500000, 5000000, 10, 10)


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    path = geotiff(tmp_path / "a.tif")
    scene = only(path)

    def patches():
        yield patch(scene, 0, WINDOW, 9)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        scene.write_filled(tmp_path / "out" / "b.tif", patches(), provenance())
    assert not (tmp_path / "out").exists()


def test_the_source_is_never_written_to(tmp_path):
    path = geotiff(tmp_path / "a.tif", mechanism="mask")
    before = path.read_bytes()
    fill(path, tmp_path / "b.tif", everything)
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == [
        "a.tif",
        "b.tif",
        "b_made.tif",
    ]


# Bands, products and stacks


def test_the_alpha_band_is_no_channel(tmp_path):
    scene = only(geotiff(tmp_path / "a.tif", mechanism="alpha"))
    assert [c.name for c in scene.channels] == ["B01", "B02", "B03"]


def test_zero_in_one_band_alone_is_a_value_and_nan_marks_its_own_band(tmp_path):
    path = geotiff(tmp_path / "a.tif", mechanism="nodata")
    with open_raster(path, "r+") as data:
        plane = data.read(2)
        plane[30, 30] = 0
        data.write(plane, 2)
    pixels = only(path).read(0, 1)
    assert pixels.valid[:, 0, 30, 30].all() and pixels.values[1, 0, 30, 30] == 0
    path = geotiff(tmp_path / "b.tif", mechanism="none", dtype="float32")
    with open_raster(path, "r+") as data:
        plane = data.read(2)
        plane[30, 30], plane[31, 31] = np.nan, np.inf
        data.write(plane, 2)
    pixels = only(path).read(0, 1)
    assert pixels.valid[:, 0, 30, 30].tolist() == [True, False, True] and np.isfinite(pixels.values).all()


@pytest.mark.parametrize("names", [
    ["s_2024-03-01.tif", "s_2024-01-15.tif", "s_2023-12-31.tif"],
    ["s_20240301T101.tif", "s_20240115T101.tif", "s_20231231T101.tif"],
    ["LC08_20240301.tif", "LC08_20240115.tif", "LC08_20231231.tif"],
])  # fmt: skip
def test_dated_files_on_one_grid_are_a_stack_in_order_of_time(tmp_path, names):
    for seed, name in enumerate(names):
        geotiff(tmp_path / name, seed=seed)
    scene = only(tmp_path)
    assert scene.kind == "stack" and scene.shape == (3, 3, 40, 56)
    assert scene.dates == ("2023-12-31", "2024-01-15", "2024-03-01")
    assert scene.grid.positions == (0.0, 15.0, 61.0)
    assert [np.array_equal(scene.read(i, 1).values[:, 0], raw(tmp_path / names[2 - i])) for i in range(3)] == [True] * 3
    files = scene.write_filled(tmp_path / "out", [patch(scene, 1, WINDOW, 9)], provenance())
    assert {f.name for f in files} == {*names, names[1].replace(".tif", "_made.tif")}
    for name in names:
        same = (tmp_path / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        assert same == (name != names[1])


def test_the_date_may_stand_in_the_tags(tmp_path):
    for day in ("2024-01-01", "2024-02-01"):
        with open_raster(geotiff(tmp_path / f"x{day[5:7]}.tif"), "r+") as data:
            data.update_tags(ACQUISITION_DATE=f"{day}T10:00:00Z")
    assert only(tmp_path).dates == ("2024-01-01", "2024-02-01")


@pytest.mark.parametrize("what", [{"dtype": "int16"}, {"bands": 2}, {"crs": "EPSG:32634"},
                                  {"transform": from_origin(500000, 5000000, 10.1, 10)},
                                  {"transform": from_origin(500004, 5000000, 10, 10)},
                                  {"transform": from_origin(0, 0, 10, 10)}, {"gcps": True}], ids=str)  # fmt: skip
def test_dated_files_that_do_not_lie_on_each_other_are_no_stack(tmp_path, what):
    geotiff(tmp_path / "a_2024-01-01.tif")
    geotiff(tmp_path / "a_2024-02-01.tif", **what)
    assert [s.shape[1] for s in open_scenes(tmp_path)] == [1, 1]


def test_other_ground_control_points_are_another_place(tmp_path):
    for month in (1, 2):
        path = geotiff(tmp_path / f"a_2024-0{month}-01.tif", gcps=True)
        with open_raster(path, "r+") as data:
            points, crs = data.gcps
            for point in points:
                point.x += month
            data.gcps = (points, crs)
    assert len(open_scenes(tmp_path)) == 2


@pytest.mark.parametrize("nested", [False, True])
def test_per_band_files_are_one_product_and_dated_products_a_stack(tmp_path, nested):
    for day in ("20240101", "20240201"):
        for number, band in enumerate(("B10", "B02", "B8A")):
            folder = tmp_path / day if nested else tmp_path
            path = geotiff(folder / f"LC_{day}_{band}.tif", bands=1, seed=number)
            with open_raster(path, "r+") as data:
                data.descriptions = [""]
    scene = only(tmp_path)
    assert scene.shape == (3, 2, 40, 56) and [c.name for c in scene.channels] == ["B02", "B8A", "B10"]
    files = scene.write_filled(tmp_path / "out", [patch(scene, 0, WINDOW, 9)], provenance())
    assert len(files) == 9
    out = tmp_path / "out"
    again = {s.shape for s in open_scenes(out)}
    assert (3, 2, 40, 56) in again or nested


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 17), (23, 1), (3, 5)])
def test_odd_and_tiny_rasters(tmp_path, height, width):
    path = geotiff(tmp_path / "a.tif", size=(height, width))
    out = fill(path, tmp_path / "b.tif", everything)[0]
    assert bits_equal(raw(out), raw(path))


@pytest.mark.parametrize("dtype", ["int8", "uint32", "float64"])
def test_other_types_come_back_too(tmp_path, dtype):
    path = geotiff(tmp_path / "a.tif", dtype=dtype)
    out = fill(path, tmp_path / "b.tif", everything)[0]
    assert bits_equal(raw(out), raw(path))


def test_types_that_are_no_image_are_named(tmp_path):
    path = tmp_path / "a.tif"
    with open_raster(path, "w", driver="GTiff", height=4, width=5, count=1, dtype="complex64") as data:
        data.write(np.zeros((1, 4, 5), "complex64"))
    with pytest.raises(BrokenFile, match="complex64"):
        only(path)


@pytest.fixture(scope="module", params=["nodata", "mask", "stack"])
def scene(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tif")
    if request.param != "stack":
        return only(geotiff(folder / "a.tif", mechanism=request.param, tiled=True, scaled=True))
    for day in (1, 2, 3):
        geotiff(folder / f"a_2024-01-0{day}.tif", mechanism="nodata", seed=day)
    return only(folder)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_window_is_a_part_of_the_whole(scene, data):
    part, cut = draw_part(data, scene)
    assert np.array_equal(part.values, cut.values)
    assert np.array_equal(part.valid, cut.valid)


# Samples


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("crs", [True, False])
def test_a_sample_is_read_back_as_it_was_made(tmp_path, dtype, nodata, crs):
    known = template("geotiff", dtype=dtype, nodata=nodata, slope=0.5, intercept=-3.0)
    known = known if crs else template("geotiff", dtype=dtype, nodata=nodata, slope=0.5, intercept=-3.0, crs="")
    values = np.random.default_rng(0).uniform(-3, 100, (2, 1, 9, 11))
    values[:, 0, 0, 0] = -3.0
    (path,) = adapter("geotiff").write_sample(tmp_path / "s", values, known, provenance())
    scene = only(path)
    pixels = scene.read(0, 1)
    assert pixels.valid.all() and np.abs(pixels.values - values).max() <= 0.5 + 1e-6
    assert [c.name for c in scene.channels] == ["B02", "B03"] and scene.grid.frame == ("map" if crs else "pixels")
    assert scene.grid.spacing == ((1.0, 10.0, 20.0) if crs else (1.0, 1.0, 1.0))
    with open_raster(path) as data:
        assert data.nodata == nodata and data.tags()["SYNTHETIC"] == "YES"
        assert (data.transform.c, data.transform.f) == (0, 0)
    back = scene.template()
    assert (back.slope, back.intercept, back.nodata, back.dtype) == (0.5, -3.0, nodata, dtype)


def test_equal_provenance_gives_equal_files(tmp_path):
    files = [
        adapter("geotiff").write_sample(tmp_path / n, np.ones((2, 1, 4, 4)), template("geotiff"), provenance())[0]
        for n in ("a", "b")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(("slices", "modality"), [(3, ""), (1, "CT")])
def test_volumes_and_medical_images_are_refused(tmp_path, slices, modality):
    with pytest.raises(Unwritable):
        adapter("geotiff").write_sample(
            tmp_path / "s", np.zeros((2, slices, 4, 4)), template("geotiff", modality=modality), provenance()
        )


# Real data


@REAL
@pytest.mark.parametrize("name", ["S2_L2A_sample_5band.tif", "RGB.byte.tif"])
def test_real_scenes_come_back_bit_for_bit(tmp_path, name):
    path = SHARED / "satellite" / name
    scene = only(path)
    window = Window(100, 120, 33, 44)
    pixels = scene.read(0, 1, window)
    back = Patch(0, window, pixels.values[:, 0], pixels.valid[:, 0])
    out = fill(path, tmp_path / "b.tif", [back, patch(scene, 0, Window(0, 0, 50, 60), 77)])[0]
    where = np.zeros(scene.shape[2:], bool)
    where[:50, :60] = True
    image = scene.shape[0]
    assert bits_equal(raw(out)[:, ~where], raw(path)[:, ~where]) and (raw(out)[:image, where] == 77).all()
    # A scene classification is no reflectance, and stays as it was.
    assert bits_equal(raw(out)[image:], raw(path)[image:]) and set(scene.layers) == ({"SCL"} if image == 4 else set())
    assert said(out) == said(path)


@REAL
def test_a_real_time_series_is_a_stack_by_date():
    scene = only(SHARED / "satellite_timeseries" / "s2_rome_west")
    assert scene.shape == (13, 30, 256, 128) and list(scene.dates) == sorted(scene.dates)


@REAL
def test_real_per_band_files_are_one_product():
    scenes = open_scenes(SHARED / "satellite" / "landsat8_perband")
    assert [s.shape[0] for s in scenes] == [10]


def test_a_copy_of_a_file_is_not_its_band(tmp_path):
    path = geotiff(tmp_path / "a_B02.tif", bands=1)
    shutil.copy(path, tmp_path / "c_B02.tif")
    assert len(open_scenes(tmp_path)) == 2
