"""What kind of imagery it is, as far as headers, names and colours tell, and what that allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_adapters import Scene

Sample = NDArray[np.floating]
"""Pixels (C, N) of one scene, in physical units."""


@dataclass(frozen=True)
class Domain:
    """``modality`` is what plain files of it are; ``detail`` says that it is looked at closely, part by part."""

    name: str
    words: str
    modality: str
    flips: bool
    detail: bool
    why: str
    """Why it may be turned and mirrored, or may not."""


SIDED = "left and right, up and down mean something in a body"
DOMAINS = {
    domain.name: domain
    for domain in (
        Domain("histology images", "histo[a-z0-9]*|patho[a-z0-9]*|wsi|stained|tissues?|pcam|h&e", "", True, True,
               "a slide has no up and no left"),
        Domain("radiographs", "chest|cxr|x-?rays?|radiographs?|thorax", "CR", False, False,
               "the heart lies on the left; a mirrored chest is a rare finding"),
        Domain("mammograms", "mammo[a-z0-9]*|breasts?|ddsm|mias", "MG", False, False,
               "a mirrored left breast is a right one"),
        Domain("ultrasound images", "ultrasounds?|echo[a-z0-9]*|sono[a-z0-9]*", "US", False, False,
               "the probe is above, and shadows fall away from it"),
        Domain("CT images", "ct", "CT", False, False, SIDED),
        Domain("MR images", "mri?|t1w|t2w|flair", "MR", False, False, SIDED),
        Domain("radar images", "sar|radar|sentinel-?1[a-z0-9]*|s1[ab]?|backscatter|grd", "", False, True,
               "radar looks sideways, so that slopes and houses fall to one side; true where looks are mixed"),
        Domain("images from above", "aerial|satellite|sentinel-?2[a-z0-9]*|s2[ab]?|landsat[a-z0-9]*|naip|drone|uav|"
               "ortho[a-z0-9]*|ucmerced|eurosat|land_?use|land_?cover", "", True, True,
               "from above there is no up and no left"),
    )
}  # fmt: skip
BODY = Domain("medical images", "", "", False, False, SIDED)
UNKNOWN = Domain("images", "", "", False, False, "nothing says that these images have neither up nor left")

MODALITIES = {"CR": "radiographs", "DX": "radiographs", "MG": "mammograms", "US": "ultrasound images",
              "CT": "CT images", "MR": "MR images", "SM": "histology images"}  # fmt: skip
RADAR = {"VV", "VH", "HH", "HV"}
AIR = -500
"""HU below which there is nothing but air, and no other modality has values."""


def domain_of(scenes: Sequence[Scene], names: Iterable[str], samples: Sequence[Sample]) -> tuple[Domain, str]:
    """What scenes of one kind show, and by what that is told; ``names`` are those of folders and classes."""
    first = scenes[0]
    if first.modality:
        return DOMAINS.get(MODALITIES.get(first.modality, ""), BODY), f"headers say {first.modality}"
    bands = {channel.name.upper() for channel in first.channels}
    if bands & RADAR:
        return DOMAINS["radar images"], f"bands {', '.join(sorted(bands))} are polarisations"
    if first.kind == "volume":
        return _volume(samples, names)
    above = DOMAINS["images from above"]
    for domain in (DOMAINS["radar images"], above) if first.grid.frame == "map" else DOMAINS.values():
        if word := _said(domain.words, names):
            return domain, f"by the name {word!r}"
    if first.grid.frame == "map":
        return above, "the files lie on a map"
    if {"red", "green", "blue"} == {name.lower() for name in bands} and samples and all(map(_stained, samples)):
        return DOMAINS["histology images"], "pink and purple throughout, as stained tissue is"
    return UNKNOWN, "nothing says what they show"


def _volume(samples: Sequence[Sample], names: Iterable[str]) -> tuple[Domain, str]:
    """Volumes of no stated modality, by what most of them look like."""
    if 2 * sum(map(airy, samples)) >= max(1, len(samples)):
        return DOMAINS["CT images"], "values go down to air in HU"
    if _said(DOMAINS["MR images"].words, names):
        return DOMAINS["MR images"], "by the names"
    return DOMAINS["MR images"], "no value is as low as air in HU; a guess, so change it if it is wrong"


def airy(sample: Sample) -> bool:
    """Whether values go down to air in HU."""
    return float(sample.min()) < AIR


def _said(words: str, names: Iterable[str]) -> str:
    """The first whole word of a name that is one of these."""
    for name in names:
        if found := re.search(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])", name.lower()):
            return found.group()
    return ""


def _stained(sample: Sample) -> bool:
    """Haematoxylin and eosin leave least of the green, whatever is stained; and slides are bright."""
    red, green, blue = sample.mean(axis=1)
    return bool(green < min(red, blue) - 0.03 * max(red, blue) and max(red, blue) > 0.45 * sample.max())
