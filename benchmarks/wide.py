"""Ten megapixels in four bands under real clouds: what filling them by a trained run costs.

    OMP_NUM_THREADS=1 python -m benchmarks.wide [--side 3200] [--images 10000]

Three dates of Rome are laid side by side, again and again, until they are so wide; clouds of as many real masks lie on
the middle one. A run is trained on the dates as they are, shortly, since how well it fills is told by
`benchmarks.fill`; then `augmentor fill --run` fills the middle date in a process of its own, whose CPU time and peak
memory are those that the kernel counts. Writes docs/benchmarks/wide.json.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import click
import numpy as np
import rasterio

from benchmarks.fill_cases import STACKS
from benchmarks.large import cost
from benchmarks.machine import machine

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs/benchmarks/wide.json"
DATES = ("2018-07-05", "2018-07-20", "2018-08-09")
CLOUDED = DATES[1]
BANDS = STACKS["4 bands"]


def draw(series: Path, work: Path, side: int) -> float:
    """The dates under ``work/images`` and their masks under ``work/masks``; which part of the middle one is clouded."""
    shapes = []
    for path in sorted((series / "s2_rome_west_masks").glob("*.tif")):
        with rasterio.open(path) as data:
            shapes.append(data.read(1) > 0)
    shapes = [shape for shape in shapes if 0.05 < shape.mean() < 0.6]
    for folder in ("images", "masks"):
        (work / folder).mkdir()
    clouded = 0.0
    for day in DATES:
        with rasterio.open(series / f"s2_rome_west/S2_L1C_{day}.tif") as data:
            values, profile = data.read(BANDS), data.profile
        down, right = (-(-side // length) for length in values.shape[1:])
        wide = np.tile(values, (1, down, right))[:, :side, :side]
        turns = iter(range(down * right))
        clouds = np.block([[shapes[next(turns) % len(shapes)] for _ in range(right)] for _ in range(down)])
        clouds = clouds[:side, :side] & (day == CLOUDED)
        clouded = max(clouded, float(clouds.mean()))
        size = {"height": side, "width": side, "tiled": True, "blockxsize": 256, "blockysize": 256}
        with rasterio.open(work / f"images/S2_{day}.tif", "w", **{**profile, **size, "count": len(BANDS)}) as out:
            out.write(wide)
        with rasterio.open(
            work / f"masks/S2_cloud_{day}.tif", "w", **{**profile, **size, "count": 1, "dtype": "uint8"}
        ) as out:
            out.write(clouds.astype(np.uint8), 1)
    return clouded


def own_dates(series: Path, work: Path) -> Path:
    """The clear dates of the real stack, in the same bands."""
    work.mkdir()
    for path in sorted((series / "s2_rome_west").glob("*.tif")):
        with (
            rasterio.open(path) as data,
            rasterio.open(work / path.name, "w", **{**data.profile, "count": len(BANDS)}) as out,
        ):
            out.write(data.read(BANDS))
    return work


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared/data")
@click.option("--side", type=int, default=3200, show_default=True, help="Rows and columns.")
@click.option("--images", type=int, default=10_000, show_default=True, help="Hidden parts that the run is trained on.")
def main(data: Path, side: int, images: int) -> None:
    """Draw the dates, train, fill, and write the record."""
    series = data / "satellite_timeseries"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clouded = draw(series, work, side)
        own = own_dates(series, work / "own")
        shutil.copytree(series / "s2_rome_west_masks", work / "own_masks")
        cost(
            "train", "sentinel2_clouds", "--data", str(own), "--masks", str(work / "own_masks"),
            "--set", f"game.images={images}", "--runs", str(work / "runs"),
        )  # fmt: skip
        run = next((work / "runs").iterdir())
        spent = cost(
            "fill", str(work / "images"), "--mask", str(work / "masks"), "-o", str(work / "filled"), "--run", str(run)
        )
    result = {
        "command": f"python -m benchmarks.wide --side {side} --images {images}",
        **machine(),
        "scene": f"{len(DATES)} dates of {side} x {side} x {len(BANDS)} uint16, {clouded:.0%} of one under clouds",
        "costs": [spent],
    }
    RECORD.write_text(json.dumps(result, indent=2) + "\n")
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
