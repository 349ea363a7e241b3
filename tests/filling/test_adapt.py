"""Learning on a file stops when it no longer helps, and gives the best that it was."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from augmentor.fill import fill
from augmentor.filling import adapt as module
from augmentor.filling.adapt import adapt
from augmentor.filling.chosen import CLEARLY
from augmentor.filling.rehearsal import Rehearsal
from augmentor.filling.view import View
from augmentor.holes.find import find
from augmentor.holes.judge import Judged
from augmentor.holes.kinds import Holes
from augmentor.holes.priors import SUITED
from augmentor.learners.corrector import GOING_ON, RATE, Corrector
from augmentor.recipe import Model
from augmentor.scaling import Scaling
from data_adapters import open_scenes, phantoms


def seen(path: Path, mask: Path | None = None) -> View:
    scene = open_scenes(path)[0]
    values = scene.read(0, scene.shape[1]).values
    bounds = [(float(channel.min()), float(channel.max())) for channel in values]
    low, high = zip(*bounds, strict=True)
    return View(scene, find(scene, mask)[0], Scaling(low, high))


@pytest.mark.parametrize("kind", ["ct", "mr", "stack"])
def test_what_is_hidden_is_like_the_holes_of_the_file(drawn: phantoms.Phantoms, kind: str) -> None:
    view = seen(getattr(drawn, kind), drawn.clouds if kind == "stack" else None)
    rehearsal = Rehearsal(view)
    assert rehearsal.possible
    slots = view.scene.missing()
    assert sum(view.gaps()) == len(slots)
    assert rehearsal.whole == (1.0 if slots else 0.0)
    assert rehearsal.best_prior() in SUITED[view.scene.kind]
    first, again = (rehearsal.judged_by("linear") for _ in range(2))
    for one, other in zip(first.parts, again.parts, strict=True):
        np.testing.assert_array_equal(one.truth, other.truth)


@pytest.mark.parametrize("lacking", ["nothing", "the same everywhere", "a few pixels each", "a quarter each"])
def test_a_prior_that_no_slice_is_whole_enough_for_is_not_named(lacking: str, tmp_path: Path) -> None:
    values = gaussian_filter(np.random.default_rng(0).normal(size=(48, 48, 40)), (1, 1, 1.5)).astype(np.float32)
    values[:, :, 2:-2:4] = 0
    if lacking == "the same everywhere":
        values[:3] = np.nan
    for index in range(40) if lacking.endswith("each") else ():
        rows = 1 if lacking == "a few pixels each" else 12
        values[index % (48 - rows) :][:rows, :, index] = np.nan
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1, 1, 1])), tmp_path / "a.nii")
    (scene,) = open_scenes(tmp_path / "a.nii")
    view = View(scene, find(scene, None)[0], Scaling((-1.0,), (1.0,)))
    assert (Rehearsal(view).best_prior() == "linear") == (lacking == "a quarter each")


@pytest.mark.parametrize("drift", [0, 1])
def test_the_flow_is_followed_where_something_moves(drift: int, tmp_path: Path) -> None:
    """What drifts a row a slice; and what fades into something else where it is."""
    texture = gaussian_filter(np.random.default_rng(0).normal(size=(96, 96, 40)), (2, 2, 0 if drift else 4))
    moved = [np.roll(texture[..., 0 if drift else index], drift * index, axis=0) for index in range(40)]
    values = np.stack(moved, axis=-1).astype(np.float32) / texture.std()
    values[:, :, 2:-2:4] = 0
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1, 1, 1])), tmp_path / "a.nii")
    (scene,) = open_scenes(tmp_path / "a.nii")
    view = View(scene, find(scene, None)[0], Scaling((-3.0,), (3.0,)))
    rehearsal = Rehearsal(view)
    assert (rehearsal.flow_errs(rehearsal.best_prior()) < CLEARLY) == bool(drift)


@pytest.mark.parametrize(
    ("errors", "looks", "best"),
    [
        ([5, 4, 3, 2, 1, 0, 9], 6, 5),
        ([5, 6, 7, 8, 1, 0, 0], 3, 0),
        ([5, 2, 3, 4, 5, 0, 0], 4, 1),
        ([5, 2, 3, 1, 5, 5, 4], 6, 3),
        ([5, 4, 3, 3, 3, 2, 1], 6, 6),
    ],
)
def test_learning_stops_when_it_no_longer_helps(
    drawn: phantoms.Phantoms, monkeypatch: Any, errors: list[float], looks: int, best: int
) -> None:
    found: list[int] = []
    steps = 0

    def judge(self: Corrector) -> Judged:
        found.append(steps)
        return Judged((1.0,), 9.0, float(errors[len(found) - 1]), (9.0,))

    def step(self: Corrector, seen: int) -> tuple[str, dict[str, float]]:
        nonlocal steps
        steps += 1
        for parameter in self.average.parameters():
            parameter.fill_(float(len(found)))
        return "fill", {}

    kept: list[float] = []
    monkeypatch.setattr(Corrector, "judge", judge)
    monkeypatch.setattr(Corrector, "step", step)
    monkeypatch.setattr(module, "CHECK", 32)
    monkeypatch.setattr(module, "PATIENCE", 3)
    monkeypatch.setattr(
        module, "over_planes", lambda network, facts, **_: kept.append(float(next(network.parameters())[0, 0, 0, 0]))
    )
    adapt(Rehearsal(seen(drawn.mr)), "linear", start=None, tiles=176)
    assert len(found) - 1 == looks
    # The last look is after the last part, however few have come since the one before.
    assert steps == min(2 * looks, 11)
    # Weights were those of the look before the one that judged them.
    assert best == 0 or kept == [float(best)]


@pytest.mark.parametrize(("kind", "tiles", "parts"), [("mr", None, 64), ("stack", None, 32), ("mr", 16, 16)])
def test_so_many_parts_are_learned_from(
    drawn: phantoms.Phantoms, monkeypatch: Any, kind: str, tiles: int | None, parts: int
) -> None:
    learned: list[int] = []
    monkeypatch.setattr(Corrector, "step", lambda self, seen: (learned.append(seen), {}))
    monkeypatch.setattr(module, "TILES", 32)
    monkeypatch.setattr(module, "TILES_OF_VOLUME", 64)
    view = seen(getattr(drawn, kind), drawn.clouds if kind == "stack" else None)
    adapt(Rehearsal(view), "linear", start=None, tiles=tiles)
    assert 16 * len(learned) == parts


@pytest.mark.parametrize("going_on", [False, True])
def test_a_run_goes_on_at_lower_rates(drawn: phantoms.Phantoms, monkeypatch: Any, going_on: bool) -> None:
    rates: list[float] = []

    def step(self: Corrector, seen: int) -> tuple[str, dict[str, float]]:
        self.optimiser.step()
        self.rate.step()
        rates.append(self.optimiser.param_groups[-1]["lr"])
        return "fill", {}

    monkeypatch.setattr(Corrector, "step", step)
    monkeypatch.setattr("augmentor.learners.corrector.take_over", lambda network, path: 1)
    start: Any = SimpleNamespace(facts=SimpleNamespace(model=Model().model_dump()), file=Path) if going_on else None
    adapt(Rehearsal(seen(drawn.mr)), "linear", start=start, tiles=320)
    assert max(rates) == pytest.approx((GOING_ON if going_on else 1) * RATE, rel=0.1)


def test_an_untrained_network_gives_the_prior(drawn: phantoms.Phantoms, monkeypatch: Any) -> None:
    monkeypatch.setattr(Corrector, "step", lambda self, seen: ("fill", {}))
    rehearsal = Rehearsal(seen(drawn.mr))
    network = adapt(rehearsal, "linear", start=None, tiles=16).network
    assert network is not None
    assert not network(rehearsal.judged_by("linear").own.told[:1], None).any()


def test_a_network_that_learned_for_less_than_a_look_is_looked_at(drawn: phantoms.Phantoms) -> None:
    rehearsal = Rehearsal(seen(drawn.mr))
    network = adapt(rehearsal, "linear", start=None, tiles=640).network
    assert network is not None
    hidden = rehearsal.judged_by("linear").own
    assert network(hidden.told[:1], None).any()


def test_too_little_to_hide_is_said(drawn: phantoms.Phantoms) -> None:
    view = seen(drawn.mr)
    everything = Holes(lambda window: np.ones((1, view.scene.shape[1], window.height, window.width), dtype=bool))
    assert not Rehearsal(View(view.scene, everything, view.scaling)).possible


@pytest.mark.parametrize(
    ("smooth", "period", "blind", "from_rows"),
    [
        ((1.5, 1.5, 1.5), 4, False, True),
        ((0.3, 0.3, 3.0), 4, True, False),
        ((0.3, 0.3, 3.0), 2, True, False),
        # A slice that is missing alone has neighbours as hidden ones have.
        ((0.3, 0.3, 3.0), 12, False, True),
    ],
)
def test_rows_tell_of_slices_that_they_are_like(
    tmp_path: Path, smooth: tuple[float, ...], period: int, blind: bool, from_rows: bool
) -> None:
    values = gaussian_filter(np.random.default_rng(0).normal(size=(64, 64, 40)), smooth) * 5000
    values[:, :, [i for i in range(2, 38) if i % period == 1]] = 0
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), np.eye(4)), tmp_path / "v.nii.gz")
    rehearsal = Rehearsal(seen(tmp_path / "v.nii.gz"))
    assert rehearsal.possible and rehearsal.blind == blind
    assert (len(rehearsal.learn) > len(rehearsal.columns.own)) == from_rows
    assert (rehearsal.judged_by("linear").rows is not None) == (smooth[0] == smooth[2])
    if blind:
        out = tmp_path / "out.nii.gz"
        filled = fill(tmp_path / "v.nii.gz", out, runs=tmp_path, tiles=64)
        assert filled.method.endswith("interpolation between slices (no slice can be hidden as the missing ones are)")
