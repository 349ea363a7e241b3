"""``Scene``: one thing a user owns, its pixels in physical units, and the way back into its file."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_adapters.anatomy import Plane
from data_adapters.errors import GeometryError, TiltedSeries, Unwritable, UserError

Kind = Literal["image", "volume", "raster", "stack"]


class Window(NamedTuple):
    """A rectangle of pixels: first row and column, height and width."""

    row: int
    column: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.row, self.row + self.height), slice(self.column, self.column + self.width)

    def inside(self, other: Window) -> tuple[slice, slice]:
        """Rows and columns of it in ``other``, which holds it."""
        return Window(self.row - other.row, self.column - other.column, self.height, self.width).slices


class Place(NamedTuple):
    """A point: ``at``, in a coordinate system by its name."""

    system: str
    at: tuple[float, ...]


@dataclass(frozen=True)
class Channel:
    """One channel of a scene: ``B08``, ``red``, or a modality; and its unit where it has one (``HU``)."""

    name: str
    unit: str = ""


MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
"""Of NIfTI's other units of length."""


@dataclass(frozen=True)
class Grid:
    """Where pixels lie. ``spacing`` is (between slices, between rows, between columns) in ``unit``.

    ``positions`` are those of the slices along their axis: mm, or days since the first date of a stack.
    ``frame`` names the coordinates: ``patient``, an EPSG code, or ``pixels`` where none are known.
    """

    spacing: tuple[float, float, float]
    unit: str
    frame: str
    positions: tuple[float, ...] = (0.0,)

    @property
    def millimetres(self) -> float:
        """Of one unit of length."""
        return MILLIMETRES.get(self.unit, 1.0)

    def finer(self, factor: int, positions: tuple[float, ...]) -> Grid:
        """The grid of ``factor`` times as many steps between slices, which lie at ``positions``."""
        between, down, across = self.spacing
        return replace(self, spacing=(between / factor, down, across), positions=positions)


@dataclass(frozen=True)
class Pixels:
    """Physical values (C, S, H, W), float32 or float64, and which of them were observed, same shape."""

    values: NDArray[np.floating[Any]]
    valid: NDArray[np.bool_]

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Where every channel was observed: (slices, rows, columns)."""
        # One for all channels, as most files say it.
        alike = len(self.valid) == 1 or self.valid.strides[0] == 0
        return self.valid[0] if alike else np.asarray(self.valid.all(axis=0))


@dataclass(frozen=True)
class Patch:
    """Rebuilt pixels of one slice: ``values`` (C, h, w) in physical units where ``made`` (C, h, w)."""

    slice: int
    window: Window
    values: NDArray[np.floating[Any]]
    made: NDArray[np.bool_]


@dataclass(frozen=True)
class Provenance:
    """Who made the pixels: written into headers and into the JSON side-car of every output."""

    tool: str
    version: str
    method: str
    recipe: str = ""
    checkpoint: str = ""
    seed: int = 0
    index: int = 0
    conditions: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    guidance: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        return {"synthetic": True, **asdict(self), "conditions": dict(self.conditions)}

    def digest(self, *parts: object) -> str:
        """A hex digest of what was made and how; equal for a rerun, so that a rerun gives equal UIDs."""
        return self.same_latent(sorted(self.conditions.items()), self.guidance, *parts)

    def same_latent(self, *parts: object) -> str:
        """A hex digest that is equal, too, for what one latent was drawn to under other conditions, as a patient's."""
        text = repr([self.recipe, self.checkpoint, self.seed, self.index, self.source, *parts])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Template:
    """What is needed to write a sample into a format without the source at hand, and without a patient.

    ``low`` and ``high`` bound the physical values; ``slope`` and ``intercept`` turn stored integers of ``dtype`` into
    them, or ``scalings``, those of each channel, where channels differ. ``spacing`` is that of the sample's pixels, in
    ``unit``; ``plane``, that of its slices where a patient is shown.
    """

    format: str
    kind: Kind
    modality: str
    channels: tuple[Channel, ...]
    dtype: str
    low: float
    high: float
    slope: float = 1.0
    intercept: float = 0.0
    bits: int = 16
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str = ""
    crs: str = ""
    nodata: float | None = None
    plane: Plane = "axial"
    scalings: tuple[tuple[float, float], ...] = ()

    @property
    def steps(self) -> tuple[float, ...]:
        """What lies between two physical values that can be stored, a number a channel; 0 where any can."""
        whole = np.dtype(self.dtype).kind in "iu"
        return tuple(abs(self.scaling(c)[0]) if whole else 0.0 for c in range(len(self.channels)))

    def scaling(self, channel: int) -> tuple[float, float]:
        """Slope and intercept of a channel."""
        return self.scalings[channel] if self.scalings else (self.slope, self.intercept)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def like(cls, scene: Scene, slope: float, intercept: float) -> Template:
        """The template of a scene whose stored values may take the whole range of their type."""
        dtype = np.dtype(scene.dtype)
        limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
        return cls(
            format=scene.format,
            kind=scene.kind,
            modality=scene.modality,
            channels=scene.channels,
            dtype=scene.dtype,
            low=float(limits.min) * slope + intercept,
            high=float(limits.max) * slope + intercept,
            slope=slope,
            intercept=intercept,
            bits=dtype.itemsize * 8,
            spacing=scene.grid.spacing,
            unit=scene.grid.unit,
        )

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Template:
        known = dict(record)
        known["channels"] = tuple(Channel(**c) for c in known["channels"])
        known["spacing"] = tuple(known["spacing"])
        known["scalings"] = tuple((slope, intercept) for slope, intercept in known.get("scalings", ()))
        return cls(**known)


