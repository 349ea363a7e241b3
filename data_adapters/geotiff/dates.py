"""The day on which a raster was acquired (never the one on which it was processed)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

from data_adapters.geotiff.names import delivery, named, product_folder

DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_:/]?)([01]\d)\2([0-3]\d)(?!\d)")
SENSED = re.compile(r"_V(\d{8}T\d{6})_")
"""Sentinel-2 names of before 2016 give the day of processing first; this is the span of sensing."""
LANDSAT_DAY = re.compile(r"L[A-Z]\d{7}((?:19|20)\d{2})(\d{3})")
LONGEST = 1 << 22
"""Characters of a metadata file that are looked through: those of Sentinel-2 have some hundred thousand."""

TAGS = ("ACQUISITION_DATE", "ACQUISITIONDATETIME", "DATE_ACQUIRED", "DATATAKE_1_DATATAKE_SENSING_START",
        "PRODUCT_START_TIME", "SENSING_TIME")  # fmt: skip
SAID = re.compile(r"(?:DATE_ACQUIRED\s*=|<(?:DATATAKE_SENSING_START|PRODUCT_START_TIME)>|<SENSING_TIME[^>]*>)([^<\n]*)")
"""In Landsat's ``*_MTL.txt`` (LSDS-1619), and Sentinel-2's ``MTD_MSIL*.xml`` and ``MTD_TL.xml``."""


def acquired(path: Path, tags: dict[str, str], *, located: bool) -> str:
    """The day, ISO: from acquisition tags, the product's metadata file, names, or, of a raster that lies somewhere, the
    time in the TIFF header (tag 306, TIFF 6.0), which may be any program's; empty where none says."""
    upper = {key.upper(): value for key, value in tags.items()}
    said = chain(
        (upper.get(tag, "") for tag in TAGS),
        _metadata(path),
        _names(path),
        [upper.get("TIFFTAG_DATETIME", "") if located else ""],
    )
    return next((day for text in said if (day := _day(text))), "")


def _names(path: Path) -> Iterator[str]:
    yield path.name
    name = named(path)
    if name.band or name.layer:
        for folder in {product_folder(path): 0, delivery(path): 0}:
            if found := SENSED.search(folder.name):
                yield found.group(1)[:8]
            yield folder.name


def _metadata(path: Path) -> Iterator[str]:
    """What the metadata file of a product says, where the file at ``path`` is of that product."""
    for text in sorted(path.parent.glob("*_MTL.txt")):
        if path.name.startswith(text.name.removesuffix("_MTL.txt")):
            yield from SAID.findall(_text(text))
    if delivery(path).suffix.upper() == ".SAFE" or product_folder(path) != path.parent:
        for folder in {delivery(path): 0, product_folder(path): 0}:
            for text in sorted(folder.glob("MTD_*.xml")):
                yield from SAID.findall(_text(text))


def _text(path: Path) -> str:
    """The first part of a metadata file, which is where dates are; nothing of what is no file."""
    with suppress(OSError):
        if path.is_file():
            with path.open(errors="replace") as stream:
                return stream.read(LONGEST)
    return ""


def _day(text: str) -> str:
    for found in DAY.finditer(text):
        with suppress(ValueError):
            return date(int(found.group(1)), int(found.group(3)), int(found.group(4))).isoformat()
    if (scene := LANDSAT_DAY.search(text)) and 1 <= int(scene.group(2)) <= 366:
        return (date(int(scene.group(1)), 1, 1) + timedelta(int(scene.group(2)) - 1)).isoformat()
    return ""
