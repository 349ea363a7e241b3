"""The painter's tiles stay whole, its rules are the recipe's, and its acts follow the schedule."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from augmentor.adversary.augment import EVERYWHERE, TURNING
from augmentor.adversary.batch import Batch
from augmentor.learners import painter as module
from augmentor.learners.painter import Painter, Tiles, load_tiles, rules
from augmentor.networks import take_over
from augmentor.recipe import Recipe
from augmentor.run import Facts, Run
from augmentor.scaling import Scaling
from augmentor.t2t.conditioning import ClassCondition, NumberCondition, encode
from augmentor.t2t.discriminator import Discriminator
from augmentor.t2t.presets import Preset, Stage
from augmentor.tiles import Origin, Tile, TileStore
from data_adapters import Channel, Template, Window

PRESET = Preset(
    (Stage(16, 1), Stage(8, 1, attend=False)), 8, Stage(16, 1), heads=2, latent=6, latent_per_token=2, style=8
)
CONDITIONS = (ClassCondition("finding", ("none", "effusion")), NumberCondition("age", 0.0, 10.0))
SAID = [{}, {"finding": "none"}, {"finding": "effusion", "age": "7"}]
LABELS = (-1, 0, 4)
CPU = torch.device("cpu")
SHAPES = [(8, 8), (8, 12), (4, 8, 8), (8, 4, 12)]


def recipe(**sections: Any) -> Recipe:
    return Recipe(name="law", data={"labels": "labels.csv"}, **sections)


def facts(tile: tuple[int, ...], labels: tuple[int, ...] = (), *, given: bool = False) -> Facts:
    return Facts(
        channels=2,
        context=0,
        tile=tile,
        model={"preset": "tiny", "encoder": "tokens", "decoder": "tokens"},
        conditions=CONDITIONS,
        combinations=(({}, 1),),
        scaling=Scaling((0.0, -100.0), (10.0, 100.0)),
        template=Template("png", "image", "", (Channel("a"), Channel("b")), "uint8", 0, 255),
        labels=labels,
        given=given,
    )


def stored(folder: Path, tile: tuple[int, ...], count: int = 8) -> tuple[TileStore, list[Tile]]:
    """A store of labelled tiles, each third of them held out."""
    random = np.random.default_rng(0)
    tiles = []
    for number in range(count):
        origin = Origin(f"s{number}", "g", 0, 0.0, Window(0, 0, 8, 8), number % 3 == 0, SAID[number % 3])
        pixels = random.uniform(-50, 50, (2, *tile)).astype(np.float32)
        labels = random.choice(np.array(LABELS, np.int32), tile)
        tiles.append(Tile(pixels, random.random(tile) < 0.8, labels, origin))
    store = TileStore(folder / "store")
    store.write(iter(tiles), 2, tile, labelled=True)
    return store, tiles


def numbered(tile: tuple[int, ...], context: int = 2, count: int = 6) -> Batch:
    """Tiles whose every plane says which tile and which place it is of."""
    places = torch.arange(float(np.prod(tile))).view(1, 1, *tile)
    pixels = places + 10_000 * torch.arange(count).view(-1, *[1] * (1 + len(tile)))
    codes = torch.arange(count, dtype=torch.float32)[:, None]
    held = torch.cat([pixels * 3 + k for k in range(context)], dim=1) if context else None
    return Batch(torch.cat([pixels, -pixels], dim=1), (pixels % 3 == 0).float(), codes, held)


def positions(image: NDArray[Any]) -> set[bytes]:
    """An image in all positions of its plane that its shape allows."""
    mirrored = [image, image[..., ::-1]]
    turns = range(4) if image.shape[-1] == image.shape[-2] else [0]
    return {np.ascontiguousarray(np.rot90(m, turn, (-2, -1))).tobytes() for m in mirrored for turn in turns}


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("tile", SHAPES, ids=str)
def test_a_tile_is_turned_with_all_that_belongs_to_it(tile: tuple[int, ...], flips: bool, context: int) -> None:
    given = numbered(tile, context)
    tiles = Tiles(given, recipe(tiles={"size": tile, "flips": flips}), CPU)
    seen: dict[int, set[bytes]] = {number: set() for number in range(6)}
    for _ in range(40):
        drawn = tiles.draw(6)
        number = (drawn.pixels[:, :1] / 10_000).floor()
        assert torch.equal(number.flatten(1).amax(dim=1), drawn.conditions[:, 0])
        assert torch.equal(drawn.pixels[:, 1:], -drawn.pixels[:, :1])
        assert torch.equal(drawn.valid, (drawn.pixels[:, :1] % 3 == 0).float())
        assert (drawn.context is None) == (context == 0)
        if drawn.context is not None:
            for k in range(context):
                assert torch.equal(drawn.context[:, k : k + 1], drawn.pixels[:, :1] * 3 + k)
        for which, image in zip(drawn.conditions[:, 0].int().tolist(), drawn.pixels[:, 0], strict=True):
            seen[which].add(np.ascontiguousarray(image.numpy()).tobytes())
    for which, found in seen.items():
        own = given.pixels[which, 0].numpy()
        assert found == (positions(own) if flips else {own.tobytes()})


@pytest.mark.parametrize(("tile", "context"), [((64, 8, 8), 1), ((48, 8, 12), 0), ((16, 8, 8), 8)], ids=str)
def test_deep_volumes_are_turned_too(tile: tuple[int, ...], context: int) -> None:
    tiles = Tiles(numbered(tile, context), recipe(tiles={"size": tile, "flips": True}), CPU)
    for _ in range(20):
        drawn = tiles.draw(6)
        assert torch.equal(drawn.pixels[:, 1:], -drawn.pixels[:, :1])


@pytest.mark.parametrize("size", [1, 4, 6, 15])
def test_every_tile_comes_once_an_epoch(size: int) -> None:
    tiles = Tiles(numbered((4, 4)), recipe(), CPU)
    drawn = torch.cat([tiles.draw(size).conditions[:, 0] for _ in range(12)]).int().tolist()
    for epoch in range(len(drawn) // 6):
        assert Counter(drawn[6 * epoch : 6 * epoch + 6]) == Counter(range(6))
    assert drawn[:6] != drawn[6:12]


def test_tiles_go_on_where_they_were() -> None:
    said = recipe(tiles={"size": (8, 8), "flips": True})
    tiles, resumed = Tiles(numbered((8, 8)), said, CPU), Tiles(numbered((8, 8)), said, CPU)
    tiles.draw(4)
    resumed.draw(1)
    resumed.restore(tiles.state())
    for _ in range(3):
        assert torch.equal(tiles.draw(4).pixels, resumed.draw(4).pixels)


@pytest.mark.parametrize(("most", "count"), [(1, 1), (3, 3), (6, 6), (100, 6)])
def test_some_tiles_are_spread_over_all(most: int, count: int) -> None:
    found = Tiles(numbered((4, 4)), recipe(), CPU).some(most).conditions[:, 0].tolist()
    assert len(found) == len(set(found)) == count
    assert found[0] == 0
    assert count == 1 or found[-1] == 5


@pytest.mark.parametrize("flips", [False, True])
def test_only_tiles_that_may_be_turned_are_turned_before_the_judge(flips: bool) -> None:
    assert rules(recipe(tiles={"flips": flips})).transforms == (EVERYWHERE + TURNING if flips else EVERYWHERE)


@pytest.mark.parametrize(
    "said",
    [
        {"loss": "hinge", "lecam_weight": 0.3},
        {"penalty": "exact", "penalty_adapts": False},
        {"superresolution_weight": 0.5, "spectral": False, "locality": True},
        {"augmentation": 0.2, "condition_drop": 0.4, "kl_weight": 1e-3, "adversarial_weight": 2.0},
    ],
)
def test_the_games_rules_are_the_recipes(said: dict[str, Any]) -> None:
    found = rules(recipe(game=said))
    assert {name: getattr(found, name) for name in said} == said


@pytest.mark.parametrize(("images", "half_life"), [(400, 10), (60_000, 1_500), (1_000_000, 3_000)])
def test_the_average_follows_a_part_of_the_run(images: int, half_life: float) -> None:
    assert rules(recipe(game={"images": images})).average_half_life == half_life


@pytest.mark.parametrize("tile", SHAPES, ids=str)
@pytest.mark.parametrize("use", ["none", "together", "condition"])
def test_tiles_are_loaded_scaled_with_their_labels_and_codes(use: str, tile: tuple[int, ...], tmp_path: Path) -> None:
    store, tiles = stored(tmp_path, tile)
    known = facts(tile, () if use == "none" else LABELS, given=use == "condition")
    rows = store.rows(held_out=False)
    batch = load_tiles(store, rows, known)
    assert batch.pixels.shape == (len(rows), known.made, *tile)
    assert batch.pixels.dtype == batch.valid.dtype == batch.conditions.dtype == torch.float32
    assert (batch.context is not None) == (use == "condition")
    for number, row in enumerate(rows):
        source = tiles[row]
        np.testing.assert_array_equal(batch.valid[number, 0].numpy() > 0, source.valid)
        wanted = np.where(source.valid, known.scaling.to_unit(source.pixels, len(tile)), 0)
        np.testing.assert_array_equal(batch.pixels[number, :2].numpy(), wanted)
        assert torch.equal(batch.conditions[number], encode(CONDITIONS, source.origin.conditions))
        if use != "none":
            channels = batch.context[number] if batch.context is not None else batch.pixels[number, 2:]
            expected = np.stack([np.where(source.labels == label, 1, -1) for label in LABELS])
            np.testing.assert_array_equal(channels.numpy(), expected)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of a size that tests can train."""
    monkeypatch.setattr(module, "preset", lambda facts: PRESET)


