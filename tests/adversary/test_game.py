"""The game: who learns in which act, what has no influence, and resuming as if never stopped."""

import copy
import io
from dataclasses import dataclass, field, replace
from math import inf, nan
from typing import Any

import pytest
import torch
from torch import Tensor

from augmentor.adversary import penalties
from augmentor.adversary.augment import EVERYWHERE, TURNING
from augmentor.adversary.batch import Batch
from augmentor.adversary.draws import Draws
from augmentor.adversary.game import GROUP, KL_RAMP, LECAM_MEMORY, PENALTY_EVERY, RECONSTRUCT_EVERY, Game
from augmentor.adversary.muon import RATIO
from augmentor.adversary.rules import Rules
from augmentor.t2t.attention import GridAttention
from augmentor.t2t.conditioning import ClassCondition, CycleCondition, TextCondition, encode
from augmentor.t2t.presets import Preset, Stage

CONDITIONS = [ClassCondition("finding", ("none", "effusion")), CycleCondition("month", 12.0), TextCondition("said", 8)]
SAID = [
    {},
    {"finding": "none", "month": "3", "said": "clear"},
    {"finding": "effusion"},
    {"month": "11", "said": "effusion, left"},
]
PRESET = Preset(
    (Stage(16, 1), Stage(8, 1, attend=False)),
    8,
    Stage(16, 1),
    heads=2,
    latent=6,
    latent_per_token=2,
    style=8,
)
PLANE, VOLUME = (16, 24), (8, 16, 16)


@dataclass(frozen=True)
class Variant:
    """A game of its own rules, tile and context."""

    rules: Rules = field(default_factory=Rules)
    tile: tuple[int, ...] = PLANE
    context: int = 0
    preset: Preset = PRESET


PLAIN = Variant()
VARIANTS = {
    "relativistic": PLAIN,
    "non-saturating": Variant(Rules(loss="non_saturating")),
    "exact": Variant(Rules(penalty="exact")),
    "exact in volumes": Variant(Rules(penalty="exact"), VOLUME),
    "no penalty": Variant(Rules(penalty="none")),
    "fixed penalty": Variant(Rules(penalty_adapts=False)),
    "hinge and lecam": Variant(Rules(loss="hinge", lecam_weight=0.3)),
    "superresolution": Variant(Rules(superresolution_weight=0.5)),
    "locality": Variant(Rules(locality=True)),
    "no spectral norm": Variant(Rules(spectral=False)),
    "turning": Variant(Rules(transforms=EVERYWHERE + TURNING)),
    "bfloat16": Variant(Rules(precision="bfloat16")),
    "unconditioned at times": Variant(Rules(condition_drop=0.5)),
    "context": Variant(context=3),
    "volumes": Variant(tile=VOLUME),
    "volumes in context": Variant(Rules(superresolution_weight=0.5), VOLUME, context=2),
    "convolutions": Variant(preset=replace(PRESET, encoder="convolutions", decoder="convolutions")),
    "patches": Variant(Rules(penalty="exact"), preset=replace(PRESET, encoder="patches", decoder="patches")),
}
ACTS = ["autoencode", "judge", "play"]


def new_game(variant: Variant = PLAIN, seed: int = 0, channels: int = 2) -> Game:
    return Game(channels, variant.tile, variant.preset, CONDITIONS, variant.rules, seed, variant.context)


def batch(seed: int, size: int = 4, channels: int = 2, variant: Variant = PLAIN) -> Batch:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randn(size, channels, *variant.tile, generator=random).clamp(-2, 2) / 2
    valid = (torch.rand(size, 1, *variant.tile, generator=random) < 0.8).float()
    which = torch.randint(0, len(SAID), (size,), generator=random).tolist()
    codes = torch.stack([encode(CONDITIONS, SAID[index]) for index in which])
    context = torch.randn(size, variant.context, *variant.tile, generator=random).sign() if variant.context else None
    return Batch(pixels, valid, codes, context)


def play(game: Game, acts: list[str], first: int = 0, variant: Variant = PLAIN) -> list[dict[str, float]]:
    figures = []
    for number, act in enumerate(acts, start=first):
        game.widen(number / 20)
        figures.append(getattr(game, act)(batch(number, variant=variant)))
    return figures


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


