"""DICOM: single images and series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import BurnedInText, NoPixels, NotThisFormat, UserError
from data_adapters.fixity import Stated
from data_adapters.scene import Provenance, Scene, Template, one_each

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

NAME = "dicom"
SUFFIXES = (".dcm", ".dicom", ".ima")


def claims(path: Path, head: bytes) -> bool:
    """Whether the content is DICOM: the preamble's magic, or a data set without one (PS3.10 section 7)."""
    if head[128:132] == b"DICM":
        return True
    # Without a preamble: the first element is of group 0002 or 0008, in either byte order.
    return (head[:2] in (b"\x08\x00", b"\x02\x00") and head[2:4] != b"\x00\x08") or head[:4] == b"\x00\x08\x00\x05"


def scan(files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
    """Scenes from headers alone, and an error for every file that gives none.

    Segmentations are label maps where there is nothing else; beside images they are passed over.
    """
    from data_adapters.dicom import decode
    from data_adapters.dicom.label_map import label_map
    from data_adapters.dicom.series import scenes

    images, segmentations, problems = [], list[UserError](), list[UserError]()
    with decode.lenient():
        for path in files:
            try:
                header = decode.read_header(path)
                with decode.sensible(path):
                    if _is_map(path, header):
                        segmentations.append(NoPixels(decode.kind_of(header), where=path))
                    else:
                        images.append((path, header))
            except UserError as error:
                problems.append(error)
        if len(segmentations) == len(files):
            return one_each(files, label_map)
        found, senseless = scenes(images)
    return found, problems + segmentations + senseless


def _is_map(path: Path, header: FileDataset) -> bool:
    """Whether an object is a segmentation and no image.

    Raises:
        UserError: if it is of no use.
    """
    from data_adapters.dicom import decode

    if len(header) == 0:
        raise NotThisFormat("no DICOM element found", where=path, do="remove it or restore it")
    if not decode.has_pixels(header):
        kind = decode.kind_of(header)
        raise NoPixels(f"{kind} without pixels" if "Image" in kind else kind, where=path)
    decode.check_size(path, header)
    if str(header.get("Modality", "")) == "SEG":
        return True
    if str(header.get("BurnedInAnnotation", "")).upper() == "YES":
        raise BurnedInText("says that text is burned into its pixels", where=path, do="crop or mask it first")
    return False


def stated(path: Path) -> Stated | None:
    """What an object says of its making, among its contributing equipment."""
    from data_adapters.dicom import fixity

    return fixity.stated(path)


def pixel_digest(path: Path) -> str:
    """The digest of a file's pixels."""
    from data_adapters.dicom import fixity

    return fixity.pixel_digest(path)


def write_sample(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """A synthetic sample, (C, S, H, W) in physical units, as DICOM of its own modality."""
    from data_adapters.dicom.synthetic import write_synthetic

    return write_synthetic(stem, values, template, provenance)