def new_painter(tile: tuple[int, ...] = (8, 8), use: str = "none", seed: int = 0, **game: Any) -> Painter:
    known = facts(tile, () if use == "none" else LABELS, given=use == "condition")
    random = torch.Generator().manual_seed(0)
    pixels = torch.randn(8, known.made, *tile, generator=random) / 2
    codes = torch.stack([encode(CONDITIONS, values) for values in SAID]).repeat(3, 1)[:8]
    context = torch.randn(8, known.read, *tile, generator=random).sign() if known.read else None
    schedule = {"images": 32, "batch": 4, "warm_start": 0.5, "judge_alone": 0.25, **game}
    tiles = Batch(pixels, torch.ones(8, 1, *tile), codes, context)
    return Painter(recipe(tiles={"size": tile}, game=schedule, seed=seed), known, tiles)


@pytest.mark.parametrize("use", ["none", "together", "condition"])
@pytest.mark.parametrize("tile", [(8, 8), (8, 16, 8)], ids=str)
def test_acts_follow_the_schedule_and_a_resumed_painter_goes_on(small: None, use: str, tile: tuple[int, ...]) -> None:
    painter = new_painter(tile, use)
    acts, kept, after = [], {}, {}
    for seen in range(0, 32, 4):
        if seen == 20:
            kept = painter.snapshot()
        act, figures = painter.step(seen)
        acts.append(act)
        assert all(np.isfinite(list(figures.values())))
        after = figures
    assert acts == ["autoencode"] * 4 + ["judge"] * 2 + ["play"] * 2
    assert not torch.equal(painter.game.average.prior.factors, torch.eye(6))
    resumed = new_painter(tile, use, seed=1)
    resumed.restore(kept)
    assert [resumed.step(seen) for seen in range(20, 32, 4)][-1] == ("play", after)


