"""Conditions: values to codes and back through a record, codes to a sum of embeddings, and how they are dropped."""

import json

import pytest
import torch

from augmentor.t2t import conditioning
from augmentor.t2t.conditioning import (
    HARMONICS,
    ClassCondition,
    Condition,
    Conditioner,
    CycleCondition,
    Fourier,
    LanguageCondition,
    NumberCondition,
    TextCondition,
    as_record,
    drop,
    encode,
    from_record,
    parts,
    size,
)

FINDING = ClassCondition("finding", ("none", "effusion"))
VIEW = ClassCondition("view", ("ap", "pa", "lateral"))
AGE = NumberCondition("age", 20.0, 80.0)
MONTH = CycleCondition("month", 12.0)
SAID = TextCondition("said", 6)
REPORT = LanguageCondition("report", "a folder", 5)

KINDS = [FINDING, VIEW, AGE, MONTH, SAID, REPORT]
VALUES = {"finding": "none", "view": "lateral", "age": "65", "month": "3", "said": "héllo", "report": "no effusion"}


def name(condition: Condition) -> str:
    return condition.name


@pytest.fixture(autouse=True)
def _language(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language model that needs no files; the real one is tested in test_text.py."""
    monkeypatch.setattr(conditioning, "encode_with", lambda folder, text: [len(text) / 7 + k for k in range(5)])


def codes(batch: int, conditions: list[Condition] = KINDS) -> torch.Tensor:
    return encode(conditions, VALUES).repeat(batch, 1)


@pytest.mark.parametrize(
    ("condition", "value", "code"),
    [
        (FINDING, "effusion", [1, 0, 1]),
        (VIEW, "ap", [1, 1, 0, 0]),
        (AGE, "20", [1, -1]),
        (AGE, "80.0", [1, 1]),
        (AGE, " 50 ", [1, 0]),
        (AGE, "110", [1, 2]),
        (NumberCondition("dose", 3.0, 3.0), "3", [1, -1]),
        (MONTH, "0", [1, 0, 1, 0, 1]),
        (MONTH, "3", [1, 1, 0, 0, -1]),
        (MONTH, "6", [1, 0, -1, 0, 1]),
        (SAID, "", [1, 0, 0, 0, 0, 0, 0]),
        (SAID, "ab", [1, 98, 99, 0, 0, 0, 0]),
        (SAID, "\x00ÿ and more", [1, 1, 196, 192, 33, 98, 111]),
        (REPORT, "seven l", [1, 1, 2, 3, 4, 5]),
    ],
)
def test_a_value_becomes_its_code(condition: Condition, value: str, code: list[float]) -> None:
    found = encode([condition], {condition.name: value})
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(code, dtype=torch.float32), atol=1e-6, rtol=0)


@pytest.mark.parametrize("condition", KINDS, ids=name)
def test_a_code_has_its_size_says_that_it_is_known_and_is_zero_when_it_is_not(condition: Condition) -> None:
    assert len(condition.encode(VALUES[condition.name])) == condition.size == size([condition])
    assert condition.encode(VALUES[condition.name])[0] == 1
    assert condition.encode(None) == [0.0] * condition.size
    assert encode([condition], {"other": "1"}).tolist() == [0.0] * condition.size


@pytest.mark.parametrize(
    ("condition", "value", "said"),
    [
        (FINDING, "None", "finding has no value 'None'"),
        (FINDING, "", "finding has no value ''"),
        (AGE, "old", "age is a number, and 'old' is none"),
        (AGE, "", "age is a number, and '' is none"),
        (AGE, "nan", "age is a number, and 'nan' is none"),
        (AGE, "-inf", "age is a number, and '-inf' is none"),
        (MONTH, "May", "month is a number, and 'May' is none"),
        (MONTH, "inf", "month is a number, and 'inf' is none"),
    ],
)
def test_a_value_that_is_none_of_a_conditions_is_refused_by_name(condition: Condition, value: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        condition.encode(value)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("period", [12.0, 365.25, 0.5])
@pytest.mark.parametrize("value", [0.0, 0.3, 5.0, -7.5])
def test_a_cycle_comes_round_again_and_not_before(period: float, value: float) -> None:
    cycle = CycleCondition("when", period)
    assert cycle.size == 1 + 2 * HARMONICS
    once, again, half = (torch.tensor(cycle.encode(str(value + turn * period))) for turn in (0, 1, 0.5))
    torch.testing.assert_close(once, again, atol=1e-5, rtol=0)
    assert (once - half).abs().max() > 0.5


@pytest.mark.parametrize(
    ("condition", "first", "second", "at", "passed"),
    [
        (AGE, "20", "60", 0.25, "30"),
        (AGE, "20", "60", 1.5, "80"),
        (MONTH, "1", "5", 0.5, "3"),
        (MONTH, "11", "2", 1 / 3, "12"),
        (MONTH, "2", "11", 1 / 3, "1"),
        (MONTH, "1", "2", 3.0, "4"),
        (SAID, "clear", "opaque", 0.49, "clear"),
        (SAID, "clear", "opaque", 6.0, "opaque"),
    ],
)
def test_what_lies_between_two_values_is_a_value(
    condition: Condition, first: str, second: str, at: float, passed: str
) -> None:
    ends = (encode([condition], {condition.name: value})[None] for value in (first, second))
    found = condition.between(*ends, at)
    torch.testing.assert_close(found[0], encode([condition], {condition.name: passed}), atol=1e-5, rtol=0)


@pytest.mark.parametrize("condition", KINDS, ids=name)
def test_between_a_value_and_itself_or_nothing_known(condition: Condition) -> None:
    known, unknown = encode([condition], VALUES)[None], torch.zeros(1, condition.size)
    for at in (0.0, 0.3, 1.0):
        torch.testing.assert_close(condition.between(known, known, at), known, atol=1e-5, rtol=0)
        assert torch.equal(condition.between(unknown, unknown, at), unknown)
    assert torch.equal(condition.between(known, unknown, 0.0), known)
    assert torch.equal(condition.between(known, unknown, 1.0), unknown)
    Conditioner([condition], 8)(condition.between(known, unknown, 0.4))


@pytest.mark.parametrize("condition", KINDS, ids=name)
def test_a_condition_goes_through_a_record_of_plain_values(condition: Condition) -> None:
    again = from_record(json.loads(json.dumps(as_record(condition))))
    assert again == condition
    assert type(again) is type(condition)


def test_codes_lie_side_by_side_in_declared_order() -> None:
    found = codes(3)
    assert found.shape == (3, size(KINDS))
    for condition, part in zip(KINDS, parts(KINDS, found), strict=True):
        torch.testing.assert_close(part[0], torch.tensor(condition.encode(VALUES[condition.name])))


@pytest.mark.parametrize("condition", KINDS, ids=name)
def test_an_unknown_value_adds_nothing_and_a_known_one_something(condition: Condition) -> None:
    conditioner = Conditioner([condition], 6)
    assert torch.equal(conditioner(torch.zeros(2, condition.size)), torch.zeros(2, 6))
    made = conditioner(codes(2, [condition]))
    assert made.shape == (2, 6)
    assert made.abs().min() > 0


def test_embeddings_add_up() -> None:
    conditioner = Conditioner(KINDS, 6)
    total = torch.zeros(2, 6)
    for code, embedder in zip(parts(KINDS, codes(2)), conditioner.embedders, strict=True):
        total = total + embedder(code[:, 1:])
    torch.testing.assert_close(conditioner(codes(2)), total)


@pytest.mark.parametrize("condition", KINDS, ids=name)
def test_every_weight_of_an_embedding_learns(condition: Condition) -> None:
    conditioner = Conditioner([condition], 6)
    values = {"finding": FINDING.classes, "view": VIEW.classes, "age": ("30", "70"), "month": ("1", "5")}
    told = values.get(condition.name, ("ab", "a longer one"))
    rows = torch.stack([encode([condition], {condition.name: value}) for value in told])
    conditioner(rows).square().sum().backward()
    assert [n for n, p in conditioner.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_without_conditions_nothing_is_added() -> None:
    assert torch.equal(Conditioner([], 6)(torch.zeros(3, 0)), torch.zeros(3, 6))


def test_fourier_features_are_the_value_and_its_octaves() -> None:
    x = torch.linspace(-1, 1, 9)[:, None]
    expected = [x] + [f(x * torch.pi / 2 * 2**octave) for f in (torch.sin, torch.cos) for octave in range(4)]
    assert Fourier()(x).shape == (9, Fourier.SIZE)
    torch.testing.assert_close(Fourier()(x), torch.cat(expected, dim=1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0, 0), (0.1, 0.08, 0.12), (0.5, 0.47, 0.53), (1.0, 1, 1)])
def test_values_are_dropped_whole_at_the_rate_and_independently(rate: float, low: float, high: float) -> None:
    before = codes(4_000)
    after = drop(KINDS, before, rate, torch.Generator().manual_seed(0))
    lost = []
    for old, new in zip(parts(KINDS, before), parts(KINDS, after), strict=True):
        gone = (new == 0).all(dim=1)
        assert torch.equal(new[~gone], old[~gone])
        lost.append(gone)
    together = torch.stack(lost, dim=1)
    assert ((low <= together.float().mean(dim=0)) & (together.float().mean(dim=0) <= high)).all()
    assert low**2 * 0.8 <= together[:, :2].all(dim=1).float().mean() <= high**2 * 1.2


def test_dropping_follows_its_generator() -> None:
    first, again, other = (drop(KINDS, codes(50), 0.5, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_conditions_nothing_is_dropped() -> None:
    assert drop([], torch.zeros(3, 0), 0.5, torch.Generator()).shape == (3, 0)
