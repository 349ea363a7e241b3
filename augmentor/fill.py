"""A user's own file with its holes rebuilt, and nothing else touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import NothingToFill, OutputInTheWay, RunError, TooLittleContext, UnclearMask
from augmentor.holes import find
from augmentor.holes.context import look
from augmentor.holes.find import Holes
from augmentor.holes.hide import Column, Hider, Judged, judge
from augmentor.opening import opened
from augmentor.progress import progress
from augmentor.report.pictures import before_and_after
from augmentor.run import TOOL, Run, tool_version
from augmentor.scaling import Scaling
from augmentor.tiles import windows
from data_adapters import Delivery, Patch, Provenance, Scene, Window, open_scenes
from data_adapters.atomic import write_json
from data_adapters.errors import Unwritable
from data_adapters.registry import named_as

BLOCK = 256
"""Side of the blocks that are read and filled one by one, so that a scene may exceed memory."""

MIDDLE = 256
"""Side of the part of a plane that is read to judge a scene by."""

MARGIN = 32
"""Pixels read around a block, so that a hole is filled from all sides."""

REHEARSALS = 12
"""Observed parts that are hidden to see whether a run helps on the scene at hand."""

SHOWN = 4
"""Slices on the before/after picture."""

SHOWN_SIDE = 1024
"""Side of the part of a slice that is shown there."""

Correct = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""What is told of a hole (4C + 3, h, w) -> a correction to the prior (C, h, w), both in [-1, 1] units."""


@dataclass(frozen=True)
class Filled:
    """What ``fill`` did: ``files`` written, the main one first; ``pixels`` rebuilt; and by which ``method``."""

    files: tuple[Path, ...]
    method: str
    holes: str
    pixels: int


def fill(
    source: str | Path,
    out: str | Path,
    *,
    mask: str | Path | None = None,
    mask_means: str = "",
    name: str = "",
    run: str | Path | None = None,
    runs: str | Path = "runs",
    prior_only: bool = False,
    deliver: Delivery = Delivery(),
) -> Filled:
    """Rebuild the missing slices of a series or volume, or the masked or nodata pixels of a raster or stack.

    ``mask`` is a path, or the name of a layer that came with the scene (``scl``); what its values mean is told by its
    name, or by ``mask_means`` (``augmentor.holes.quality``). ``name`` chooses among several scenes at ``source``.

    The correction comes from ``run``, or from the latest fill run below ``runs`` that was trained on this
    kind of scene; without one the classical prior alone is used, and ``method`` says so. ``deliver`` is done with
    the files at the end.

    Raises:
        UserError: if there is nothing to fill, or nothing to fill it from, the geometry is irregular, or
            ``out`` exists. ``source`` is never written to, and ``out`` only when all went well.
    """
    source, out, runs = Path(source), Path(out), Path(runs)
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise OutputInTheWay("exists already", where=out, do="choose another -o")
    if source.resolve() in out.resolve().parents:
        raise OutputInTheWay("lies inside the source", where=out, do="choose another -o")
    if mask_means and mask is None:
        raise UnclearMask(f"{mask_means!r} is the meaning of no mask", do="give --mask, or leave --mask-means out")
    if run is not None and prior_only:
        raise RunError("a run was named, and the prior alone asked for", where=run, do="leave one of them out")
    scene = _one_scene(source, name)
    if named_as(out) not in (None, scene.format):
        raise Unwritable(
            f"is named as {named_as(out)}, and {scene.format} is what is written", where=out, do="rename it"
        )
    if scene.classes:
        raise NothingToFill(
            "holds classes or labels, which have no values between them", where=source, do="fill images"
        )
    deliver.check(scene.format)
    holes, said = find.find(scene, Path(mask) if mask else None, mask_means)
    chosen = None if prior_only else _choose_run(scene, run, runs)
    scaling = _scaling(scene, holes, chosen)
    correct, method = None, f"{_prior_name(scene)} ({'alone, as asked' if prior_only else 'no trained run'})"
    if chosen is not None:
        correct, method = _rehearsed(scene, holes, chosen, scaling)
    provenance = Provenance(
        TOOL,
        tool_version(),
        method,
        chosen.recipe.digest() if chosen else "",
        chosen.checkpoint_digest() if chosen else "",
        source=scene.name,
    )
    touched: dict[int, Window] = {}
    count = 0

    def counted() -> Iterator[Patch]:
        nonlocal count
        for patch in patches(scene, holes, correct, scaling):
            count += int(patch.made.any(axis=0).sum())
            touched.setdefault(patch.slice, patch.window)
            yield patch
        if not count:
            raise NothingToFill(
                "no pixel is to be filled", where=source, do="give --mask, or check that it is not empty"
            )

    files = scene.write_filled(out, counted(), provenance)
    side_car = write_json(
        out.with_name(f"{out.name}.json"),
        {**provenance.as_dict(), "holes": said, "pixels": count, "files": [f.name for f in files]},
    )
    picture = out.with_name(f"{out.name}.png")
    _show(scene, out if len(scene.files) > 1 else files[0], touched, picture)
    beside = deliver(files, scene.dates[0] if len(scene.dates) == 1 else "")
    return Filled((*files, side_car, picture, *beside), method, said, count)