def resumed_as_unbroken(variant: Variant, before: list[str], after: list[str]) -> None:
    unbroken = new_game(variant)
    unbroken.fit_bands(batch(98, size=8, variant=variant))
    unbroken.strength.probability = 0.5
    play(unbroken, before, variant=variant)
    unbroken.fit_latents(batch(99, size=8, variant=variant))
    state = saved(unbroken.snapshot())
    expected = play(unbroken, after, len(before), variant)
    assert all(torch.tensor(list(figures.values())).isfinite().all() for figures in expected)

    resumed = new_game(variant, seed=7)
    resumed.restore(state)
    assert play(resumed, after, len(before), variant) == expected
    assert differing(resumed.snapshot(), unbroken.snapshot()) == []


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_resuming_is_never_having_stopped_whatever_the_rules(variant: Variant) -> None:
    resumed_as_unbroken(variant, ["play"], ["play", "autoencode"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(["autoencode"] * 2, ["autoencode"] * 2, id="autoencode"),
        pytest.param(["judge"] * 3, ["judge"] * 3, id="judge"),
        pytest.param(["play"] * 3, ["play"] * 3, id="play"),
        pytest.param([], ["autoencode", "judge", "play"], id="before the first"),
    ],
)
def test_resuming_is_never_having_stopped_whatever_the_act(before: list[str], after: list[str]) -> None:
    resumed_as_unbroken(PLAIN, before, after)


def test_sums_in_bfloat16_are_about_the_same() -> None:
    wanted, found = (play(new_game(VARIANTS[name]), ACTS) for name in ("relativistic", "bfloat16"))
    assert found != wanted
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=0.02, abs=0.02)


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


AVERAGED = ("average", "average_inference")


@pytest.mark.parametrize("variant", [PLAIN, VARIANTS["volumes in context"]], ids=["plain", "volumes in context"])
@pytest.mark.parametrize(
    ("act", "learn"),
    [
        ("autoencode", {"generator", "inference", *AVERAGED}),
        ("judge", {"discriminator"}),
        ("play", {"generator", "inference", "discriminator", *AVERAGED}),
    ],
)
def test_who_learns_in_which_act(act: str, learn: set[str], variant: Variant) -> None:
    game = new_game(variant)
    before = {name: value.clone() for name, value in game.named_parameters()}
    play(game, [act], variant=variant)
    changed = {name.split(".")[0] for name, value in game.named_parameters() if not torch.equal(value, before[name])}
    assert changed == learn
    assert all(p.requires_grad for p in game.discriminator.parameters())
    assert not any(p.requires_grad for name in AVERAGED for p in getattr(game, name).parameters())


JUNK = [("exact", act, junk) for act in ACTS for junk in (0.9, nan)] + [
    ("exact", "play", -1e6),
    ("exact", "play", inf),
    ("superresolution", "autoencode", nan),
    ("volumes in context", "play", -inf),
]


@pytest.mark.parametrize(("name", "act", "junk"), JUNK)
def test_pixels_that_are_not_valid_have_no_influence(name: str, act: str, junk: float) -> None:
    variant = VARIANTS[name]
    game = new_game(variant)
    game.strength.probability = 0.6
    play(game, ["play"], variant=variant)
    state = game.snapshot()
    clean = batch(5, variant=variant)
    dirty = replace(clean, pixels=torch.where(clean.valid > 0, clean.pixels, junk))
    assert not torch.equal(clean.pixels, dirty.pixels)
    figures, snapshots = [], []
    for given in (clean, dirty):
        game.restore(state)
        game.fit_bands(given)
        game.fit_latents(given)
        figures.append(getattr(game, act)(given))
        snapshots.append(game.snapshot())
    assert figures[0] == figures[1]
    assert differing(*snapshots) == []


@pytest.mark.parametrize(
    "name", ["relativistic", "exact", "hinge and lecam", "superresolution", "patches", "volumes in context"]
)
def test_tiles_with_nothing_valid_do_no_harm(name: str) -> None:
    variant = VARIANTS[name]
    game = new_game(variant)
    given = batch(0, variant=variant)
    given.valid[:2] = 0
    game.fit_bands(given)
    for act in ("autoencode", "play"):
        figures = getattr(game, act)(given)
        assert all(torch.tensor(list(figures.values())).isfinite())
    assert all(p.isfinite().all() for p in game.parameters())


@pytest.mark.parametrize("size", [4, 8, 12])
def test_batches_of_whole_groups_play(size: int) -> None:
    figures = new_game().play(batch(0, size=size))
    judged = {"discriminator", "outranked", "augmentation", "gamma"}
    assert set(figures) == judged | {"generator", "reconstruction", "kl"}


