"""A batch in parts, and over processes, teaches what it teaches whole."""

import os
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from augmentor.adversary.draws import Draws
from augmentor.errors import RecipeError
from augmentor.together.team import ALONE, Part, Tally, Team, joined
from tests.adversary.test_game import VARIANTS, Variant, batch, new_game

DIVISIBLE = {name: v for name, v in VARIANTS.items() if not v.rules.lecam_weight and v.rules.precision == "float32"}
ACTS = ["autoencode", "judge", "play", "play"]
BATCH = 16


def course(variant: Variant, team: Team) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Figures step by step, and the networks at the end, of a few steps of every act."""
    game = new_game(variant)
    game.team = team
    figures = []
    for number, act in enumerate(ACTS):
        game.widen(number / 20)
        figures.append(getattr(game, act)(batch(number, BATCH, variant=variant)))
    return figures, {name: value.clone() for name, value in game.named_parameters()}


def alike(found: list[dict[str, float]], wanted: list[dict[str, float]]) -> None:
    assert [list(figures) for figures in found] == [list(figures) for figures in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("name", DIVISIBLE)
def test_a_batch_in_parts_teaches_what_it_teaches_whole(name: str, parts: int) -> None:
    figures, networks = course(VARIANTS[name], Team(parts=parts))
    wanted, whole = course(VARIANTS[name], ALONE)
    alike(figures, wanted)
    for layer, value in networks.items():
        # A relativistic loss leaves the level of logits free: what moves their biases is rounding alone.
        if not layer.endswith("bias"):
            torch.testing.assert_close(value, whole[layer], rtol=0.02, atol=2e-3)


def member(rank: int, size: int, parts: int, folder: str, name: str) -> None:
    """One process of a team."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1")
    with joined(torch.device("cpu")) as team:
        told = course(VARIANTS[name], Team(team.rank, team.size, parts, team.place))
        torch.save(told, Path(folder) / f"{rank}.pt")


@pytest.mark.parametrize(("name", "size", "parts"), [("relativistic", 2, 1), ("context", 2, 2)])
def test_two_processes_learn_what_one_does_and_end_alike(name: str, size: int, parts: int, tmp_path: Path) -> None:
    os.environ["MASTER_PORT"] = str(29_500 + os.getpid() % 1_000)
    multiprocessing.spawn(member, (size, parts, str(tmp_path), name), nprocs=size)
    told = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(size)]
    wanted, whole = course(VARIANTS[name], ALONE)
    for figures, networks in told:
        alike(figures, wanted)
        # Bit for bit, or they would part in the long run.
        assert all(torch.equal(value, told[0][1][layer]) for layer, value in networks.items())
        for layer, value in networks.items():
            if not layer.endswith("bias"):
                torch.testing.assert_close(value, whole[layer], rtol=0.02, atol=2e-3)


@pytest.mark.parametrize(("ranks", "parts", "rows"), [(1, 1, 16), (2, 1, 16), (2, 2, 16), (4, 1, 16), (1, 4, 32)])
def test_shares_cover_a_batch_once_and_weigh_one_together(ranks: int, parts: int, rows: int) -> None:
    shares = [part for rank in range(ranks) for part in Team(rank, ranks, parts).shares(rows, 4)]
    assert [n for part in shares for n in range(rows)[part.rows]] == list(range(rows))
    assert sum(part.weight for part in shares) == pytest.approx(1)


@pytest.mark.parametrize(("team", "rows"), [(Team(0, 3), 16), (Team(0, 8), 16), (Team(parts=2), 12)])
def test_a_batch_that_does_not_divide_into_whole_groups_is_refused(team: Team, rows: int) -> None:
    with pytest.raises(RecipeError, match=rf"batch of {rows} is not divided"):
        team.shares(rows, 4)


def test_lecam_is_refused_in_parts() -> None:
    game = new_game(VARIANTS["hinge and lecam"])
    game.team = Team(parts=2)
    with pytest.raises(RecipeError, match="LeCam"):
        game.play(batch(0, BATCH))


@pytest.mark.parametrize("times", [1, 2, 3])
def test_parts_draw_what_the_whole_batch_draws(times: int) -> None:
    def drawn(part: Part | None) -> list[torch.Tensor]:
        draws = Draws(torch.Generator().manual_seed(3), part)
        rows = times * (8 if part is None else part.count)
        found = [draws.uniform(rows, 2), draws.normal(rows, 3, 2), draws.whole(0, 9, rows)]
        return [one.unflatten(0, (times, -1)) for one in found]

    parts = [drawn(Part(first, 2, 8)) for first in range(0, 8, 2)]
    for whole, *some in zip(drawn(None), *parts, strict=True):
        assert torch.equal(whole, torch.cat(some, dim=1))


def test_a_tally_adds_up() -> None:
    tally = Tally()
    tally.add(a=torch.tensor(1.5), b=torch.tensor(2.0))
    tally.add(a=torch.tensor(0.5))
    assert tally.over(ALONE) == {"a": 2.0, "b": 2.0}
