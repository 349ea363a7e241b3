"""A user's own file with its holes rebuilt, and nothing else touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import NothingToFill, OutputInTheWay, RunError
from augmentor.holes import find
from augmentor.holes.context import look
from augmentor.holes.find import Holes
from augmentor.progress import progress
from augmentor.report.pictures import before_and_after
from augmentor.run import TOOL, Run, tool_version
from augmentor.scaling import Scaling
from augmentor.tiles import windows
from data_adapters import Patch, Provenance, Scene, Window, open_scenes
from data_adapters.atomic import write_json

BLOCK = 256
"""Side of the blocks that are read and filled one by one, so that a scene may exceed memory."""

MARGIN = 32
"""Pixels read around a block, so that a hole is filled from all sides."""

SHOWN = 4
"""Slices on the before/after picture."""

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
    source: Path,
    out: Path,
    *,
    mask: Path | None = None,
    run: str | Path | None = None,
    runs: Path = Path("runs"),
    prior_only: bool = False,
) -> Filled:
    """Rebuild the missing slices of a series or volume, or the masked or nodata pixels of a raster or stack.

    The correction comes from ``run``, or from the latest fill run below ``runs`` that was trained on this
    kind of scene; without one the classical prior alone is used, and ``method`` says so.

    Raises:
        UserError: if there is nothing to fill, the geometry is irregular, or ``out`` exists; ``source`` is
            never written to.
    """
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise OutputInTheWay("exists already", where=out, do="choose another -o")
    scene = _one_scene(source)
    holes, said = find.find(scene, mask)
    chosen = None if prior_only else _choose_run(scene, run, runs)
    correct, scaling, method = _method(scene, chosen)
    provenance = Provenance(
        TOOL,
        tool_version(),
        method,
        chosen.recipe.digest() if chosen else "",
        chosen.checkpoint_digest() if chosen else "",
        source=scene.name,
    )
    touched: list[int] = []
    count = 0

    def counted() -> Iterator[Patch]:
        nonlocal count
        for patch in patches(scene, holes, correct, scaling):
            count += int(patch.made.any(axis=0).sum())
            if patch.slice not in touched:
                touched.append(patch.slice)
            yield patch
        if not count:
            raise NothingToFill("no pixel is to be filled", where=source, do="give --mask, or check that it is not empty")

    files = scene.write_filled(out, counted(), provenance)
    side_car = write_json(
        out.with_name(f"{out.name}.json"),
        {**provenance.as_dict(), "holes": said, "pixels": count, "files": [f.name for f in files]},
    )
    picture = out.with_name(f"{out.name}.png")
    _show(scene, files[0] if scene.kind != "stack" and len(scene.files) == 1 else out, sorted(touched), picture)
    return Filled((*files, side_car, picture), method, said, count)


def _one_scene(source: Path) -> Scene:
    scenes = open_scenes(source)
    if len(scenes) > 1:
        names = ", ".join(scene.name for scene in scenes[:4])
        raise NothingToFill(f"holds {len(scenes)} scenes ({names}, ...)", where=source, do="name one of them")
    return scenes[0]


def _choose_run(scene: Scene, named: str | Path | None, runs: Path) -> Run | None:
    """The run named, or the latest one that was trained to fill scenes like this one."""
    if named is not None:
        run = Run.find(named, runs)
        if not _suits(run, scene):
            raise RunError("was not trained to fill scenes like this", where=run.folder, do="name another --run")
        return run
    found = [Run(p.parent) for p in runs.glob("*/facts.json") if not p.parent.is_symlink()]
    found.sort(key=lambda run: (run.folder / "facts.json").stat().st_mtime)
    suited = [run for run in found if _suits(run, scene)]
    return suited[-1] if suited else None


def _suits(run: Run, scene: Scene) -> bool:
    facts = run.facts
    template = facts.template
    alike = {template.modality, scene.modality} in ({template.modality}, {"", template.modality})
    return bool(
        facts.context and alike and template.kind == scene.kind and [c.name for c in template.channels]
        == [c.name for c in scene.channels]
    ) or bool(facts.context and alike and template.kind == scene.kind == "volume" and facts.channels == scene.shape[0])


def _method(scene: Scene, run: Run | None) -> tuple[Correct | None, Scaling | None, str]:
    """The correction, the scaling it lives in, and what the whole is called."""
    prior = "linear interpolation between slices" if scene.kind == "volume" else (
        "linear interpolation between dates, matched to the scene" if scene.kind == "stack" else "harmonic inpainting"
    )
    if run is None or not any(run.facts.gain):
        why = "no trained run" if run is None else f"{run.name} did not beat it on held-out data"
        return None, None, f"{prior} ({why})"
    return _network(run), run.facts.scaling, f"T2T-GAN {run.name} over {prior}"


def _network(run: Run) -> Correct:
    import torch
    from monai.inferers.utils import sliding_window_inference

    from augmentor.networks import load_generator
    from augmentor.train_fill import correct

    facts, generator = run.facts, load_generator(run)
    gain = torch.tensor(facts.gain)[:, None, None]

    def apply(told: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            correction = sliding_window_inference(
                torch.from_numpy(told)[None], facts.tile, 16, lambda x: correct(generator, x), 0.5, mode="gaussian"
            )
        return np.asarray((correction[0] * gain).numpy())

    return apply


def patches(scene: Scene, holes: Holes, correct: Correct | None, scaling: Scaling | None) -> Iterator[Patch]:
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
    scene: Scene, block: Window, fresh: NDArray[np.bool_], holes: Holes, correct: Correct | None, scaling: Scaling | None
) -> Iterator[Patch]:
    made = holes(block) & fresh
    wanted = np.flatnonzero(made.any(axis=(0, 2, 3)))
    if not len(wanted):
        return
    wide, inner = _widen(block, scene)
    pixels = scene.read(0, scene.shape[1], wide)
    hole = holes(wide)
    scaling = scaling or _own_scaling(pixels.values, pixels.valid & ~hole)
    values = np.moveaxis(scaling.to_unit(np.moveaxis(pixels.values, 1, 0)), 0, 1)
    # A pixel is known where every channel of it is.
    known = (pixels.valid & ~hole).all(axis=0)
    for index in wanted:
        context = look(
            values, known, scene.grid.positions, int(index), ~known[index], match=scene.kind != "volume"
        )
        answer = context.prior if correct is None else context.prior + correct(context.told)
        physical = scaling.to_physical(answer)[:, inner[0], inner[1]]
        yield Patch(int(index), block, physical, made[:, index])


def _widen(block: Window, scene: Scene) -> tuple[Window, tuple[slice, slice]]:
    """The block with a margin, and where the block lies in it."""
    top, left = max(0, block.row - MARGIN), max(0, block.column - MARGIN)
    bottom = min(scene.shape[2], block.row + block.height + MARGIN)
    right = min(scene.shape[3], block.column + block.width + MARGIN)
    inner = Window(block.row - top, block.column - left, block.height, block.width)
    return Window(top, left, bottom - top, right - left), inner.slices


def _own_scaling(values: NDArray[Any], known: NDArray[np.bool_]) -> Scaling:
    """A scaling from the block's own known values, for the prior alone."""
    tiles = np.moveaxis(values, 1, 0)
    return Scaling.fit(tiles, np.moveaxis(known, 1, 0).all(axis=1), None)


