"""Laws that hold for every rival: shapes, who learns, seeds, conditions, masks, sizes."""

import copy
from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from augmentor.adversary.batch import Batch
from augmentor.rivals import RIVALS, Published, Rival, RivalGame, parameters, width_for
from augmentor.rivals.game import RIVAL_LOSSES, slope
from augmentor.rivals.rival import Projection
from augmentor.rivals.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from augmentor.t2t.discriminator import Logits

SMALL = 1 / 32


class Case(NamedTuple):
    name: str
    channels: int
    tile: int
    conditions: int


CASES = [Case(n, c, t, k) for n in RIVALS for c, t in ((1, 32), (3, 64)) for k in (0, 3)]
CONDITIONAL = [case for case in CASES if case.conditions]
IDS = [f"{c.name} {c.tile} px, {c.conditions} codes" for c in CASES]


def build(case: Case, seed: int = 0) -> Rival:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RIVALS[case.name](case.channels, case.tile, case.conditions, SMALL)


def batch(case: Case) -> Batch:
    random = torch.Generator().manual_seed(1)
    pixels = torch.rand(2, case.channels, case.tile, case.tile, generator=random) * 2 - 1
    valid = (torch.rand(2, 1, case.tile, case.tile, generator=random) < 0.9).float()
    return Batch(pixels, valid, torch.eye(2, case.conditions))


class Played(NamedTuple):
    """A game after its first play, what that returned, and the state that it left."""

    game: RivalGame
    figures: dict[str, float]
    state: dict[str, Tensor]


@cache
def played(case: Case) -> Played:
    return play(case)


def play(case: Case, seed: int = 3) -> Played:
    game = RivalGame(build(case), seed)
    return Played(game, game.play(batch(case)), copy.deepcopy(game.state_dict()))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_shapes(case: Case) -> None:
    game, figures, _ = played(case)
    tiles = batch(case)
    noise = torch.randn(len(tiles.valid), game.generator.latent)
    images = game.draw(noise, tiles.conditions)
    assert images.shape == tiles.pixels.shape
    with torch.no_grad():
        logits = game.discriminator(images, tiles.conditions)
    assert logits.image.shape == (len(images),)
    assert [t.shape for t in logits.tokens] == ([(len(images), 5, 5)] if case.name == "fastgan" else [])
    assert all(part.isfinite().all() for part in (images, logits.image, *logits.tokens))
    assert figures.keys() == {"discriminator", "generator", "augmentation"}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_everything_learns(case: Case) -> None:
    game = played(case).game
    for network in (game.generator, game.discriminator):
        idle = [
            name
            for name, p in network.named_parameters()
            if p.numel() and (p.grad is None or not p.grad.any() or not p.grad.isfinite().all())
        ]
        assert idle == []
    assert not any(p.requires_grad for p in game.average.parameters())


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_seed_decides_the_whole_game(case: Case) -> None:
    first, second = played(case), play(case)
    assert first.figures == second.figures
    assert [name for name in first.state if not torch.equal(first.state[name], second.state[name])] == []


@pytest.mark.parametrize("name", RIVALS)
def test_a_game_differs_by_its_seed_and_leaves_the_global_one_alone(name: str) -> None:
    case = Case(name, 1, 32, 0)
    before = torch.random.get_rng_state()
    assert play(case, seed=4).figures != played(case).figures
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("case", CONDITIONAL, ids=str)
def test_conditions_change_what_is_drawn_and_how_it_is_judged(case: Case) -> None:
    game = played(case).game
    codes = torch.cat([torch.zeros(1, 3), torch.eye(3)])
    noise = torch.randn(1, game.generator.latent).expand(4, -1)
    images = game.draw(noise, codes)
    game.discriminator.eval()
    with torch.no_grad():
        logits = game.discriminator(images[:1].expand(4, -1, -1, -1), codes).image
    game.discriminator.train()
    for a, b in torch.combinations(torch.arange(4)).tolist():
        assert (images[a] - images[b]).abs().max() > 1e-6
        assert (logits[a] - logits[b]).abs() > 1e-6


def test_unknown_conditions_project_to_nothing() -> None:
    projection = Projection(3, 16)
    features, codes = torch.randn(4, 16), torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    rows = torch.cat([torch.zeros(1, 16), projection.embedding[[0, 2, 1]]])
    torch.testing.assert_close(projection(features, codes), torch.einsum("bc,bc->b", features, rows) / 4)


@pytest.mark.parametrize("name", RIVALS)
def test_what_is_drawn_depends_on_the_latent_alone(name: str) -> None:
    game = played(Case(name, 1, 32, 0)).game
    noise = torch.randn(2, game.generator.latent)
    first, second = game.draw(noise, torch.zeros(2, 0)), game.draw(noise, torch.zeros(2, 0))
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", RIVALS)
def test_only_a_rival_without_an_average_draws_from_its_last_weights(name: str) -> None:
    game = played(Case(name, 1, 32, 0)).game
    same = all(torch.equal(a, b) for a, b in zip(game.average.parameters(), game.generator.parameters(), strict=True))
    assert same == (game.published.half_life == 0)


