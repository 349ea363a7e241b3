"""Every odd TIFF at hand is read as another program reads it, or refused by an error of its own type."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from adapter_factories import SHARED, bits_equal, everything, only, provenance
from test_geotiff import masks, raw, said

from data_adapters import open_scenes
from data_adapters.errors import BrokenFile
from data_adapters.geotiff.rasters import open_raster

FILES = sorted(p for name in ("tiff", "images") for p in (SHARED / "edge_cases" / name).glob("*.tif"))
REFUSED = {"corrupt.tif": BrokenFile}
READ = [path for path in FILES if path.name not in REFUSED]
pytestmark = pytest.mark.skipif(not FILES, reason="real data are not here")


def named(path):
    return path.name


def told(path):
    """What gdalinfo says of a file."""
    if not shutil.which("gdalinfo"):
        pytest.skip("gdalinfo is not here")
    return json.loads(subprocess.run(["gdalinfo", "-json", path], capture_output=True, check=True).stdout)


def dumped(path, folder, bands, dtype):
    """The pixels as gdal_translate writes them without any format: (bands, h, w) of the stored type."""
    dump = folder / "dump.bin"
    # ENVI cannot say some of the places, which are no matter here.
    nowhere = ["-a_ullr", "0", "1", "1", "0", "-a_srs", "EPSG:32633"]
    subprocess.run(["gdal_translate", "-q", "-of", "ENVI", "-co", "INTERLEAVE=BSQ", *nowhere, path, dump], check=True)
    return np.fromfile(dump, dtype).reshape(bands, *tifffile_shape(path))


def tifffile_shape(path):
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[0].shape[:2] if tiff.pages[0].planarconfig == 1 else tiff.pages[0].shape[-2:]


@pytest.mark.parametrize("path", READ, ids=named)
def test_pixels_and_holes_are_those_that_gdal_translate_dumps(tmp_path, path):
    known = told(path)
    scene = only(path)
    bands = known["bands"]
    stored = dumped(path, tmp_path, len(bands), scene.dtype)
    alpha = [b["band"] - 1 for b in bands if b["colorInterpretation"] == "Alpha"]
    image = [b for b in bands if b["band"] - 1 not in alpha]
    assert scene.shape == (len(image), 1, *known["size"][::-1])
    pixels = scene.read(0, 1)
    nodata = bands[0].get("noDataValue")
    kept = stored[[b["band"] - 1 for b in image]]
    hole = (
        np.isnan(kept)
        if nodata in ("NaN", "nan")
        else kept == np.array(nodata if nodata is not None else -1e300, float)
    )
    if kept.dtype.kind == "u" or kept.dtype.kind == "i":
        hole = np.broadcast_to(hole.all(axis=0), hole.shape)
    elif nodata is not None and nodata not in ("NaN", "nan"):
        hole = np.isclose(kept, float(nodata), rtol=1e-6)
    for index in alpha:
        hole = hole | (stored[index] == 0)
    assert np.array_equal(~pixels.valid[:, 0], hole)
    for channel, band in enumerate(image):
        physical = kept[channel].astype(float) * band.get("scale", 1) + band.get("offset", 0)
        seen = pixels.valid[channel, 0]
        assert np.allclose(pixels.values[channel, 0][seen], physical[seen], rtol=1e-6, atol=0)


@pytest.mark.parametrize("path", READ, ids=named)
def test_where_pixels_lie_is_what_gdalinfo_says(path):
    known, scene = told(path), only(path)
    step = known.get("geoTransform")
    wkt = known.get("coordinateSystem", {}).get("wkt", "")
    assert (scene.grid.frame == "map") == bool(wkt)
    if step and wkt:
        assert scene.grid.spacing[1:] == pytest.approx((abs(step[5]), abs(step[1])), rel=1e-9)
    if step and (step[2] or step[4]):
        assert "rotated" in scene.facts["warning"]
    assert ("ground control points" in scene.facts) == bool(known.get("gcps", {}).get("gcpList"))


@pytest.mark.parametrize("path", READ, ids=named)
def test_pixels_are_those_that_tifffile_reads(path):
    try:
        stored = tifffile.imread(path, key=0)
    except (ValueError, ImportError, NotImplementedError) as error:
        pytest.skip(f"tifffile cannot read it: {error}")
    with open_raster(path) as data:
        planar = data.interleaving.name == "band"
    stored = stored[None] if stored.ndim == 2 else stored if planar else np.moveaxis(stored, -1, 0)
    assert bits_equal(np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("="))), raw(path))


@pytest.mark.parametrize("path", READ, ids=named)
def test_it_comes_back_as_it_is(tmp_path, path):
    scene = only(path)
    (same,) = scene.write_filled(tmp_path / "same.tif", [], provenance())
    assert same.read_bytes() == path.read_bytes()
    with open_raster(path) as data:
        counts = data.read_masks(list(range(1, scene.shape[0] + 1))) > 0
    # Zero in one band alone is a value, and is no nodata; but what is made never is.
    patches = [replace(patch, made=patch.made & counts) for patch in everything(scene)]
    out = scene.write_filled(tmp_path / "back.tif", patches, provenance())[0]
    assert bits_equal(raw(path), raw(out)) and bits_equal(masks(path), masks(out)) and said(path) == said(out)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused(name):
    (path,) = [p for p in FILES if p.name == name]
    with pytest.raises(REFUSED[name], match=name):
        for scene in open_scenes(path):
            scene.read(0, 1)


def test_no_file_is_left_out():
    assert (len(READ), len(REFUSED)) == (15, 1)
