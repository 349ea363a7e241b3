"""A user's own file with its holes rebuilt, and nothing else touched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from augmentor.errors import NothingToFill, OutputInTheWay, RunError, UnclearMask, WrongSpacing
from augmentor.filling.adapt import TILES, adapt, by_run
from augmentor.filling.answer import Answer
from augmentor.filling.auxiliary import auxiliary
from augmentor.filling.blocks import anything, rebuilt
from augmentor.filling.choose import choose_run, scaling
from augmentor.filling.rehearsal import TILE, Rehearsal
from augmentor.filling.show import show
from augmentor.filling.spool import Spool
from augmentor.filling.view import View
from augmentor.holes import find
from augmentor.holes.judge import Judged
from augmentor.opening import opened
from augmentor.run import TOOL, Run, tool_version
from data_adapters import Delivery, Provenance, Scene
from data_adapters.atomic import write_json
from data_adapters.errors import Unwritable
from data_adapters.fixity import file_digest
from data_adapters.registry import named_as
from data_adapters.sums import SUFFIX, Sums

BOUNDS = {"low": -1, "high": 1}
"""The ends of the interval, by the names of the files that hold them."""

CLASSICAL = {
    "volume": "{} interpolation between slices",
    "stack": "{} interpolation between dates, matched to the scene",
    "raster": "harmonic inpainting",
    "image": "harmonic inpainting",
}


@dataclass(frozen=True)
class Filled:
    """What ``fill`` did: ``files`` written, the main one first; ``pixels`` rebuilt, by which ``method``, how well."""

    files: tuple[Path, ...]
    method: str
    holes: str
    pixels: int
    expected_error: str


def fill(
    source: str | Path | Scene,
    out: str | Path,
    *,
    mask: str | Path | None = None,
    aux: Sequence[str | Path] = (),
    mask_means: str = "",
    grow: int = 0,
    spacing: float | None = None,
    extrapolate: bool = False,
    name: str = "",
    run: str | Path | None = None,
    runs: str | Path = "runs",
    prior_only: bool = False,
    adapting: bool | None = None,
    tiles: int = TILES,
    sharp: bool = False,
    deliver: Delivery = Delivery(),
) -> Filled:
    """Rebuild the missing slices of a series or volume, or the masked or nodata pixels of a raster or stack.

    ``source`` is where it lies, or the scene itself.
    ``mask`` is a path, or the name of a layer that came with the scene (``scl``); what its values mean is told by its
    name, or by ``mask_means`` (``augmentor.holes.quality``); ``grow`` widens it by so many pixels. ``name`` chooses
    among several scenes at ``source``.
    ``aux`` are paths of what shows more of the scene, holes or not, on its grid or on one coarser by a whole factor:
    radar, elevation, another sensor, another contrast. The network is told of them; it learns on the scene itself.
    With ``spacing``, slices of a volume are missing between its own, too, so that all are so many mm apart. Slices
    beyond the last one that is known are filled where it is asked to ``extrapolate``.

    What corrects the classical answer is ``run``, or the latest fill run below ``runs`` that was trained on this kind
    of scene. With ``adapting`` a network learns on the scene itself, from that run where there is one, for as long as
    that helps and for at most so many ``tiles``; without a run that is what is done unless ``prior_only``. ``method``
    says what was used. ``sharp`` gives a sample of what may have been there in place of the best guess. ``deliver`` is
    done with the files at the end.

    Raises:
        UserError: if there is nothing to fill, or nothing to fill it from, nothing says which slices are missing, or
            ``out`` exists. ``source`` is never written to, and ``out`` only when all went well.
    """
    given = source if isinstance(source, Scene) else None
    source, out, runs = source.path if isinstance(source, Scene) else Path(source), Path(out), Path(runs)
    bounds = {_beside(out, name): side for name, side in BOUNDS.items()}
    for path in (out, *bounds):
        if path.exists() and (path.is_file() or any(path.iterdir())):
            raise OutputInTheWay("exists already", where=path, do="choose another -o")
    if Path(os.path.realpath(source)) in Path(os.path.realpath(out)).parents:
        raise OutputInTheWay("lies inside the source", where=out, do="choose another -o")
    if mask_means and mask is None:
        raise UnclearMask(f"{mask_means!r} is the meaning of no mask", do="give --mask, or leave --mask-means out")
    if grow and mask is None:
        raise UnclearMask("there is no mask to grow", do="give --mask, or leave --grow out")
    if spacing is not None and mask is not None:
        raise WrongSpacing("a mask lies on the slices that are there", do="fill first, and give --spacing afterwards")
    if prior_only and (run is not None or adapting or sharp):
        what = (
            "a run was named" if run is not None else "learning was asked for" if adapting else "a sample was asked for"
        )
        raise RunError(f"{what}, and the prior alone", where=run, do="leave one of them out")
    if aux and (prior_only or run is not None or adapting is False):
        raise RunError(
            "an auxiliary raster tells a network that learns on the scene itself alone",
            where=aux[0],
            do="leave --aux out, or --run, --no-adapt and --prior-only",
        )
    scene = given or _one_scene(source, name)
    if named_as(out) not in (None, scene.format):
        raise Unwritable(
            f"is named as {named_as(out)}, and {scene.format} is what is written", where=out, do="rename it"
        )
    if scene.classes:
        raise NothingToFill(
            "holds classes or labels, which have no values between them", where=source, do="fill images"
        )
    deliver.check(scene.format)
    if spacing is not None:
        scene = find.refined(scene, spacing)
    holes, said = find.find(scene, Path(mask) if mask else None, mask_means, grow=grow, extrapolate=extrapolate)
    if spacing is not None:
        said += f" of {scene.shape[1]} that lie {scene.grid.spacing[0]:.4g} {scene.grid.unit} apart"
    # A run has learned nothing of auxiliary rasters; what learns on the scene itself does.
    chosen = None if prior_only or aux else choose_run(scene, run, runs)
    view = View(scene, holes, scaling(scene, holes, chosen), tuple(auxiliary(Path(path), scene) for path in aux))
    if not anything(view):
        raise NothingToFill("no pixel is to be filled", where=source, do="give --mask, or check that it is not empty")
    if adapting is None:
        adapting = chosen is None and not prior_only
    reason = "alone, as asked" if prior_only else "no trained run"
    choice = _choose(view, chosen, adapting, tiles, reason)
    answer, method = replace(choice.answer, sharp=sharp), choice.method
    expected = _expected(choice, view)
    provenance = Provenance(
        TOOL,
        tool_version(),
        method,
        chosen.recipe.digest() if chosen else "",
        chosen.checkpoint_digest() if chosen else "",
        source=scene.name,
    )
    with Spool() as spool:
        for patch, half in rebuilt(view, answer):
            spool.put(patch, half)
        files = scene.write_filled(out, spool.patches(), provenance)
        interval: dict[Path, list[Path]] = {}
        for number, (path, side) in enumerate(bounds.items() if answer.doubt else (), 1):
            of_bound = scene.write_filled(path, spool.patches(side), replace(provenance, index=number), marked=False)
            interval[_shown(path, of_bound, scene)] = of_bound
    side_car = write_json(
        out.with_name(f"{out.name}.json"),
        {
            **provenance.as_dict(),
            "sources": {_named(path, source): file_digest(path) for path in scene.files},
            "holes": said,
            "auxiliary": [raster.placed.cover.name for raster in view.auxiliary],
            "pixels": spool.pixels,
            "expected error": expected,
            "files": [f.name for f in files],
            "interval": [f.name for of_bound in interval.values() for f in of_bound],
        },
    )
    picture = out.with_name(f"{out.name}.png")
    show(scene, _shown(out, files, scene), list(interval), spool.touched, picture)
    written = [*files, *chain.from_iterable(interval.values()), side_car, picture]
    try:
        written += deliver(files, scene.dates[0] if len(scene.dates) == 1 else "")
    finally:
        sums = Sums(out.with_name(f"{out.name}{SUFFIX}")).finish(written, changed=written)
    return Filled((*written, sums), method, said, spool.pixels, expected)


def _named(file: Path, source: Path) -> str:
    """A file of the source by its place in it."""
    return file.relative_to(source).as_posix() if file != source and file.is_relative_to(source) else file.name


def _shown(out: Path, files: list[Path], scene: Scene) -> Path:
    """Where a scene was written: the folder of one of several files, else its file."""
    return out if len(scene.files) > 1 else files[0]


def _one_scene(source: Path, name: str) -> Scene:
    every = opened(source)
    scenes = [scene for scene in every if name in ("", scene.name)]
    if len(scenes) != 1:
        names = ", ".join(scene.name for scene in every[:8]) + (", ..." if len(every) > 8 else "")
        raise NothingToFill(f"holds {len(every)} scenes ({names})", where=source, do="name one of them (--scene)")
    return scenes[0]


class Choice(NamedTuple):
    """What fills a scene, what that is called, and how it did on hidden parts, where any could be hidden."""

    answer: Answer
    method: str
    judged: Judged | None


def _choose(view: View, run: Run | None, adapting: bool, tiles: int, reason: str) -> Choice:
    """The answer that comes closest on the scene's own hidden parts: a network's over a prior, or a prior's alone.

    ``reason`` is said where no network is asked.
    """
    rehearsal = Rehearsal(view, run.facts.tile if run else TILE)
    if not rehearsal.possible:
        if run is None:
            return Choice(
                Answer("linear"), f"{_classical(view, 'linear')} (too little is observed to learn from)", None
            )
        return Choice(replace(by_run(run, view), gain=run.facts.gain), f"T2T-GAN {run.name}", None)
    best = rehearsal.best_prior()
    trial = rehearsal.judged_by(best)
    alone, least = Answer(best).judged(trial)
    classical = Choice(alone, f"{_classical(view, best)} ({reason})", least)
    if rehearsal.blind and (adapting or run is not None):
        return classical._replace(method=f"{_classical(view, best)} (no slice can be hidden as the missing ones are)")
    if adapting:
        network = adapt(rehearsal, best, start=run, tiles=tiles)
    elif run is not None:
        network = by_run(run, view)
    else:
        return classical
    answer, judged = network.judged(trial if network.prior == best else rehearsal.judged_by(network.prior))
    who = f"T2T-GAN {run.name}" if run else "T2T-GAN"
    who += ", learned on the scene itself" if adapting else ""
    if judged.error >= least.error:
        return classical._replace(method=f"{_classical(view, best)} ({who} did not beat it here)")
    better = 10 * np.log10(least.error / judged.error)
    return Choice(
        answer,
        f"{who}, over {_classical(view, network.prior)} (on hidden observed parts {better:+.2f} dB over it)",
        judged,
    )


def _classical(view: View, prior: str) -> str:
    return CLASSICAL[view.scene.kind].format(prior)


def _expected(choice: Choice, view: View) -> str:
    """How wrong a rebuilt pixel is to be expected to be, in the scene's own units."""
    if choice.judged is None:
        return "unknown: too little is observed to hide any of it"
    error = view.scaling.extent(np.sqrt(choice.judged.errors)[:, None, None])[:, 0, 0]
    unit = view.scene.channels[0].unit
    spread = f"{error.mean():.3g}" if len(error) == 1 else f"{error.min():.3g} to {error.max():.3g} by channel"
    return f"{spread}{' ' + unit if unit else ''} (root mean square, by hiding observed pixels)"


def _beside(out: Path, what: str) -> Path:
    """``x_low.nii.gz`` for ``x.nii.gz``, ``series_low`` for a folder ``series``."""
    stem, dot, suffixes = out.name.partition(".") if out.suffix else (out.name, "", "")
    return out.with_name(f"{stem}_{what}{dot}{suffixes}")
