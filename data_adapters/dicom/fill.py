"""A filled series: what was there keeps every pixel and identity it had, what was made says so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from data_adapters.dicom import decode
from data_adapters.dicom.common import code, contribution, decimals, save, set_pixels, uid
from data_adapters.errors import Unwritable
from data_adapters.scene import Patch, Provenance, to_stored

if TYPE_CHECKING:
    from data_adapters.dicom.series import DicomScene
    from data_adapters.dicom.volumes import Frame

MODIFYING = ("109103", "DCM", "Modifying Equipment")
SOURCE = ("121322", "DCM", "Source image for image processing operation")

STALE = ("IconImageSequence", "OriginalAttributesSequence")
"""Statements about the old pixels that are false of new ones."""


def write_filled_series(
    scene: DicomScene, destination: Path, patches: Iterable[Patch], provenance: Provenance
) -> list[Path]:
    """Write a whole series into the folder ``destination``: a new series of the same study and frame.

    A single image may be given a file named ``.dcm`` instead. Slices keep their stored pixels and transfer
    syntax where nothing was made in them.

    Raises:
        Unwritable: for multi-frame, colour, float or look-up-table sources.
    """
    made: dict[int, list[Patch]] = {}
    for patch in patches:
        made.setdefault(patch.slice, []).append(patch)
    positions = _positions(scene)
    written = []
    alone = len(scene.slots) == 1 and destination.suffix.lower() == ".dcm"
    for index, slot in enumerate(scene.slots):
        own = slot is not None
        if not own and index not in made:
            # A gap that nothing was made for stays a gap.
            continue
        donor = slot or _nearest(scene, index)
        dataset = _fillable(donor, scene.shape[0])
        source, series = str(dataset.get("SOPInstanceUID", "")), str(dataset.get("SeriesInstanceUID", ""))
        # The source's own UIDs keep series apart that are filled in one go; the index, slices that share one.
        dataset.SOPInstanceUID = uid(provenance, "instance", index, source)
        dataset.SeriesInstanceUID = uid(provenance, "series", series)
        dataset.StudyInstanceUID = dataset.get("StudyInstanceUID") or uid(provenance, "study")
        dataset.InstanceNumber = index + 1
        dataset.SeriesDescription = f"{dataset.get('SeriesDescription', '')} filled".strip()[:64]
        dataset.SyntheticData = "YES" if index in made else "NO"
        if not own:
            dataset.ImagePositionPatient = decimals(positions[index].tolist())
            _forget(dataset, "SliceLocation")
            _forget_overlays(dataset)
        _forget(dataset, "DigitalSignaturesSequence", "MACParametersSequence")
        # The whole series is derived, or readers that sort by ImageType would tear it apart.
        dataset.ImageType = ["DERIVED", "SECONDARY", *list(dataset.get("ImageType", []))[2:]]
        if index in made:
            _lay_in(dataset, made[index], donor.path, keep=own)
            _say_rebuilt(dataset, source, provenance)
        written.append(save(dataset, destination if alone else destination / f"slice_{index:04d}.dcm"))
    return written


def _fillable(donor: Frame, channels: int) -> FileDataset:
    """The data set of a slice whose pixels can be written back.

    Raises:
        Unwritable: if they cannot.
    """
    if donor.frame is not None:
        raise Unwritable("multi-frame objects cannot be filled yet", where=donor.path, do="convert to single frames")
    dataset = decode.read_header(donor.path, pixels=True)
    if "ModalityLUTSequence" in dataset or "BitsStored" not in dataset or channels != 1:
        raise Unwritable(
            "colour, float and look-up-table images cannot be filled", where=donor.path, do="convert it first"
        )
    # Anonymisers blank the class in the data set and forget the copy in the meta group.
    if not dataset.get("SOPClassUID"):
        dataset.SOPClassUID = dataset.file_meta.get("MediaStorageSOPClassUID", "")
    if not dataset.SOPClassUID:
        raise Unwritable("states no SOP class", where=donor.path, do="restore it from its source")
    return dataset


def _forget(dataset: Dataset, *keywords: str) -> None:
    """Remove statements that are no longer true, where they are made."""
    for keyword in keywords:
        if keyword in dataset:
            del dataset[keyword]


def _forget_overlays(dataset: Dataset) -> None:
    """Remove drawings over another slice (repeating groups 6000 to 60FF)."""
    for tag in [element.tag for element in dataset if element.tag.group & 0xFF00 == 0x6000]:
        del dataset[tag]


def _positions(scene: DicomScene) -> list[NDArray[np.float64]]:
    """ImagePositionPatient of every slot, interpolated through the ones that are there."""
    known = {
        index: np.array(decode.position(decode.read_header(slot.path)) or [0.0, 0.0, float(index)])
        for index, slot in enumerate(scene.slots)
        if slot is not None
    }
    slots = sorted(known)
    axes = np.stack([known[s] for s in slots])
    return [np.array([np.interp(i, slots, axes[:, axis]) for axis in range(3)]) for i in range(len(scene.slots))]


def _nearest(scene: DicomScene, index: int) -> Frame:
    present = [(abs(index - other), slot) for other, slot in enumerate(scene.slots) if slot is not None]
    return min(present, key=lambda pair: pair[0])[1]


def _lay_in(dataset: FileDataset, patches: list[Patch], path: Path, *, keep: bool) -> None:
    """Replace pixels where something was made; the stored values elsewhere stay what they were."""
    stored, _ = decode.decode(path)
    padded = decode.padding(dataset)
    stored = stored.copy() if keep else np.full_like(stored, padded[0] if padded else 0)
    slope, intercept = decode.rescale(dataset)
    bits, signed = int(dataset.BitsStored), bool(dataset.get("PixelRepresentation", 0))
    lowest = -(1 << (bits - 1)) if signed else 0
    for patch in patches:
        region = patch.window.slices
        fresh = to_stored(patch.values[0], stored.dtype, slope, intercept, lowest, lowest + (1 << bits) - 1)
        if decode.is_inverted(dataset):
            fresh = decode.inverted(fresh, dataset).astype(stored.dtype)
        fresh = _avoid_padding(fresh, dataset, lowest, lowest + (1 << bits) - 1)
        stored[region] = np.where(patch.made[0], fresh, stored[region])
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    set_pixels(dataset, stored, dataset.get("PixelPaddingValue"))


def _avoid_padding(stored: NDArray[Any], dataset: Dataset, lowest: int, highest: int) -> NDArray[Any]:
    """A made pixel never reads as padding: such values move to the nearest one that is none."""
    padded = decode.padding(dataset)
    if padded is None:
        return stored
    below, above = padded[0] - 1, padded[1] + 1
    hit = (stored >= padded[0]) & (stored <= padded[1])
    nearer_below = stored.astype(np.int64) - below < above - stored.astype(np.int64)
    free = np.where(nearer_below if below >= lowest else False, below, above if above <= highest else below)
    return np.where(hit, free, stored).astype(stored.dtype)


def _say_rebuilt(dataset: FileDataset, source: str, provenance: Provenance) -> None:
    dataset.DerivationDescription = f"Rebuilt by {provenance.method}; not measured"[:1024]
    dataset.ContributingEquipmentSequence = [
        *dataset.get("ContributingEquipmentSequence", []),
        contribution(provenance, code(*MODIFYING)),
    ]
    if source:
        item = Dataset()
        item.ReferencedSOPClassUID = dataset.get("SOPClassUID", "")
        item.ReferencedSOPInstanceUID = source
        item.PurposeOfReferenceCodeSequence = [code(*SOURCE)]
        dataset.SourceImageSequence = [item]
    _forget(dataset, *STALE)
