"""A user's own file with the look of another scanner, kernel, sensor or season, and what it shows kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from augmentor.errors import NothingToFill, RunError
from augmentor.filling.carried import check_place, check_scene, delivered, one_scene, recorded, shown
from augmentor.progress import progress
from augmentor.restyling.change import Changer
from augmentor.restyling.laid import blocks, restyled
from augmentor.restyling.shown import show
from augmentor.restyling.style import Styles, styles
from augmentor.run import TOOL, Run, tool_version
from augmentor.tiles import middle
from data_adapters import Delivery, Patch, Provenance, Scene

METHOD = "T2T-GAN restyling"

FARTHEST = 2.0
"""From the middle of the range that a run knows, in halves of it: beyond that lie other units."""


@dataclass(frozen=True)
class Restyled:
    """What ``restyle`` did: ``files`` written, the main one first; what was changed in words; ``pixels`` changed."""

    files: tuple[Path, ...]
    changed: str
    pixels: int


def restyle(
    source: str | Path | Scene,
    out: str | Path,
    *,
    to: Mapping[str, str],
    own: Mapping[str, str] | None = None,
    name: str = "",
    run: str | Path | None = None,
    runs: str | Path = "runs",
    deliver: Delivery = Delivery(),
) -> Restyled:
    """Give a scene the look that a run (the latest when none is named) has learned for the conditions ``to``.

    ``source`` is where it lies, or the scene itself; ``name`` chooses among several there. What the scene looks like
    now is stated (``own``), or else told by its dates where a condition is their month, or else what fits best; the
    result says which. Other conditions than these are left unknown.

    The inference network finds the latent of each tile, the generator draws it under both styles, and the difference of
    these two, smoothed, is added to the source: edges and detail stay the source's own, and what the run cannot remake
    of it is not touched. Slices and dates are restyled one by one.

    ``out`` is a file, or a folder for a series or stack: the scene in its own format, type and grid, beside it a mask
    of what was made, a record, sums and a picture. What was not observed stays as it is, bit for bit. ``deliver`` is
    done with the files at the end.

    Raises:
        WrongCondition: if the run does not know a condition or value, or the scene has that look already.
        RunError: if the run knows no styles, or no scenes like this one.
        UserError: if ``out`` exists, or the scene cannot be written back. ``source`` is never written to.
    """
    given = source if isinstance(source, Scene) else None
    source, out = source.path if isinstance(source, Scene) else Path(source), Path(out)
    check_place(source, out)
    found = Run.find(run, Path(runs))
    changer = Changer.of(found)
    scene = given or one_scene(source, name)
    check_scene(scene, out, deliver)
    _check_known(scene, found)
    style = styles(scene, changer, found.recipe, own or {}, to)
    provenance = Provenance(
        TOOL,
        tool_version(),
        METHOD,
        found.recipe.digest(),
        found.checkpoint_digest(),
        conditions={**to, "from": style.before},
        source=scene.name,
    )
    work = _Work(scene, changer, style, whole=found.recipe.tiles.cut == "whole")
    patches = work.patches()
    # Known before anything is written.
    if (first := next(patches, None)) is None:
        raise NothingToFill("no pixel is observed", where=source, do="give an image that shows something")
    files = scene.write_filled(out, chain([first], patches), provenance)
    said = style.told()
    noted = {"style": said, "pixels": work.pixels, "files": [file.name for file in files]}
    side_car = recorded(scene, source, out, provenance, noted)
    picture = show(scene, shown(out, files, scene), style.changed, out.with_name(f"{out.name}.png"))
    return Restyled(delivered(scene, out, files, [side_car, picture], deliver), said, work.pixels)


def _check_known(scene: Scene, run: Run) -> None:
    """Raise RunError unless a run was trained on such scenes: of that modality, with those bands, in those units."""
    known = run.facts.template
    channels, own = ([channel.name for channel in side.channels] for side in (known, scene))
    if known.modality and scene.modality and known.modality != scene.modality:
        raise RunError(
            f"knows images of {known.modality}, and this is {scene.modality}", where=run.folder, do="name another run"
        )
    if len(channels) != len(own) or (scene.kind in ("raster", "stack") and channels != own):
        raise RunError(
            f"knows images of {', '.join(channels)}, and this has {', '.join(own)}",
            where=run.folder,
            do="name a run that was trained on such images",
        )
    part = middle(scene)
    pixels = scene.read(scene.shape[1] // 2, 1, part)
    known_ends = run.facts.scaling
    unit = known_ends.to_unit(pixels.values[:, 0])[pixels.valid[:, 0]]
    if unit.size and np.median(np.abs(unit)) > FARTHEST:
        low, high = (", ".join(f"{end:.4g}" for end in ends) for ends in (known_ends.low, known_ends.high))
        raise RunError(
            f"knows values from {low} to {high}, and most of these lie far from there",
            where=run.folder,
            do="name a run that was trained on such units",
        )


@dataclass
class _Work:
    """The restyling of a scene, block by block; ``pixels`` counts those that were changed so far."""

    scene: Scene
    changer: Changer
    style: Styles
    whole: bool
    pixels: int = field(default=0, init=False)

    def patches(self) -> Iterator[Patch]:
        """Every block of every slice that is not in the wanted style already."""
        places = [(block, index) for block in blocks(self.scene, whole=self.whole) for index in self.style.changed]
        with progress("restyle", len(places)) as advance:
            for done, (block, index) in enumerate(places, 1):
                own, to = self.style.own[index], self.style.wanted[index]
                change = partial(self.changer, own=own, wanted=to)
                patch = restyled(self.scene, index, block, self.changer.facts, change, whole=self.whole)
                if patch is not None:
                    self.pixels += int(patch.made.any(axis=0).sum())
                    yield patch
                advance(done, "")
