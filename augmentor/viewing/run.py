"""A run as it is looked at: samples beside held-out images, where its discriminator looks, and walks between images."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from augmentor.errors import RunError
from augmentor.inversion import Inversion, Points
from augmentor.networks import load_generator
from augmentor.progress import note, progress
from augmentor.report.chart import Chart, Line
from augmentor.report.pictures import visible
from augmentor.run import Facts, Run
from augmentor.sampling import Maps, samples
from augmentor.scoring.shown import COLOUR
from augmentor.scoring.views import Viewer
from augmentor.t2t.conditioning import ClassCondition, encode
from augmentor.tiles import TileStore

SHOWN = 24
"""Tiles of a kind on the page."""

FRAMES = 17
"""Pictures of a walk, its ends among them."""

WALKS = 3
"""Walks of a kind."""

REPORT = Path("report") / "report.json"

POINTS = 60
"""Places of a curve."""


class Tile(NamedTuple):
    """A picture as a data URI, another that lies over it where there is one, and the words below."""

    picture: str
    attended: str
    words: str


class Walk(NamedTuple):
    """Pictures from one image to another, and what its ends are."""

    title: str
    frames: tuple[str, ...]
    ends: tuple[Tile, ...]


@dataclass(frozen=True)
class RunShown:
    """What a page shows of a run; ``said`` are sentences about what it lacks, and why."""

    name: str
    lead: str
    made: tuple[Tile, ...]
    real: tuple[Tile, ...]
    walks: tuple[Walk, ...]
    charts: tuple[Chart, ...]
    verdict: tuple[tuple[str, str, str], ...]
    said: tuple[str, ...]

    @property
    def attended(self) -> bool:
        return any(tile.attended for tile in self.made)


class Real(NamedTuple):
    """Held-out tiles (N, C, *tile) in physical units where ``valid`` (N, *tile), their conditions and label maps."""

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    conditions: list[dict[str, str]]
    labels: NDArray[np.int32] | None


def look_at(run: Run, *, real: bool = True, seed: int = 0) -> RunShown:
    """Draw what a page shows of a run; with ``real``, held-out images of its tile store, if that is there.

    Raises:
        RunError: if the run was trained to fill, or needs label maps and its tile store is not there.
    """
    facts = run.facts
    if facts.context:
        raise RunError(
            "was trained to fill, and makes no samples",
            where=run.folder,
            do="look at what it filled: augmentor view FILE",
        )
    store = _store(run)
    said = []
    held_out = _held_out(store, facts, seed) if store.finished and (real or facts.given) else None
    if facts.given and held_out is None:
        raise RunError(
            "makes images for label maps, and its tile store is not there", where=store.folder,
            do="ingest its data again: augmentor ingest RECIPE",
        )  # fmt: skip
    maps: Maps = [] if held_out is None or not facts.given or held_out.labels is None else list(held_out.labels)
    shown = held_out if real else None
    if shown is None:
        said.append(
            "No real image is shown, as asked." if not real else "Its tile store is not there: no real image is shown."
        )
    drawn = list(islice(samples(load_generator(run), facts, 0, seed, {}, maps=maps), SHOWN))
    viewer = _viewer(run, said)
    with progress("view", 3) as advance:
        made = _tiles(facts, np.stack([one.pixels for one in drawn]), None, [one.conditions for one in drawn], viewer)
        advance(1, "samples")
        beside = () if shown is None else _tiles(facts, shown.pixels, shown.valid, shown.conditions, viewer)
        advance(2, "real images")
        walks = _walks(run, facts, seed, [one.conditions for one in drawn], shown, maps)
        advance(3, "walks")
    return RunShown(run.name, _lead(run, facts), made, beside, walks, _charts(run), _verdict(run), tuple(said))


def _store(run: Run) -> TileStore:
    """The tiles that a run learned from, where it says that they lie, or beside it, if it was named from elsewhere."""
    said = Path(run.provenance["tiles"])
    beside = TileStore(run.folder.parent / "tiles" / said.name)
    return beside if beside.finished else TileStore(said)


def _held_out(store: TileStore, facts: Facts, seed: int) -> Real | None:
    """Some tiles that were held out, none chosen."""
    rows = store.rows(held_out=True)
    if not rows:
        return None
    rows = sorted(np.random.default_rng(seed).permutation(rows)[:SHOWN].tolist())
    pixels, valid = store.load(rows)
    # Classes and numbers alone: a text may name a patient.
    told = {condition.name for condition in facts.conditions if isinstance(condition, ClassCondition)}
    conditions = [{k: v for k, v in store.index[row].conditions.items() if k in told} for row in rows]
    return Real(pixels, valid, conditions, store.load_labels(rows) if facts.labels else None)


def _viewer(run: Run, said: list[str]) -> Viewer | None:
    try:
        return Viewer.of(run)
    except RunError as error:
        said.append(f"Where the discriminator looks is not shown: this run {error.found}.")
        return None


def _tiles(
    facts: Facts,
    pixels: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    conditions: Sequence[Mapping[str, str]],
    viewer: Viewer | None,
) -> tuple[Tile, ...]:
    """Pictures of tiles (N, C, *tile) in physical units, with where the discriminator looks over them."""
    over = [""] * len(pixels)
    if viewer is not None:
        unit = facts.scaling.to_unit(pixels, len(facts.tile))
        seen = np.ones((len(pixels), 1, *facts.tile), bool) if valid is None else valid[:, None]
        attended = viewer.attended(torch.from_numpy(np.where(seen, unit, 0).astype(np.float32))).numpy()
        over = [_cover(_middle(one, 2)) for one in attended]
    return tuple(map(Tile, _pictures(facts, pixels), over, map(_words, conditions)))


def _words(conditions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in conditions.items())


def _pictures(facts: Facts, pixels: NDArray[Any]) -> list[str]:
    names = [channel.name for channel in facts.template.channels]
    return [_png(visible(_middle(one, 3), names, facts.scaling.low, facts.scaling.high)) for one in pixels]


def _middle(tile: NDArray[Any], dims: int) -> NDArray[Any]:
    """A plane of a tile; of a volume, the middle one of its slices."""
    return tile if tile.ndim == dims else tile.take(tile.shape[-3] // 2, axis=-3)


def _cover(attended: NDArray[Any]) -> str:
    """How much each pixel (H, W) counts, as a picture to lie over another: the more, the less can be seen through."""
    low, high = np.percentile(attended, (1, 99.5))
    alpha = np.clip((attended - low) / max(float(high - low), 1e-12), 0, 1) * 255
    colour = np.broadcast_to(np.array(COLOUR, np.uint8), (*attended.shape, 3))
    return _png(np.concatenate([colour, np.rint(alpha).astype(np.uint8)[..., None]], axis=-1))


def _png(picture: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _walks(
    run: Run, facts: Facts, seed: int, asked: Sequence[Mapping[str, str]], real: Real | None, maps: Maps
) -> tuple[Walk, ...]:
    """From one sample to another, under conditions ``asked`` of samples, and from one held-out image to another."""
    inversion = Inversion.of(run.folder)
    map_of_all = maps[0] if maps else None
    asked = _told_apart(asked)
    ends = _drawn(inversion, facts, seed, asked)
    walks = []
    for k in range(0, len(ends), 2):
        a, b = (_words(said) for said in asked[k : k + 2])
        title = f"sample ({a}) to sample ({b})" if a else f"sample to sample, {k // 2 + 1}"
        walks.append(_walk(inversion, ends[k], ends[k + 1], title, map_of_all))
    if real is None:
        return tuple(walks)
    points = inversion.encode(real.pixels, real.valid, real.conditions, real.labels)
    tiles = _tiles(facts, real.pixels, real.valid, real.conditions, None)
    for k in range(0, min(2 * WALKS, len(points) - 1), 2):
        title = f"real image {k + 1} to real image {k + 2}, as the run remakes them"
        walk = _walk(inversion, points[k], points[k + 1], title, map_of_all)
        walks.append(walk._replace(ends=tiles[k : k + 2]))
    return tuple(walks)


def _told_apart(asked: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Conditions of both ends of every walk, those of one unlike those of the other where there are such."""
    pairs = []
    for first in asked[:WALKS]:
        pairs += [first, next((other for other in asked if other != first), first)]
    return pairs


