"""Samples of a run as torch datasets: by number (``Samples``), or as a stream (``SampleStream``).

from augmentor.onthefly.datasets import Samples, SampleStream

loader = DataLoader(ConcatDataset([real, Samples(500)]), batch_size=16, shuffle=True)
endless = DataLoader(SampleStream(condition={"finding": "pneumonia"}), batch_size=16, num_workers=2)

An item is a dictionary:

- ``image``: float32 (C, *tile), in physical units; where ``scaled``, in the run's [-1, 1];
- ``label``: the number of its class among ``classes``, -1 where that is unknown; of runs with a condition of
  classes, which ``labelled_by`` names where there are several;
- ``segmentation``: its label map, int64 (1, *tile), of runs that make label maps or images for them;
- ``conditions``: all that it was drawn under, a text a name, empty where unknown;
- ``seed`` and ``index``: by which ``augmentor synthesize --seed`` writes the very same.

``transform`` turns an item into what the script's own dataset yields.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from augmentor.onthefly.source import Source
from augmentor.orders import maps_for
from augmentor.sampling import BLOCK, Sample

KEPT = 1 << 28
"""Bytes of samples that ``Samples`` keeps in a process, once drawn."""

WORKERS = 256
"""Workers of one loader, at most."""

Item = dict[str, Any]


class _Drawn:
    """What both kinds of dataset are made of: a source, and how its samples become items."""

    def __init__(
        self,
        run: str | Path | None,
        seed: int,
        condition: Mapping[str, str] | None,
        guidance: float,
        segmentation: str | Path | None,
        scaled: bool,
        labelled_by: str | None,
        transform: Callable[[Item], Any] | None,
        runs: str | Path,
    ) -> None:
        self.source = Source(run, condition=condition, guidance=guidance, runs=runs)
        self.maps = maps_for(self.source.run, Path(segmentation) if segmentation else None)
        self.labels = self.source.labelled_by(labelled_by)
        self.seed = seed
        self.scaled = scaled
        self.transform = transform

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that ``label`` counts; none where the run has no condition of classes."""
        return self.labels.classes if self.labels else ()

    def item(self, sample: Sample) -> Any:
        """A sample as the dataset yields it."""
        facts = self.source.facts
        pixels = facts.scaling.to_unit(sample.pixels, len(facts.tile)) if self.scaled else sample.pixels
        item: Item = {"image": torch.from_numpy(pixels).float()}
        if self.labels is not None:
            value = sample.conditions.get(self.labels.name)
            item["label"] = -1 if value is None else self.classes.index(value)
        if sample.labels is not None:
            item["segmentation"] = torch.from_numpy(sample.labels).long()[None]
        item["conditions"] = {said.name: sample.conditions.get(said.name, "") for said in facts.conditions}
        item |= {"seed": sample.seed, "index": sample.index}
        return item if self.transform is None else self.transform(item)


class Samples(_Drawn, Dataset[Any]):
    """Samples 0 to ``n`` - 1 of a seed, by number, however they are shuffled and by however many workers.

    They are drawn in blocks of 16 when first asked for, and kept as far as 256 MiB a process reach. Beyond that,
    shuffling draws a block for every item: take a ``SampleStream``, or write files with ``synthesize``. Of a run
    conditioned on label maps, images are made for those at ``segmentation``, in turn.

    Raises:
        UserError: if there is no such run, it was trained to fill, or it does not know a condition.
    """

    def __init__(
        self,
        n: int,
        run: str | Path | None = None,
        *,
        seed: int = 0,
        condition: Mapping[str, str] | None = None,
        guidance: float = 1.0,
        segmentation: str | Path | None = None,
        scaled: bool = False,
        labelled_by: str | None = None,
        transform: Callable[[Item], Any] | None = None,
        runs: str | Path = "runs",
    ) -> None:
        super().__init__(run, seed, condition, guidance, segmentation, scaled, labelled_by, transform, runs)
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, k: int) -> Any:
        if not -self.n <= k < self.n:
            raise IndexError(f"sample {k} of {self.n}")
        number, offset = divmod(k % self.n, BLOCK)
        return self.item(self._blocks(number)[offset])

    @cached_property
    def _blocks(self) -> Callable[[int], tuple[Sample, ...]]:
        facts = self.source.facts
        # Samples are float64, and label maps int32.
        size = BLOCK * math.prod(facts.tile) * (8 * facts.channels + 4 * bool(facts.labels))
        return lru_cache(max(1, KEPT // size))(lambda number: self.source.block(number, self.seed, maps=self.maps))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_blocks"}


class SampleStream(_Drawn, IterableDataset[Any]):
    """Samples of a seed one after the other: ``n`` an epoch, or without end. Epoch e is the stream of seed + e.

    Workers of a loader take blocks of 16 in turn, so that together they draw the stream, each sample once. With one
    worker, or batches of 16, samples come in the stream's order; else in another that is the same every time. Epochs
    are counted for each number of workers, as long as the dataset lives. Processes of a distributed training want a
    seed each. Of a run conditioned on label maps, images are made for those at ``segmentation``, in turn.

    Raises:
        UserError: if there is no such run, it was trained to fill, or it does not know a condition.
    """

    def __init__(
        self,
        n: int | None = None,
        run: str | Path | None = None,
        *,
        seed: int = 0,
        condition: Mapping[str, str] | None = None,
        guidance: float = 1.0,
        segmentation: str | Path | None = None,
        scaled: bool = False,
        labelled_by: str | None = None,
        transform: Callable[[Item], Any] | None = None,
        runs: str | Path = "runs",
    ) -> None:
        super().__init__(run, seed, condition, guidance, segmentation, scaled, labelled_by, transform, runs)
        self.n = n
        # Workers live for an epoch or for all; what they count lies where the next ones find it.
        self._epochs = torch.zeros(_slot(WORKERS, WORKERS), dtype=torch.int64).share_memory_()

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 0)
        slot = _slot(number, workers)
        seed = self.seed + int(self._epochs[slot])
        self._epochs[slot] += 1
        for block in count(number, max(1, workers)):
            if self.n is not None and block * BLOCK >= self.n:
                return
            for sample in self.source.block(block, seed, maps=self.maps):
                if self.n is None or sample.index < self.n:
                    yield self.item(sample)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._epochs.share_memory_()


def _slot(worker: int, workers: int) -> int:
    """Where a worker of so many counts its epochs."""
    return workers * (workers + 1) // 2 + worker
