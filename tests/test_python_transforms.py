"""Transforms leave an image as it is, or put a sample of its class there, in its shape, type and units."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
from monai.data import DataLoader as MonaiLoader
from monai.data import Dataset as MonaiDataset
from monai.data import MetaTensor
from monai.transforms import Compose
from numpy.typing import NDArray

from augmentor.errors import DataError, LabelError, NoRun, RunError, UserError, WrongCondition
from augmentor.onthefly.albumentations import Synthetic
from augmentor.onthefly.datasets import Samples
from augmentor.onthefly.monai import RandSynthetic, RandSyntheticd
from augmentor.sampling import BLOCK
from tests.test_python_datasets import KINDS, LABELS, Runs, made, maps

__all__ = ["made", "maps"]

CLASSES = ("clear", "opacity")
TYPES = ["uint8", "int16", "uint16", "float32", "float64"]


def limits(dtype: str, name: str = "pictures") -> tuple[float, float] | None:
    """None where the type holds the run's values, and means them."""
    kind = KINDS[name]
    return None if np.dtype(dtype).kind == "f" or kind.bits == 8 else (kind.low, kind.high)


def image_of(name: str, dtype: str = "float32", size: tuple[int, ...] | None = None) -> NDArray[Any]:
    """(C, *size), all 7."""
    kind = KINDS[name]
    return np.full((kind.channels, *(size or kind.tile)), 7, dtype)


def last(image: NDArray[Any]) -> NDArray[Any]:
    """Channels last, as albumentations has them."""
    return np.ascontiguousarray(np.moveaxis(image, 0, -1))


def through_monai(run: Path, image: NDArray[Any], label: Any, p: float = 1.0, **options: Any) -> NDArray[Any]:
    transform = RandSynthetic(run, p, **options).set_random_state(seed=5)
    return np.asarray(transform(image, label))


def through_monai_items(run: Path, image: NDArray[Any], label: Any, p: float = 1.0, **options: Any) -> NDArray[Any]:
    # Without a Compose around it, which tells of any error as its own.
    transform = RandSyntheticd("image", run, p, **options).set_random_state(seed=5)
    item = transform({"image": image, "label": label})
    assert item["label"] == label
    return np.asarray(item["image"])


def through_albumentations(run: Path, image: NDArray[Any], label: Any, p: float = 1.0, **options: Any) -> NDArray[Any]:
    transform = albumentations.Compose([Synthetic(run, p=p, **options)], seed=5, strict=True)
    key = "image" if image.ndim == 3 else "volume"
    item = transform(**{key: last(image)}, label=label) if image.ndim == 3 else transform.transforms[0](
        **{key: last(image)}, label=label
    )  # fmt: skip
    assert item["label"] == label
    return np.moveaxis(item[key], -1, 0)


WAYS: dict[str, Callable[..., NDArray[Any]]] = {
    "monai": through_monai, "monai items": through_monai_items, "albumentations": through_albumentations
}  # fmt: skip
every_way = pytest.mark.parametrize("way", WAYS)


@every_way
@pytest.mark.parametrize("dtype", TYPES)
def test_with_probability_zero_nothing_changes(made: Runs, way: str, dtype: str) -> None:
    image = image_of("pictures", dtype)
    out = WAYS[way](made("pictures").folder, image, "clear", 0.0)
    assert out.dtype == image.dtype
    np.testing.assert_array_equal(out, image)


@every_way
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["pictures", "radiographs", "CT volumes", "two kinds of class"])
def test_with_probability_one_shape_and_type_stay(made: Runs, way: str, name: str, dtype: str) -> None:
    image, kind = image_of(name, dtype), KINDS[name]
    labelled = {"labelled_by": "finding"} if name == "two kinds of class" else {}
    out = WAYS[way](made(name).folder, image, "opacity", limits=limits(dtype, name), **labelled)
    assert (out.dtype, out.shape) == (image.dtype, image.shape)
    assert len(np.unique(out)) > 20 and (out != image).mean() > 0.9
    if np.dtype(dtype).kind == "f":
        assert kind.low <= out.min() and out.max() <= kind.high


@every_way
@pytest.mark.parametrize("size", [(32, 32), (48, 64), (20, 17), (33, 32)], ids=str)
def test_samples_take_the_size_of_the_image(made: Runs, way: str, size: tuple[int, ...]) -> None:
    image = image_of("pictures", "uint8", size)
    out = WAYS[way](made("pictures").folder, image, "clear")
    assert out.shape == image.shape and len(np.unique(out)) > 20


