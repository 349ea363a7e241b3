"""What changes between two dates, and pairs of tiles that are drawn so from one latent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import RunError, WrongCondition
from augmentor.pairing.blend import blend
from augmentor.pairing.regions import blob
from augmentor.run import Facts
from augmentor.sampling import BLOCK, Maps, Sample, check_conditions, samples
from augmentor.t2t.generator import Generator

SEGMENTATION = "segmentation"
"""What the label of a region is called where conditions are asked for."""

REGIONS = 1
"""The stream of random numbers that regions are drawn from, apart from that of latents."""


@dataclass(frozen=True)
class Change:
    """What is asked of both dates: values of conditions, and of a run that takes label maps, the label of the region.

    A label of before that is None is what the map says.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]
    labels: tuple[int | None, int] | None = None

    @classmethod
    def asked(cls, facts: Facts, before: Mapping[str, str], after: Mapping[str, str]) -> Change:
        """The change that is asked for by ``before`` and ``after``, if a run can draw it.

        Raises:
            RunError: if nothing can be asked of the run.
            WrongCondition: if it does not know a name or value, a condition lacks a side, or nothing changes.
        """
        if not facts.conditions and not facts.given:
            raise RunError(
                "has no condition that could change", do="train one with conditions, or with segmentation.use=condition"
            )
        sides, labels = [dict(before), dict(after)], None
        if facts.given:
            first, second = (side.pop(SEGMENTATION, None) for side in sides)
            if first is not None and second is None:
                raise WrongCondition(f"says {SEGMENTATION} of before alone", do="say of after, too, what it becomes")
            if second is not None:
                labels = (None if first is None else _label(facts, first), _label(facts, second))
        for side in sides:
            check_conditions(facts, side)
        if one_sided := sorted(sides[0].keys() ^ sides[1].keys()):
            raise WrongCondition(f"says {', '.join(one_sided)} of one date alone", do="give both --before and --after")
        if dict(before) == dict(after):
            known = [*(c.name for c in facts.conditions), *([SEGMENTATION] if facts.given else [])]
            raise WrongCondition("nothing changes from before to after", do=f"change one of {', '.join(known)}")
        return cls(sides[0], sides[1], labels)

    @property
    def whole(self) -> bool:
        """Whether conditions change, which act on the whole tile."""
        return self.before != self.after

    def maps(self, map: NDArray[np.int32], region: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """A label map (*tile) before and after."""
        if self.labels is None:
            return map, map
        first, second = self.labels
        return map if first is None else np.where(region, np.int32(first), map), np.where(region, np.int32(second), map)


def _label(facts: Facts, value: str) -> int:
    if value not in map(str, facts.labels):
        known = ", ".join(map(str, facts.labels))
        raise WrongCondition(f"{SEGMENTATION} has no label {value!r}", do=f"labels of this run: {known}")
    return int(value)


@dataclass(frozen=True)
class Where:
    """Regions of change: a part of the tile that lies in ``extent``, or one of ``shapes`` (*tile) where there are any.

    A part ``unchanged`` of all pairs has none.
    """

    extent: tuple[float, float] = (0.02, 0.25)
    unchanged: float = 0.1
    shapes: Sequence[NDArray[np.bool_]] = ()

    def region(
        self, seed: int, index: int, tile: Sequence[int], likely: NDArray[np.float64] | None = None
    ) -> NDArray[np.bool_]:
        """The region (*tile) of pair ``index`` of a seed; a drawn one lies about where ``likely`` (*tile) is large."""
        random = np.random.default_rng([seed, index, REGIONS])
        if random.random() < self.unchanged:
            return np.zeros(tile, bool)
        if self.shapes:
            return self.shapes[int(random.integers(len(self.shapes)))]
        return blob(random, tile, random.uniform(*self.extent), likely)


@dataclass(frozen=True)
class Pair:
    """Two dates of one made place, and the ``mask`` (*tile) of what changed."""

    before: Sample
    after: Sample
    mask: NDArray[np.bool_]


def drawn(
    generator: Generator,
    facts: Facts,
    first: int,
    seed: int,
    change: Change,
    where: Where = Where(),
    *,
    fixed: bool = True,
    guidance: float = 1.0,
    maps: Maps = (),
) -> Iterator[Pair]:
    """Pairs of a seed without end, from number ``first`` on. Pair k is the same wherever they begin.

    Before is what ``samples`` draws for the same seed, number and conditions; after is drawn from the same latent.
    Where ``fixed``, after is laid into before inside the region alone. Where not, which needs ``maps``, the mask is
    where they differ, and what conditions change besides is none of it. ``maps`` (*tile) are those that a run
    conditioned on them needs.
    """
    for start in count(first - first % BLOCK, BLOCK):
        numbers = range(start, start + BLOCK)
        regions = [where.region(seed, number, facts.tile) for number in numbers]
        dates = [change.maps(maps[k % len(maps)], r) for k, r in zip(numbers, regions, strict=True)] if maps else []
        before, after = (
            list(islice(samples(generator, facts, start, seed, asked, guidance=guidance, maps=given), BLOCK))
            for asked, given in ((change.before, [b for b, _ in dates]), (change.after, [a for _, a in dates]))
        )
        if change.labels is None:
            # What a condition changes of a tile is drawn where it shows.
            regions = [
                where.region(seed, number, facts.tile, _apart(one, other, facts))
                for number, one, other in zip(numbers, before, after, strict=True)
            ]
        for offset in range(max(0, first - start), BLOCK):
            mask = regions[offset] if change.whole and fixed else dates[offset][0] != dates[offset][1]
            yield Pair(before[offset], _laid(before[offset], after[offset], mask) if fixed else after[offset], mask)


def _apart(before: Sample, after: Sample, facts: Facts) -> NDArray[np.float64]:
    """The mean square distance of two dates in unit scale, over channels, (*tile)."""
    dims = len(facts.tile)
    one, other = (facts.scaling.to_unit(date.pixels, dims).astype(np.float64) for date in (before, after))
    return np.asarray(((other - one) ** 2).mean(axis=0))


def _laid(before: Sample, after: Sample, mask: NDArray[np.bool_]) -> Sample:
    """After, laid into before inside a mask; where that is empty, before again."""
    return replace(after, pixels=blend(before.pixels, after.pixels, mask)) if mask.any() else before