def _show(scene: Scene, out: Path, touched: list[int], picture: Path) -> None:
    """Before, with holes black, beside after: cuts across the slices of a volume, else slices themselves."""
    filled = next(s for s in open_scenes(out) if s.channels == scene.channels and s.shape == scene.shape)
    if scene.kind == "volume":
        rows, columns = scene.shape[2:]
        cuts = (Window(rows // 2, 0, 1, columns), Window(0, columns // 2, rows, 1))
        pairs = [tuple(_across(s, cut, touched if s is scene else []) for s in (scene, filled)) for cut in cuts]
    else:
        pairs = []
        for index in touched[:SHOWN]:
            made = filled.read(index, 1)
            pixels = scene.read(index, 1)
            same = (pixels.values == made.values) & pixels.valid
            pairs.append((np.where(same, pixels.values, np.nan)[:, 0], made.values[:, 0]))
    before_and_after(pairs, [c.name for c in scene.channels], picture)


def _across(scene: Scene, cut: Window, missing: list[int]) -> NDArray[Any]:
    """A plane across the slices, (C, S, length), its slices as thick as they are."""
    plane = scene.read(0, scene.shape[1], cut).values.astype(float)
    plane = plane.reshape(*plane.shape[:2], -1)
    plane[:, missing] = np.nan
    thick = max(1, round(scene.grid.spacing[0] / scene.grid.spacing[1]))
    return np.asarray(np.repeat(plane, thick, axis=1)[:, ::-1])