@dataclass(frozen=True)
class Scene(abc.ABC):
    """A DICOM series, a NIfTI volume, a GeoTIFF, an image, or a dated stack of co-registered GeoTIFFs.

    Opened from headers alone; pixels come by window. ``shape`` is (channels, slices, rows, columns);
    a stack's slices are its dates. ``group`` names the patient or the place: scenes of one group are
    never on both sides of a split. ``volumes`` of equal depth, more than one in a 4-D file, follow each
    other along the slices. ``trouble`` is set where the slices are no regular, upright volume; such a scene can be
    read slice by slice, and filled where a mask says what is damaged, but not cut into volumes.
    """

    name: str
    path: Path
    format: str
    kind: Kind
    modality: str
    shape: tuple[int, int, int, int]
    dtype: str
    channels: tuple[Channel, ...]
    grid: Grid
    group: str
    files: tuple[Path, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    volumes: int = 1
    trouble: GeometryError | None = None

    @abc.abstractmethod
    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        """``count`` slices from ``first`` on, the whole plane or a window of it.

        Slots that hold no slice come back with ``valid`` False everywhere.

        Raises:
            BrokenFile: if the pixels cannot be decoded.
        """

    @abc.abstractmethod
    def template(self) -> Template:
        """How a sample like this scene is written."""

    @abc.abstractmethod
    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        """Write the scene with ``patches`` laid in, every other pixel and header field as it was.

        The source is never written to. Returns the files written, the main one first; with ``marked``, a mask of
        what was made is among them, where the format has a place for one.

        Raises:
            Unwritable: if this kind of file cannot be written back.
        """

    def write_map(self, stem: Path, values: NDArray[np.float32], about: str, provenance: Provenance) -> list[Path]:
        """Write a number for every pixel, (slices, rows, columns), NaN where none is known, on the scene's own grid.

        The file stands beside ``stem``, named so but for its suffix; ``about`` says in some words what the numbers are.

        Raises:
            Unwritable: if this kind of file has no room for such a map.
        """
        raise Unwritable(f"{self.format} has no room for a map", where=self.path, do="leave the maps out")

    def write_slice(
        self, destination: Path, position: float, day: str, patches: Iterable[Patch], provenance: Provenance
    ) -> list[Path]:
        """Write a slice that the scene does not have, of ``patches`` alone, at a position along its slices.

        Of a stack it is a date, ``day``. It lies on the scene's own grid, in its type and scaling, and tells of no
        acquisition. ``destination`` is a file, or a folder to put it into.

        Raises:
            Unwritable: if this kind of file has no slices or dates.
        """
        raise Unwritable(f"{self.format} has no slices", where=self.path, do="give a series, a volume or dates")

    def missing(self, *, ends: bool = False) -> tuple[int, ...]:
        """Slots along the slice axis that hold no slice, between slices of their volume; with ``ends``, beyond them.

        Raises:
            GeometryError: if the slices lie on no regular row.
        """
        if self.trouble is not None and not isinstance(self.trouble, TiltedSeries):
            raise self.trouble
        return ()

    def finer(self, factor: int) -> Scene:
        """The same scene with ``factor`` times as many steps between its slices: S slices become (S - 1) factor + 1.

        The new slots hold no slice, and so are among the missing ones.

        Raises:
            Unwritable: if there can be nothing between its slices, or nothing says where they lie.
            GeometryError: if the slices lie on no regular row.
        """
        raise Unwritable(f"{self.format} has no room between slices", where=self.path, do="give DICOM or NIfTI volumes")

    @property
    def plane(self) -> Window:
        return Window(0, 0, self.shape[2], self.shape[3])

    @property
    def classes(self) -> bool:
        """Whether the values are classes or labels, between which there is nothing."""
        return False

    @property
    def layers(self) -> Mapping[str, Scene]:
        """What came with the scene and is no channel of it (classes, quality bits), by name, on its grid or coarser."""
        return {}

    @property
    def corner(self) -> Place | None:
        """Where the upper left of the first slice lies, on a map or in a patient; None where nothing says."""
        return None

    def on(self, scene: Scene) -> Scene:
        """The same on the slices of another scene, for one that alone does not know how many there are.

        Raises:
            GridMismatch: if it does not lie on those slices.
        """
        return self

    def covered(self, window: Window) -> NDArray[np.bool_]:
        """How far the files of each slice reach in a window: (slices, h, w)."""
        return np.ones((self.shape[1], window.height, window.width), dtype=bool)


def one_each(files: Sequence[Path], open_one: Callable[[Path], Scene]) -> tuple[list[Scene], list[UserError]]:
    """A scene a file, and an error for each that gives none."""
    scenes: list[Scene] = []
    problems: list[UserError] = []
    for path in files:
        try:
            scenes.append(open_one(path))
        except UserError as error:
            problems.append(error)
    return scenes, problems


def working_dtype(stored: np.dtype[Any], slope: float = 1.0, intercept: float = 0.0) -> type[np.floating[Any]]:
    """The float type from whose physical values every stored value comes back: float32 where it can, else float64.

    Raises:
        ValueError: if there is no such type.
    """
    if stored.kind == "f":
        plain = slope == 1 and intercept == 0
        return np.float32 if stored.itemsize <= 4 and plain else np.float64
    limits = np.iinfo(stored)
    largest = max(abs(limits.min * slope + intercept), abs(limits.max * slope + intercept))
    if not largest < float(np.finfo(np.float64).max):
        raise ValueError(f"a slope of {slope:g} and an intercept of {intercept:g} lead beyond every number")
    if stored.itemsize > 2:
        return np.float64
    # Half of a float32's last digit, with room for the rounding of the arithmetic itself, against half a count.
    fine = largest * 2.0**-22 < abs(slope) and largest < float(np.finfo(np.float32).max)
    return np.float32 if fine else np.float64


def to_physical(stored: NDArray[Any], slope: float = 1.0, intercept: float = 0.0) -> NDArray[np.floating[Any]]:
    """Stored -> physical: stored * slope + intercept, in the type of ``working_dtype``."""
    working = working_dtype(stored.dtype, slope, intercept)
    if slope == 1 and float(intercept).is_integer():
        # Such sums are exact in either type.
        values = stored.astype(working)
        values += working(intercept)
        return values
    return (stored.astype(np.float64) * slope + intercept).astype(working)


def to_stored(
    values: NDArray[np.floating[Any]],
    dtype: np.dtype[Any],
    slope: float = 1.0,
    intercept: float = 0.0,
    low: float | None = None,
    high: float | None = None,
) -> NDArray[Any]:
    """Physical -> stored: (v - intercept) / slope, clipped and, for integers, rounded; never wrapped."""
    raw = (values.astype(np.float64) - intercept) / slope
    if dtype.kind not in "iu":
        widest = np.finfo(dtype)
        return np.clip(raw, widest.min, widest.max).astype(dtype)
    limits = np.iinfo(dtype)
    floor = limits.min if low is None else max(limits.min, low)
    # The largest 64-bit integers have no float64; the next lower one that has is the ceiling.
    top = limits.max if dtype.itemsize < 8 else int(np.nextafter(float(limits.max), 0))
    ceiling = top if high is None else min(top, high)
    return np.clip(np.rint(np.nan_to_num(raw)), floor, ceiling).astype(dtype)