def test_convolutions_start_small_whether_normalised_or_not() -> None:
    for name in ("dcgan", "fastgan"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            rival = RIVALS[name](3, 64, 0, 1 / 4)
        for network in (rival.generator, rival.discriminator):
            weights = [p.detach() for p in network.parameters() if p.ndim == 4 and p.numel() > 4000]
            assert weights
            for weight in weights:
                assert weight.mean().abs() < 0.002 and weight.std() == pytest.approx(0.02, rel=0.1)


def test_an_averaged_generator_is_drawn_from_by_its_own_statistics() -> None:
    """Those of the present one are of other weights: where both differ, the spread of what is drawn told it."""
    game = RivalGame(build(Case("fastgan", 1, 32, 3)), 0)
    tiles = batch(Case("fastgan", 1, 32, 3))[torch.arange(16) % 2]
    for _ in range(12):
        game.play(tiles)
    with torch.no_grad():
        for weight in game.average.parameters():
            weight.mul_(1.5)
    codes = tiles.conditions.repeat(32, 1)
    noise = torch.randn(len(codes), game.generator.latent, generator=torch.Generator().manual_seed(0))
    drawn = game.draw(noise, codes)
    with torch.no_grad(), torch.random.fork_rng():
        by_batch = copy.deepcopy(game.average).train()(noise, codes)
    assert (drawn - by_batch).square().mean().sqrt() < 0.15 * by_batch.std()
    assert torch.equal(drawn, game.draw(noise, codes))


@pytest.mark.parametrize("name", RIVALS)
def test_the_discriminator_sees_nothing_where_the_real_tile_is_not_valid(name: str) -> None:
    case = Case(name, 1, 32, 0)
    rival = build(case)
    game = RivalGame(rival._replace(published=Published("hinge", 0.0, 0.0, (0.0, 0.9), batch=4)), seed=0)
    seen: list[Tensor] = []
    first = next(m for m in game.discriminator.modules() if isinstance(m, torch.nn.Conv2d))
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    tiles = batch(case)
    game.play(tiles)
    assert len(seen) == 3  # real and fake for the discriminator, fake for the generator
    assert torch.equal(seen[0], tiles.shown)
    assert all(x.any() and not x[tiles.valid == 0].any() for x in seen)


@pytest.mark.parametrize("name", RIVALS)
def test_the_recipe_is_one_that_the_game_knows(name: str) -> None:
    recipe = build(Case(name, 1, 32, 0)).published
    assert recipe.loss in RIVAL_LOSSES
    assert recipe.penalty in {"none", "r1", "wgan_gp"}
    assert (recipe.gamma > 0) == (recipe.penalty != "none")
    assert 0 <= recipe.augmentation <= 1


def test_only_an_adaptive_augmentation_moves() -> None:
    for name in RIVALS:
        game, figures, _ = played(Case(name, 1, 32, 0))
        assert (figures["augmentation"] == game.published.augmentation) or game.published.adaptive


def test_the_slope_of_a_linear_critic_is_the_norm_of_its_weights() -> None:
    weight = torch.randn(2, 5, 5)
    slopes = slope(lambda x: Logits((x * weight).sum(dim=(1, 2, 3)), []), torch.randn(4, 2, 5, 5))
    torch.testing.assert_close(slopes, weight.norm().expand(4))


def test_the_wasserstein_loss_is_the_difference_of_means_and_a_drift() -> None:
    real, fake = Logits(torch.randn(6), []), Logits(torch.randn(6), [])
    loss = RIVAL_LOSSES["wasserstein"]
    expected = fake.image.mean() - real.image.mean() + 1e-3 * real.image.square().mean()
    torch.testing.assert_close(loss.discriminator(real, fake), expected)
    torch.testing.assert_close(loss.generator(real, fake), -fake.image.mean())


@pytest.mark.parametrize(("channels", "tile", "conditions"), [(1, 64, 0), (3, 32, 3)])
@pytest.mark.parametrize("name", RIVALS)
def test_a_width_meets_the_parameters_asked_for(name: str, channels: int, tile: int, conditions: int) -> None:
    before = torch.random.get_rng_state()
    width = width_for(name, channels, tile, conditions, 400_000)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert parameters(RIVALS[name](channels, tile, conditions, width)) == pytest.approx(400_000, rel=0.1)


def test_what_no_width_reaches_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dcgan at 64 px has .* none near 10"):
        width_for("dcgan", 1, 64, 0, 10)
    with pytest.raises(KeyError):
        width_for("biggan", 1, 64, 0, 1000)


@pytest.mark.parametrize("name", ["dcgan", "transgan", "stylegan2", "fastgan"])
def test_a_tile_that_doubling_does_not_reach_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"a tile of .* px is not .* px doubled"):
        RIVALS[name](1, 48, 0, SMALL)


@pytest.mark.parametrize("name", RIVALS)
def test_thirteen_bands_at_128_px(name: str) -> None:
    with torch.device("meta"):
        rival = RIVALS[name](13, 128, 2, SMALL)
        images = rival.generator.eval()(torch.randn(2, rival.generator.latent), torch.zeros(2, 2))
        assert images.shape == (2, 13, 128, 128)
        assert rival.discriminator(images, torch.zeros(2, 2)).image.shape == (2,)


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_published_sizes() -> None:
    with torch.device("meta"):
        # The 64 px network with 64 features and RGB, as it is commonly counted.
        assert [count(network) for network in RIVALS["dcgan"](3, 64, 0, 1.0)[:2]] == [3_576_704, 2_765_568]
        # Karras et al. 2020, section 4: configuration F has 30 and 29 million at 1024 px.
        assert count(StyleGAN2Generator(3, 1024, 0, 1.0)) == pytest.approx(30e6, rel=0.02)
        assert count(StyleGAN2Discriminator(3, 1024, 0, 1.0)) == pytest.approx(29e6, rel=0.02)
