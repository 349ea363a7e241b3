"""A run to pairs of tiles, before and after a change that is known to the pixel: to train change detectors on."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor import recipe as recipes
from augmentor.errors import NoRun, RecipeError, TooLittleData, WrongCondition
from augmentor.ingest import cut_maps
from augmentor.networks import load_generator
from augmentor.orders import maps_for, place
from augmentor.pairing.change import SEGMENTATION, Change, Pair, Where, drawn
from augmentor.pairing.regions import fitting
from augmentor.progress import progress
from augmentor.report.pictures import sheet, visible
from augmentor.run import TOOL, Facts, Run, tool_version
from augmentor.sampling import Sample
from augmentor.synthesize import MANIFEST, claim, target
from augmentor.together.lock import alone_in
from data_adapters import Provenance, Template, adapter, write_labels
from data_adapters.fixity import file_digest
from data_adapters.sums import SUMS, Sums

TABLE, SHEET = "pairs.csv", "contact_sheet.png"
BEFORE, AFTER, MASK = "before", "after", "mask"

SHOWN = 16
"""Pairs on the contact sheet."""

ABREAST = 4
"""Pairs in a row of it."""


def pairs(
    n: int,
    *,
    before: Mapping[str, str],
    after: Mapping[str, str],
    run: str | Path | None = None,
    out: str | Path = "pairs",
    segmentation: str | Path | None = None,
    shapes: str | Path | None = None,
    extent: tuple[float, float] = (0.02, 0.25),
    unchanged: float = 0.1,
    fixed: bool = True,
    format: str | None = None,
    seed: int = 0,
    guidance: float = 1.0,
    runs: str | Path = "runs",
) -> Path:
    """Write ``n`` pairs of tiles of a run, before and after a change, with masks of it, and return their folder.

    ``run`` is a run, or a recipe, whose latest run is taken; the latest of all when none is named. ``before`` and
    ``after`` are values of its conditions; of a run conditioned on label maps, ``segmentation`` is the label that the
    region has, and the rest of a tile follows those at ``segmentation``, in turn. Both dates are drawn from one latent.

    Where a pair changes is a region drawn by chance, about where conditions show, whose part of the tile lies in
    ``extent``; or has the form of one of the masks at ``shapes``. A part ``unchanged`` of the pairs has none. ``fixed``
    lays after into before inside the mask alone: every pixel outside is that of before, bit for bit. Otherwise after is
    the whole tile as the run draws it, the mask tells where label maps differ, and other conditions may change the
    background, as a season does.

    ``out`` receives ``before/``, ``after/`` and ``mask/`` (1 where a pair changes), equally named; ``pairs.csv``, a
    line a pair; ``SHA256SUMS``; and a contact sheet. Pair k of a seed is the same however many there are. A second call
    with the same arguments goes on where an interrupted one stopped, and a larger ``n`` adds to what is there.

    Raises:
        UserError: if there is no such run, it cannot draw the change, or the folder holds something else.
    """
    _check(extent, unchanged)
    found = _run_of(run, Path(runs))
    found.check_draws()
    facts = found.facts
    change = Change.asked(facts, before, after)
    if not fixed and change.labels is None:
        raise WrongCondition(
            "acts on the whole tile: without a fixed background nothing tells what changed",
            do=f"leave the background fixed, or change {SEGMENTATION}, too",
        )
    maps = maps_for(found, Path(segmentation) if segmentation else None)
    where = Where(extent, unchanged, _shapes(Path(shapes), found, extent) if shapes else ())
    template = target(facts, format or found.recipe.synthesis.format)
    recipe, checkpoint = found.recipe.digest(), found.checkpoint_digest()
    made_by = Provenance(TOOL, tool_version(), "T2T-GAN pairs", recipe, checkpoint, seed, guidance=guidance)
    asked = {date: ", ".join(f"{k}={v}" for k, v in side.items()) for date, side in ((BEFORE, before), (AFTER, after))}
    out = Path(out)
    claim(
        out,
        made_by.as_dict()
        | {"format": template.format, "asked": asked, "segmentation": str(segmentation or "")}
        | {"shapes": str(shapes or ""), "extent": list(extent), "unchanged": unchanged, "fixed": fixed},
    )
    generator = load_generator(found)
    write = _Writer(out, facts, template, made_by)
    with alone_in(out):
        done = _whole(out / TABLE)
        sums = Sums(out / SUMS)
        sums.keep(_files(out))
        made = drawn(generator, facts, done, seed, change, where, fixed=fixed, guidance=guidance, maps=maps)
        with (out / TABLE).open("a", newline="") as stream, progress("pairs", n, done) as advance:
            table = csv.writer(stream, lineterminator="\n")
            if not stream.tell():
                table.writerow(write.header)
            for pair in islice(made, max(0, n - done)):
                row, digests = write(pair)
                sums.add(digests)
                table.writerow(row)
                stream.flush()
                done += 1
                advance(done)
        first = drawn(generator, facts, 0, seed, change, where, fixed=fixed, guidance=guidance, maps=maps)
        picture = _show(list(islice(first, min(done, SHOWN))), facts, out / SHEET)
        about = [picture, out / TABLE, out / MANIFEST]
        sums.finish([*_files(out), *about], changed=about)
    return out


def _check(extent: tuple[float, float], unchanged: float) -> None:
    if not 0 < extent[0] <= extent[1] <= 1:
        raise RecipeError(f"an extent of {extent[0]:g} to {extent[1]:g}", do="give two parts of a tile, 0 to 1")
    if not 0 <= unchanged <= 1:
        raise RecipeError(f"a part of {unchanged:g} unchanged", do="give a part between 0 and 1")


def _run_of(name: str | Path | None, runs: Path) -> Run:
    """The run that is named; of a recipe, the latest that has weights.

    Raises:
        NoRun: if there is none.
    """
    try:
        return Run.find(name, runs)
    except NoRun:
        if name is None or not runs.is_dir():
            raise
        recipe = recipes.load(name).name if Path(name).is_file() else str(name)
        numbered = {p: re.fullmatch(rf"{re.escape(recipe)}-(\d+)", p.name) for p in runs.iterdir()}
        trained = {int(match[1]): Run(p) for p, match in numbered.items() if match and Run(p).weights.is_file()}
        if not trained:
            raise
        return trained[max(trained)]


def _shapes(path: Path, run: Run, extent: tuple[float, float]) -> list[NDArray[np.bool_]]:
    """Masks at a path, cut as the run's tiles were.

    Raises:
        TooLittleData: if none of them has such an extent.
    """
    cut = cut_maps(path, run.recipe)
    if not (shapes := fitting(cut, extent)):
        low, high = (f"{100 * part:g} %" for part in extent)
        raise TooLittleData(
            f"none of {len(cut)} masks covers {low} to {high} of a tile",
            where=path,
            do="give others, or widen --extent",
        )
    return shapes


class _Written(NamedTuple):
    """A pair that was written: its line of the table, and the digest of each file by its name."""

    row: list[str]
    digests: dict[str, str]


class _Writer(NamedTuple):
    """What writes pairs into a folder."""

    out: Path
    facts: Facts
    template: Template
    made_by: Provenance

    @property
    def header(self) -> list[str]:
        """Of the table."""
        said = [f"{date}_{known.name}" for known in self.facts.conditions for date in (BEFORE, AFTER)]
        return [BEFORE, AFTER, MASK, "changed", "difference", *said]

    def __call__(self, pair: Pair) -> _Written:
        before, after = self._image(BEFORE, pair.before), self._image(AFTER, pair.after)
        sides = {BEFORE: before, AFTER: after, MASK: self._mask(pair, after)}
        named = [self._named(side, pair.before.index, files) for side, files in sides.items()]
        said = [s.conditions.get(known.name, "") for known in self.facts.conditions for s in (pair.before, pair.after)]
        row = [*named, f"{pair.mask.mean():.4f}", self._difference(pair), *said]
        every = [file for files in sides.values() for file in files]
        return _Written(row, {file.relative_to(self.out).as_posix(): file_digest(file) for file in every})

    def _image(self, date: str, sample: Sample) -> list[Path]:
        volume = sample.pixels if len(self.facts.tile) == 3 else sample.pixels[:, None]
        write_sample = adapter(self.template.format).write_sample
        return list(write_sample(self._place(date, sample.index), volume, self.template, self._made_by(date, sample)))

    def _mask(self, pair: Pair, images: list[Path]) -> list[Path]:
        volume = pair.mask if pair.mask.ndim == 3 else pair.mask[None]
        stem, made_by = self._place(MASK, pair.after.index), self._made_by(MASK, pair.after)
        return list(write_labels(stem, volume.astype(np.int32), (0, 1), self.template, made_by, images))

    def _made_by(self, what: str, sample: Sample) -> Provenance:
        # What tells a pair's files apart, and from a sample of the same number, is part of what their UIDs come from.
        return replace(self.made_by, index=sample.index, conditions={**sample.conditions, "pair": what})

    def _place(self, side: str, index: int) -> Path:
        return place(self.out / side, index)

    def _named(self, side: str, index: int, files: list[Path]) -> str:
        """The name of a file, or of the folder of several; nothing where there is none."""
        if not files:
            return ""
        return (files[0] if len(files) == 1 else self._place(side, index)).relative_to(self.out).as_posix()

    def _difference(self, pair: Pair) -> str:
        """The mean distance of the two dates inside the mask, in parts of each channel's range."""
        if not pair.mask.any():
            return ""
        span = np.subtract(self.facts.scaling.high, self.facts.scaling.low)
        apart = np.abs(pair.after.pixels - pair.before.pixels)[:, pair.mask].mean(axis=1)
        return f"{(apart / span).mean():.4f}"


