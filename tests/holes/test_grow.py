"""A grown hole is the disk about every pixel of it, window by window as on the whole."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy.ndimage import distance_transform_edt

from augmentor.holes.grow import grown
from augmentor.holes.kinds import Holes
from data_adapters import Scene, Window, open_scenes


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=50, width=60, count=2, dtype="uint16"
    ) as data:  # fmt: skip
        data.write(np.ones((2, 50, 60), np.uint16))
    return open_scenes(tmp_path / "a.tif")[0]


@pytest.mark.parametrize("pixels", [0, 1, 4, 9])
def test_every_window_of_a_grown_hole_is_that_of_the_whole(scene: Scene, pixels: int) -> None:
    made = np.random.default_rng(0).random((2, 1, 50, 60)) < 0.004
    holes = grown(Holes(lambda window: made[:, :, *window.slices]), scene, pixels)
    wanted = np.stack([[distance_transform_edt(~band[0]) <= pixels] for band in made])
    for window in (scene.plane, Window(0, 0, 20, 20), Window(31, 17, 8, 43), Window(49, 59, 1, 1)):
        np.testing.assert_array_equal(holes(window), wanted[:, :, *window.slices])
        np.testing.assert_array_equal(holes.hidden(window), wanted[:, :, *window.slices])
