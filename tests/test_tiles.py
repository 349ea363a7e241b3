"""Windows cover, tiles keep what was observed, and the store gives back what was put in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from augmentor import tiles as module
from augmentor.errors import RunError
from augmentor.tiles import (
    Origin,
    Tile,
    TileStore,
    fit_mask,
    grid_tile,
    padded_labels,
    starts,
    whole_labels,
    whole_tile,
    windows,
    windows_of,
)
from data_adapters import Channel, Grid, Patch, Pixels, Provenance, Scene, Template, Window


@dataclass(frozen=True)
class Memory(Scene):
    """A scene of arrays (C, S, H, W)."""

    values: NDArray[Any] = field(default_factory=lambda: np.zeros((1, 1, 1, 1)))
    valid: NDArray[Any] = field(default_factory=lambda: np.ones((1, 1, 1, 1), bool))

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        part = (slice(None), slice(first, first + count), *(window or self.plane).slices)
        return Pixels(self.values[part], self.valid[part])

    def template(self) -> Template:
        raise NotImplementedError

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        raise NotImplementedError


def scene(values: NDArray[Any], valid: NDArray[Any] | None = None) -> Memory:
    return Memory(
        name="memory",
        path=Path("memory"),
        format="memory",
        kind="raster",
        modality="",
        shape=values.shape,
        dtype=str(values.dtype),
        channels=tuple(Channel(str(c)) for c in range(values.shape[0])),
        grid=Grid((1.0, 1.0, 1.0), "pixels", "pixels"),
        group="memory",
        files=(),
        values=values,
        valid=np.ones(values.shape, bool) if valid is None else valid,
    )


SIDES = st.integers(1, 70)


@given(height=SIDES, width=SIDES, rows=st.integers(1, 40), columns=st.integers(1, 40), overlap=st.floats(0, 0.99))
def test_windows_cover_every_pixel_and_never_stick_out(
    height: int, width: int, rows: int, columns: int, overlap: float
) -> None:
    covered = np.zeros((height, width), dtype=int)
    found = list(windows(height, width, (rows, columns), overlap))
    for window in found:
        assert (window.height, window.width) == (min(rows, height), min(columns, width))
        assert 0 <= window.row <= height - window.height
        assert 0 <= window.column <= width - window.width
        covered[window.slices] += 1
    assert (covered > 0).all()
    assert len(set(found)) == len(found)


@given(height=SIDES, width=SIDES, side=st.integers(1, 40))
def test_windows_without_overlap_are_as_few_as_can_be(height: int, width: int, side: int) -> None:
    count = sum(1 for _ in windows(height, width, (side, side), 0.0))
    assert count == -(-height // min(side, height)) * -(-width // min(side, width))


def test_windows_overlap_as_asked() -> None:
    assert [w.row for w in windows(64, 16, (32, 16), 0.5)] == [0, 16, 32]
    assert [w.row for w in windows(70, 16, (32, 16), 0.0)] == [0, 32, 38]


@given(length=SIDES, size=SIDES, overlap=st.floats(0, 0.99))
def test_slices_are_covered_as_planes_are(length: int, size: int, overlap: float) -> None:
    found = starts(length, size, overlap)
    assert sorted({s + k for s in found for k in range(min(size, length))}) == list(range(length))
    assert found == sorted(set(found))


SHAPES = [(64, 64), (100, 80), (30, 90), (200, 50), (16, 12), (20, 20), (33, 31)]
LONG = (1, 300)
VOLUMES = [(20, 64, 64), (3, 40, 50), (64, 8, 8), (8, 12, 16), (1, 30, 30)]


@pytest.mark.parametrize("shape", [*SHAPES, LONG])
@pytest.mark.parametrize("size", [(32, 32), (32, 64)])
def test_a_whole_tile_holds_the_slice_in_its_proportions(shape: tuple[int, int], size: tuple[int, int]) -> None:
    values = np.full((2, *shape), 5.0, dtype=np.float32)
    pixels, valid, span = whole_tile(values, np.ones(shape, bool), size)
    assert pixels.shape == (2, *size)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, 5, rtol=1e-5)
    assert span == (pytest.approx(max(shape[0] / size[0], shape[1] / size[1])),) * 2
    rows, columns = valid.any(axis=1), valid.any(axis=0)
    assert (valid == rows[:, None] & columns[None, :]).all()
    assert (rows.sum(), columns.sum()) == (max(1, round(shape[0] / span[0])), max(1, round(shape[1] / span[1])))
    assert rows.all() or columns.all()
    for axis in (rows, columns):
        margins = (np.argmax(axis), np.argmax(axis[::-1]))
        assert margins[1] - margins[0] in (0, 1)


def ramps(shape: tuple[int, ...]) -> NDArray[Any]:
    """A channel an axis, growing along it."""
    return np.stack(np.meshgrid(*(np.linspace(4, 10, side) for side in shape), indexing="ij"))


@pytest.mark.parametrize("shape", VOLUMES)
@pytest.mark.parametrize("size", [(16, 16, 16), (8, 32, 24)])
def test_a_whole_volume_fills_its_tile_along_every_axis(shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    pixels, valid, span = whole_tile(ramps(shape), np.ones(shape, bool), size)
    assert pixels.shape == (3, *size)
    assert pixels.dtype == np.float32
    assert valid.all()
    assert span == pytest.approx([a / b for a, b in zip(shape, size, strict=True)])
    for axis, channel in enumerate(pixels):
        others = tuple(other for other in range(3) if other != axis)
        profile = channel.mean(axis=others)
        np.testing.assert_allclose(channel, np.broadcast_to(np.expand_dims(profile, others), size), atol=1e-3)
        assert shape[axis] == 1 or profile[-1] > profile[0]


@pytest.mark.parametrize(
    ("shape", "size"), [((8, 8), (32, 32)), ((3, 40, 50), (16, 16, 16)), ((8, 12, 16), (8, 32, 24))], ids=str
)
def test_a_grown_ramp_never_turns_back(shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    pixels, _, _ = whole_tile(ramps(shape), np.ones(shape, bool), size)
    for axis, channel in enumerate(pixels):
        assert (np.diff(channel, axis=axis) >= -1e-4).all()


@pytest.mark.parametrize("junk", [1e4, -9999.0, np.nan])
@pytest.mark.parametrize(("shape", "size"), [((96, 96), (32, 32)), ((12, 48, 48), (8, 16, 16))])
def test_what_was_not_observed_does_not_bleed_into_a_whole_tile(
    shape: tuple[int, ...], size: tuple[int, ...], junk: float
) -> None:
    random = np.random.default_rng(0)
    values = random.uniform(10, 20, size=(1, *shape)).astype(np.float32)
    valid = np.ones(shape, dtype=bool)
    valid[..., : shape[-2] // 2, : shape[-1] // 3] = False
    clean = whole_tile(values, valid, size)
    dirty = whole_tile(np.where(valid, values, junk).astype(np.float32), valid, size)
    np.testing.assert_array_equal(clean.pixels, dirty.pixels)
    np.testing.assert_array_equal(clean.valid, dirty.valid)
    assert ((clean.pixels >= 10) & (clean.pixels <= 20)).all()
    assert (~clean.valid).mean() == pytest.approx(1 / 6, abs=0.05)


@pytest.mark.parametrize("shape", [(40, 50), (20, 50), (20, 11)])
def test_a_grid_tile_is_the_window_itself_centred(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(3, 2, *shape)).astype(np.float32)
    valid = np.random.default_rng(1).random(values.shape) < 0.9
    labels = np.random.default_rng(2).integers(0, 5, shape).astype(np.int32)
    for window, content in windows_of(scene(values, valid), (32, 32), 0.0):
        pixels, seen, span = grid_tile(content.values[:, 1], content.seen[1], (32, 32))
        assert pixels.shape == (3, 32, 32)
        assert span == (1.0, 1.0)
        top, left = (32 - window.height) // 2, (32 - window.width) // 2
        inside = (slice(top, top + window.height), slice(left, left + window.width))
        np.testing.assert_array_equal(pixels[:, *inside], values[:, 1][:, *window.slices])
        np.testing.assert_array_equal(seen[inside], valid[:, 1].all(axis=0)[window.slices])
        assert seen.sum() == seen[inside].sum()
        said = padded_labels(labels[window.slices], (32, 32))
        np.testing.assert_array_equal(said[inside], labels[window.slices])


@pytest.mark.parametrize("shape", [(16, 16, 16), (5, 16, 9), (1, 3, 16)])
def test_a_grid_tile_of_a_volume_is_the_window_itself_centred(shape: tuple[int, ...]) -> None:
    size = (16, 16, 16)
    values = np.random.default_rng(0).normal(size=(2, *shape))
    valid = np.random.default_rng(1).random(shape) < 0.9
    pixels, seen, span = grid_tile(values, valid, size)
    inside = tuple(slice((16 - side) // 2, (16 - side) // 2 + side) for side in shape)
    np.testing.assert_array_equal(pixels[:, *inside], values.astype(np.float32))
    np.testing.assert_array_equal(seen[inside], valid)
    assert seen.sum() == valid.sum()
    assert span == (1.0, 1.0, 1.0)
    np.testing.assert_array_equal(padded_labels(valid.astype(np.int32), size)[inside], valid)


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("at_once", [0, 10**9], ids=["window by window", "read once"])
def test_windows_come_with_their_own_pixels_however_large_the_scene(
    at_once: int, overlap: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    values = np.random.default_rng(0).normal(size=(2, 3, 40, 25))
    valid = np.random.default_rng(1).random(values.shape) < 0.9
    found = list(windows_of(scene(values, valid), (16, 16), overlap))
    assert [window for window, _ in found] == list(windows(40, 25, (16, 16), overlap))
    for window, content in found:
        np.testing.assert_array_equal(content.values, values[:, :, *window.slices])
        np.testing.assert_array_equal(content.valid, valid[:, :, *window.slices])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mask_falls_where_its_pixels_fall(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, dtype=bool)
    mask[shape[0] // 4 : shape[0] // 2, shape[1] // 3 : 2 * shape[1] // 3] = True
    pixels, valid, _ = whole_tile(mask[None].astype(np.float32), np.ones(shape, bool), (32, 32))
    fitted = fit_mask(mask, (32, 32), whole=True) & valid
    wanted = (pixels[0] > 0.5) & valid
    assert fitted.shape == (32, 32)
    assert fitted[wanted].all()
    # A little beyond them, since what lies beside a cloud is not trusted either.
    assert not fitted[~binary_dilation(wanted, np.ones((7, 7)))].any()


@pytest.mark.parametrize("values", [(0, 1), (0, 3, 7), (-5, 0, 2_000_000_001)], ids=str)
@pytest.mark.parametrize(
    ("shape", "size"), [*((s, (32, 32)) for s in [*SHAPES, LONG]), *((s, (8, 16, 16)) for s in VOLUMES)], ids=str
)
def test_resized_labels_are_old_labels_where_their_pixels_fall(
    shape: tuple[int, ...], size: tuple[int, ...], values: tuple[int, ...]
) -> None:
    places = sum(np.meshgrid(*(np.linspace(0, 1, side) for side in shape), indexing="ij")) / len(shape)
    index = np.minimum((places * len(values)).astype(int), len(values) - 1)
    made = whole_labels(np.array(values)[index].astype(np.int32), size)
    assert made.shape == size
    assert made.dtype == np.int32
    assert {*np.unique(made)} <= {*values}
    for value in values:
        pixels, valid, _ = whole_tile(
            (np.array(values)[index] == value)[None].astype(np.float32), np.ones(shape, bool), size
        )
        # Where shrinking blends hardly any other label in, the label is this one.
        assert (made[valid & (pixels[0] > 0.95)] == value).all()
        assert (made[valid & (pixels[0] < 0.05)] != value).all()


def tile(number: int, size: tuple[int, ...] = (8, 6), channels: int = 2, labelled: bool = False) -> Tile:
    random = np.random.default_rng(number)
    labels = random.integers(-3, 2**31, size).astype(np.int32) if labelled else None
    origin = Origin(
        f"s{number}", f"g{number % 3}", number, number / 2, Window(0, number, 8, 6), number % 3 == 0, {"a": "é"}
    )
    return Tile(random.normal(size=(channels, *size)).astype(np.float32), random.random(size) < 0.5, labels, origin)


STORED = [(1, (8, 6)), (7, (8, 6)), (5, (256, 512)), (4, (512, 512)), (7, (4, 8, 6)), (3, (32, 64, 64))]


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize(("count", "size"), STORED, ids=str)
def test_a_store_gives_back_what_was_put_in(count: int, size: tuple[int, ...], labelled: bool, tmp_path: Path) -> None:
    tiles = [tile(number, size, labelled=labelled) for number in range(count)]
    store = TileStore(tmp_path / "store")
    assert store.write(iter(tiles), 2, size, labelled=labelled) == count
    assert not store.finished
    store.finish({"source": "here"})
    again = TileStore(tmp_path / "store")
    assert again.finished
    assert again.facts == {"source": "here"}
    assert again.index == [t.origin for t in tiles]
    assert again.rows(held_out=True) == list(range(0, count, 3))
    assert sorted(again.rows(True) + again.rows(False)) == list(range(count))
    pixels, valid = again.load(list(range(count)))
    np.testing.assert_array_equal(pixels, np.stack([t.pixels for t in tiles]))
    np.testing.assert_array_equal(valid, np.stack([t.valid for t in tiles]))
    np.testing.assert_array_equal(again.load([count - 1])[0][0], tiles[-1].pixels)
    if labelled:
        labels = again.load_labels(list(range(count)))
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, np.stack([t.labels for t in tiles]))


def test_an_interrupted_store_is_unfinished_and_can_be_written_anew(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "store")

    def broken() -> Iterable[Tile]:
        yield tile(0)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        store.write(iter(broken()), 2, (8, 6))
    assert not store.finished
    with pytest.raises(RunError, match="unfinished"):
        _ = store.facts
    store.write(iter([tile(1), tile(2)]), 2, (8, 6))
    assert [origin.scene for origin in store.index] == ["s1", "s2"]
    assert len(store.load([0, 1])[0]) == 2
