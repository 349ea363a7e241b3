"""Dates and slices left out and made again from the others, beside what else can be done without a network.

    OMP_NUM_THREADS=1 python -m benchmarks.interpolate dates
    OMP_NUM_THREADS=1 python -m benchmarks.interpolate dates --prior-only
    OMP_NUM_THREADS=1 python -m benchmarks.interpolate slices
    python -m benchmarks.interpolate picture 2018-07-20
    python -m benchmarks.interpolate table

``dates``: each clear date of Sentinel-2 over Rome in turn, 13 bands, by the clear parts of the others. ``slices``: of
each DICOM series every second slice, and three of the others made between them. What is judged lies nowhere in what
`augmentor interpolate` is given. One record a case in docs/benchmarks/interpolate.jsonl; a case whose record is there
is not run again. ``table`` prints them for docs/interpolate.md.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from augmentor.holes.find import masked
from augmentor.holes.priors import ALONG, harmonic
from augmentor.interpolate import interpolate
from augmentor.report.pictures import sheet, visible
from benchmarks.classical import BLIND
from benchmarks.machine import machine
from data_adapters import Scene, open_scenes

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "docs/benchmarks/interpolate.jsonl"
PICTURE = ROOT / "docs/pictures/interpolate_rome.png"
ROME, CLOUDS = "satellite_timeseries/s2_rome_west", "satellite_timeseries/s2_rome_west_masks"
SERIES = {
    "MR sag_mprage_64": "mr_dicom/sag_mprage_64",
    "CT abdomen_20_j2k": "ct_dicom/abdomen_20_j2k",
    "CT phantom_tilted_34": "ct_dicom/phantom_tilted_34_rle",
}
PARTS = (0.25, 0.5, 0.75)
"""Where in a series the slices lie that are left out."""

CLEAR = 0.9
"""Part of a date that is clear, at least, for it to be judged by."""

RED, INFRARED = 3, 7
"""B04 and B08."""

Values = NDArray[np.floating[Any]]


def ndvi(bands: Values) -> Values:
    """Normalised difference vegetation index of (C, ...), between -1 and 1; reflectances below none are none."""
    red, infrared = np.maximum(bands[RED].astype(float), 0), np.maximum(bands[INFRARED].astype(float), 0)
    return np.asarray((infrared - red) / np.maximum(infrared + red, 1))


def root(errors: Values) -> float:
    return round(float(np.sqrt((errors**2).mean())), 5)


def figures(made: Values, truth: Values, where: NDArray[np.bool_]) -> dict[str, Any]:
    """Root mean square errors (C, h, w) where ``where`` (h, w): of each band, their mean, and of the NDVI."""
    bands = [root((made[band] - truth[band])[where]) for band in range(len(truth))]
    said: dict[str, Any] = {"error": round(float(np.mean(bands)), 4)}
    if len(truth) > INFRARED:
        said |= {"bands": bands, "ndvi": root((ndvi(made) - ndvi(truth))[where])}
    return said


def classical(scene: Scene, known: NDArray[np.bool_], index: int) -> Iterator[tuple[str, Values]]:
    """What classical methods make of slice ``index`` by the others, and of what none of them shows by its rim."""
    values = np.where(known, scene.read(0, scene.shape[1]).values, 0).astype(np.float64)
    for name in BLIND[scene.kind]:
        found, said = ALONG[name](values, known, scene.grid.positions, index)
        yield name, found if said.all() else harmonic(found, ~said)


def judged(scene: Scene, index: int, source: Path, known: NDArray[np.bool_], **asked: Any) -> dict[str, Any]:
    """One slice or date left out: how it is made again from the others at ``source``."""
    truth, where = scene.read(index, 1).values[:, 0].astype(float), known[index]
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        made = interpolate(source, Path(folder) / "made", **asked)
        seconds = time.process_time() - start
        best, low, high = (open_scenes(path)[0].read(0, 1).values[:, 0] for path in made.files[:3])
    inside = (low <= truth) & (truth <= high)
    return {
        "between": made.between,
        "method": made.method,
        "expected": made.expected_error,
        "cpu_seconds": round(seconds, 1),
        "augmentor": {**figures(best, truth, where), "interval": round(float(inside[:, where].mean()), 4)},
        **{name: figures(answer, truth, where) for name, answer in classical(scene, known, index)},
    }


def copied(files: Sequence[Path], folder: Path) -> Path:
    """A scene of some files of another one."""
    folder.mkdir(parents=True)
    for path in files:
        shutil.copy(path, folder / path.name)
    return folder


def without(scene: Scene, index: int, folder: Path) -> Path:
    """A copy of a stack without one of its dates, each in a file."""
    return copied([path for number, path in enumerate(scene.files) if number != index], folder)


def record(case: str, said: Mapping[str, Any]) -> None:
    with RECORDS.open("a") as stream:
        stream.write(json.dumps({"case": case, **said, **machine()}) + "\n")
    click.echo(f"{case}: " + ", ".join(f"{k} {v['error']}" for k, v in said.items() if isinstance(v, dict)))


def known_cases() -> set[str]:
    return {json.loads(line)["case"] for line in RECORDS.read_text().splitlines()} if RECORDS.exists() else set()


@click.group()
def main() -> None:
    """Measure interpolation."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared/data")
