"""A DICOM Segmentation object (PS3.3 A.51) as a ``Scene`` that is a label map: the segment's number at every pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset, FileDataset

from data_adapters.anatomy import PATIENT, TO_RAS, nearest_plane
from data_adapters.dicom import decode
from data_adapters.dicom.geometry import along_normal, find_slots, normal
from data_adapters.dicom.series import DicomScene, patient
from data_adapters.errors import BrokenFile, GeometryError, GridMismatch, OverlappingSegments, Unwritable
from data_adapters.scene import Channel, Grid, Patch, Pixels, Place, Provenance, Scene, Template, Window

TOLERANCE = 0.05
"""Pixels, or parts of the distance between slices, that a plane may be off its image."""


@dataclass(frozen=True)
class LabelMap(Scene):
    """``slots[s]`` are the frames that lie in slice s, none where nothing is labelled.

    ``segments`` are the label of each segment by number, and ``number`` the segment of each frame: None where, in a
    LABELMAP, pixels hold it themselves. ``full`` is what a pixel holds that belongs to its segment wholly.
    """

    slots: tuple[tuple[int, ...], ...] = ()
    segments: Mapping[int, str] = field(default_factory=dict)
    number: tuple[int | None, ...] = ()
    full: int = 1
    orientation: tuple[float, ...] | None = None
    origin: Place | None = None

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        """As ``Scene.read``; a pixel of a FRACTIONAL segmentation belongs to its segment from the half on.

        Raises:
            BrokenFile: if the pixels cannot be decoded.
            OverlappingSegments: if a pixel belongs to two segments.
        """
        window = window or self.plane
        labels = np.zeros((count, window.height, window.width), dtype=self.dtype)
        wanted = [(slot, frame) for slot in range(count) for frame in self.slots[first + slot]]
        stored = decode.decode_frames(self.path, [frame for _, frame in wanted])[0] if wanted else []
        for (slot, frame), plane in zip(wanted, stored, strict=True):
            part, number = plane[window.slices], self.number[frame]
            if number is None:
                labels[slot] = part
                continue
            # Twice the value of a byte does not fit a byte.
            marked = part.astype(np.uint16) * 2 >= max(self.full, 1)
            if (others := labels[slot][marked]).any():
                raise self._overlap(int(others[others > 0][0]), number, first + slot)
            labels[slot][marked] = number
        return Pixels(labels[None].astype(np.float32), np.broadcast_to(True, (1, *labels.shape)))

    def _overlap(self, one: int, other: int, slot: int) -> OverlappingSegments:
        named = " and ".join(f"{number} ({self.segments.get(number, '?')})" for number in (one, other))
        return OverlappingSegments(
            f"segments {named} overlap in slice {slot}, where a label map has one label a pixel",
            where=self.path,
            do="write them as segmentations of their own",
        )

    @property
    def classes(self) -> bool:
        return True

    @property
    def corner(self) -> Place | None:
        return self.origin

    def on(self, scene: Scene) -> LabelMap:
        """The label map on every slice of its images, of which a segmentation may leave out those without labels.

        Raises:
            GridMismatch: if it lies between the images' pixels or slices, or beside them.
        """
        here, there = self.origin, scene.corner
        if here is None or there is None or here.system != there.system or self.orientation is None:
            return self
        across = TO_RAS @ normal(self.orientation)
        labelled = [slot for slot, frames in enumerate(self.slots) if frames]
        further = np.subtract(self.grid.positions, self.grid.positions[0])[labelled]
        own = np.subtract(here.at, there.at) @ across + further
        wanted = np.subtract(scene.grid.positions, scene.grid.positions[0])
        apart = np.abs(own[:, None] - wanted)
        # Slices of a tilted series lie aside of each other.
        nearest = TO_RAS @ scene.places[apart[0].argmin()] if isinstance(scene, DicomScene) else there.at
        away = np.subtract(here.at, nearest)
        aside = np.linalg.norm(away - (away @ across) * across)
        between, *in_plane = scene.grid.spacing
        if apart.min(axis=1).max() > TOLERANCE * between or aside > TOLERANCE * min(in_plane):
            raise GridMismatch(
                f"its planes, {own.min():.4g} to {own.max():.4g} mm along the normal and {aside:.4g} mm aside, are "
                f"no slices of {scene.name}",
                where=self.path,
                do="give the segmentation of this series",
            )
        slots: list[tuple[int, ...]] = [()] * scene.shape[1]
        for own_slot, slot in zip(labelled, apart.argmin(axis=1), strict=True):
            slots[slot] = self.slots[own_slot]
        grid = replace(self.grid, positions=scene.grid.positions)
        return replace(
            self, shape=(1, len(slots), *self.shape[2:]), kind=scene.kind, slots=tuple(slots), grid=grid, origin=there
        )

    def template(self) -> Template:
        like = Template.like(self, 1.0, 0.0)
        return replace(like, plane=nearest_plane(self.orientation)) if self.orientation else like

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        raise Unwritable("a segmentation has nothing to fill", where=self.path, do="fill the images it belongs to")


def label_map(path: Path) -> LabelMap:
    """The scene of a segmentation, from its header.

    Its slices are those that its frames lie in and the missing ones between them; which other slices its images have,
    it does not say (see ``LabelMap.on``).

    Raises:
        BrokenFile: if the header does not say which segment a frame shows, or a value makes no sense.
    """
    header = decode.read_header(path)
    with decode.sensible(path):
        return _label_map(path, header)


def _label_map(path: Path, header: FileDataset) -> LabelMap:
    segments = {int(s.SegmentNumber): str(s.get("SegmentLabel", "")) for s in header.get("SegmentSequence") or []}
    kind = str(header.get("SegmentationType", "BINARY"))
    frames = range(decode.frame_count(header))
    number = tuple(None if kind == "LABELMAP" else _segment(header, frame, segments, path) for frame in frames)
    direction, in_plane = decode.orientation(header), decode.pixel_spacing(header)
    rows = _rows(header, path)
    within: dict[int, list[int]] = defaultdict(list)
    for frame, slot in enumerate(rows.of):
        within[slot].append(frame)
    slots = tuple(tuple(within[slot]) for slot in range(len(rows.distances)))
    down, across = in_plane or (1.0, 1.0)
    return LabelMap(
        name=path.stem,
        path=path,
        format="dicom",
        kind="volume" if len(slots) > 1 else "image",
        modality="SEG",
        shape=(1, len(slots), *decode.plane(header)),
        dtype=decode.stored_dtype(header).name if kind == "LABELMAP" else "uint16",
        channels=(Channel("label"),),
        grid=Grid(
            (rows.between, down, across),
            "mm" if in_plane else "pixels",
            "patient" if direction else "detector",
            rows.distances,
        ),
        group=patient(header, path),
        files=(path,),
        facts={
            "SOP class": decode.kind_of(header),
            "segments": ", ".join(f"{value} {name}" for value, name in sorted(segments.items())),
        },
        trouble=rows.trouble,
        slots=slots,
        segments=segments,
        number=number,
        full=int(header.get("MaximumFractionalValue", 1)) if kind == "FRACTIONAL" else 1,
        orientation=tuple(direction) if direction else None,
        origin=rows.origin,
    )


class Rows(NamedTuple):
    """The slice of each frame, the slices' distances along their normal, and where the first one lies."""

    of: list[int]
    distances: tuple[float, ...]
    between: float
    origin: Place | None = None
    trouble: GeometryError | None = None


