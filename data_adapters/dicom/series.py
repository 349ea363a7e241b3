"""A DICOM image or series as a ``Scene``: slots along the normal, each a file (and frame) or a gap."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from data_adapters import room
from data_adapters.anatomy import PATIENT, TO_RAS, nearest_plane
from data_adapters.dicom import decode
from data_adapters.dicom.geometry import along_normal, find_slots
from data_adapters.dicom.volumes import Frame, Slice, Volume, apart, grouped, same_place, slices
from data_adapters.errors import (
    BrokenFile,
    DuplicatePositions,
    GeometryError,
    GridMismatch,
    TiltedSeries,
    Unwritable,
    UserError,
)
from data_adapters.scene import (
    Channel,
    Grid,
    Kind,
    Patch,
    Pixels,
    Place,
    Provenance,
    Scene,
    Template,
    Window,
    working_dtype,
)

COMPARED = 8
"""Places that hold several slices whose pixels are compared."""


@dataclass(frozen=True)
class DicomScene(Scene):
    """``slots[s]`` is the frame of slice s, or None where the series has a gap.

    ``places`` are the ImagePositionPatient of every slot in mm, none where headers do not state them. ``steps`` says
    how many slots the series has been given for each of its own.
    """

    slots: tuple[Frame | None, ...] = ()
    places: tuple[tuple[float, ...], ...] = ()
    steps: int = 1

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        window = window or self.plane
        rows, columns = window.slices
        channels = self.shape[0]
        shape = (channels, count, window.height, window.width)
        room.taken(9 * math.prod(shape), self.path)
        values = np.zeros(shape, dtype=working_dtype(np.dtype(self.dtype)))
        valid = np.zeros(shape, dtype=bool)
        within: dict[Path, list[int]] = defaultdict(list)
        for index in range(count):
            if (slot := self.slots[first + index]) is not None:
                within[slot.path].append(index)
        for path, indices in within.items():
            frames = [at.frame or 0 for index in indices if (at := self.slots[first + index])]
            stored, dataset = decode.decode_frames(path, frames)
            for index, frame, words in zip(indices, frames, stored, strict=True):
                physical, observed = self._physical(words, dataset, frame, path)
                # A slice's own rescale may ask for more digits than its type.
                values = values.astype(np.result_type(values, physical), copy=False)
                values[:, index] = physical[:, rows, columns]
                valid[:, index] = observed[:, rows, columns]
        return Pixels(values, valid)

    def _physical(
        self, words: NDArray[Any], dataset: FileDataset, frame: int, path: Path
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_]]:
        """(channels, rows, columns) values of a frame and where they were observed."""
        if words.shape[:2] != self.shape[2:]:
            raise GridMismatch(
                f"{words.shape[0]}x{words.shape[1]} pixels in a series of {self.shape[2]}x{self.shape[3]}",
                where=path,
                do="remove the odd slice from the series",
            )
        try:
            physical, observed = decode.physical(words, dataset, frame)
        except decode.NONSENSE as error:
            raise BrokenFile(f"pixels have no values ({error})", where=path, do="restore it from its source") from error
        if physical.ndim == 2:
            return physical[None], observed[None]
        return np.moveaxis(physical, -1, 0), np.moveaxis(observed, -1, 0)

    @property
    def corner(self) -> Place | None:
        return Place(PATIENT, tuple(float(v) for v in TO_RAS @ self.places[0])) if self.places else None

    def missing(self, *, ends: bool = False) -> tuple[int, ...]:
        super().missing()
        return tuple(index for index, slot in enumerate(self.slots) if slot is None)

    def finer(self, factor: int) -> DicomScene:
        super().missing()
        if not self.places:
            raise Unwritable(
                "its frames have no places, so that nothing lies between them",
                where=self.path,
                do="give a series that states ImagePositionPatient",
            )
        slots: list[Frame | None] = [None] * ((len(self.slots) - 1) * factor + 1)
        slots[::factor] = self.slots
        between = self.grid.spacing[0] / factor
        return replace(
            self,
            shape=(self.shape[0], len(slots), *self.shape[2:]),
            grid=self.grid.finer(factor, tuple(between * slot for slot in range(len(slots)))),
            slots=tuple(slots),
            places=_spread({slot * factor: place for slot, place in enumerate(self.places)}),
            steps=self.steps * factor,
        )

    def template(self) -> Template:
        header = decode.read_header(self.files[0])
        with decode.sensible(self.files[0]):
            return self._template(header)

    def _template(self, header: FileDataset) -> Template:
        slope, intercept = decode.rescale(header)
        direction = decode.orientation(header)
        bits = decode.stored_bits(header)
        lowest, highest = decode.limits(header)
        if decode.is_palette(header):
            bits = decode.lut_bits(header)
            lowest, highest = 0, (1 << bits) - 1
        return Template(
            format="dicom",
            kind=self.kind,
            modality=self.modality,
            channels=self.channels,
            dtype=self.dtype,
            low=lowest * slope + intercept,
            high=highest * slope + intercept,
            slope=slope,
            intercept=intercept,
            bits=bits,
            spacing=self.grid.spacing,
            unit="mm",
            plane=nearest_plane(direction) if direction else "axial",
        )

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        from data_adapters.dicom.fill import write_filled_series

        with decode.lenient():
            return write_filled_series(self, destination, patches, provenance, marked=marked)

    def write_slice(
        self, destination: Path, position: float, day: str, patches: Iterable[Patch], provenance: Provenance
    ) -> list[Path]:
        from data_adapters.dicom.fill import write_filled_series

        if not self.places:
            raise Unwritable(
                "its frames have no places, so that nothing lies between them",
                where=self.path,
                do="give a series that states ImagePositionPatient",
            )
        positions = self.grid.positions
        slot = int(np.searchsorted(positions, position))
        place = _place_at(position, positions, self.places)
        wider = replace(
            self,
            shape=(self.shape[0], self.shape[1] + 1, *self.shape[2:]),
            grid=replace(self.grid, positions=(*positions[:slot], position, *positions[slot:])),
            slots=(*self.slots[:slot], None, *self.slots[slot:]),
            places=(*self.places[:slot], place, *self.places[slot:]),
        )
        with decode.lenient():
            return write_filled_series(wider, destination, patches, provenance, marked=False, alone=slot)

    def write_map(self, stem: Path, values: NDArray[np.float32], about: str, provenance: Provenance) -> list[Path]:
        from data_adapters.dicom.parametric import write_parametric_map

        with decode.lenient():
            return [write_parametric_map(stem.with_name(f"{stem.name}.dcm"), self.slots, values, about, provenance)]


def scenes(headers: Sequence[tuple[Path, FileDataset]]) -> tuple[list[Scene], list[UserError]]:
    """Group the frames of image headers into scenes, each one volume or image.

    A header whose values make no sense (a number that is none) gives an error and no scene.
    """
    frames: list[Slice] = []
    found: list[Scene] = []
    problems: list[UserError] = []
    for path, header in headers:
        try:
            with decode.sensible(path):
                if (samples := int(header.get("SamplesPerPixel", 1))) not in (1, 3):
                    raise ValueError(f"{samples} samples a pixel")
                frames += slices(path, header)
        except UserError as error:
            problems.append(error)
    for members in grouped(frames):
        try:
            with decode.sensible(members[0].at.path):
                found += [_scene(volume) for volume in apart(members)]
        except UserError as error:
            problems.append(error)
    return sorted(found, key=lambda scene: scene.name), problems


def _scene(volume: Volume) -> DicomScene:
    members = volume.slices
    header, direction, in_plane = members[0].header, members[0].orientation, members[0].spacing
    files = tuple(dict.fromkeys(one.at.path for one in members))
    where = files[0].parent if len(files) > 1 else files[0]
    trouble: GeometryError | None = None
    slots: tuple[Frame | None, ...] = tuple(one.at for one in members)
    placed = [one.position for one in members if one.position is not None]
    between = decode.between(header)
    distances: Sequence[float] = [index * between for index in range(len(members))]
    stated = len(placed) == len(members) and direction is not None
    places = tuple(placed) if stated else ()
    tilt = 0.0
    if stated and direction is not None and len(members) > 1:
        positions = np.array(placed)
        try:
            regular = find_slots(positions, direction, where)
            row: list[Frame | None] = [None] * regular.count
            for one, slot in zip(members, regular.of, strict=True):
                row[slot] = one.at
            slots, between, tilt = tuple(row), regular.spacing, regular.tilt
            distances = [slot * between for slot in range(len(row))]
            places = _spread(dict(zip(regular.of, placed, strict=True)))
            if tilt:
                trouble = TiltedSeries(
                    f"slices are sheared against their normal by {tilt:.1f} degrees",
                    where=where,
                    do="cut its slices one by one (two numbers in tiles.size), or resample it to an upright volume",
                )
        except GeometryError as error:
            trouble = _told_copies(error, members) if isinstance(error, DuplicatePositions) else error
            order = np.argsort(along_normal(positions, direction), kind="stable")
            slots = tuple(members[i].at for i in order)
            places = tuple(placed[i] for i in order)
            distances = along_normal(positions, direction)[order].tolist()
            between = float(np.median(np.diff(distances))) or between
    modality = str(header.get("Modality") or "OT")
    unit = str(header.get("RescaleType", "")) or {"CT": "HU", "RTDOSE": "Gy"}.get(modality, "")
    colours = ("red", "green", "blue") if decode.is_colour(header) else None
    channels = tuple(Channel(name) for name in colours) if colours else (Channel(modality, unit),)
    kind: Kind = "volume" if len(slots) > 1 else "image"
    down, across = in_plane or (1.0, 1.0)
    return DicomScene(
        name=where.name if where.is_dir() else where.stem,
        path=where,
        format="dicom",
        kind=kind,
        modality=modality,
        shape=(len(channels), len(slots), *decode.plane(header)),
        dtype=decode.stored_dtype(header).name,
        channels=channels,
        grid=Grid(
            (between, down, across),
            "mm" if in_plane else "pixels",
            "patient" if direction else "detector",
            tuple(distances),
        ),
        group=patient(header, where),
        files=files,
        facts={
            "SOP class": decode.kind_of(header),
            "transfer syntax": header.file_meta.TransferSyntaxUID.name,
            "stored": f"{header.get('BitsStored', '?')} bits, {header.get('PhotometricInterpretation', '?')}",
            **({"plane": nearest_plane(direction)} if direction else {}),
            **({"told apart by": volume.told_by} if volume.told_by else {}),
            **({"tilt": f"{tilt:.1f} degrees"} if tilt else {}),
        },
        trouble=trouble,
        slots=slots,
        places=places,
    )


def _place_at(position: float, positions: Sequence[float], places: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """The place at a position on the line through the two slices that are nearest to it."""
    one, other = sorted(range(len(positions)), key=lambda index: abs(positions[index] - position))[:2]
    part = (position - positions[one]) / (positions[other] - positions[one])
    start, end = np.array(places[one]), np.array(places[other])
    return tuple((start + part * (end - start)).tolist())


def _spread(known: Mapping[int, tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    """The place of every slot up to the last one, those between known ones on the line between these."""
    slots = sorted(known)
    axes = [np.interp(range(slots[-1] + 1), slots, axis) for axis in zip(*(known[s] for s in slots), strict=True)]
    return tuple(tuple(float(v) for v in place) for place in zip(*axes, strict=True))


def _told_copies(error: DuplicatePositions, members: Sequence[Slice]) -> DuplicatePositions:
    """The same error, saying whether slices at one place are copies of each other."""
    alike = 0
    shared = same_place(members)[:COMPARED]
    try:
        for first, *others in shared:
            pixels = [decode.decode(*one.at)[0] for one in (first, *others)]
            alike += all(np.array_equal(pixels[0], other) for other in pixels[1:])
    except BrokenFile:
        return error
    said = {len(shared): "identical copies", 0: "different contents"}.get(alike, f"{alike} of {len(shared)} copies")
    remedy = "remove the copies" if alike == len(shared) else error.do
    return DuplicatePositions(f"{error.found}: {said}", where=error.where, do=remedy)


def patient(header: Dataset, where: Path) -> str:
    """The patient as a one-way digest, so that splits can respect it and nothing stored can name it."""
    identity = str(header.get("PatientID") or header.get("StudyInstanceUID") or where)
    return hashlib.sha256(identity.encode()).hexdigest()[:12]
