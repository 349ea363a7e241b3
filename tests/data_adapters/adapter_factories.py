"""Small files of every format, drawn on the spot: one factory a format, parametrised by what tests vary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import rasterio
from hypothesis import strategies as st
from nibabel.nifti1 import Nifti1Extension
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from data_adapters import Channel, Patch, Pixels, Provenance, Scene, Template, Window, open_scenes

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
"""Real data, beside the checkout where someone has put it; tests that need it skip without."""

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def provenance(**changes: Any) -> Provenance:
    """Who made the pixels, the same in every test unless changed."""
    known = {"tool": "t2t-augmentor", "version": "0.1", "method": "law", "recipe": "r", "checkpoint": "c", "seed": 7}
    return Provenance(**{**known, **changes})


def only(path: Path) -> Scene:
    """The one scene at a path."""
    (scene,) = open_scenes(path)
    return scene


def everything(scene: Scene) -> Iterator[Patch]:
    """Patches whose values are what was read, made where something was observed."""
    for index in range(scene.shape[1]):
        pixels = scene.read(index, 1)
        if pixels.valid.any():
            yield Patch(index, scene.plane, pixels.values[:, 0], pixels.valid[:, 0])


def patch(scene: Scene, index: int, window: Window, value: float, made: NDArray[np.bool_] | None = None) -> Patch:
    """One constant value in a window of a slice, everywhere in it unless ``made`` says where."""
    shape = (scene.shape[0], window.height, window.width)
    return Patch(index, window, np.full(shape, value), np.ones(shape, bool) if made is None else made)


def noise(shape: Sequence[int], dtype: str, seed: int = 0) -> NDArray[Any]:
    """Random values over the whole range of an integer type; normal ones for floats."""
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (random.standard_normal(shape) * 1000).astype(kind)
    limits = np.iinfo(kind)
    return random.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


def bits_equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Equality of type, shape and every bit, so that NaN equals itself and 0.0 is not -0.0."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


# DICOM


def dicom_series(
    folder: Path,
    volume: NDArray[Any],
    *,
    positions: Sequence[Sequence[float]] | None = None,
    orientation: Sequence[float] = AXIAL,
    bits: int = 16,
    rescale: tuple[float, float] = (1.0, -1024.0),
    syntax: str = ExplicitVRLittleEndian,
    names: Sequence[str] | None = None,
    numbers: Sequence[int] | None = None,
    one_instance: bool = False,
    **elements: Any,
) -> Path:
    """A CT series of stored integers (S, H, W) with a patient; ``elements`` override any element of every slice."""
    folder.mkdir(parents=True, exist_ok=True)
    positions = positions or [(0.0, 0.0, 2.5 * index) for index in range(len(volume))]
    for index, plane in enumerate(volume):
        name = names[index] if names else f"{index:03d}.dcm"
        dataset = dicom_slice(plane, positions[index], orientation, bits, rescale)
        dataset.InstanceNumber = numbers[index] if numbers else index + 1
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=["slice", "0" if one_instance else str(index)])
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        save_dicom(dataset, folder / name, syntax)
    return folder


def dicom_slice(
    plane: NDArray[Any],
    position: Sequence[float],
    orientation: Sequence[float] = AXIAL,
    bits: int = 16,
    rescale: tuple[float, float] = (1.0, -1024.0),
) -> Dataset:
    """A CT slice of one named patient, in memory."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality = "CT"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "4711"
    dataset.StudyDate, dataset.StudyTime = "20240301", "101500"
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame"])
    dataset.PixelSpacing = [0.75, 0.5]
    dataset.SliceThickness = 2.5
    dataset.ImagePositionPatient = [f"{v:.6f}"[:16] for v in position]
    dataset.ImageOrientationPatient = [f"{v:.9f}"[:16] for v in orientation]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = plane.dtype.itemsize * 8, bits, bits - 1
    dataset.PixelRepresentation = int(plane.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = rescale
    dataset.add_new("PixelData", "OB" if plane.dtype.itemsize == 1 else "OW", plane.tobytes())
    block = dataset.private_block(0x0009, "ACME", create=True)
    block.add_new(0x01, "LO", "keep me")
    return dataset


def save_dicom(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set in a transfer syntax, compressing or swapping bytes where that asks for it."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == ExplicitVRBigEndian:
        words = np.frombuffer(dataset.PixelData, f"<u{dataset.BitsAllocated // 8}")
        dataset.PixelData = words.byteswap().tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
    elif getattr(syntax, "is_encapsulated", False):
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return path


# NIfTI


def nifti(
    path: Path,
    volume: NDArray[Any],
    *,
    version: int = 1,
    affine: NDArray[Any] | None = None,
    slope: float | None = None,
    inter: float = 0.0,
    codes: tuple[int, int] = (1, 1),
    qform: NDArray[Any] | None = None,
    big_endian: bool = False,
    intent: str = "estimate",
) -> Path:
    """A volume (X, Y, Z[, T]) of stored values with an extension, times and an intent that must survive."""
    kind = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}[version]
    header = kind.header_class(endianness=">" if big_endian else "<")
    header.set_data_dtype(volume.dtype)
    affine = np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine
    image = kind(volume, affine, header, dtype=volume.dtype)
    image.set_qform(affine if qform is None else qform, codes[1], strip_shears=True)
    image.set_sform(affine, codes[0])
    header = image.header
    header.set_slope_inter(slope, inter if slope is not None else None)
    header.set_xyzt_units("mm", "sec")
    header.set_intent(intent, name="kept")
    header["toffset"], header["cal_max"], header["aux_file"] = 1.5, 99.0, b"aux"
    if volume.ndim == 4:
        header["pixdim"][4] = 2.25
    header.extensions.append(Nifti1Extension("comment", b"kept too"))
    image.to_filename(path)
    return path


# GeoTIFF

MECHANISMS = ("none", "nodata", "nan", "alpha", "mask")
"""How a raster says which pixels were observed."""

HOLE = (slice(5, 17), slice(10, 31))


def can_say(mechanism: str, dtype: str) -> bool:
    """Whether a type can carry the mechanism: NaN is a float, and alpha is an integer."""
    floating = np.dtype(dtype).kind == "f"
    return {"nan": floating, "alpha": not floating}.get(mechanism, True)


def geotiff(
    path: Path,
    *,
    dtype: str = "uint16",
    mechanism: str = "none",
    tiled: bool = False,
    scaled: bool = False,
    bands: int = 3,
    size: tuple[int, int] = (40, 56),
    gcps: bool = False,
    seed: int = 0,
    **profile: Any,
) -> Path:
    """A raster with a hole at ``HOLE`` said by ``mechanism``, and every kind of tag that a copy could lose."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = noise((bands, *size), dtype, seed)
    nodata = {"nodata": 0 if np.dtype(dtype).kind == "u" else -9999, "nan": np.nan}.get(mechanism)
    if nodata is not None:
        # Observed values that happen to equal nodata have tests of their own.
        stored[stored == nodata] = 1
        stored[(slice(None), *HOLE)] = nodata
    options: dict[str, Any] = {
        "driver": "GTiff", "height": size[0], "width": size[1], "count": bands + (mechanism == "alpha"),
        "dtype": dtype, "nodata": nodata, "compress": "deflate",
        **({"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {"blockysize": 8}),
        **({} if gcps else {"crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 10, 10)}), **profile,
    }  # fmt: skip
    seen = np.full(size, 255, np.uint8)
    seen[HOLE] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **options) as data:
        if gcps:
            corners = [(0, 0), (0, size[1]), (size[0], 0), (size[0], size[1])]
            data.gcps = (
                [GroundControlPoint(r, c, 12 + c / 1000, 45 - r / 1000) for r, c in corners],
                rasterio.crs.CRS.from_epsg(4326),
            )
        if mechanism == "alpha":
            stored = np.concatenate([stored, np.where(seen, np.iinfo(dtype).max, 0).astype(dtype)[None]])
            data.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (bands - 1) + [ColorInterp.alpha]
        data.write(stored)
        if mechanism == "mask":
            data.write_mask(seen)
        data.descriptions = [f"B{i:02d}" for i in range(1, data.count + 1)]
        data.units = ["reflectance"] * data.count
        if scaled:
            data.scales, data.offsets = [2.75e-5] * data.count, [-0.2] * data.count
        data.update_tags(AREA_OR_POINT="Point", MISSION="kept")
        data.update_tags(ns="CUSTOM", inside="a domain")
        data.update_tags(1, WAVELENGTH="490")
    return path


# Samples and templates


def template(form: str, **changes: Any) -> Template:
    """How a sample of each format is written, small enough for a test."""
    known: dict[str, Template] = {
        "dicom": Template("dicom", "volume", "CT", (Channel("CT", "HU"),), "uint16", -1024, 3071, 1.0, -1024.0, 12,
                          (2.5, 0.75, 0.5), "mm"),
        "nifti": Template("nifti", "volume", "MR", (Channel("intensity"),), "int16", 0, 1200,
                          spacing=(1.2, 0.9, 0.8), unit="mm"),
        "geotiff": Template("geotiff", "raster", "", (Channel("B02"), Channel("B03")), "uint16", 0, 10000,
                            spacing=(1.0, 10.0, 20.0), unit="m", crs=str(rasterio.crs.CRS.from_epsg(32633).to_wkt()),
                            nodata=0),
        "png": Template("png", "image", "", (Channel("gray"),), "uint8", 0, 255, bits=8),
    }  # fmt: skip
    return Template(**{**vars(known[form]), **changes})


def draw_part(data: Any, scene: Scene) -> tuple[Pixels, Pixels]:
    """A window of some slices as hypothesis draws it: as it is read, and as it is cut from the whole."""
    first, row, column = (data.draw(st.integers(0, n - 1)) for n in scene.shape[1:])
    count, height, width = (
        data.draw(st.integers(1, n - f)) for n, f in zip(scene.shape[1:], (first, row, column), strict=True)
    )
    window = Window(row, column, height, width)
    whole = scene.read(0, scene.shape[1])
    region = (slice(None), slice(first, first + count), *window.slices)
    return scene.read(first, count, window), Pixels(whole.values[region], whole.valid[region])
