"""How fast files become tiles, and samples become files, beside the bare library that decodes or writes and no more.

    OMP_NUM_THREADS=1 python -m benchmarks.formats

Files are drawn on the spot. Bare reading is a loop that decodes every pixel and gives its physical value as a
float32, which is what tiles are made of. Each pair is timed in turns, in CPU seconds, the fastest turn of each kept.
Writes docs/benchmarks/formats.json.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import nibabel
import numpy as np
import pydicom
import rasterio
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid
from scipy.ndimage import gaussian_filter

from augmentor.tiles import grid_tile, windows_of
from benchmarks.machine import machine
from data_adapters import Channel, Provenance, Template, adapter, open_scenes
from data_adapters.dicom.compress import SYNTAXES, compress

ROOT = Path(__file__).parent.parent
TURNS = 5
TILE = (128, 128)

CT = Template(
    "dicom", "volume", "CT", (Channel("CT", "HU"),), "int16", -1024, 3071, 1.0, -1024.0, 12, (2.0, 0.7, 0.7), "mm"
)
RADIOGRAPH = Template("dicom", "image", "CR", (Channel("CR"),), "uint16", 0, 4095, bits=12, unit="mm")
WHO = Provenance("t2t-augmentor", "0", "benchmark")


def smooth(shape: tuple[int, ...], high: float) -> NDArray[np.float64]:
    """Noise that compresses about as well as an image does."""
    random = np.random.default_rng(0)
    field = gaussian_filter(random.standard_normal(shape), 3) * 10 + random.standard_normal(shape) * 0.05
    return np.asarray((np.clip(field, -2, 2) + 2) / 4 * high)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one turn."""
    start = time.process_time()
    work()
    return time.process_time() - start


def beside(bare: Callable[[], object], ours: Callable[[], object]) -> dict[str, float]:
    """Both in turns; the fastest turn of each, and how the bare one's time compares."""
    turns = [(seconds(bare), seconds(ours)) for _ in range(TURNS)]
    fast, own = (min(column) for column in zip(*turns, strict=True))
    return {"bare_seconds": round(fast, 3), "seconds": round(own, 3), "rate": round(fast / own, 3)}


def tile(path: Path) -> int:
    """Scan a path and cut all that lies there into tiles; their number."""
    count = 0
    # What was unpacked in the turn before is not to be found again.
    path.touch()
    for scene in open_scenes(path):
        for _, pixels in windows_of(scene, TILE, 0.0):
            for index in range(scene.shape[1]):
                count += len(grid_tile(pixels.values[:, index], pixels.seen[index], TILE).pixels)
    return count


def bare_dicom(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(path)
        _ = dataset.pixel_array.astype(np.float32) * np.float32(dataset.RescaleSlope) + np.float32(
            dataset.RescaleIntercept
        )


def bare_nifti(path: Path) -> None:
    _ = nibabel.load(path).get_fdata(dtype=np.float32)  # type: ignore[attr-defined]


def bare_raster(path: Path) -> None:
    with rasterio.open(path) as data:
        for _, window in data.block_windows():
            _ = data.read(window=window).astype(np.float32)


def reading(folder: Path) -> Iterator[tuple[str, Path, Callable[[Path], None]]]:
    """Each file or series that is read: its name, where it is, and the bare way to read it."""
    volume = smooth((48, 512, 512), 3000) - 1000
    for name in ("plain", *SYNTAXES):
        files = adapter("dicom").write_sample(folder / name, volume[None], CT, WHO)
        for path in files:
            if name != "plain":
                compress(path, name)
        yield f"CT series, 48 x 512 x 512, {name}", files[0].parent, bare_dicom
    stored = smooth((256, 256, 160), 4000).astype(np.int16)
    for suffix in (".nii", ".nii.gz"):
        path = folder / f"volume{suffix}"
        Nifti1Image(stored, np.eye(4)).to_filename(path)
        yield f"NIfTI, 256 x 256 x 160{', gzip' if suffix.endswith('gz') else ''}", path, bare_nifti
    bands = np.stack([smooth((2048, 2048), 10000)] * 4).astype(np.uint16)
    for packing in ("none", "deflate"):
        path = folder / f"{packing}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=2048, width=2048, count=4, dtype="uint16", compress=packing, tiled=True,
            crs="EPSG:32633", transform=rasterio.transform.from_origin(0, 0, 10, 10),
        ) as data:  # fmt: skip
            data.write(bands)
        yield f"GeoTIFF, 4 x 2048 x 2048 uint16, {packing}", path, bare_raster


def writing(folder: Path, count: int) -> dict[str, float]:
    """So many radiographs of 128 x 128: the elements of ours, written by pydicom alone."""
    pixels = smooth((64, 128, 128), 4095)
    like = pydicom.dcmread(adapter("dicom").write_sample(folder / "like", pixels[None, :1], RADIOGRAPH, WHO)[0])
    stored = pixels.astype(np.uint16)
    (folder / "bare").mkdir()
    (folder / "ours").mkdir()

    def bare() -> None:
        for index in range(count):
            dataset = Dataset()
            for element in like:
                setattr(dataset, element.keyword, element.value)
            dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(index)])
            dataset.PixelData = stored[index % 64].tobytes()
            dataset.file_meta = FileMetaDataset(like.file_meta)
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.save_as(folder / "bare" / f"{index}.dcm", enforce_file_format=True)

    def ours() -> None:
        for index in range(count):
            made_by = Provenance("t2t-augmentor", "0", "benchmark", index=index)
            adapter("dicom").write_sample(
                folder / "ours" / str(index), pixels[None, index % 64 : index % 64 + 1], RADIOGRAPH, made_by
            )

    timed = beside(bare, ours)
    return {**timed, "times_as_long": round(1 / timed["rate"], 3)}


@click.command()
@click.option("--count", default=5000, help="DICOM files written.")
def main(count: int) -> None:
    """Measure reading and writing beside the bare libraries."""
    results: dict[str, Any] = {**machine(), "reading": {}, "writing": {}}
    with tempfile.TemporaryDirectory() as name:
        for said, path, bare in reading(Path(name)):
            results["reading"][said] = beside(lambda b=bare, p=path: b(p), lambda p=path: tile(p))  # type: ignore[misc]
            click.echo(f"{said}: {results['reading'][said]}")
    with tempfile.TemporaryDirectory() as name:
        said = f"{count} radiographs, 128 x 128"
        results["writing"][said] = writing(Path(name), count)
        click.echo(f"{said}: {results['writing'][said]}")
    (ROOT / "docs/benchmarks/formats.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
