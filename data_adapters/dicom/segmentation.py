"""Label maps and masks as DICOM Segmentation objects (PS3.3 A.51) that refer to the images they lie on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage

from data_adapters.dicom import decode
from data_adapters.dicom.common import SYNTHESIZING, code, contribution, decimal, decimals, save, uid
from data_adapters.dicom.fixity import MAKER, digest
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

OF_PATIENT_AND_STUDY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "SpecificCharacterSet",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
"""What a segmentation says in the words of its images."""

NO_DAY = ("19700101", "000000")
"""Date and time of content, which may not be empty, where the images tell none."""

DATE, TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
"""What PS3.5 6.2 allows; older files write otherwise."""


class Segment(NamedTuple):
    """A segment's number, label, and the UID by which it is tracked."""

    number: int
    label: str
    tracking: str


class Plane(NamedTuple):
    """One frame of the images that labels lie on, and its number from 1 where the image has several."""

    image: Dataset
    number: int | None

    def stand_in(self, name: str) -> Dataset:
        """A single-frame image in the plane's place, for highdicom to refer to by ``name``."""
        frame = (self.number or 1) - 1
        stand_in = Dataset()
        stand_in.SOPInstanceUID, stand_in.Modality = name, "OT"
        stand_in.SOPClassUID = ComputedRadiographyImageStorage
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns"):
            stand_in[keyword] = self.image[keyword]
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
                        "StudyDate", "StudyTime"):  # fmt: skip
            setattr(stand_in, keyword, "")
        place, direction = decode.position(self.image, frame), decode.orientation(self.image, frame)
        spacing = decode.pixel_spacing(self.image, frame)
        if spacing is not None:
            stand_in.PixelSpacing = decimals(spacing)
            stand_in.SliceThickness = decimal(decode.thickness(self.image))
        if place and direction and spacing and self.image.get("FrameOfReferenceUID"):
            stand_in.SOPClassUID, stand_in.FrameOfReferenceUID = CTImageStorage, self.image.FrameOfReferenceUID
            stand_in.ImagePositionPatient = decimals(place)
            stand_in.ImageOrientationPatient = decimals(direction)
        return stand_in


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
    # Without a common frame of reference, only a single image can be referred to at a time.
    together = all("FrameOfReferenceUID" in stand_in for stand_in in stand_ins)
    parts = [slice(None)] if together else [slice(index, index + 1) for index in range(len(stand_ins))]
    segmented = [_segmentation(stand_ins[p], numbered[labelled][p], segments, shown, provenance) for p in parts]
    dataset = _joined(segmented)
    _refer(dataset, shown_on)
    _complete(dataset, sources[0], provenance)
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


def _refer(dataset: Dataset, shown_on: Mapping[str, Plane]) -> None:
    """Put the images themselves where highdicom was given stand-ins."""
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        for derivation in groups.DerivationImageSequence:
            for source in derivation.SourceImageSequence:
                # Segments of one plane share their reference, which is named but once.
                if (plane := shown_on.get(source.ReferencedSOPInstanceUID)) is not None:
                    _name(source, plane.image)
                    if plane.number is not None:
                        source.ReferencedFrameNumber = plane.number
    images = {plane.image.SOPInstanceUID: plane.image for plane in shown_on.values()}
    dataset.SourceImageSequence = [_name(Dataset(), image) for image in images.values()]
    dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence = [
        _name(Dataset(), image) for image in images.values()
    ]
    del dataset.ReferencedSeriesSequence[1:]


def _name(reference: Dataset, image: Dataset) -> Dataset:
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return reference


def _complete(dataset: Dataset, source: Dataset, provenance: Provenance) -> None:
    """Patient and study in the images' own words, and nothing that a rerun would make differently."""
    for keyword in OF_PATIENT_AND_STUDY:
        if keyword in source:
            dataset[keyword] = deepcopy(source[keyword])
    if "FrameOfReferenceUID" not in dataset:
        dataset.PatientOrientation = source.get("PatientOrientation", "")
    dataset.SyntheticData = "YES"
    frames = np.atleast_3d(dataset.pixel_array.T).T
    dataset.ContributingEquipmentSequence = [
        contribution(provenance, code(*SYNTHESIZING), digest(list(frames), dataset))
    ]
    dataset.SeriesDescription = ", ".join(segment.SegmentLabel for segment in dataset.SegmentSequence)[:64]
    organisation = uid(provenance, "segmentation dimensions", source.SeriesInstanceUID)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation
    dates = [source.get(k) for k in ("ContentDate", "AcquisitionDate", "SeriesDate", "StudyDate")]
    times = [source.get(k) for k in ("ContentTime", "AcquisitionTime", "SeriesTime", "StudyTime")]
    both = zip(map(str, dates), map(str, times), strict=True)
    stated = [(date, time) for date, time in both if DATE.fullmatch(date) and TIME.fullmatch(time)]
    dataset.ContentDate, dataset.ContentTime = stated[0] if stated else NO_DAY
    for keyword in ("SeriesDate", "SeriesTime", "InstanceCreationDate", "InstanceCreationTime"):
        if keyword in dataset:
            del dataset[keyword]
