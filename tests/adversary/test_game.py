"""The game: who learns in which act, what has no influence, and resuming as if never stopped."""

import copy
import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from augmentor.adversary.game import GROUP, KL_RAMP, PENALTY_EVERY, Batch, Game, Rules
from augmentor.t2t.conditioning import ClassCondition
from augmentor.t2t.presets import Preset, Stage

FINDING = ClassCondition("finding", ("none", "effusion"))
PRESET = Preset(
    (Stage(16, 1), Stage(8, 1, attend=False)), 8, Stage(16, 1), heads=2, latent=6, latent_per_token=2, style=8
)
TILE = (16, 24)

RULES = {
    "relativistic": Rules(),
    "non-saturating": Rules(loss="non_saturating"),
    "exact": Rules(penalty="exact"),
    "unconditioned at times": Rules(condition_drop=0.5),
}
ACTS = ["autoencode", "judge", "play"]


def new_game(rules: Rules = RULES["relativistic"], seed: int = 0, channels: int = 2) -> Game:
    return Game(channels, TILE, PRESET, [FINDING], rules, seed)


def batch(seed: int, size: int = 4, channels: int = 2) -> Batch:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randn(size, channels, *TILE, generator=random).clamp(-2, 2) / 2
    valid = (torch.rand(size, 1, *TILE, generator=random) < 0.8).float()
    return Batch(pixels, valid, torch.randint(0, 3, (size, 1), generator=random))


def play(game: Game, acts: list[str], first: int = 0) -> list[dict[str, float]]:
    return [getattr(game, act)(batch(first + number)) for number, act in enumerate(acts)]


