"""All of it in minutes, on phantoms that the package draws itself, shown on one page."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from augmentor.errors import OutputInTheWay
from augmentor.fill import fill
from augmentor.filling.show import filled_scene
from augmentor.holes.find import find
from augmentor.inspect import inspect
from augmentor.measures.filling import Closeness, closeness
from augmentor.report.page import Picture, Section, write_page
from augmentor.report.pictures import contact_sheet
from augmentor.synthesize import synthesize
from augmentor.tiles import whole_tile
from augmentor.train import train
from data_adapters import Scene, open_scenes
from data_adapters.atomic import write_json
from data_adapters.phantoms import Phantoms, draw_all

SEED = 7
SIZE = 128
SAMPLES = 48
LEARNED = 4000
"""Hidden parts that filling learns from: few, for the time."""

SHOWN = "Before, with holes black; after; and the interval that holds nine in ten truths, white where it is widest."
HURRIED = ("game.images=10000", "game.warm_start=0.6")
"""A short run is spent better on drawing at all than on drawing sharply."""

MARKER = "demo.json"
Result = TypeVar("Result")


class Clock:
    """Wall and CPU seconds of each step, for the page."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = [("step", "wall", "CPU")]

    def time(self, step: str, work: Callable[[], Result]) -> Result:
        """Run ``work`` and note how long it took."""
        print(f"== {step}", flush=True)
        wall, cpu = time.monotonic(), time.process_time()
        result = work()
        self.rows.append((step, f"{time.monotonic() - wall:.1f} s", f"{time.process_time() - cpu:.1f} s"))
        return result


def demo(out: Path) -> Path:
    """Draw, train, synthesize and fill into ``out``; returns its ``index.html``.

    An earlier demo in ``out`` is replaced.

    Raises:
        OutputInTheWay: if ``out`` holds anything but an earlier demo.
    """
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).is_file():
            raise OutputInTheWay("holds other files", where=out, do="choose another -o")
        shutil.rmtree(out)
    write_json(out / MARKER, {"made_by": "augmentor demo"})
    clock = Clock()
    runs, written = out / "runs", out / "written"
    phantoms = clock.time("draw phantoms", lambda: draw_all(out / "phantoms", seed=SEED, radiographs=200, size=SIZE))
    print(inspect(phantoms.ct))
    sections = [
        _synthesis(clock, phantoms, runs, written),
        _filling(
            clock,
            "rebuild missing CT slices",
            "A DICOM series whose positions say what is missing.",
            phantoms.ct,
            phantoms.ct_truth,
            None,
            written / "ct_filled",
            runs,
        ),
        _filling(
            clock,
            "rebuild blank MR slices",
            "A NIfTI volume.",
            phantoms.mr,
            phantoms.mr_truth,
            None,
            written / "mr_filled.nii.gz",
            runs,
        ),
        _filling(
            clock,
            "rebuild clouded ground",
            "Eight dates of five bands; clouds and their shadows are masked.",
            phantoms.stack,
            phantoms.stack_truth,
            phantoms.clouds,
            written / "clouds_filled",
            runs,
        ),
    ]
    write_json(out / "times.json", [dict(zip(clock.rows[0], row, strict=True)) for row in clock.rows[1:]])
    sections.append(Section("Time taken", "On the machine that made this page.", table=clock.rows))
    lead = (
        "Everything here was drawn, learned and made on this machine. The phantoms are drawings with valid headers: "
        "no patient was imaged and no place was seen. Figures are against the phantoms' kept truth."
    )
    return write_page("augmentor demo", lead, sections, out / "index.html")


