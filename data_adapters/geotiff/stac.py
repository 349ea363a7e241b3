"""A STAC item beside a written GeoTIFF: where and when it is of, what is in it, and that it was made (STAC 1.1.0)."""

from __future__ import annotations

import json
import math
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rasterio.crs import CRS

from data_adapters.atomic import write_json
from data_adapters.geotiff.fixity import PROVENANCE
from data_adapters.geotiff.rasters import open_raster, read_file
from data_adapters.naming import named_beside

EARTH = CRS.from_epsg(4326)


def write_item(path: Path, day: str = "") -> Path:
    """Describe ``path`` in ``<name>.stac.json`` beside it, and the mask of what was made, where there is one.

    ``day`` (ISO) is that of acquisition; that of the file's own tags or name when empty. Where none is known,
    ``datetime`` is null and the file's own time stands for start and end. A file that lies nowhere on a map, and a
    sample, which shows no real place, have no geometry. Links are relative.

    Raises:
        BrokenFile: if the file cannot be read.
    """
    from pystac import Asset, MediaType
    from rio_stac import create_stac_item

    day = day or read_file(path).day
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    with open_raster(path) as data, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tags = data.tags()
        whole = tags.get("SYNTHETIC") == "YES"
        located = not whole and bool(data.gcps[0] or (data.crs and (data.crs.is_geographic or data.crs.is_projected)))
        cloud = data.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
        time = changed.isoformat()
        properties = {"created": time} | ({} if day else {"start_datetime": time, "end_datetime": time})
        if made := tags.get(PROVENANCE):
            properties |= {"synthetic": "whole" if whole else "part", "augmentor:provenance": json.loads(made)}
        item = create_stac_item(
            data,
            datetime.fromisoformat(day).replace(tzinfo=UTC) if day else None,
            id=path.stem,
            properties=properties,
            asset_name="data",
            asset_roles=["data"],
            asset_href=f"./{path.name}",
            asset_media_type=MediaType.COG if cloud else MediaType.GEOTIFF,
            with_proj=True,
            with_raster=True,
            # What lies on no map cannot be brought to longitude and latitude, and is left where it is.
            geographic_crs=EARTH if located else data.crs,
        )
    if not located:
        item.geometry = item.bbox = None
        for key in ("proj:geometry", "proj:bbox"):
            item.properties.pop(key, None)
    mask = named_beside(path, "made")
    if mask.exists():
        item.add_asset("made", Asset(f"./{mask.name}", media_type=MediaType.GEOTIFF, roles=["data-mask"]))
    record = item.to_dict(include_self_link=False, transform_hrefs=False)
    return write_json(path.with_name(f"{path.stem}.stac.json"), _finite(record))


def _finite(value: Any) -> Any:
    """A record without what JSON cannot say, such as the mean of a band in which nothing was observed."""
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items() if not (isinstance(v, float) and not math.isfinite(v))}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
