"""Files with holes whose truth is known: copies of real ones, a part of which is left out."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy.ndimage import label

from augmentor.holes.find import find
from augmentor.holes.kinds import Mask
from augmentor.train import train
from data_adapters import Scene, open_scenes


@dataclass(frozen=True)
class Case:
    """A file to fill, ``holed``, with its ``mask`` if it has one; the ``truth`` (C, S, H, W), judged in ``hole``.

    ``aux`` are files that lie beside it. ``run`` was trained on others; with ``adapting`` it goes on on this one. Holes
    ``at_ends`` reach the first or last slice.
    """

    name: str
    holed: Path
    mask: Path | None
    scene: Scene
    truth: NDArray[Any]
    hole: Mask
    aux: tuple[Path, ...] = ()
    run: Path | None = None
    adapting: bool | None = None
    at_ends: bool = False

    @cached_property
    def hidden(self) -> Mask:
        """Everything that is to be rebuilt (S, H, W), whether it is judged or not."""
        holes, _ = find(self.scene, self.mask, extrapolate=self.at_ends)
        return np.asarray(holes(self.scene.plane).any(axis=0))

    @cached_property
    def parts(self) -> NDArray[np.int64]:
        """Parts of the hole (S, H, W), numbered from 1: slices or dates; of a single plane, holes that do not touch."""
        if len(self.hole) == 1:
            return np.asarray(label(self.hole)[0], dtype=np.int64)
        holed = self.hole.any(axis=(1, 2))
        return np.where(self.hole, np.cumsum(holed)[:, None, None], 0)


Build = tuple[str, Callable[[], Case]]
"""What a case is called, and what makes its files."""


PATTERNS: dict[str, Callable[[int], bool]] = {
    "every 4th slice": lambda index: index % 4 == 2,
    "3 slices in a row": lambda index: index % 8 in (3, 4, 5),
    "every 2nd slice": lambda index: index % 2 == 1,
}
"""Which slices are missing; the first and the last one never are."""

VOLUMES = {
    "MR sag_mprage_64": "mr_dicom/sag_mprage_64",
    "MR stroke_T1": "nifti/stroke_T1.nii.gz",
    "MR stroke_T2": "nifti/stroke_T2.nii.gz",
    "MR stroke_FLAIR": "nifti/stroke_FLAIR.nii.gz",
    "MR totalseg_mr_sm": "nifti/totalseg_example_mr_sm.nii.gz",
    "CT totalseg_ct": "nifti/totalseg_example_ct.nii.gz",
    "CT totalseg_ct_sm": "nifti/totalseg_example_ct_sm.nii.gz",
    "CT abdomen_20_j2k": "ct_dicom/abdomen_20_j2k",
    "CT phantom_tilted_34": "ct_dicom/phantom_tilted_34_rle",
}

BESIDE = {
    "MR stroke_T2, T1 beside it": ("nifti/stroke_T2.nii.gz", ("nifti/stroke_T1.nii.gz",)),
    "MR stroke_FLAIR, T1 and T2 beside it": (
        "nifti/stroke_FLAIR.nii.gz",
        ("nifti/stroke_T1.nii.gz", "nifti/stroke_T2.nii.gz"),
    ),
}
"""Volumes and other contrasts of the same head, on the same grid."""

OTHERS = {
    "MR sag_mprage_64": ("nifti/stroke_T1.nii.gz", "nifti/stroke_T2.nii.gz", "nifti/stroke_FLAIR.nii.gz"),
    "MR stroke_T1": ("mr_dicom/sag_mprage_64", "nifti/totalseg_example_mr_sm.nii.gz"),
}
"""MR volumes, and those of other patients that a run is trained on for them."""

ALONE = {
    "Sentinel-2, Bolzano": "satellite/S2_L2A_sample_5band.tif",
    "Sentinel-2, ukis-csmask": "satellite/csmask_sentinel2_image.tif",
    "Landsat-7, Bahamas": "satellite/RGB.byte.tif",
    "Sentinel-2, Rome": "satellite_timeseries/s2_rome_west/S2_L1C_2018-07-20.tif",
    "Sentinel-2, spring 39 p500": "satellite_timeseries/sen12mscr_pairs/ROIs1158_spring_39_p500_clear.tif",
}

STRIPED = ("Landsat-7, Bahamas", "Sentinel-2, ukis-csmask")
"""Those that are filled under stripes, too."""

STACKS = {"13 bands": tuple(range(1, 14)), "4 bands": (2, 3, 4, 8)}


def volumes(data: Path, work: Path) -> Iterator[Build]:
    """Every volume without some of its slices."""
    for pattern, left_out in PATTERNS.items():
        for name, path in VOLUMES.items():
            called = f"{name}, {pattern}"
            yield called, partial(_volume, called, data / path, work / name / pattern, left_out)


def beside(data: Path, work: Path) -> Iterator[Build]:
    """Volumes without some of their slices, other contrasts of the same head beside them."""
    pattern = "every 4th slice"
    for name, (path, others) in BESIDE.items():
        called = f"{name}, {pattern}"
        volume = partial(_volume, called, data / path, work / name, PATTERNS[pattern])
        yield called, partial(_with, volume, tuple(data / other for other in others))


def _with(build: Callable[[], Case], aux: tuple[Path, ...]) -> Case:
    return replace(build(), aux=aux)


HOW = ((False, ""), (True, " that goes on"))
"""Whether a run goes on to learn on the file that it fills, and how that is called."""


def trained(data: Path, work: Path) -> Iterator[Build]:
    """Volumes and stacks with a part left out, and a run that was trained on other patients or another place, as it is
    and going on."""
    pattern = "every 4th slice"
    for name, others in OTHERS.items():
        run = cache(partial(_run_of_others, tuple(data / other for other in others), work / name))
        for adapting, how in HOW:
            called = f"{name}, a run of others{how}, {pattern}"
            volume = partial(_volume, called, data / VOLUMES[name], work / called, PATTERNS[pattern])
            yield called, partial(_by, volume, run, adapting)
    series, bands = data / "satellite_timeseries", "4 bands"
    run = cache(partial(_run_of_rome, series, work / "Rome", bands))
    for name, clear, other in _pairs(series):
        for adapting, how in HOW:
            called = f"{name}, a run of Rome{how}, {bands}"
            yield called, partial(_by, partial(_pair, called, clear, other, work / called, bands), run, adapting)


def _by(build: Callable[[], Case], run: Callable[[], Path], adapting: bool) -> Case:
    return replace(build(), run=run(), adapting=adapting)


def _run_of_others(others: tuple[Path, ...], work: Path) -> Path:
    """A run that was trained on other volumes."""
    seen = work / "others"
    seen.mkdir(parents=True)
    for other in others:
        (seen / other.name).symlink_to(other)
    return train("mri_missing_slices", data=seen, runs=work / "runs").folder


def _run_of_rome(series: Path, work: Path, bands: str) -> Path:
    """A run that was trained on what the clouds leave of a year near Rome."""
    for path in sorted((series / "s2_rome_west").glob("*.tif")):
        _bands_of(path, work / "images" / path.name, STACKS[bands])
    masks = series / "s2_rome_west_masks"
    return train("sentinel2_clouds", data=work / "images", masks=masks, runs=work / "runs").folder


def _volume(name: str, source: Path, folder: Path, left_out: Callable[[int], bool]) -> Case:
    leave_out = _leave_out_files if source.is_dir() else _leave_out_slices
    holed = leave_out(source, folder, left_out)
    full, scene = open_scenes(source)[0], open_scenes(holed)[0]
    hole = find(scene, None)[0](scene.plane)[0]
    return Case(name, holed, None, scene, full.read(0, full.shape[1]).values, hole)


def _leave_out_files(source: Path, folder: Path, left_out: Callable[[int], bool]) -> Path:
    scene = open_scenes(source)[0]
    folder.mkdir(parents=True)
    last = scene.shape[1] - 1
    for index, slot in enumerate(scene.slots):  # type: ignore[attr-defined]
        if index in (0, last) or not left_out(index):
            shutil.copy(slot.path, folder / slot.path.name)
    return folder


def _leave_out_slices(source: Path, folder: Path, left_out: Callable[[int], bool]) -> Path:
    """A copy with blank slices, counted as they are shown."""
    folder.mkdir(parents=True)
    scene: Any = open_scenes(source)[0]
    image: Any = nibabel.load(source)
    raw = np.array(image.dataobj.get_unscaled())
    count = raw.shape[2]
    slots = [index for index in range(1, count - 1) if left_out(index)]
    raw[:, :, [count - 1 - index if scene.axes.backwards[0] else index for index in slots]] = raw.min()
    blank = type(image)(raw, None, image.header)
    blank.header.set_slope_inter(image.dataobj.slope, image.dataobj.inter)
    nibabel.save(blank, folder / source.name)
    return folder / source.name


def stacks(data: Path, work: Path) -> Iterator[Build]:
    """Clear dates of real stacks under the real masks of cloudy ones."""
    series = data / "satellite_timeseries"
    for bands in STACKS:
        called = f"Rome, 7 of 30 dates, {bands}"
        yield called, partial(_rome, called, series, work / "rome" / bands, bands)
    for bands in STACKS:
        for name, clear, other in _pairs(series):
            called = f"{name}, 1 of 2 dates, {bands}"
            yield called, partial(_pair, called, clear, other, work / name / bands, bands)


def _pairs(series: Path) -> Iterator[tuple[str, Path, Path]]:
    """Clear dates that have a cloudy one beside them, by name; and another place's, whose clouds they are put under."""
    clear = sorted((series / "sen12mscr_pairs").glob("*_clear.tif"))
    for path, other in zip(clear, clear[1:] + clear[:1], strict=True):
        yield path.stem.removesuffix("_clear"), path, other


