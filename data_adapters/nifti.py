"""NIfTI-1 and -2 volumes, compressed or not: shown as a radiologist sees them, written back as they lay."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.nifti1 import Nifti1Extension, Nifti1Image, Nifti1Pair
from nibabel.nifti2 import Nifti2Image, Nifti2Pair
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from data_adapters import fixity, room
from data_adapters.anatomy import PATIENT, Axes, affine_of
from data_adapters.atomic import replacing
from data_adapters.errors import BrokenFile, NotThisFormat, TooLarge, Unwritable, UserError
from data_adapters.labelled import read_as_labels
from data_adapters.naming import named_beside
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
    one_each,
    to_physical,
    to_stored,
    working_dtype,
)

NAME = "nifti"
SUFFIXES = (".nii", ".nii.gz", ".hdr")
"""Of a .hdr/.img pair the header is the file that is claimed."""
GZIP = b"\x1f\x8b"
LABEL = 1002
"""NIFTI_INTENT_LABEL (nifti1.h): values are indices."""
LOOKED_AT = 16
"""Slices from which it is told whether a file holds labels."""
FAR = 100
"""Distance between the volumes of a 4-D file, in their own lengths."""
COMMENT = 6
"""NIFTI_ECODE_COMMENT (nifti1.h): an extension that is plain text."""
OF_TIMING = ("slice_code", "slice_start", "slice_end", "slice_duration")
"""When each slice was acquired, which slices put between others were not."""
NIFTI_1 = {b"n+1\0": Nifti1Image, b"ni1\0": Nifti1Pair}
NIFTI_2 = {b"n+2\0": Nifti2Image, b"ni2\0": Nifti2Pair}
"""What each magic stands for: one file, or a .hdr/.img pair."""


def claims(path: Path, head: bytes) -> bool:
    """Whether the content, gunzipped if need be, carries the magic of NIfTI-1 (byte 344) or -2 (byte 4)."""
    return _class(path, head) is not None


def _class(path: Path, head: bytes) -> Any:
    """The nibabel class that the content, whose first bytes are ``head``, asks for; None where it is no NIfTI."""
    if head[:2] == GZIP:
        try:
            with gzip.open(path) as stream:
                head = stream.read(348)
        except (OSError, EOFError, zlib.error):
            return None
    return NIFTI_1.get(head[344:348]) or NIFTI_2.get(head[4:8])


def scan(files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
    """One scene a file (a 4-D file: its first volume's slices, then the next one's)."""
    return one_each(files, _open)


def _load(path: Path) -> Any:
    """The image of a file, its pixels still on disk; what the file is called does not matter but for pairs.

    Raises:
        BrokenFile: if it is no readable NIfTI.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(348)
        kind, packed = _class(path, head), head[:2] == GZIP
        if kind not in (Nifti1Image, Nifti2Image) or path.name.endswith(".nii.gz" if packed else ".nii"):
            return nibabel.load(path)
        return kind.from_stream(gzip.open(path) if packed else path.open("rb"))
    except Exception as error:
        raise BrokenFile(f"not readable as NIfTI ({error})", where=path, do="restore it from its source") from error


def _open(path: Path) -> NiftiScene:
    image = _load(path)
    if len(image.shape) < 3 or image.get_data_dtype().kind not in "iuf":
        raise NotThisFormat(
            f"holds {len(image.shape)}-D data of type {image.get_data_dtype()}", where=path, do="use 3-D or 4-D numbers"
        )
    _check_size(path, image)
    try:
        return _scene(path, image)
    except (ValueError, LookupError, ArithmeticError, HeaderDataError) as error:
        raise BrokenFile(
            f"a header value makes no sense ({error})", where=path, do="restore it from its source"
        ) from error


def _check_size(path: Path, image: Any) -> None:
    """Raise UserError unless the file is long enough for the pixels that its header speaks of."""
    if min(image.shape) < 1:
        raise BrokenFile(f"says that it is {image.shape} voxels", where=path, do="restore it from its source")
    pixels = _pixel_file(path, image)
    if not pixels.is_file():
        raise BrokenFile(f"has no {pixels.name} beside it", where=path, do="put the two files of the pair together")
    room.held(math.prod(image.shape) * image.get_data_dtype().itemsize, pixels, packed=_packed(pixels))
    if math.prod(image.shape[2:]) > room.MOST_SLICES:
        raise TooLarge(f"holds {math.prod(image.shape[2:])} slices", where=path, do="split it")


def _pixel_file(path: Path, image: Any) -> Path:
    """The file itself; of a pair, the other one."""
    return Path(image.file_map["image"].filename or path)


def _packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == GZIP


