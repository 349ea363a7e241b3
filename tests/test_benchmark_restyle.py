"""The benchmark of restyling runs through on phantoms, and records every way beside the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import restyle


def test_every_way_is_held_against_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restyle, "RECORD", tmp_path / "restyle.json")
    monkeypatch.setattr(restyle, "PICTURE", tmp_path / "restyle.png")
    monkeypatch.setattr(restyle, "LEARNED", 16)
    monkeypatch.setattr(restyle, "JUDGED", 4)
    result = CliRunner().invoke(restyle.main, ["drawn", "--images", "64", "--seeds", "1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "restyle.json").read_text())["drawn"]
    assert [(trial["from"], trial["to"]) for trial in record["trials"]] == [("first", "second"), ("second", "first")]
    for trial in record["trials"]:
        ways = trial["ways"]
        assert {restyle.OURS, "histogram matching"} <= ways.keys()
        assert ways["source"]["edges"] == 1 and ways["source"]["RMSE"] > ways["histogram matching"]["RMSE"] > 0
    assert (tmp_path / "restyle.png").is_file()