def saved(state: dict[str, Any]) -> dict[str, Any]:
    """A snapshot as a checkpoint file gives it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def differing(a: Any, b: Any, where: str = "") -> list[str]:
    """Names of the parts in which two snapshots are not bit for bit the same."""
    if isinstance(a, Tensor):
        return [] if torch.equal(a, b) else [where]
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return [name for key in a for name in differing(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, list | tuple):
        assert len(a) == len(b)
        return [name for key in range(len(a)) for name in differing(a[key], b[key], f"{where}.{key}")]
    return [] if a == b else [where]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(["autoencode"] * 2, ["autoencode"] * 2, id="autoencode"),
        pytest.param(["judge"] * 3, ["judge"] * 3, id="judge"),
        pytest.param(["play"] * 3, ["play"] * 3, id="play"),
        pytest.param(["autoencode", "judge"], ["judge", "play", "play", "play"], id="across acts"),
        pytest.param([], ["autoencode", "judge", "play"], id="before the first"),
    ],
)
def test_resuming_is_never_having_stopped(rules: Rules, before: list[str], after: list[str]) -> None:
    unbroken = new_game(rules)
    unbroken.strength.probability = 0.5
    play(unbroken, before)
    unbroken.fit_latents(batch(99, size=8))
    state = saved(unbroken.snapshot())
    expected = play(unbroken, after, first=len(before))

    resumed = new_game(rules, seed=7)
    resumed.restore(state)
    assert play(resumed, after, first=len(before)) == expected
    assert differing(resumed.snapshot(), unbroken.snapshot()) == []


def test_the_kl_ramp_and_the_lazy_penalty_go_on_where_they_were() -> None:
    game = new_game()
    play(game, ["autoencode", "judge", "play"])
    resumed = new_game(seed=7)
    resumed.restore(saved(game.snapshot()))
    assert (resumed.warmed, resumed.steps) == (game.warmed, game.steps) == (4, 2)


def test_a_snapshot_kept_in_memory_does_not_change_as_the_game_goes_on() -> None:
    game = new_game()
    play(game, ["play"])
    kept = game.snapshot()
    as_taken = copy.deepcopy(kept)
    play(game, ["play"], first=1)
    assert differing(kept, as_taken) == []


def test_a_snapshot_can_be_restored_more_than_once() -> None:
    game = new_game()
    play(game, ["play"])
    state = saved(game.snapshot())
    figures = []
    for _ in range(2):
        game.restore(state)
        figures.append(play(game, ["play", "play"], first=1))
    assert figures[0] == figures[1]


def test_a_seed_decides_the_whole_game() -> None:
    first, second = new_game(seed=3), new_game(seed=3)
    assert differing(first.snapshot(), second.snapshot()) == []


def test_a_game_differs_by_its_seed() -> None:
    first = new_game(seed=3)
    second = new_game(seed=4)
    second.load_state_dict(first.state_dict())
    assert play(first, ["play"]) != play(second, ["play"])


@pytest.mark.parametrize(
    ("act", "learn"),
    [
        ("autoencode", {"generator", "inference", "average"}),
        ("judge", {"discriminator"}),
        ("play", {"generator", "inference", "average", "discriminator"}),
    ],
)
def test_who_learns_in_which_act(act: str, learn: set[str]) -> None:
    game = new_game()
    before = {name: value.clone() for name, value in game.named_parameters()}
    play(game, [act])
    changed = {name.split(".")[0] for name, value in game.named_parameters() if not torch.equal(value, before[name])}
    assert changed == learn
    assert all(p.requires_grad for p in game.discriminator.parameters())
    assert not any(p.requires_grad for p in game.average.parameters())


JUNK = [
    pytest.param(0.9, id="plausible"),
    pytest.param(-1e6, id="large"),
    pytest.param(float("-inf"), id="infinite"),
    pytest.param(float("nan"), id="not a number"),
]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("act", ACTS)
def test_pixels_that_are_not_valid_have_no_influence(act: str, junk: float) -> None:
    game = new_game(RULES["exact"])
    game.strength.probability = 0.6
    play(game, ["autoencode", "play"])
    state = saved(game.snapshot())
    clean = batch(5)
    dirty = replace(clean, pixels=torch.where(clean.valid > 0, clean.pixels, junk))
    assert not torch.equal(clean.pixels, dirty.pixels)
    figures, snapshots = [], []
    for given in (clean, dirty):
        game.restore(copy.deepcopy(state))
        game.fit_latents(given)
        figures.append(getattr(game, act)(given))
        snapshots.append(copy.deepcopy(game.snapshot()))
    assert figures[0] == figures[1]
    assert differing(*snapshots) == []


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_tiles_with_nothing_valid_do_no_harm(act: str, rules: Rules) -> None:
    game = new_game(rules)
    given = batch(0)
    given.valid[:2] = 0
    for _ in range(2):
        figures = getattr(game, act)(given)
    assert all(torch.tensor(list(figures.values())).isfinite())
    assert all(p.isfinite().all() for p in game.parameters())


@pytest.mark.parametrize("size", [4, 8, 12])
def test_batches_of_whole_groups_play(size: int) -> None:
    figures = new_game().play(batch(0, size=size))
    assert set(figures) == {"discriminator", "augmentation", "generator", "reconstruction", "kl"}


@pytest.mark.parametrize("size", [2, 6, 10])
def test_a_batch_whose_groups_would_mix_real_and_fake_is_refused(size: int) -> None:
    assert size % GROUP and 2 * size % GROUP == 0
    with pytest.raises(ValueError, match="group"):
        new_game().judge(batch(0, size=size))


@pytest.mark.parametrize("penalty", ["exact", "approximate"])
def test_the_penalty_runs_lazily(penalty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from augmentor.adversary import penalties

    calls = []
    original = getattr(penalties, penalty)
    monkeypatch.setattr(penalties, penalty, lambda *given: calls.append(game.steps) or original(*given))
    game = new_game(Rules(penalty=penalty))
    play(game, ["judge"] * (2 * PENALTY_EVERY + 1))
    assert calls == [0, PENALTY_EVERY, 2 * PENALTY_EVERY]


def test_the_kl_weight_rises_with_the_tiles_seen() -> None:
    """With a huge weight the latent is ignored at once; at the start of the ramp it is not yet."""
    losses = []
    for warmed in (0, KL_RAMP // 2, 10 * KL_RAMP):
        torch.manual_seed(0)
        game = new_game(Rules(kl_weight=1.0))
        game.warmed = warmed
        seen = []
        game._descend = lambda _, loss, seen=seen: seen.append(loss.item())  # type: ignore[method-assign]
        figures = game.autoencode(batch(0))
        losses.append((seen[0] - figures["reconstruction"]) / figures["kl"])
    assert losses == pytest.approx([4 / KL_RAMP, 0.5 + 4 / KL_RAMP, 1], abs=2e-3)


def test_autoencoding_learns_to_reproduce() -> None:
    game = new_game(channels=1)
    rows = torch.linspace(-1, 1, TILE[0])[:, None].expand(TILE)
    pixels = torch.stack([rows, -rows, rows.abs(), torch.zeros(TILE)])[:, None]
    tiles = Batch(pixels, torch.ones(4, 1, *TILE), torch.zeros(4, 1, dtype=torch.long))
    errors = [game.autoencode(tiles)["reconstruction"] for _ in range(80)]
    assert errors[-1] < 0.4 * errors[0]


def test_fitting_latents_reaches_generator_and_average() -> None:
    game = new_game()
    game.fit_latents(batch(0, size=8))
    for network in (game.generator, game.average):
        assert not torch.equal(network.prior.factor, torch.eye(6))
    assert torch.equal(game.generator.prior.factor, game.average.prior.factor)
