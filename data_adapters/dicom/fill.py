"""A filled series: what was there keeps every pixel and identity it had, what was made says so."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from data_adapters.dicom import decode, groups
from data_adapters.dicom.common import code, contribution, decimal, decimals, save, set_pixels, uid
from data_adapters.dicom.encode import blank, to_words
from data_adapters.dicom.fixity import digest, pixel_digest
from data_adapters.dicom.segmentation import write_made_mask
from data_adapters.dicom.volumes import Frame
from data_adapters.errors import BrokenFile, Unwritable
from data_adapters.scene import Patch, Provenance

if TYPE_CHECKING:
    from data_adapters.dicom.series import DicomScene

MODIFYING = ("109103", "DCM", "Modifying Equipment")

STALE = ("IconImageSequence", "OriginalAttributesSequence")
"""Statements about the old pixels that are false of new ones."""

CONCATENATION = ("ConcatenationUID", "InConcatenationNumber", "InConcatenationTotalNumber",
                 "ConcatenationFrameOffsetNumber", "SOPInstanceUIDOfConcatenationSource")  # fmt: skip

LOSSY = {
    JPEGBaseline8Bit: "ISO_10918_1", JPEGExtended12Bit: "ISO_10918_1", JPEGLSNearLossless: "ISO_14495_1",
}  # fmt: skip
"""Transfer syntaxes that always lose something, and their names (PS3.3 C.7.6.1.1.5.1)."""


class Image(NamedTuple):
    """A DICOM object to write: the file that it is made from, its slots in order, and the source's frame of each.

    A slot that was empty has the frame of a neighbour, and is in ``fresh``.
    """

    path: Path
    slots: tuple[int, ...]
    frames: tuple[int, ...]
    fresh: frozenset[int]

    @property
    def first(self) -> int:
        return min(self.slots)


def write_filled_series(
    scene: DicomScene,
    destination: Path,
    patches: Iterable[Patch],
    provenance: Provenance,
    *,
    marked: bool = True,
    alone: int | None = None,
) -> list[Path]:
    """Write a whole series into the folder ``destination``: a new series of the same study and frame of reference.

    A scene of one file may be given a file named ``.dcm`` instead. Slices keep their stored pixels and transfer
    syntax where nothing was made in their file; else it becomes Explicit VR little endian. If anything was made, a
    segmentation object beside the destination says where, if it is to be ``marked``; it comes last of the files.
    Of a series of which one empty slot is wanted ``alone``, nothing else is written.

    Raises:
        Unwritable: for float or look-up-table sources.
    """
    made: dict[int, list[Patch]] = {}
    for patch in patches:
        made.setdefault(patch.slice, []).append(patch)
    headers = {path: decode.read_header(path) for path in scene.files} if None in scene.slots else {}
    locations = _locations(scene, headers)
    images = _images(scene, made, headers, alone)
    one_file = len(images) == 1 and destination.suffix.lower() == ".dcm"
    written = []
    for image in images:
        dataset = _filled(image, made, scene.places, locations, provenance)
        if scene.steps > 1:
            groups.state_spacing(dataset, scene.grid.spacing[0])
        name = f"{'frames' if len(image.frames) > 1 else 'slice'}_{image.first:04d}.dcm"
        try:
            written.append(save(dataset, destination if one_file else destination / name))
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            text = str(error).splitlines()[0]
            raise Unwritable(f"a header value cannot be written ({text})", where=image.path, do="mend it") from error
    if made and marked:
        slots = [slot for image in images for slot in image.slots]
        mask = np.zeros((len(slots), *scene.shape[2:]), dtype=bool)
        for index, slot in enumerate(slots):
            for patch in made.get(slot, []):
                mask[index][patch.window.slices] |= patch.made.any(axis=0)
        written += write_made_mask(destination, written, mask, provenance)
    return written


def _images(
    scene: DicomScene, made: dict[int, list[Patch]], headers: Mapping[Path, Dataset], alone: int | None
) -> list[Image]:
    """The objects to write; a gap that nothing was made for stays a gap."""
    donors = _donors(scene, headers)
    several: dict[Path, list[int]] = {}
    images = []
    for index, slot in enumerate(scene.slots):
        if (slot is None and index not in made) or alone not in (None, index):
            continue
        donor = slot or donors[index]
        if donor.frame is None:
            images.append(Image(donor.path, (index,), (0,), frozenset([index] if slot is None else [])))
        else:
            several.setdefault(donor.path, []).append(index)
    for path, slots in several.items():
        images.append(_multi_frame(scene, path, slots, donors))
    return images


def _donors(scene: DicomScene, headers: Mapping[Path, Dataset]) -> dict[int, Frame]:
    """Whose header and rescale each gap takes: the nearest slice's, but of its two neighbours' that with more room.

    They differ where each slice is scaled to its own largest value, as in PET.
    """
    there = [index for index, slot in enumerate(scene.slots) if slot is not None]
    donors: dict[int, Frame] = {}
    for gap in [index for index, slot in enumerate(scene.slots) if slot is None]:
        after = bisect(there, gap)
        beside = sorted(there[max(0, after - 1) : after + 1], key=lambda other: abs(other - gap))
        frames = [slot for other in beside if (slot := scene.slots[other]) is not None]
        donors[gap] = max(frames, key=lambda at: abs(decode.rescale(headers[at.path], at.frame or 0)[0]))
    return donors


def _multi_frame(scene: DicomScene, path: Path, slots: Sequence[int], donors: Mapping[int, Frame]) -> Image:
    """The source's own order of frames, with new ones between those whose neighbours they are."""
    frame_of = {slot: at.frame or 0 for slot in slots if (at := scene.slots[slot]) is not None}
    rank = np.interp(slots, list(frame_of), list(frame_of.values())) if frame_of else [0.0]
    order = [slots[i] for i in np.argsort(rank, kind="stable")]
    frames = tuple(frame_of[slot] if slot in frame_of else donors[slot].frame or 0 for slot in order)
    return Image(path, tuple(order), frames, frozenset(set(slots) - set(frame_of)))


