"""Filling on real data: PSNR and SSIM inside the holes, beside linear interpolation and other classical answers.

    python -m benchmarks.fill [--data ../shared/data] [--images 40000]

Slices: every 4th slice of a series or volume is left out, and the run is trained on the slices that are left.
Clouds: real masks of cloudy dates are laid over clear dates, and the run is trained on what is still clear.
Nothing that is judged was seen in training. Writes docs/benchmarks/fill.json.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import nibabel
import numpy as np
import rasterio
from numpy.typing import NDArray

from augmentor.fill import fill
from augmentor.filling.show import filled_scene
from augmentor.holes.find import find
from augmentor.holes.priors import ALONG
from augmentor.measures.filling import closeness
from augmentor.scaling import Scaling
from augmentor.train import train
from benchmarks.machine import machine
from data_adapters import Scene, open_scenes

ROOT = Path(__file__).parent.parent


def figures(made: NDArray[Any], truth: NDArray[Any], hole: NDArray[np.bool_]) -> dict[str, float]:
    """PSNR and SSIM inside the hole, rounded for a table."""
    found = closeness(made, truth, hole)
    return {"psnr": round(found.psnr, 3), "ssim": round(found.ssim, 4)}


def classical(scene: Scene, hole: NDArray[np.bool_], truth: NDArray[Any]) -> dict[str, dict[str, float]]:
    """Every prior that looks along the slice axis."""
    pixels = scene.read(0, scene.shape[1])
    known = pixels.valid.all(axis=0) & ~hole
    scaling = Scaling.fit(np.moveaxis(pixels.values, 1, 0), known, None)
    values = np.moveaxis(scaling.to_unit(np.moveaxis(pixels.values, 1, 0)), 0, 1)
    result = {}
    for name, prior in ALONG.items():
        made = truth.copy()
        for index in np.flatnonzero(hole.any(axis=(1, 2))):
            answer = scaling.to_physical(prior(values, known, scene.grid.positions, int(index))[0])
            made[:, index] = np.where(hole[index], answer, truth[:, index])
        result[name] = figures(made, truth, hole)
    return result


def whole(path: Path, like: Scene) -> NDArray[Any]:
    """All pixels of the filled scene in a folder or file."""
    scene = filled_scene(path, like)
    return scene.read(0, scene.shape[1]).values


def leave_out_dicom(source: Path, folder: Path) -> Path:
    """A copy of a series without every 4th slice along the normal."""
    scene = open_scenes(source)[0]
    folder.mkdir(parents=True)
    for index, slot in enumerate(scene.slots):  # type: ignore[attr-defined]
        if index % 4 != 2 or index == scene.shape[1] - 1:
            shutil.copy(slot.path, folder / slot.path.name)
    return folder


def leave_out_nifti(source: Path, folder: Path) -> Path:
    """A copy of a volume with every 4th slice blank."""
    folder.mkdir(parents=True)
    image: Any = nibabel.load(source)
    raw = np.array(image.dataobj.get_unscaled())
    raw[:, :, 2:-1:4] = raw.min()
    blank = type(image)(raw, None, image.header)
    blank.header.set_slope_inter(image.dataobj.slope, image.dataobj.inter)
    nibabel.save(blank, folder / source.name)
    return folder / source.name


def slices(name: str, source: Path, recipe: str, work: Path, images: int) -> dict[str, Any]:
    """One volume with every 4th slice missing."""
    leave_out = leave_out_dicom if source.is_dir() else leave_out_nifti
    holed = leave_out(source, work / name / "holed")
    run = train(recipe, data=holed, changes=(f"game.images={images}",), runs=work / name / "runs")
    truth_scene, scene = open_scenes(source)[0], open_scenes(holed)[0]
    truth = truth_scene.read(0, truth_scene.shape[1]).values
    hole = find(scene, None)[0](scene.plane)[0]
    out = work / name / ("filled" if source.is_dir() else "filled.nii.gz")
    filled = fill(holed, out, run=run.folder, runs=work / name / "runs")
    made = whole(out, scene)
    untouched = bool(np.array_equal(made[:, ~hole], truth[:, ~hole]))
    return {
        "case": name,
        "method": filled.method,
        "classical": classical(scene, hole, truth),
        "t2t_gan": figures(made, truth, hole),
        "untouched_pixels_identical": untouched,
    }


def clouds(data: Path, work: Path, images: int) -> dict[str, Any]:
    """Clear dates of a real stack under the real masks of its cloudy dates."""
    source, masks = data / "s2_rome_west", data / "s2_rome_west_masks"
    with (data / "s2_rome_west_dates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    clear = [r["date"] for r in rows if r["class"] == "clear"]
    partial = [r["date"] for r in rows if r["class"] == "partial"]
    judged = clear[1::2]
    simulated = work / "clouds" / "masks"
    shutil.copytree(masks, simulated)
    for number, day in enumerate(judged):
        shutil.copy(masks / f"S2_cloud_{partial[number % len(partial)]}.tif", simulated / f"S2_cloud_{day}.tif")
    runs = work / "clouds" / "runs"
    changes = (f"game.images={images}",)
    # The masks hide the truth from training, too.
    run = train("sentinel2_clouds", data=source, masks=simulated, changes=changes, runs=runs)
    scene = open_scenes(source)[0]
    truth = scene.read(0, scene.shape[1]).values
    everything = find(scene, simulated)[0](scene.plane)[0]
    chosen = np.isin(scene.dates, judged)[:, None, None]
    answers: dict[str, Callable[[], Path]] = {
        "matched": lambda: _fill(source, simulated, work / "clouds" / "matched", runs, None),
        "t2t": lambda: _fill(source, simulated, work / "clouds" / "t2t", runs, run.folder),
    }
    made = {name: whole(answer(), scene) for name, answer in answers.items()}
    rivals = _classical_under(scene, everything, chosen, truth)
    with rasterio.open(next(source.glob("*.tif"))) as data_set:
        bands = data_set.count
    return {
        "case": "s2_rome_west, real masks moved onto clear dates",
        "dates_judged": judged,
        "bands": bands,
        "classical": {**rivals, "linear, matched": figures(made["matched"], truth, everything & chosen)},
        "t2t_gan": figures(made["t2t"], truth, everything & chosen),
        "untouched_pixels_identical": bool(np.array_equal(made["t2t"][:, ~everything], truth[:, ~everything])),
    }


def _fill(source: Path, masks: Path, out: Path, runs: Path, run: Path | None) -> Path:
    fill(source, out, mask=masks, run=run, runs=runs, prior_only=run is None)
    return out


def _classical_under(
    scene: Scene, hole: NDArray[np.bool_], chosen: NDArray[np.bool_], truth: NDArray[Any]
) -> dict[str, dict[str, float]]:
    """Temporal priors that see every hole, judged on the chosen dates."""
    known = ~hole
    result = {}
    for name in ("linear", "nearest", "mean"):
        made = truth.copy()
        for index in np.flatnonzero((hole & chosen).any(axis=(1, 2))):
            answer = ALONG[name](truth, known, scene.grid.positions, int(index))[0]
            made[:, index] = np.where(hole[index], answer, truth[:, index])
        result[name] = figures(made, truth, hole & chosen)
    return result


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared/data")
@click.option("--images", type=int, default=40_000)
def main(data: Path, images: int) -> None:
    """Run every case and write the table."""
    work = Path(tempfile.mkdtemp())
    nifti = data / "nifti"
    cases = [
        slices("MR, sag_mprage_64 (DICOM)", data / "mr_dicom/sag_mprage_64", "mri_missing_slices", work, images),
        slices("MR, stroke_T1", nifti / "stroke_T1.nii.gz", "mri_missing_slices", work, images),
        slices("CT, totalseg_example_ct", nifti / "totalseg_example_ct.nii.gz", "ct_missing_slices", work, images),
        clouds(data / "satellite_timeseries", work, images),
    ]
    command = f"python -m benchmarks.fill --images {images}"
    result = {"command": command, **machine(), "cases": cases}
    out = ROOT / "docs/benchmarks/fill.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
