"""Phantoms: drawn anatomy and ground with valid headers, deterministic, with the truth kept.

They stand in for data that cannot be shipped. Nothing in them was measured on anyone or anywhere.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from data_adapters.registry import adapter
from data_adapters.scene import Channel, Kind, Provenance, Template

Plane = NDArray[np.float64]
BANDS = ("B02", "B03", "B04", "B08", "B11")
UTM = (
    'PROJCS["WGS 84 / UTM zone 33N",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",15],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1],AUTHORITY["EPSG","32633"]]'
)


class Phantoms(NamedTuple):
    """Where the phantoms of one seed lie; each ``*_truth`` is the same without holes."""

    chest: Path
    ct: Path
    ct_truth: Path
    mr: Path
    mr_truth: Path
    stack: Path
    clouds: Path
    stack_truth: Path


def draw_all(folder: Path, *, seed: int = 0, radiographs: int = 160, size: int = 128) -> Phantoms:
    """Draw a labelled radiograph set, a CT series, an MR volume and a dated stack below ``folder``."""
    places = Phantoms(*(folder / name for name in Phantoms._fields))
    places = places._replace(mr=folder / "mr.nii.gz", mr_truth=folder / "mr_truth.nii.gz")
    chest_set(places.chest, radiographs, seed, size)
    volume = ct_volume(seed, size)
    holes = range(5, len(volume) - 3, 6)
    write_ct(places.ct_truth, volume, seed)
    write_ct(places.ct, volume, seed + 1, leave_out=holes)
    brain = mr_volume(seed, size)
    write_mr(places.mr_truth, brain, seed)
    blank = brain.copy()
    blank[list(range(6, len(brain) - 3, 7))] = 0
    write_mr(places.mr, blank, seed)
    write_stack(places, seed, size)
    return places


def _provenance(seed: int, index: int = 0) -> Provenance:
    return Provenance("phantom", "1", "drawn phantom", seed=seed, index=index, source="phantom")


def _grid(size: int) -> tuple[Plane, Plane]:
    """Rows (down) and columns (right) of a square plane, both from -1 to 1."""
    axis = np.linspace(-1, 1, size)
    return axis[:, None], axis[None, :]


def _blob(
    y: Plane, x: Plane, cy: float, cx: float, ry: float, rx: float, soft: float = 0.08, turn: float = 0.0
) -> Plane:
    """An ellipse, 1 inside and 0 outside, with a soft rim."""
    dy, dx = y - cy, x - cx
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / rx
    v = (-dx * np.sin(turn) + dy * np.cos(turn)) / ry
    return 1 / (1 + np.exp(np.clip((np.sqrt(u * u + v * v) - 1) / soft, -50, 50)))


def _texture(random: np.random.Generator, shape: tuple[int, ...], scale: float) -> NDArray[np.float64]:
    """Smooth noise of unit spread."""
    noise = ndimage.gaussian_filter(random.standard_normal(shape), scale, mode="wrap")
    return np.asarray(noise / (noise.std() + 1e-12))


def radiograph(random: np.random.Generator, size: int, *, opacity: bool) -> Plane:
    """A frontal chest radiograph in [0, 1], air dark: (size, size). With ``opacity``, a lung has a cloudy patch."""
    y, x = _grid(size)
    wide, tall = random.uniform(0.92, 1.08), random.uniform(0.92, 1.08)
    lean, rise = random.uniform(-0.06, 0.06), random.uniform(-0.08, 0.08)
    y, x = (y - rise) / tall, (x - lean) / wide
    body = _blob(y, x, 0.35, 0, 1.25, 0.88, 0.05)
    neck = _blob(y, x, -0.95, 0, 0.4, 0.24, 0.1)
    thick = np.clip(np.maximum(body, neck), 0, 1) * (0.62 + 0.1 * np.clip(y, -1, 1))
    shoulders = _blob(y, x, -0.62, 0.78, 0.3, 0.42, 0.2, 0.5) + _blob(y, x, -0.62, -0.78, 0.3, 0.42, 0.2, -0.5)
    air = np.zeros((size, size))
    for side in (-1.0, 1.0):
        height = random.uniform(0.55, 0.66) - (0.05 if side > 0 else 0)
        lung = _blob(
            y, x, -0.06, side * random.uniform(0.38, 0.42), height, random.uniform(0.26, 0.31), 0.07, side * 0.12
        )
        dome = 1 / (1 + np.exp((y - 0.42 + 0.22 * ((x - side * 0.4) / 0.35) ** 2 * 0.6) / 0.03))
        air += lung * dome
    heart = _blob(y, x, 0.22, 0.14, random.uniform(0.3, 0.36), random.uniform(0.24, 0.34), 0.07, -0.5)
    spine = np.exp(-((x / 0.085) ** 2)) * (0.85 + 0.15 * np.cos(y * 34))
    image = thick + 0.12 * shoulders - 0.42 * air * (1 - 0.75 * heart) + 0.14 * heart + 0.12 * spine * body
    ribs = np.zeros((size, size))
    spread = random.uniform(0.145, 0.165)
    for number in range(9):
        centre = -0.72 + number * spread + 0.38 * x**2 * (0.6 + 0.06 * number)
        ribs += np.exp(-(((y - centre) / 0.022) ** 2))
    image += 0.075 * ribs * np.clip(air, 0, 1) + 0.03 * ribs * body
    for side in (-1.0, 1.0):
        clavicle = np.exp(-(((y + 0.66 - 0.14 * (side * x - 0.3)) / 0.03) ** 2)) * _blob(
            y, x, -0.66, side * 0.38, 0.2, 0.34, 0.15
        )
        vessels = np.exp(-(((x - side * 0.17) / 0.12) ** 2 + ((y - 0.0) / 0.2) ** 2))
        image += 0.09 * clavicle + 0.1 * vessels * (1 + 0.4 * _texture(random, (size, size), size / 50))
    if opacity:
        side = random.choice([-1.0, 1.0])
        patch = _blob(y, x, random.uniform(-0.2, 0.3), side * random.uniform(0.33, 0.46), random.uniform(0.14, 0.26),
                      random.uniform(0.12, 0.2), 0.25)  # fmt: skip
        image += patch * air * (0.24 + 0.07 * _texture(random, (size, size), size / 24))
    image += 0.012 * _texture(random, (size, size), 1.0) + 0.02 * _texture(random, (size, size), size / 10)
    contrast = random.uniform(0.9, 1.1)
    return np.clip((image - 0.45) * contrast + 0.45 + random.uniform(-0.03, 0.03), 0, 1)


def chest_set(folder: Path, count: int, seed: int, size: int = 128) -> Path:
    """``count`` radiographs as DICOM (CR, 12 bits), half of them with an opacity, every fifth one not square."""
    folder.mkdir(parents=True, exist_ok=True)
    template = Template(
        "dicom", "image", "CR", (Channel("CR"),), "uint16", 0, 4095, bits=12,
        spacing=(1.0, 350 / size, 350 / size), unit="mm",
    )  # fmt: skip
    rows = []
    for index in range(count):
        random = np.random.default_rng([seed, index])
        label = ("clear", "opacity")[index % 2]
        image = radiograph(random, size, opacity=label == "opacity")
        if index % 5 == 4:
            image = image[size // 16 : -size // 16]
        stem = folder / f"radiograph_{index:04d}"
        files = adapter("dicom").write_sample(stem, image[None, None] * 4095, template, _provenance(seed, index))
        rows.append((files[0].name, label, f"phantom{index // 2:04d}"))
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("file", "finding", "patient"), *rows])
    return folder


def ct_volume(seed: int, size: int, depth: int = 36) -> NDArray[np.float64]:
    """A trunk in HU, (depth, size, size): body, ribs, spine, liver, spleen, kidneys, gas, noise."""
    random = np.random.default_rng([seed, 101])
    y, x = _grid(size)
    planes = []
    speckle = _texture(random, (depth, size, size), 1.2)
    for slice_ in range(depth):
        t = slice_ / (depth - 1)
        plane = np.full((size, size), -1000.0)

        def paint(mask: Plane, hu: float, plane: Plane = plane) -> None:
            plane += mask * (hu - plane)

        wide, tall = 0.86 - 0.06 * t, 0.62 + 0.03 * np.sin(3 * t)
        paint(_blob(y, x, 0, 0, tall, wide, 0.015), -90)
        paint(_blob(y, x, 0, 0, tall - 0.08, wide - 0.08, 0.02), 45)
        for side in (-1.0, 1.0):
            for number in range(3):
                angle = 0.5 + 0.55 * number + 0.9 * t
                cy, cx = -0.5 * (tall / 0.62) * np.cos(angle), side * (wide - 0.13) * np.sin(angle)
                paint(_blob(y, x, cy, cx, 0.04, 0.07, 0.15, side * angle), 520)
            kidney = np.exp(-(((t - 0.62 - 0.06 * side) / 0.22) ** 2))
            if kidney > 0.3:
                paint(_blob(y, x, 0.2, side * 0.42, 0.14 * kidney, 0.1 * kidney, 0.08, side * 0.4), 130)
        liver = np.sin(np.pi * np.clip(1.15 - t, 0, 1))
        paint(_blob(y, x, -0.05, -0.38, 0.38 * liver + 0.01, 0.36 * liver + 0.01, 0.05, 0.3), 105)
        paint(_blob(y, x, -0.12, 0.48, 0.22 * liver + 0.01, 0.16 * liver + 0.01, 0.06, -0.3), 95)
        paint(_blob(y, x, -0.3, 0.12 + 0.2 * t, 0.1, 0.14 + 0.08 * np.sin(7 * t), 0.08), -650 if t < 0.6 else 20)
        paint(_blob(y, x, 0.14, 0.05, 0.065, 0.065, 0.1), 170)
        paint(_blob(y, x, 0.36, 0, 0.12, 0.14, 0.08), 320 + 120 * np.cos(t * 38))
        paint(_blob(y, x, 0.5, 0, 0.045, 0.05, 0.1), 40)
        planes.append(ndimage.gaussian_filter(plane, 0.6) + 9 * speckle[slice_])
    return np.clip(np.stack(planes), -1024, 3071)


def write_ct(folder: Path, volume: NDArray[np.float64], seed: int, leave_out: Sequence[int] = ()) -> Path:
    """A CT series, 12 bits with the usual intercept of -1024; ``leave_out`` slices are not there."""
    template = Template(
        "dicom", "volume", "CT", (Channel("CT", "HU"),), "uint16", -1024, 3071, intercept=-1024, bits=12,
        spacing=(2.5, 360 / volume.shape[1], 360 / volume.shape[2]), unit="mm",
    )  # fmt: skip
    files = adapter("dicom").write_sample(folder, volume[None], template, _provenance(seed))
    for index in leave_out:
        files[index].unlink()
    return folder


def mr_volume(seed: int, size: int, depth: int = 40) -> NDArray[np.float64]:
    """A T1-weighted head, (depth, size, size), arbitrary units of 0 to 1200."""
    random = np.random.default_rng([seed, 202])
    y, x = _grid(size)
    folds = _texture(random, (depth, size, size), size / 40)
    speckle = np.abs(random.standard_normal((depth, size, size)))
    planes = []
    for slice_ in range(depth):
        z = (slice_ / (depth - 1) - 0.45) * 1.7
        inside = np.sqrt(max(0.06, 1 - z * z))
        plane = np.zeros((size, size))

        def paint(mask: Plane, value: float, plane: Plane = plane) -> None:
            plane += mask * (value - plane)

        paint(_blob(y, x, 0, 0, 0.9 * inside, 0.74 * inside, 0.02), 620)
        paint(_blob(y, x, 0, 0, 0.83 * inside, 0.67 * inside, 0.02), 60)
        cortex = _blob(y, x, 0, 0, 0.77 * inside, 0.61 * inside, 0.03)
        paint(cortex, 430)
        depth_in = np.sqrt((y / (0.77 * inside)) ** 2 + (x / (0.61 * inside)) ** 2)
        white = cortex / (1 + np.exp((depth_in - 0.74 - 0.1 * folds[slice_]) / 0.035))
        paint(white, 720)
        gap = np.exp(-((x / 0.016) ** 2)) * cortex * (np.abs(y) > 0.3)
        paint(gap, 120)
        for side in (-1.0, 1.0):
            open_ = max(0.0, 1 - (z / 0.55) ** 2)
            if open_ > 0.05:
                paint(_blob(y, x, -0.05, side * 0.11, 0.3 * open_, 0.07 * open_, 0.1, side * 0.25), 110)
                paint(_blob(y, x, 0.02, side * 0.26, 0.16 * open_, 0.09 * open_, 0.1, side * 0.3), 520)
        bias = 1 + 0.12 * x - 0.08 * y + 0.05 * z
        planes.append(ndimage.gaussian_filter(plane, 0.5) * bias + 14 * speckle[slice_])
    return np.clip(np.stack(planes), 0, 1200)


def write_mr(path: Path, volume: NDArray[np.float64], seed: int) -> Path:
    """A NIfTI volume of 16-bit integers, 1.2 mm slices."""
    template = Template(
        "nifti", "volume", "MR", (Channel("intensity"),), "int16", 0, 1200,
        spacing=(1.2, 220 / volume.shape[1], 220 / volume.shape[2]), unit="mm",
    )  # fmt: skip
    stem = path.with_name(path.name.removesuffix(".nii.gz"))
    return adapter("nifti").write_sample(stem, volume[None], template, _provenance(seed))[0]


def landscape(seed: int, size: int, days: Sequence[int]) -> NDArray[np.float64]:
    """Fields, woods, a river, a road and a village through the year: reflectance (bands, dates, size, size)."""
    random = np.random.default_rng([seed, 303])
    y, x = np.mgrid[0:size, 0:size].astype(float)
    seeds = random.uniform(0, size, (max(12, size * size // 420), 2))
    turn = 0.35
    u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    su, sv = (seeds @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])).T
    distance = np.maximum(np.abs(u[..., None] - su) * 0.8, np.abs(v[..., None] - sv) * 1.25)
    field = distance.argmin(axis=-1)
    nearest_two = np.partition(distance, 1, axis=-1)[..., :2]
    hedge = np.exp(-((nearest_two[..., 1] - nearest_two[..., 0]) ** 2) / 1.2)
    crop = random.integers(0, 4, len(seeds))[field]
    wood = _texture(random, (size, size), size / 12) > 0.9
    bend = size * (0.6 + 0.18 * np.sin(np.arange(size) / size * 7 + random.uniform(0, 6)))
    river = np.exp(-(((x - bend[:, None]) / 2.6) ** 4))
    road = np.exp(-((((y - 0.3 * size) - 0.25 * (x - size / 2)) / 1.1) ** 4))
    houses = (random.random((size, size)) > 0.72) & (np.hypot(x - 0.25 * size, y - 0.7 * size) < 0.13 * size)
    grain = _texture(random, (size, size), 0.7)
    brightness = random.normal(1, 0.09, len(seeds))[field] * (1 + 0.035 * grain)
    #                    B02    B03    B04    B08    B11
    soil = np.array([0.075, 0.105, 0.150, 0.230, 0.330])
    green = np.array([0.030, 0.065, 0.035, 0.440, 0.190])
    water = np.array([0.045, 0.050, 0.035, 0.025, 0.015])
    stone = np.array([0.150, 0.165, 0.180, 0.230, 0.270])
    planes = []
    for day in days:
        peak = np.array([130.0, 180.0, 215.0, 160.0])[crop]
        width = np.array([38.0, 45.0, 40.0, 80.0])[crop]
        growth = 0.12 + 0.8 * np.exp(-(((day - peak) / width) ** 2))
        growth = np.where(wood, 0.55 + 0.35 * np.sin((day - 80) / 365 * 2 * np.pi), growth)
        growth = np.clip(growth + 0.25 * hedge, 0, 1)
        sun = 1 + 0.06 * np.sin((day - 172) / 365 * 2 * np.pi)
        bands = []
        for band in range(len(BANDS)):
            value = (soil[band] * (1 - growth) + green[band] * growth) * brightness
            value = value * (1 - road) + stone[band] * 0.8 * road
            value = np.where(houses, stone[band] * (1.1 + 0.25 * grain), value)
            value = value * (1 - river) + water[band] * river
            bands.append(np.clip(value * sun, 0.005, 1))
        planes.append(bands)
    return np.array(planes).transpose(1, 0, 2, 3)


def write_stack(places: Phantoms, seed: int, size: int, dates: int = 8) -> None:
    """A dated stack (reflectance × 10000, nodata 0) with clouds and a nodata corner; its cloud masks; its truth."""
    random = np.random.default_rng([seed, 404])
    days = [60 + 27 * k for k in range(dates)]
    truth = landscape(seed, size, days)
    template = Template(
        "geotiff", "stack", "", tuple(Channel(name) for name in BANDS), "uint16", 0, 10000,
        spacing=(1.0, 10.0, 10.0), unit="m", crs=UTM, nodata=0,
    )  # fmt: skip
    mask_template = Template(
        "geotiff", "stack", "", (Channel("cloud"),), "uint8", 0, 1, bits=8, spacing=(1.0, 10.0, 10.0), unit="m", crs=UTM
    )
    y, x = np.mgrid[0:size, 0:size]
    for number, day in enumerate(days):
        when = (date(2024, 1, 1) + timedelta(days=day - 1)).isoformat()
        clear = truth[:, number] * 10000
        thick = _texture(random, (size, size), size / 9)
        level = (9.0, 0.9, 0.6, 9.0, 1.0, 0.4, 1.2, 9.0)[number % 8]
        cloud = 1 / (1 + np.exp(-(thick - level) * 6))
        shadow = np.roll(cloud, (size // 14, -size // 10), (0, 1)) * (1 - cloud)
        seen = clear * (1 - 0.55 * shadow) * (1 - cloud) + cloud * (5200 + 500 * _texture(random, (size, size), 4))
        # A cloud mask worth its name is dilated: what it leaves clear has no fringe of haze or shade.
        covered = ndimage.binary_dilation((cloud > 0.05) | (shadow > 0.1), iterations=2).astype(float)
        if number == 3:
            seen = np.where(x + y < size // 3, 0, seen)
        outside = number == 3
        for folder, values, kind in (
            (places.stack_truth, clear, template),
            (places.stack, seen, template),
            (places.clouds, covered[None], mask_template),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            path = adapter("geotiff").write_sample(
                folder / f"{'clouds' if kind is mask_template else 'scene'}_{when}",
                values[:, None],
                kind,
                _provenance(seed, number),
            )[0]
            if outside and folder == places.stack:
                _punch_nodata(path, (x + y) < size // 3)


def _punch_nodata(path: Path, where: NDArray[np.bool_]) -> None:
    """Write nodata into a raster; the sample writer itself never makes a pixel equal to nodata."""
    from data_adapters.geotiff.rasters import open_raster

    data: Any
    with open_raster(path, "r+") as data:
        for band in data.indexes:
            plane = data.read(band)
            plane[where] = int(data.nodata)
            data.write(plane, band)


def mammogram(random: np.random.Generator, size: int, *, mass: bool) -> Plane:
    """A left breast from the side (MLO) in [0, 1], air dark: (size, 4/5 size). With ``mass``, a bright lump."""
    y, x = np.linspace(-1, 1, size)[:, None], np.linspace(0, 1.6, size * 4 // 5)[None, :]
    wide, tall = random.uniform(0.95, 1.25), random.uniform(0.72, 0.88)
    breast = _blob(y, x, 0.05, 0, tall, wide, 0.02)
    depth = np.clip(1 - np.sqrt((x / wide) ** 2 + ((y - 0.05) / tall) ** 2), 0, 1)
    gland = _blob(y, x, 0.05, 0.5 * wide, 0.55 * tall, 0.42 * wide, 0.2)
    strands = _texture(random, (size, size * 4 // 5), size / 30) + 0.6 * _texture(random, (size, size * 4 // 5), 1.5)
    dense = random.uniform(0.15, 0.4)
    image = breast * (0.25 + 0.25 * depth**0.5 + gland * np.clip(dense + 0.08 * strands, 0, 1))
    # The pectoral muscle lies slanting in the upper corner at the chest wall.
    muscle = 1 / (1 + np.exp((x * 1.6 + y + random.uniform(0.35, 0.5)) / 0.03))
    image = np.maximum(image, 0.72 * muscle * (x < 0.6))
    if mass:
        cy, cx = 0.05 + tall * random.uniform(-0.35, 0.35), wide * random.uniform(0.35, 0.65)
        image = image + 0.3 * _blob(y, x, cy, cx, 0.09, 0.08, 0.25) * (1 + 0.1 * strands)
    return np.clip(image + 0.008 * random.standard_normal(image.shape), 0, 1)


def ultrasound(random: np.random.Generator, size: int, *, lesion: bool) -> Plane:
    """Tissue in a sector of a curved probe in [0, 1]: (size, size), speckled, dark outside. ``lesion`` is dark."""
    y, x = _grid(size)
    down, angle = np.hypot(y + 1.35, x), np.arctan2(x, y + 1.35)
    sector = (np.abs(angle) < 0.62) & (down > 0.42) & (down < 2.25)
    layers = 0.3 * np.sin(down * random.uniform(9, 12) + 1.5 * angle) * np.exp(-down)
    echo = np.exp(0.35 * _texture(random, (size, size), size / 14) + layers)
    if lesion:
        cy, cx = random.uniform(-0.25, 0.3), random.uniform(-0.3, 0.3)
        inside = _blob(y, x, cy, cx, random.uniform(0.14, 0.22), random.uniform(0.18, 0.28), 0.12)
        behind = (np.abs(x - cx) < 0.15) & (y > cy)
        echo = echo * (1 - 0.88 * inside) * (1 + 0.5 * behind * (1 - inside))
    # Fully developed speckle: the modulus of a complex sum of many echoes (Goodman 1976).
    waves = [ndimage.gaussian_filter(random.standard_normal((size, size)), (0.6, 1.2)) for _ in range(2)]
    speckle = np.hypot(*waves)
    signal = echo * speckle / speckle.mean() * np.exp(-0.35 * (down - 0.4))
    return np.where(sector, np.clip(0.55 + 0.16 * np.log(signal + 1e-4), 0, 1), 0)


def histology(random: np.random.Generator, size: int, *, crowded: bool) -> NDArray[np.float64]:
    """Tissue stained with haematoxylin and eosin, (3, size, size) in [0, 1]: cells, ``crowded`` or few, in stroma."""
    y, x = np.mgrid[0:size, 0:size].astype(float)
    fibres = ndimage.gaussian_filter(random.standard_normal((size, size)), (1.0, 5.0), mode="wrap")
    eosin = 0.35 + 0.12 * fibres / fibres.std() + 0.08 * _texture(random, (size, size), size / 10)
    nuclei = np.zeros((size, size))
    apart = 9.0 if crowded else 15.0
    for row in np.arange(0, size + apart, apart):
        for column in np.arange(0, size + apart, apart):
            cy, cx = (np.array([row, column]) + random.normal(0, apart / 4, 2)).tolist()
            long, short = random.uniform(2.4, 3.6, 2) * (1.25 if crowded else 1.0)
            cell = _blob(y, x, cy, cx, long, short, 0.12, random.uniform(0, np.pi))
            nuclei = np.maximum(nuclei, cell * random.uniform(0.75, 1.0))
    grain = 1 + 0.15 * _texture(random, (size, size), 0.8)
    # Beer and Lambert: what each stain takes of red, green and blue (Ruifrok and Johnston 2001).
    taken = np.multiply.outer((0.65, 0.70, 0.29), 1.1 * nuclei * grain)
    taken += np.multiply.outer((0.07, 0.99, 0.11), np.clip(eosin, 0, 1) * (1 - 0.6 * nuclei))
    return np.clip(0.96 * np.exp(-taken), 0, 1)


def aerial(random: np.random.Generator, size: int, *, built: bool) -> NDArray[np.float64]:
    """Ground from above in red, green and blue, (3, size, size) in [0, 1]: houses along a road, or ploughed fields."""
    y, x = np.mgrid[0:size, 0:size].astype(float)
    patches = _texture(random, (size, size), size / 8) > 0.3
    grass, earth = np.array([0.33, 0.42, 0.24]), np.array([0.52, 0.44, 0.33])
    ground = np.where(patches, *(colour[:, None, None] for colour in (earth, grass)))
    turn = random.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    if not built:
        ground = ground * (1 + 0.12 * np.sign(np.sin(along * 2 * np.pi / 6)))
    else:
        middle = random.uniform(-0.2, 0.2) * size + (-np.sin(turn) + np.cos(turn)) * size / 2
        road = np.abs(across - middle) < size / 24
        ground = np.where(road, 0.45, ground)
        cell = size / 6
        for side in (-1, 1):
            house = (np.abs(across - middle - side * size / 6) < size / 18) & ((along % cell) < 0.7 * cell)
            shade = np.roll(house, (2, 2), (0, 1)) & ~house
            roof = np.array(random.choice([[0.62, 0.33, 0.27], [0.55, 0.55, 0.57], [0.42, 0.36, 0.32]]))
            ridge = 1 + 0.12 * np.sign(across - middle - side * size / 6)
            ground = np.where(house, roof[:, None, None] * ridge, ground * np.where(shade, 0.5, 1))
    return np.clip(ground * (1 + 0.05 * _texture(random, (size, size), 0.7)), 0, 1)


def radar(seed: int, size: int, looks: int = 4) -> NDArray[np.float64]:
    """Backscatter of the landscape's fields, river and village in decibels, (2, size, size): VV and VH, speckled."""
    random = np.random.default_rng([seed, 505])
    blue, _, red, infrared, short = landscape(seed, size, [170])[:, 0]
    green = np.clip((infrared - red) / (infrared + red + 1e-6), 0, 1)
    water, houses = short < 0.05, blue > 0.14
    planes = []
    for bare, leaves, lake, wall in ((-13.0, 4.0, -23.0, -1.0), (-20.0, 5.5, -29.0, -9.0)):
        mean = np.where(water, lake, np.where(houses, wall, bare + leaves * green))
        # Multi-looked intensity is gamma distributed (Oliver and Quegan 2004, section 4.3).
        planes.append(mean + 10 * np.log10(random.gamma(looks, 1 / looks, (size, size)) + 1e-6))
    return np.array(planes)