def _filled(
    image: Image,
    made: dict[int, list[Patch]],
    places: Sequence[tuple[float, ...]],
    locations: NDArray[np.float64] | None,
    provenance: Provenance,
) -> FileDataset:
    header = _fillable(image)
    touched = [slot for slot in image.slots if slot in made]
    enhanced = groups.is_enhanced(header)
    whole = image.frames == tuple(range(decode.frame_count(header)))
    if touched or not whole:
        dataset, words = _repainted(image, header, made)
        pixels = digest(list(words), dataset)
    else:
        dataset, pixels = decode.read_header(image.path, pixels=True), _digest_if_any(image.path)
    _settle(dataset)
    source = str(dataset.get("SOPInstanceUID", ""))
    _identify(dataset, image, source, provenance)
    dataset.ContributingEquipmentSequence = [
        *(dataset.get("ContributingEquipmentSequence") or []),
        contribution(provenance, code(*MODIFYING), pixels),
    ]
    dataset.SyntheticData = "YES" if touched else "NO"
    if not enhanced:
        # The whole series is derived, or readers that sort by ImageType would tear it apart.
        dataset.ImageType = ["DERIVED", "SECONDARY", *list(dataset.get("ImageType") or [])[2:]]
    if enhanced and not whole:
        groups.choose(dataset, image.frames)
    if image.fresh:
        _forget(dataset, "SliceLocation")
        _forget_overlays(dataset)
        if enhanced:
            fresh = [index for index, slot in enumerate(image.slots) if slot in image.fresh]
            groups.place(dataset, fresh, [np.array(places[slot]) for slot in image.slots])
        else:
            dataset.ImagePositionPatient = decimals(places[image.first])
            if locations is not None and np.isfinite(locations[image.first]):
                dataset.SliceLocation = decimal(locations[image.first])
    if touched:
        said = f"Rebuilt by {provenance.method}; not measured"[:1024]
        rebuilt = [index for index, slot in enumerate(image.slots) if slot in made]
        _say_rebuilt(dataset, source, [image.frames[index] for index in rebuilt], said)
        if enhanced:
            groups.derive(dataset, header, image.frames, rebuilt, said)
    return dataset


