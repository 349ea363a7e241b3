"""The benchmark of a raster larger than memory runs through on one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import large
from data_adapters import open_scenes


def test_the_raster_is_flat_ground_with_textured_fields_and_holes(tmp_path: Path) -> None:
    (scene,) = open_scenes(large.draw(tmp_path / "a.tif", 900))
    pixels = scene.read(0, 1)
    assert scene.shape == (4, 1, 900, 900)
    assert (~pixels.seen).sum() == 9 * large.HOLE**2
    assert pixels.valid[:, 0, :100].all() and not pixels.values[:, 0, :100].any()


def test_costs_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "RECORD", tmp_path / "large.json")
    result = CliRunner().invoke(large.main, ["--side", "900", "--side", "600"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "large.json").read_text())
    assert [raster["raster"].split()[0] for raster in record["rasters"]] == ["900", "600"]
    for raster in record["rasters"]:
        assert [cost["command"].split()[1] for cost in raster["costs"]] == ["fill", "ingest"]
        assert all(100 < cost["peak_memory_mib"] < 2048 and cost["cpu_seconds"] > 0 for cost in raster["costs"])
        assert not any("/" in word for cost in raster["costs"] for word in cost["command"].split())