def _drawn(inversion: Inversion, facts: Facts, seed: int, asked: Sequence[Mapping[str, str]]) -> Points:
    """Samples drawn anew under conditions, by their latents."""
    generator = inversion.generator
    codes = torch.stack([encode(facts.conditions, said) for said in asked])
    noise = torch.randn(len(codes), generator.latent, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        return Points(generator.prior(noise, codes), codes)


def _walk(inversion: Inversion, first: Points, last: Points, title: str, labels: Any) -> Walk:
    steps = [inversion.between(first, last, k / (FRAMES - 1)) for k in range(FRAMES)]
    points = Points(torch.cat([step.latents for step in steps]), torch.cat([step.codes for step in steps]))
    given = None if labels is None else np.stack([labels] * FRAMES)
    pixels, _ = inversion.decode(points, given)
    return Walk(title, tuple(_pictures(inversion.facts, pixels)), ())


def _lead(run: Run, facts: Facts) -> str:
    sides = " × ".join(map(str, facts.tile))
    known = ", ".join(condition.name for condition in facts.conditions) or "none"
    origin = run.provenance
    return (
        f"Tiles of {sides} pixels, {facts.channels} channel{'s' if facts.channels > 1 else ''} "
        f"({', '.join(channel.name for channel in facts.template.channels[:12])}); conditions: {known}; "
        f"{origin['tool']} {origin['version']}, recipe {str(origin['recipe'])[:8]}, "
        f"checkpoint {run.checkpoint_digest()[:8]}"
    )


def _charts(run: Run) -> tuple[Chart, ...]:
    """How training went: the game's losses, and how far samples lay from training images."""
    log = _log(run.folder / "log.jsonl")
    charts = []
    for title, up, names in (
        ("Losses of the game", "loss", ("generator", "discriminator")),
        ("Samples beside training images", "distance", ("distance",)),
    ):
        rows = [row for row in log if any(_number(row, name) for name in names)]
        rows = [rows[int(k)] for k in np.unique(np.linspace(0, max(0, len(rows) - 1), POINTS).round()) if rows]
        if len(rows) > 1:
            places = [float(row["images"]) for row in rows]
            values = {name: [float(row[name]) if _number(row, name) else math.nan for row in rows] for name in names}
            ticks = {f"{place:.0f}": place for place in (places[0], places[-1])}
            lines = [Line(name, of) for name, of in values.items()]
            charts.append(Chart(title, "tiles shown", up, places, ticks, lines))
    return tuple(charts)


def _log(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; the last one of a run that is training may be torn."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with suppress(ValueError, TypeError):
            rows.append(dict(json.loads(line)))
    return [row for row in rows if _number(row, "images")]


def _number(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name)
    return isinstance(value, int | float) and math.isfinite(value)


def _verdict(run: Run) -> tuple[tuple[str, str, str], ...]:
    """What `evaluate` found: part, grade, reason."""
    path = run.folder / REPORT
    if not path.is_file():
        return ()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        parts = record["parts"].items()
        return tuple((str(name), str(part["grade"]), str(part["reason"])) for name, part in parts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        note(f"left out: {path} is no report ({error})")
        return ()