def _rows(header: Dataset, path: Path) -> Rows:
    """Slices by the frames' positions; where none are stated, by the images that they lie on."""
    frames = range(decode.frame_count(header))
    between, direction = decode.between(header), decode.orientation(header)
    placed = [tuple(place) for frame in frames if (place := decode.position(header, frame)) is not None]
    if direction is None or len(placed) < len(frames):
        images = [_shown_on(header, frame) for frame in frames]
        order = sorted(set(images))
        return Rows(
            [order.index(image) for image in images], tuple(between * index for index in range(len(order))), between
        )
    places = sorted(set(placed), key=lambda place: float(along_normal(np.array(place), direction)))
    origin = Place(PATIENT, tuple(float(v) for v in TO_RAS @ places[0]))
    of: Sequence[int] = range(len(places))
    distances = along_normal(np.array(places), direction).tolist()
    trouble: GeometryError | None = None
    if len(places) > 1:
        try:
            regular = find_slots(np.array(places), direction, path)
            of, between = regular.of, regular.spacing
            distances = [between * slot for slot in range(regular.count)]
        except GeometryError as error:
            trouble = error
    at = dict(zip(places, of, strict=True))
    return Rows([at[place] for place in placed], tuple(distances), between, origin, trouble)


def _segment(header: Dataset, frame: int, segments: Mapping[int, str], path: Path) -> int:
    """The segment that a frame shows (PS3.3 C.8.20.3.1)."""
    for groups in decode.functional_groups(header, frame):
        for identified in groups.get("SegmentIdentificationSequence") or []:
            return int(identified.ReferencedSegmentNumber)
    if len(segments) != 1:
        raise BrokenFile(f"does not say which segment frame {frame + 1} shows", where=path, do="write it anew")
    return next(iter(segments))


def _shown_on(header: Dataset, frame: int) -> tuple[int, int]:
    """The image that a frame lies on, by its number among those that the segmentation names, and the frame of it."""
    images = [
        image.ReferencedSOPInstanceUID
        for series in header.get("ReferencedSeriesSequence") or []
        for image in series.get("ReferencedInstanceSequence") or []
    ]
    for groups in decode.functional_groups(header, frame):
        for derivation in groups.get("DerivationImageSequence") or []:
            for source in derivation.get("SourceImageSequence") or []:
                return images.index(source.ReferencedSOPInstanceUID), int(source.get("ReferencedFrameNumber", 1))
    return 0, 1
