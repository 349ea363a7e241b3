"""Everything kept, both ways: any raster that GDAL's GTiff driver writes comes back but for the pixels asked."""

import numpy as np
import pytest
import rasterio
from adapter_factories import bits_equal, noise, only, patch, provenance
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from test_geotiff import masks, raw, said

from data_adapters import Window
from data_adapters.errors import BrokenFile
from data_adapters.geotiff.rasters import open_raster

HEIGHT, WIDTH = 40, 56
HOLE = (slice(5, 17), slice(10, 31))
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
SIGNED = ("int8", "int16", "int32", "int64")
FLOATS = ("float16", "float32", "float64")
"""A float16 is a float32 of 16 bits to GDAL 3.10 (NBITS=16)."""

COMPRESSIONS = {
    "none": {}, "packbits": {"compress": "packbits"}, "lzw": {"compress": "lzw"},
    "lzw-2": {"compress": "lzw", "predictor": 2}, "deflate": {"compress": "deflate", "ZLEVEL": 1},
    "deflate-2": {"compress": "deflate", "predictor": 2}, "deflate-3": {"compress": "deflate", "predictor": 3},
    "zstd": {"compress": "zstd"}, "lzma": {"compress": "lzma"},
}  # fmt: skip
PLACES = ("map", "rotated", "south up", "degrees", "gcps", "rpcs", "nowhere")


def places(where):
    """Profile entries for where a raster lies."""
    transforms = {
        "map": Affine(10, 0, 500000, 0, -10, 5000000), "degrees": Affine(1e-4, 0, 12, 0, -1e-4, 45),
        "rotated": Affine(10, 0, 500000, 0, -10, 5000000) @ Affine.rotation(33),
        "south up": Affine(10, 0, 500000, 0, 10, 5000000),
    }  # fmt: skip
    if where not in transforms:
        return {}
    return {"transform": transforms[where], "crs": "EPSG:4326" if where == "degrees" else "EPSG:32633"}


@st.composite
def rasters(draw):
    """What a raster may be, only as GTiff can write it."""
    dtype = draw(st.sampled_from([*UNSIGNED, *SIGNED, *FLOATS]))
    floating = dtype in FLOATS
    mechanism = draw(st.sampled_from(["none", "nodata", "nan", "mask", "msk", "alpha"]))
    if (mechanism == "nan") != floating and mechanism in ("nan", "alpha"):
        mechanism = "nodata"
    compression = draw(st.sampled_from(sorted(COMPRESSIONS)))
    if compression == "deflate-3" and not floating:
        compression = "lzw"
    if compression.endswith("-2") and dtype == "float16":
        compression = "deflate"
    return {
        "dtype": dtype, "mechanism": mechanism, "compression": compression, "bands": draw(st.integers(1, 4)),
        "tiled": draw(st.booleans()), "bigtiff": draw(st.booleans()),
        "interleave": draw(st.sampled_from(["band", "pixel"])),
        "endian": draw(st.sampled_from(["LITTLE", "BIG"])), "scaled": draw(st.booleans()),
        "place": draw(st.sampled_from(PLACES)), "point": draw(st.booleans()), "colours": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }  # fmt: skip


