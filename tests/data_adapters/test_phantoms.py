"""Phantoms: the same for a seed, readable as what they stand for, with holes where they were left."""

import csv

import numpy as np
import pytest
from adapter_factories import only

from data_adapters import open_scenes, phantoms
from data_adapters.phantoms import draw_all

SIZE = 48


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_all(tmp_path_factory.mktemp("phantoms"), seed=3, radiographs=6, size=SIZE)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_seed_draws_the_same_files_and_another_other_ones(drawn, tmp_path):
    again = draw_all(tmp_path / "again", seed=3, radiographs=6, size=SIZE)
    first = contents(drawn.chest.parent)
    assert contents(again.chest.parent) == first
    other = phantoms.chest_set(tmp_path / "other", 6, 4, SIZE)
    assert not {p.read_bytes() for p in other.glob("*.dcm")} & set(first.values())


def test_radiographs_are_labelled(drawn):
    scenes = open_scenes(drawn.chest)
    with (drawn.chest / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(scenes) == len(rows) == 6
    assert {r["file"] for r in rows} == {s.path.name for s in scenes}
    assert {r["finding"] for r in rows} == {"clear", "opacity"} and len({r["patient"] for r in rows}) == 3
    assert {s.shape[2:] for s in scenes} == {(SIZE, SIZE), (SIZE - 2 * (SIZE // 16), SIZE)}
    assert {s.modality for s in scenes} == {"CR"}
    for scene in scenes:
        values = scene.read(0, 1).values
        assert 0 <= values.min() < values.max() <= 4095 and values.std() > 100


def test_the_series_misses_what_was_left_out_and_the_truth_has_it(drawn):
    holed, truth = only(drawn.ct), only(drawn.ct_truth)
    assert holed.missing() == tuple(range(5, 33, 6)) and truth.missing() == ()
    assert holed.shape == truth.shape == (1, 36, SIZE, SIZE)
    kept = [i for i in range(36) if i not in holed.missing()]
    assert np.array_equal(holed.read(0, 36).values[:, kept], truth.read(0, 36).values[:, kept])
    values = truth.read(0, 36).values
    assert values.min() < -900 and values.max() > 200


def test_the_volume_has_blank_slices_and_the_truth_none(drawn):
    holed, truth = only(drawn.mr), only(drawn.mr_truth)
    assert holed.missing() == tuple(range(6, 37, 7)) and truth.missing() == ()
    assert holed.grid.spacing == pytest.approx((1.2, 220 / SIZE, 220 / SIZE))


def test_the_stack_is_dated_has_nodata_and_its_clouds(drawn):
    stack, truth, clouds = only(drawn.stack), only(drawn.stack_truth), only(drawn.clouds)
    assert stack.kind == "stack" and stack.dates == truth.dates == clouds.dates and len(stack.dates) == 8
    assert [c.name for c in stack.channels] == list(phantoms.BANDS) and stack.grid.frame == "map"
    seen, whole, cover = stack.read(0, 8), truth.read(0, 8), clouds.read(0, 8).values[0]
    assert whole.valid.all() and not seen.valid[:, 3].all() and seen.valid[:, [0, 1, 2, 4, 5, 6, 7]].all()
    assert set(np.unique(cover)) == {0.0, 1.0}
    clear = (cover == 0) & seen.valid[0]
    assert (
        np.abs(seen.values - whole.values)[:, clear].mean() < np.abs(seen.values - whole.values)[:, cover == 1].mean()
    )