def _scene(path: Path, image: Any) -> NiftiScene:
    """The scene of a header.

    Raises:
        ValueError, LookupError, ArithmeticError, HeaderDataError: if a value makes no sense.
    """
    header = image.header
    axes = Axes.of(image.affine)
    zooms = [abs(float(header.get_zooms()[axis])) for axis in axes.order]
    slope, intercept = _scaling(image)
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
        name=_stem(path),
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
        values = np.zeros(shape, working_dtype(np.dtype(self.dtype), *_scaling(_load(self.path))))
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
        image = _load(self.path)
        with _readable(self.path):
            shown = self._shown(_stored(self.path, self.path.stat().st_mtime_ns))
            runs = [shown[volume, part, rows, columns] for volume, part in self._runs(first, count)]
            raw = runs[0] if len(runs) == 1 else np.concatenate(runs)
        # Converted as it lies in the file and then turned, which takes half the time.
        forwards = tuple(slice(None, None, -1 if step < 0 else 1) for step in raw.strides)
        values = to_physical(raw[forwards], *_scaling(image))[forwards]
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
        image = _load(self.path)
        intent = int(image.header["intent_code"])
        if intent or _scaling(image) != (1, 0):
            return intent == LABEL
        return read_as_labels(self._some_slices)

    def _some_slices(self) -> NDArray[Any]:
        with _readable(self.path):
            shown = self._shown(_stored(self.path, self.path.stat().st_mtime_ns))[0]
            # Mapped ones are read here, where it is said whose they are.
            return np.array(shown[:: max(1, len(shown) // LOOKED_AT)])

    @property
    def corner(self) -> Place | None:
        image = _load(self.path)
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
        slope, intercept = _scaling(_load(self.path))
        return replace(Template.like(self, slope, intercept), plane=self.axes.plane)

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        if not destination.name.endswith((".nii", ".nii.gz")):
            destination = destination / f"{_stem(self.path)}{'.nii.gz' if self.path.suffix == '.gz' else '.nii'}"
        image = _load(self.path)
        with _readable(self.path):
            stored = image.dataobj.get_unscaled()
        depth = (stored.shape[2] - 1) * self.steps + 1
        raw = np.zeros((*stored.shape[:2], depth, *stored.shape[3:]), stored.dtype, order="F")
        raw[:, :, :: self.steps] = stored
        slope, intercept = _scaling(image)
        made = np.zeros_like(raw, dtype=np.uint8)
        shown, shown_made = self._shown(raw), self._shown(made)
        for patch in patches:
            region = (*divmod(patch.slice, shown.shape[1]), *patch.window.slices)
            fresh = to_stored(patch.values[0], raw.dtype, slope, intercept)
            shown[region] = np.where(patch.made[0], fresh, shown[region])
            shown_made[region] |= patch.made[0].astype(np.uint8)
        filled = _alike(image, raw, self.steps, slope, intercept)
        _sign(filled, raw, "partly synthetic", provenance)
        mask_path = named_beside(destination, "made")
        written = [_save(filled, destination)]
        if not marked:
            return written
        mask = _alike(image, made, self.steps)
        _sign(mask, made, "what was made", provenance)
        return [*written, _save(mask, mask_path)]

    def write_slice(
        self, destination: Path, position: float, day: str, patches: Iterable[Patch], provenance: Provenance
    ) -> list[Path]:
        if not destination.name.endswith((".nii", ".nii.gz")):
            destination = destination / f"{_stem(self.path)}_{position:.6g}{self.grid.unit}.nii.gz"
        image = _load(self.path)
        slope, intercept = _scaling(image)
        dtype = image.get_data_dtype().newbyteorder("=")
        # What no slice shows is no number, as it was there.
        raw = np.full((*image.shape[:2], 1), np.nan if dtype.kind == "f" else 0, dtype, order="F")
        shown = self.axes.upright(raw[..., None])[0, 0]
        for patch in patches:
            region = patch.window.slices
            fresh = to_stored(patch.values[0], raw.dtype, slope, intercept)
            shown[region] = np.where(patch.made[0], fresh, shown[region])
        steps = position / self.grid.spacing[0]
        alone = _alike(image, raw, 1, slope, intercept)
        _move(alone.header, image.shape[2] - 1 - steps if self.axes.backwards[0] else steps)
        _sign(alone, raw, "synthetic", provenance)
        return [_save(alone, destination)]

    def write_map(self, stem: Path, values: NDArray[np.float32], about: str, provenance: Provenance) -> list[Path]:
        image = _load(self.path)
        raw = np.zeros(image.shape, np.float32, order="F")
        shown = self._shown(raw)
        shown[:] = values.reshape(shown.shape)
        fresh = _alike(image, raw, 1)
        # What the source said of its own numbers is not said of these.
        fresh.header.set_intent("none", name=about[:15])
        fresh.header["cal_min"] = fresh.header["cal_max"] = 0
        _sign(fresh, raw, about, provenance)
        return [_save(fresh, stem.with_name(f"{stem.name}.nii.gz"))]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say of pixels that cannot be read whose they are."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise BrokenFile(f"pixels cannot be read ({error})", where=path, do="restore it from its source") from error


@lru_cache(maxsize=2)
def _stored(path: Path, changed: int) -> NDArray[Any]:
    """Stored values as they lie in the file: mapped, or unpacked once for all the windows that are read."""
    image = _load(path)
    if _packed(_pixel_file(path, image)):
        # nibabel takes the memory that a header asks for before it looks for the pixels; what is mapped takes none.
        room.taken(math.prod(image.shape) * image.get_data_dtype().itemsize, path)
    return np.asanyarray(image.dataobj.get_unscaled())


def _stem(path: Path) -> str:
    """The name without its NIfTI suffixes."""
    return re.sub(r"(\.nii)?(\.gz)?$|\.hdr$", "", path.name)


def _scaling(image: Any) -> tuple[float, float]:
    """Slope and intercept from stored to physical values."""
    return float(image.dataobj.slope), float(image.dataobj.inter)


def _alike(image: Any, raw: NDArray[Any], steps: int, slope: float = 1.0, intercept: float = 0.0) -> Any:
    """An image of other stored values with the header, affines and extensions of ``image``, as one file.

    ``raw`` has so many ``steps`` along its third axis for each of the image's own.
    """
    kind = Nifti2Image if isinstance(image.header, Nifti2Image.header_class) else Nifti1Image
    # With its affine withheld, nibabel leaves both of the header's own, and their codes, as they are.
    fresh = kind(raw, None, image.header.copy())
    header = fresh.header
    header.set_data_dtype(raw.dtype)
    header.set_slope_inter(slope, intercept)
    if steps > 1:
        header["pixdim"][3] /= steps
        for row in ("srow_x", "srow_y", "srow_z"):
            header[row][2] /= steps
        if header.get_dim_info()[2] in (None, 2):
            for timing in OF_TIMING:
                header[timing] = 0
    return fresh


def _move(header: Any, steps: float) -> None:
    """Let a lone slice lie so many steps along the third axis from where the first one lay."""
    for row in ("srow_x", "srow_y", "srow_z"):
        header[row][3] += header[row][2] * steps
    if int(header["qform_code"]):
        for offset, along in zip(("qoffset_x", "qoffset_y", "qoffset_z"), header.get_qform()[:3, 2], strict=True):
            header[offset] += along * steps
    for timing in OF_TIMING:
        header[timing] = 0


def _save(image: Any, destination: Path) -> Path:
    """Write atomically; the gzip stream carries no time, so that equal volumes are equal files."""
    with replacing(destination) as temporary:
        data = image.to_bytes()
        temporary.write_bytes(gzip.compress(data, mtime=0) if destination.name.endswith(".gz") else data)
    return destination


def _sign(image: Any, raw: NDArray[Any], what: str, provenance: Provenance) -> None:
    """Say in a header who made its pixels: in ``descrip`` for people, in an extension for machines.

    A header has room for 79 letters and no provenance; comments (code 6, nifti1.h) may be of any length.
    """
    image.header["descrip"] = f"{what}: {provenance.tool} {provenance.version}".encode()[:79]
    text = fixity.as_text(provenance, fixity.digest_of(raw.T)).encode()
    extensions = image.header.extensions
    # Of a file that was filled before, the new statement takes the place of the old one.
    extensions[:] = [extension for extension in extensions if _statement(extension) is None]
    extensions.append(Nifti1Extension("comment", text))


def _statement(extension: Any) -> fixity.Stated | None:
    """What ``_sign`` wrote; None of any other extension."""
    if extension.get_code() != COMMENT:
        return None
    content = extension.get_content()
    return fixity.Stated.from_text(content.rstrip(b"\0").decode(errors="replace") if isinstance(content, bytes) else "")


def stated(path: Path) -> fixity.Stated | None:
    """What a file says of its making.

    Raises:
        BrokenFile: if it is no readable NIfTI.
    """
    found = [_statement(extension) for extension in _load(path).header.extensions]
    return next((statement for statement in reversed(found) if statement is not None), None)


def pixel_digest(path: Path) -> str:
    """The digest of a file's stored values, the first axis running fastest as it does in the file.

    Raises:
        BrokenFile: if they cannot be read.
    """
    with _readable(path):
        return fixity.digest_of(np.asanyarray(_load(path).dataobj.get_unscaled()).T)


def write_sample(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """A synthetic sample, (1, S, H, W) in physical units, as NIfTI in the plane of its source.

    Raises:
        Unwritable: if there are several channels.
    """
    if values.shape[0] != 1:
        raise Unwritable(f"{values.shape[0]} channels do not fit a NIfTI volume", do="write geotiff or png")
    dtype = np.dtype(template.dtype)
    if dtype == np.int64:
        dtype = np.dtype(np.int32)
    stored = to_stored(values[0], dtype, template.slope, template.intercept).transpose(2, 1, 0)
    affine = affine_of(template.plane, stored.shape[::-1], template.spacing)
    image = (Nifti2Image if max(stored.shape) > 32767 else Nifti1Image)(stored, affine)
    image.header.set_xyzt_units("mm" if template.unit == "mm" else 0)
    image.header.set_slope_inter(template.slope, template.intercept)
    _sign(image, stored, "synthetic", provenance)
    return [_save(image, stem.with_name(stem.name + ".nii.gz"))]
