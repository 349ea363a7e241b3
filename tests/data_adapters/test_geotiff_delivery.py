"""What goes out with a GeoTIFF: the layout for the cloud, and the item that describes it."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from adapter_factories import HOLE, MECHANISMS, bits_equal, can_say, geotiff, only, patch, provenance, template
from rasterio.enums import Resampling
from test_geotiff import masks, raw, said

from data_adapters import Window, adapter
from data_adapters.errors import BrokenFile
from data_adapters.geotiff.cog import to_cog
from data_adapters.geotiff.rasters import open_raster
from data_adapters.geotiff.stac import write_item

pystac = pytest.importorskip("pystac")
WINDOW = Window(3, 6, 12, 14)


def filled(path, **options):
    """A file with a patch laid in, and its mask beside it."""
    source = geotiff(path.parent / "in" / path.name, **options)
    return only(source).write_filled(path, [patch(only(source), 0, WINDOW, 0.1)], provenance())[0]


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("size", [(40, 56), (700, 1300)])
def test_a_written_file_becomes_cloud_optimised_in_its_place_and_keeps_all(tmp_path, mechanism, dtype, size):
    if not can_say(mechanism, dtype):
        return
    path = filled(tmp_path / "a.tif", mechanism=mechanism, dtype=dtype, size=size)
    pixels, valid, before = raw(path), masks(path), said(path, structure=False)
    assert to_cog(path) == path
    after = said(path, structure=False)
    assert bits_equal(raw(path), pixels) and bits_equal(masks(path), valid)
    # Of GDAL 3.10, tags of bands are the price of custom domains.
    assert {k: v for k, v in after.items() if k != "band tags"} == {k: v for k, v in before.items() if k != "band tags"}
    assert rasterio.open(path).tags()["AUGMENTOR_PROVENANCE"]
    validate = pytest.importorskip("rio_cogeo.cogeo").cog_validate
    assert validate(path)[0] and not validate(path)[1]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_mask_and_overviews_beside_a_file_come_to_lie_in_it(tmp_path):
    path = geotiff(tmp_path / "a.tif", size=(700, 1300))
    seen = np.full((700, 1300), 255, np.uint8)
    seen[HOLE] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False, TIFF_USE_OVR=True), open_raster(path, "r+") as data:
        data.write_mask(seen)
        data.build_overviews([2], Resampling.average)
    pixels, valid = raw(path), masks(path)
    assert len(list(tmp_path.iterdir())) > 1
    to_cog(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert bits_equal(raw(path), pixels) and bits_equal(masks(path), valid)


def test_a_file_that_cannot_be_laid_out_stays(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(geotiff(tmp_path / "b.tif").read_bytes()[:200])
    before = path.read_bytes()
    with pytest.raises(BrokenFile):
        to_cog(path)
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif"]


def item(path, **known):
    """The item as pystac reads it, which checks what must be there."""
    found = pystac.Item.from_file(write_item(path, **known))
    written = json.loads(path.with_name(f"{path.stem}.stac.json").read_text(), parse_constant=pytest.fail)
    assert written["type"] == "Feature" and written["stac_version"] in ("1.0.0", "1.1.0")
    assert {"id", "geometry", "properties", "links", "assets"} <= set(written)
    assert ("bbox" in written) == (written["geometry"] is not None)
    assert str(path.parent) not in json.dumps(written)
    assert all(asset["href"].startswith("./") for asset in written["assets"].values())
    times = written["properties"]
    assert times["datetime"] or (times["start_datetime"] and times["end_datetime"])
    assert any("projection" in e for e in written["stac_extensions"])
    assert any("raster" in e for e in written["stac_extensions"])
    return found


@pytest.mark.parametrize("cloud", [False, True])
def test_an_item_says_where_when_and_that_part_of_it_was_made(tmp_path, cloud):
    path = filled(tmp_path / "a_2024-03-01.tif", mechanism="nodata", scaled=True)
    if cloud:
        to_cog(path)
    found = item(path)
    assert found.id == "a_2024-03-01" and found.datetime == datetime(2024, 3, 1, tzinfo=UTC)
    left, bottom, right, top = found.bbox
    assert 14.9 < left < right < 15.1 and 45.1 < bottom < top < 45.2
    assert found.properties["synthetic"] == "part"
    assert found.properties["augmentor:provenance"]["checkpoint"] == "c"
    assert found.properties["proj:shape"] == [40, 56]
    assert found.properties["proj:transform"][:6] == [10, 0, 500000, 0, -10, 5000000]
    bands = found.assets["data"].extra_fields["raster:bands"]
    assert [(b["data_type"], b["scale"], b["offset"], b["nodata"]) for b in bands] == [("uint16", 2.75e-5, -0.2, 0)] * 3
    assert found.assets["data"].media_type == (pystac.MediaType.COG if cloud else pystac.MediaType.GEOTIFF)
    assert found.assets["made"].href.endswith("a_2024-03-01_made.tif") and found.assets["made"].roles == ["data-mask"]


def test_the_day_may_be_said_and_may_be_unknown(tmp_path):
    path = geotiff(tmp_path / "a.tif")
    assert item(path, day="2020-02-29").datetime == datetime(2020, 2, 29, tzinfo=UTC)
    found = item(path)
    assert found.datetime is None and found.properties["start_datetime"] == found.properties["end_datetime"]
    assert "synthetic" not in found.properties


def test_a_sample_is_synthetic_as_a_whole_and_of_no_place(tmp_path):
    (path,) = adapter("geotiff").write_sample(
        tmp_path / "s", np.full((2, 1, 8, 9), 50.0), template("geotiff"), provenance()
    )
    found = item(path)
    assert found.properties["synthetic"] == "whole" and found.geometry is None
    assert found.properties["proj:shape"] == [8, 9]


@pytest.mark.parametrize("options", [
    {"crs": None, "transform": None}, {"gcps": True}, {"crs": 'LOCAL_CS["mine",UNIT["metre",1]]'},
    {"dtype": "float32", "mechanism": "nan"},
], ids=["no crs", "gcps", "local", "nan"])  # fmt: skip
def test_an_item_of_any_file_can_be_read(tmp_path, options):
    path = geotiff(tmp_path / "a.tif", **options)
    found = item(path)
    assert (found.geometry is None) == (options.get("crs", "") is None or "LOCAL" in options.get("crs", ""))


def test_an_item_of_a_file_in_which_nothing_was_observed_is_json(tmp_path):
    path = geotiff(tmp_path / "a.tif", dtype="float32", mechanism="nan")
    with open_raster(path, "r+") as data:
        data.write(np.full((3, 40, 56), np.nan, np.float32))
    assert HOLE and item(path).assets["data"].extra_fields["raster:bands"]
