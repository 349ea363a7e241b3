"""Who learns from a batch: one process or several, each in one part or several, so that all do what one would."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor, distributed

from augmentor.errors import ClusterError, RecipeError, UserError

Value = TypeVar("Value")


class OthersLackMemory(MemoryError):
    """Another process of the team found no memory for its part of a batch."""


@dataclass(frozen=True)
class Part:
    """``count`` rows from row ``first`` on, ``of`` so many in the whole batch."""

    first: int
    count: int
    of: int

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + self.count)

    @property
    def weight(self) -> float:
        """What a mean over this part counts in the mean over the batch."""
        return self.count / self.of


@dataclass(frozen=True)
class Team:
    """Process ``rank`` of ``size``, which learns from its rows of each batch in ``parts``, one after the other.

    Every process knows the whole batch and draws the same random numbers, so that networks stay equal without being
    sent: gradients alone are added up. More parts need less memory.
    """

    rank: int = 0
    size: int = 1
    parts: int = 1
    place: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes, logs and speaks."""
        return self.rank == 0

    @property
    def divided(self) -> bool:
        """Whether no share is the whole batch."""
        return self.size * self.parts > 1

    def shares(self, batch: int, group: int = 1) -> list[Part]:
        """This process's parts of ``batch`` rows, each of whole groups of ``group``.

        Raises:
            RecipeError: if the batch cannot be divided so.
        """
        every = self.size * self.parts
        if every > 1 and batch % (every * group):
            raise RecipeError(
                f"a batch of {batch} is not divided into {every} parts of whole groups of {group}",
                do=f"set game.batch to a multiple of {every * group}, or use fewer devices",
            )
        count = batch // every
        return [Part((self.rank * self.parts + part) * count, count, batch) for part in range(self.parts)]

    def in_parts(self, parts: int) -> Team:
        """The same, learning in so many parts."""
        return replace(self, parts=parts)

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Each tensor becomes its sum over all processes, in place.

        Raises:
            OthersLackMemory: if another process has withdrawn.
        """
        held = list(tensors)
        if self.size == 1 or not held:
            return
        flat = torch.cat([tensor.flatten() for tensor in held])
        self._meet()
        with _together():
            distributed.all_reduce(flat)
        for tensor, summed in zip(held, flat.split([tensor.numel() for tensor in held]), strict=True):
            tensor.copy_(summed.view_as(tensor))

    def gather(self, rows: Tensor) -> Tensor:
        """(n, b) of each process -> (n, B), in the order of the batch.

        Raises:
            OthersLackMemory: if another process has withdrawn.
        """
        if self.size == 1:
            return rows
        held = [torch.empty_like(rows) for _ in range(self.size)]
        self._meet()
        with _together():
            distributed.all_gather(held, rows.contiguous())
        return torch.cat(held, dim=1)

    def withdraw(self) -> None:
        """Meet the others, wherever they next wait for this process, without the memory to do what they do there."""
        if self.size > 1:
            self._meeting(lacking=True)

    def _meet(self) -> None:
        """Go on when all can.

        Raises:
            OthersLackMemory: if another has withdrawn.
        """
        if self._meeting(lacking=False):
            raise OthersLackMemory

    def _meeting(self, lacking: bool) -> bool:
        """Whether any process lacks memory. All that they do together begins here, so that they always meet."""
        said = torch.tensor([float(lacking)], device=self.place)
        with _together():
            distributed.all_reduce(said)
        return bool(said.item())

    def any(self, here: bool) -> bool:
        """Whether it holds in any process."""
        if self.size == 1:
            return here
        said = torch.tensor([float(here)], device=self.place)
        self.add_up([said])
        return bool(said.item())

    def first(self, work: Callable[[], Value]) -> Value:
        """What ``work`` gives, done by the leader and then, to find it done, by the others.

        Raises:
            UserError: in every process, if the leader's work does.
        """
        done: list[Value] = []

        def lead() -> str:
            done.append(work())
            return ""

        self.told(lead)
        return done[0] if done else work()

    def told(self, make: Callable[[], str]) -> str:
        """What the leader makes, told to all.

        Raises:
            UserError: in every process, if making it does.
        """
        said: list[str | UserError] = [""]
        if self.leads:
            try:
                said = [make()]
            except UserError as error:
                said = [error]
        if self.size > 1:
            with _together():
                distributed.broadcast_object_list(said)
        if isinstance(said[0], UserError):
            raise said[0]
        return said[0]

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            with _together():
                distributed.barrier()


ALONE = Team()


class Tally:
    """Figures of a batch, added up over its parts."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)

    def add(self, **figures: Tensor) -> None:
        """Take in what one part adds to each figure."""
        for name, value in figures.items():
            self._sums[name] += value.item()

    def over(self, team: Team) -> dict[str, float]:
        """The sums over all parts and processes."""
        if team.size == 1:
            return dict(self._sums)
        sums = torch.tensor(list(self._sums.values()), device=team.place)
        team.add_up([sums])
        return dict(zip(self._sums, sums.tolist(), strict=True))


@contextmanager
def _together() -> Iterator[None]:
    """Turn the end of another process into an error of this one's user, who is told why by that one."""
    try:
        yield
    except RuntimeError as error:
        raise ClusterError("another process of the team went away", do="see what it said, and resume") from error


@contextmanager
def joined(place: torch.device) -> Iterator[Team]:
    """The team that ``torchrun`` started this process in; alone where it did not."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield replace(ALONE, place=place)
        return
    here = place
    if place.type == "cuda":
        here = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(here)
    distributed.init_process_group("nccl" if here.type == "cuda" else "gloo")
    try:
        yield Team(distributed.get_rank(), size, place=here)
    finally:
        distributed.destroy_process_group()
