"""Label maps and masks as DICOM Segmentation objects (PS3.3 A.51) that refer to the images they lie on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits

from data_adapters.dicom import decode
from data_adapters.dicom.common import SYNTHESIZING, code, contribution, save, uid
from data_adapters.dicom.fixity import MAKER, digest
from data_adapters.dicom.referring import Plane, complete, in_one_space, refer
from data_adapters.errors import Unwritable
from data_adapters.scene import Provenance

SYNTHETIC = "Synthetic pixels"

CATEGORY = ("309825002", "SCT", "Spatial and Relational Concept")
"""Of CID 7150: a label map says where something lies, and by itself nothing of what it is."""

ARTIFACT = ("111207", "DCM", "Image artifact(s)")
"""Pixels that show no patient."""

REGION = ("130488", "DCM", "Region in Space")

FAMILY = ("123110", "DCM", "Artificial Intelligence")
"""Of CID 7162."""


class Segment(NamedTuple):
    """A segment's number, label, and the UID by which it is tracked."""

    number: int
    label: str
    tracking: str


def write_made_mask(
    destination: Path, images: Sequence[Path], made: NDArray[np.bool_], provenance: Provenance
) -> list[Path]:
    """Write which pixels were made, (frames, rows, columns), beside a filled series or file.

    ``images`` are its files, their frames in the mask's order.
    """
    sources = [decode.read_header(path) for path in images]
    beside = destination.with_name(f"{destination.name.removesuffix('.dcm')}_made.dcm")
    return write_label_map(beside, sources, made.astype(np.uint16), {1: SYNTHETIC}, provenance, shown=ARTIFACT)


def write_label_map(
    destination: Path,
    sources: Sequence[Dataset],
    labels: NDArray[np.integer[Any]],
    names: Mapping[int, str],
    provenance: Provenance,
    *,
    shown: tuple[str, str, str] = REGION,
) -> list[Path]:
    """Write integer labels (frames, rows, columns) as a BINARY segmentation, a segment a label; 0 is background.

    ``sources`` are the written images (their headers are enough) of one series, their frames in the order of the
    labels. ``names`` are the segments' labels, of those too that do not occur, so that a segment has one number in all
    the label maps of a kind; ``shown`` is the coded type of what they show. Frames that hold no label are left out;
    where none does, nothing is written.

    Raises:
        Unwritable: if sources and labels do not fit each other.
    """
    planes = [
        Plane(source, frame + 1 if count > 1 else None)
        for source in sources
        for count in [decode.frame_count(source)]
        for frame in range(count)
    ]
    if labels.shape != (len(planes), sources[0].Rows, sources[0].Columns):
        raise Unwritable(f"labels of shape {labels.shape} on {len(planes)} frames", where=destination)
    if not labels.any():
        return []
    found = sorted({*np.unique(labels).tolist(), *names} - {0})
    # Segments are numbered from 1 without gaps (PS3.3 C.8.20.4).
    numbered = np.searchsorted([0, *found], labels).astype(np.uint8 if len(found) < 256 else np.uint16)
    series = sources[0].SeriesInstanceUID
    segments = [
        Segment(number, names.get(value, f"Label {value}")[:64], uid(provenance, "segment", series, value))
        for number, value in enumerate(found, start=1)
    ]
    labelled = [index for index in range(len(planes)) if numbered[index].any()]
    shown_on = {f"1.2.{index + 1}": planes[index] for index in labelled}
    stand_ins = [plane.stand_in(name) for name, plane in shown_on.items()]
    parts = [slice(None)] if in_one_space(stand_ins) else [slice(index, index + 1) for index in range(len(stand_ins))]
    segmented = [_segmentation(stand_ins[p], numbered[labelled][p], segments, shown, provenance) for p in parts]
    dataset = _joined(segmented)
    refer(dataset, shown_on)
    complete(dataset, sources[0], provenance, ", ".join(segment.label for segment in segments))
    dataset.SyntheticData = "YES"
    frames = np.atleast_3d(dataset.pixel_array.T).T
    dataset.ContributingEquipmentSequence = [
        contribution(provenance, code(*SYNTHESIZING), digest(list(frames), dataset))
    ]
    return [save(dataset, destination)]


def _segmentation(
    images: Sequence[Dataset],
    numbered: NDArray[Any],
    segments: Sequence[Segment],
    shown: tuple[str, str, str],
    provenance: Provenance,
) -> Dataset:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
    from pydicom.sr.coding import Code

    series = images[0].SeriesInstanceUID
    algorithm = AlgorithmIdentificationSequence(provenance.tool, Code(*FAMILY), provenance.version)
    described = [
        SegmentDescription(
            segment.number,
            segment.label,
            Code(*CATEGORY),
            Code(*shown),
            SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm,
            tracking_uid=segment.tracking,
            tracking_id=segment.label,
        )
        for segment in segments
    ]
    return Segmentation(
        images,
        numbered,
        SegmentationTypeValues.BINARY,
        described,
        series_instance_uid=uid(provenance, "segmentation series", series),
        series_number=9000,
        sop_instance_uid=uid(provenance, "segmentation", series),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=provenance.method[:64],
        software_versions=provenance.version,
        device_serial_number=provenance.checkpoint[:16] or "none",
        content_label="SYNTHETIC",
        content_description=f"Made by {provenance.tool} {provenance.version}"[:64],
    )


def _joined(parts: Sequence[Dataset]) -> Dataset:
    """Segmentations of single frames as one."""
    whole = parts[0]
    if len(parts) > 1:
        pixels = np.concatenate([np.atleast_3d(part.pixel_array.T).T for part in parts])
        whole.PixelData = pack_bits(pixels)
        whole.NumberOfFrames = len(pixels)
        whole.PerFrameFunctionalGroupsSequence = [g for part in parts for g in part.PerFrameFunctionalGroupsSequence]
    return whole