@every_way
@pytest.mark.parametrize("label", CLASSES)
def test_a_sample_is_of_the_images_class(made: Runs, way: str, label: str) -> None:
    """The very pixels of a sample under that condition, of the seed that chance gave."""
    folder, drawn = made("pictures").folder, WAYS[way](made("pictures").folder, image_of("pictures"), label)
    numbered = WAYS[way](folder, image_of("pictures"), CLASSES.index(label), classes=CLASSES)
    swapped = WAYS[way](folder, image_of("pictures"), CLASSES.index(label), classes=CLASSES[::-1])
    np.testing.assert_array_equal(numbered, drawn)
    assert not np.allclose(swapped, drawn, atol=1)
    if way != "albumentations":
        state = np.random.RandomState(5)
        state.rand()
        seed = int((np.random.RandomState(5) if way == "monai items" else state).randint(2**31 - 1))
        expected = Samples(1, folder, seed=seed, condition={"finding": label})[0]["image"]
        np.testing.assert_array_equal(drawn, expected.numpy())


@pytest.mark.parametrize(("dtype", "full"), [("uint8", 255), ("uint16", 65535), ("float32", 1), ("float64", 1)])
@every_way
def test_limits_say_what_an_image_counts_from_and_to(made: Runs, way: str, dtype: str, full: int) -> None:
    folder, image = made("radiographs").folder, image_of("radiographs", dtype)
    physical = WAYS[way](folder, image_of("radiographs", "float64"), "clear")
    out = WAYS[way](folder, image, "clear", limits=(1000, 3000))
    expected = np.clip((physical - 1000) / 2000, 0, 1) * full
    np.testing.assert_allclose(out, expected, atol=0.5 if full > 1 else 1e-6)


@every_way
def test_chance_decides_how_many_are_replaced_and_a_seed_by_which(made: Runs, way: str) -> None:
    folder, image = made("pictures").folder, image_of("pictures", "uint8")
    if way == "albumentations":
        compose = albumentations.Compose([Synthetic(folder, p=0.5), albumentations.HorizontalFlip()])
        again, once = compose.set_random_seed, lambda: compose(image=last(image), label="clear")["image"]
    elif way == "monai":
        array = RandSynthetic(folder, 0.5)
        again, once = array.set_random_state, lambda: array(image, "clear")
    else:
        items = Compose([RandSyntheticd("image", folder, 0.5)])
        again, once = items.set_random_state, lambda: items({"image": image, "label": "clear"})["image"]

    def forty(seed: int) -> list[bytes]:
        again(seed)
        return [np.asarray(once()).tobytes() for _ in range(2 * BLOCK + 8)]

    first = forty(3)
    assert forty(3) == first and forty(4) != first
    replaced = [data for data in first if data != image.tobytes()]
    assert 10 <= len(replaced) <= 30 and len({*replaced}) == len(replaced)


@pytest.mark.parametrize("kind", ["array", "tensor", "meta"])
def test_monai_keeps_what_an_image_is(made: Runs, kind: str) -> None:
    values = image_of("radiographs")
    affine = torch.diag(torch.tensor([2.0, 3.0, 1.0, 1.0], dtype=torch.float64))
    image = {"array": values, "tensor": torch.from_numpy(values), "meta": MetaTensor(values, affine)}[kind]
    out = RandSyntheticd("image", made("radiographs").folder, 1.0)({"image": image, "label": "clear"})["image"]
    assert type(out) is type(image) and out.dtype == image.dtype
    if isinstance(out, MetaTensor):
        assert torch.equal(out.affine, affine)