def _whole(path: Path) -> int:
    """How many pairs the table names in whole lines; a torn last one is cut off."""
    if not path.is_file():
        return 0
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return len(list(csv.DictReader(io.StringIO(whole))))


def _files(out: Path) -> list[Path]:
    """Every file that the table names; a series is a folder of them."""
    if not (out / TABLE).is_file():
        return []
    with (out / TABLE).open(newline="") as stream:
        named = [out / row[side] for row in csv.DictReader(stream) for side in (BEFORE, AFTER, MASK) if row[side]]
    return [file for path in named for file in (sorted(path.iterdir()) if path.is_dir() else [path])]


def _show(made: list[Pair], facts: Facts, picture: Path) -> Path:
    """Before, after and mask of pairs, side by side; of volumes, the middle slice."""
    names = [channel.name for channel in facts.template.channels]
    middle = facts.tile[0] // 2 if len(facts.tile) == 3 else None
    shown = []
    for pair in made:
        for date in (pair.before, pair.after):
            plane = date.pixels if middle is None else date.pixels[:, middle]
            shown.append(visible(plane, names, facts.scaling.low, facts.scaling.high))
        mask = pair.mask if middle is None else pair.mask[middle]
        shown.append(np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=-1))
    return sheet(shown, 3 * min(ABREAST, len(made)), picture)
