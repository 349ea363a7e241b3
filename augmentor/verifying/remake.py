"""A sample drawn again by the run that made it: proof of its pixels that rests on no digest written with them."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from augmentor.errors import UserError
from augmentor.networks import load_generator
from augmentor.orders import maps_for, write
from augmentor.run import Run
from augmentor.sampling import BLOCK, Sample, check_conditions, samples
from augmentor.synthesize import target
from augmentor.t2t.generator import Generator
from data_adapters import Provenance
from data_adapters.fixity import Stated, pixel_digest
from data_adapters.registry import owner
from data_adapters.sidecars import Asked


def pixels_again(folder: Path, file: Path, made: Stated, asked: Asked) -> tuple[frozenset[str], str]:
    """The digests of all that the run in ``folder`` writes for the sample that ``file`` is of, asked as it was.

    That is every slice, and the label map, too. Where it cannot be drawn again, there are none, and it is said why.
    """
    module = owner(file)
    if module is None or made.index is None:
        return frozenset(), "it is no image"
    try:
        start = made.index - made.index % BLOCK
        conditions = tuple(sorted(asked.conditions.items()))
        run = _Drawing(folder, made.checkpoint, made.seed, conditions, asked.guidance, asked.maps)
        block = _block(run, start)
        return _written(folder, block[made.index - start], module.NAME, made), ""
    except UserError as error:
        return frozenset(), str(error)


class _Drawing(NamedTuple):
    """All that samples of a seed come from: a run as it was at a checkpoint, and what was asked of it."""

    folder: Path
    checkpoint: str
    seed: int
    asked: tuple[tuple[str, str], ...]
    guidance: float
    maps: str


@lru_cache(maxsize=1)
def _generator(folder: Path, checkpoint: str) -> Generator:
    return load_generator(Run(folder))


@lru_cache(maxsize=1)
def _block(of: _Drawing, start: int) -> list[Sample]:
    """The samples that are drawn together from number ``start`` on; files of a folder ask for them in turn."""
    run = Run(of.folder)
    maps = maps_for(run, Path(of.maps) if of.maps else None)
    asked = check_conditions(run.facts, dict(of.asked))
    generator = _generator(of.folder, of.checkpoint)
    return list(islice(samples(generator, run.facts, start, of.seed, asked, guidance=of.guidance, maps=maps), BLOCK))


def _written(folder: Path, sample: Sample, format: str, made: Stated) -> frozenset[str]:
    """The digests of a sample's files in a format."""
    facts = Run(folder).facts
    template = target(facts, "source" if facts.template.format == format else format)
    provenance = Provenance(made.tool, made.version, made.method, made.recipe, made.checkpoint, made.seed)
    with tempfile.TemporaryDirectory() as place:
        image, labels = write(Path(place) / "sample", sample, facts, template, provenance)
        return frozenset(pixel_digest(file) for file in (*image, *labels))
