"""A change of look is laid over all that was observed, smoothly, the same however a plane is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_laplace
from torch import Tensor

from augmentor.recipe import Model
from augmentor.restyling import laid
from augmentor.run import Facts
from augmentor.scaling import Scaling
from data_adapters import Channel, Provenance, Scene, Template, adapter, open_scenes

CHANNELS = tuple(Channel(name) for name in ("B02", "B08"))
TEMPLATE = Template("geotiff", "raster", "", CHANNELS, "float32", 0, 100, spacing=(1, 1, 1), nodata=-1)
FACTS = Facts(
    channels=2, context=0, tile=(16, 16), model=Model().model_dump(), conditions=(), combinations=(),
    scaling=Scaling((0.0, 0.0), (100.0, 50.0)), template=TEMPLATE,
)  # fmt: skip
SIZES = [(40, 53), (16, 16), (11, 30), (9, 7)]
CUTS = [False, True]


def written(folder: Path, shape: tuple[int, int], hole: bool = True) -> Scene:
    """A raster of noise, where nothing was observed in a corner and inside."""
    values = np.random.default_rng(0).uniform(10, 40, (2, 1, *shape)).astype(np.float32)
    (file,) = adapter("geotiff").write_sample(folder / "scene", values, TEMPLATE, Provenance("phantom", "1", "drawn"))
    if hole:
        import rasterio

        with rasterio.open(file, "r+") as data:
            for band in data.indexes:
                plane = data.read(band)
                plane[:3, :4], plane[6, 5] = -1, -1
                data.write(plane, band)
    (scene,) = open_scenes(file)
    return scene


def restyled(scene: Scene, change: laid.Change, *, whole: bool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The change (C, H, W) of all blocks, and where one was made."""
    pixels = scene.read(0, 1)
    found, made = pixels.values[:, 0].astype(float), np.zeros((2, *scene.shape[2:]), bool)
    for block in laid.blocks(scene, whole=whole):
        patch = laid.restyled(scene, 0, block, FACTS, change, whole=whole)
        if patch is not None:
            region = (slice(None), *block.slices)
            made[region] |= patch.made
            found[region] = np.where(patch.made, patch.values, found[region])
    return found - pixels.values[:, 0], made


def even(shown: Tensor) -> Tensor:
    return torch.full_like(shown, 0.25)


def of_content(shown: Tensor) -> Tensor:
    """A change that depends on what a tile shows, pixel by pixel."""
    return shown * shown.mean(dim=(1, 2, 3), keepdim=True) + shown.std(dim=(1, 2, 3), keepdim=True)


@pytest.mark.parametrize("whole", CUTS)
@pytest.mark.parametrize("shape", SIZES)
def test_an_even_change_is_even_up_to_every_edge(shape: tuple[int, int], whole: bool, tmp_path: Path) -> None:
    scene = written(tmp_path, shape)
    change, made = restyled(scene, even, whole=whole)
    seen = scene.read(0, 1).valid[:, 0]
    np.testing.assert_array_equal(made, seen)
    assert not seen.all()
    # Of two in unit scale, an eighth of each channel's range.
    np.testing.assert_allclose(change[0][seen[0]], 12.5, rtol=1e-4)
    np.testing.assert_allclose(change[1][seen[1]], 6.25, rtol=1e-4)
    assert not change[~seen].any()


@pytest.mark.parametrize("side", [8, 19, 33])
def test_blocks_do_not_show(side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = written(tmp_path, (70, 61))
    at_once, made = restyled(scene, of_content, whole=False)
    monkeypatch.setattr(laid, "BLOCK", side)
    in_parts, also = restyled(scene, of_content, whole=False)
    np.testing.assert_array_equal(made, also)
    np.testing.assert_allclose(in_parts, at_once, atol=1e-3)
    assert np.ptp(at_once[made]) > 0.1


@pytest.mark.parametrize("whole", CUTS)
def test_no_detail_is_drawn(whole: bool, tmp_path: Path) -> None:
    """What networks draw finely, as edges of their own, is not laid in."""
    scene = written(tmp_path, (48, 48), hole=False)
    noise = torch.Generator().manual_seed(0)
    change, _ = restyled(scene, lambda shown: torch.randn(shown.shape, generator=noise), whole=whole)
    raw = np.random.default_rng(0).standard_normal((48, 48)) * FACTS.scaling.extent(np.ones((2, 1, 1)))[0]
    assert np.std(gaussian_laplace(change[0], 1.0)) < 0.4 * np.std(gaussian_laplace(raw, 1.0))


def test_nothing_is_made_where_nothing_was_observed(tmp_path: Path) -> None:
    scene = written(tmp_path, (20, 20))
    corner = laid.Window(0, 0, 3, 4)
    assert laid.restyled(scene, 0, corner, FACTS, even, whole=False) is None
