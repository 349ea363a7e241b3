"""What made pairs are worth to a change detector, on pairs whose change is known.

    OMP_NUM_THREADS=1 python -m benchmarks.pairs clouds --images 30000 --seeds 2
    OMP_NUM_THREADS=1 python -m benchmarks.pairs opacities --images 12000 --seeds 2

``clouds``, on real pairs: ground that clouded. A T2T-GAN learns 32-pixel tiles of half of the dates of one half of a
scene near Rome, for their cloud masks and months. Small U-Nets that are shown both dates learn from pairs of its
samples, from cut and pasted clouds, from real pairs of the same half and dates; each sees as many. All are tested on
real pairs of the other half of the scene and the other dates, and of three places elsewhere (SEN12MS-CR). Masks are
s2cloudless' (a model's, no truth).

``opacities``, on drawn pairs, since there are no real ones: phantoms of radiographs without and with an opacity. A
T2T-GAN learns single ones for their class alone. One record each, in docs/benchmarks/pairs.json.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import rasterio
import torch
from monai.losses.dice import DiceCELoss
from monai.networks.nets.unet import UNet
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu
from torch import Tensor

from augmentor import train
from augmentor.evaluation.classifier import trained
from augmentor.measures.ranking import auc
from augmentor.pairing.blend import blend
from augmentor.pairing.regions import blob
from augmentor.pairs import pairs
from augmentor.run import Run
from benchmarks.contenders import ROOT, SHARED, quiet
from benchmarks.machine import machine
from data_adapters import open_scenes, phantoms

RECORD = ROOT / "docs/benchmarks/pairs.json"
SERIES = SHARED / "satellite_timeseries"

BANDS = ("B02", "B03", "B04", "B08")
BRIGHT = 4000.0
"""Reflectance x 10,000 above which a cloud is a cloud."""

TILE = 32
BATCH = 16
WIDTHS, STRIDES = (16, 32, 64, 64), (2, 2, 2)
"""Of the detector, level by level."""

RELIT = 0.15
"""Standard deviation of the logarithm of what a date is multiplied by, half of it channel by channel, where detectors
are shown relit dates."""

EXTENT = (0.02, 0.4)
"""Of clouds, in parts of a tile."""

SIDE, DENSE = 64, 0.06
"""Pixels of a drawn radiograph, and how much brighter than its range an opacity makes it."""

SEASONS = ((1, 7), (4, 10), (7, 2), (10, 5))
"""Months of before and after, where they differ."""

Shown = NDArray[np.float32]
Masks = NDArray[np.bool_]


class Dates(NamedTuple):
    """Images (N, bands, H, W) of one place in reflectance x 10,000, and their clouds (N, H, W), by kind of date."""

    names: list[str]
    kinds: list[str]
    images: Shown
    clouds: Masks

    def of(self, kind: str) -> list[int]:
        return [number for number, own in enumerate(self.kinds) if own == kind]


class Pairs(NamedTuple):
    """Dates before and after (N, channels, H, W) as detectors see them, 0 to 1, and what changed (N, H, W)."""

    before: Shown
    after: Shown
    masks: Masks


Batches = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]

Draw = Callable[[np.random.Generator], tuple[Shown, Shown, Masks]]
"""What gives one pair of tiles."""


def read(path: Path) -> Shown:
    """The bands of a product."""
    with rasterio.open(path) as source:
        numbers = [source.descriptions.index(band) + 1 for band in BANDS]
        return np.asarray(source.read(numbers), np.float32)


def read_mask(path: Path) -> Masks:
    with rasterio.open(path) as source:
        return np.asarray(source.read(1) > 0)


def rome() -> tuple[Dates, Dates]:
    """Every other date of each kind and the upper half of the scene, to learn from; the others and the lower half.

    Overcast dates show no change, and are left out.
    """
    with (SERIES / "s2_rome_west_dates.csv").open() as stream:
        table = [row for row in csv.DictReader(stream) if row["class"] != "cloudy"]
    turns: dict[str, int] = {}
    sides: tuple[list[dict[str, str]], list[dict[str, str]]] = ([], [])
    for row in table:
        turn = turns[row["class"]] = turns.get(row["class"], -1) + 1
        sides[turn % 2].append(row)
    found = []
    for rows, half in zip(sides, (slice(None, 128), slice(128, None)), strict=True):
        images = np.stack([read(SERIES / "s2_rome_west" / row["file"])[:, half] for row in rows])
        clouds = np.stack([read_mask(*SERIES.glob(f"s2_rome_west_masks/*{row['date']}*"))[half] for row in rows])
        found.append(Dates([row["date"] for row in rows], [row["class"] for row in rows], images, clouds))
    return found[0], found[1]


def real(dates: Dates) -> Pairs:
    """Every clear date before every partly clouded one, and clear ones before each other."""
    clear, partial = dates.of("clear"), dates.of("partial")
    which = [*product(clear, partial), *combinations(clear, 2)]
    first, second = (np.array(side) for side in zip(*which, strict=True))
    images = seen(dates.images)
    return Pairs(images[first], images[second], dates.clouds[second] & ~dates.clouds[first])


def elsewhere() -> Pairs:
    """Three places that nothing was learned of."""
    places = sorted(SERIES.glob("sen12mscr_pairs/*_mask.tif"))
    sides = [[place.with_name(place.name.replace("mask", date)) for place in places] for date in ("clear", "cloudy")]
    before, after = (seen(np.stack([read(path) for path in side])) for side in sides)
    return Pairs(before, after, np.stack([read_mask(path) for path in places]))


def write(dates: Dates, rows: Sequence[int], folder: Path) -> tuple[Path, Path]:
    """Dates as GeoTIFFs, and their clouds as label maps, in two folders."""
    with rasterio.open(next((SERIES / "s2_rome_west").glob("*.tif"))) as source:
        like = {"driver": "GTiff", "crs": source.crs, "transform": source.transform}
    images, clouds = folder / "dates", folder / "clouds"
    for row in rows:
        name = f"S2_L1C_{dates.names[row]}.tif"
        _write(images / name, dates.images[row].astype(np.uint16), BANDS, like)
        _write(clouds / name, dates.clouds[row][None].astype(np.uint8), ("cloud",), like)
    return images, clouds


def _write(path: Path, values: NDArray[np.integer], names: Sequence[str], like: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    with rasterio.open(path, "w", count=count, height=height, width=width, dtype=values.dtype, **like) as target:
        target.write(values)
        target.descriptions = names


def painter(dates: Dates, images: int, work: Path) -> tuple[Run, Path]:
    """A run that makes tiles for cloud masks and months; and the clear dates' masks, which are all but empty."""
    tiles, clouds = write(dates, range(len(dates.names)), work / "learned")
    _, clear = write(dates, dates.of("clear"), work / "clear")
    changes = (
        "name=rome",
        "data.masks=null",
        "conditions.month={kind: cycle, origin: month}",
        f"segmentation={{path: {clouds}, use: condition}}",
        f"tiles={{size: [{TILE}, {TILE}], cut: grid, overlap: 0.5, limits: [0, {BRIGHT:g}], flips: true}}",
        f"game.images={images}",
    )
    return train("satellite_tiles", data=tiles, changes=changes, runs=work / "runs"), clear


