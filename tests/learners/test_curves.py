"""Curves of a run, where TensorBoard is installed: every figure of the log, none twice after a stop."""

from pathlib import Path

import pytest

from augmentor.learners import curves
from augmentor.learners.curves import FOLDER, Curves
from augmentor.run import Run


def written(run: Run) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run.folder / FOLDER))
    events.Reload()
    return {name: [(e.step, round(e.value, 3)) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_figures_become_scalars_and_what_lies_behind_a_checkpoint_is_hidden(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = Run(tmp_path)
    first = Curves(run, 0)
    for images in (100, 200, 300):
        first.add({"images": images, "act": "play", "generator": images / 1000, "why": "words are no figures"})
    first.close()
    again = Curves(run, 200)
    again.add({"images": 300, "act": "play", "generator": 0.5})
    again.close()
    assert written(run) == {"play/generator": [(100, 0.1), (200, 0.2), (300, 0.5)]}


def test_without_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    nothing = Curves(Run(tmp_path), 0)
    nothing.add({"images": 100, "act": "play", "generator": 0.1})
    nothing.close()
    assert list(tmp_path.iterdir()) == []