def _synthesis(clock: Clock, phantoms: Phantoms, runs: Path, written: Path) -> Section:
    changes = ("conditions.finding.column=finding", "data.group=patient", *HURRIED)
    run = clock.time(
        "train on radiographs", lambda: train("chest_xray", data=phantoms.chest, changes=changes, runs=runs)
    )
    folder = clock.time("synthesize DICOM", lambda: synthesize(SAMPLES, run=run.folder, out=written / "chest"))
    scaling = run.facts.scaling
    picture = written / "chest_real_and_synthetic.png"
    sides = [_by_finding(phantoms.chest), _by_finding(folder)]
    contact_sheet([tile for side in sides for tile in side], scaling, picture, columns=8)
    return Section(
        "Synthetic radiographs, written as DICOM",
        "A class-conditional T2T-GAN learned from 200 drawn radiographs with two labels. Each sample is a Computed "
        "Radiography object of its own, with new identifiers, marked as synthetic and without a patient.",
        [
            Picture(
                picture,
                "Two rows of drawn chest radiographs above two rows of synthetic ones",
                "Rows 1 and 2: phantoms, clear and with an opacity. Rows 3 and 4: samples asked to be the same.",
            ),
            Picture(folder / "contact_sheet.png", "Contact sheet of synthetic radiographs", "The first samples."),
        ],
        command=_command("train chest_xray --data phantoms/chest", changes) + f"\naugmentor synthesize --n {SAMPLES}",
        files=["written/chest/labels.csv", "written/chest/sample_000000.dcm", "written/chest/sample_000001.dcm"],
    )


def _command(words: str, changes: Sequence[str]) -> str:
    """What a person would type in the demo's folder."""
    return " ".join([f"augmentor {words}", *(f"--set {change}" for change in changes)])


def _by_finding(folder: Path) -> list[np.ndarray]:
    """Eight images of each finding, whole, at 64 × 64."""
    with (folder / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    tiles = []
    for finding in sorted({row["finding"] for row in rows}):
        for row in [row for row in rows if row["finding"] == finding][:8]:
            scene = open_scenes(folder / row["file"])[0]
            pixels = scene.read(0, 1)
            tiles.append(whole_tile(pixels.values[:, 0], pixels.seen[0], (64, 64)).pixels)
    return tiles


def _filling(
    clock: Clock, title: str, about: str, source: Path, truth: Path, mask: Path | None, out: Path, runs: Path
) -> Section:
    """Fill a phantom by learning on it, and set the truth beside it."""
    plain = out.with_name(f"classical_{out.name}")
    filled = clock.time(title, lambda: fill(source, out, mask=mask, runs=runs, adapting=True, tiles=LEARNED))
    fill(source, plain, mask=mask, prior_only=True, runs=runs)
    scene = open_scenes(source)[0]
    hole = find(scene, mask)[0](scene.plane)[0]
    words = (
        f"fill phantoms/{source.name} " + (f"--mask phantoms/{mask.name} " if mask else "") + f"-o written/{out.name}"
    )
    return Section(
        f"{title[0].upper()}{title[1:]}",
        f"{about} {filled.holes[0].upper()}{filled.holes[1:]}: {filled.pixels} pixels, rebuilt by {filled.method}. "
        "The network learned on this very file, from parts of it that were hidden. Every observed pixel is unchanged, "
        f"bit for bit. Expected error inside the holes: {filled.expected_error}.",
        [Picture(out.with_name(f"{out.name}.png"), f"{title}: before, after, and interval", SHOWN)],
        table=_table(truth, {"the best classical answer": plain, "T2T-GAN over it": out}, hole),
        command=_command(words, ()) + f" --adapt-tiles {LEARNED}",
        files=[f"written/{out.name}.json", *(f"written/{path.relative_to(out.parent)}" for path in filled.files[:2])],
    )


def _table(truth: Path, answers: dict[str, Path], hole: np.ndarray) -> list[tuple[str, str, str]]:
    """PSNR and SSIM of each answer inside the holes."""
    real = open_scenes(truth)[0]
    rows = [("inside the holes", "PSNR", "SSIM")]
    for name, path in answers.items():
        found: Closeness = closeness(_whole(filled_scene(path, real)), _whole(real), hole)
        rows.append((name, f"{found.psnr:.2f} dB", f"{found.ssim:.4f}"))
    return rows


def _whole(scene: Scene) -> np.ndarray:
    return scene.read(0, scene.shape[1]).values
