"""Functional groups of an enhanced multi-frame object whose frames are chosen, added or rebuilt (PS3.3 C.7.6.16)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from data_adapters.dicom.common import code, decimal, decimals

OF_A_MOMENT = (
    "FrameAcquisitionDateTime", "FrameReferenceDateTime", "FrameAcquisitionDuration", "FrameAcquisitionNumber",
)  # fmt: skip
"""What FrameContentSequence says of a frame that was acquired."""

EDITING = ("113077", "DCM", "Volume editing")
SOURCE = ("121322", "DCM", "Source image for image processing operation")


def is_enhanced(header: Dataset) -> bool:
    """Whether an object is of a class that describes its frames one by one, though some writers omit to do so."""
    return "PerFrameFunctionalGroupsSequence" in header or "Enhanced" in UID(header.get("SOPClassUID") or "").name


def _per_frame(dataset: Dataset) -> list[Dataset]:
    return list(dataset.get("PerFrameFunctionalGroupsSequence") or [])


def choose(dataset: Dataset, frames: Sequence[int]) -> None:
    """Let an object's frames be those of ``frames``, some perhaps twice."""
    own = dataset.PerFrameFunctionalGroupsSequence
    dataset.PerFrameFunctionalGroupsSequence = [deepcopy(own[frame]) for frame in frames]


def place(dataset: Dataset, fresh: Collection[int], positions: Sequence[NDArray[np.float64]]) -> None:
    """Put frames that were added at their places, and count the slices anew.

    ``fresh`` are the indices of added frames; ``positions``, ImagePositionPatient in mm of all frames.
    """
    _unshare(dataset, "PlanePositionSequence")
    frames = dataset.PerFrameFunctionalGroupsSequence
    for index in fresh:
        plane = Dataset()
        plane.ImagePositionPatient = decimals(positions[index].tolist())
        frames[index].PlanePositionSequence = [plane]
        for content in frames[index].get("FrameContentSequence") or []:
            for keyword in OF_A_MOMENT:
                if keyword in content:
                    del content[keyword]
    _count_slices(dataset, fresh, positions)


def state_spacing(dataset: Dataset, between: float) -> None:
    """State the distance between slices in mm, along their normal; how thick they are is left as it was acquired."""
    holders = [dataset]
    if is_enhanced(dataset):
        every = [*(dataset.get("SharedFunctionalGroupsSequence") or []), *_per_frame(dataset)]
        holders = [item for groups in every for item in groups.get("PixelMeasuresSequence") or []]
    for holder in holders:
        holder.SpacingBetweenSlices = decimal(between)


def _count_slices(dataset: Dataset, fresh: Collection[int], positions: Sequence[NDArray[np.float64]]) -> None:
    """Number slices from 1, in their stack and in each dimension that counts them, in the direction it had."""
    contents = [(frame.get("FrameContentSequence") or [None])[0] for frame in dataset.PerFrameFunctionalGroupsSequence]
    if any(content is None for content in contents):
        return
    known = [index for index in range(len(contents)) if index not in fresh]
    across = np.array(positions) @ (np.array(positions[-1]) - positions[0])
    order = np.argsort(np.argsort(across)) + 1

    def counted(numbers: Sequence[int]) -> NDArray[np.int64] | None:
        """The new numbers of all frames; None where those of the known ones count no slices."""
        steps = np.diff(np.array(numbers)[np.argsort(across[known])])
        return order if (steps > 0).all() else len(order) + 1 - order if (steps < 0).all() else None

    if all("InStackPositionNumber" in contents[index] for index in known):
        numbers = counted([contents[index].InStackPositionNumber for index in known])
        for content, number in zip(contents, [] if numbers is None else numbers, strict=False):
            content.InStackPositionNumber = int(number)
    if all("DimensionIndexValues" in content for content in contents):
        table = np.array([_indices(content) for content in contents])
        for axis in range(table.shape[1]):
            if (numbers := counted(table[known, axis].tolist())) is not None:
                table[:, axis] = numbers
        for content, values in zip(contents, table.tolist(), strict=True):
            content.DimensionIndexValues = values


def _indices(content: Dataset) -> list[int]:
    stated = content.DimensionIndexValues
    return [int(v) for v in (stated if not isinstance(stated, int) else [stated])]


def derive(dataset: Dataset, source: Dataset, frames: Sequence[int], rebuilt: Collection[int], said: str) -> None:
    """Say of each frame which one of the source it came from, and of rebuilt ones that they are derived.

    ``frames`` are frames of the header ``source``, counted from 0, and ``rebuilt`` the indices of those among them that
    were rebuilt. The object as a whole is MIXED where others are as they were acquired (PS3.3 C.8.16.1).
    """
    for keyword in ("DerivationImageSequence", *_of_frame_type(dataset)):
        _unshare(dataset, keyword)
    named = all(source.get(keyword) for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"))
    kinds = set()
    for index, (groups, frame) in enumerate(zip(_per_frame(dataset), frames, strict=False)):
        for keyword in _of_frame_type(groups):
            for item in groups[keyword].value:
                if index in rebuilt:
                    item.FrameType = ["DERIVED", *list(item.FrameType)[1:]]
                kinds.add(str(item.FrameType[0]))
        if named:
            cause = said if index in rebuilt else "Copied unchanged"
            derivation = _derivation(dataset, source, frame, cause)
            groups.DerivationImageSequence = [*(groups.get("DerivationImageSequence") or []), derivation]
    whole = "DERIVED" if len(rebuilt) == len(frames) else "MIXED"
    kind = kinds.pop() if len(kinds) == 1 else whole
    dataset.ImageType = [kind, *list(dataset.get("ImageType") or ["", "PRIMARY"])[1:]]
    if named and _per_frame(dataset):
        # To be given where frames name their sources.
        series = Dataset()
        series.SeriesInstanceUID = source.SeriesInstanceUID
        series.ReferencedSOPSequence = [_reference(dataset, source)]
        evidence = Dataset()
        evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = source.StudyInstanceUID, [series]
        dataset.SourceImageEvidenceSequence = [*(dataset.get("SourceImageEvidenceSequence") or []), evidence]


def _derivation(dataset: Dataset, source: Dataset, frame: int, said: str) -> Dataset:
    reference = _reference(dataset, source)
    reference.ReferencedFrameNumber = frame + 1
    reference.PurposeOfReferenceCodeSequence = [code(*SOURCE)]
    derivation = Dataset()
    derivation.DerivationDescription = said
    derivation.DerivationCodeSequence = [code(*EDITING)]
    derivation.SourceImageSequence = [reference]
    return derivation


def _reference(dataset: Dataset, source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, source.SOPInstanceUID
    return item


def _of_frame_type(groups: Dataset) -> list[str]:
    """The macros that state FrameType, each modality having its own; of an object, those that its frames share."""
    shared = groups.get("SharedFunctionalGroupsSequence") or [groups]
    return [
        element.keyword
        for element in shared[0]
        if element.VR == "SQ" and any("FrameType" in item for item in element.value)
    ]


def _unshare(dataset: Dataset, keyword: str) -> None:
    """State of each frame what all shared, so that one can differ."""
    for shared in dataset.get("SharedFunctionalGroupsSequence") or []:
        if keyword in shared:
            for groups in _per_frame(dataset):
                groups[keyword] = deepcopy(shared[keyword])
            del shared[keyword]
