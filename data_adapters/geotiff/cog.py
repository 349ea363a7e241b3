"""Cloud-optimised GeoTIFF: laid out so that a part of it can be read over a network (OGC 21-026)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio.shutil

from data_adapters.atomic import replacing
from data_adapters.geotiff.rasters import open_raster, read_file

LOSSY = {"JPEG", "WEBP", "LERC", "LERC_DEFLATE", "LERC_ZSTD", "JXL"}
"""Compressions whose blocks cannot be rewritten without changing observed pixels."""

OWN_DOMAINS = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "RPC", "GEOLOCATION", "COLOR_PROFILE")
"""Tag domains that GDAL copies or derives itself; it forgets others unless told."""


def compression(data: Any) -> str:
    """The compression of an open raster, as the COG driver calls it."""
    return data.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "NONE").split()[-1].upper()


def custom_domains(data: Any) -> dict[str, dict[str, str]]:
    """Tags of an open raster in the domains that a copy forgets."""
    return {ns: data.tags(ns=ns) for ns in data.tag_namespaces() if ns not in OWN_DOMAINS}


def layout(data: Any) -> dict[str, Any]:
    """How an open raster is laid out, as options of the COG driver; lossless where it was lossy."""
    return {
        "compress": "deflate" if compression(data) in LOSSY else compression(data),
        "blocksize": data.block_shapes[0][0],
        "overviews": "AUTO" if data.overviews(1) else "NONE",
        # Of GDAL 3.10, YES copies custom domains at the price of the bands' own tags.
        "COPY_SRC_MDD": "YES" if custom_domains(data) else "AUTO",
    }


def lay_out(path: Path, options: dict[str, Any]) -> None:
    """Write a GeoTIFF anew in its place by GDAL's COG driver, whose ``options`` these are."""
    # The means of classes would be classes that are not there.
    resampling = "NEAREST" if read_file(path).holds_classes else "AVERAGE"
    with replacing(path) as again:
        rasterio.shutil.copy(path, again, driver="COG", BIGTIFF="IF_SAFER", OVERVIEW_RESAMPLING=resampling, **options)


def to_cog(path: Path) -> Path:
    """Lay a GeoTIFF out anew as a cloud-optimised one, in its place, with overviews and all that it says.

    One that is so already stays as it is. Its compression stays, lossy ones becoming deflate; a mask and overviews that
    lay beside it come to lie in it. Of a file that has both, tags in domains of their own are kept and tags of single
    bands are not: GDAL 3.10 writes either.

    Raises:
        BrokenFile: if the file cannot be read.
    """
    with open_raster(path) as data:
        if data.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG":
            return path
        options = {**layout(data), "blocksize": 512, "overviews": "AUTO"}
    lay_out(path, options)
    for suffix in (".msk", ".msk.ovr", ".ovr"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return path
