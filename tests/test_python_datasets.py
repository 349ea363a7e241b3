"""Datasets give the very samples that ``synthesize`` writes, whoever draws them, and mix with real images."""

import csv
import pickle
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from monai.data import DataLoader as MonaiLoader
from monai.data import Dataset as MonaiDataset
from monai.transforms import Compose, EnsureTyped, RandFlipd, ScaleIntensityRanged
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader

from augmentor import recipe as recipes
from augmentor import synthesize
from augmentor.errors import NoRun, RunError, UserError, WrongCondition
from augmentor.networks import build_generator, save
from augmentor.onthefly import datasets
from augmentor.onthefly.datasets import Samples, SampleStream
from augmentor.recipe import Model
from augmentor.run import Facts, Run
from augmentor.sampling import BLOCK
from augmentor.scaling import Scaling
from augmentor.t2t.conditioning import ClassCondition, Condition, NumberCondition
from data_adapters import Channel, Template, open_scenes

FINDING = ClassCondition("finding", ("clear", "opacity"))
VIEW = ClassCondition("view", ("ap", "pa"))
LABELS = (0, 1, 2)
HALF = 0.5 + 1e-3
"""Of the step between two stored numbers, in all formats below."""


class Kind(NamedTuple):
    """What a run makes: format, modality, channels, bits, tile, lowest and highest value, and its label maps."""

    format: str
    modality: str
    channels: int
    bits: int
    tile: tuple[int, ...]
    low: float
    high: float
    labels: tuple[int, ...] = ()
    given: bool = False
    conditions: tuple[Condition, ...] = (FINDING,)
    context: int = 0


KINDS = {
    "radiographs": Kind("dicom", "CR", 1, 12, (32, 32), 0, 4095, conditions=(FINDING, NumberCondition("age", 20, 80))),
    "pictures": Kind("png", "", 3, 8, (32, 32), 0, 255),
    "bands": Kind("geotiff", "", 4, 16, (32, 32), 0, 10_000, conditions=()),
    "CT volumes": Kind("dicom", "CT", 1, 16, (8, 32, 32), -1000, 1000),
    "NIfTI volumes": Kind("nifti", "MR", 1, 16, (8, 32, 32), 0, 1500),
    "labels made along": Kind("png", "", 1, 8, (32, 32), 0, 255, LABELS),
    "volumes with labels": Kind("nifti", "CT", 1, 16, (8, 32, 32), -1000, 1000, LABELS),
    "images for label maps": Kind("png", "", 1, 8, (32, 32), 0, 255, LABELS, True),
    "two kinds of class": Kind("png", "", 1, 8, (32, 32), 0, 255, conditions=(FINDING, VIEW)),
    "filling": Kind("dicom", "CT", 1, 16, (32, 32), -1000, 1000, conditions=(), context=2),
}
SYNTHESIZING = [name for name in KINDS if name != "filling"]


def facts(kind: Kind) -> Facts:
    channels = tuple(Channel(f"c{index}") for index in range(kind.channels))
    template = Template(
        kind.format, "image", kind.modality, channels, "uint8" if kind.bits == 8 else "int16", kind.low, kind.high,
        bits=kind.bits, spacing=(1.0, 1.0, 1.0), unit="mm",
    )  # fmt: skip
    values = {"finding": "opacity", "age": "40", "view": "pa"}
    known = {said.name for said in kind.conditions}
    often = ({name: value for name, value in values.items() if name in known}, 3)
    return Facts(
        kind.channels, kind.context, kind.tile, Model().model_dump(), kind.conditions,
        (often, ({"finding": "clear"}, 2), ({}, 1)) if kind.conditions else (({}, 1),),
        Scaling((kind.low,) * kind.channels, (kind.high,) * kind.channels), template, kind.labels, kind.given,
    )  # fmt: skip


