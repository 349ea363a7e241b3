"""What training sees of itself: samples beside tiles, and verdicts of tiles that were never shown."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from augmentor.adversary.batch import Batch
from augmentor.adversary.game import GROUP, Game
from augmentor.learners.mirror import Mirror
from augmentor.t2t.discriminator import Logits
from tests.adversary.test_game import PLAIN, VARIANTS, Variant, batch, differing, new_game

FIGURES = {"distance", "spread", "outranked"}


def looked(variant: Variant = PLAIN, held_out: Batch | None = None, game: Game | None = None) -> dict[str, float]:
    return Mirror(batch(1, 24, variant=variant), held_out).look(game or new_game(variant))


@pytest.mark.parametrize("name", ["relativistic", "context", "volumes"])
def test_looking_changes_nothing_and_tells_the_same_again(name: str) -> None:
    game = new_game(VARIANTS[name])
    game.judge(batch(0, 8, variant=VARIANTS[name]))
    before = game.snapshot()
    mirror = Mirror(batch(1, 24, variant=VARIANTS[name]), batch(2, 8, variant=VARIANTS[name]))
    first, again = mirror.look(game), mirror.look(game)
    assert first == again
    assert set(first) >= FIGURES and all(math.isfinite(value) for value in first.values())
    assert differing(game.snapshot(), before) == []
    assert game.discriminator.training


def drawing(images: Callable[[int], Tensor]) -> Game:
    """A game whose averaged generator gives what it is told to."""
    game = new_game()
    game.average.forward = lambda latents, codes, context=None: images(len(latents))  # type: ignore[method-assign]
    return game


def test_samples_that_are_all_alike_have_no_spread_and_the_tiles_themselves_all_of_it() -> None:
    tiles = replace(batch(1, 24), valid=torch.ones(24, 1, 16, 24))
    one, same = tiles.pixels[:1], tiles.pixels
    collapsed = Mirror(tiles, None).look(drawing(lambda count: one.expand(count, -1, -1, -1)))
    perfect = Mirror(tiles, None).look(drawing(lambda count: same))
    assert collapsed["spread"] == pytest.approx(0, abs=1e-6)
    assert perfect["spread"] == pytest.approx(1)
    assert perfect["distance"] < collapsed["distance"]


@pytest.mark.parametrize(("unseen", "wanted"), [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (-1.0, 2.0)])
def test_by_heart_is_how_far_unseen_tiles_lie_on_the_way_to_samples(unseen: float, wanted: float) -> None:
    """A judge that says 1 of training tiles, 0 of samples, and something between of tiles that it never saw."""
    level = {2.0: 1.0, 3.0: 0.0, 4.0: unseen}
    game = drawing(lambda count: torch.full((count, 2, 16, 24), 3.0))
    game.steps = 1

    def said(x: Tensor, codes: Tensor, group: int, context: Tensor | None = None) -> Logits:
        return Logits(torch.tensor([level[float(image.mean().round())] for image in x]), [])

    game.discriminator.forward = said  # type: ignore[method-assign]
    tiles, held_out = (
        replace(batch(1, size), pixels=torch.full((size, 2, 16, 24), value), valid=torch.ones(size, 1, 16, 24))
        for size, value in ((24, 2.0), (8, 4.0))
    )
    assert Mirror(tiles, held_out).look(game)["by_heart"] == pytest.approx(wanted)


@pytest.mark.parametrize("held_out", [None, batch(2, GROUP - 1)], ids=["none", "no whole group"])
def test_without_held_out_tiles_nothing_is_said_of_learning_by_heart(held_out: Batch | None) -> None:
    game = new_game()
    game.judge(batch(0, 8))
    assert set(looked(held_out=held_out, game=game)) == FIGURES


def test_before_the_first_verdict_nothing_is_said_of_learning_by_heart() -> None:
    assert set(looked(held_out=batch(2, 8))) == FIGURES
