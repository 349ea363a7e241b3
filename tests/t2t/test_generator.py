"""The generator draws any shape from zero on, and follows its conditions as far as asked; inference reads it."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import pytest
import torch
from torch import Tensor, nn

from augmentor.t2t.conditioning import ClassCondition, Condition, NumberCondition, encode, size
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference, Posterior
from augmentor.t2t.presets import PRESETS, Fusion, Preset, Stage, merges, steps

FINDING = ClassCondition("finding", ("none", "effusion"))
AGE = NumberCondition("age", 20.0, 80.0)
BOTH = [FINDING, AGE]

TINY = [(c, (32, 32)) for c in (1, 2, 3, 4, 8, 13)] + [(1, (64, 64)), (3, (128, 128)), (2, (32, 64)), (13, (40, 48))]
CASES = [("tiny", c, t) for c, t in TINY] + [
    ("small", 1, (32, 32)),
    ("small", 3, (64, 96)),
    ("tiny", 1, (16, 16, 16)),
    ("tiny", 3, (8, 16, 24)),
    ("small", 1, (16, 32, 32)),
]
SMALL = Preset(
    (Stage(16, 1), Stage(8, 1, attend=False)), 8, Stage(12, 1), heads=2, latent=6, latent_per_token=2, style=8
)
THREE_STAGES = replace(SMALL, stages=(Stage(16, 1), Stage(8, 1), Stage(8, 1, attend=False)))

FUSIONS: list[Fusion] = ["tokens", "convolutions", "patches"]
TILES = [(16, 24), (16, 16, 16)]


def shake(network: nn.Module, spread: float = 0.05) -> None:
    """Move every parameter away from its start, so that nothing is switched off."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(spread * torch.randn_like(parameter))


def codes(*values: dict[str, str], conditions: Sequence[Condition] = BOTH) -> Tensor:
    return torch.stack([encode(conditions, value) for value in values])


def none(batch: int) -> Tensor:
    return torch.zeros(batch, 0)


def idle(network: nn.Module) -> set[str]:
    """Parameters that no gradient has reached; all others have finite ones."""
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
    return {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}


@pytest.mark.parametrize(("preset", "channels", "tile"), CASES)
def test_the_picture_has_the_shape_of_the_tile(preset: str, channels: int, tile: tuple[int, ...]) -> None:
    generator = Generator(channels, tile, PRESETS[preset], [FINDING])
    shake(generator)
    asked = codes({}, {"finding": "effusion"}, conditions=[FINDING])
    with torch.no_grad():
        picture = generator(torch.randn(2, generator.latent), asked)
    assert picture.shape == (2, channels, *tile)
    assert picture.isfinite().all()
    assert picture[0].std() > 0


@pytest.mark.parametrize(("preset", "channels", "tile"), CASES)
def test_inference_reads_what_the_generator_draws(preset: str, channels: int, tile: tuple[int, ...]) -> None:
    with torch.no_grad():
        posterior = Inference(channels, tile, PRESETS[preset])(torch.randn(2, channels, *tile))
    assert posterior.mean.shape == posterior.log_variance.shape == (2, PRESETS[preset].latent)
    assert posterior.mean.isfinite().all()
    assert posterior.log_variance.isfinite().all()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("tile", [(32, 32), (64, 128), (48, 80), (16, 32, 48)], ids=str)
def test_three_stages_fit_together(tile: tuple[int, ...], fusion: Fusion) -> None:
    preset = replace(THREE_STAGES, encoder=fusion, decoder=fusion)
    generator = Generator(2, tile, preset, context=3)
    shake(generator)
    with torch.no_grad():
        picture = generator(torch.randn(1, 6), none(1), torch.randn(1, 3, *tile))
    assert picture.shape == (1, 2, *tile)
    assert picture.isfinite().all()