def _one_scene(source: Path, name: str) -> Scene:
    every = opened(source)
    scenes = [scene for scene in every if name in ("", scene.name)]
    if len(scenes) != 1:
        names = ", ".join(scene.name for scene in every[:8]) + (", ..." if len(every) > 8 else "")
        raise NothingToFill(f"holds {len(every)} scenes ({names})", where=source, do="name one of them (--scene)")
    return scenes[0]


def _choose_run(scene: Scene, named: str | Path | None, runs: Path) -> Run | None:
    """The run named, or the latest one that was trained to fill scenes like this one."""
    if named is not None:
        run = Run.find(named, runs)
        if not _suits(run, scene):
            raise RunError("was not trained to fill scenes like this", where=run.folder, do="name another --run")
        return run
    folders = [path.parent for path in runs.glob("*/generator.safetensors") if not path.parent.is_symlink()]
    suited = [run for run in map(Run, folders) if _suits(run, scene)]
    return max(suited, key=lambda run: run.weights.stat().st_mtime, default=None)


def _suits(run: Run, scene: Scene) -> bool:
    """Whether a run fills this kind of scene; volumes go by modality where both state one, rasters by bands."""
    facts = run.facts
    template = facts.template
    if not facts.context or template.kind != scene.kind or facts.channels != scene.shape[0]:
        return False
    if scene.kind == "volume":
        return template.modality == scene.modality or "" in (template.modality, scene.modality)
    return [c.name for c in template.channels] == [c.name for c in scene.channels]


def _prior_name(scene: Scene) -> str:
    if scene.kind == "volume":
        return "linear interpolation between slices"
    return (
        "linear interpolation between dates, matched to the scene" if scene.kind == "stack" else "harmonic inpainting"
    )


