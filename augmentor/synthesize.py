"""A run to samples: drawn one by one from seed and index, written in the source's format, streamed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import OutputInTheWay
from augmentor.evaluation.passed import check_passed
from augmentor.evaluation.sieve import Patience
from augmentor.orders import STEM, Block, Order, Written, drawn, header, maps_for, write_block
from augmentor.progress import progress
from augmentor.report.pictures import contact_sheet
from augmentor.run import TOOL, Facts, Run, tool_version
from augmentor.sampling import check_conditions
from augmentor.together.lock import alone_in
from augmentor.together.workers import HERE, Workers
from data_adapters import Delivery, Provenance, Template, adapter
from data_adapters.atomic import write_json
from data_adapters.errors import Unwritable
from data_adapters.sums import SUMS, Sums

SHEET = 64
"""Samples on the contact sheet."""

FORMATS = ("dicom", "nifti", "geotiff", "png")
MEDICAL = ("CR", "CT", "DX", "MR")
"""Modalities that have a DICOM image class of their own here."""

MANIFEST = "synthesis.json"
LABELS = "labels.csv"


def synthesize(
    n: int,
    *,
    run: str | Path | None = None,
    out: str | Path | None = None,
    format: str | None = None,
    condition: Mapping[str, str] | None = None,
    seed: int = 0,
    guidance: float = 1.0,
    segmentation: str | Path | None = None,
    only_if_passed: bool = False,
    sieve: bool = False,
    runs: str | Path = "runs",
    deliver: Delivery = Delivery(),
    hands: Workers = HERE,
) -> Path:
    """Write ``n`` samples of a run (the latest when none is named) and return their folder.

    ``labels.csv`` names every file with its conditions, ``SHA256SUMS`` with its digest; a second call with the same
    arguments goes on where an interrupted one stopped, and a larger ``n`` adds to what is there. ``guidance`` is how
    far samples follow their conditions, 1 as trained. A run conditioned on label maps makes images for those
    at ``segmentation``, in turn. With ``only_if_passed``, a run whose samples were not evaluated, or failed,
    makes none. With ``sieve``, samples that are near copies of training images, or like no real image, are left out,
    and others drawn in their place. Samples are written by ``hands``; ``deliver`` is done with all of them at the end.

    Raises:
        UserError: if there is no run, the format does not suit it, or the folder holds something else.
    """
    found = Run.find(run, Path(runs))
    found.check_draws()
    facts = found.facts
    if only_if_passed:
        check_passed(found)
    asked = check_conditions(facts, condition or {})
    given, store = Path(segmentation) if segmentation else None, Path(runs) / "tiles" if sieve else None
    maps_for(found, given)
    template = target(facts, format or found.recipe.synthesis.format)
    deliver.check(template.format)
    out = Path(out) if out else found.folder / "samples" / _folder_name(seed, template.format, asked, guidance, sieve)
    recipe, checkpoint = found.recipe.digest(), found.checkpoint_digest()
    provenance = Provenance(TOOL, tool_version(), "T2T-GAN", recipe, checkpoint, seed, guidance=guidance)
    claim(
        out,
        provenance.as_dict()
        | {"format": template.format, "asked": dict(asked)}
        | {"segmentation": str(segmentation or ""), "sieve": sieve},
    )
    order = Order(found, out, template, provenance, asked, given, store)
    with alone_in(out):
        done, following = written(out)
        end = following + n - done
        sums = Sums(out / SUMS)
        sums.keep(_files(out, maps=True))
        patience = Patience(found)

        def needed() -> Iterator[Block]:
            # How many must be drawn until enough come through a sieve, nobody knows.
            for block in order.blocks(following, None if sieve else end):
                if done >= n:
                    return
                yield block

        with _appending(out / LABELS, header(facts)) as row, progress("synthesize", n, done) as advance:
            for block in hands.map(write_block, needed()):
                for sample in block.written:
                    if done == n:
                        _remove(out, sample)
                        continue
                    sums.add(sample.digests)
                    row(sample.row)
                    done += 1
                advance(done, "")
                if sieve and done < n:
                    patience.count(block.seen, len(block.written), block.copies)
        sheet = contact_sheet(_first(order, min(n, SHEET)), facts.scaling, out / "contact_sheet.png")
        samples_of = _files(out)
        described: list[Path] = []
        try:
            described = deliver(samples_of)
        finally:
            # What is laid out or compressed anew is another file of equal pixels, though sending it may have failed.
            about = [*described, sheet, out / LABELS, out / MANIFEST]
            sums.finish([*_files(out, maps=True), *about], changed=[*(samples_of if deliver.rewrites else []), *about])
    return out


def _first(order: Order, count: int) -> list[NDArray[np.float64]]:
    """The middle slices of the first samples of an order."""
    every = (sample for block in order.blocks(0, None) for sample in drawn(block)[0].samples)
    return [_middle(sample.pixels) for sample in islice(every, count)]


def _remove(out: Path, sample: Written) -> None:
    """Take away a sample that was written and is one too many."""
    for name in sample.digests:
        (out / name).unlink()
        if (out / name).parent != out:
            with suppress(OSError):
                (out / name).parent.rmdir()


def target(facts: Facts, format: str) -> Template:
    """The template of what is written, checked before anything is drawn.

    Raises:
        Unwritable: if samples of this run do not fit the format.
    """
    template = facts.template
    template = replace(template, low=min(facts.scaling.low), high=max(facts.scaling.high))
    if format == "source":
        return template
    if why := _misfit(facts, format):
        fitting = [known for known in FORMATS if not _misfit(facts, known)]
        remedies = [f"use {' or '.join(fitting)}" if fitting else "train on one channel"]
        if facts.channels == 1 and format in ("dicom", "nifti"):
            remedies.append("train with data.modality set to one of " + ", ".join(MEDICAL))
        raise Unwritable(why, do=", or ".join(remedies))
    return replace(template, format=adapter(format).NAME)


def _misfit(facts: Facts, format: str) -> str:
    """Why samples of a run do not fit a format; nothing where they do."""
    template = facts.template
    medical = template.modality in MEDICAL or template.format == "dicom"
    if len(facts.tile) == 3 and format in ("png", "geotiff"):
        return f"volumes do not fit {format}"
    if format == "geotiff" and medical:
        return "medical images do not belong into a GeoTIFF"
    if format in ("dicom", "nifti") and ((not medical and template.format != "nifti") or facts.channels != 1):
        return f"{facts.channels} channels from {template.format} are no medical image"
    if format == "dicom" and template.modality not in MEDICAL:
        return f"modality {template.modality or 'unknown'} has no DICOM image class here"
    if format == "png" and facts.channels not in (1, 3):
        return f"{facts.channels} channels do not fit a PNG"
    return ""


def _middle(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle slice of a volume; a plane as it is."""
    return pixels if pixels.ndim == 3 else pixels[:, pixels.shape[1] // 2]


def _folder_name(seed: int, format: str, asked: Mapping[str, str], guidance: float, sieve: bool) -> str:
    said = [f"{name}_{value}" for name, value in sorted(asked.items())]
    otherwise = [*([f"guidance{guidance:g}"] if guidance != 1 else []), *(["sieved"] if sieve else [])]
    words = "-".join([format, f"seed{seed}", *said, *otherwise])
    return re.sub(r"[^\w.-]+", "_", words)[:120]


def claim(out: Path, manifest: dict[str, Any]) -> None:
    """Make ``out`` this synthesis' folder, or find that it already is.

    Raises:
        OutputInTheWay: if it holds anything else.
    """
    path = out / MANIFEST
    manifest = json.loads(json.dumps(manifest))
    if path.is_file():
        if json.loads(path.read_text()) != manifest:
            raise OutputInTheWay("holds samples of another run, seed or format", where=out, do="choose another -o")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputInTheWay("exists and holds other files", where=out, do="choose another -o or empty it")
    else:
        write_json(path, manifest)


def _files(out: Path, *, maps: bool = False) -> list[Path]:
    """Every file of samples that the label file names, perhaps with their label maps; a series is a folder of them."""
    if not (out / LABELS).is_file():
        return []
    with (out / LABELS).open(newline="") as stream:
        columns = ("file", "segmentation") if maps else ("file",)
        named = [out / row[column] for row in csv.DictReader(stream) for column in columns if row.get(column)]
    return [file for path in named for file in (sorted(path.iterdir()) if path.is_dir() else [path])]


def written(out: Path) -> tuple[int, int]:
    """How many samples are whole, by complete lines of the label file, and the number after the last one's.

    A torn last line is cut off.
    """
    path = out / LABELS
    if not path.is_file():
        return 0, 0
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    names = [PurePosixPath(row["file"]).name.partition(".")[0] for row in csv.DictReader(io.StringIO(whole))]
    return len(names), int(names[-1].removeprefix(STEM)) + 1 if names else 0


@contextmanager
def _appending(path: Path, header: list[str]) -> Iterator[Callable[[list[str]], None]]:
    """A CSV being appended to, a line flushed after each file that it names."""
    fresh = not path.is_file() or not path.stat().st_size
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")

        def row(values: list[str]) -> None:
            writer.writerow(values)
            stream.flush()

        if fresh:
            row(header)
        yield row
