"""DICOM objects of more than one frame or colour, drawn on the spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from adapter_factories import AXIAL, dicom_slice, save_dicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

OF_A_FRAME = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
              "RescaleIntercept")  # fmt: skip


def item(**elements: Any) -> Dataset:
    """One item of a sequence."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def enhanced(
    path: Path,
    volume: NDArray[Any],
    positions: Sequence[Sequence[float]],
    *,
    echoes: Sequence[float] | None = None,
    orientations: Sequence[Sequence[float]] | None = None,
    rescales: Sequence[tuple[float, float]] | None = None,
    syntax: str = ExplicitVRLittleEndian,
    bits: int = 16,
    **elements: Any,
) -> Path:
    """An enhanced MR of one stack, a frame a plane of ``volume``, with dimensions of stack, slice and echo.

    What ``echoes``, ``orientations`` (else axial) and ``rescales`` (else none) give by frame is stated by frame.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = dicom_slice(volume[0], (0, 0, 0), bits=bits)
    dataset.SOPClassUID, dataset.Modality = EnhancedMRImageStorage, "MR"
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["enhanced", path.name])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.NumberOfFrames, dataset.PixelData = len(volume), volume.tobytes()
    for keyword in OF_A_FRAME:
        del dataset[keyword]
    organisation = generate_uid(entropy_srcs=["organisation"])
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    dataset.DimensionIndexSequence = [
        item(DimensionOrganizationUID=organisation, DimensionIndexPointer=pointer, FunctionalGroupPointer=group)
        for pointer, group in ((0x00209056, 0x00209111), (0x00209057, 0x00209111), (0x00189082, 0x00189114))
    ]
    echoes = echoes or [4.6] * len(volume)
    places = sorted({tuple(p) for p in positions})
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.75, 0.5], SliceThickness=2.0)],
        MRImageFrameTypeSequence=[item(FrameType=dataset.ImageType, PixelPresentation="MONOCHROME")],
    )
    if not orientations:
        shared.PlaneOrientationSequence = [item(ImageOrientationPatient=list(AXIAL))]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index, (place, echo) in enumerate(zip(positions, echoes, strict=True)):
        slot = places.index(tuple(place)) + 1
        frame = item(
            FrameContentSequence=[
                item(
                    StackID="1",
                    InStackPositionNumber=slot,
                    DimensionIndexValues=[1, slot, sorted(set(echoes)).index(echo) + 1],
                    FrameAcquisitionDateTime=f"20240301101500.{index:06d}",
                )
            ],
            PlanePositionSequence=[item(ImagePositionPatient=[f"{v:.6f}" for v in place])],
            MREchoSequence=[item(EffectiveEchoTime=echo)],
        )
        if orientations:
            frame.PlaneOrientationSequence = [item(ImageOrientationPatient=list(orientations[index]))]
        if rescales:
            slope, intercept = rescales[index]
            frame.PixelValueTransformationSequence = [
                item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
            ]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return save_dicom(dataset, path, syntax)


def colour(
    path: Path,
    pixels: NDArray[Any],
    photometric: str = "RGB",
    *,
    palette: NDArray[Any] | None = None,
    syntax: str = ExplicitVRLittleEndian,
    **elements: Any,
) -> Path:
    """A colour image without a place, (H, W, 3) or (H, W) entries of ``palette`` (N, 3); frames come first of all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 1 if palette is not None else 3
    still = pixels if pixels.ndim == (2 if samples == 1 else 3) else pixels[0]
    plane = np.ascontiguousarray(still if samples == 1 else still[..., 0])
    dataset = dicom_slice(plane, (0, 0, 0), bits=8 * plane.dtype.itemsize)
    dataset.Modality = "US"
    dataset.SOPClassUID = UltrasoundImageStorage if still is pixels else UltrasoundMultiFrameImageStorage
    for keyword in (*OF_A_FRAME, "FrameOfReferenceUID"):
        del dataset[keyword]
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["colour", path.name])
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = photometric, samples
    if samples == 3:
        dataset.PlanarConfiguration = 0
    else:
        for name, entries in zip(("Red", "Green", "Blue"), palette.T, strict=True):
            lut = entries.astype(palette.dtype).tobytes()
            lut += b"\0" * (len(lut) % 2)
            bits = 8 * palette.dtype.itemsize
            dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [len(palette) % 65536, 0, bits])
            dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", lut)
    if still is not pixels:
        dataset.NumberOfFrames = len(pixels)
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return save_dicom(dataset, path, syntax)


def attributes(dataset: Dataset, without: Mapping[str, Any] | Sequence[str] = ()) -> dict[str, str]:
    """Every element of a data set but the pixels and those that are left out, as text."""
    return {str(e.tag): repr(e.value) for e in dataset if e.keyword not in ("PixelData", *without)}