def _rome(name: str, series: Path, work: Path, bands: str) -> Case:
    """Every other clear date of 2018 under the clouds of a partly cloudy one."""
    with (series / "s2_rome_west_dates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    clear = [r["date"] for r in rows if r["class"] == "clear"]
    partial = [r["date"] for r in rows if r["class"] == "partial"]
    judged = clear[1::2]
    masks, images = work / "masks", work / "images"
    shutil.copytree(series / "s2_rome_west_masks", masks)
    for number, day in enumerate(judged):
        moved = series / "s2_rome_west_masks" / f"S2_cloud_{partial[number % len(partial)]}.tif"
        shutil.copy(moved, masks / f"S2_cloud_{day}.tif")
    for path in sorted((series / "s2_rome_west").glob("*.tif")):
        _bands_of(path, images / path.name, STACKS[bands])
    return _under(name, images, masks, set(judged))


def _pair(name: str, clear: Path, other: Path, work: Path, bands: str) -> Case:
    """A clear date under another place's clouds, beside one other date, under its own."""
    cloudy, own = (clear.with_name(clear.name.replace("_clear", what)) for what in ("_cloudy", "_mask"))
    moved = other.with_name(other.name.replace("_clear", "_mask"))
    images, masks = work / "images", work / "masks"
    for day, image, mask in (("2018-05-01", cloudy, own), ("2018-05-15", clear, moved)):
        _bands_of(image, images / f"S2_{day}.tif", STACKS[bands])
        _bands_of(mask, masks / f"mask_{day}.tif", (1,), place=image)
    return _under(name, images, masks, {"2018-05-15"})


def _bands_of(source: Path, destination: Path, bands: tuple[int, ...], place: Path | None = None) -> None:
    """A copy of some bands; it lies where ``place`` does, if that is given."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(source) as data, rasterio.open(place or source) as there:
        profile = {**data.profile, "count": len(bands), "crs": there.crs, "transform": there.transform}
        with rasterio.open(destination, "w", **profile) as out:
            out.write(data.read(list(bands)))
            for number, band in enumerate(bands, 1):
                out.set_band_description(number, data.descriptions[band - 1] or f"band{band}")


def _under(name: str, images: Path, masks: Path, judged: set[str]) -> Case:
    scene = open_scenes(images)[0]
    hole = find(scene, masks)[0](scene.plane)[0]
    chosen = np.isin(scene.dates, sorted(judged))[:, None, None]
    return Case(name, images, masks, scene, scene.read(0, scene.shape[1]).values, hole & chosen)


def alone(data: Path, work: Path) -> Iterator[Build]:
    """Single dates under real clouds from elsewhere, and under stripes as Landsat 7 has had since its scan line
    corrector failed."""
    masks = sorted((data / "satellite_timeseries/sen12mscr_pairs").glob("*_mask.tif"))
    shapes = []
    for mask in masks:
        with rasterio.open(mask) as cover:
            shapes.append(cover.read(1) > 0)
    for number, (name, path) in enumerate(ALONE.items()):
        called = f"{name}, one date"
        yield called, partial(_alone, called, data / path, work / name, partial(_clouds, shapes, number))
    for place in STRIPED:
        called = f"{place}, one date, stripes"
        yield called, partial(_alone, called, data / ALONE[place], work / "stripes" / place, _stripes)


def _alone(name: str, source: Path, work: Path, covering: Callable[[int, int], Mask]) -> Case:
    work.mkdir(parents=True)
    scene = open_scenes(source)[0]
    height, width = scene.shape[2:]
    mask = work / "mask.tif"
    with rasterio.open(source) as data:
        profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "uint8"}
        with rasterio.open(mask, "w", **profile, crs=data.crs, transform=data.transform) as out:
            out.write(covering(height, width).astype(np.uint8), 1)
    pixels = scene.read(0, 1)
    hole = find(scene, mask)[0](scene.plane)[0] & pixels.valid.all(axis=0)
    return Case(name, source, mask, scene, pixels.values, hole)


def _clouds(shapes: list[Mask], first: int, height: int, width: int) -> Mask:
    """Squares of clouds: in each one another shape, mirrored another way."""
    side = shapes[0].shape[0]
    clouds = np.zeros((-(-height // side) * side, -(-width // side) * side), dtype=bool)
    for number, row in enumerate(range(0, len(clouds), side)):
        for column in range(0, clouds.shape[1], side):
            turn = number + column // side + first
            shape = np.rot90(shapes[turn % len(shapes)], turn // len(shapes))
            clouds[row : row + side, column : column + side] = shape
    return clouds[:height, :width]


def _stripes(height: int, width: int) -> Mask:
    """One in 33 rows, slanted, widening to 14 towards the sides."""
    rows, columns = np.mgrid[:height, :width]
    wide = 1 + 13 * np.abs(columns - width / 2) / (width / 2)
    return np.asarray((rows + 0.15 * columns) % 33 < wide)
