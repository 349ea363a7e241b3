"""What lies beside a file that `fill` or `score` wrote, and belongs to what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from augmentor.filling.against import alike, made_beside, marked_at, slotted
from augmentor.viewing.layers import Layer, Plane, Seen, channels_of
from data_adapters import Scene, Window, open_scenes
from data_adapters.atomic import read_json
from data_adapters.errors import BrokenFile, GridMismatch, NothingFound
from data_adapters.fixity import OURS, file_digest
from data_adapters.naming import named_beside

SCORES = "scores.json"
"""What a folder of `score` says of its images."""

MAP = "_strange"
"""How its maps are named, after their scene."""

MADE = "_made"
HUNDREDTHS = 100
"""What a map in a picture of 16 bits is multiplied by (``Scene.write_map``)."""


def record_of_fill(path: Path) -> Mapping[str, Any] | None:
    """What the side-car of a path says, if `fill` or `interpolate` wrote it."""
    return _ours(path.with_name(f"{path.name}.json"), "holes")


def record_of_scores(path: Path) -> Mapping[str, Any] | None:
    """What is said in a folder of scores; None where the path is none."""
    return _ours(path / SCORES, "images")


def _ours(path: Path, says: str) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    try:
        record = read_json(path)
    except BrokenFile:
        return None
    return record if record.get("tool") == OURS and says in record else None


@dataclass(frozen=True)
class Filled:
    """A filled ``scene`` at a path with what `fill` noted of it, and its ``source``, where it was named."""

    path: Path
    scene: Scene
    record: Mapping[str, Any]
    source: Path | None = None
    _opened: dict[Path, list[Scene]] = field(default_factory=dict)

    def layers(self) -> list[Layer]:
        """What was there before, what was made, and how wide the interval of what may have been there is: as far as
        each is at hand."""
        found = [self._before(), self._made(), self._spread()]
        return [layer for layer in found if layer is not None]

    def _before(self) -> Layer | None:
        source = self.source or self._at_hand()
        # What was never acquired has no before.
        if source is None or "at" in self.record:
            return None
        before = slotted(self._alike(source), self.scene, source)
        return Layer("before", self.scene.shape[0], lambda number, window: channels_of(before, number, window))

    def _at_hand(self) -> Path | None:
        """The source, if files of its names lie beside the result and the first of them is the very one."""
        sources = self.record.get("sources")
        if not isinstance(sources, dict) or not sources:
            return None
        for folder in (self.path.parent, self.path.parent / str(self.record.get("source", ""))):
            files = {folder / str(name): digest for name, digest in sources.items()}
            first = next(iter(files))
            if all(file.is_file() for file in files) and file_digest(first) == files[first]:
                return first if len(files) == 1 else folder
        return None

    def _made(self) -> Layer | None:
        mask = self._mask()
        if mask is None:
            return None

        def read(number: int, window: Window) -> Seen:
            at = marked_at(mask, self.scene, number)
            made = np.zeros((1, window.height, window.width), dtype=bool)
            if at is not None:
                made = channels_of(mask, at, window).values[:1] != 0
            return Seen(made.astype(np.float32), np.ones_like(made))

        return Layer("made", 1, read)

    def _mask(self) -> Scene | None:
        """The scene of what was made; pictures have none."""
        if self.path.is_dir() and self.scene.dates:
            masks = [s for s in self._scenes(self.path) if all(file.stem.endswith(MADE) for file in s.files)]
            return masks[0] if masks else None
        path = made_beside(self.path)
        return None if path is None else self._scenes(path)[0].on(self.scene)

    def _spread(self) -> Layer | None:
        ends = [named_beside(self.path, end) for end in ("low", "high")]
        if not all(end.exists() for end in ends):
            return None
        low, high = (self._alike(end) for end in ends)

        def read(number: int, window: Window) -> Seen:
            a, b = (channels_of(scene, number, window) for scene in (low, high))
            return Seen((b.values.astype(np.float64) - a.values) / 2, a.seen & b.seen)

        return Layer("spread", self.scene.shape[0], read)

    def _alike(self, path: Path) -> Scene:
        """The scene at a path with the same channels and planes.

        Raises:
            GridMismatch: if there is not one.
        """
        found = [scene for scene in self._scenes(path) if alike(self.scene, scene)]
        if len(found) != 1:
            raise GridMismatch(
                f"is not on the grid of {self.path.name}", where=path, do="name what it was filled from (--source)"
            )
        return found[0]

    def _scenes(self, path: Path) -> list[Scene]:
        if path not in self._opened:
            self._opened[path] = open_scenes(path)
        return self._opened[path]


class Maps:
    """The maps of strangeness in a folder of scores, by the name of their scene, and what was said of each image."""

    def __init__(self, folder: Path, record: Mapping[str, Any]) -> None:
        self.folder = folder
        self._said: dict[tuple[str, int], Mapping[str, Any]] = {}
        images = record["images"]
        for row in images if isinstance(images, list) else ():
            if isinstance(row, dict) and {"scene", "slice", "score", "chance", "alarm"} <= set(row):
                self._said[str(row["scene"]), int(row["slice"])] = row
        self._maps: dict[str, Scene | None] = {}

    def of(self, scene: Scene) -> Scene | None:
        """The map of a scene."""
        if scene.name not in self._maps:
            suffixes = (".png", ".nii.gz", ".dcm", ".tif")
            paths = [self.folder / f"{scene.name}{MAP}{suffix}" for suffix in suffixes]
            self._maps[scene.name] = next((open_scenes(path)[0] for path in paths if path.is_file()), None)
        return self._maps[scene.name]

    def said(self, plane: Plane) -> str:
        """The score of an image in words; empty where there is none."""
        row = self._said.get((plane.scene.name, plane.slice))
        if row is None:
            return ""
        alarm = ", stranger than usual ones" if row["alarm"] else ""
        return f"score {float(row['score']):.2f}, chance {float(row['chance']):.3f}{alarm}"

    def layer(self, planes: list[Plane]) -> Layer:
        """The maps of planes, unseen where there is none.

        Raises:
            NothingFound: if there is none at all.
            GridMismatch: if one is not on the grid of its scene.
        """
        if not any(self.of(plane.scene) for plane in planes):
            raise NothingFound("no map of these images", where=self.folder, do="name what was scored (--source)")

        def read(number: int, window: Window) -> Seen:
            scene, index, _ = planes[number]
            if (found := self.of(scene)) is None:
                nothing = np.zeros((1, window.height, window.width), np.float32)
                return Seen(nothing, nothing > 0)
            if found.shape[2:] != scene.shape[2:]:
                raise GridMismatch(f"is not on the grid of {scene.name}", where=found.path, do="score it again")
            return self._read(found, scene, index, window)

        return Layer("strange", 1, read)

    @staticmethod
    def _read(found: Scene, scene: Scene, index: int, window: Window) -> Seen:
        # A raster has a band a date.
        across = found.shape[1] != scene.shape[1]
        values, seen = channels_of(found, 0 if across else index, window)
        values, seen = (part[index : index + 1] if across else part[:1] for part in (values, seen))
        if found.kind == "image" and np.dtype(found.dtype).kind == "u":
            return Seen(values / HUNDREDTHS, seen & (values > 0))
        return Seen(values, seen & np.isfinite(values))