def test_players_slow_down_towards_the_end(small: None) -> None:
    painter = new_painter(images=80, warm_start=0.25, judge_alone=0.25)
    paces = []
    for seen in range(0, 80, 4):
        painter.step(seen)
        paces.append(painter.game.pace)
    assert paces == pytest.approx([1] * 16 + [0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize("bands", [True, False])
def test_bands_are_fitted_to_the_tiles_or_hidden(small: None, bands: bool) -> None:
    painter = new_painter(bands=bands)
    gain = painter.game.discriminator.bands.gain.flatten()
    assert bool((gain[2:] > 0).all()) == bands
    shown = painter.game.discriminator.bands(painter.tiles.some(100).shown)
    assert torch.allclose(shown.transpose(0, 1).flatten(1).std(dim=1), torch.tensor(0.5), atol=1e-3) == bands


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_painter_starts_from_the_networks_of_another_run(small: None, frozen: int, tmp_path: Path) -> None:
    source = new_painter()
    for seen in range(0, 32, 8):
        source.step(seen)
    source.publish(Run(tmp_path))
    painter = new_painter(seed=5)
    painter.start_from(Run(tmp_path), frozen)
    # What was published is averaged, and everyone who makes or reads starts from it.
    pairs = [
        (painter.game.generator, source.game.average),
        (painter.game.average, source.game.average),
        (painter.game.inference, source.game.average_inference),
        (painter.game.average_inference, source.game.average_inference),
        (painter.game.discriminator, source.game.discriminator),
    ]
    for made, kept in pairs:
        state = kept.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())
    fusions = painter.game.discriminator.encoder.fusions
    assert [any(p.requires_grad for p in fusion.parameters()) for fusion in fusions] == [not frozen]


def test_a_weight_that_does_not_fit_keeps_the_norm_that_it_started_with(tmp_path: Path) -> None:
    source, other = Discriminator(1, (8, 8), PRESET), Discriminator(3, (8, 8), PRESET)
    save_file({name: value.contiguous() for name, value in source.state_dict().items()}, tmp_path / "judge.safetensors")
    first = other.encoder.fusions[0].qkv
    before = torch.linalg.matrix_norm(first.weight.detach().flatten(1), ord=2)
    take_over(other, tmp_path / "judge.safetensors")
    for _ in range(60):
        other(torch.zeros(4, 3, 8, 8), torch.zeros(4, 0), 4)
    torch.testing.assert_close(
        torch.linalg.matrix_norm(first.weight.detach().flatten(1), ord=2), before, rtol=0.02, atol=0
    )
