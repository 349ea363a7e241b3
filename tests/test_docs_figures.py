"""The pages say what was measured: every record's figures stand in one of their rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fill_tables import gain

DOCS = Path(__file__).parent.parent / "docs"


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DOCS / "benchmarks" / name).read_text().splitlines()]


def rows(page: str) -> list[str]:
    return [line for line in (DOCS / page).read_text().splitlines() if line.startswith("|")]


FILLED = {record["case"]: record for record in records("fill.jsonl")}
COMPARED = {
    f"{record['model']} {record['data']} {record['pixels']} {record['seed']}": record
    for record in records("gan.jsonl")
    if record["what"] == "compare" and record["minutes"] == 10
}


@pytest.mark.parametrize("case", [case for case in FILLED if "a run of" not in case])
def test_a_case_of_filling_is_told_as_it_was_measured(case: str) -> None:
    record = FILLED[case]
    own = record["t2t_gan"]
    said = (
        f"{own['psnr']:.2f} · {own['ssim']:.3f}",
        f"| {gain(record):+.2f} |",
        f"| {100 * record['covered']:.1f} %",
        f"| {record['cpu_seconds']:.0f} s |",
    )
    assert any(all(figure in row for figure in said) for row in rows("fill.md")), said


@pytest.mark.parametrize("case", [case for case in FILLED if "a run of" in case])
def test_what_a_run_of_others_gains_is_told_as_it_was_measured(case: str) -> None:
    record = FILLED[case]
    said = f"{gain(record):+.2f} dB"
    assert any(said in row and f"{record['cpu_seconds']:.0f} s" in row for row in rows("fill.md")), said


@pytest.mark.parametrize("trial", COMPARED)
def test_a_trial_beside_its_rivals_is_told_as_it_was_measured(trial: str) -> None:
    record = COMPARED[trial]
    first, second = record["random convolutions"], record["layout and spectrum"]
    said = (
        f"| {record['seed']} |",
        f"{first['frechet']:.1f}",
        f"{first['kid']:.3f}",
        f"{first['recall']:.2f}",
        f"{second['frechet']:.2f}",
        f"| {record['tiles_shown']:,} |",
    )
    assert any(all(figure in row for figure in said) for row in rows("results.md")), said
