"""A date that was never acquired, or a slice between two: made from the others, with the doubt drawn in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from augmentor.errors import Extrapolation, NothingToFill, RunError, UnclearMask
from augmentor.filling.blocks import anything, check_reach
from augmentor.filling.carried import carry_out, check_place, check_scene, one_scene
from augmentor.filling.choose import scaling
from augmentor.filling.chosen import choose
from augmentor.filling.season import Season
from augmentor.filling.show import show_between
from augmentor.filling.view import View
from augmentor.holes.between import never_acquired, unseen
from augmentor.holes.find import masked
from augmentor.holes.grow import grown
from augmentor.run import TOOL, tool_version
from data_adapters import Delivery, Provenance, Scene
from data_adapters.between import Between, between

TILES = 8_000
"""Hidden parts that are learned from, at most: what dates have in common is soon learned, and what is theirs alone does
not help."""


@dataclass(frozen=True)
class Interpolated:
    """What ``interpolate`` made: ``files``, the main one first; what lies there ``between``; by which ``method``, how
    well."""

    files: tuple[Path, ...]
    between: str
    method: str
    expected_error: str


def interpolate(
    source: str | Path | Scene,
    out: str | Path,
    *,
    at: str,
    mask: str | Path | None = None,
    mask_means: str = "",
    grow: int = 0,
    extrapolate: bool = False,
    name: str = "",
    prior_only: bool = False,
    tiles: int = TILES,
    sharp: bool = False,
    deliver: Delivery = Delivery(),
) -> Interpolated:
    """Make the scene of a date that a stack lacks, or the slice of a volume at a place between two.

    ``at`` is a date (``2018-06-20``), or a distance in mm from the first slice (``12.5``). ``source`` is where the
    scene lies, or the scene itself. What a ``mask`` says to be covered (clouds) is not looked at; it is a path, or the
    name of a layer that came with the scene, and ``mask_means`` and ``grow`` are as in ``fill``. ``name`` chooses among
    several scenes at ``source``.

    Whole dates (slices) of the scene's own are hidden in turn. Some tell which classical answer is best, and what is to
    be expected of it; from others a T2T-GAN learns to correct it, from at most so many ``tiles``, told of the dates
    before and after, how far they are, and of the season. It is followed as far as it helped on dates that it did not
    learn from; with ``prior_only`` it is not asked. Beyond the first or last date, dates are hidden with all that lie
    beyond them, and it has to be asked for (``extrapolate``); beyond the first or last slice that one is repeated.
    ``sharp`` gives a sample of what may be there in place of the best guess.

    ``out`` is a file, or a folder for one: a date or slice in the scene's own format, type, scaling and grid, beside it
    the ends of the interval that is to hold nine in ten truths, and a record. ``deliver`` is done with them at the end.

    Raises:
        Extrapolation: if ``at`` lies beyond what is known, and that was not asked for.
        WrongPlace: if it is neither date nor distance, or the scene has it.
        UserError: if there is nothing to interpolate between, or ``out`` exists. ``source`` is never written to.
    """
    given = source if isinstance(source, Scene) else None
    source, out = source.path if isinstance(source, Scene) else Path(source), Path(out)
    check_place(source, out)
    if (mask_means or grow) and mask is None:
        raise UnclearMask("there is no mask", do="give --mask, or leave --mask-means and --grow out")
    if prior_only and sharp:
        raise RunError("a sample was asked for, and the prior alone", do="leave one of them out")
    scene = given or one_scene(source, name)
    check_scene(scene, out, deliver)
    covered = grown(masked(scene, Path(mask), mask_means), scene, grow) if mask is not None else None
    wanted = replace(between(scene, at), unseen=unseen(scene, covered))
    if len(wanted.beside) == 1 and not extrapolate:
        raise Extrapolation(
            f"{wanted.at} lies beyond what is seen, {_span(wanted)}",
            where=source,
            do="give --extrapolate to go on from there, or a place within",
        )
    holes = never_acquired(wanted, covered)
    season = (Season(wanted),) if scene.kind == "stack" else ()
    view = View(wanted, holes, scaling(wanted, holes, None), season)
    if not anything(view):
        raise NothingToFill("nothing is known of what lies beside it", where=source, do="check --mask and its meaning")
    check_reach(view)
    # Of slices at other places than equal steps, none can be hidden as the one that is asked about.
    learning = not prior_only and (scene.kind == "stack" or wanted.finer_scene is not None)
    reason = "alone, as asked" if prior_only else "at no equal step between slices"
    choice = choose(view, None, learning, tiles, reason)
    lies = _lies(wanted)
    provenance = Provenance(TOOL, tool_version(), choice.method, source=scene.name, conditions={"at": wanted.at})
    done = carry_out(
        view,
        choice,
        source,
        out,
        provenance,
        {"holes": f"all of {wanted.at}, {lies}", "at": wanted.at},
        picture=partial(show_between, wanted),
        sharp=sharp,
        deliver=deliver,
    )
    return Interpolated(done.files, lies, choice.method, done.expected_error)


def _span(wanted: Between) -> str:
    """From where to where a scene is seen."""
    scene = wanted.scene
    seen = [index for index in range(scene.shape[1]) if index not in wanted.lacking]
    first, last = seen[0], seen[-1]
    if scene.dates:
        return f"{scene.dates[first]} to {scene.dates[last]}"
    return f"{scene.grid.positions[first]:.6g} to {scene.grid.positions[last]:.6g} {scene.grid.unit}"


def _lies(wanted: Between) -> str:
    """What a slot lies between, or beyond, in words."""
    positions, unit = wanted.grid.positions, wanted.grid.unit

    def to(other: int) -> str:
        away = f"{abs(positions[other] - positions[wanted.slot]):.4g}"
        # Slices are counted as the scene has them.
        slice = wanted.own.index(other)
        return f"{away} days from {wanted.dates[other]}" if wanted.dates else f"{away} {unit} from slice {slice}"

    return ("" if wanted.inside else "beyond all others, ") + ", ".join(map(to, wanted.beside))