def write(path, known):
    """The raster that was drawn; returns whether band 1 has a colour map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dtype, bands, mechanism = known["dtype"], known["bands"], known["mechanism"]
    stored_as = "float32" if dtype == "float16" else dtype
    stored = noise((bands, HEIGHT, WIDTH), dtype, known["seed"]).astype(stored_as)
    nodata = {"nan": np.nan, "nodata": 0 if dtype in UNSIGNED else -99}.get(mechanism)
    if nodata is not None:
        stored[stored == nodata] = 1
        stored[(slice(None), *HOLE)] = nodata
    seen = np.full((HEIGHT, WIDTH), 255, np.uint8)
    seen[HOLE] = 0
    colours = known["colours"] and bands == 1 and dtype in ("uint8", "uint16") and mechanism != "alpha"
    options = {
        "driver": "GTiff", "height": HEIGHT, "width": WIDTH, "count": bands + (mechanism == "alpha"),
        "dtype": stored_as, "nodata": nodata, "BIGTIFF": "YES" if known["bigtiff"] else "NO",
        "interleave": known["interleave"],
        "ENDIANNESS": known["endian"], **COMPRESSIONS[known["compression"]], **places(known["place"]),
        **({"tiled": True, "blockxsize": 16, "blockysize": 32} if known["tiled"] else {"blockysize": 8}),
        **({"NBITS": 16} if dtype == "float16" else {}),
        # Else four bands of bytes are taken for a picture with alpha.
        **({"photometric": "MINISBLACK", "ALPHA": "NO"} if bands > 1 and mechanism != "alpha" else {}),
    }  # fmt: skip
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=mechanism != "msk"), open_raster(path, "w", **options) as data:
        if known["place"] == "gcps":
            corners = [(0, 0), (0, WIDTH), (HEIGHT, 0), (HEIGHT, WIDTH)]
            data.gcps = [GroundControlPoint(r, c, 12 + c / 1e3, 45 - r / 1e3) for r, c in corners], CRS.from_epsg(4326)
        if known["place"] == "rpcs":
            ones = [1.0] + [0.0] * 19
            data.rpcs = RPC(500, 100, 45, 0.1, [0.0] * 20, ones, 20, 10, 12, 0.1, [0.0] * 20, ones, 28, 14, 1, 1)
        if mechanism == "alpha":
            opaque = np.where(seen, np.iinfo(dtype).max, 0).astype(stored_as)
            stored = np.concatenate([stored, opaque[None]])
            data.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (bands - 1), ColorInterp.alpha]
        if colours:
            data.write_colormap(1, {i: (i, 255 - i, i // 2, 255) for i in range(256)})
        data.write(stored)
        if mechanism in ("mask", "msk"):
            data.write_mask(seen)
        data.descriptions = [f"B{i:02d}" for i in range(1, data.count + 1)]
        data.units = [f"unit {i}" for i in range(data.count)]
        if known["scaled"]:
            data.scales = [0.5 + i for i in range(data.count)]
            data.offsets = [-2.0 * i for i in range(data.count)]
        data.update_tags(AREA_OR_POINT="Point" if known["point"] else "Area", MISSION="kept")
        data.update_tags(ns="CUSTOM", inside="a domain")
        data.update_tags(1, WAVELENGTH="490")
    return colours


@settings(max_examples=200, deadline=None)
@given(known=rasters(), data=st.data())
def test_a_copy_without_a_patch_is_the_file_and_one_with_a_patch_differs_there_alone(tmp_path_factory, known, data):
    folder = tmp_path_factory.mktemp("law")
    path = folder / "in" / "a.tif"
    colours = write(path, known)
    assert path.with_name("a.tif.msk").exists() == (known["mechanism"] == "msk")
    scene = only(path)
    files = scene.write_filled(folder / "same" / "a.tif", [], provenance())
    assert {f.name: f.read_bytes() for f in files} == {f.name: f.read_bytes() for f in path.parent.iterdir()}

    row, column = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
    window = Window(row, column, data.draw(st.integers(1, HEIGHT - row)), data.draw(st.integers(1, WIDTH - column)))
    random = np.random.default_rng(known["seed"])
    made = random.random((scene.shape[0], window.height, window.width)) < 0.7
    value = 24.0
    out, mask = folder / "out" / "a.tif", folder / "out" / "a_made.tif"
    files = scene.write_filled(out, [patch(scene, 0, window, value, made)], provenance())
    assert files[0] == out and ((mask in files) == bool(made.any()))

    where = np.zeros(scene.shape[:1] + scene.shape[2:], bool)
    where[:, *window.slices] = made
    touched = where.any(axis=0)
    before, after = raw(path), raw(out)
    bands = known["bands"]
    assert bits_equal(after[:bands][~where], before[:bands][~where])
    assert bits_equal(after[bands:, ~touched], before[bands:, ~touched])
    assert bits_equal(masks(out)[:, ~touched], masks(path)[:, ~touched])
    scales, offsets = ([0.5 + i for i in range(bands)], [-2.0 * i for i in range(bands)]) if known["scaled"] else (
        [1.0] * bands, [0.0] * bands)  # fmt: skip
    for band in range(bands):
        expected = (value - offsets[band]) / scales[band]
        tolerance = 0.5 if known["dtype"] not in FLOATS else abs(expected) * 2**-10
        assert np.abs(after[band][where[band]].astype(float) - expected).max(initial=0) <= tolerance
    pixels = only(out).read(0, 1)
    assert pixels.valid[:, 0][where].all()
    assert np.array_equal(raw(mask)[0] > 0 if mask in files else touched & False, touched)
    assert said(out) == said(path)
    with open_raster(path) as one, open_raster(out) as other:
        assert not colours or one.colormap(1) == other.colormap(1)
        assert one.read_masks(1)[~touched].tobytes() == other.read_masks(1)[~touched].tobytes()
        assert path.read_bytes()[:4] == out.read_bytes()[:4]
    assert not [p for p in out.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_values_are_no_image(tmp_path, dtype):
    path = tmp_path / "a.tif"
    with open_raster(path, "w", driver="GTiff", height=4, width=5, count=1, dtype=dtype):
        pass
    with pytest.raises(BrokenFile, match=r"complex.*real type"):
        only(path)


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 9, 12, 15])
@pytest.mark.parametrize("nodata", ["lowest", "highest"])
def test_a_value_that_the_bits_cannot_hold_is_clipped_and_never_nodata(tmp_path, bits, nodata):
    path = tmp_path / "a.tif"
    dtype, top = ("uint8" if bits <= 8 else "uint16"), 2**bits - 1
    empty, other = (0, top) if nodata == "lowest" else (top, 0)
    profile = {"driver": "GTiff", "height": 8, "width": 9, "count": 1, "dtype": dtype, "NBITS": bits, "nodata": empty}
    with open_raster(path, "w", **profile) as data:
        data.write(np.full((1, 8, 9), other, dtype))
    scene = only(path)
    patches = [patch(scene, 0, Window(0, 0, 4, 4), 60000), patch(scene, 0, Window(4, 4, 4, 4), 0)]
    out = scene.write_filled(tmp_path / "b.tif", patches, provenance())[0]
    high, low = (top, 1) if nodata == "lowest" else (top - 1, 0)
    assert (raw(out)[0, :4, :4] == high).all() and (raw(out)[0, 4:, 4:8] == low).all()
    assert only(out).read(0, 1).valid.all()
