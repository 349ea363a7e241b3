"""Which frames belong to one volume: by geometry first, and by what tells volumes at one place apart."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import FileDataset

from data_adapters.dicom import decode
from data_adapters.dicom.geometry import SAME, along_normal

DISCRIMINATING = (
    "EchoNumbers", "EffectiveEchoTime", "EchoTime",
    "TemporalPositionIdentifier", "TemporalPositionIndex",
    "DiffusionBValue", "DiffusionGradientOrientation",
    "ComplexImageComponent", "FrameType", "ImageType",
    "NominalCardiacTriggerDelayTime", "TriggerTime",
    "InversionTimes", "InversionTime", "FlipAngle", "RepetitionTime",
    "StackID", "ConvolutionKernel", "KVP", "GantryDetectorTilt",
    "AcquisitionNumber", "FrameAcquisitionNumber",
    "FrameReferenceTime", "FrameReferenceDateTime", "FrameAcquisitionDateTime",
    "AcquisitionDateTime", "AcquisitionTime",
)  # fmt: skip
"""Attributes by which the standard tells apart images of one place in one series; the most telling ones first."""

MOST = 3
"""Attributes that are tried together, as echo, phase and magnitude may differ at once."""


class Frame(NamedTuple):
    """Where one slice lies: a file, and a frame in it (None for a file of one frame)."""

    path: Path
    frame: int | None


@dataclass(frozen=True)
class Slice:
    """A frame, and what the headers say of where it lies: None where they say nothing."""

    at: Frame
    header: FileDataset
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None

    @cached_property
    def states(self) -> dict[str, Hashable]:
        """The discriminating attributes of this frame, those of functional groups included."""
        holders = decode.functional_groups(self.header, self.at.frame or 0) if self.at.frame is not None else []
        found: dict[str, Hashable] = {}
        for element in itertools.chain(self.header, *(holder.iterall() for holder in holders)):
            if element.keyword in DISCRIMINATING:
                found.setdefault(element.keyword, str(element.value))
        return found


@dataclass(frozen=True)
class Volume:
    """Slices of one orientation and spacing, and what told them from others at the same places."""

    slices: tuple[Slice, ...]
    told_by: str = ""


def slices(path: Path, header: FileDataset) -> list[Slice]:
    """The frames of a file.

    Raises:
        ValueError, TypeError: if a header value makes no sense.
    """
    count = decode.frame_count(header)
    found = [
        Slice(
            Frame(path, index if count > 1 else None),
            header,
            _tuple(decode.position(header, index)),
            _tuple(decode.orientation(header, index)),
            _tuple(decode.pixel_spacing(header, index)),
        )
        for index in range(count)
    ]
    # What slices are grouped by must make sense, too, lest one file spoil all the others.
    hash(_key(found[0]))
    return found


def _tuple(numbers: list[float] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(numbers)


def grouped(found: Iterable[Slice]) -> list[list[Slice]]:
    """Slices by series, frame of reference, size, orientation and spacing; frames of one object by themselves."""
    groups: dict[tuple[object, ...], list[list[Slice]]] = defaultdict(list)
    for one in found:
        of_key = groups[_key(one)]
        alike = next((members for members in of_key if _aligned(members[0], one)), None)
        if alike is None:
            of_key.append(alike := [])
        alike.append(one)
    return list(itertools.chain.from_iterable(groups.values()))


def _key(one: Slice) -> tuple[object, ...]:
    header = one.header
    if one.position is None or one.orientation is None or one.at.frame is not None:
        return (str(one.at.path),)
    return (
        str(header.get("SeriesInstanceUID") or one.at.path.parent),
        str(header.get("FrameOfReferenceUID", "")),
        decode.plane(header),
        str(header.get("SamplesPerPixel", 1)),
        "LOCALIZER" in str(header.get("ImageType", "")),
    )


def _aligned(one: Slice, other: Slice) -> bool:
    """Whether orientation and spacing are equal but for rounding, which no key of rounded numbers can tell."""
    if (one.orientation, one.spacing) == (other.orientation, other.spacing):
        return True
    return np.allclose(one.orientation or 0, other.orientation or 0, atol=1e-3) and np.allclose(
        one.spacing or 0, other.spacing or 0, rtol=1e-3
    )


def apart(members: Sequence[Slice]) -> list[Volume]:
    """The fewest volumes without two slices at one place that some attributes make; all as one if none do so.

    Where there are several places, a volume of a single slice is no answer: an AcquisitionNumber that goes up from
    slice to slice tears nothing apart.

    Raises:
        ValueError: if the orientation spans no plane.
    """
    places = _places(members)
    if len(set(places)) == len(places):
        return [Volume(tuple(members))]
    states = [one.states for one in members]
    most = len(members) if len(set(places)) == 1 else len(members) - 1
    varying = [keyword for keyword in DISCRIMINATING if 1 < len({state.get(keyword) for state in states}) <= most]
    for count in range(1, MOST + 1):
        answers = []
        for keywords in itertools.combinations(varying, count):
            parts: dict[Hashable, list[int]] = defaultdict(list)
            for index, state in enumerate(states):
                parts[tuple(state.get(k) for k in keywords)].append(index)
            if _are_volumes(list(parts.values()), places):
                answers.append((len(parts), keywords, parts))
        if answers:
            _, keywords, parts = min(answers, key=lambda answer: answer[0])
            return [
                Volume(
                    tuple(members[i] for i in indices),
                    ", ".join(f"{k} {states[indices[0]].get(k, 'none')}" for k in keywords),
                )
                for indices in parts.values()
            ]
    return [Volume(tuple(members))]


def _are_volumes(parts: Sequence[Sequence[int]], places: Sequence[int]) -> bool:
    """Whether each part has one slice a place, and more than one place where there are more."""
    several = len(set(places)) > 1
    return len(parts) > 1 and all(
        len({places[i] for i in part}) == len(part) and (len(part) > 1 or not several) for part in parts
    )


def _places(members: Sequence[Slice]) -> list[int]:
    """A number for each slice, equal for those at one place along the normal; all unlike where none is stated."""
    placed = [one.position for one in members if one.position is not None]
    direction = members[0].orientation
    if len(placed) < len(members) or direction is None:
        return list(range(len(members)))
    distance = along_normal(np.array(placed), direction)
    order = np.argsort(distance)
    number = np.empty(len(members), dtype=int)
    number[order] = np.concatenate([[0], np.cumsum(np.diff(distance[order]) >= SAME)])
    return [int(n) for n in number]


def same_place(members: Sequence[Slice]) -> list[list[Slice]]:
    """The slices that share their place with others, place by place."""
    at: dict[int, list[Slice]] = defaultdict(list)
    for place, one in zip(_places(members), members, strict=True):
        at[place].append(one)
    return [shared for _, shared in sorted(at.items()) if len(shared) > 1]
