"""The latent prior is the standard normal until fitted, and then the normal that it was fitted to."""

import pytest
import torch
from torch import Tensor

from augmentor.t2t.conditioning import (
    ClassCondition,
    Condition,
    CycleCondition,
    NumberCondition,
    TextCondition,
    encode,
    size,
)
from augmentor.t2t.latents import CLASS_SHRINKAGE, LatentPrior

FINDING = ClassCondition("finding", ("none", "effusion"))
VIEW = ClassCondition("view", ("ap", "pa", "lateral"))
AGE = NumberCondition("age", 0.0, 10.0)
MONTH = CycleCondition("month", 12.0)
SAID = TextCondition("said", 12)


def told(condition: Condition, *values: str) -> Tensor:
    """The codes of some values of one condition."""
    return torch.stack([encode([condition], {condition.name: value}) for value in values])


def one_hot(condition: ClassCondition, index: Tensor) -> Tensor:
    return told(condition, *condition.classes)[index]


@pytest.mark.parametrize("conditions", [[], [FINDING], [FINDING, VIEW, AGE, MONTH, SAID]], ids=len)
def test_an_unfitted_prior_gives_noise_back(conditions: list[Condition]) -> None:
    prior = LatentPrior(5, conditions)
    noise = torch.randn(4, 5)
    values = {"finding": "effusion", "view": "pa", "age": "3", "month": "5", "said": "clear"}
    for asked in (values, {}):
        assert torch.equal(prior(noise, encode(conditions, asked).expand(4, -1)), noise)


def test_fitting_recovers_centre_shifts_and_covariance() -> None:
    count, latent = 40_000, 4
    mixing = torch.tensor([[1.0, 0, 0, 0], [0.8, 0.5, 0, 0], [0, -0.3, 0.7, 0], [0.2, 0, 0.4, 0.3]])
    centre = torch.tensor([1.0, -2, 0.5, 0])
    of_finding, of_view = torch.randn(2, latent), torch.randn(3, latent)
    finding, view = torch.randint(0, 2, (count,)), torch.randint(0, 3, (count,))
    codes = torch.cat([one_hot(FINDING, finding), one_hot(VIEW, view)], dim=1)
    means = centre + of_finding[finding] + of_view[view] + torch.randn(count, latent) @ mixing.T
    variances = torch.tensor([0.1, 0.2, 0.3, 0.4]).expand(count, latent)
    prior = LatentPrior(latent, [FINDING, VIEW])
    prior.fit(means, variances, codes)

    for first, finding_name in enumerate(FINDING.classes):
        for second, view_name in enumerate(VIEW.classes):
            asked = encode([FINDING, VIEW], {"finding": finding_name, "view": view_name})[None]
            wanted = centre + of_finding[first] + of_view[second]
            torch.testing.assert_close(prior.mean(asked)[0], wanted, atol=0.05, rtol=0)
            assert torch.equal(prior(torch.zeros(1, latent), asked), prior.mean(asked))
    covariance = mixing @ mixing.T + torch.diag(variances[0])
    drawn = prior(torch.randn(count, latent), codes[:1].expand(count, -1))
    torch.testing.assert_close(torch.cov(drawn.T), covariance, atol=0.06, rtol=0)


SPREADS = torch.tensor([[2.0, 0.1], [0.3, 1.5]])
"""Of two latents, by finding."""

TOLD = [
    pytest.param({"finding": "none"}, SPREADS[0] ** 2, id="one class"),
    pytest.param({"finding": "effusion", "age": "3"}, SPREADS[1] ** 2, id="the other"),
    pytest.param({"age": "3"}, (SPREADS**2).mean(dim=0), id="no class: what the conditions leave unexplained"),
    pytest.param({}, (SPREADS**2).mean(dim=0) + torch.tensor([1.0, 0.0]), id="nothing: all that there is"),
]


