"""What a DICOM object says of its making, and the digest of its pixels, whatever transfer syntax they came in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from data_adapters.dicom import decode
from data_adapters.errors import BrokenFile
from data_adapters.fixity import OURS, PixelDigest, Stated
from data_adapters.scene import Provenance

MAKER = OURS

STATEMENT = re.compile(
    r"recipe (?P<recipe>\w+), checkpoint (?P<checkpoint>\w+), seed (?P<seed>\d+), sample (?P<index>\d+)"
    r"(, guidance (?P<guidance>[\d.e+-]+))?(?P<filled>, laid into a source)?"
    r"(, pixels SHA-256 (?P<pixels>[0-9a-f]{64}))?"
)
"""What ``statement`` writes."""


def statement(provenance: Provenance, pixels: str) -> str:
    """What made an object and the digest of its pixels, for ContributionDescription (ST, 1024 letters)."""
    said = f"recipe {provenance.recipe or 'none'}, checkpoint {provenance.checkpoint or 'none'}"
    said += f", seed {provenance.seed}, sample {provenance.index}"
    said += f", guidance {provenance.guidance:g}" if provenance.guidance != 1 else ""
    said += ", laid into a source" if provenance.source else ""
    return said + (f", pixels SHA-256 {pixels}" if pixels else "")


def digest(frames: Sequence[NDArray[Any]], header: Dataset) -> str:
    """The digest of words as they are stored, a frame each: their values alone, without what lies beside BitsStored."""
    found = PixelDigest(len(frames), *frames[0].shape)
    for words in frames:
        found.add(decode.in_field(np.asarray(words), header))
    return found.hexdigest()


def pixel_digest(path: Path) -> str:
    """The digest of a file's pixels.

    Raises:
        BrokenFile: if they cannot be decoded.
    """
    try:
        count = decode.frame_count(decode.read_header(path))
        return digest(*decode.decode_frames(path, range(count)))
    except (AttributeError, TypeError, ValueError) as error:
        raise BrokenFile(f"pixels cannot be decoded ({error})", where=path, do="restore it") from error


def stated(path: Path) -> Stated | None:
    """What the last of an object's contributing equipment that is ours says.

    Raises:
        BrokenFile: if it does not parse as DICOM.
    """
    header = decode.read_header(path)
    try:
        every = header.get("ContributingEquipmentSequence") or []
        items = [item for item in every if item.get("Manufacturer") == MAKER]
        return _stated(items[-1]) if items else None
    except (AttributeError, TypeError, ValueError, IndexError):
        return None


def _stated(item: Dataset) -> Stated | None:
    found = STATEMENT.match(str(item.get("ContributionDescription", "")))
    if found is None:
        return None
    versions = item.get("SoftwareVersions") or [""]
    return Stated(
        tool=MAKER,
        version=str(versions if isinstance(versions, str) else versions[0]),
        method=str(item.get("ManufacturerModelName", "")),
        recipe=found["recipe"].removesuffix("none"),
        checkpoint=found["checkpoint"].removesuffix("none"),
        seed=int(found["seed"]),
        index=int(found["index"]),
        guidance=float(found["guidance"] or 1),
        filled=found["filled"] is not None,
        pixels=found["pixels"] or "",
    )
