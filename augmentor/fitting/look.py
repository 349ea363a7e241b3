"""What lies at a path, as a recipe needs to know it: scenes of one kind, labels, masks, some pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from augmentor import labels
from augmentor.fitting.columns import Reading, read_columns
from augmentor.fitting.domains import Domain, Sample, airy, domain_of
from augmentor.holes.find import masked
from augmentor.holes.quality import Meaning
from augmentor.ingest import like_each_other
from augmentor.opening import opened
from augmentor.tiles import middle
from data_adapters import Scene
from data_adapters.errors import UserError

LOOKED_AT = 8
"""Scenes of which a part of the middle slice is read."""

NAMES = 64
"""Files whose folders' names are read."""

MAPS = {"seg", "segmentation", "label", "labels", "mask"}
"""Words in the name of a label map."""

COVERS = ("mask", "cloud")
"""What the name of a folder with masks of a stack says."""


@dataclass(frozen=True)
class Seen:
    """Scenes that would be trained on, of ``found`` ones; the label file that names them, with their rows.

    ``samples`` are pixels (C, N) in physical units of some of them, where anything was observed.
    """

    path: Path
    found: int
    scenes: tuple[Scene, ...]
    table: Path | None
    rows: tuple[labels.Row, ...]
    samples: tuple[Sample, ...]
    masks: Path | None

    @cached_property
    def readings(self) -> list[Reading]:
        """What the columns of the label file are."""
        return read_columns(self.rows)

    @cached_property
    def group(self) -> str | None:
        """The column that names patients or places."""
        return next((reading.column for reading in self.readings if reading.role == "group"), None)

    @cached_property
    def groups(self) -> int:
        """Different patients or places."""
        if self.group:
            return len({row[self.group] for row in self.rows})
        return len({scene.group for scene in self.scenes})

    @cached_property
    def domain(self) -> tuple[Domain, str]:
        """What is shown, and by what that is told."""
        return domain_of(self.scenes, list(self._names()), self.samples)

    def _names(self) -> Iterator[str]:
        """What the data's folders, and the classes of its labels, are called."""
        above = self.path.resolve()
        yield from (above.name, above.parent.name)
        home = above if above.is_dir() else above.parent
        yield from dict.fromkeys(
            part for scene in self.scenes[:NAMES] for part in scene.path.resolve().relative_to(home).parent.parts
        )

    @property
    def strangers(self) -> str:
        """What among volumes that say nothing of themselves does not go together; nothing where all does."""
        if self.scenes[0].kind != "volume" or self.scenes[0].modality:
            return ""
        said = []
        if 0 < (count := sum(map(airy, self.samples))) < len(self.samples):
            said.append(f"{count} of {len(self.samples)} that were read go down to air in HU, the others do not")
        if maps := [scene.name for scene in self.scenes if MAPS & set(re.split(r"[^a-z]+", scene.name.lower()))]:
            said.append(f"{', '.join(maps[:3])} may be label maps, whose place is segmentation.path")
        return "; ".join(said)

    @property
    def least(self) -> tuple[int, int]:
        """Rows and columns of the smallest image, by its area."""
        return min(((s.shape[2], s.shape[3]) for s in self.scenes), key=lambda size: size[0] * size[1])

    @property
    def depth(self) -> int:
        """Slices of the shallowest scene; dates of a stack."""
        return min(scene.shape[1] for scene in self.scenes)

    @cached_property
    def gaps(self) -> tuple[int, ...]:
        """Missing slices, between others, of each volume that has any."""
        found = []
        for scene in self.scenes:
            if scene.kind == "volume":
                with suppress(UserError):
                    found.append(len(scene.missing()))
        return tuple(count for count in found if count)

    @cached_property
    def layer(self) -> str | None:
        """A layer of every scene that says what is covered (scene classes, quality bits, probabilities)."""
        for name in self.scenes[0].layers:
            if Meaning.of_names([name]).word != "mask" and all(name in scene.layers for scene in self.scenes):
                return name
        return None


def look(path: Path) -> Seen:
    """Open what lies at ``path``, take the commonest kind, and read a small part of it.

    Raises:
        UserError: if nothing there can be used.
    """
    every = opened(path)
    alike = like_each_other(every)
    table, rows = _labelled(path, alike)
    scenes = tuple(scene for scene in alike if scene.path in rows) if rows else tuple(alike)
    samples = _samples(scenes)
    masks = _masks(path, scenes[0]) if len(scenes) == 1 and scenes[0].kind == "stack" else None
    return Seen(path, len(every), scenes, table, tuple(rows[s.path] for s in scenes if rows), samples, masks)


def _labelled(path: Path, scenes: list[Scene]) -> tuple[Path | None, dict[Path, labels.Row]]:
    """The first label file in the folder, or the one above, that says something of these images, and their rows."""
    home = path if path.is_dir() else path.parent
    for table in (*labels.find(home), *(labels.find(home.resolve().parent) if path.is_dir() else [])):
        with suppress(UserError):
            rows = labels.match(labels.read(table, ()), table, [scene.path for scene in scenes])
            # A list of files and their sums names images, too.
            if any(reading.role != "none" for reading in read_columns(list(rows.values()))):
                return table, rows
    return None, {}


def _samples(scenes: tuple[Scene, ...]) -> tuple[Sample, ...]:
    """Observed pixels (C, N) of the middle slices of scenes that lie evenly among all.

    Raises:
        UserError: if none of them can be read.
    """
    found, problems = [], list[UserError]()
    for number in np.unique(np.linspace(0, len(scenes) - 1, LOOKED_AT).round().astype(int)):
        scene = scenes[number]
        blank = set[int]()
        with suppress(UserError):
            blank = set(scene.missing(ends=True))
        there = [index for index in range(scene.shape[1]) if index not in blank]
        try:
            pixels = scene.read(there[len(there) // 2] if there else 0, 1, middle(scene))
        except UserError as error:
            problems.append(error)
            continue
        if pixels.seen.any():
            found.append(pixels.values[:, pixels.seen])
    if not found and problems:
        raise problems[0]
    return tuple(found)


def _masks(path: Path, stack: Scene) -> Path | None:
    """A folder beside a stack that is called after masks or clouds, and holds those of its dates."""
    if not path.is_dir():
        return None
    # As the user spells it, where that can be.
    above = path.parent if path.name not in ("", "..") else path.resolve().parent
    for folder in sorted(above.iterdir()):
        if folder.is_dir() and folder.resolve() != path.resolve() and any(w in folder.name.lower() for w in COVERS):
            with suppress(UserError):
                masked(stack, folder)(middle(stack))
                return folder
    return None
