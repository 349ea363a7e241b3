"""Rasters of up to 20,000 x 20,000 pixels in four bands, larger than memory: what their tiles and their holes cost.

    python -m benchmarks.large [--side 2000 --side 20000]

Each raster is drawn: mostly flat, a few textured fields, a few holes of nodata. It is cut into tiles by `ingest`
and filled by `fill`, each in a process of its own, whose peak memory and CPU time are those that the kernel counts.
Writes docs/benchmarks/large.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from rasterio.transform import from_origin
from rasterio.windows import Window

from benchmarks.machine import machine
from data_adapters.geotiff.rasters import open_raster

RECORD = Path(__file__).parent.parent / "docs/benchmarks/large.json"
NODATA = 65535
BANDS = 4
BLOCK = 256
SIDES = (2_000, 5_000, 10_000, 20_000)
FIELD, HOLE = 1000, 60
"""Sides of a textured field, and of the hole in its middle."""


def draw(path: Path, side: int) -> Path:
    """A tiled, compressed uint16 raster of flat ground with nine textured fields, each with a hole of nodata."""
    random = np.random.default_rng(0)
    profile = {
        "driver": "GTiff", "height": side, "width": side, "count": BANDS, "dtype": "uint16", "nodata": NODATA,
        "crs": "EPSG:32633", "transform": from_origin(300_000, 5_000_000, 10, 10), "compress": "deflate",
        "ZLEVEL": 1, "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    with open_raster(path, "w", **profile) as data:
        for row in range(0, side, BLOCK):
            data.write(
                np.zeros((BANDS, min(BLOCK, side - row), side), np.uint16),
                window=Window(0, row, side, min(BLOCK, side - row)),
            )
        for row in range(side // 6, side, side // 3):
            for column in range(side // 6, side, side // 3):
                size = min(FIELD, side // 6)
                coarse = random.integers(500, 9000, (BANDS, size // 10 + 1, size // 10 + 1), np.uint16)
                field = coarse.repeat(10, 1).repeat(10, 2)[:, :size, :size]
                field[:, size // 2 :, size // 2 :][:, :HOLE, :HOLE] = NODATA
                data.write(field, window=Window(column, row, size, size))
    return path


RUN = """
import sys
from pathlib import Path
from augmentor.cli import main
try:
    main(sys.argv[2:], standalone_mode=False)
finally:
    Path(sys.argv[1]).write_text(Path("/proc/self/status").read_text())
"""
"""Runs a command and leaves what the kernel says of its memory; what wait4 says counts the parent's as well."""


def cost(*words: str) -> dict[str, Any]:
    """What a command of the tool costs: peak resident memory in MiB, and CPU seconds."""
    with tempfile.NamedTemporaryFile("r") as said:
        process = subprocess.Popen([sys.executable, "-c", RUN, said.name, *words])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"augmentor {' '.join(words)} failed")
        peak = next(line for line in Path(said.name).read_text().splitlines() if line.startswith("VmHWM:"))
    return {
        "command": " ".join(["augmentor", *(Path(w).name if Path(w).is_absolute() else w for w in words)]),
        "peak_memory_mib": round(int(peak.split()[1]) / 1024),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
    }


@click.command()
@click.option("--side", "sides", type=int, multiple=True, default=SIDES, show_default=True,
              help="Rows and columns of a raster; several times for several.")  # fmt: skip
def main(sides: tuple[int, ...]) -> None:
    """Draw the rasters, cut and fill them, and write the record."""
    rasters = []
    for side in sides:
        with tempfile.TemporaryDirectory() as work:
            path = draw(Path(work) / "large.tif", side)
            grid = ("--set", "tiles.cut=grid", "--store", f"{work}/tiles")
            costs = [
                cost("fill", str(path), "-o", f"{work}/filled.tif", "--prior-only"),
                cost("ingest", "satellite_tiles", "--data", str(path), *grid),
            ]
        gigabytes = side * side * BANDS * 2 / 2**30
        rasters.append({"raster": f"{side} x {side} x {BANDS} uint16, {gigabytes:.2g} GiB", "costs": costs})
    asked = " ".join(f"--side {side}" for side in sides)
    result = {"command": f"python -m benchmarks.large {asked}", **machine(), "rasters": rasters}
    RECORD.write_text(json.dumps(result, indent=2) + "\n")
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
