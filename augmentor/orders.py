"""Which samples of a run are written where, and how: blocks of them, each written alike by whoever writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import RunError
from augmentor.evaluation.sieve import TOGETHER, Passed, Sieve
from augmentor.ingest import cut_maps
from augmentor.networks import load_generator
from augmentor.run import Facts, Run
from augmentor.sampling import Maps, Sample, samples
from augmentor.segmentation import check_known
from augmentor.t2t.generator import Generator
from data_adapters import Provenance, Template, adapter, write_labels
from data_adapters.fixity import file_digest

STEM = "sample_"
"""How every file's name begins; its number follows."""

FOLDER = 10_000
"""Samples a folder: those beyond the first lie in folders of their own, since few tools like a million files in one."""


@dataclass(frozen=True)
class Order:
    """Samples of ``run`` as a ``template`` says, into ``out``: those that are ``asked`` for by their conditions, for
    the label maps at ``segmentation`` where there are any, through a sieve that finds real tiles below ``sieved_by``.
    """

    run: Run
    out: Path
    template: Template
    provenance: Provenance
    asked: Mapping[str, str]
    segmentation: Path | None = None
    sieved_by: Path | None = None

    def blocks(self, first: int, below: int | None) -> Iterator[Block]:
        """All of it from sample ``first`` on; without end where none is named that it is to end below."""
        for start in count(first - first % TOGETHER, TOGETHER):
            if below is not None and start >= below:
                return
            yield Block(self, max(first, start), min(start + TOGETHER, below or start + TOGETHER))


class Block(NamedTuple):
    """Samples of an order from number ``first`` on, and below ``below``, that are written together."""

    order: Order
    first: int
    below: int


class Written(NamedTuple):
    """A sample that was written: its line of the label file, and the digest of each file by its name."""

    row: list[str]
    digests: dict[str, str]


class Done(NamedTuple):
    """What became of a block: what was written, and how many samples were drawn and dropped for it."""

    written: list[Written]
    seen: int
    copies: int


def write_block(block: Block) -> Done:
    """Draw a block's samples and write those that come through; twice does what once does."""
    passed, seen = drawn(block)
    return Done([_write(block.order, sample) for sample in passed.samples], seen, passed.copies)


def drawn(block: Block) -> tuple[Passed, int]:
    """The samples of a block that come through, and how many there were."""
    order, start = block.order, block.first - block.first % TOGETHER
    every = _samples(order, start)
    if order.sieved_by is None:
        together = list(islice(every, block.below - start))
        passed = Passed(together, 0)
    else:
        # A sieve looks at those together that always are, whichever of them are asked for.
        together = list(islice(every, TOGETHER))
        passed = _sieve(order.run, order.provenance.checkpoint, order.sieved_by).let_through(together)
    wanted = [sample for sample in passed.samples if sample.index >= block.first]
    return Passed(wanted, passed.copies), len(together)


def _samples(order: Order, first: int) -> Iterator[Sample]:
    run, seed, guidance = order.run, order.provenance.seed, order.provenance.guidance
    generator, facts = _generator(run, order.provenance.checkpoint)
    maps = maps_for(run, order.segmentation)
    return samples(generator, facts, first, seed, order.asked, guidance=guidance, maps=maps)


# A process that writes one block writes many of the same run, unless that is trained on meanwhile.
@lru_cache(maxsize=1)
def _generator(run: Run, checkpoint: str) -> tuple[Generator, Facts]:
    return load_generator(run), run.facts


@lru_cache(maxsize=1)
def _sieve(run: Run, checkpoint: str, store: Path) -> Sieve:
    return Sieve(run, store)


@lru_cache(maxsize=1)
def maps_for(run: Run, path: Path | None) -> Maps:
    """The label maps at ``path`` cut as the run's tiles were, if the run needs any.

    Raises:
        RunError: if the run needs some and none are given, or the other way round.
    """
    facts = run.facts
    if facts.given != (path is not None):
        need = "makes images for label maps" if facts.given else "takes no label maps"
        raise RunError(need, where=run.folder, do="give --segmentation PATH" if facts.given else "leave them out")
    if path is None:
        return ()
    maps = cut_maps(path, run.recipe)
    check_known(maps, facts.labels, path)
    return maps


def header(facts: Facts) -> list[str]:
    """Of the label file."""
    return ["file", *(known.name for known in facts.conditions), *(["segmentation"] if facts.labels else [])]


def _write(order: Order, sample: Sample) -> Written:
    _, facts = _generator(order.run, order.provenance.checkpoint)
    stem = place(order.out, sample.index)
    files, beside = write(stem, sample, facts, order.template, order.provenance)
    named = files[0] if len(files) == 1 else stem
    row = [
        named.relative_to(order.out).as_posix(),
        *(sample.conditions.get(known.name, "") for known in facts.conditions),
    ]
    if sample.labels is not None:
        row.append(beside[0].relative_to(order.out).as_posix() if beside else "")
    digests = {file.relative_to(order.out).as_posix(): file_digest(file) for file in (*files, *beside)}
    return Written(row, digests)


def place(out: Path, number: int) -> Path:
    """Where a sample is written in a folder, but for its suffix; the same however many there are."""
    shelf = number - number % FOLDER
    return (out / f"{shelf:06d}" if shelf else out) / f"{STEM}{number:06d}"


def write(
    stem: Path, sample: Sample, facts: Facts, template: Template, provenance: Provenance
) -> tuple[Sequence[Path], Sequence[Path]]:
    """Write a sample beside ``stem``: the files of its image, and those of its label map, where it has one.

    Raises:
        Unwritable: if it does not fit the template's format.
    """
    made_by = replace(provenance, index=sample.index, conditions=sample.conditions)
    files = adapter(template.format).write_sample(stem, _as_volume(sample.pixels, facts), template, made_by)
    if sample.labels is None:
        return files, []
    volume = sample.labels if sample.labels.ndim == 3 else sample.labels[None]
    maps_at = stem.with_name(f"{stem.name}_seg")
    return files, write_labels(maps_at, volume, facts.labels, template, made_by, files)


def _as_volume(pixels: NDArray[np.float64], facts: Facts) -> NDArray[np.float64]:
    """(C, H, W) or (C, D, H, W) -> (C, slices, H, W), as adapters write it."""
    return pixels if len(facts.tile) == 3 else pixels[:, None]
