"""Filling carried out: the rebuilt pixels, their interval, and what says of them what they are, beside each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from augmentor.errors import NothingToFill, OutputInTheWay
from augmentor.filling.blocks import rebuilt
from augmentor.filling.chosen import Choice, expected
from augmentor.filling.spool import Spool
from augmentor.filling.view import View
from augmentor.opening import opened
from augmentor.progress import note
from data_adapters import Delivery, Provenance, Scene
from data_adapters.atomic import write_json
from data_adapters.between import Between
from data_adapters.errors import Unwritable
from data_adapters.fixity import file_digest
from data_adapters.naming import named_beside
from data_adapters.registry import named_as
from data_adapters.sums import SUFFIX, Sums

BOUNDS = {"low": -1, "high": 1}
"""The ends of the interval, by the names of the files that hold them."""

SIDE_CAR = ".json"
PICTURE = ".png"


class Show(Protocol):
    """Draws what was filled, at ``out``, and its ``bounds``; ``spool`` tells what was made."""

    def __call__(self, out: Path, bounds: list[Path], spool: Spool, picture: Path) -> None: ...


class Carried(NamedTuple):
    """``files`` written, the main one first; ``pixels`` rebuilt, and how wrong one is to be expected to be."""

    files: tuple[Path, ...]
    pixels: int
    expected_error: str


def check_place(source: Path, out: Path) -> None:
    """Raise OutputInTheWay unless nothing is at ``out``, nor where what goes beside it goes, and it lies outside
    ``source``, which is never written to."""
    beside = (out.with_name(f"{out.name}{suffix}") for suffix in (SIDE_CAR, PICTURE, SUFFIX))
    for path in (out, *_bounds(out), named_beside(out, "made"), *beside):
        if path.exists() and (path.is_file() or any(path.iterdir())):
            raise OutputInTheWay("exists already", where=path, do="choose another -o")
    if Path(os.path.realpath(source)) in Path(os.path.realpath(out)).parents:
        raise OutputInTheWay("lies inside the source", where=out, do="choose another -o")


def check_scene(scene: Scene, out: Path, deliver: Delivery) -> None:
    """Raise a UserError unless a scene can be filled, and written to ``out`` and delivered."""
    if named_as(out) not in (None, scene.format):
        raise Unwritable(
            f"is named as {named_as(out)}, and {scene.format} is what is written", where=out, do="rename it"
        )
    if scene.classes:
        raise NothingToFill(
            "holds classes or labels, which have no values between them",
            where=scene.path,
            do="fill images, or say in the file that it is one (docs/formats.md)",
        )
    deliver.check(scene.format)


def one_scene(source: Path, name: str) -> Scene:
    """The scene at ``source``, of several the one of that ``name``.

    Raises:
        NothingToFill: if there is not just one.
    """
    every = opened(source)
    scenes = [scene for scene in every if name in ("", scene.name)]
    if len(scenes) != 1:
        names = ", ".join(scene.name for scene in every[:8]) + (", ..." if len(every) > 8 else "")
        raise NothingToFill(f"holds {len(every)} scenes ({names})", where=source, do="name one of them (--scene)")
    return scenes[0]


def carry_out(
    view: View,
    choice: Choice,
    source: Path,
    out: Path,
    provenance: Provenance,
    told: Mapping[str, Any],
    *,
    picture: Show,
    sharp: bool,
    deliver: Delivery,
) -> Carried:
    """Rebuild what a view of the scene at ``source`` lacks, and write it to ``out``, its interval beside it.

    The side-car says whose it is, what is ``told`` of it, and which files went into it. ``sharp`` gives a sample of
    what may be there in place of the best guess. ``deliver`` is done with the files at the end.
    """
    scene = view.scene
    if sharp and choice.answer.followed is None:
        note("there is one answer alone, and no sample of others: no network is followed here")
    with Spool(scene.template().steps) as spool:
        for patch, guess, half in rebuilt(view, replace(choice.answer, sharp=sharp), choice.at_ends):
            spool.put(patch, guess, half)
        # That took its time, and another may have written there meanwhile.
        check_place(source, out)
        files = scene.write_filled(out, spool.patches(), provenance)
        interval: dict[Path, list[Path]] = {}
        for number, (path, side) in enumerate(_bounds(out).items() if choice.answer.doubt else (), 1):
            of_bound = scene.write_filled(path, spool.patches(side), replace(provenance, index=number), marked=False)
            interval[shown(path, of_bound, scene)] = of_bound
        drawn = out.with_name(f"{out.name}{PICTURE}")
        picture(shown(out, files, scene), list(interval), spool, drawn)
    said = expected(choice, view)
    noted = {
        **told,
        "pixels": spool.pixels,
        "expected error": said,
        "files": [f.name for f in files],
        "interval": [f.name for of_bound in interval.values() for f in of_bound],
    }
    side_car = recorded(scene, source, out, provenance, noted)
    beside = [*chain.from_iterable(interval.values()), side_car, drawn]
    return Carried(delivered(scene, out, files, beside, deliver), spool.pixels, said)


def recorded(scene: Scene, source: Path, out: Path, provenance: Provenance, told: Mapping[str, Any]) -> Path:
    """Write the side-car of what was made of a scene: by whom, of which files, and what is ``told`` of it."""
    sources = {_named(path, source): file_digest(path) for path in scene.files}
    return write_json(out.with_name(f"{out.name}{SIDE_CAR}"), {**provenance.as_dict(), "sources": sources, **told})


def delivered(
    scene: Scene, out: Path, files: Sequence[Path], beside: Sequence[Path], deliver: Delivery
) -> tuple[Path, ...]:
    """Deliver ``files``, and give them, those that lie ``beside`` them, and what describes or sums them up.

    They are summed up although they could not be delivered.
    """
    written = [*files, *beside]
    try:
        written += deliver(files, _day(scene))
    finally:
        sums = Sums(out.with_name(f"{out.name}{SUFFIX}")).finish(written, changed=written)
    return (*written, sums)


def _day(scene: Scene) -> str:
    """The one date that was written; empty where there are several, or none."""
    if isinstance(scene, Between):
        return scene.dates[scene.slot] if scene.dates else ""
    return scene.dates[0] if len(scene.dates) == 1 else ""


def _named(file: Path, source: Path) -> str:
    """A file of the source by its place in it."""
    return file.relative_to(source).as_posix() if file != source and file.is_relative_to(source) else file.name


def shown(out: Path, files: list[Path], scene: Scene) -> Path:
    """Where a scene was written: the folder of one of several files, else its file."""
    return out if len(scene.files) > 1 and out.is_dir() else files[0]


def _bounds(out: Path) -> dict[Path, int]:
    """Where the ends of the interval go."""
    return {named_beside(out, what): side for what, side in BOUNDS.items()}
