"""Small valid files, a folder a seed, that cases of fuzzing are made from: drawn by the package's own writers.

python -m benchmarks.fuzz_seeds FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import rasterio
import rasterio.shutil
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.transform import from_origin

from augmentor import recipe as recipes
from augmentor.learners.checkpoints import Checkpoints
from augmentor.learners.health import Watch
from augmentor.networks import build_generator, save
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.scaling import Scaling
from augmentor.t2t.conditioning import ClassCondition, NumberCondition
from augmentor.tiles import Origin, Tile, TileStore
from augmentor.together.team import ALONE
from data_adapters import Channel, Provenance, Template, Window, adapter
from data_adapters.dicom.compress import SYNTAXES, compress
from data_adapters.labels import write_labels
from data_adapters.registry import named_as

Files = dict[str, bytes]
"""The files of a seed or a case: contents by path relative to its folder."""

LARGEST = 100_000
"""Bytes of a file from elsewhere above which it is no seed: cases are to be quick."""

WHO = Provenance("t2t-augmentor", "0", "fuzzing", seed=1)
CT = Template(
    "dicom", "volume", "CT", (Channel("CT", "HU"),), "int16", -1024, 3071, 1.0, -1024.0, 12, (2.5, 0.7, 0.7), "mm"
)
FACTS = Facts(
    channels=1,
    context=0,
    tile=(16, 16),
    model={"preset": "tiny", "encoder": "tokens", "decoder": "tokens"},
    conditions=(ClassCondition("finding", ("a", "b")), NumberCondition("age", 0.0, 90.0)),
    combinations=(({"finding": "a", "age": "40"}, 3), ({"finding": "b"}, 2)),
    scaling=Scaling((0.0,), (4095.0,)),
    template=Template("dicom", "image", "CR", (Channel("CR"),), "uint16", 0, 4095, bits=12, unit="mm"),
)


def smooth(shape: tuple[int, ...], high: int = 3000) -> NDArray[np.float64]:
    """Values of 0 to ``high`` that differ everywhere and compress."""
    grid = np.indices(shape).sum(axis=0).astype(np.float64)
    return np.round((np.sin(grid / 3) + 1) / 2 * high)


def images_of_patients(folder: Path) -> None:
    """Single DICOM images: every transfer syntax that is written, deflated, coloured, of several frames, of labels."""
    dicom = adapter("dicom")
    single = replace(CT, kind="image", modality="CR", channels=(Channel("CR"),), dtype="uint16", intercept=0.0)
    for name in ("plain", *SYNTAXES, "deflated", "big", "frames"):
        place = folder / name
        place.mkdir(parents=True)
        (path,) = dicom.write_sample(place / "image", smooth((1, 1, 33, 35)), single, WHO)
        if name in SYNTAXES:
            compress(path, name)
        elif name != "plain":
            _rewritten(path, name)
    for space in ("RGB", "PALETTE COLOR"):
        place = folder / space.split()[0].lower()
        place.mkdir()
        _coloured(dicom.write_sample(place / "image", smooth((1, 1, 16, 18)), single, WHO)[0], space)
    series = dicom.write_sample(folder / "labels" / "images", smooth((1, 3, 16, 16)), CT, WHO)
    labels = (smooth((3, 16, 16)) > 1500).astype(np.int32) + 1
    write_labels(folder / "labels" / "map", labels, (0, 1, 2), CT, WHO, series)
    for path in series:
        path.unlink()
    series[0].parent.rmdir()


def _rewritten(path: Path, how: str) -> None:
    """The same image in another encoding, or as several frames."""
    dataset = pydicom.dcmread(path)
    words = np.frombuffer(dataset.PixelData, np.uint16)
    if how == "frames":
        dataset.NumberOfFrames, dataset.PixelData = 3, np.concatenate([words] * 3).tobytes()
    elif how == "big":
        dataset.PixelData = words.byteswap().tobytes()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    else:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    syntax = dataset.file_meta.TransferSyntaxUID
    plain = pydicom.dataset.Dataset()
    plain.update(dataset)
    plain.file_meta = dataset.file_meta
    plain.save_as(path, implicit_vr=False, little_endian=syntax.is_little_endian, enforce_file_format=True)


def _coloured(path: Path, space: str) -> None:
    dataset = pydicom.dcmread(path)
    dataset.PhotometricInterpretation = space
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    pixels = smooth((16, 18), 255).astype(np.uint8)
    if space == "RGB":
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
        dataset.PixelData = np.stack([pixels] * 3, axis=-1).tobytes()
    else:
        for name in ("Red", "Green", "Blue"):
            dataset.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
            dataset.add_new(f"{name}PaletteColorLookupTableData", "OW", np.arange(256, dtype=np.uint16).tobytes())
        dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)


def series(folder: Path) -> None:
    """DICOM series: an upright one, and one with a slice left out."""
    for name, left_out in (("whole", ()), ("gap", (2,))):
        written = adapter("dicom").write_sample(folder / name / "series", smooth((1, 5, 12, 14)), CT, WHO)
        for index in left_out:
            written[index].unlink()


def volumes(folder: Path) -> None:
    """NIfTI: packed and not, of 3 and 4 dimensions, both versions, scaled."""
    import nibabel
    from nibabel.nifti1 import Nifti1Image
    from nibabel.nifti2 import Nifti2Image

    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    for name, kind, shape, dtype in (
        ("one.nii", Nifti1Image, (9, 8, 7), "int16"),
        ("one.nii.gz", Nifti1Image, (9, 8, 7), "float32"),
        ("four.nii", Nifti1Image, (6, 5, 4, 3), "uint8"),
        ("two.nii.gz", Nifti2Image, (9, 8, 7), "int32"),
    ):
        image = kind(smooth(shape, 200).astype(dtype), affine)
        if dtype == "int16":
            image.header.set_slope_inter(0.5, -3.0)
        (folder / name).mkdir(parents=True)
        nibabel.save(image, folder / name / name)
    template = Template("nifti", "volume", "MR", (Channel("MR"),), "int16", 0, 1200, spacing=(2.0, 1.0, 1.0), unit="mm")
    adapter("nifti").write_sample(folder / "sample" / "sample", smooth((1, 6, 8, 9)), template, WHO)


def rasters(folder: Path) -> None:
    """TIFF: plain, tiled and deflated, LZW, JPEG, of floats with nodata, with alpha, masks and points of control."""
    shapes: dict[str, dict[str, object]] = {
        "plain": {"dtype": "uint16"},
        "deflate": {"dtype": "uint16", "compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16},
        "lzw": {"dtype": "int16", "compress": "lzw", "predictor": 2, "nodata": -9999},
        "float": {"dtype": "float32", "compress": "zstd", "predictor": 3, "nodata": float("nan")},
        "jpeg": {"dtype": "uint8", "compress": "jpeg", "photometric": "ycbcr", "count": 3, "interleave": "pixel"},
        "bits": {"dtype": "uint8", "nbits": 1, "compress": "packbits"},
        "big": {"dtype": "uint16", "bigtiff": "yes"},
        "points": {"dtype": "uint8", "count": 2},
    }
    for name, said in shapes.items():
        (folder / name).mkdir(parents=True)
        with rasterio.open(folder / name / f"{name}.tif", "w", **(_profile() | said)) as data:
            if name == "points":
                points = [GroundControlPoint(r, c, 12 + c / 100, 45 - r / 100) for r in (0, 40) for c in (0, 48)]
                data.gcps = points, rasterio.crs.CRS.from_epsg(4326)
            values = smooth((data.count, 40, 48), 1 if name == "bits" else 200).astype(data.dtypes[0])
            data.write(values)
            data.descriptions = [f"B{band:02d}" for band in data.indexes]
            data.update_tags(AREA_OR_POINT="Point", MISSION="kept")
    (folder / "jpeg2000").mkdir()
    rasterio.shutil.copy(
        folder / "plain/plain.tif",
        folder / "jpeg2000/jpeg2000.jp2",
        driver="JP2OpenJPEG",
        QUALITY=100,
        REVERSIBLE="YES",
    )
    template = Template("geotiff", "raster", "", (Channel("B02"), Channel("B03")), "uint16", 0, 10000, nodata=0)
    adapter("geotiff").write_sample(folder / "sample" / "sample", smooth((2, 1, 24, 20)), template, WHO)


def _profile() -> dict[str, object]:
    return {
        "driver": "GTiff", "height": 40, "width": 48, "count": 1, "crs": "EPSG:32633",
        "transform": from_origin(500000, 5000000, 10, 10),
    }  # fmt: skip


def stacks(folder: Path) -> None:
    """Dated rasters on one grid, with a layer of classes, and bands of one product in files of their own."""
    for name, files in (
        ("dated", ("place_20240301.tif", "place_20240311.tif", "place_20240321.tif")),
        ("bands", ("T32TPS_20240301T101559_B02.tif", "T32TPS_20240301T101559_B03.tif",
                   "T32TPS_20240301T101559_SCL.tif")),
    ):  # fmt: skip
        (folder / name).mkdir(parents=True)
        for file in files:
            with rasterio.open(folder / name / file, "w", **_profile(), dtype="uint16") as data:
                data.write(smooth((1, 40, 48), 9).astype(np.uint16))


def pictures(folder: Path) -> None:
    """PNG of every mode, JPEG, BMP, WebP."""
    plane = smooth((20, 24), 255).astype(np.uint8)
    colours = np.stack([plane, plane[::-1], plane[:, ::-1]], axis=-1)
    alpha = np.dstack([colours, plane])
    for name, picture in {
        "gray.png": Image.fromarray(plane),
        "deep.png": Image.fromarray(plane.astype(np.uint16) * 200),
        "colours.png": Image.fromarray(colours),
        "alpha.png": Image.fromarray(alpha),
        "palette.png": Image.fromarray(colours).quantize(16),
        "bits.png": Image.fromarray(plane > 99),
        "colours.jpg": Image.fromarray(colours),
        "gray.bmp": Image.fromarray(plane),
        "colours.webp": Image.fromarray(colours),
    }.items():
        (folder / name).mkdir(parents=True)
        picture.save(folder / name / name)


def texts(folder: Path) -> None:
    """The shipped recipes, and one that says everything."""
    for name, path in recipes.shipped().items():
        (folder / name).mkdir(parents=True)
        (folder / name / "recipe.yaml").write_bytes(path.read_bytes())
    (folder / "everything").mkdir()
    said = Recipe(name="everything").model_dump(mode="json")
    said["data"]["labels"] = "labels.csv"
    said["conditions"] = {"age": {"kind": "number", "column": "age"}, "slice": {"origin": "slice_position"}}
    (folder / "everything" / "recipe.yaml").write_text(yaml.safe_dump(said, sort_keys=False))


def tables(folder: Path) -> None:
    """Label files beside (empty) images."""
    for name, text in {
        "plain": "file,finding,age\na.png,clear,40\nb.png,,\n",
        "quoted": 'file,report\n"a.png","of two\nlines, and ""more"""\nb.png,short\n',
        "marked": "\ufefffile,finding\r\na.png,né\r\nb.png,x\r\n",
    }.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "labels.csv").write_bytes(text.encode())
        for image in ("a.png", "b.png"):
            (folder / name / image).write_bytes(b"")


