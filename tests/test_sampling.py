"""Sample k of a seed is the same however many are drawn, and is what it was asked to be."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations, islice

import numpy as np
import pytest
import torch

from augmentor.errors import WrongCondition
from augmentor.recipe import Model
from augmentor.run import Facts
from augmentor.sampling import BLOCK, Maps, Sample, check_conditions, samples, to_physical
from augmentor.scaling import Scaling
from augmentor.t2t.conditioning import ClassCondition, CycleCondition, NumberCondition, TextCondition, encode
from augmentor.t2t.generator import Generator
from augmentor.t2t.presets import Preset, Stage
from data_adapters import Channel, Template

PRESET = Preset(
    (Stage(16, 1), Stage(8, 1, attend=False)), 8, Stage(16, 1), heads=2, latent=6, latent_per_token=2, style=8
)
CONDITIONS = (
    ClassCondition("finding", ("none", "effusion")),
    NumberCondition("age", 20.0, 80.0),
    CycleCondition("month", 12.0),
    TextCondition("said", 8),
)
COMBINATIONS = (({"finding": "none", "age": "40"}, 3), ({"finding": "effusion", "month": "5"}, 1), ({}, 1))
LABELS = (0, 3, 7)
PLANE, VOLUME = (8, 16), (8, 8, 16)


def facts(tile: tuple[int, ...] = PLANE, labels: tuple[int, ...] = (), *, given: bool = False) -> Facts:
    return Facts(
        channels=2,
        context=0,
        tile=tile,
        model=Model().model_dump(),
        conditions=CONDITIONS,
        combinations=COMBINATIONS,
        scaling=Scaling((-1000.0, 0.0), (1000.0, 1.0)),
        template=Template("png", "image", "", (Channel("a"), Channel("b")), "uint8", 0, 255),
        labels=labels,
        given=given,
    )


CASES = {
    "plane": facts(),
    "volume": facts(VOLUME),
    "unconditioned": replace(facts(), conditions=(), combinations=(({}, 5),)),
    "labels made along": facts(labels=LABELS),
    "volume with labels made along": facts(VOLUME, LABELS),
    "images for label maps": facts(labels=LABELS, given=True),
    "volumes for label maps": facts(VOLUME, LABELS, given=True),
}


def generator(known: Facts) -> Generator:
    """Trained a little, as it were: nowhere zero, and its prior fitted."""
    torch.manual_seed(0)
    made = Generator(known.made, known.tile, PRESET, known.conditions, known.read)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    codes = torch.stack([encode(known.conditions, values) for values, _ in known.combinations]).repeat(20, 1)
    made.prior.fit(torch.randn(len(codes), made.latent), torch.ones(len(codes), made.latent), codes)
    return made.eval().requires_grad_(False)


def maps_for(known: Facts, count: int = 3) -> Maps:
    random = np.random.default_rng(0)
    return [random.choice(np.array(LABELS, np.int32), known.tile) for _ in range(count)] if known.given else ()


def draw(name: str, first: int, end: int, seed: int = 0, guidance: float = 1.0, **asked: str) -> list[Sample]:
    known = CASES[name]
    return list(
        islice(
            samples(generator(known), known, first, seed, asked, guidance=guidance, maps=maps_for(known)), end - first
        )
    )


def same(a: Sample, b: Sample) -> bool:
    alike = np.array_equal(a.pixels, b.pixels) and (a.labels is None) == (b.labels is None)
    if a.labels is not None and b.labels is not None:
        alike = alike and np.array_equal(a.labels, b.labels)
    return alike and (a.conditions, a.seed, a.index) == (b.conditions, b.seed, b.index)


@pytest.mark.parametrize("name", CASES)
def test_a_sample_is_the_same_however_many_are_drawn(name: str) -> None:
    whole = draw(name, 0, BLOCK + 3)
    assert [sample.index for sample in whole] == list(range(BLOCK + 3))
    for first, end in ((0, 1), (5, 9), (BLOCK - 1, BLOCK + 2), (BLOCK + 2, BLOCK + 3), (4, 4)):
        part = draw(name, first, end)
        assert len(part) == end - first
        assert all(same(a, b) for a, b in zip(part, whole[first:end], strict=True))


@pytest.mark.parametrize("name", CASES)
def test_samples_differ_by_index_and_by_seed_and_stay_in_range(name: str) -> None:
    known = CASES[name]
    drawn = [*draw(name, 0, 3), *draw(name, 0, 3, seed=1)]
    assert not any(np.allclose(one.pixels, other.pixels, rtol=1e-3) for one, other in combinations(drawn, 2))
    for sample in drawn:
        assert sample.pixels.shape == (2, *known.tile)
        for channel, low, high in zip(sample.pixels, known.scaling.low, known.scaling.high, strict=True):
            assert low <= channel.min() < channel.max() <= high


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].labels])
def test_labels_are_those_given_in_turn_or_made_along(name: str) -> None:
    known = CASES[name]
    maps = maps_for(known)
    for sample in draw(name, 0, 8):
        assert sample.labels is not None
        assert sample.labels.shape == known.tile
        assert {*np.unique(sample.labels)} <= {*LABELS}
        if known.given:
            np.testing.assert_array_equal(sample.labels, maps[sample.index % len(maps)])


def test_a_label_map_shows_in_the_image() -> None:
    known = CASES["images for label maps"]
    network = generator(known)
    one, other = (next(samples(network, known, 0, 0, {}, maps=[np.full(PLANE, label, np.int32)])) for label in (0, 3))
    assert not np.allclose(one.pixels, other.pixels, atol=1e-3)


def test_without_labels_there_are_none() -> None:
    assert all(sample.labels is None for sample in draw("plane", 0, 3))


def test_conditions_come_as_often_as_in_training_unless_asked_for() -> None:
    found = Counter(sample.conditions.get("finding", "") for sample in draw("plane", 0, 400))
    assert found["none"] / 400 == pytest.approx(0.6, abs=0.08)
    assert found["effusion"] / 400 == pytest.approx(0.2, abs=0.08)
    asked = draw("plane", 0, 30, finding="effusion", said="left")
    assert {(s.conditions["finding"], s.conditions["said"]) for s in asked} == {("effusion", "left")}
    assert {s.conditions.get("month") for s in asked} == {"5", None}


@pytest.mark.parametrize("name", ["plane", "volume", "images for label maps"])
def test_guidance_changes_samples_that_have_conditions_and_no_others(name: str) -> None:
    plain, guided = draw(name, 0, 12), draw(name, 0, 12, guidance=3.0)
    assert {bool(sample.conditions) for sample in plain} == {True, False}
    for a, b in zip(plain, guided, strict=True):
        assert a.conditions == b.conditions
        assert np.allclose(a.pixels, b.pixels, atol=1e-3) == (not a.conditions)


@pytest.mark.parametrize("tile", [PLANE, VOLUME], ids=str)
def test_what_was_made_becomes_physical_within_its_limits(tile: tuple[int, ...]) -> None:
    made = np.full((2, 5, *tile), -3.0, np.float32)
    made[:, 1], made[1, 3] = 0.5, 2.0
    pixels, labels = to_physical(made, facts(tile, LABELS))
    assert (pixels[:, 0] == -1000).all()
    np.testing.assert_allclose(pixels[:, 1], 0.75)
    assert labels is not None
    assert (labels[0] == 0).all()
    assert (labels[1] == 3).all()


ALLOWED = [{}, {"finding": "none"}, {"age": "200", "month": "1.5"}, {"said": ""}, {"said": "anything at all"}]


@pytest.mark.parametrize("asked", ALLOWED, ids=str)
def test_values_that_a_run_knows_are_taken_as_they_are(asked: dict[str, str]) -> None:
    assert check_conditions(facts(), asked) == asked


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"view": "ap"}, "unknown condition 'view'; this run's conditions: finding, age, month, said"),
        ({"finding": "Effusion"}, "finding has no value 'Effusion'; values of finding: none, effusion"),
        ({"finding": ""}, "finding has no value ''; values of finding: none, effusion"),
        ({"age": "old"}, "age is a number, and 'old' is none; mend the value"),
        ({"age": "nan"}, "age is a number, and 'nan' is none"),
        ({"said": "fine", "month": "May"}, "month is a number, and 'May' is none; mend the value"),
    ],
)
def test_what_a_run_does_not_know_is_refused_with_what_it_knows(asked: dict[str, str], said: str) -> None:
    with pytest.raises(WrongCondition) as caught:
        check_conditions(facts(), asked)
    assert str(caught.value).startswith(said)


def test_a_run_without_conditions_says_so() -> None:
    with pytest.raises(WrongCondition, match="this run's conditions: none"):
        check_conditions(CASES["unconditioned"], {"finding": "none"})


@pytest.mark.parametrize("name", CASES)
def test_facts_go_through_their_record(name: str) -> None:
    known = CASES[name]
    assert Facts.from_dict(json.loads(json.dumps(known.as_dict()))) == known


@pytest.mark.parametrize(
    ("labels", "given", "made", "read"), [((), False, 2, 0), (LABELS, False, 5, 0), (LABELS, True, 2, 3)]
)
def test_labels_are_channels_that_are_made_or_read(labels: tuple[int, ...], given: bool, made: int, read: int) -> None:
    known = facts(labels=labels, given=given)
    assert (known.made, known.read) == (made, read)