@pytest.mark.parametrize(("values", "wanted"), TOLD)
def test_a_class_is_drawn_with_its_own_spread(values: dict[str, str], wanted: Tensor) -> None:
    count, conditions = 40_000, [FINDING, AGE]
    index = torch.arange(2).repeat(count // 2)
    codes = torch.stack([encode(conditions, {"finding": FINDING.classes[i], "age": str(5 * i)}) for i in range(2)])[
        index
    ]
    means = SPREADS[index] * torch.randn(count, 2) + torch.tensor([[-1.0, 0.0], [1.0, 0.0]])[index]
    prior = LatentPrior(2, conditions)
    prior.fit(means, torch.zeros(count, 2), codes)
    asked = encode(conditions, values).expand(count, -1)
    drawn = prior(torch.randn(count, 2), asked)
    torch.testing.assert_close(torch.cov(drawn.T), torch.diag(wanted), atol=0.08, rtol=0)


def test_a_class_of_few_leans_on_the_others() -> None:
    index = torch.cat([torch.zeros(4000), torch.ones(CLASS_SHRINKAGE)]).long()
    means = torch.randn(len(index), 1)
    prior = LatentPrior(1, [FINDING])
    prior.fit(torch.where(index[:, None] > 0, 0.0, means), torch.zeros(len(index), 1), one_hot(FINDING, index))
    drawn = prior(torch.ones(1, 1), told(FINDING, "effusion")) - prior.mean(told(FINDING, "effusion"))
    torch.testing.assert_close(drawn, torch.full((1, 1), 0.5**0.5), atol=0.05, rtol=0)


def test_noise_is_found_again_and_classes_blend() -> None:
    conditions = [FINDING, VIEW, AGE]
    prior = LatentPrior(6, conditions)
    values = [{"finding": f, "view": v, "age": "3"} for f in FINDING.classes for v in VIEW.classes]
    rows = torch.stack([encode(conditions, value) for value in values])
    prior.fit(torch.randn(60, 6) * torch.arange(60)[:, None] / 30, torch.rand(60, 6), rows.repeat(10, 1))
    asked = torch.cat([rows, torch.zeros_like(rows[:1])])
    noise = torch.randn(len(asked), 6)
    torch.testing.assert_close(prior.noise(prior(noise, asked), asked), noise, atol=1e-4, rtol=1e-4)
    halfway = prior(noise[:1], torch.lerp(rows[:1], rows[-1:], 0.5))
    ends = [prior(noise[:1], end) for end in (rows[:1], rows[-1:])]
    torch.testing.assert_close(halfway, sum(ends) / 2, atol=1e-5, rtol=1e-5)


CURVES = [
    pytest.param(AGE, [f"{x:.2f}" for x in torch.linspace(0, 10, 40).tolist()], lambda x: 0.4 * x - 1, id="linear"),
    pytest.param(AGE, [f"{x:.2f}" for x in torch.linspace(0, 10, 40).tolist()], lambda x: (x - 3) ** 2 / 9, id="bent"),
    pytest.param(MONTH, [str(m) for m in range(1, 13)], lambda m: torch.sin(torch.pi * m / 6) + 1, id="season"),
]


@pytest.mark.parametrize(("condition", "values", "curve"), CURVES)
def test_fitting_recovers_how_latents_follow_a_number(condition, values, curve) -> None:  # type: ignore[no-untyped-def]
    codes, trend = told(condition, *values), curve(torch.tensor([float(value) for value in values]))
    means = torch.stack([trend, -2 * trend, torch.zeros_like(trend)], dim=1)
    prior = LatentPrior(3, [condition])
    prior.fit(
        (means + 0.1 * torch.randn(100, *means.shape)).flatten(0, 1),
        torch.zeros(len(values) * 100, 3),
        codes.repeat(100, 1),
    )
    torch.testing.assert_close(prior.mean(codes), means, atol=0.03, rtol=0)
    torch.testing.assert_close(prior.mean(torch.zeros(1, condition.size))[0], means.mean(dim=0), atol=0.01, rtol=0)


def test_texts_that_share_words_share_latents() -> None:
    codes = told(SAID, "effusion", "left lung", "clear")
    means = torch.tensor([[2.0, 0], [0, 2.0], [-2.0, -2.0]])
    prior = LatentPrior(2, [SAID])
    prior.fit(means.repeat(50, 1), torch.zeros(150, 2), codes.repeat(50, 1))
    torch.testing.assert_close(prior.mean(codes), means, atol=0.1, rtol=0)
    unseen = prior.mean(told(SAID, "effusions"))
    assert (unseen - means).norm(dim=1).argmin() == 0


def test_without_a_condition_the_prior_is_centred_on_all_tiles() -> None:
    index = torch.arange(2).repeat(500)
    means = torch.randn(1000, 3) + index[:, None] * torch.tensor([2.0, 0, -1])
    prior = LatentPrior(3, [FINDING])
    prior.fit(means, torch.zeros(1000, 3), one_hot(FINDING, index))
    torch.testing.assert_close(prior.mean(torch.zeros(1, FINDING.size))[0], means.mean(dim=0))
    apart = prior.mean(told(FINDING, *FINDING.classes))
    torch.testing.assert_close(apart[1] - apart[0], torch.tensor([2.0, 0, -1]), atol=0.2, rtol=0)


@pytest.mark.parametrize("known", [1.0, 0.7])
def test_a_condition_that_is_left_out_is_left_out_at_its_mean(known: float) -> None:
    """Conditions of independent values: given one of them, latents lie where those of such tiles do on the mean."""
    random = torch.Generator().manual_seed(0)
    finding = (torch.rand(4000, generator=random) < 0.2).long()
    age = torch.randint(3, 11, (4000,), generator=random)
    month = torch.randint(1, 6, (4000,), generator=random)
    parts = [one_hot(FINDING, finding), told(AGE, *map(str, range(11)))[age], told(MONTH, *map(str, range(13)))[month]]
    codes = [part * (torch.rand(4000, 1, generator=random) < known) for part in parts]
    means = torch.stack([4.0 * finding + age, 0.3 * age.float() ** 2, torch.sin(torch.pi * month / 6) * 5], dim=1)
    prior = LatentPrior(3, [FINDING, AGE, MONTH])
    prior.fit(means, torch.zeros(4000, 3), torch.cat(codes, dim=1))
    given = (
        (FINDING, finding, 0, "none"),
        (FINDING, finding, 1, "effusion"),
        (AGE, age, 8, "8"),
        (MONTH, month, 3, "3"),
    )
    for condition, values, value, name in given:
        asked = encode([FINDING, AGE, MONTH], {condition.name: name})[None]
        torch.testing.assert_close(prior.mean(asked)[0], means[values == value].mean(dim=0), atol=0.5, rtol=0)


@pytest.mark.parametrize("conditions", [[], [FINDING], [FINDING, VIEW, AGE, MONTH, SAID]], ids=len)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_tiles_than_latents_still_fit(count: int, conditions: list[Condition]) -> None:
    prior = LatentPrior(16, conditions)
    codes = torch.ones(1, size(conditions))
    prior.fit(torch.randn(count, 16), torch.zeros(count, 16), codes.expand(count, -1))
    assert prior(torch.randn(50, 16), codes.expand(50, -1)).isfinite().all()


def test_the_fit_travels_with_the_state() -> None:
    prior, other = LatentPrior(3, [FINDING, AGE]), LatentPrior(3, [FINDING, AGE])
    codes = torch.cat([one_hot(FINDING, torch.randint(0, 2, (50,))), told(AGE, *map(str, range(50)))], dim=1)
    prior.fit(torch.randn(50, 3), torch.rand(50, 3), codes)
    other.load_state_dict(prior.state_dict())
    noise = torch.randn(50, 3)
    assert torch.equal(prior(noise, codes), other(noise, codes))
    assert not torch.allclose(prior(noise, codes), noise)


@pytest.mark.parametrize("condition", [FINDING, AGE, MONTH, SAID], ids=lambda c: c.name)
def test_fitting_stays_on_the_device_of_the_tiles(condition: Condition) -> None:
    """The meta device refuses to be mixed with another, as a GPU does."""
    prior = LatentPrior(4, [condition]).to("meta")
    posteriors = torch.empty(8, 4, device="meta")
    prior.fit(posteriors, posteriors, torch.ones(8, condition.size, device="meta"))
    assert prior.factors.device.type == "meta"