@click.option("--prior-only", is_flag=True)
def dates(data: Path, prior_only: bool) -> None:
    """Clear dates of a stack, one at a time."""
    (scene,) = open_scenes(data / ROME)
    covered = masked(scene, data / CLOUDS)(scene.plane)
    known = np.asarray((scene.read(0, scene.shape[1]).valid & ~covered).all(axis=0))
    done = known_cases()
    for index in np.flatnonzero(known.mean(axis=(1, 2)) > CLEAR).tolist():
        day = scene.dates[index]
        case = f"Rome {day}{', prior alone' if prior_only else ''}"
        if case in done:
            continue
        with tempfile.TemporaryDirectory() as folder:
            source = without(scene, index, Path(folder) / "stack")
            record(case, judged(scene, index, source, known, at=day, mask=data / CLOUDS, prior_only=prior_only))


@main.command()
@click.argument("day")
@click.option("--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared/data")
def picture(day: str, data: Path) -> None:
    """Draw a date that was left out into docs/pictures: the one before, made, truth, the one after."""
    (scene,) = open_scenes(data / ROME)
    index = scene.dates.index(day)
    with tempfile.TemporaryDirectory() as folder:
        source = without(scene, index, Path(folder) / "stack")
        made = interpolate(source, Path(folder) / "made", at=day, mask=data / CLOUDS, prior_only=True)
        best = open_scenes(made.files[0])[0].read(0, 1).values[:, 0]
    before, truth, after = (scene.read(at, 1).values[:, 0] for at in (index - 1, index, index + 1))
    names = [channel.name for channel in scene.channels]
    ends = [np.percentile(truth, part, axis=(1, 2)).tolist() for part in (1, 99)]
    sheet([visible(plane, names, *ends) for plane in (before, best, truth, after)], 4, PICTURE)


@main.command()
@click.option("--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared/data")
def slices(data: Path) -> None:
    """Slices of series, one at a time."""
    done = known_cases()
    for name, path in SERIES.items():
        (scene,) = open_scenes(data / path)
        # Files are not in the order of slices.
        files = [slot.path for slot in scene.slots]  # type: ignore[attr-defined]
        for part in PARTS:
            index = round(part * (scene.shape[1] - 1))
            case = f"{name}, slice {index}"
            if case in done:
                continue
            with tempfile.TemporaryDirectory() as folder:
                kept = range((index + 1) % 2, len(files), 2)
                source = copied([files[number] for number in kept], Path(folder) / "series")
                known = np.zeros((len(files), *scene.shape[2:]), dtype=bool)
                known[[*kept, index]] = True
                at = f"{scene.grid.positions[index] - scene.grid.positions[kept[0]]:.9g}"
                record(case, judged(scene, index, source, known, at=at))


@main.command()
def table() -> None:
    """Print the records."""
    rows = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    for kind, names in BLIND.items():
        of_kind = [row for row in rows if names[-1] in row and ("seasonal" in row) == (kind == "stack")]
        for measure in ("error", "ndvi"):
            if not of_kind or measure not in of_kind[0]["augmentor"]:
                continue
            print(f"\n| {measure} | augmentor | {' | '.join(names)} | interval holds | CPU s |")
            print("|---|" + "---|" * (len(names) + 3))
            for row in sorted(of_kind, key=lambda row: row["case"]):
                told = [row[name][measure] for name in ("augmentor", *names)]
                said = " | ".join(f"{v:.4f}" if measure == "ndvi" else f"{v:.1f}" for v in told)
                print(f"| {row['case']} | {said} | {100 * row['augmentor']['interval']:.0f} % | {row['cpu_seconds']} |")


if __name__ == "__main__":
    main()
