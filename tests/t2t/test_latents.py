"""The latent prior is the standard normal until fitted, and then the normal that it was fitted to."""

import pytest
import torch

from augmentor.t2t.conditioning import UNKNOWN, ClassCondition
from augmentor.t2t.latents import SHRINKAGE, LatentPrior

FINDING = ClassCondition("finding", ("none", "effusion"))
VIEW = ClassCondition("view", ("ap", "pa", "lateral"))


@pytest.mark.parametrize("conditions", [[], [FINDING], [FINDING, VIEW]], ids=len)
def test_an_unfitted_prior_gives_noise_back(conditions: list[ClassCondition]) -> None:
    prior = LatentPrior(5, conditions)
    noise = torch.randn(4, 5)
    assert torch.equal(prior(noise, torch.ones(4, len(conditions), dtype=torch.long)), noise)


def test_fitting_recovers_centre_shifts_and_covariance() -> None:
    count, latent = 40_000, 4
    mixing = torch.tensor([[1.0, 0, 0, 0], [0.8, 0.5, 0, 0], [0, -0.3, 0.7, 0], [0.2, 0, 0.4, 0.3]])
    centre = torch.tensor([1.0, -2, 0.5, 0])
    of_finding, of_view = torch.randn(2, latent), torch.randn(3, latent)
    conditions = torch.stack([torch.randint(1, 3, (count,)), torch.randint(1, 4, (count,))], dim=1)
    expected = centre + of_finding[conditions[:, 0] - 1] + of_view[conditions[:, 1] - 1]
    means = expected + torch.randn(count, latent) @ mixing.T
    variances = torch.tensor([0.1, 0.2, 0.3, 0.4]).expand(count, latent)
    prior = LatentPrior(latent, [FINDING, VIEW])
    prior.fit(means, variances, conditions)

    for finding in (1, 2):
        for view in (1, 2, 3):
            made = prior(torch.zeros(1, latent), torch.tensor([[finding, view]]))[0]
            wanted = centre + of_finding[finding - 1] + of_view[view - 1]
            torch.testing.assert_close(made, wanted, atol=0.05, rtol=0)
    covariance = mixing @ mixing.T
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * torch.diag(covariance.diagonal()) + torch.diag(variances[0])
    torch.testing.assert_close(prior.factor @ prior.factor.T, shrunk, atol=0.05, rtol=0)
    drawn = prior(torch.randn(count, latent), torch.full((count, 2), 1))
    torch.testing.assert_close(torch.cov(drawn.T), shrunk, atol=0.06, rtol=0)


def test_without_a_condition_the_prior_is_centred_on_all_tiles() -> None:
    conditions = torch.tensor([[1], [2]]).repeat(500, 1)
    means = torch.randn(1000, 3) + conditions * torch.tensor([2.0, 0, -1])
    prior = LatentPrior(3, [FINDING])
    prior.fit(means, torch.zeros(1000, 3), conditions)
    torch.testing.assert_close(prior(torch.zeros(1, 3), torch.tensor([[UNKNOWN]]))[0], means.mean(dim=0))
    apart = prior(torch.zeros(2, 3), torch.tensor([[1], [2]]))
    torch.testing.assert_close(apart[1] - apart[0], torch.tensor([2.0, 0, -1]), atol=0.2, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_tiles_than_latents_still_fit(count: int) -> None:
    prior = LatentPrior(16, [FINDING])
    prior.fit(torch.randn(count, 16), torch.zeros(count, 16), torch.ones(count, 1, dtype=torch.long))
    drawn = prior(torch.randn(50, 16), torch.ones(50, 1, dtype=torch.long))
    assert drawn.isfinite().all()


def test_the_fit_travels_with_the_state() -> None:
    prior, other = LatentPrior(3, [FINDING]), LatentPrior(3, [FINDING])
    prior.fit(torch.randn(50, 3), torch.rand(50, 3), torch.randint(0, 3, (50, 1)))
    other.load_state_dict(prior.state_dict())
    noise, which = torch.randn(6, 3), torch.tensor([[0], [1], [2]]).repeat(2, 1)
    assert torch.equal(prior(noise, which), other(noise, which))
    assert not torch.allclose(prior(noise, which), noise)


def test_fitting_stays_on_the_device_of_the_tiles() -> None:
    """The meta device refuses to be mixed with another, as a GPU does."""
    prior = LatentPrior(4, [FINDING]).to("meta")
    posteriors = torch.empty(8, 4, device="meta")
    prior.fit(posteriors, posteriors, torch.ones(8, 1, dtype=torch.long, device="meta"))
    assert prior.factor.device.type == "meta"