def item_of(name: str, times: int = 1, **more: Any) -> dict[str, Any]:
    """An item some times as large as the run's tiles."""
    size = tuple(times * side for side in KINDS[name].tile)
    labels = np.random.default_rng(1).choice(LABELS, size).astype(np.int64)
    return {"image": image_of(name, size=size), "segmentation": labels[None], "label": "opacity", **more}


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", ["labels made along", "volumes with labels", "images for label maps"])
def test_label_maps_stay_those_of_their_image(made: Runs, name: str, times: int) -> None:
    """Made along with the image, or, where images are made for them, kept."""
    folder, kind, item = made(name).folder, KINDS[name], item_of(name, times)
    transform = RandSyntheticd(("image", "segmentation"), folder, 1.0)
    as_items = transform.set_random_state(0)(item)
    mask, image = ("mask", "image") if len(kind.tile) == 2 else ("mask3d", "volume")
    synthetic = Synthetic(folder, p=1)
    synthetic.set_random_seed(0)
    targets = synthetic(**{image: last(item["image"]), mask: item["segmentation"][0]}, label="opacity")
    for made_image, made_map in (
        (as_items["image"], as_items["segmentation"]),
        (np.moveaxis(targets[image], -1, 0), targets[mask][None]),
    ):
        assert made_image.shape == item["image"].shape and made_image.dtype == item["image"].dtype
        assert made_map.shape == item["segmentation"].shape and made_map.dtype == np.int64
        assert not np.array_equal(made_image, item["image"]) and {*np.unique(made_map)} <= {*LABELS}
        assert np.array_equal(made_map, item["segmentation"]) == kind.given
    if not kind.given:
        sample = transform.set_random_state(0).synthetic.sample("opacity", None)
        every = (0, *(slice(None, None, times) for _ in kind.tile))
        np.testing.assert_array_equal(as_items["segmentation"][every], sample.labels)
        if times == 1:
            np.testing.assert_allclose(as_items["image"], sample.pixels, rtol=1e-6)


def test_another_label_map_makes_another_image(made: Runs) -> None:
    folder, drawn = made("images for label maps").folder, []
    for label in (0, 2):
        item = item_of("images for label maps", segmentation=np.full((1, 32, 32), label))
        drawn.append(RandSyntheticd(("image", "segmentation"), folder, 1.0).set_random_state(0)(item)["image"])
    assert not np.allclose(*drawn, atol=1)


@pytest.mark.parametrize("workers", [0, 2])
def test_monai_workers_draw_each_their_own(made: Runs, workers: int) -> None:
    items = [{"image": image_of("pictures"), "label": number % 2} for number in range(16)]
    augment = Compose([RandSyntheticd("image", made("pictures").folder, 1.0, classes=CLASSES)])
    batches = list(MonaiLoader(MonaiDataset(items, augment), batch_size=4, num_workers=workers))
    assert torch.cat([batch["label"] for batch in batches]).tolist() == [0, 1] * 8
    assert len({image.numpy().tobytes() for batch in batches for image in batch["image"]}) == 16


@every_way
def test_transforms_are_pickled_without_weights_and_go_on_alike(made: Runs, way: str) -> None:
    folder, image = made("pictures").folder, image_of("pictures")
    transform: Any
    if way == "albumentations":
        transform, call = Synthetic(folder, p=1), lambda t: t(image=last(image), label="clear")["image"]
        replacing = transform.replacing
    elif way == "monai":
        transform, call = RandSynthetic(folder, 1.0).set_random_state(0), lambda t: t(image, "clear")
        replacing = transform.replacing
    else:
        transform = RandSyntheticd("image", folder, 1.0).set_random_state(0)
        call, replacing = lambda t: t({"image": image, "label": "clear"})["image"], transform.synthetic.replacing
    call(transform)
    weights = sum(parameter.numel() for parameter in replacing.source.generator.parameters())
    data = pickle.dumps(transform)
    assert len(data) < 4 * weights
    again = pickle.loads(data)
    for _ in range(BLOCK + 1):
        np.testing.assert_array_equal(call(again), call(transform))


def test_albumentations_writes_it_down_and_replays_it(made: Runs) -> None:
    folder, image = made("radiographs").folder, last(image_of("radiographs", "uint8"))
    synthetic = Synthetic(folder, classes=CLASSES, limits=(0, 4095), p=1)
    again = albumentations.from_dict(albumentations.to_dict(albumentations.Compose([synthetic])))
    assert again.transforms[0].replacing.classes == CLASSES and again.transforms[0].limits == (0, 4095)
    replay = albumentations.ReplayCompose([synthetic])
    first = replay(image=image, label=1)
    second = albumentations.ReplayCompose.replay(first["replay"], image=image, label=1)
    np.testing.assert_array_equal(first["image"], second["image"])


def test_a_gray_image_needs_no_axis_of_channels(made: Runs) -> None:
    out = Synthetic(made("radiographs").folder, p=1)(image=np.zeros((40, 50), np.float32), label="clear")["image"]
    assert out.shape == (40, 50) and len(np.unique(out)) > 100


