"""Label maps meet their images by name and grid, and become channels and labels again."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from augmentor.errors import LabelError
from augmentor.segmentation import ENDINGS, MOST, from_channels, label_maps, to_channels, values_of
from data_adapters import Scene, open_scenes

VALUES = [(0,), (0, 1), (-2, 0, 7), (0, 1, 2, 1_000_000)]
TILES = [(8, 6), (3, 4, 5)]


def labelled(values: tuple[int, ...], tile: tuple[int, ...], count: int = 4) -> NDArray[np.int32]:
    return np.random.default_rng(0).choice(np.array(values, dtype=np.int32), (count, *tile))


def drawn(folder: Path, *names: str, shape: tuple[int, ...] = (8, 6)) -> list[Scene]:
    """Pictures of these names, each filled with its place in the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(np.full(shape, number, np.uint8)).save(folder / f"{name}.png")
    return open_scenes(folder)


def content(scene: Scene) -> int:
    return int(scene.read(0, 1).values.flat[0])


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_labels_come_back_from_their_channels(values: tuple[int, ...], tile: tuple[int, ...]) -> None:
    labels = labelled(values, tile)
    channels = to_channels(labels, values)
    assert channels.shape == (4, len(values), *tile)
    assert channels.dtype == np.float32
    assert {*np.unique(channels)} <= {-1.0, 1.0}
    assert ((channels == 1).sum(axis=1) == 1).all()
    back = from_channels(channels, values)
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, labels)


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_the_strongest_channel_decides(values: tuple[int, ...], tile: tuple[int, ...]) -> None:
    labels = labelled(values, tile)
    blurred = to_channels(labels, values) * 0.3 + np.random.default_rng(1).uniform(-0.2, 0.2, (1, len(values), *tile))
    np.testing.assert_array_equal(from_channels(blurred.astype(np.float32), values), labels)


def test_a_label_that_training_never_saw_is_in_no_channel() -> None:
    assert (to_channels(np.full((1, 2, 2), 9, np.int32), (0, 1)) == -1).all()


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_values_are_those_that_occur_in_order(values: tuple[int, ...]) -> None:
    assert values_of(labelled(values, (20, 20))) == values


@pytest.mark.parametrize(("count", "fits"), [(MOST, True), (MOST + 1, False), (200, False)])
def test_a_picture_is_no_label_map(count: int, fits: bool) -> None:
    labels = np.arange(count, dtype=np.int32).reshape(1, 1, -1)
    if fits:
        assert len(values_of(labels)) == count
    else:
        with pytest.raises(LabelError, match=f"hold {count} labels; merge them to at most {MOST}"):
            values_of(labels)


@pytest.mark.parametrize("ending", ["", *ENDINGS, "_SEG"])
def test_label_maps_are_found_by_the_name_of_their_image_and_an_ending(ending: str, tmp_path: Path) -> None:
    names = ["case_3", "case_1", "Case_2", "other"]
    scenes = drawn(tmp_path / "images", *names[:3])
    drawn(tmp_path / "maps", *(f"{name}{ending}" for name in names))
    matched = label_maps(scenes, tmp_path / "maps")
    assert {name: content(found) for name, found in matched.items()} == {"case_3": 0, "case_1": 1, "Case_2": 2}


def test_one_file_is_the_label_map_of_one_image_whatever_its_name(tmp_path: Path) -> None:
    scenes = drawn(tmp_path / "images", "scan")
    drawn(tmp_path / "maps", "anatomy")
    assert label_maps(scenes, tmp_path / "maps" / "anatomy.png")["scan"].name == "anatomy"


def test_what_is_wrong_with_label_maps_is_named(tmp_path: Path) -> None:
    scenes = drawn(tmp_path / "images", "a", "b")
    drawn(tmp_path / "few", "a", "c")
    drawn(tmp_path / "small", "a_seg", "b_seg", shape=(8, 5))
    drawn(tmp_path / "colour", "a", "b", shape=(8, 6, 3))
    cases = {
        "nowhere": "nowhere: no such label map; set segmentation.path",
        "few": "few: holds no label map for b; name label maps like their images",
        "small": r"small: a_seg is \(1, 1, 8, 5\), its image \(1, 1, 8, 6\)",
        "colour": r"colour: a is \(3, 1, 8, 6\), its image \(1, 1, 8, 6\)",
    }
    for folder, said in cases.items():
        with pytest.raises(LabelError, match=said):
            label_maps(scenes, tmp_path / folder)


@pytest.mark.parametrize("names", [("case.1", "case.2"), ("1.2.840.1", "1.2.840.2")], ids=str)
def test_images_of_different_names_never_share_a_label_map(names: tuple[str, str], tmp_path: Path) -> None:
    scenes = drawn(tmp_path / "images", *names)
    drawn(tmp_path / "maps", *names)
    matched = label_maps(scenes, tmp_path / "maps")
    assert [content(matched[scene.name]) for scene in scenes] == [content(scene) for scene in scenes]