def run_of(name: str, folder: Path) -> Run:
    """A run as training leaves one; what it makes is nowhere flat, and classes differ."""
    known = facts(KINDS[name])
    recipe = recipes.load("chest_xray", (f"tiles.size={list(known.tile)}", "synthesis.format=source"))
    run = Run.create(recipe, folder / name.replace(" ", "_"), source="", tiles=folder)
    torch.manual_seed(0)
    generator = build_generator(known)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save(run, known, generator)
    return run


Runs = Callable[[str], Run]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Runs of every kind, each made once."""
    folder, found = tmp_path_factory.mktemp("made"), dict[str, Run]()

    def of(name: str) -> Run:
        if name not in found:
            found[name] = run_of(name, folder)
        return found[name]

    return of


@pytest.fixture(scope="session")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three label maps."""
    folder, random = tmp_path_factory.mktemp("maps"), np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(random.choice(LABELS, (32, 32)).astype(np.uint8)).save(folder / f"map{number}.png")
    return folder


def options(run: Run, maps: Path) -> dict[str, Any]:
    several = sum(isinstance(said, ClassCondition) for said in run.facts.conditions) > 1
    labelled_by = {"labelled_by": "finding"} if several else {}
    return {"run": run.folder, "segmentation": maps if run.facts.given else None, **labelled_by}


def read(path: Path) -> NDArray[Any]:
    """(C, *tile) of a file or series."""
    (scene,) = open_scenes(path)
    values = scene.read(0, scene.shape[1]).values
    return values if values.shape[1] > 1 else values[:, 0]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(
        torch.equal(value, other[key]) if isinstance(value, torch.Tensor) else value == other[key]
        for key, value in one.items()
    )


