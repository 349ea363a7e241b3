"""A short fuzz of every target, and the harness itself: what escapes is caught, named, kept and found again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks import fuzz
from benchmarks.fuzz import case, fuzzed, seeds_of
from benchmarks.fuzz_seeds import Files
from benchmarks.fuzz_targets import TARGETS
from data_adapters.errors import BrokenFile

CASES = 40
"""Of each target: some seconds in all."""


@pytest.fixture(scope="module")
def seeds() -> dict[str, list[Files]]:
    return seeds_of(None)


@pytest.mark.parametrize("target", TARGETS)
def test_no_seed_and_no_change_of_one_escapes(target: str, seeds: dict[str, list[Files]]) -> None:
    found = fuzzed(seeds[target], target, range(len(seeds[target]) + CASES))
    assert found.escapes == []
    assert found.said["answered"] >= len(seeds[target])


@pytest.mark.parametrize("target", TARGETS)
def test_a_case_is_the_same_each_time(target: str, seeds: dict[str, list[Files]]) -> None:
    own = seeds[target]
    numbers = range(len(own), len(own) + 20)
    first, again = ([case(own, target, number, 0) for number in numbers] for _ in range(2))
    assert first == again
    assert first != [case(own, target, number, 1) for number in numbers]
    assert sum(files not in own for files in first) > 10


def stack_overflow() -> None:
    stack_overflow()


ESCAPES: dict[str, tuple[Callable[[], object], str]] = {
    "an error of Python": (lambda: {}["missing"], "KeyError"),
    "an end": (lambda: os.abort(), "SIGABRT"),
    "an exit": (lambda: os._exit(7), "the process ended: 7"),
    "a long time": (lambda: time.sleep(60), "no answer within"),
    "much memory": (lambda: np.ones(60_000_000), "MiB"),
    "more memory than there is": (lambda: np.ones(10**13), "MemoryError"),
    "depth": (stack_overflow, "RecursionError"),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_what_escapes_is_caught_and_kept(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    escape, said = ESCAPES[name]
    calls: list[Callable[[], object]] = [lambda: None, escape, lambda: None]

    def target(folder: Path) -> None:
        calls[int((folder / "number").read_bytes())]()

    monkeypatch.setitem(TARGETS, "escaping", target)
    files: list[Files] = [{"number": str(number).encode()} for number in range(3)]
    found = fuzzed(files, "escaping", range(3), seconds=2.0, mib=200.0, kept=tmp_path)
    assert found.cases == 3
    assert dict(found.said) == {"answered": 2, "escaped": 1}
    ((only,),) = [found.escapes]
    assert only["case"] == "escaping:1"
    assert said in only["how"]
    assert (tmp_path / "escaping_1/input/number").read_bytes() == b"1"


def test_memory_that_ran_out_is_told_though_an_error_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def target(folder: Path) -> None:
        try:
            raise MemoryError
        except MemoryError as error:
            raise BrokenFile("cannot be read") from error

    monkeypatch.setitem(TARGETS, "hidden", target)
    assert fuzzed([{"x": b""}], "hidden", [0]).escapes[0]["how"].startswith("MemoryError, told as BrokenFile")


def compute(folder: Path) -> None:
    torch.ones(1 << 20).exp_()


def test_threads_that_the_parent_computes_with_are_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        compute(tmp_path)
        monkeypatch.setitem(TARGETS, "parallel", compute)
        found = fuzzed([{"x": b""}], "parallel", [0], seconds=5.0)
    finally:
        torch.set_num_threads(before)
    assert dict(found.said) == {"answered": 1}


def test_the_command_writes_a_record_and_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "RECORD", tmp_path / "fuzz.json")
    monkeypatch.setattr(fuzz, "ELSEWHERE", tmp_path / "none")
    monkeypatch.setattr(fuzz, "WEIGHTS", dict.fromkeys(TARGETS, 1))
    ran = CliRunner().invoke(fuzz.main, ["--cases", str(2 * len(TARGETS)), "--keep", str(tmp_path / "kept")])
    assert ran.exit_code == 0, ran.output
    told = json.loads((tmp_path / "fuzz.json").read_text())
    assert told["cases"] == 2 * len(TARGETS)
    assert told["escapes"] == []
    assert set(told["targets"]) == set(TARGETS)
    replayed = CliRunner().invoke(fuzz.main, ["--replay", "recipe:40"])
    assert replayed.output.strip().splitlines()[-1] in ("answered", "RecipeError")
