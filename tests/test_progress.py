"""What is told while a verb works: plain lines, JSON for machines, and one screen on a terminal."""

from __future__ import annotations

import importlib
import io
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from augmentor import progress as told
from augmentor.cli import main
from augmentor.errors import Interrupted, RunError
from augmentor.live import BARS, LONGEST, Trace, View


@pytest.fixture(params=told.FORMATS)
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    told.tell_as(request.param)
    yield request.param
    told.tell_as("text")


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def records(text: str) -> list[dict[str, Any]]:
    """Lines of JSON, each with a time that has a zone."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(datetime.fromisoformat(record["time"]).tzinfo for record in found)
    return found


def test_the_last_line_is_told_wherever_work_ends(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with told.progress("fill", 3) as advance:
        for done in (1, 2, 3):
            advance(done, "blocks")
    (line,) = lines(capsys)
    if form == "text":
        assert line == "fill: 3/3, 0 s blocks"
    else:
        (record,) = records(line)
        del record["time"], record["seconds_left"]
        assert record == {
            "kind": "progress", "title": "fill", "done": 3, "total": 3, "note": "blocks", "figures": {}
        }  # fmt: skip


def test_the_time_left_is_that_of_the_work_done_so_far(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(told.time, "monotonic", lambda: clock[0])
    with told.progress("train", 100, start=40) as advance:
        clock[0] += 20
        advance(60, "play", {"generator": 1.5})
    (line,) = lines(capsys)
    if form == "text":
        assert line == "train: 60/100, 40 s left play"
    else:
        (record,) = records(line)
        assert record["seconds_left"] == 40 and record["figures"] == {"generator": 1.5}


def test_notes_are_lines_of_their_kind(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    told.note("left out: ünicode")
    (line,) = lines(capsys)
    if form == "text":
        assert line == "note: left out: ünicode"
    else:
        (record,) = records(line)
        assert (record["kind"], record["text"]) == ("note", "left out: ünicode")


def test_errors_say_what_was_found_where_and_what_to_do(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    told.failure(RunError("has no checkpoint yet", where="runs/a-001", do="train it further"))
    (line,) = lines(capsys)
    if form == "text":
        assert line == "RunError: runs/a-001: has no checkpoint yet; train it further"
    else:
        (record,) = records(line)
        del record["time"]
        assert record == {
            "kind": "error", "type": "RunError", "found": "has no checkpoint yet", "where": "runs/a-001",
            "do": "train it further",
        }  # fmt: skip


WRONG = {
    "an error": (["inspect", "/nowhere"], 2, "NothingFound"),
    "an unknown option": (["inspect", "--what"], 2, "UsageError"),
    "an unknown verb": (["paint"], 2, "UsageError"),
    "a word too few": (["inspect"], 2, "UsageError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_whatever_is_wrong_is_an_object_for_machines_and_stdout_stays_empty(name: str) -> None:
    words, code, kind = WRONG[name]
    done = CliRunner().invoke(main, ["--log-format", "json", *words])
    (record,) = records(done.stderr)
    assert done.exit_code == code and (record["kind"], record["type"]) == ("error", kind) and done.stdout == ""
    plain = CliRunner().invoke(main, words)
    assert plain.exit_code == code and not plain.stderr.startswith("{")


def test_stdout_is_the_same_in_every_format() -> None:
    said = [CliRunner().invoke(main, [*options, "recipes"]) for options in ([], ["--log-format", "json"])]
    assert said[0].stdout == said[1].stdout and all(done.exit_code == 0 for done in said)


@pytest.mark.parametrize(("error", "code"), [
    (KeyboardInterrupt(), 130), (Interrupted("stopped after 5 tiles", signal=15), 143), (RunError("no"), 2),
])  # fmt: skip
def test_an_end_by_a_signal_has_the_signals_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def stop(path: Path) -> str:
        raise error

    monkeypatch.setattr(importlib.import_module("augmentor.inspect"), "inspect", stop)
    done = CliRunner().invoke(main, ["--log-format", "json", "inspect", "."])
    assert done.exit_code == code and records(done.stderr)[-1]["kind"] == "error"


# On a terminal


def screen(steps: int, figures: dict[str, float] | None) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=24, color_system=None)
    with View("train a-001", steps).shown(console) as view:
        for step in range(1, steps + 1):
            view.advance(step, "play", {name: value / step for name, value in (figures or {}).items()})
    return out.getvalue()


def test_the_screen_shows_bar_act_figures_and_how_they_came_about() -> None:
    shown = screen(50, {"generator": 2.0, "discriminator": 1.0})
    last = shown.splitlines()[-4:-1]
    assert "train a-001" in last[0] and "50/50" in last[0] and "play" in last[0]
    assert "generator" in last[1] and "0.04" in last[1] and BARS[-1] in last[1] and BARS[0] in last[1]
    assert "discriminator" in last[2] and "0.02" in last[2]


def test_without_figures_there_is_the_bar_alone() -> None:
    shown = screen(5, None)
    assert "5/5" in shown and not set(BARS[:-1]) & set(shown)


def test_many_figures_fit_a_screen() -> None:
    shown = screen(3, {f"figure{index}": 1.0 for index in range(40)})
    assert "figure9" in shown and "figure10" not in shown


@pytest.mark.parametrize("count", [1, 2, LONGEST, LONGEST + 1, 3 * LONGEST + 7, 1000])
def test_a_trace_is_the_means_of_equal_parts_and_never_too_long(count: int) -> None:
    trace = Trace()
    for value in range(count):
        trace.add(float(value))
    assert 0 < len(trace.points) <= LONGEST and trace.last == count - 1
    each = 1
    while count // each > LONGEST:
        each *= 2
    parts = [sum(range(start, start + each)) / each for start in range(0, count - each + 1, each)]
    assert trace.points == parts[: len(trace.points)] and len(parts) - len(trace.points) <= 1
    assert trace.sparkline() == "".join(sorted(trace.sparkline()))


@pytest.mark.parametrize(("values", "line"), [
    ([], ""), ([1.0], "▅"), ([1.0, 1.0], "▅▅"), ([0.0, 1.0], "▁█"), ([0.0, float("nan"), 1.0], "▁ █"),
    ([float("inf"), 2.0], " ▅"),
])  # fmt: skip
def test_a_sparkline_leaves_gaps_where_a_figure_is_no_number(values: list[float], line: str) -> None:
    trace = Trace()
    for value in values:
        trace.add(value)
    assert trace.sparkline() == line


def test_a_terminal_gets_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("TERM", "xterm")
    with told.progress("fill", 2) as advance:
        advance(1)
        told.note("said in between")
        advance(2)
    assert "2/2" in out.getvalue() and "note: said in between" in out.getvalue()
