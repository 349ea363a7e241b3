"""Filling on real data whose truth is known, beside every classical answer: one record a case.

    OMP_NUM_THREADS=1 python -m benchmarks.fill slices
    OMP_NUM_THREADS=1 python -m benchmarks.fill ends
    OMP_NUM_THREADS=1 python -m benchmarks.fill damaged
    OMP_NUM_THREADS=1 python -m benchmarks.fill beside
    OMP_NUM_THREADS=1 python -m benchmarks.fill trained
    OMP_NUM_THREADS=1 python -m benchmarks.fill clouds
    OMP_NUM_THREADS=1 python -m benchmarks.fill alone
    python -m benchmarks.fill table

Parts of real files are left out, and the rest is given to `augmentor fill` as a user would, without a trained run but
for ``trained``: it learns on the very file. What is judged is not in the file, or lies under its mask. A case whose
record is in docs/benchmarks/fill.jsonl is not run again unless ``--again``; ``table`` writes docs/benchmarks/fill.md
from the records.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from augmentor.fill import fill
from augmentor.filling.show import filled_scene
from augmentor.measures.filling import closeness, spectral_angle
from benchmarks import fill_cases, fill_masked, fill_pictures, fill_tables
from benchmarks.classical import BESIDE, INSIDE, everywhere
from benchmarks.fill_cases import Build, Case
from benchmarks.machine import machine
from data_adapters.naming import named_beside

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "docs/benchmarks/fill.jsonl"
TABLES = ROOT / "docs/benchmarks/fill.md"
PICTURES = ROOT / "docs/pictures"

Values = NDArray[Any]


def figures(made: Values, case: Case) -> dict[str, Any]:
    """PSNR and SSIM in the hole; where there are several bands, the spectral angle; and PSNR by part of the hole."""
    # What is filled and not judged is nobody's error.
    made = np.where(case.hole, made, case.truth)
    found = closeness(made, case.truth, case.hole)
    said: dict[str, Any] = {"psnr": round(found.psnr, 3), "ssim": round(found.ssim, 4)}
    if len(made) > 1:
        said["sam"] = round(spectral_angle(made, case.truth, case.hole), 3)
    span = np.ptp(case.truth.reshape(len(case.truth), -1), axis=1)[:, None, None, None]
    squares = (((made - case.truth) / span).astype(float) ** 2).mean(axis=0)[case.hole]
    parts = case.parts[case.hole]
    errors = np.bincount(parts, squares)[1:] / np.bincount(parts)[1:]
    said["each"] = [round(float(-10 * np.log10(max(error, 1e-12))), 2) for error in errors]
    return said


def classical(case: Case) -> Iterator[tuple[str, Values]]:
    """What every classical method makes of a case: those along the slices or dates, and those inside one plane."""
    pixels = case.scene.read(0, case.scene.shape[1])
    known = np.asarray(pixels.valid.all(axis=0) & ~case.hidden)
    # Nodata tells nobody anything, and is no rim to fill from.
    values = np.where(known, pixels.values, 0).astype(np.float64)
    # What is filled lies within what the file shows, too.
    ends = [end(values[:, known], axis=1)[:, None, None] for end in (np.min, np.max)]
    holed = [int(index) for index in np.flatnonzero(case.hole.any(axis=(1, 2)))]
    for name, prior in BESIDE.get(case.scene.kind, {}).items():
        answers = {i: everywhere(prior, values, known, case.scene.grid.positions, i).clip(*ends) for i in holed}
        yield name, put_into(case, answers)
    if known[holed].any():
        for name, inpaint in INSIDE.items():
            yield name, put_into(case, {index: inpaint(values[:, index], ~known[index]).clip(*ends) for index in holed})


def put_into(case: Case, answers: Mapping[int, Values]) -> Values:
    """The truth with its holes as they were answered, by slice."""
    made = case.truth.astype(float)
    for index, answer in answers.items():
        made[:, index] = np.where(case.hole[index], answer, made[:, index])
    return made


def beside(case: Case, answers: Mapping[str, Values]) -> dict[str, Any]:
    """The figures of classical answers."""
    return {name: figures(answer, case) for name, answer in answers.items()}


def whole(path: Path, like: Case) -> Values:
    """All pixels of a filled file or folder."""
    scene = filled_scene(path, like.scene)
    return scene.read(0, scene.shape[1]).values


def measure(case: Case, work: Path, picture: Path | None = None) -> dict[str, Any]:
    """Fill a case, and set the figures side by side; and the ``picture``, where one is asked for."""
    suffix = "" if case.holed.is_dir() else "".join(case.holed.suffixes)
    out = work / f"filled{suffix}"
    began = time.process_time()
    filled = fill(
        case.holed,
        out,
        mask=case.mask,
        aux=case.aux,
        run=case.run,
        runs=work / "runs",
        adapting=case.adapting,
        extrapolate=case.at_ends,
    )
    spent = time.process_time() - began
    made = whole(out, case)
    low, high = (whole(named_beside(out, side), case) for side in ("low", "high"))
    inside = np.broadcast_to(case.hole, case.truth.shape)
    covered = (low <= case.truth) & (case.truth <= high)
    shows = inside & (case.truth > case.truth.min())
    answers = dict(classical(case))
    record = {
        "case": case.name,
        "method": filled.method,
        "expected error": filled.expected_error,
        "error": round(float(np.sqrt(((made - case.truth)[inside] ** 2).mean())), 4),
        "classical": beside(case, answers),
        "t2t_gan": figures(made, case),
        "covered": round(float(covered[inside].mean()), 4),
        "covered where anything shows": round(float(covered[shows].mean()), 4),
        "cpu_seconds": round(spent, 1),
        "voxels": int(np.prod(case.scene.shape)),
        "untouched": bool(
            np.array_equal(made[:, ~case.hidden], case.scene.read(0, case.scene.shape[1]).values[:, ~case.hidden])
        ),
    }
    if picture is not None:
        fill_pictures.draw(case, answers[fill_tables.best(record)], made, picture)
    return record


def judge_rivals(cases: Callable[[Path, Path], Iterable[Build]], data: Path, names: tuple[str, ...]) -> None:
    """The classical answers alone, in every record that is there."""
    with tempfile.TemporaryDirectory() as folder:
        for name, build in cases(data, Path(folder)):
            if names and name not in names:
                continue
            for record in (record for record in records() if record["case"] == name):
                case = build()
                keep({**record, "classical": beside(case, dict(classical(case)))})


def keep(record: dict[str, Any]) -> None:
    """Put a record in place of the one of the same case."""
    kept = [r for r in records() if r["case"] != record["case"]]
    RECORDS.write_text("".join(json.dumps(r) + "\n" for r in [*kept, record]))
    click.echo(fill_tables.line(record))


def run(
    cases: Callable[[Path, Path], Iterable[Build]], data: Path, names: tuple[str, ...], again: bool, drawn: bool
) -> None:
    """Every case whose record is not there yet, one record each, and a picture each where they are to be drawn."""
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, build) in enumerate(cases(data, Path(folder) / "cases")):
            there = {record["case"] for record in records()}
            if (names and name not in names) or (name in there and not again):
                continue
            case = build()
            out = Path(folder) / f"out{number}"
            out.mkdir()
            picture = PICTURES / f"fill_{re.sub(r'[^a-z0-9]+', '_', name.lower())}.png" if drawn else None
            keep({**measure(case, out, picture), **machine()})


def records() -> list[dict[str, Any]]:
    """Every record there is."""
    return [json.loads(line) for line in RECORDS.read_text().splitlines()] if RECORDS.is_file() else []


@click.group()
def main() -> None:
    """Measure filling."""


def _command(name: str, cases: Callable[[Path, Path], Iterable[Build]], about: str) -> None:
    @main.command(name, help=about)
    @click.option("--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared/data")
    @click.option("--case", "names", multiple=True, help="Only these.")
    @click.option("--again", is_flag=True, help="Run cases whose record is there.")
    @click.option("--picture", "drawn", is_flag=True, help="Draw each into docs/pictures.")
    @click.option("--rivals", is_flag=True, help="Judge the classical answers alone again, in the records.")
    def command(data: Path, names: tuple[str, ...], again: bool, drawn: bool, rivals: bool) -> None:
        if rivals:
            judge_rivals(cases, data, names)
        else:
            run(cases, data, names, again, drawn)


_command("slices", fill_cases.volumes, "CT and MR without some of their slices.")
_command("ends", fill_masked.ends, "CT and MR whose last slices are under a mask, whole or in part.")
_command("damaged", fill_masked.damaged, "CT and MR with damage in a part of slices between others.")
_command("beside", fill_cases.beside, "MR without some of its slices, other contrasts beside it.")
_command("trained", fill_cases.trained, "MR slices and pairs of dates, by a run that saw others.")
_command("clouds", fill_cases.stacks, "Dated stacks under real clouds.")
_command("alone", fill_cases.alone, "Single dates under real clouds.")


@main.command()
def table() -> None:
    """Write docs/benchmarks/fill.md from the records."""
    click.echo(fill_tables.write(records(), TABLES))


if __name__ == "__main__":
    main()
