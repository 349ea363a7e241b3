"""The generator draws any shape from zero on; the same table holds for the inference network."""

import pytest
import torch
from torch import nn

from augmentor.t2t.conditioning import ClassCondition
from augmentor.t2t.generator import Generator
from augmentor.t2t.inference import Inference, Posterior
from augmentor.t2t.presets import PRESETS, Preset, Stage, steps

FINDING = ClassCondition("finding", ("none", "effusion"))
VIEW = ClassCondition("view", ("ap", "pa", "lateral"))

TINY = [(c, (32, 32)) for c in range(1, 14)] + [
    (1, (64, 64)),
    (3, (128, 128)),
    (2, (32, 64)),
    (1, (128, 64)),
    (13, (36, 40)),
    (4, (64, 96)),
]
CASES = [("tiny", c, t) for c, t in TINY] + [("small", 1, (32, 32)), ("small", 3, (64, 96)), ("small", 1, (128, 128))]
THREE_STAGES = Preset((Stage(16, 1), Stage(8, 1), Stage(8, 1, attend=False)), 8, Stage(16, 1), heads=2, latent=6)


def shake(network: nn.Module, spread: float = 0.05) -> None:
    """Move every parameter away from its start, so that nothing is switched off."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(spread * torch.randn_like(parameter))


@pytest.mark.parametrize(("preset", "channels", "tile"), CASES)
def test_the_picture_has_the_shape_of_the_tile(preset: str, channels: int, tile: tuple[int, int]) -> None:
    generator = Generator(channels, tile, PRESETS[preset], [FINDING])
    shake(generator)
    with torch.no_grad():
        picture = generator(torch.randn(2, generator.latent), torch.tensor([[0], [2]]))
    assert picture.shape == (2, channels, *tile)
    assert picture.isfinite().all()
    assert picture[0].std() > 0


@pytest.mark.parametrize(("preset", "channels", "tile"), CASES)
def test_inference_reads_what_the_generator_draws(preset: str, channels: int, tile: tuple[int, int]) -> None:
    with torch.no_grad():
        posterior = Inference(channels, tile, PRESETS[preset])(torch.randn(2, channels, *tile))
    assert posterior.mean.shape == posterior.log_variance.shape == (2, PRESETS[preset].latent)
    assert posterior.mean.isfinite().all()
    assert posterior.log_variance.isfinite().all()


@pytest.mark.parametrize("tile", [(32, 32), (64, 64), (64, 128), (40, 56)])
def test_three_stages_fit_together(tile: tuple[int, int]) -> None:
    generator = Generator(2, tile, THREE_STAGES, context=3)
    with torch.no_grad():
        picture = generator(torch.randn(1, 6), torch.zeros(1, 0, dtype=torch.long), torch.randn(1, 3, *tile))
    assert picture.shape == (1, 2, *tile)


@pytest.mark.parametrize(("channels", "context"), [(1, 7), (3, 15), (13, 55), (1, 0)])
@pytest.mark.parametrize("tile", [(32, 32), (64, 96)])
def test_a_fresh_generator_draws_zero_so_that_filling_starts_at_the_prior(
    channels: int, context: int, tile: tuple[int, int]
) -> None:
    generator = Generator(channels, tile, PRESETS["tiny"], context=context)
    seen = torch.randn(2, context, *tile) if context else None
    with torch.no_grad():
        picture = generator(torch.randn(2, generator.latent), torch.zeros(2, 0, dtype=torch.long), seen)
    assert torch.equal(picture, torch.zeros(2, channels, *tile))


@pytest.mark.parametrize("part", ["latent", "condition", "context"])
def test_the_picture_depends_on(part: str) -> None:
    generator = Generator(1, (32, 32), PRESETS["tiny"], [FINDING], context=2)
    shake(generator)
    given = {
        "latent": torch.randn(1, generator.latent),
        "condition": torch.tensor([[1]]),
        "context": torch.randn(1, 2, 32, 32),
    }
    other = given | {part: torch.tensor([[2]]) if part == "condition" else torch.randn_like(given[part])}
    with torch.no_grad():
        assert not torch.allclose(generator(*given.values()), generator(*other.values()), atol=1e-4)


@pytest.mark.parametrize("context", [0, 3])
def test_a_sample_does_not_depend_on_its_batch(context: int) -> None:
    generator = Generator(2, (32, 64), PRESETS["tiny"], [FINDING, VIEW], context=context)
    shake(generator)
    z, which = torch.randn(5, generator.latent), torch.randint(0, 3, (5, 2))
    seen = torch.randn(5, context, 32, 64) if context else None
    with torch.no_grad():
        together = generator(z, which, seen)
        for k in range(5):
            alone = generator(z[k : k + 1], which[k : k + 1], None if seen is None else seen[k : k + 1])
            torch.testing.assert_close(alone[0], together[k], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("context", [0, 3])
def test_every_weight_of_the_generator_learns(context: int) -> None:
    generator = Generator(1, (32, 32), PRESETS["tiny"], [FINDING], context=context)
    shake(generator)
    seen = torch.randn(4, context, 32, 32) if context else None
    picture = generator(torch.randn(4, generator.latent), torch.tensor([[0], [1], [2], [1]]), seen)
    (picture * torch.randn_like(picture)).sum().backward()
    idle = [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_every_weight_of_the_inference_network_learns() -> None:
    inference = Inference(2, (32, 32), PRESETS["tiny"])
    posterior = inference(torch.randn(4, 2, 32, 32))
    posterior.draw(torch.randn_like(posterior.mean)).square().sum().backward()
    idle = [name for name, p in inference.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_a_posterior_is_a_normal() -> None:
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    posterior = Posterior(mean, log_variance)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(torch.zeros(3, 4), torch.ones(3, 4))
    divergence = torch.distributions.kl_divergence(normal, standard).sum(dim=1)
    torch.testing.assert_close(posterior.divergence(), divergence, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(posterior.draw(torch.ones(3, 4)), normal.mean + normal.stddev)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("side", "first"), [(32, 2), (48, 2), (64, 4), (128, 4)])
def test_splits_halve_after_the_first(preset: str, side: int, first: int) -> None:
    stages = len(PRESETS[preset].stages)
    chain = steps((side, 2 * side), stages)
    assert [step.stride for step in chain] == [first] + [2] * (stages - 1)


@pytest.mark.parametrize("tile", [(30, 32), (64, 65), (68, 64), (33, 33)])
def test_tiles_that_do_not_divide_are_refused_with_the_stride(tile: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"is not a multiple of (4|8) pixels"):
        Generator(1, tile, PRESETS["tiny"])
