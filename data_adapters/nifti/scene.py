"""A NIfTI volume as a scene: its slices upright, its holes, and the way back into its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from data_adapters import room
from data_adapters.anatomy import PATIENT, Axes
from data_adapters.errors import BrokenFile, NotThisFormat
from data_adapters.labelled import read_as_labels
from data_adapters.naming import named_beside
from data_adapters.nifti import NAME
from data_adapters.nifti.file import check_size, load, readable, scaling, stem_of, stored
from data_adapters.nifti.fixity import sign
from data_adapters.nifti.write import alike, move, save
from data_adapters.scene import (
    Channel,
    Grid,
    Patch,
    Pixels,
    Place,
    Provenance,
    Scene,
    Template,
    Window,
    to_physical,
    to_stored,
    working_dtype,
)

LABEL = 1002
"""NIFTI_INTENT_LABEL (nifti1.h): values are indices."""
LOOKED_AT = 16
"""Slices from which it is told whether a file holds labels."""
FAR = 100
"""Distance between the volumes of a 4-D file, in their own lengths."""


def open_scene(path: Path) -> NiftiScene:
    image = load(path)
    if len(image.shape) < 3 or image.get_data_dtype().kind not in "iuf":
        raise NotThisFormat(
            f"holds {len(image.shape)}-D data of type {image.get_data_dtype()}", where=path, do="use 3-D or 4-D numbers"
        )
    check_size(path, image)
    try:
        return _scene(path, image)
    except (ValueError, LookupError, ArithmeticError, HeaderDataError) as error:
        raise BrokenFile(
            f"a header value makes no sense ({error})", where=path, do="restore it from its source"
        ) from error


def _scene(path: Path, image: Any) -> NiftiScene:
    """The scene of a header.

    Raises:
        ValueError, LookupError, ArithmeticError, HeaderDataError: if a value makes no sense.
    """
    header = image.header
    axes = Axes.of(image.affine)
    zooms = [abs(float(header.get_zooms()[axis])) for axis in axes.order]
    slope, intercept = scaling(image)
    if not np.isfinite([*zooms, *image.affine.ravel(), slope, intercept]).all():
        raise ValueError("a spacing, affine or scaling that is no number")
    working_dtype(image.get_data_dtype(), slope, intercept)
    volumes = int(np.prod(image.shape[3:], dtype=int))
    depth = image.shape[2] * volumes
    unit = str(header.get_xyzt_units()[0])
    facts = {
        "orientation": f"{''.join(str(a) for a in nibabel.aff2axcodes(image.affine))}, {axes.plane} slices",
        "sform, qform codes": f"{int(header['sform_code'])}, {int(header['qform_code'])}",
    }
    if volumes > 1:
        facts["volumes"] = str(volumes)
    if int(header["sform_code"]) and int(header["qform_code"]):
        apart = float(np.abs(image.get_sform() - image.get_qform()).max())
        if apart > 1e-2:
            facts["warning"] = f"sform and qform disagree by up to {apart:.2f}"
    return NiftiScene(
        name=stem_of(path),
        path=path,
        format=NAME,
        kind="volume",
        modality="",
        shape=(1, depth, image.shape[axes.order[1]], image.shape[axes.order[2]]),
        dtype=image.get_data_dtype().newbyteorder("=").name,
        channels=(Channel("intensity"),),
        grid=Grid(
            (zooms[0], zooms[1], zooms[2]),
            unit if unit != "unknown" else "mm",
            "patient",
            _positions(zooms[0], image.shape[2], volumes),
        ),
        group=path.name,
        files=(path,),
        facts=facts,
        volumes=volumes,
        axes=axes,
    )


def _positions(between: float, depth: int, volumes: int) -> tuple[float, ...]:
    """Volumes lie far apart, so that no slice is ever guessed from those of another one."""
    return tuple(between * (i + i // depth * FAR * depth * volumes) for i in range(depth * volumes))


@dataclass(frozen=True)
class NiftiScene(Scene):
    """Slices run along the third axis of the array, those of a 4-D file's volumes after each other.

    ``steps`` says how many slots a volume has been given for each of its own.
    """

    axes: Axes = field(default_factory=Axes)
    steps: int = 1

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        window = window or self.plane
        slots = self._slots()
        inside = np.flatnonzero((first <= slots) & (slots < first + count))
        if len(inside) == count:
            return self._read(int(inside[0]), count, window)
        shape = (1, count, window.height, window.width)
        values = np.zeros(shape, working_dtype(np.dtype(self.dtype), *scaling(load(self.path))))
        valid = np.zeros(shape, dtype=bool)
        if len(inside):
            own, at = self._read(int(inside[0]), len(inside), window), slots[inside] - first
            values[:, at], valid[:, at] = own.values, own.valid
        return Pixels(values, valid)

    def _slots(self) -> NDArray[np.int64]:
        """The slot of each slice of the file."""
        return np.arange(self.shape[1]).reshape(self.volumes, -1)[:, :: self.steps].ravel()

    def _read(self, first: int, count: int, window: Window) -> Pixels:
        """``count`` slices of the file itself."""
        rows, columns = window.slices
        room.taken(8 * count * window.height * window.width, self.path)
        image = load(self.path)
        with readable(self.path):
            shown = self._shown(stored(self.path, self.path.stat().st_mtime_ns))
            runs = [shown[volume, part, rows, columns] for volume, part in self._runs(first, count)]
            raw = runs[0] if len(runs) == 1 else np.concatenate(runs)
        # Converted as it lies in the file and then turned, which takes half the time.
        forwards = tuple(slice(None, None, -1 if step < 0 else 1) for step in raw.strides)
        values = to_physical(raw[forwards], *scaling(image))[forwards]
        if raw.dtype.kind == "f":
            return Pixels(np.nan_to_num(values[None]), np.isfinite(values[None]))
        return Pixels(values[None], np.broadcast_to(True, (1, *values.shape)))

    def _shown(self, raw: NDArray[Any]) -> NDArray[Any]:
        """A view of stored values as they lie in the file as (volumes, slices, rows, columns)."""
        return self.axes.upright(raw.reshape((*raw.shape[:3], self.volumes), order="F"))

    def _runs(self, first: int, count: int) -> Iterator[tuple[int, slice]]:
        """Volume by volume, the slices of the file in it among ``count`` from ``first`` on."""
        depth = len(self._slots()) // self.volumes
        for volume in range(first // depth, (first + count - 1) // depth + 1):
            start = volume * depth
            yield volume, slice(max(first, start) - start, min(first + count, start + depth) - start)

    @cached_property
    def classes(self) -> bool:
        """As the header says; most label maps have no intent, and are known by their values, where they can be read."""
        image = load(self.path)
        intent = int(image.header["intent_code"])
        if intent or scaling(image) != (1, 0):
            return intent == LABEL
        return read_as_labels(self._some_slices)

    def _some_slices(self) -> NDArray[Any]:
        with readable(self.path):
            shown = self._shown(stored(self.path, self.path.stat().st_mtime_ns))[0]
            # Mapped ones are read here, where it is said whose they are.
            return np.array(shown[:: max(1, len(shown) // LOOKED_AT)])

    @property
    def corner(self) -> Place | None:
        image = load(self.path)
        if not (int(image.header["sform_code"]) or int(image.header["qform_code"])):
            return None
        at = image.affine @ [*self.axes.first(image.shape), 1]
        return Place(PATIENT, tuple(float(v) for v in at[:3]))

    def missing(self, *, ends: bool = False) -> tuple[int, ...]:
        """Blank slices (one value throughout, or NaN) between slices of their volume that are not blank.

        A NIfTI file has no positions, so a slot that was never acquired can only show as a blank. Blank slices at an
        end of a volume are most often empty, and counted with ``ends`` alone.
        """
        slots = self._slots()
        pixels = self._read(0, len(slots), self.plane)
        plane = pixels.values[0].reshape(len(slots), -1)
        blank = (plane.min(axis=1) == plane.max(axis=1)) | ~pixels.valid[0].reshape(len(slots), -1).any(axis=1)
        if ends and blank.all():
            return tuple(range(self.shape[1]))
        found = set(range(self.shape[1])) - set(slots.tolist())
        for volume in np.split(np.arange(len(slots)), self.volumes):
            seen = volume[~blank[volume]]
            # Of a volume that shows nothing, nothing can be told from its own slices.
            if len(seen):
                first, last = (volume[0], volume[-1]) if ends else (seen[0], seen[-1])
                found |= {int(slots[i]) for i in range(first, last + 1) if blank[i]}
        return tuple(sorted(found))

    def finer(self, factor: int) -> NiftiScene:
        depth = (self.shape[1] // self.volumes - 1) * factor + 1
        positions = _positions(self.grid.spacing[0] / factor, depth, self.volumes)
        return replace(
            self,
            shape=(1, depth * self.volumes, *self.shape[2:]),
            grid=self.grid.finer(factor, positions),
            steps=self.steps * factor,
        )

    def template(self) -> Template:
        slope, intercept = scaling(load(self.path))
        return replace(Template.like(self, slope, intercept), plane=self.axes.plane)

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        if not destination.name.endswith((".nii", ".nii.gz")):
            destination = destination / f"{stem_of(self.path)}{'.nii.gz' if self.path.suffix == '.gz' else '.nii'}"
        image = load(self.path)
        with readable(self.path):
            own = image.dataobj.get_unscaled()
        depth = (own.shape[2] - 1) * self.steps + 1
        raw = np.zeros((*own.shape[:2], depth, *own.shape[3:]), own.dtype, order="F")
        raw[:, :, :: self.steps] = own
        slope, intercept = scaling(image)
        made = np.zeros_like(raw, dtype=np.uint8)
        shown, shown_made = self._shown(raw), self._shown(made)
        for patch in patches:
            region = (*divmod(patch.slice, shown.shape[1]), *patch.window.slices)
            fresh = to_stored(patch.values[0], raw.dtype, slope, intercept)
            shown[region] = np.where(patch.made[0], fresh, shown[region])
            shown_made[region] |= patch.made[0].astype(np.uint8)
        filled = alike(image, raw, self.steps, slope, intercept)
        sign(filled, raw, "partly synthetic", provenance)
        mask_path = named_beside(destination, "made")
        written = [save(filled, destination)]
        if not marked:
            return written
        mask = alike(image, made, self.steps)
        sign(mask, made, "what was made", provenance)
        return [*written, save(mask, mask_path)]

    def write_slice(
        self, destination: Path, position: float, day: str, patches: Iterable[Patch], provenance: Provenance
    ) -> list[Path]:
        if not destination.name.endswith((".nii", ".nii.gz")):
            destination = destination / f"{stem_of(self.path)}_{position:.6g}{self.grid.unit}.nii.gz"
        image = load(self.path)
        slope, intercept = scaling(image)
        dtype = image.get_data_dtype().newbyteorder("=")
        # What no slice shows is no number, as it was there.
        raw = np.full((*image.shape[:2], 1), np.nan if dtype.kind == "f" else 0, dtype, order="F")
        shown = self.axes.upright(raw[..., None])[0, 0]
        for patch in patches:
            region = patch.window.slices
            fresh = to_stored(patch.values[0], raw.dtype, slope, intercept)
            shown[region] = np.where(patch.made[0], fresh, shown[region])
        steps = position / self.grid.spacing[0]
        alone = alike(image, raw, 1, slope, intercept)
        move(alone.header, image.shape[2] - 1 - steps if self.axes.backwards[0] else steps)
        sign(alone, raw, "synthetic", provenance)
        return [save(alone, destination)]

    def write_map(self, stem: Path, values: NDArray[np.float32], about: str, provenance: Provenance) -> list[Path]:
        image = load(self.path)
        raw = np.zeros(image.shape, np.float32, order="F")
        shown = self._shown(raw)
        shown[:] = values.reshape(shown.shape)
        fresh = alike(image, raw, 1)
        # What the source said of its own numbers is not said of these.
        fresh.header.set_intent("none", name=about[:15])
        fresh.header["cal_min"] = fresh.header["cal_max"] = 0
        sign(fresh, raw, about, provenance)
        return [save(fresh, stem.with_name(f"{stem.name}.nii.gz"))]
