"""A DICOM image or series as a ``Scene``: slots along the normal, each a file (and frame) or a gap."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset, FileDataset

from data_adapters.dicom import decode
from data_adapters.dicom.geometry import along_normal, find_slots
from data_adapters.errors import BrokenFile, GeometryError, GridMismatch, UserError
from data_adapters.scene import Channel, Grid, Kind, Patch, Pixels, Provenance, Scene, Template, Window, working_dtype


class Frame(NamedTuple):
    """Where one slice lies: a file, and a frame in it (None for a file of one frame)."""

    path: Path
    frame: int | None


@dataclass(frozen=True)
class DicomScene(Scene):
    """``slots[s]`` is the frame of slice s, or None where the series has a gap."""

    slots: tuple[Frame | None, ...] = ()

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        window = window or self.plane
        rows, columns = window.slices
        channels = self.shape[0]
        shape = (channels, count, window.height, window.width)
        values = np.zeros(shape, dtype=working_dtype(np.dtype(self.dtype)))
        valid = np.zeros(shape, dtype=bool)
        for index in range(count):
            slot = self.slots[first + index]
            if slot is None:
                continue
            stored, dataset = decode.decode(*slot)
            if stored.shape[:2] != self.shape[2:]:
                raise GridMismatch(
                    f"{stored.shape[0]}x{stored.shape[1]} pixels in a series of {self.shape[2]}x{self.shape[3]}",
                    where=slot.path,
                    do="remove the odd slice from the series",
                )
            physical, observed = decode.physical(stored, dataset, slot.frame or 0)
            if physical.ndim == 2:
                physical, observed = physical[..., None], observed[..., None]
            # A slice's own rescale may ask for more digits than its type.
            values = values.astype(np.result_type(values, physical), copy=False)
            values[:, index] = np.moveaxis(physical[rows, columns], -1, 0)
            valid[:, index] = np.moveaxis(observed[rows, columns], -1, 0)
        return Pixels(values, valid)

    def missing(self) -> tuple[int, ...]:
        super().missing()
        return tuple(index for index, slot in enumerate(self.slots) if slot is None)

    def template(self) -> Template:
        header = decode.read_header(self.files[0])
        slope, intercept = decode.rescale(header)
        bits = int(header.get("BitsStored", 16))
        signed = bool(header.get("PixelRepresentation", 0))
        lowest = -(1 << (bits - 1)) if signed else 0
        return Template(
            format="dicom",
            kind=self.kind,
            modality=self.modality,
            channels=self.channels,
            dtype=self.dtype,
            low=lowest * slope + intercept,
            high=(lowest + (1 << bits) - 1) * slope + intercept,
            slope=slope,
            intercept=intercept,
            bits=bits,
            spacing=self.grid.spacing,
            unit="mm",
        )

    def write_filled(self, destination: Path, patches: Iterable[Patch], provenance: Provenance) -> list[Path]:
        from data_adapters.dicom.fill import write_filled_series

        return write_filled_series(self, destination, patches, provenance)


def scenes(headers: Sequence[tuple[Path, FileDataset]]) -> tuple[list[Scene], list[UserError]]:
    """Group image headers into scenes: by series, frame of reference, orientation, size and echo or phase.

    A header whose values make no sense (a number that is none) gives an error and no scene.
    """
    groups: dict[tuple[object, ...], list[list[tuple[Path, FileDataset]]]] = defaultdict(list)
    found: list[Scene] = []
    problems: list[UserError] = []
    for path, header in headers:
        try:
            of_key = groups[_key(path, header)]
            alike = next((members for members in of_key if _aligned(members[0][1], header)), None)
            if alike is None:
                of_key.append(alike := [])
            alike.append((path, header))
        except (ValueError, TypeError, AttributeError) as error:
            problems.append(_senseless(path, error))
    for members in itertools.chain.from_iterable(groups.values()):
        try:
            found.append(_scene(members))
        except (ValueError, TypeError, AttributeError) as error:
            problems.append(_senseless(members[0][0], error))
    return sorted(found, key=lambda scene: scene.name), problems


def _senseless(path: Path, error: Exception) -> BrokenFile:
    return BrokenFile(f"a header value makes no sense ({error})", where=path, do="restore it from its source")


def _key(path: Path, header: Dataset) -> tuple[object, ...]:
    if decode.position(header) is None or decode.orientation(header) is None or _frames(header) > 1:
        return (str(path),)
    return (
        str(header.get("SeriesInstanceUID") or path.parent),
        str(header.get("FrameOfReferenceUID", "")),
        (header.Rows, header.Columns),
        str(header.get("EchoNumbers", "")),
        str(header.get("TemporalPositionIdentifier", "")),
        "LOCALIZER" in header.get("ImageType", []),
    )


def _aligned(one: Dataset, other: Dataset) -> bool:
    """Whether orientation and spacing are equal but for rounding, which no key of rounded numbers can tell."""
    return np.allclose(decode.orientation(one) or 0, decode.orientation(other) or 0, atol=1e-3) and np.allclose(
        decode.pixel_spacing(one) or 0, decode.pixel_spacing(other) or 0, rtol=1e-3
    )


def _frames(header: Dataset) -> int:
    return max(1, int(header.get("NumberOfFrames") or 1))


def _scene(members: list[tuple[Path, FileDataset]]) -> DicomScene:
    path, header = members[0]
    frames = [
        (Frame(p, f if _frames(h) > 1 else None), decode.position(h, f)) for p, h in members for f in range(_frames(h))
    ]
    where = path.parent if len(members) > 1 else path
    direction = decode.orientation(header)
    in_plane = decode.pixel_spacing(header)
    trouble: GeometryError | None = None
    slots: tuple[Frame | None, ...] = tuple(frame for frame, _ in frames)
    placed = [p for _, p in frames if p is not None]
    between = float(header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 1.0)
    distances: Sequence[float] = range(len(frames))
    if len(frames) > 1 and len(placed) == len(frames) and direction is not None:
        positions = np.array(placed)
        try:
            regular = find_slots(positions, direction, where)
            row: list[Frame | None] = [None] * regular.count
            for (frame, _), slot in zip(frames, regular.of, strict=True):
                row[slot] = frame
            slots, between = tuple(row), regular.spacing
            distances = [slot * between for slot in range(len(row))]
        except GeometryError as error:
            trouble = error
            order = np.argsort(along_normal(positions, direction), kind="stable")
            slots = tuple(frames[i][0] for i in order)
            distances = along_normal(positions, direction)[order].tolist()
            between = float(np.median(np.diff(distances)))
    colour = int(header.get("SamplesPerPixel", 1)) == 3 or header.get("PhotometricInterpretation") == "PALETTE COLOR"
    modality = str(header.get("Modality", "OT"))
    unit = str(header.get("RescaleType", "")) or ("HU" if modality == "CT" else "")
    channels = tuple(Channel(n) for n in ("red", "green", "blue")) if colour else (Channel(modality, unit),)
    kind: Kind = "volume" if len(slots) > 1 else "image"
    spacing = (between, *(in_plane or (1.0, 1.0)))
    return DicomScene(
        name=where.name if where.is_dir() else where.stem,
        path=where,
        format="dicom",
        kind=kind,
        modality=modality,
        shape=(len(channels), len(slots), int(header.Rows), int(header.Columns)),
        dtype=decode.stored_dtype(header).name,
        channels=channels,
        grid=Grid(spacing, "mm" if in_plane else "pixels", "patient" if direction else "detector", tuple(distances)),
        group=_patient(header, where),
        files=tuple(path for path, _ in members),
        facts={
            "SOP class": header.get("SOPClassUID", "").name if header.get("SOPClassUID") else "not stated",
            "transfer syntax": header.file_meta.TransferSyntaxUID.name,
            "stored": f"{header.get('BitsStored', '?')} bits, {header.get('PhotometricInterpretation', '?')}",
        },
        trouble=trouble,
        slots=slots,
    )


def _patient(header: Dataset, where: Path) -> str:
    """The patient as a one-way digest, so that splits can respect it and nothing stored can name it."""
    identity = str(header.get("PatientID") or header.get("StudyInstanceUID") or where)
    return hashlib.sha256(identity.encode()).hexdigest()[:12]
