"""A synthetic sample as DICOM: its own IOD, valid to the letter, carrying no patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
)

from data_adapters.anatomy import COSINES, directions
from data_adapters.dicom.common import (
    SYNTHESIZING,
    code,
    contribution,
    decimal,
    decimals,
    display_window,
    save,
    set_pixels,
    uid,
)
from data_adapters.dicom.fixity import MAKER
from data_adapters.errors import Unwritable
from data_adapters.fixity import digest_of
from data_adapters.scene import Provenance, Template, to_stored


def write_synthetic(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """Write (1, slices, H, W) physical values: one file, or for several slices a folder with a series.

    Raises:
        Unwritable: if the modality has no IOD here, or there are several channels.
    """
    if template.modality not in MODULES or values.shape[0] != 1:
        raise Unwritable(
            f"{values.shape[0]} channels of modality {template.modality} have no DICOM image class here",
            do=f"write another format, or train on one channel with data.modality one of {', '.join(sorted(MODULES))}",
        )
    ends = [(bound - template.intercept) / template.slope for bound in (template.low, template.high)]
    signed = np.dtype(template.dtype).kind == "i" and min(ends) < 0
    bits = min(template.bits, 16)
    dtype = np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    lowest = -(1 << (bits - 1)) if signed else 0
    stored = to_stored(values[0], dtype, template.slope, template.intercept, lowest, lowest + (1 << bits) - 1)
    if template.modality == "DX":
        # PS3.3 C.8.11.3 knows unsigned pixels alone.
        stored, template = _unsigned(stored, lowest), replace(template, slope=1.0, intercept=0.0)
    written = []
    for index, plane in enumerate(stored):
        path = stem.with_name(f"{stem.name}.dcm") if len(stored) == 1 else stem / f"slice_{index:04d}.dcm"
        dataset = _dataset(plane, index, bits, template, provenance)
        written.append(save(dataset, path))
    return written


def _unsigned(stored: NDArray[Any], lowest: int) -> NDArray[Any]:
    return (stored.astype(np.int64) - lowest).astype(f"u{stored.dtype.itemsize}")


def _dataset(plane: NDArray[Any], index: int, bits: int, template: Template, provenance: Provenance) -> Dataset:
    dataset = Dataset()
    _patient_and_study(dataset, provenance)
    dataset.Modality = template.modality
    dataset.SeriesInstanceUID = uid(provenance, "series")
    dataset.SeriesNumber = 1
    dataset.Laterality = ""
    dataset.SeriesDescription = "Synthetic, not for diagnosis"
    dataset.Manufacturer = MAKER
    dataset.ManufacturerModelName = provenance.method[:64]
    dataset.SoftwareVersions = [provenance.version]

    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPInstanceUID = uid(provenance, "instance", index)
    dataset.SyntheticData = "YES"
    dataset.InstanceNumber = index + 1
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = "Made by a generative model from noise; depicts no patient"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.ImageComments = "SYNTHETIC IMAGE"

    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelRepresentation = int(plane.dtype.kind == "i")
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    set_pixels(dataset, plane)
    dataset.ContributingEquipmentSequence = [contribution(provenance, code(*SYNTHESIZING), digest_of(plane[None]))]
    centre, width = display_window(plane, template.slope, template.intercept)
    dataset.WindowCenter, dataset.WindowWidth = decimal(centre), decimal(width)
    MODULES[template.modality](dataset, index, template, provenance)
    return dataset


def _patient_and_study(dataset: Dataset, provenance: Provenance) -> None:
    """Type 2 attributes are present and empty: there is no patient to describe."""
    dataset.PatientName = f"Synthetic^{provenance.index:06d}"
    dataset.PatientID = f"SYN-{provenance.same_latent('patient')[:12].upper()}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Synthetic image: no patient was imaged"
    dataset.StudyInstanceUID = uid(provenance, "study")
    for keyword in ("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"):
        setattr(dataset, keyword, "")


def _in_space(dataset: Dataset, index: int, template: Template, provenance: Provenance) -> None:
    dataset.FrameOfReferenceUID = uid(provenance, "frame")
    dataset.PositionReferenceIndicator = ""
    between, rows, columns = template.spacing
    dataset.PixelSpacing = decimals([rows, columns])
    dataset.ImageOrientationPatient = decimals(COSINES[template.plane])
    to_slice, to_row, to_column = directions(template.plane)
    middle = to_row * rows * (dataset.Rows - 1) / 2 + to_column * columns * (dataset.Columns - 1) / 2
    dataset.ImagePositionPatient = decimals((to_slice * index * between - middle).tolist())
    dataset.SliceThickness = decimal(between)
    dataset.PatientPosition = "HFS"
    dataset.AcquisitionNumber = 1


def _ct(dataset: Dataset, index: int, template: Template, provenance: Provenance) -> None:
    _in_space(dataset, index, template, provenance)
    dataset.SOPClassUID = CTImageStorage
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    _rescale(dataset, template, "HU")
    dataset.SpacingBetweenSlices = decimal(template.spacing[0])
    dataset.KVP = ""


def _rescale(dataset: Dataset, template: Template, unit: str) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = decimal(template.slope), decimal(template.intercept)
    dataset.RescaleType = unit


def _rescale_if_any(dataset: Dataset, template: Template) -> None:
    """Where the IOD does not ask for a rescale, it is stated only if values would be lost without."""
    if (template.slope, template.intercept) != (1, 0):
        _rescale(dataset, template, "US")


def _mr(dataset: Dataset, index: int, template: Template, provenance: Provenance) -> None:
    _in_space(dataset, index, template, provenance)
    dataset.SOPClassUID = MRImageStorage
    _rescale_if_any(dataset, template)
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "RM", "NONE", ""
    dataset.MRAcquisitionType = ""
    dataset.EchoTime = dataset.RepetitionTime = ""
    dataset.EchoTrainLength = ""
    dataset.SpacingBetweenSlices = decimal(template.spacing[0])


def _cr(dataset: Dataset, index: int, template: Template, provenance: Provenance) -> None:
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    _rescale_if_any(dataset, template)
    dataset.BodyPartExamined = ""
    dataset.ViewPosition = ""
    dataset.PatientOrientation = ""
    if template.unit == "mm":
        dataset.ImagerPixelSpacing = decimals(template.spacing[1:])


def _dx(dataset: Dataset, index: int, template: Template, provenance: Provenance) -> None:
    """Digital X-ray for presentation (PS3.3 A.26): stored values are P-values and shown as they are, so that its
    rescale is the identity (C.8.11.3) whatever that of the source was, as all this is in no unit."""
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.PresentationIntentType = "FOR PRESENTATION"
    del dataset.Laterality
    dataset.ImageLaterality = "U"
    dataset.PatientOrientation = ["L", "F"]
    dataset.AnatomicRegionSequence = []
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "0", "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.AcquisitionContextSequence = []
    dataset.DetectorType = ""
    # Type 1 here: of a source that states none, a pixel is a millimetre.
    dataset.ImagerPixelSpacing = decimals(template.spacing[1:] if template.unit == "mm" else (1, 1))


MODULES = {"CT": _ct, "MR": _mr, "CR": _cr, "DX": _dx}
"""How each modality's own IOD is completed."""