@pytest.mark.parametrize("size", [2, 6, 10])
def test_a_batch_whose_groups_would_mix_real_and_fake_is_refused(size: int) -> None:
    assert size % GROUP and 2 * size % GROUP == 0
    with pytest.raises(ValueError, match="group"):
        new_game().judge(batch(0, size=size))


@pytest.mark.parametrize("penalty", ["exact", "approximate", "none"])
def test_the_penalty_runs_lazily_if_at_all(penalty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("exact", "approximate"):
        original = getattr(penalties, name)

        def counted(*given: Any, name: str = name, original: Any = original) -> Tensor:
            calls.append((name, game.steps))
            return original(*given)

        monkeypatch.setattr(penalties, name, counted)
    game = new_game(Variant(Rules(penalty=penalty)))
    play(game, ["judge"] * (2 * PENALTY_EVERY + 1))
    assert calls == [(penalty, k * PENALTY_EVERY) for k in range(3) if penalty != "none"]


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_reconstruction_is_kept_lazily_if_at_all(weight: float) -> None:
    told = play(new_game(Variant(Rules(reconstruction_weight=weight))), ["play"] * (2 * RECONSTRUCT_EVERY + 1))
    kept = [number for number, figures in enumerate(told) if "reconstruction" in figures]
    assert kept == [k * RECONSTRUCT_EVERY for k in range(3) if weight]


def test_both_players_see_the_same_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    game, drawn = new_game(), []
    draw = game.generator.forward

    def counted(*given: Any) -> Tensor:
        drawn.append(draw(*given))
        return drawn[-1]

    monkeypatch.setattr(game.generator, "forward", counted)
    # A step that does not reconstruct.
    game.steps = 1
    game.play(batch(0))
    assert len(drawn) == 1


def test_lecam_remembers_both_sides_and_holds_them_together() -> None:
    game = new_game(VARIANTS["hinge and lecam"])
    assert game.running.tolist() == [0, 0]
    lecams = []
    for level in (5.0, 5.0, 5.0):
        real, fake = torch.full((4,), level), torch.full((4,), -level)
        lecams.append(game._lecam(real, fake).item())
    assert game.running.tolist() == pytest.approx([5 * (1 - LECAM_MEMORY**3), -5 * (1 - LECAM_MEMORY**3)])
    # Each side lies 5 from the middle and the other's mean on the far side of it, further with every step.
    assert lecams == pytest.approx([2 * (5 + 5 * (1 - LECAM_MEMORY**k)) ** 2 for k in (1, 2, 3)])


def test_the_kl_weight_rises_with_the_tiles_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a huge weight the latent is ignored at once; at the start of the ramp it is not yet."""
    losses = []
    for warmed in (0, KL_RAMP // 2, 10 * KL_RAMP):
        torch.manual_seed(0)
        game = new_game(Variant(Rules(kl_weight=1.0)))
        game.warmed = warmed
        seen: list[float] = []
        monkeypatch.setattr(
            "augmentor.adversary.game.descend", lambda _, losses, *rest, seen=seen: seen.append(sum(losses).item())
        )
        figures = game.autoencode(batch(0))
        losses.append((seen[0] - figures["reconstruction"]) / figures["kl"])
    assert losses == pytest.approx([4 / KL_RAMP, 0.5 + 4 / KL_RAMP, 1], abs=2e-3)


def test_autoencoding_learns_to_reproduce() -> None:
    game = new_game(channels=1)
    rows = torch.linspace(-1, 1, PLANE[0])[:, None].expand(PLANE)
    pixels = torch.stack([rows, -rows, rows.abs(), torch.zeros(PLANE)])[:, None]
    tiles = Batch(pixels, torch.ones(4, 1, *PLANE), batch(0).conditions)
    errors = [game.autoencode(tiles)["reconstruction"] for _ in range(80)]
    assert errors[-1] < 0.4 * errors[0]


def test_fitting_latents_reaches_generator_and_average() -> None:
    game = new_game()
    game.fit_latents(batch(0, size=8))
    for network in (game.generator, game.average):
        assert not torch.equal(network.prior.factors[0], torch.eye(6))
    assert torch.equal(game.generator.prior.factors, game.average.prior.factors)


@pytest.mark.parametrize("stages", [0, 1])
@pytest.mark.parametrize("name", ["relativistic", "exact", "no spectral norm"])
def test_frozen_stages_of_the_judge_stay_and_the_others_learn(name: str, stages: int) -> None:
    game = new_game(VARIANTS[name])
    game.freeze(stages)
    before = {name: value.clone() for name, value in game.discriminator.named_parameters()}
    play(game, ["judge", "play", "play"])
    after = dict(game.discriminator.named_parameters())
    kept = {name for name, value in after.items() if torch.equal(value, before[name])}
    frozen = {name for name in after if any(name.startswith(f"encoder.fusions.{k}.") for k in range(stages))}
    # A relativistic loss leaves the level of logits free: what moves their biases is rounding alone.
    level = {name for name in after if name.endswith("bias") and name.startswith(("token_heads", "logit"))}
    assert kept - level == frozen


def test_frozen_stages_of_the_judge_see_what_they_saw() -> None:
    game = new_game()
    game.freeze(1)
    fusion, x = game.discriminator.encoder.fusions[0], torch.randn(2, game.discriminator.bands.width, *PLANE)
    before = fusion(x)
    play(game, ["judge", "play", "play"])
    torch.testing.assert_close(fusion(x), before)


def test_a_resumed_game_keeps_its_frozen_stages() -> None:
    game, resumed = new_game(), new_game(seed=7)
    game.freeze(1)
    resumed.restore(saved(game.snapshot()))
    assert play(resumed, ["play", "play"]) == play(game, ["play", "play"])
    assert differing(resumed.snapshot(), game.snapshot()) == []


@pytest.mark.parametrize(("progress", "far"), [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (1.0, 1.0)])
def test_locality_starts_narrow_and_ends_everywhere(progress: float, far: float) -> None:
    for name, expected in (("locality", far), ("relativistic", 1.0)):
        game = new_game(VARIANTS[name])
        game.widen(progress)
        assert {m.reach for m in game.modules() if isinstance(m, GridAttention)} == {expected}


PACES = [(1, 1), (0.7, 1), (0.5, 1), (0.25, 0.5), (0.1, 0.2), (0.01, 0.05), (0, 0.05)]


@pytest.mark.parametrize(("left", "pace"), PACES)
def test_both_players_slow_down_over_the_second_half_of_play(left: float, pace: float) -> None:
    game = new_game()
    game.settle(left)
    play(game, ["play"])
    for optimiser, rate in ((game.make, PLAIN.rules.generator_rate), (game.tell, PLAIN.rules.discriminator_rate)):
        rates = {group["matrices"]: group["lr"] for group in optimiser.param_groups}
        assert rates == pytest.approx({True: RATIO * pace * rate, False: pace * rate})


def test_bands_are_fitted_and_hidden_for_everyone_who_looks() -> None:
    game, given = new_game(), batch(0, size=8)
    game.fit_bands(given)
    judge, *readers = (network.bands for network in (game.discriminator, game.inference, game.average_inference))
    assert all(torch.equal(judge.gain, reader.gain) for reader in readers)
    spread = judge(given.shown).transpose(0, 1).flatten(1).std(dim=1)
    torch.testing.assert_close(spread, torch.full((6,), 0.5), atol=1e-3, rtol=1e-3)
    game.hide_bands()
    assert all(bands.gain.flatten().tolist() == [1, 1, 0, 0, 0, 0] for bands in (judge, *readers))


def test_latents_are_fitted_for_who_makes_by_who_reads_with_it() -> None:
    game, given = new_game(), batch(0, size=8)
    play(game, ["autoencode", "autoencode"])
    game.fit_latents(given)
    for maker, reader in ((game.generator, game.inference), (game.average, game.average_inference)):
        torch.testing.assert_close(maker.prior.centre, reader(given.shown).mean.mean(dim=0), atol=1e-5, rtol=0)
    held = game.average.prior.centre.clone()
    game.fit_latents(batch(1, size=8))
    assert not torch.equal(held, game.average.prior.centre)
    kept = game.average.prior.centre.clone()
    play(game, ["play"])
    assert torch.equal(kept, game.average.prior.centre)


@pytest.mark.parametrize(("adapts", "sureness", "expected"), [(False, 1.0, 0.4), (True, 1.0, 0.0), (True, -1.0, 0.0)])
def test_augmentation_stands_unless_it_adapts(adapts: bool, sureness: float, expected: float) -> None:
    rules = replace(PLAIN.rules, augmentation=0.4, augmentation_adapts=adapts)
    game = new_game(replace(PLAIN, rules=rules))
    assert game.strength.probability == expected
    game.strength.target = -2.0 if sureness > 0 else 2.0
    figures = play(game, ["judge"])
    assert (figures[0]["augmentation"] > expected) == (adapts and sureness > 0)


def test_the_penalty_follows_the_game_unless_it_is_fixed() -> None:
    for name, moves in (("relativistic", True), ("fixed penalty", False)):
        game = new_game(VARIANTS[name])
        game.gamma.outranked = 0.99
        figures = play(game, ["judge", "judge"])
        assert (figures[1]["gamma"] > figures[0]["gamma"] > 0) == moves
        # What the alarm of a discriminator that always wins goes by.
        assert figures[0]["outranked"] != 0.99


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("rows", [[3], [1, 1, 0], [], [2, 0, 3, 1]])
def test_a_part_of_a_batch_keeps_every_tile_with_what_belongs_to_it(rows: list[int], context: int) -> None:
    whole = batch(0, variant=Variant(context=context))
    part = whole[torch.tensor(rows, dtype=torch.long)].to(torch.device("cpu"))
    for name in ("pixels", "valid", "conditions", "shown", *(["context"] if context else [])):
        found, source = getattr(part, name), getattr(whole, name)
        assert found.shape == (len(rows), *source.shape[1:])
        assert all(torch.equal(tile, source[row]) for tile, row in zip(found, rows, strict=True))
    assert (part.context is None) == (context == 0)


@pytest.mark.parametrize("context", [0, 3])
def test_a_batch_goes_to_a_device_as_a_whole(context: int) -> None:
    moved = batch(0, variant=Variant(context=context)).to(torch.device("meta"))
    found = [moved.pixels, moved.valid, moved.conditions, *([moved.context] if context else [])]
    assert {plane.device.type for plane in found} == {"meta"}


@pytest.mark.parametrize("act", ["judge", "play"])
def test_a_context_reaches_everyone(act: str) -> None:
    variant = VARIANTS["context"]
    given = batch(0, variant=variant)
    figures = []
    for context in (given.context, given.context.flip(0)):
        game = new_game(variant)
        play(game, ["autoencode"], variant=variant)
        figures.append(getattr(game, act)(replace(given, context=context)))
    losses = {"discriminator", "generator", "reconstruction"} & set(figures[0])
    assert all(figures[0][name] != figures[1][name] for name in losses)


@pytest.mark.parametrize("name", ["context", "volumes in context"])
def test_a_jittered_tile_moves_with_all_that_belongs_to_it(name: str) -> None:
    variant = replace(VARIANTS[name], rules=Rules(jitter=1.0))
    game, given = new_game(variant), batch(0, size=8, variant=variant)
    held = given.valid.expand_as(given.context).contiguous()
    given = replace(given, pixels=given.valid.repeat(1, 2, *[1] * len(variant.tile)), context=held)
    moved = game._jittered(given)
    assert not torch.equal(moved.valid, given.valid)
    assert torch.equal(moved.context, moved.valid.expand_as(held))
    for pixels, valid in zip(moved.pixels, moved.valid[:, 0] > 0, strict=True):
        # Relit, the two values that pixels had are still two, and lie where valid says.
        assert all(pixels[channel][part].std() < 1e-6 for channel in range(2) for part in (valid, ~valid))
        assert (pixels[0][valid].mean() - pixels[0][~valid].mean() - 1).abs() < 0.11


def test_without_jitter_tiles_stay_as_they_are() -> None:
    game, given = new_game(Variant(Rules(jitter=0.0))), batch(0)
    assert torch.equal(game._jittered(given).pixels, given.pixels)


def test_jitter_does_not_reach_the_latents_that_samples_come_from() -> None:
    fitted = []
    for jitter in (0.0, 1.0):
        game = new_game(Variant(Rules(jitter=jitter)))
        game.fit_latents(batch(0, size=8))
        fitted.append(game.generator.prior.state_dict())
    assert differing(*fitted) == []


def test_a_context_moves_with_its_tile_and_is_neither_relit_nor_cut_out() -> None:
    variant = Variant(Rules(transforms=EVERYWHERE + TURNING, augmentation=1.0), tile=(16, 16), context=2)
    game, given = new_game(variant), batch(0, size=8, variant=variant)
    shown, context = game._side_by_side(
        replace(given, valid=torch.ones_like(given.valid), pixels=given.context), given.context, Draws(game.random)
    )
    before = torch.cat([given.context, given.context])
    assert context is not None and not torch.equal(context, before)
    assert set(context.unique().tolist()) == {-1.0, 1.0}
    for image, moved in zip(shown, context, strict=True):
        inside = image.abs().sum(dim=0) > 0
        # Relit and cut out, the image still lies where its context does.
        assert torch.equal((image > 0)[:, inside], (moved > 0)[:, inside])
        assert 0.5 < inside.float().mean() <= 1