def _labelled_set(
    folder: Path, drawn: Sequence[tuple[NDArray[np.float64], str]], template: Template, seed: int, column: str = "label"
) -> Path:
    """Pictures in [0, 1], (H, W) or (C, H, W), over the template's range, with ``labels.csv``: two a patient."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index, (image, label) in enumerate(drawn):
        values = np.atleast_3d(image.T).T[:, None] * template.high
        stem = folder / f"image_{index:04d}"
        files = adapter(template.format).write_sample(stem, values, template, _provenance(seed, index))
        rows.append((files[0].name, label, f"phantom{index // 2:04d}"))
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("file", column, "patient_id"), *rows])
    return folder


def mammogram_set(folder: Path, count: int, seed: int, size: int = 160) -> Path:
    """``count`` mammograms as PNG of 16 bits, every second one with a mass."""
    drawn = [
        (mammogram(np.random.default_rng([seed, 11, k]), size, mass=k % 2 == 1), ("normal", "mass")[k % 2])
        for k in range(count)
    ]
    template = Template("png", "image", "MG", (Channel("gray"),), "uint16", 0, 65535)
    return _labelled_set(folder, drawn, template, seed)


def ultrasound_set(folder: Path, count: int, seed: int, size: int = 128) -> Path:
    """``count`` sectors as PNG of 8 bits, every second one with a lesion."""
    drawn = [
        (ultrasound(np.random.default_rng([seed, 12, k]), size, lesion=k % 2 == 1), ("normal", "lesion")[k % 2])
        for k in range(count)
    ]
    template = Template("png", "image", "US", (Channel("gray"),), "uint8", 0, 255, bits=8)
    return _labelled_set(folder, drawn, template, seed)


def histology_set(folder: Path, count: int, seed: int, size: int = 128) -> Path:
    """``count`` fields of stained tissue as colour PNG, every second one crowded."""
    drawn = [
        (histology(np.random.default_rng([seed, 13, k]), size, crowded=k % 2 == 1), ("stroma", "tumour")[k % 2])
        for k in range(count)
    ]
    return _labelled_set(folder, drawn, _colour("png", "image"), seed)


def aerial_set(folder: Path, count: int, seed: int, size: int = 128) -> Path:
    """``count`` aerial GeoTIFFs of half a metre a pixel, every second one built up."""
    drawn = [
        (aerial(np.random.default_rng([seed, 14, k]), size, built=k % 2 == 1), ("field", "houses")[k % 2])
        for k in range(count)
    ]
    return _labelled_set(folder, drawn, _colour("geotiff", "raster"), seed)


def _colour(format: str, kind: Kind) -> Template:
    channels = tuple(Channel(name) for name in ("red", "green", "blue"))
    map_ = {"unit": "m", "crs": UTM, "spacing": (1.0, 0.5, 0.5)} if format == "geotiff" else {}
    return Template(format, kind, "", channels, "uint8", 0, 255, bits=8, **map_)  # type: ignore[arg-type]


def write_radar(path: Path, seed: int, size: int = 256) -> Path:
    """A GeoTIFF of VV and VH in decibels, float32, ten metres a pixel."""
    template = Template("geotiff", "raster", "", (Channel("VV"), Channel("VH")), "float32", -60, 20,
                        spacing=(1.0, 10.0, 10.0), unit="m", crs=UTM)  # fmt: skip
    return _write_raster(path, radar(seed, size)[:, None], template, seed)


def write_sentinel2(path: Path, seed: int, size: int = 256, day: int = 170) -> Path:
    """A Sentinel-2-like GeoTIFF: reflectance × 10000 with nodata 0, and its scene classes (4 plants, 9 cloud)."""
    cloud = _texture(np.random.default_rng([seed, 606, day]), (size, size), size / 9) > 1.1
    bands = np.where(cloud, 5200, landscape(seed, size, [day])[:, 0] * 10000)
    template = Template("geotiff", "raster", "", tuple(Channel(name) for name in (*BANDS, "SCL")), "uint16", 0, 10000,
                        spacing=(1.0, 10.0, 10.0), unit="m", crs=UTM, nodata=0)  # fmt: skip
    return _write_raster(path, np.stack([*bands, np.where(cloud, 9, 4)])[:, None], template, seed)


def write_landsat(path: Path, seed: int, size: int = 256, day: int = 170) -> Path:
    """A Landsat-like GeoTIFF of Collection 2: counts of 2.75e-5 less 0.2 (USGS LSDS-1619), nodata 0, and QA_PIXEL."""
    cloud = _texture(np.random.default_rng([seed, 707, day]), (size, size), size / 9) > 1.1
    counts = (np.where(cloud, 0.52, landscape(seed, size, [day])[:, 0]) + 0.2) / 2.75e-5
    # Bit 3 is cloud, and bit 6 clear.
    names = ("B2", "B3", "B4", "B5", "B6", "QA_PIXEL")
    template = Template("geotiff", "raster", "", tuple(Channel(name) for name in names), "uint16", 0, 65535,
                        spacing=(1.0, 30.0, 30.0), unit="m", crs=UTM, nodata=0)  # fmt: skip
    return _write_raster(path, np.stack([*counts, np.where(cloud, 8, 64)])[:, None], template, seed)


def _write_raster(path: Path, values: NDArray[np.float64], template: Template, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return adapter("geotiff").write_sample(path.with_suffix(""), values, template, _provenance(seed))[0]


def main() -> None:
    """``python -m data_adapters.phantoms DIR``: draw them all where a person can look at them."""
    from argparse import ArgumentParser

    words = ArgumentParser(prog="python -m data_adapters.phantoms", description="Draw phantoms to try things on.")
    words.add_argument("folder", type=Path)
    words.add_argument("--radiographs", type=int, default=200)
    words.add_argument("--size", type=int, default=128, help="pixels a side")
    words.add_argument("--seed", type=int, default=7)
    asked = words.parse_args()
    drawn = draw_all(asked.folder, seed=asked.seed, radiographs=asked.radiographs, size=asked.size)
    for name, path in drawn._asdict().items():
        print(f"{name:12} {path}")


if __name__ == "__main__":
    main()
