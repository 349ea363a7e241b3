"""What the names of rasters and of their folders say: band, quality layer, product."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

RESOLUTION = re.compile(r"_(?:10|20|60)m(?=_|$)")
BAND = re.compile(r"(?:_(?:SR|ST))?(?:^|_)(B\d{1,2}A?)(?=[_.]|$)", re.IGNORECASE)
LAYER = re.compile(
    # Sentinel-2 product specification (S2-PDGS-TAS-DI-PSD), IMG_DATA and QI_DATA.
    r"(?:^|_)(SCL|AOT|WVP|TCI|PVI|CLP|CLM|MSK_[A-Z]+(?:_B\w\w)?|[A-Z0-9]+_MSK"
    # Landsat Collections 1 and 2 (USGS LSDS-1656, -1619, -1618).
    r"|BQA|(?:SR_|ST_)?QA(?:_[A-Z]+)?|PIXEL_QA|RADSAT_QA|SR_AEROSOL|SR_CLOUD_QA|SR_ATMOS_OPACITY"
    r"|ST_(?:ATRAN|CDIST|DRAD|EMIS|EMSD|TRAD|URAD)|[SV][AZ]A)$",
    re.IGNORECASE,
)
CLASSES = re.compile(r"SCL|BQA|QA_PIXEL|PIXEL_QA|QA_RADSAT|QA60|CLM|MSK_[A-Z]+", re.IGNORECASE)
"""Bands of a file of several that hold classes or bits and no measured quantity."""

INNER = re.compile(r"R(?:10|20|60)m|IMG_DATA|QI_DATA")


class Named(NamedTuple):
    """``stem`` is what the files of one product share; of ``band`` and ``layer`` one at most is said."""

    stem: str
    band: str
    layer: str


def named(path: Path) -> Named:
    """What a file's name says: ``T32TPS_20230501T101559_B02_10m.jp2`` is band ``B02`` of ``T32TPS_20230501T101559``."""
    text = RESOLUTION.sub("", path.stem)
    if found := LAYER.search(text):
        return Named(text[: found.start()], "", found.group(1).upper())
    if found := BAND.search(text):
        return Named(text[: found.start()] + text[found.end() :], found.group(1).upper(), "")
    return Named(text, "", "")


def product_folder(path: Path) -> Path:
    """The folder in which the files of one product lie, above Sentinel-2's folders of bands and of quality."""
    folder = path.parent
    while INNER.fullmatch(folder.name):
        folder = folder.parent
    return folder


def delivery(path: Path) -> Path:
    """What was delivered as one: the ``.SAFE`` folder around a file, or else its product folder."""
    folder = product_folder(path)
    return next((f for f in (folder, *folder.parents[:3]) if f.suffix.upper() == ".SAFE"), folder)