def runs(folder: Path) -> None:
    """A finished run, as ``train`` leaves one, without its inference network."""
    torch.manual_seed(0)
    run = Run(folder / "run")
    run.folder.mkdir(parents=True)
    (run.folder / "recipe.yaml").write_text(Recipe(name="small").to_yaml())
    (run.folder / "provenance.json").write_text(json.dumps({"tool": "t2t-augmentor", "tiles": "tiles"}))
    save(run, FACTS, build_generator(FACTS))


class Stub:
    """A learner of two tensors and a state of its optimiser: what is loaded by ``learn`` and nothing that is slow."""

    def __init__(self) -> None:
        self.team = ALONE
        self.network = torch.nn.Linear(3, 2)
        self.descent = torch.optim.Adam(self.network.parameters())
        self.random = torch.Generator().manual_seed(1)

    def step(self, seen: int) -> tuple[str, dict[str, float]]:
        self.network(torch.ones(1, 3)).sum().backward()
        self.descent.step()
        return "step", {}

    def start_from(self, run: Run, frozen_stages: int) -> None: ...

    def examine(self) -> dict[str, float]:
        return {"distance": 1.0}

    def slow_down(self) -> None: ...

    def publish(self, run: Run) -> None: ...

    def snapshot(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "descent": self.descent.state_dict(),
            "random": self.random.get_state(),
            "order": torch.arange(5),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.descent.load_state_dict(state["descent"])
        self.random.set_state(state["random"])


def checkpoints(folder: Path) -> None:
    """What an interrupted training leaves to go on from."""
    torch.manual_seed(0)
    learner = Stub()
    learner.step(0)
    state = {"learner": learner.snapshot(), "parts": 1, "watch": Watch().state(), "back": 0}
    state["clocks"] = {"seconds": 1.0, "cpu_seconds": 1.0}
    Checkpoints(Run(folder / "run"), 1).put(4000, state)


def stores(folder: Path) -> None:
    """A tile store of a few tiles, with labels and without."""
    for name, labelled in (("plain", False), ("labelled", True)):
        tiles = (
            Tile(
                np.full((1, 8, 8), float(number), np.float32),
                np.ones((8, 8), bool),
                np.ones((8, 8), np.int32) if labelled else None,
                Origin(f"scene{number}", f"group{number}", 0, 0.0, Window(0, 0, 8, 8), number < 2, {"finding": "a"}),
            )
            for number in range(6)
        )
        store = TileStore(folder / name)
        store.write(tiles, 1, (8, 8), labelled=labelled)
        store.finish({"source": "images", "tiles": 6, "template": FACTS.template.as_dict()})


DRAWN: dict[str, Callable[[Path], None]] = {
    "dicom": images_of_patients,
    "series": series,
    "nifti": volumes,
    "tiff": rasters,
    "stack": stacks,
    "image": pictures,
    "recipe": texts,
    "labels": tables,
    "run": runs,
    "resume": checkpoints,
    "store": stores,
}
"""What draws the seeds of each target, a folder a seed."""

OF_FORMAT = {"dicom": "dicom", "nifti": "nifti", "geotiff": "tiff", "png": "image"}
"""The target that a file from elsewhere is a seed of."""


def load(folder: Path) -> Files:
    """The files of a seed."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def draw_all(work: Path) -> None:
    """Draw the seeds of every target below ``work``."""
    for target, draw in DRAWN.items():
        draw(work / target)


def drawn_in(work: Path) -> dict[str, list[Files]]:
    """The seeds that were drawn below ``work``, by target."""
    return {target: [load(seed) for seed in sorted((work / target).iterdir())] for target in DRAWN}


def collected(folder: Path) -> dict[str, list[Files]]:
    """Every small file below a folder, as a seed of the target of its format."""
    found: dict[str, list[Files]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size <= LARGEST and (target := OF_FORMAT.get(named_as(path) or "")):
            # A suffix alone decides what is read how; the name is of no account.
            suffix = ".nii.gz" if path.name.endswith(".nii.gz") else path.suffix
            found.setdefault(target, []).append({f"file{suffix}": path.read_bytes()})
    return found


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