def test_without_classes_no_label_is_looked_for(made: Runs) -> None:
    folder, image = made("bands").folder, image_of("bands")
    assert not np.array_equal(RandSyntheticd("image", folder, 1.0)({"image": image})["image"], image)
    assert not np.array_equal(Synthetic(folder, p=1)(image=last(image))["image"], last(image))
    for any_class in (
        RandSyntheticd("image", made("pictures").folder, 1.0, label_key=None)({"image": image_of("pictures")}),
        Synthetic(made("pictures").folder, label_key=None, p=1)(image=last(image_of("pictures"))),
    ):
        assert len(np.unique(any_class["image"])) > 20


REFUSED: dict[str, tuple[str, Mapping[str, Any], NDArray[Any], Any, type[UserError], str]] = {
    "fills": ("filling", {}, image_of("filling"), None, RunError, "was trained to fill"),
    "unknown class": ("pictures", {}, image_of("pictures"), "gout", WrongCondition, "values of finding: clear, opac"),
    "unknown condition": ("pictures", {"condition": {"view": "ap"}}, image_of("pictures"), "clear", WrongCondition,
                          "unknown condition 'view'"),
    "unnamed number": ("pictures", {}, image_of("pictures"), 1, WrongCondition, "say which class every number is"),
    "number beyond": ("pictures", {"classes": CLASSES}, image_of("pictures"), 2, WrongCondition, "names 0 to 1"),
    "no number": ("pictures", {"classes": CLASSES}, image_of("pictures"), 0.5, WrongCondition, "a label is 0.5"),
    "unknown classes": ("pictures", {"classes": ("clear", "gout")}, image_of("pictures"), 0, WrongCondition, "gout"),
    "two labels": ("two kinds of class", {}, image_of("pictures"), 0, WrongCondition, "several conditions"),
    "channels": ("pictures", {}, image_of("radiographs"), "clear", DataError, "has 1 channels, those of .* have 3"),
    "axes": ("CT volumes", {}, image_of("radiographs"), "clear", UserError, "makes (volumes of 8 × 32 × 32|no image)"),
    "type": ("radiographs", {}, image_of("radiographs", "uint8"), "clear", DataError, "reach from 0 to 4095"),
    "signed": ("CT volumes", {}, image_of("CT volumes", "uint16"), "clear", DataError, "reach from -1000 to 1000"),
    "limits": ("pictures", {"limits": (1, 1)}, image_of("pictures"), "clear", DataError, "the lower one first"),
    "no label map": ("images for label maps", {}, image_of("labels made along"), "clear", RunError, "for label maps"),
}  # fmt: skip


@every_way
@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(made: Runs, way: str, case: str) -> None:
    name, options, image, label, error, said = REFUSED[case]
    with pytest.raises(error, match=said):
        WAYS[way](made(name).folder, image, label, **options)


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for transform in (RandSynthetic, lambda **where: RandSyntheticd("image", **where), Synthetic):
        with pytest.raises(NoRun):
            transform(runs=tmp_path)


def test_items_and_targets_that_lack_or_have_too_much_are_refused(made: Runs) -> None:
    folder, image = made("pictures").folder, image_of("pictures", "uint8")
    cases: list[tuple[type[UserError], str, Callable[[], Any]]] = [
        (DataError, "has no 'label'", lambda: RandSyntheticd("image", folder, 1.0)({"image": image})),
        (DataError, "no label= was given", lambda: Synthetic(folder, p=1)(image=last(image))),
        (DataError, "3 keys", lambda: RandSyntheticd(("image", "seg", "other"), folder)),
        (RunError, "makes no bboxes", lambda: Synthetic(folder, p=1)(image=last(image), label="clear", bboxes=[1])),
        (RunError, "makes no label maps", lambda: Synthetic(folder, p=1)(
            image=last(image), mask=np.zeros((32, 32), np.uint8), label="clear")),
        (RunError, "makes no label maps", lambda: RandSyntheticd(("image", "segmentation"), folder, 1.0)(
            {"image": image, "segmentation": image[:1], "label": "clear"})),
        (LabelError, "training never saw", lambda: Synthetic(made("images for label maps").folder, p=1)(
            image=last(image[:1]), mask=np.full((32, 32), 9, np.uint8), label="clear")),
    ]  # fmt: skip
    for error, said, call in cases:
        with pytest.raises(error, match=said):
            call()