def _fillable(image: Image) -> FileDataset:
    """The header of an object whose pixels can be written back.

    Raises:
        Unwritable: if they cannot.
    """
    header = decode.read_header(image.path)
    if "ModalityLUTSequence" in header or "BitsStored" not in header:
        raise Unwritable("float and look-up-table images cannot be filled", where=image.path, do="convert it first")
    several = decode.frame_count(header) > 1
    if several and "PerFrameFunctionalGroupsSequence" not in header and len(image.frames) != decode.frame_count(header):
        raise Unwritable(
            "its frames have no places of their own, so that none can be added or left out",
            where=image.path,
            do="convert it to an enhanced object or to single frames",
        )
    if not (header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")):
        raise Unwritable("states no SOP class", where=image.path, do="restore it from its source")
    return header


def _settle(dataset: FileDataset) -> None:
    """Give elements their value representation where the file has them in another encoding than it says."""
    implicit, _ = dataset.original_encoding
    for tag in [] if implicit else list(dataset.keys()):
        if dataset.get_item(tag).VR is None:
            dataset[tag]


def _identify(dataset: FileDataset, image: Image, source: str, provenance: Provenance) -> None:
    """New identities in the same study; what vouched for the old object goes."""
    # Anonymisers blank the class in the data set and forget the copy in the meta group.
    dataset.SOPClassUID = dataset.get("SOPClassUID") or dataset.file_meta.MediaStorageSOPClassUID
    # The source's own UIDs keep series apart that are filled in one go; the slot, slices that share one.
    dataset.SOPInstanceUID = uid(provenance, "instance", image.first, source)
    dataset.SeriesInstanceUID = uid(provenance, "series", str(dataset.get("SeriesInstanceUID", "")))
    dataset.StudyInstanceUID = dataset.get("StudyInstanceUID") or uid(provenance, "study")
    dataset.InstanceNumber = image.first + 1
    dataset.SeriesDescription = f"{dataset.get('SeriesDescription', '')} derived".strip()[:64]
    _forget(dataset, "DigitalSignaturesSequence", "MACParametersSequence", *CONCATENATION)


def _digest_if_any(path: Path) -> str:
    """The digest of pixels that are handed on as they are; none of those that no decoder reads."""
    try:
        return pixel_digest(path)
    except BrokenFile:
        return ""


def _repainted(image: Image, header: Dataset, made: dict[int, list[Patch]]) -> tuple[FileDataset, NDArray[Any]]:
    """The source's data set, native, its pixels replaced where something was made and else as they were stored.

    With it, the words of its frames: (frames, rows, columns), or (frames, rows, columns, 3).
    """
    frames, dataset = decode.decode_frames(image.path, image.frames)
    words = np.stack(frames)
    syntax = dataset.file_meta.TransferSyntaxUID
    if "YBR" in dataset.PhotometricInterpretation and (
        syntax.is_encapsulated or header.PhotometricInterpretation != "YBR_FULL"
    ):
        # Subsampled or compressed colours have no native form that every image class allows but this.
        words, dataset.PhotometricInterpretation = decode.rgb(words, dataset), "RGB"
    for index, slot in enumerate(image.slots):
        if slot in image.fresh:
            words[index] = blank(dataset, words[index])
        for patch in made.get(slot, []):
            part = words[index][patch.window.slices]
            chosen = patch.made.any(axis=0) if words.ndim == 4 else patch.made[0]
            fresh = to_words(patch.values, dataset, words.dtype, image.frames[index])
            part[chosen] = fresh[chosen]
    if syntax in LOSSY and "LossyImageCompression" not in dataset:
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionRatio = decimal(words.nbytes / len(dataset.PixelData))
        dataset.LossyImageCompressionMethod = LOSSY[syntax]
    if syntax.is_encapsulated:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if decode.frame_count(dataset) > 1:
        dataset.NumberOfFrames = len(words)
    set_pixels(dataset, words, dataset.get("PixelPaddingValue"))
    return dataset, words


def _forget(dataset: Dataset, *keywords: str) -> None:
    """Remove statements that are no longer true, where they are made."""
    for keyword in keywords:
        if keyword in dataset:
            del dataset[keyword]


def _forget_overlays(dataset: Dataset) -> None:
    """Remove drawings over another slice (repeating groups 6000 to 60FF)."""
    for tag in [element.tag for element in dataset if element.tag.group & 0xFF00 == 0x6000]:
        del dataset[tag]


def _locations(scene: DicomScene, headers: Mapping[Path, Dataset]) -> NDArray[np.float64] | None:
    """SliceLocation of every slot in mm, where a gap is to have one; None where those that are stated are no row.

    It runs from an origin of the scanner's choice, one way or the other (PS3.3 C.7.6.2.1.2).
    """
    there = {index: slot.path for index, slot in enumerate(scene.slots) if slot is not None and slot.frame is None}
    if len(there) in (0, 1, len(scene.slots)):
        return None
    stated = [headers[path].get("SliceLocation") for path in there.values()]
    if any(value is None for value in stated):
        return None
    values = np.array([float(value) for value in stated])
    steps = np.diff(values)
    row = (steps > 0).all() or (steps < 0).all()
    positions = np.array(scene.grid.positions)
    return np.interp(positions, positions[list(there)], values, left=np.nan, right=np.nan) if row else None


def _say_rebuilt(dataset: FileDataset, source: str, frames: Sequence[int], said: str) -> None:
    dataset.DerivationDescription = said
    if source:
        item = Dataset()
        item.ReferencedSOPClassUID = dataset.SOPClassUID
        item.ReferencedSOPInstanceUID = source
        if decode.frame_count(dataset) > 1:
            item.ReferencedFrameNumber = [frame + 1 for frame in sorted(set(frames))]
        item.PurposeOfReferenceCodeSequence = [code(*groups.SOURCE)]
        dataset.SourceImageSequence = [item]
    _forget(dataset, *STALE)