def _network(run: Run) -> Correct:
    """The run's correction, over planes of any size, seamless."""
    import torch
    from monai.inferers.utils import sliding_window_inference

    from augmentor.learners.corrector import correct
    from augmentor.networks import load_generator

    facts, generator = run.facts, load_generator(run)

    def apply(told: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            correction = sliding_window_inference(
                torch.from_numpy(told)[None], facts.tile, 16, lambda x: correct(generator, x), 0.5, mode="gaussian"
            )
        return np.asarray(correction[0].numpy())

    return apply


def _rehearsed(scene: Scene, holes: Holes, run: Run, scaling: Scaling) -> tuple[Correct | None, str]:
    """The run's correction as far as it helps on this scene's own observed parts, and what that is called."""
    network = _network(run)
    judged = rehearse(scene, holes, network, scaling)
    gain = np.array(judged.gain if judged else run.facts.gain, dtype=np.float32)
    prior = _prior_name(scene)
    if not gain.any():
        return None, f"{prior} ({run.name} did not beat it here)"
    said = ""
    if judged:
        better = 10 * np.log10(max(judged.prior_error, 1e-12) / max(judged.error, 1e-12))
        said = f" (on hidden observed parts {better:+.2f} dB over it)"
    return lambda told: gain[:, None, None] * network(told), f"T2T-GAN {run.name} over {prior}{said}"


def rehearse(scene: Scene, holes: Holes, correct: Correct, scaling: Scaling) -> Judged | None:
    """Hide observed parts of this very scene, fill them, and say how much of the correction helps here.

    None where too little is observed to hide any of it.
    """
    middle = _middle(scene)
    values, known = _load(scene, middle, holes, scaling)
    volume = scene.kind == "volume"
    if volume:
        # Slots that are empty cannot be hidden from; the rest keep their true distances.
        there = np.asarray(known.all(axis=(1, 2)))
        values, known = values[:, there], known[there]
        positions = [p for p, has in zip(scene.grid.positions, there, strict=True) if has]
    else:
        positions = list(scene.grid.positions)
    if len(known) < (4 if volume else 1) or known.mean() < 0.02:
        return None
    hidden = Hider([Column(values, known, positions)], volume=volume, seed=0).draw(REHEARSALS)
    return judge(np.stack([correct(told) for told in hidden.told]), hidden)


def patches(scene: Scene, holes: Holes, correct: Correct | None, scaling: Scaling) -> Iterator[Patch]:
    """Rebuilt pixels, block by block. Only blocks with holes are read whole."""
    height, width = scene.shape[2:]
    blocks = list(windows(height, width, (BLOCK, BLOCK), 0.0))
    with progress("fill", len(blocks)) as advance:
        done = np.zeros((height, width), dtype=bool)
        for number, block in enumerate(blocks):
            fresh = ~done[block.slices]
            yield from _fill_block(scene, block, fresh, holes, correct, scaling)
            done[block.slices] = True
            advance(number + 1, "")


def _fill_block(
    scene: Scene, block: Window, fresh: NDArray[np.bool_], holes: Holes, correct: Correct | None, scaling: Scaling
) -> Iterator[Patch]:
    made = holes(block) & fresh
    wanted = np.flatnonzero(made.any(axis=(0, 2, 3)))
    if not len(wanted):
        return
    wide, inner = _widen(block, scene)
    values, known = _load(scene, wide, holes, scaling)
    if not known.any():
        raise TooLittleContext(
            f"nothing is observed within {MARGIN} pixels of rows {block.row} to {block.row + block.height}, columns "
            f"{block.column} to {block.column + block.width}",
            where=scene.path,
            do="give a smaller mask, or a stack with other dates",
        )
    for index in map(int, wanted):
        context = look(values, known, scene.grid.positions, index, ~known[index], match=scene.kind != "volume")
        answer = context.prior if correct is None else context.prior + correct(context.told)
        yield Patch(index, block, scaling.to_physical(answer)[:, inner[0], inner[1]], made[:, index])


def _load(
    scene: Scene, window: Window, holes: Holes, scaling: Scaling
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Scaled values (C, S, h, w), and (S, h, w) where every channel of a pixel is known."""
    pixels = scene.read(0, scene.shape[1], window)
    values = np.moveaxis(scaling.to_unit(np.moveaxis(pixels.values, 1, 0)), 0, 1)
    known = np.asarray((pixels.valid & ~holes.hidden(window)).all(axis=0))
    return np.where(known, values, np.float32(0)), known


def _widen(block: Window, scene: Scene) -> tuple[Window, tuple[slice, slice]]:
    """The block with a margin, and where the block lies in it."""
    top, left = max(0, block.row - MARGIN), max(0, block.column - MARGIN)
    bottom = min(scene.shape[2], block.row + block.height + MARGIN)
    right = min(scene.shape[3], block.column + block.width + MARGIN)
    inner = Window(block.row - top, block.column - left, block.height, block.width)
    return Window(top, left, bottom - top, right - left), inner.slices


def _middle(scene: Scene) -> Window:
    """The part of a plane by which a scene is judged."""
    height, width = (min(side, MIDDLE) for side in scene.shape[2:])
    return Window((scene.shape[2] - height) // 2, (scene.shape[3] - width) // 2, height, width)


def _scaling(scene: Scene, holes: Holes, run: Run | None) -> Scaling:
    """The run's scaling where units are physical; the scene's own where they are arbitrary, as in MR."""
    if run is not None and (scene.kind != "volume" or run.recipe.tiles.limits is not None):
        return run.facts.scaling
    middle = _middle(scene)
    pixels = scene.read(0, scene.shape[1], middle)
    known = np.asarray((pixels.valid & ~holes.hidden(middle)).all(axis=0))
    return Scaling.fit(np.moveaxis(pixels.values, 1, 0), known, None)


def filled_scene(out: Path, like: Scene) -> Scene:
    """The scene that ``fill`` wrote to a path, told from the mask of what was made beside it."""
    return next(s for s in open_scenes(out) if s.channels == like.channels and s.shape == like.shape)


def _show(scene: Scene, out: Path, touched: dict[int, Window], picture: Path) -> None:
    """Before, with holes black, beside after: cuts across the slices of a volume, else slices themselves."""
    filled = filled_scene(out, scene)
    if scene.kind == "volume":
        rows, columns = scene.shape[2:]
        cuts = (Window(rows // 2, 0, 1, columns), Window(0, columns // 2, rows, 1))
        pairs = [tuple(_across(s, cut, sorted(touched) if s is scene else []) for s in (scene, filled)) for cut in cuts]
    else:
        pairs = []
        for index, block in sorted(touched.items())[:SHOWN]:
            part = _around(block, scene)
            made = filled.read(index, 1, part)
            pixels = scene.read(index, 1, part)
            same = (pixels.values == made.values) & pixels.valid
            pairs.append((np.where(same, pixels.values, np.nan)[:, 0], made.values[:, 0]))
    before_and_after(pairs, [c.name for c in scene.channels], picture)


def _around(block: Window, scene: Scene) -> Window:
    """The part of a plane that is shown: all of it, or, of a large one, what lies around a block that was filled."""
    height, width = (min(side, SHOWN_SIDE) for side in scene.shape[2:])
    row = min(max(0, block.row + (block.height - height) // 2), scene.shape[2] - height)
    column = min(max(0, block.column + (block.width - width) // 2), scene.shape[3] - width)
    return Window(row, column, height, width)


def _across(scene: Scene, cut: Window, missing: list[int]) -> NDArray[Any]:
    """A plane across the slices, (C, S, length), its slices as thick as they are."""
    plane = scene.read(0, scene.shape[1], cut).values.astype(float)
    plane = plane.reshape(*plane.shape[:2], -1)
    plane[:, missing] = np.nan
    thick = max(1, round(scene.grid.spacing[0] / scene.grid.spacing[1]))
    return np.asarray(np.repeat(plane, thick, axis=1)[:, ::-1])