@pytest.mark.parametrize(("channels", "context"), [(1, 7), (3, 15), (13, 55), (1, 0)])
@pytest.mark.parametrize("tile", [(32, 32), (64, 96), (16, 16, 16)], ids=str)
def test_a_fresh_generator_draws_zero_so_that_filling_starts_at_the_prior(
    channels: int, context: int, tile: tuple[int, ...]
) -> None:
    generator = Generator(channels, tile, SMALL, context=context)
    seen = torch.randn(2, context, *tile) if context else None
    with torch.no_grad():
        picture = generator(torch.randn(2, generator.latent), none(2), seen)
    assert torch.equal(picture, torch.zeros(2, channels, *tile))


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("part", ["latent", "condition", "context"])
def test_the_picture_depends_on(part: str, tile: tuple[int, ...]) -> None:
    generator = Generator(1, tile, SMALL, [FINDING], context=2)
    shake(generator)
    given = {
        "latent": torch.randn(1, generator.latent),
        "condition": codes({"finding": "none"}, conditions=[FINDING]),
        "context": torch.randn(1, 2, *tile),
    }
    changed = codes({"finding": "effusion"}, conditions=[FINDING])
    other = given | {part: changed if part == "condition" else torch.randn_like(given[part])}
    with torch.no_grad():
        assert not torch.allclose(generator(*given.values()), generator(*other.values()), atol=1e-4)


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("tile", [(32, 64), (16, 16, 16)], ids=str)
def test_a_sample_does_not_depend_on_its_batch(context: int, tile: tuple[int, ...]) -> None:
    generator = Generator(2, tile, SMALL, BOTH, context=context)
    shake(generator)
    asked = codes({}, {"finding": "none"}, {"age": "30"}, {"finding": "effusion", "age": "70"}, {"age": "99"})
    z = torch.randn(5, generator.latent)
    seen = torch.randn(5, context, *tile) if context else None
    with torch.no_grad():
        together = generator(z, asked, seen)
        for k in range(5):
            alone = generator(z[k : k + 1], asked[k : k + 1], None if seen is None else seen[k : k + 1])
            torch.testing.assert_close(alone[0], together[k], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("channels", [1, 3, 13])
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_every_weight_of_the_generator_learns(
    tile: tuple[int, ...], channels: int, fusion: Fusion, context: int
) -> None:
    generator = Generator(channels, tile, replace(SMALL, encoder=fusion, decoder=fusion), BOTH, context=context)
    shake(generator)
    seen = torch.randn(4, context, *tile) if context else None
    asked = codes({}, {"finding": "none"}, {"finding": "effusion", "age": "30"}, {"age": "75"})
    picture = generator(torch.randn(4, generator.latent), asked, seen)
    (picture * torch.randn_like(picture)).sum().backward()
    # Only ``sharpen`` reads small images, and plain patches tell the first stage alone of the context.
    expected = {"low_to_tokens.weight", "low_to_tokens.bias"}
    if context and fusion == "patches":
        expected |= {"context_to_tokens.1.weight", "context_to_tokens.1.bias"}
    assert idle(generator) == expected


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("channels", [1, 3, 13])
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_every_weight_of_the_inference_network_learns(tile: tuple[int, ...], channels: int, fusion: Fusion) -> None:
    inference = Inference(channels, tile, replace(SMALL, encoder=fusion))
    posterior = inference(torch.randn(4, channels, *tile))
    posterior.draw(torch.randn_like(posterior.mean)).square().sum().backward()
    assert idle(inference) == set()


def test_a_posterior_is_a_normal() -> None:
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    posterior = Posterior(mean, log_variance)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(torch.zeros(3, 4), torch.ones(3, 4))
    divergence = torch.distributions.kl_divergence(normal, standard).sum(dim=1)
    torch.testing.assert_close(posterior.divergence(), divergence, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(posterior.draw(torch.ones(3, 4)), normal.mean + normal.stddev)


ASKED = [
    pytest.param({"finding": "effusion"}, id="one condition"),
    pytest.param({"finding": "none", "age": "95"}, id="two"),
    pytest.param({}, id="none"),
]


def guided_one(tile: tuple[int, ...] = (16, 24), context: int = 0) -> Generator:
    """A generator that is nowhere zero, its prior fitted to latents that follow their conditions."""
    generator = Generator(2, tile, SMALL, BOTH, context)
    shake(generator, 0.2)
    rows = codes(*({"finding": name, "age": age} for name in FINDING.classes for age in ("25", "50", "70")))
    means = torch.randn(60, generator.latent) + rows.repeat(10, 1) @ torch.randn(size(BOTH), generator.latent)
    generator.prior.fit(means, torch.rand(60, generator.latent), rows.repeat(10, 1))
    return generator.requires_grad_(False)


@pytest.mark.parametrize("values", ASKED)
@pytest.mark.parametrize(("tile", "context"), [((16, 24), 0), ((16, 24), 3), ((16, 16, 16), 0)])
def test_guidance_of_one_is_as_trained_and_of_zero_is_not_at_all(
    values: dict[str, str], tile: tuple[int, ...], context: int
) -> None:
    generator = guided_one(tile, context)
    noise, asked, free = torch.randn(3, generator.latent), codes(values).expand(3, -1), codes({}).expand(3, -1)
    seen = torch.randn(3, context, *tile) if context else None
    for guidance, followed in ((1.0, asked), (0.0, free)):
        expected = generator(generator.prior(noise, followed), followed, seen)
        torch.testing.assert_close(generator.guided(noise, asked, guidance, seen), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("values", ASKED[:2])
def test_latent_and_style_go_on_in_the_direction_of_their_conditions(
    values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = guided_one()
    noise, asked = torch.randn(3, generator.latent), codes(values).expand(3, -1)
    monkeypatch.setattr(generator, "draw", lambda z, style, context: (z, style))
    (z, style), (free_z, free_style) = (generator.guided(noise, asked, guidance) for guidance in (1.0, 0.0))
    assert (style - free_style).norm(dim=1).min() > 1e-3
    for guidance in (0.5, 2.0, 3.5):
        further_z, _ = generator.guided(noise, asked, guidance)
        torch.testing.assert_close(further_z - free_z, guidance * (z - free_z), atol=1e-4, rtol=1e-3)
    # Where the latent follows no condition, the style alone does, and by as much.
    generator.prior.shifts.zero_()
    generator.prior.factors.copy_(generator.prior.factors[:1].clone())
    (_, style), (_, free_style) = (generator.guided(noise, asked, guidance) for guidance in (1.0, 0.0))
    for guidance in (0.5, 2.0, 3.5):
        _, further = generator.guided(noise, asked, guidance)
        torch.testing.assert_close(further - free_style, guidance * (style - free_style), atol=1e-4, rtol=1e-3)


def test_without_conditions_guidance_changes_nothing() -> None:
    generator = guided_one()
    noise, free = torch.randn(3, generator.latent), codes({}).expand(3, -1)
    pictures = [generator.guided(noise, free, guidance) for guidance in (0.0, 1.0, 4.0)]
    for picture in pictures:
        torch.testing.assert_close(picture, pictures[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(
    ("preset", "tile", "side"),
    [
        (SMALL, (16, 24), 2),
        (SMALL, (16, 16, 16), 2),
        (SMALL, (64, 64), 2),
        (THREE_STAGES, (32, 48), 2),
    ],
)
def test_a_fresh_generator_sharpens_by_repeating_the_means_of_blocks(
    preset: Preset, tile: tuple[int, ...], side: int, fusion: Fusion
) -> None:
    generator = Generator(3, tile, replace(preset, decoder=fusion))
    images = torch.randn(2, 3, *tile)
    blocks = images
    for axis in range(2, images.ndim):
        blocks = blocks.unflatten(axis, (-1, side)).mean(dim=axis + 1).repeat_interleave(side, dim=axis)
    torch.testing.assert_close(generator.sharpen(images), blocks)


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_sharpening_teaches_the_last_stage_and_what_reads_small_images(tile: tuple[int, ...]) -> None:
    generator = Generator(2, tile, SMALL)
    shake(generator)
    generator.sharpen(torch.randn(2, 2, *tile)).square().sum().backward()
    learn = {name for name, _ in generator.named_parameters()} - idle(generator)
    assert {name.split(".")[0] for name in learn} == {"low_to_tokens", "map_latent", "map_style", "stages", "to_image"}
    assert not any(name.startswith(("stages.0", "to_image.0")) for name in learn)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("tile", [(32, 64), (48, 96), (64, 128), (128, 256), (32, 32, 32), (32, 128, 64)])
@pytest.mark.parametrize("closely", [False, True])
def test_splits_halve_after_the_first_and_merges_double_each_time_or_come_down_to_pixels(
    preset: str, tile: tuple[int, ...], closely: bool
) -> None:
    asked = replace(PRESETS[preset], closely=closely)
    chain = steps(tile, asked)
    assert [step.stride for step in chain] == [4] + [2] * (len(chain) - 1)
    assert len(chain) == len(asked.stages)
    back = merges(tile, asked)
    assert [step.stride for step in back] == [2] * (len(back) - 1) + [4 if closely else 2]
    assert prod(step.stride for step in back) == prod(step.stride for step in chain)
    assert len(back) == len(asked.drawing)


@pytest.mark.parametrize("tile", [(32, 32), (16, 24), (16, 16, 16)])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_generator_that_looks_closely_starts_at_zero_and_reads_every_pixel(
    tile: tuple[int, ...], fusion: Fusion
) -> None:
    preset = replace(SMALL, closely=True, pixels=Stage(6, 2), encoder=fusion, decoder=fusion)
    generator = Generator(2, tile, preset, context=5)
    noise, told = torch.randn(1, generator.latent), torch.randn(1, 5, *tile, requires_grad=True)
    assert not generator(noise, none(1), told).any()
    shake(generator)
    centre = tuple(side // 2 for side in tile)
    generator(noise, none(1), told)[(0, 0, *centre)].backward()
    assert told.grad is not None
    # No neighbour is lost to a coarser grid.
    assert told.grad[(0, 0, *centre)] != told.grad[(0, 0, *(c + 1 for c in centre))]
    assert told.grad[0, :, *(slice(c - 1, c + 2) for c in centre)].all()


@pytest.mark.parametrize(
    ("tile", "said"),
    [
        ((30, 32), "30x32 is not a multiple of 8 pixels"),
        ((64, 65), "64x65 is not a multiple of 8 pixels"),
        ((68, 64), "68x64 is not a multiple of 8 pixels"),
        ((33, 33), "33x33 is not a multiple of 8 pixels"),
        ((12, 16, 16), "12x16x16 is not a multiple of 8 pixels"),
    ],
)
@pytest.mark.parametrize("network", [Generator, Inference])
def test_tiles_that_do_not_divide_are_refused_with_the_stride(network, tile: tuple[int, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        network(1, tile, PRESETS["tiny"])
