"""A run to samples: drawn one by one from seed and index, written in the source's format, streamed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from augmentor.errors import OutputInTheWay, RunError, WrongCondition
from augmentor.networks import conditions, load_generator
from augmentor.progress import progress
from augmentor.report.pictures import contact_sheet
from augmentor.run import TOOL, Facts, Run, tool_version
from augmentor.t2t.conditioning import encode
from augmentor.t2t.generator import Generator
from data_adapters import Provenance, Template, adapter
from data_adapters.atomic import write_json
from data_adapters.errors import Unwritable

BLOCK = 16
"""Samples drawn together. Blocks are cut by index, so that a sample never depends on how many are asked."""

SHEET = 64
"""Samples on the contact sheet."""

MANIFEST = "synthesis.json"
LABELS = "labels.csv"


@dataclass(frozen=True)
class Sample:
    """A made tile: ``pixels`` (C, H, W) in physical units, and what it was made from."""

    pixels: NDArray[np.float64]
    conditions: Mapping[str, str]
    seed: int
    index: int


def synthesize(
    n: int,
    *,
    run: str | Path | None = None,
    out: str | Path | None = None,
    format: str | None = None,
    condition: Mapping[str, str] | None = None,
    seed: int = 0,
    runs: str | Path = "runs",
) -> Path:
    """Write ``n`` samples of a run (the latest when none is named) and return their folder.

    ``labels.csv`` names every file with its conditions; a second call with the same arguments goes on
    where an interrupted one stopped, and a larger ``n`` adds to what is there.

    Raises:
        UserError: if there is no run, the format does not suit it, or the folder holds something else.
    """
    found = Run.find(run, Path(runs))
    facts = found.facts
    if facts.context:
        raise RunError("was trained to fill, not to synthesize", where=found.folder, do="name another with --run")
    asked = check_conditions(facts, condition or {})
    template = target(facts, format or found.recipe.synthesis.format)
    writer = adapter(template.format)
    out = Path(out) if out else found.folder / "samples" / _folder_name(seed, template.format, asked)
    provenance = Provenance(TOOL, tool_version(), "T2T-GAN", found.recipe.digest(), found.checkpoint_digest(), seed)
    claim(out, {**provenance.as_dict(), "format": template.format, "asked": dict(asked)})
    done = _written(out)
    generator = load_generator(found)
    with _appending(out / LABELS, ["file", *facts.conditions]) as row, progress("synthesize", n, done) as advance:
        for sample in samples(generator, facts, done, n, seed, asked):
            stem = out / f"sample_{sample.index:06d}"
            made_by = replace(provenance, index=sample.index, conditions=sample.conditions)
            files = writer.write_sample(stem, sample.pixels[:, None], template, made_by)
            named = files[0] if len(files) == 1 else stem
            row([named.name, *(sample.conditions.get(name, "") for name in facts.conditions)])
            advance(sample.index + 1, "")
    first = list(samples(generator, facts, 0, min(n, SHEET), seed, asked))
    contact_sheet([s.pixels for s in first], facts.scaling, out / "contact_sheet.png")
    return out


def check_conditions(facts: Facts, asked: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``asked`` if the run knows every name and value.

    Raises:
        WrongCondition: naming what the run knows.
    """
    for name, value in asked.items():
        if name not in facts.conditions:
            known = ", ".join(facts.conditions) or "none"
            raise WrongCondition(f"unknown condition {name!r}", do=f"this run's conditions: {known}")
        if value not in facts.conditions[name]:
            raise WrongCondition(
                f"{name} has no value {value!r}", do=f"values of {name}: {', '.join(facts.conditions[name])}"
            )
    return asked


def target(facts: Facts, format: str) -> Template:
    """The template of what is written, checked before anything is drawn.

    Raises:
        Unwritable: if samples of this run do not fit the format.
    """
    template = facts.template
    template = replace(template, low=min(facts.scaling.low), high=max(facts.scaling.high))
    if format == "source":
        return template
    medical = template.modality in ("CT", "MR", "CR", "DX") or template.format == "dicom"
    if format == "geotiff" and medical:
        raise Unwritable("medical images do not belong into a GeoTIFF", do="use dicom, nifti or png")
    if format in ("dicom", "nifti") and ((not medical and template.format != "nifti") or facts.channels != 1):
        raise Unwritable(
            f"{facts.channels} channels from {template.format} are no medical image",
            do="use geotiff or png, or train with data.modality set (CR, CT or MR) on one channel",
        )
    if format == "png" and facts.channels not in (1, 3):
        raise Unwritable(f"{facts.channels} channels do not fit a PNG", do="use geotiff")
    return replace(template, format=adapter(format).NAME)


def samples(
    generator: Generator, facts: Facts, first: int, end: int, seed: int, asked: Mapping[str, str]
) -> Iterator[Sample]:
    """Samples ``first`` to ``end`` of a seed. Sample k is the same however many are drawn with it."""
    known = conditions(facts)
    low, high = np.array(facts.scaling.low)[:, None, None], np.array(facts.scaling.high)[:, None, None]
    for start in range(first - first % BLOCK, end, BLOCK):
        values, noise = [], []
        for index in range(start, start + BLOCK):
            own = np.random.default_rng([seed, index])
            values.append({**_usual(facts, own), **asked})
            noise.append(own.standard_normal(generator.latent, dtype=np.float32))
        indices = torch.stack([encode(known, v) for v in values])
        with torch.inference_mode():
            z = generator.prior(torch.from_numpy(np.stack(noise)), indices)
            made = generator(z, indices).numpy()
        physical = np.clip(facts.scaling.to_physical(made), low, high)
        for offset in range(max(0, first - start), min(BLOCK, end - start)):
            yield Sample(physical[offset], values[offset], seed, start + offset)


def _usual(facts: Facts, random: np.random.Generator) -> dict[str, str]:
    """Conditions drawn as often as they occur together in training."""
    counts = np.array([count for _, count in facts.combinations], dtype=float)
    return facts.combinations[random.choice(len(counts), p=counts / counts.sum())][0]


def _folder_name(seed: int, format: str, asked: Mapping[str, str]) -> str:
    return "-".join([format, f"seed{seed}", *(f"{name}_{value}" for name, value in sorted(asked.items()))])


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


def _written(out: Path) -> int:
    """Samples whose files are whole: complete lines of the label file; a torn last line is cut off."""
    path = out / LABELS
    if not path.is_file():
        return 0
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return max(0, len(whole.splitlines()) - 1)


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
