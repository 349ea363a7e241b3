"""A user's own file with its holes rebuilt, and nothing else touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from augmentor.errors import NothingToFill, RunError, UnclearMask, WrongSpacing
from augmentor.filling.auxiliary import auxiliary
from augmentor.filling.blocks import anything, check_reach
from augmentor.filling.carried import carry_out, check_place, check_scene, one_scene
from augmentor.filling.choose import choose_run, scaling
from augmentor.filling.chosen import choose
from augmentor.filling.show import show
from augmentor.filling.view import View
from augmentor.holes import find
from augmentor.run import TOOL, tool_version
from data_adapters import Delivery, Provenance, Scene


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
    aux: str | Path | Sequence[str | Path] = (),
    mask_means: str = "",
    grow: int = 0,
    spacing: float | None = None,
    extrapolate: bool = False,
    name: str = "",
    run: str | Path | None = None,
    runs: str | Path = "runs",
    prior_only: bool = False,
    adapting: bool | None = None,
    tiles: int | None = None,
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

    What corrects the classical answer is ``run``, or the latest fill run below ``runs`` that was trained on this
    kind of scene. With ``adapting`` a network learns on the scene itself, from that run where there is one, for as
    long as that helps and for at most so many ``tiles`` (40,000 of a volume, else 24,000); without a run that is
    what is done unless ``prior_only``. ``method`` says what was used. ``sharp`` gives a sample of what may have
    been there in place of the best guess. ``deliver`` is done with the files at the end.

    Raises:
        UserError: if there is nothing to fill, or nothing to fill it from, nothing says which slices are missing, or
            ``out`` exists. ``source`` is never written to, and ``out`` only when all went well.
    """
    given = source if isinstance(source, Scene) else None
    source, out, runs = source.path if isinstance(source, Scene) else Path(source), Path(out), Path(runs)
    aux = (aux,) if isinstance(aux, str | Path) else tuple(aux)
    check_place(source, out)
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
    scene = given or one_scene(source, name)
    check_scene(scene, out, deliver)
    if spacing is not None:
        scene = find.refined(scene, spacing)
    holes, said = find.find(scene, Path(mask) if mask else None, mask_means, grow=grow, extrapolate=extrapolate)
    if spacing is not None:
        said += f" of {scene.shape[1]} that lie {scene.grid.spacing[0]:.4g} {scene.grid.unit} apart"
    # A run has learned nothing of auxiliary rasters; what learns on the scene itself does.
    chosen = None if prior_only or aux else choose_run(scene, run, runs)
    beside = tuple(auxiliary(Path(path), scene) for path in aux)
    view = View(scene, holes, scaling(scene, holes, chosen), beside)
    if not anything(view):
        raise NothingToFill("no pixel is to be filled", where=source, do="give --mask, or check that it is not empty")
    check_reach(view)
    if adapting is None:
        adapting = chosen is None and not prior_only
    reason = "alone, as asked" if prior_only else "no trained run"
    choice = choose(view, chosen, adapting, tiles, reason)
    provenance = Provenance(
        TOOL,
        tool_version(),
        choice.method,
        chosen.recipe.digest() if chosen else "",
        chosen.checkpoint_digest() if chosen else "",
        source=scene.name,
    )
    done = carry_out(
        view,
        choice,
        source,
        out,
        provenance,
        {"holes": said, "auxiliary": [raster.placed.cover.name for raster in beside]},
        picture=partial(show, scene),
        sharp=sharp,
        deliver=deliver,
    )
    return Filled(done.files, choice.method, said, done.pixels, done.expected_error)