def numbers(items: Any) -> list[tuple[int, int]]:
    """Seeds and indices of batches of samples, one after the other."""
    return [
        pair for batch in items for pair in zip(batch["seed"].tolist(), batch["index"].tolist(), strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("name", SYNTHESIZING)
def test_a_sample_is_the_one_that_synthesize_writes(made: Runs, maps: Path, tmp_path: Path, name: str) -> None:
    kind, asked, count, seed = KINDS[name], options(made(name), maps), BLOCK + 2, 3
    segmentation = asked["segmentation"]
    out = synthesize(count, run=asked["run"], out=tmp_path / "out", seed=seed, segmentation=segmentation)
    samples, stream = Samples(count, seed=seed, **asked), list(SampleStream(count, seed=seed, **asked))
    with (out / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(samples) == len(stream) == count
    for k in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1):
        item = samples[k]
        assert same(item, stream[k])
        np.testing.assert_allclose(item["image"].numpy(), read(out / rows[k]["file"]), atol=HALF, rtol=0)
        assert item["conditions"] == {said.name: rows[k][said.name] for said in kind.conditions}
        assert (item["seed"], item["index"]) == (seed, k)
        assert ("segmentation" in item) == bool(kind.labels)
        if kind.labels:
            written = read(out / rows[k]["segmentation"])
            np.testing.assert_array_equal(item["segmentation"].numpy(), written.reshape(1, *kind.tile))


def test_conditions_and_guidance_are_those_asked_for(made: Runs, tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "run": made("pictures").folder, "condition": {"finding": "clear"}, "guidance": 2.0
    }  # fmt: skip
    out = synthesize(3, out=tmp_path / "out", **asked)
    samples = Samples(3, **asked)
    assert [item["label"] for item in (samples[k] for k in range(3))] == [0, 0, 0]
    np.testing.assert_allclose(samples[2]["image"], read(out / "sample_000002.png"), atol=HALF, rtol=0)
    assert not torch.equal(samples[2]["image"], Samples(3, run=asked["run"])[2]["image"])


@pytest.mark.parametrize("name", ["radiographs", "bands", "CT volumes"])
def test_scaled_samples_lie_in_the_runs_own_range(made: Runs, name: str) -> None:
    kind, folder = KINDS[name], made(name).folder
    plain, scaled = Samples(2, folder)[1]["image"], Samples(2, folder, scaled=True)[1]["image"]
    assert plain.dtype == scaled.dtype == torch.float32 and plain.shape == (kind.channels, *kind.tile)
    torch.testing.assert_close((scaled + 1) / 2 * (kind.high - kind.low) + kind.low, plain, rtol=1e-5, atol=1e-2)
    assert -1 <= scaled.min() < scaled.max() <= 1


def test_labels_are_numbers_of_classes(made: Runs) -> None:
    samples = Samples(BLOCK, made("two kinds of class").folder, labelled_by="view")
    assert samples.classes == ("ap", "pa")
    items = [samples[k] for k in range(BLOCK)]
    assert {(item["label"], item["conditions"]["view"]) for item in items} == {(1, "pa"), (-1, "")}
    unlabelled = Samples(1, made("bands").folder)
    assert unlabelled.classes == () and "label" not in unlabelled[0]


def test_samples_end_and_count_from_the_end(made: Runs) -> None:
    samples = Samples(5, made("pictures").folder)
    assert len(list(samples)) == 5 and same(samples[-1], samples[4])
    for beyond in (5, -6):
        with pytest.raises(IndexError):
            samples[beyond]


def test_samples_are_drawn_once_as_far_as_they_are_kept(made: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, drawn = Samples(3 * BLOCK, made("pictures").folder), list[int]()
    block = samples.source.block
    monkeypatch.setattr(samples.source, "block", lambda n, *a, **k: drawn.append(n) or block(n, *a, **k))
    for _ in range(2):
        for k in np.random.default_rng(0).permutation(len(samples)):
            samples[int(k)]
    assert sorted(drawn) == [0, 1, 2]
    monkeypatch.setattr(datasets, "KEPT", 1)
    few = pickle.loads(pickle.dumps(Samples(2 * BLOCK, made("pictures").folder)))
    assert same(few[0], samples[0]) and same(few[BLOCK], samples[BLOCK]) and same(few[0], samples[0])


@pytest.mark.parametrize(("start", "workers"), [(None, 0), ("fork", 1), ("fork", 2), ("fork", 3), ("spawn", 1)])
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3")
def test_workers_share_a_stream(made: Runs, start: str | None, workers: int) -> None:
    """Batches of a block come in the stream's order, and epochs are fresh, however many work."""
    stream = SampleStream(3 * BLOCK + 5, made("pictures").folder, seed=7)
    loader = DataLoader(stream, batch_size=BLOCK, num_workers=workers, multiprocessing_context=start)
    for epoch in range(2):
        assert numbers(loader) == [(7 + epoch, k) for k in range(3 * BLOCK + 5)]


@pytest.mark.parametrize("batch", [1, 5, 40])
def test_no_sample_is_repeated_or_left_out_whatever_the_batch(made: Runs, batch: int) -> None:
    loader = DataLoader(SampleStream(50, made("pictures").folder), batch_size=batch, num_workers=2)
    assert sorted(numbers(loader)) == [(0, k) for k in range(50)]


def test_workers_that_stay_draw_fresh_epochs(made: Runs) -> None:
    stream = SampleStream(20, made("pictures").folder)
    loader = DataLoader(stream, batch_size=BLOCK, num_workers=2, persistent_workers=True)
    assert [numbers(loader) for _ in range(3)] == [[(epoch, k) for k in range(20)] for epoch in range(3)]


def test_what_workers_draw_is_what_one_process_draws(made: Runs) -> None:
    folder = made("labels made along").folder
    alone = list(SampleStream(20, folder))
    drawn = [item for batch in DataLoader(SampleStream(20, folder), None, num_workers=2) for item in [batch]]
    assert all(same(item, alone[item["index"]]) for item in drawn) and len(drawn) == 20


def test_a_stream_has_no_end_unless_it_is_named(made: Runs) -> None:
    stream = SampleStream(run=made("pictures").folder)
    assert [item["index"] for item in islice(stream, 40)] == list(range(40))


def as_pair(item: dict[str, Any]) -> tuple[torch.Tensor, int]:
    return item["image"] / 255, item["label"]


def test_real_and_synthetic_train_together(made: Runs) -> None:
    """Three steps of a plain torch script: every batch holds both, and weights move."""
    real = [(torch.rand(3, 32, 32), number % 2) for number in range(12)]
    synthetic = Samples(12, made("pictures").folder, condition={"finding": "opacity"}, transform=as_pair)
    both = DataLoader(ConcatDataset([real, synthetic]), batch_size=8, shuffle=True)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    before, steps = network[1].weight.detach().clone(), 0
    for image, label in both:
        loss = torch.nn.functional.cross_entropy(network(image), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
    assert steps == 3 and torch.isfinite(loss) and not torch.equal(before, network[1].weight)


@pytest.mark.parametrize("workers", [0, 2])
def test_monai_loads_real_and_synthetic_items(made: Runs, workers: int) -> None:
    real = [{"image": np.full((1, 32, 32), 128, np.float32), "segmentation": np.zeros((1, 32, 32))} for _ in range(6)]
    synthetic = Samples(6, made("labels made along").folder)
    keys = ("image", "segmentation")
    augment = Compose([EnsureTyped(keys), ScaleIntensityRanged("image", 0, 255, 0, 1), RandFlipd(keys, prob=0.5)])

    def mixed() -> Iterator[dict[str, Any]]:
        for item in ConcatDataset([real, synthetic]):  # type: ignore[list-item]
            yield {key: item[key] for key in keys}

    loader = MonaiLoader(MonaiDataset(list(mixed()), augment), batch_size=12, num_workers=workers)
    (batch,) = loader
    assert batch["image"].shape == (12, 1, 32, 32) and batch["segmentation"].shape == (12, 1, 32, 32)
    assert batch["image"].min() >= 0 and batch["image"].max() <= 1
    whole = MonaiDataset(synthetic, augment)
    assert len(whole) == 6 and whole[3]["index"] == 3 and len(whole[1:3]) == 2


@pytest.mark.parametrize("dataset", [Samples, SampleStream])
def test_datasets_are_pickled_without_weights(made: Runs, dataset: Any) -> None:
    before = dataset(20, made("radiographs").folder, seed=1)
    first = next(iter(before))
    data = pickle.dumps(before)
    after = pickle.loads(data)
    assert "generator" not in vars(after.source) and "generator" in vars(before.source)
    for item in islice(iter(after), 1):
        assert item["index"] == 0 and (dataset is SampleStream or same(item, first))


def test_a_run_is_found_as_verbs_find_it(made: Runs) -> None:
    run = made("pictures")
    folder = run.folder.parent
    for named in ({"run": run.folder}, {"run": run.name, "runs": folder}, {"runs": folder}):
        assert Samples(1, **named).source.run == run
    with pytest.raises(NoRun):
        Samples(1, "nobody", runs=folder)


@pytest.mark.parametrize(
    ("name", "asked", "error", "said"),
    [
        ("filling", {}, RunError, "was trained to fill"),
        ("pictures", {"condition": {"finding": "gout"}}, WrongCondition, "values of finding: clear, opacity"),
        ("pictures", {"condition": {"view": "ap"}}, WrongCondition, "unknown condition 'view'"),
        ("pictures", {"labelled_by": "view"}, WrongCondition, "no condition 'view' with classes"),
        ("two kinds of class", {}, WrongCondition, "several conditions have classes: finding, view"),
        ("images for label maps", {}, RunError, "makes images for label maps"),
        ("pictures", {"segmentation": "maps"}, RunError, "takes no label maps"),
    ],
)
@pytest.mark.parametrize("dataset", [Samples, SampleStream])
def test_what_cannot_be_drawn_is_refused(
    made: Runs, dataset: Any, name: str, asked: dict[str, Any], error: type[UserError], said: str
) -> None:
    with pytest.raises(error, match=said):
        dataset(3, made(name).folder, **asked)