def made(folder: Path, look: Callable[[Shown], Shown]) -> Pairs:
    """The pairs of a folder that the verb wrote, as detectors see them."""
    with (folder / "pairs.csv").open() as stream:
        rows = list(csv.DictReader(stream))

    def values(side: str) -> Shown:
        return np.stack([open_scenes(folder / row[side])[0].read(0, 1).values[:, 0] for row in rows]).astype(np.float32)

    return Pairs(look(values("before")), look(values("after")), values("mask")[:, 0] > 0)


def joined(parts: Sequence[Pairs]) -> Pairs:
    return Pairs(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def one_of(found: Pairs, side: int = TILE) -> Draw:
    """A window of one of them."""

    def draw(random: np.random.Generator) -> tuple[Shown, Shown, Masks]:
        row = random.integers(len(found.masks))
        at = window(random, found.masks.shape[1:], side)
        return found.before[row][:, *at], found.after[row][:, *at], found.masks[row][at]

    return draw


def window(random: np.random.Generator, shape: tuple[int, ...], side: int = TILE) -> tuple[slice, slice]:
    row, column = (int(random.integers(length - side + 1)) for length in shape)
    return slice(row, row + side), slice(column, column + side)


def pasted(dates: Dates, *, other_date: bool) -> Draw:
    """A clear tile, and it again, or that of another clear date, with a blob of a clouded date's clouds laid in."""
    images, clear, clouded = seen(dates.images), dates.of("clear"), dates.of("partial")

    def draw(random: np.random.Generator) -> tuple[Shown, Shown, Masks]:
        at, there = (window(random, dates.clouds.shape[1:]) for _ in range(2))
        before, ground = (images[random.choice(clear)][:, *at] for _ in range(2))
        ground = ground if other_date else before
        if random.random() < 0.1:
            return before, ground, np.zeros((TILE, TILE), bool)
        source = random.choice(clouded)
        region = blob(random, (TILE, TILE), random.uniform(0.02, 0.4)) & dates.clouds[source][there]
        return before, blend(ground, images[source][:, *there], region).astype(np.float32), region

    return draw


def mixed(*draws: Draw) -> Draw:
    return lambda random: draws[int(random.integers(len(draws)))](random)


def batches(
    draw: Draw, seed: int, *, relit: bool, turns: bool
) -> Callable[[int, torch.Generator], tuple[Tensor, Tensor]]:
    """Batches for a detector, turned and mirrored, perhaps each date relit by itself."""
    random = np.random.default_rng(seed)

    def batch(size: int, own: torch.Generator) -> tuple[Tensor, Tensor]:
        images, masks = [], []
        for _ in range(min(size, BATCH)):
            before, after, mask = draw(random)
            sides = [np.clip(side * light(random, len(side)), 0, 1) if relit else side for side in (before, after)]
            turned = np.concatenate([*sides, mask[None]])
            if turns:
                turned = np.rot90(turned, int(random.integers(4)), (1, 2))[:, :, :: random.choice([-1, 1])]
            images.append(turned[:-1])
            masks.append(turned[-1:])
        return torch.from_numpy(np.stack(images).astype(np.float32)), torch.from_numpy(
            np.stack(masks).astype(np.float32)
        )

    return batch


def light(random: np.random.Generator, channels: int) -> Shown:
    """How much brighter each channel of a date is, (channels, 1, 1)."""
    noise = random.standard_normal() + random.standard_normal((channels, 1, 1))
    return np.exp(RELIT * noise / 2**0.5).astype(np.float32)


def seen(reflectance: Shown) -> Shown:
    """As detectors see it: the square root, which ground takes as much of as clouds do, 0 to 1."""
    return np.asarray(np.sqrt(np.clip(reflectance / BRIGHT, 0, 1)), np.float32)


def detector(draw: Draw, seed: int, *, relit: bool, turns: bool) -> Callable[[Pairs], Shown]:
    """What gives the chance that each pixel changed, (N, H, W)."""
    loss = DiceCELoss(to_onehot_y=True, softmax=True)
    batch = batches(draw, seed, relit=relit, turns=turns)
    network = trained(lambda x: UNet(2, x.shape[1], 2, WIDTHS, STRIDES), batch, seed, loss)

    @torch.inference_mode()
    def chances(found: Pairs) -> Shown:
        both = torch.from_numpy(np.concatenate([found.before, found.after], axis=1))
        return torch.cat([network(part).softmax(dim=1)[:, 1] for part in both.split(8)]).numpy()

    return chances


def differences(found: Pairs) -> Shown:
    """The length of the change vector, 1 at twice Otsu's threshold of a pair."""
    length = np.sqrt(((found.after - found.before) ** 2).sum(axis=1))
    return np.stack([one / (2 * threshold_otsu(one)) for one in length])


def figures(chances: Shown, masks: Masks) -> dict[str, float]:
    """Over all pixels of all pairs; AUROC of every 7th."""
    found = chances > 0.5
    both, either = (found & masks).sum(), (found | masks).sum()
    area = auc(chances.ravel()[::7][masks.ravel()[::7]], chances.ravel()[::7][~masks.ravel()[::7]])
    iou = both / max(1, either)
    return {"IoU": round(float(iou), 3), "F1": round(float(2 * iou / (1 + iou)), 3), "AUROC": round(float(area), 3)}


def radiograph(seed: int, number: int, *, opacity: bool) -> Shown:
    """One of a drawn set, (1, rows, columns), 0 to 1."""
    random = np.random.default_rng([seed, number])
    return phantoms.radiograph(random, SIDE, opacity=opacity)[None].astype(np.float32)


def drawn_pairs(count: int, seed: int) -> Pairs:
    """Radiographs without and with an opacity, else of the same body; the opacity is where they differ, smoothed."""
    before, after = (
        np.stack([radiograph(seed, k, opacity=opacity) for k in range(count)]) for opacity in (False, True)
    )
    apart = gaussian_filter(after[:, 0] - before[:, 0], (0, 1.5, 1.5))
    return Pairs(before, after, apart - np.median(apart, axis=(1, 2), keepdims=True) > DENSE)


def swapped(clear: Shown, ill: Shown) -> Draw:
    """A radiograph without an opacity, and it again with a blob of one with an opacity laid in at its place."""

    def draw(random: np.random.Generator) -> tuple[Shown, Shown, Masks]:
        before, other = clear[random.integers(len(clear))], ill[random.integers(len(ill))]
        region = blob(random, (SIDE, SIDE), random.uniform(0.02, 0.25)) & (random.random() > 0.1)
        return before, blend(before, other, region).astype(np.float32), region

    return draw


def compared(arms: Mapping[str, Draw], tests: Mapping[str, Pairs], seeds: int, *, turns: bool) -> list[dict[str, Any]]:
    """A record for each detector and test."""
    trials: list[dict[str, Any]] = []
    for name, test in tests.items():
        trials.append({"arm": "change vectors, Otsu", "test": name, **figures(differences(test), test.masks)})
        click.echo(json.dumps(trials[-1]))
    for (arm, draw), relit, seed in product(arms.items(), (False, True), range(seeds)):
        chances = detector(draw, seed, relit=relit, turns=turns)
        for name, test in tests.items():
            own = figures(chances(test), test.masks)
            trials.append({"arm": arm, "relit": relit, "seed": seed, "test": name, **own})
            click.echo(json.dumps(trials[-1]))
    return trials


def keep(name: str, tests: Mapping[str, Pairs], record: dict[str, Any]) -> None:
    """Put a record beside the others."""
    counts = {test: {"pairs": len(t.masks), "changed": round(float(t.masks.mean()), 3)} for test, t in tests.items()}
    known = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    RECORD.write_text(json.dumps(known | {name: {**record, "tests": counts, **machine()}}, indent=2) + "\n")


def measured(images: int) -> Callable[[Callable[..., None]], click.Command]:
    """A command with the options of both."""

    def command(measure: Callable[..., None]) -> click.Command:
        options = (
            click.option("--images", default=images, show_default=True, help="Tiles that the T2T-GAN is shown."),
            click.option("--n", default=400, show_default=True, help="Pairs that are made, of each kind."),
            click.option("--seeds", default=2, show_default=True, help="Of detectors."),
            click.option("--work", type=click.Path(path_type=Path), default=ROOT / "runs/pairs", show_default=True),
        )
        for option in options:
            measure = option(measure)
        return main.command()(measure)

    return command


@click.group()
def main() -> None:
    """Measure what made pairs are worth."""
    quiet()


@measured(30_000)
def clouds(images: int, n: int, seeds: int, work: Path) -> None:
    """Ground that clouded, on real pairs."""
    learned, held_out = rome()
    tests = {"Rome, other half and dates": real(held_out), "three places elsewhere": elsewhere()}
    run, clear = painter(learned, images, work / "clouds")
    make = partial(pairs, n, run=run.folder, segmentation=clear, runs=work / "clouds/runs", extent=EXTENT)
    before, after = {"segmentation": "0"}, {"segmentation": "1"}
    fixed = make(before=before, after=after, out=work / "clouds/fixed")
    shaped = make(before=before, after=after, out=work / "clouds/shaped", shapes=work / "clouds/learned/clouds")
    seasons = [
        make(before=before | {"month": str(first)}, after=after | {"month": str(second)}, fixed=False,
             out=work / f"clouds/months_{first}_{second}")
        for first, second in SEASONS
    ]  # fmt: skip
    varied = one_of(joined([made(folder, seen) for folder in seasons]))
    known, cut = one_of(real(learned)), pasted(learned, other_date=True)
    arms = {
        "pairs, background fixed": one_of(made(fixed, seen)),
        "pairs, shapes of real clouds": one_of(made(shaped, seen)),
        "pairs, months differ": varied,
        "cut and paste, one date": pasted(learned, other_date=False),
        "cut and paste, two dates": cut,
        "real pairs": known,
        "real pairs, and cut and paste, two dates": mixed(known, cut),
        "real pairs, and pairs, background fixed": mixed(known, one_of(made(fixed, seen))),
        "real pairs, and pairs, months differ": mixed(known, varied),
    }
    trials = compared(arms, tests, seeds, turns=True)
    keep("clouds", tests, {"images": images, "made": n, "learned dates": learned.names, "trials": trials})


@measured(12_000)
def opacities(images: int, n: int, seeds: int, work: Path) -> None:
    """Opacities of drawn radiographs, on drawn pairs."""
    folder = phantoms.chest_set(work / "opacities/chest", 160, 0, SIDE)
    changes = ("conditions.finding.column=finding", "data.group=patient", f"game.images={images}")
    run = train("chest_xray", data=folder, changes=changes, runs=work / "opacities/runs")
    make = partial(pairs, n, run=run.folder, runs=work / "opacities/runs", format="png")
    opaque = partial(make, before={"finding": "clear"}, after={"finding": "opacity"})
    trained_as, further = opaque(out=work / "opacities/fixed"), opaque(guidance=2.0, out=work / "opacities/further")

    def look(values: Shown) -> Shown:
        return np.clip(values / 4095, 0, 1)

    clear, ill = (
        np.stack([radiograph(0, k, opacity=opacity) for k in range(opacity, 160, 2)]) for opacity in (False, True)
    )
    tests = {"drawn pairs": drawn_pairs(100, 7)}
    arms = {
        "pairs": one_of(made(trained_as, look), SIDE),
        "pairs, guidance 2": one_of(made(further, look), SIDE),
        "cut and paste": swapped(clear, ill),
        "drawn pairs": one_of(drawn_pairs(100, 8), SIDE),
    }
    keep("opacities", tests, {"images": images, "made": n, "trials": compared(arms, tests, seeds, turns=False)})


if __name__ == "__main__":
    main()
