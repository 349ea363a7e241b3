"""Conditions: names to indices, indices to a sum of embeddings, and how they are dropped."""

import pytest
import torch

from augmentor.t2t.conditioning import UNKNOWN, ClassCondition, Conditioner, drop, encode

FINDING = ClassCondition("finding", ("none", "effusion"))
VIEW = ClassCondition("view", ("ap", "pa", "lateral"))


@pytest.mark.parametrize(
    ("values", "indices"),
    [
        ({"finding": "none", "view": "ap"}, [1, 1]),
        ({"finding": "effusion", "view": "lateral"}, [2, 3]),
        ({"view": "pa"}, [UNKNOWN, 2]),
        ({}, [UNKNOWN, UNKNOWN]),
        ({"finding": "none", "view": "ap", "age": "40"}, [1, 1]),
    ],
)
def test_values_become_indices_in_declared_order(values: dict[str, str], indices: list[int]) -> None:
    found = encode([FINDING, VIEW], values)
    assert found.dtype == torch.int64
    assert found.tolist() == indices


@pytest.mark.parametrize("value", ["None", "pneumonia", ""])
def test_an_undeclared_value_is_no_class(value: str) -> None:
    with pytest.raises(KeyError):
        FINDING.encode(value)


def test_embeddings_add_up() -> None:
    both = Conditioner([FINDING, VIEW], 6)
    made = both(torch.tensor([[2, 3], [0, 1]]))
    torch.testing.assert_close(made[0], both.tables[0].weight[2] + both.tables[1].weight[3])
    torch.testing.assert_close(made[1], both.tables[0].weight[0] + both.tables[1].weight[1])


def test_without_conditions_nothing_is_added() -> None:
    assert torch.equal(Conditioner([], 6)(torch.zeros(3, 0, dtype=torch.long)), torch.zeros(3, 6))


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0, 0), (0.1, 0.08, 0.12), (0.5, 0.47, 0.53), (1.0, 1, 1)])
def test_values_are_dropped_at_the_rate_and_independently(rate: float, low: float, high: float) -> None:
    indices = torch.randint(1, 4, (5_000, 2))
    kept = drop(indices, rate, torch.Generator().manual_seed(0))
    lost = kept == UNKNOWN
    assert low <= lost.float().mean() <= high
    assert torch.equal(kept[~lost], indices[~lost])
    assert low**2 * 0.8 <= lost.all(dim=1).float().mean() <= high**2 * 1.2


def test_dropping_follows_its_generator() -> None:
    indices = torch.ones(100, 2, dtype=torch.long)
    first, again = (drop(indices, 0.5, torch.Generator().manual_seed(3)) for _ in range(2))
    other = drop(indices, 0.5, torch.Generator().manual_seed(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
