"""Objects that lie on images and refer to them: what segmentations and parametric maps have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage

from data_adapters.dicom import decode
from data_adapters.dicom.common import decimal, decimals, uid
from data_adapters.scene import Provenance

OF_PATIENT_AND_STUDY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "SpecificCharacterSet",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
"""What such an object says in the words of its images."""

NO_DAY = ("19700101", "000000")
"""Date and time of content, which may not be empty, where the images tell none."""

DATE, TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
"""What PS3.5 6.2 allows; older files write otherwise."""


class Plane(NamedTuple):
    """One frame of the images that something lies on, and its number from 1 where the image has several."""

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


def in_one_space(stand_ins: Sequence[Dataset]) -> bool:
    """Whether all have a frame of reference; without one, only a single image can be referred to at a time."""
    return all("FrameOfReferenceUID" in stand_in for stand_in in stand_ins)


def refer(dataset: Dataset, shown_on: Mapping[str, Plane]) -> None:
    """Put the images themselves where highdicom was given stand-ins, by the names of these."""
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        for derivation in groups.get("DerivationImageSequence", []):
            for source in derivation.SourceImageSequence:
                # What lies on one plane shares its reference, which is named but once.
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


def complete(dataset: Dataset, source: Dataset, provenance: Provenance, described: str) -> None:
    """Patient and study in the images' own words, and nothing that a rerun would make differently."""
    for keyword in OF_PATIENT_AND_STUDY:
        if keyword in source:
            dataset[keyword] = deepcopy(source[keyword])
    if "FrameOfReferenceUID" not in dataset:
        dataset.PatientOrientation = source.get("PatientOrientation", "")
    dataset.SeriesDescription = described[:64]
    organisation = uid(provenance, f"{dataset.Modality} dimensions", source.SeriesInstanceUID)
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
