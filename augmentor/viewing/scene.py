"""A file as it is looked at: its planes, what lies over them, and what a page says of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.opening import opened
from augmentor.report.pictures import rgb_channels
from augmentor.viewing.beside import MAP, Filled, Maps, record_of_fill, record_of_scores
from augmentor.viewing.layers import Layer, Plane, Seen, of_scenes
from augmentor.viewing.packed import pack
from data_adapters import Scene
from data_adapters.errors import NothingFound

SAMPLED = 64
"""Planes, at most, by which the first window and the ends of colours are chosen."""

SIDE = 256
"""Pixels along a plane that are looked at for that."""

USUAL = (1, 99)
"""Percentiles between which values are shown at first."""

PRESETS = {"lung": (-600, 1500), "soft tissue": (40, 400), "bone": (400, 1800), "brain": (40, 80)}
"""Level and width in HU of the windows that CT is usually read in."""

STRANGE = (1.0, 4.0)
"""Standard deviations at which the colour of strangeness begins, and is full, as in the pictures of `score`."""

NAMED = 8
"""Scenes that an error names."""

ACROSS = 1 << 27
"""Pixels of a volume, at most, that a browser holds at once to show cuts across its slices."""


@dataclass(frozen=True)
class Looked:
    """Planes of the same channels, and the layers of numbers over them, the values first.

    ``said`` are sentences about what is shown, and ``facts`` rows of a table.
    """

    title: str
    planes: tuple[Plane, ...]
    layers: tuple[Layer, ...]
    said: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def scene(self) -> Scene:
        return self.planes[0].scene

    def shape(self, number: int) -> tuple[int, int]:
        """Rows and columns of a plane."""
        return self.planes[number].scene.shape[2:]

    def layer(self, role: str) -> Layer | None:
        return next((layer for layer in self.layers if layer.role == role), None)

    def packed(self, role: str, number: int, channel: int, factor: int) -> bytes:
        """One plane of one channel of a layer, each pixel the mean of ``factor`` by ``factor`` of the file's.

        Raises:
            KeyError: if there is no such plane.
        """
        layer = self.layer(role)
        if layer is None or not (0 <= number < len(self.planes) and 0 <= channel < layer.channels):
            raise KeyError((role, number, channel))
        values, seen = (part[channel] for part in self._plane(layer, number, factor))
        same = None
        if role == "before":
            after = (part[channel] for part in self._plane(self.layers[0], number, factor))
            same = _same(values, seen, *after)
        # Means of stored numbers lie between them.
        known = role != "strange" and (factor == 1 or layer.classes)
        step = self._steps[channel] if known else 0.0
        # Half of what lies between two stored numbers.
        return pack(values, seen, step / 2 if role == "spread" else step, same)

    def _plane(self, layer: Layer, number: int, factor: int) -> Seen:
        return _plane(layer, number, self.shape(number), factor)

    @property
    def _steps(self) -> list[float]:
        """From one stored number of each channel to the next, 0 where they are no integers."""
        if np.dtype(self.scene.dtype).kind not in "iu":
            return [0.0] * self.scene.shape[0]
        template = self.scene.template()
        return [abs(template.scaling(channel)[0]) for channel in range(self.scene.shape[0])]

    def meta(self, factor: int) -> dict[str, Any]:
        """What the page's script is told beside the planes themselves."""
        names = [channel.name for channel in self.scene.channels]
        windows = self._ends(self.layers[0], _usual)
        spread, strange = self.layer("spread"), self.layer("strange")
        top = [high for _, high in self._ends(spread, _widest)] if spread else None
        hu = all(channel.unit == "HU" for channel in self.scene.channels)
        between, down, across = self.scene.grid.spacing
        size = [len(self.planes), *(-(-side // factor) for side in self.shape(0))]
        what = "date" if self.scene.dates else "slice" if self.scene.kind == "volume" else "image"
        return {
            "channels": [
                {"name": channel.name, "unit": channel.unit, "low": low, "high": high}
                for channel, (low, high) in zip(self.scene.channels, windows, strict=True)
            ],
            "planes": [
                {"label": plane.label, "height": -(-h // factor), "width": -(-w // factor)}
                for plane, (h, w) in zip(self.planes, map(self.shape, range(len(self.planes))), strict=True)
            ],
            "what": what,
            "name": what.capitalize(),
            "factor": factor,
            "size": size,
            "steps": [between, factor * down, factor * across] if min(down, across) > 0 else [between, 1.0, 1.0],
            "cuts": self._regular and len(self.planes) > 1 and math.prod(size) <= ACROSS,
            "colours": rgb_channels(names) or (list(range(3)) if len(names) == 3 else None),
            "presets": PRESETS if hu else {},
            "before": self.layer("before") is not None,
            "made": self.layer("made") is not None,
            "spread": top,
            "strange": STRANGE if strange else None,
            "first": self._first(),
        }

    @property
    def _regular(self) -> bool:
        """Whether the planes are the slices of one upright volume, in equal steps."""
        scene = self.scene
        return scene.kind == "volume" and scene.volumes == 1 and scene.trouble is None and scene.grid.spacing[0] > 0

    def _first(self) -> int:
        """The plane that is shown first: one where something was made, else the middle one."""
        made = self.layer("made")
        middle = (len(self.planes) - 1) // 2 if self.scene.kind in ("volume", "stack") else 0
        if made is None:
            return middle
        by_distance = sorted(range(len(self.planes)), key=lambda number: abs(number - middle))
        return next((n for n in by_distance[:SAMPLED] if self._small(made, n).values.any()), middle)

    def _small(self, layer: Layer, number: int) -> Seen:
        shape = self.shape(number)
        return layer.plane(number, shape, max(1, max(shape) // SIDE))

    def _sampled(self) -> Sequence[int]:
        count = min(SAMPLED, len(self.planes))
        return [int(n) for n in np.unique(np.linspace(0, len(self.planes) - 1, count).round())]

    def _ends(self, layer: Layer, of: Callable[[list[NDArray[Any]]], tuple[float, float]]) -> list[tuple[float, float]]:
        """Two ends ``of`` what is known of each channel of some planes."""
        some = [self._small(layer, number) for number in self._sampled()]
        found = []
        for channel in range(layer.channels):
            known = [values[channel][seen[channel]] for values, seen in some]
            low, high = of([each for each in known if each.size])
            found.append((low, high if high > low else low + 1.0))
        return found


def _usual(known: list[NDArray[Any]]) -> tuple[float, float]:
    """Between which values most of most planes lie: clouds of some dates make the others no darker."""
    low, high = np.median([np.percentile(each, USUAL) for each in known], axis=0) if known else (0.0, 1.0)
    return float(low), float(high)


def _widest(known: list[NDArray[Any]]) -> tuple[float, float]:
    """From zero to where intervals are widest, but for a few."""
    wide = np.concatenate([each[each > 0] for each in known]) if known else np.zeros(0)
    return 0.0, float(np.percentile(wide, USUAL[1])) if wide.size else 0.0


@lru_cache(maxsize=2)
def _plane(layer: Layer, number: int, shape: tuple[int, int], factor: int) -> Seen:
    """The channels of a plane are asked for one by one, and read together."""
    return layer.plane(number, shape, factor)


def _same(
    values: NDArray[Any], seen: NDArray[np.bool_], others: NDArray[Any], others_seen: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    return np.asarray((seen == others_seen) & (~seen | (values == others)))


def looked_at(path: Path, *, name: str = "", source: Path | None = None) -> Looked:
    """What lies at a path, as it is looked at: one scene, or single images of the same channels, one after the other.

    ``name`` chooses among several scenes. Of what `fill` wrote, its ``source``, what was made and the interval lie over
    it, as far as they are there; of a folder of scores, the images at ``source`` are shown with their maps over them.

    Raises:
        UserError: if nothing there can be shown, it is not clear what, or ``source`` is not what it was made from.
    """
    scores = record_of_scores(path)
    if scores is not None:
        return _scored(Maps(path, scores), path, name, source)
    record = record_of_fill(path)
    every = [scene for scene in opened(path) if record is None or not _mask(scene)]
    planes = _planes(_chosen(every, path, name))
    layers: list[Layer] = [of_scenes(planes)]
    said: list[str] = []
    if record is not None:
        layers += Filled(path, planes[0].scene, record, source).layers()
        said += _told_of_fill(record, {layer.role for layer in layers})
    elif source is not None:
        raise NothingFound("was not filled or scored", where=path, do="leave --source out")
    return _looked(planes, layers, said)


def _scored(maps: Maps, path: Path, name: str, source: Path | None) -> Looked:
    """Images with their maps over them; without ``source``, the maps themselves."""
    if source is None:
        every = [scene for scene in opened(path) if scene.name.endswith(MAP)]
        planes = _planes(_chosen(every, path, name))
        return _looked(planes, [of_scenes(planes)], ["Maps of strangeness alone: name what was scored by --source."])
    every = [scene for scene in opened(source) if maps.of(scene) is not None]
    if not every:
        raise NothingFound("has no map there", where=source, do=f"name what {path} was made from")
    planes = [
        p._replace(label=", ".join(filter(None, (p.label, maps.said(p)))))
        for p in _planes(_chosen(every, source, name))
    ]
    return _looked(planes, [of_scenes(planes), maps.layer(planes)], [])


def _mask(scene: Scene) -> bool:
    return all(file.stem.endswith("_made") for file in scene.files)


def _chosen(every: Sequence[Scene], path: Path, name: str) -> list[Scene]:
    """The scene of that name; without one, all of them, if they are one, or single images of the same channels.

    Raises:
        NothingFound: if it is not clear which.
    """
    scenes = [scene for scene in every if name in ("", scene.name)]
    alike = {(scene.shape[1], scene.channels) for scene in scenes}
    if len(scenes) == 1 or (len(alike) == 1 and scenes[0].shape[1] == 1):
        return scenes
    names = ", ".join(scene.name for scene in every[:NAMED]) + (", ..." if len(every) > NAMED else "")
    found = f"no scene {name!r} among" if name and not scenes else f"{len(every)} scenes that are not alike:"
    raise NothingFound(f"holds {found} {names}", where=path, do="name one of them (--scene)")


def _planes(scenes: Sequence[Scene]) -> list[Plane]:
    return [
        Plane(scene, index, _label(scene, index, len(scenes))) for scene in scenes for index in range(scene.shape[1])
    ]


def _label(scene: Scene, index: int, scenes: int) -> str:
    """How a plane is called: its date, its place along the slices, or the name of the image."""
    if scenes > 1:
        return scene.name
    if scene.dates and len(scene.dates) == scene.shape[1]:
        return scene.dates[index]
    if scene.shape[1] == 1:
        return ""
    depth = scene.shape[1] // scene.volumes
    where = (
        f"{scene.grid.positions[index]:.4g} {scene.grid.unit}" if len(scene.grid.positions) == scene.shape[1] else ""
    )
    volume = f"volume {index // depth + 1}, slice {index % depth}" if scene.volumes > 1 else ""
    return ", ".join(filter(None, (volume, where)))


def _told_of_fill(record: Mapping[str, Any], roles: set[str]) -> list[str]:
    """What was made, as the side-car says it, and what is not at hand."""
    holes, pixels, method = (record.get(name, "unknown") for name in ("holes", "pixels", "method"))
    error = record.get("expected error", "unknown")
    said = [f"Filled: {holes}; {pixels} pixels rebuilt by {method}. Expected error inside the holes: {error}."]
    if "before" not in roles and "at" not in record:
        said.append("The source is not at hand: name it by --source to see it beside the result.")
    if "spread" not in roles:
        said.append("There is no interval beside this file, and so no uncertainty is shown.")
    return said


def _looked(planes: Sequence[Plane], layers: Sequence[Layer], said: Sequence[str]) -> Looked:
    scenes = list(dict.fromkeys(id(plane.scene) for plane in planes))
    scene = planes[0].scene
    title = scene.name if len(scenes) == 1 else f"{len(scenes)} images"
    return Looked(title, tuple(planes), tuple(layers), tuple(said), _facts(scene, len(scenes), len(planes)))


def _facts(scene: Scene, scenes: int, planes: int) -> tuple[tuple[str, str], ...]:
    """Geometry, channels and units; nothing of whom a header names."""
    count, _, height, width = scene.shape
    step = " × ".join(f"{side:.4g}" for side in scene.grid.spacing[0 if scene.kind == "volume" else 1 :])
    units = sorted({channel.unit for channel in scene.channels if channel.unit})
    told = {
        "kind": " ".join(filter(None, (scene.format, scene.kind, scene.modality))),
        "size": f"{planes} of {height} × {width} pixels"
        if scenes == 1
        else f"{planes} images, the first {height} × {width} pixels",
        "channels": f"{count}: {', '.join(channel.name for channel in scene.channels)}",
        "unit": ", ".join(units) or "none is stated",
        "spacing": f"{step} {scene.grid.unit}",
        "stored as": scene.dtype,
    }
    if scene.dates:
        told["dates"] = f"{scene.dates[0]} to {scene.dates[-1]}"
    return tuple(told.items())
