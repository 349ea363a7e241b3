"""What restyling keeps and changes, beside histogram matching: radiographs of two sites, and one ground in two months.

    OMP_NUM_THREADS=1 python -m benchmarks.restyle sites --images 12000 --seeds 2
    OMP_NUM_THREADS=1 python -m benchmarks.restyle seasons --images 12000 --seeds 2
    OMP_NUM_THREADS=1 python -m benchmarks.restyle drawn --images 6000 --seeds 2

``sites``: chest radiographs of NIH and of Hannover, cut to squares of 128 pixels. A run learns them for their site
alone (tiny, 64 px); those of held-out patients are given the look of the other site. A classifier of real training
images says which site they are of. Sites and illness are confounded: all of Hannover's are of COVID-19, none of NIH's.

``seasons``: clear dates of a scene near Rome. A run learns the months of its upper half; dates of the lower half are
given the look of months at least two away, and held against what was seen there then.

``drawn``: phantoms of radiographs as two scanners have them, which differ in tone and in how evenly they light; those
of one are given the look of the other, and held against the same as that one has them. One record each, in
docs/benchmarks/restyle.json.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import sobel
from skimage.exposure import match_histograms
from skimage.filters import threshold_otsu
from skimage.metrics import structural_similarity
from torch import Tensor

from augmentor import train
from augmentor.evaluation.classifier import learned, scores
from augmentor.ingest import ingest
from augmentor.measures.features import random_convolutional
from augmentor.measures.fidelity import frechet, principal
from augmentor.report.pictures import sheet, visible
from augmentor.restyling import laid
from augmentor.restyling.change import Changer
from augmentor.restyling.style import styles
from augmentor.run import Run
from augmentor.tiles import uncut
from benchmarks.contenders import ROOT, SHARED, quiet
from benchmarks.machine import machine
from data_adapters import Channel, Provenance, Scene, Template, adapter, open_scenes, phantoms

RECORD = ROOT / "docs/benchmarks/restyle.json"
PICTURE = ROOT / "docs/pictures/restyle.png"

SIDE = 128
"""Pixels of a radiograph."""

BANDS = ("B02", "B03", "B04", "B08")
BRIGHT = 4000.0
"""Reflectance x 10,000 that counts as full."""

APART = 2
"""Months between a date's own look and the wanted one, at least."""

WIDTHS = {"half as wide": 1 / 32, "twice as wide": 1 / 8}
"""Other widths of the filter that smooths a change."""

FDA = 0.03
"""Half of the part of the spectrum, in sides, whose amplitudes are swapped (Yang and Soatto 2020)."""

SUMMER, AUTUMN = 7, 10

DRAWN, LEARNED, JUDGED = 64, 120, 20
"""Pixels of a drawn radiograph; how many are learned from, of both scanners together, and how many are restyled."""

Images = NDArray[np.float32]
"""(N, C, H, W)."""

OURS = "restyle"


def keep(name: str, record: dict[str, Any]) -> None:
    known = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    RECORD.write_text(json.dumps(known | {name: {**record, **machine()}}, indent=2) + "\n")
    click.echo(f"{name}: {json.dumps(record, indent=1)}")


@contextmanager
def smoothed_by(width: float) -> Any:
    """The verb with another filter."""
    own, laid.WIDTH = laid.WIDTH, width
    try:
        yield
    finally:
        laid.WIDTH = own


def ours(scene: Scene, changer: Changer, run: Run, own: Mapping[str, str], to: Mapping[str, str]) -> Images:
    """What the verb writes of a scene of one slice and one block, (C, H, W)."""
    whole = run.recipe.tiles.cut == "whole"
    (block,) = laid.blocks(scene, whole=whole)
    change = partial(changer, own=own, wanted={**own, **to})
    patch = laid.restyled(scene, 0, block, changer.facts, change, whole=whole)
    assert patch is not None and patch.made.all()
    return np.asarray(np.rint(patch.values), np.float32)


def matched(image: Images, pool: Images) -> Images:
    """Histogram matching, channel by channel, of (C, H, W) to a pool (N, C, H, W)."""
    each = [
        match_histograms(plane, others.reshape(-1, 1)) for plane, others in zip(image, pool.swapaxes(0, 1), strict=True)
    ]
    return np.asarray(each, np.float32)


def shifted(image: Images, pool: Images) -> Images:
    """The mean and spread of each channel made those of a pool."""
    axes = (1, 2)
    own, of_pool = ((v.mean(axis=a, keepdims=True), v.std(axis=a, keepdims=True))
                    for v, a in ((image, axes), (pool.swapaxes(0, 1).reshape(len(image), 1, -1), axes)))  # fmt: skip
    return np.asarray((image - own[0]) / own[1] * of_pool[1] + of_pool[0], np.float32)


def swapped(image: Images, other: Images) -> Images:
    """Fourier domain adaptation: the low amplitudes of another image, the phases its own (Yang and Soatto 2020)."""
    spectrum, theirs = (np.fft.fftshift(np.fft.fft2(v), axes=(1, 2)) for v in (image, other))
    rows, columns = (np.abs(np.arange(side) - side // 2) <= FDA * side for side in image.shape[1:])
    low = np.outer(rows, columns)
    amplitude = np.where(low, np.abs(theirs), np.abs(spectrum))
    mixed = np.fft.ifftshift(amplitude * np.exp(1j * np.angle(spectrum)), axes=(1, 2))
    return np.asarray(np.fft.ifft2(mixed).real, np.float32)


def edges(image: Images) -> NDArray[np.float64]:
    """The size of the gradient, channel by channel."""
    return np.hypot(sobel(image.astype(float), -1), sobel(image.astype(float), -2))


def held(before: Images, after: Images) -> dict[str, float]:
    """How far the structure of images is that of others: correlation and structural similarity of gradients, and the
    overlap (Dice) of what Otsu's threshold tells from the rest."""
    correlations, alike, overlaps = [], [], []
    for one, other in zip(before.reshape(-1, *before.shape[2:]), after.reshape(-1, *after.shape[2:]), strict=True):
        a, b = edges(one), edges(other)
        correlations.append(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        alike.append(structural_similarity(a, b, data_range=float(a.max())))
        c, d = one > threshold_otsu(one), other > threshold_otsu(other)
        overlaps.append(2 * (c & d).sum() / (c.sum() + d.sum()))
    return {
        "edges": round(float(np.mean(correlations)), 3),
        "SSIM of gradients": round(float(np.mean(alike)), 3),
        "Otsu Dice": round(float(np.mean(overlaps)), 3),
    }


def radiographs(work: Path) -> Path:
    """Squares of the middle of every radiograph, with their sites: black bars at a site's images would tell it."""
    folder = work / "chest"
    (folder / "images").mkdir(parents=True)
    with (SHARED / "chest_xray/labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "site", "patient"])
        for row in rows:
            image = Image.open(SHARED / "chest_xray" / row["file"]).convert("L")
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.crop((left, top, left + side, top + side))
            name = f"images/{Path(row['file']).name}"
            square.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(folder / name)
            table.writerow([name, "NIH" if row["source"].startswith("nih") else "Hannover", row["patient_id"]])
    return folder


def unit(images: Images) -> Images:
    """Gray values as classifiers and features see them, -1 to 1."""
    return np.asarray(np.clip(np.rint(images), 0, 255) / 127.5 - 1, np.float32)


def taken_for(images: Sequence[Images], seed: int) -> Callable[[Images], NDArray[np.int64]]:
    """A classifier of several sets of images, each shown as often."""
    sets = [torch.from_numpy(unit(part)) for part in images]

    def draw(count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        classes = torch.randint(len(sets), (count,), generator=random)
        each = [sets[c][int(torch.randint(len(sets[c]), (1,), generator=random))] for c in classes]
        return torch.stack(each), classes

    network = learned(draw, len(sets), seed)
    return lambda shown: np.asarray(scores(network, unit(shown)).argmax(axis=1))


def likeness(made: Images, pool: Images) -> float:
    """Fréchet distance to a pool of real images, over as many principal axes as the smaller set is worth."""
    real, other = (random_convolutional(torch.from_numpy(unit(side))) for side in (pool, made))
    axes = principal(real, max(2, len(made) // 5))
    return round(frechet(axes(other), axes(real)), 1)


def redrawn(scene: Scene, changer: Changer, own: Mapping[str, str], to: Mapping[str, str]) -> Images:
    """What the generator itself makes of a radiograph in the wanted style."""
    tiles = laid.tiles_at(scene, 0, changer.facts, scene.plane, whole=True)
    assert tiles is not None
    with torch.inference_mode():
        code, wanted = (changer.code(style) for style in (own, to))
        prior = changer.generator.prior
        latents = prior(prior.noise(changer.inference(tiles.shown).mean, code), wanted)
        made = changer.facts.scaling.to_physical(changer.generator(latents, wanted).numpy()[0])
    return np.stack([uncut(plane, scene.shape[2:], whole=True) for plane in made]).astype(np.float32)


@click.group()
def main() -> None:
    """Measure what restyling keeps and changes."""
    quiet()


def measured(measure: Callable[..., None]) -> click.Command:
    """A command with the options of every measurement; it works in a folder that goes with it."""

    @click.option("--images", default=12_000, show_default=True, help="Tiles that the T2T-GAN is shown.")
    @click.option("--seeds", default=2, show_default=True, help="Of training, splits and classifiers.")
    def command(images: int, seeds: int) -> None:
        with tempfile.TemporaryDirectory(prefix="augmentor-") as work:
            measure(images, seeds, Path(work))

    return main.command(measure.__name__, help=measure.__doc__)(command)


@measured
def sites(images: int, seeds: int, work: Path) -> None:
    """Radiographs of two sites."""
    folder = radiographs(work)
    scenes = {scene.name: scene for scene in open_scenes(folder / "images")}
    read = {name: scene.read(0, 1).values[:, 0] for name, scene in scenes.items()}
    trials = []
    for seed in range(1, seeds + 1):
        changes = ("name=sites", "conditions={site: {column: site}}", "data.group=patient", "tiles.held_out=0.3",
                   f"game.images={images}", f"seed={seed}")  # fmt: skip
        run = train("chest_xray", data=folder, changes=changes, runs=work / "runs")
        changer, store = Changer.of(run), ingest(run.recipe, work / "runs/tiles")
        names = {
            (site, out): [o.scene for o in store.index if o.conditions["site"] == site and o.held_out == out]
            for site, out in product(("NIH", "Hannover"), (False, True))
        }
        pools = {key: np.stack([read[name] for name in of]) for key, of in names.items()}
        known = ["NIH", "Hannover"]
        classify = taken_for([pools[site, False] for site in known], seed)
        right = {site: round(float((classify(pools[site, True]) == known.index(site)).mean()), 3) for site in known}
        for own, to in (known, known[::-1]):
            found = _directed(own, to, changer, run, scenes, names, pools, classify, known.index(to))
            told = {"seed": seed, "from": own, "to": to, "images": len(names[own, True])}
            trials.append({**told, "classifier right of real": right, **found})
    keep("sites", {"tiles shown": images, "trials": trials})


def _directed(
    own: str, to: str, changer: Changer, run: Run, scenes: Mapping[str, Scene], names: Mapping[Any, list[str]],
    pools: Mapping[Any, Images], classify: Callable[[Images], NDArray[np.int64]], wanted: int,
) -> dict[str, Any]:  # fmt: skip
    """From one site to another: how every way compares, and how often the source's own site is found."""
    source, pool = pools[own, True], pools[to, False]
    random = np.random.default_rng(0)
    ends = {"site": own}, {"site": to}
    mine = [scenes[name] for name in names[own, True]]
    one = pools[own, False]
    ways: dict[str, Images] = {
        "source": source,
        OURS: np.stack([ours(scene, changer, run, *ends) for scene in mine]),
        "generator alone": np.stack([redrawn(scene, changer, *ends) for scene in mine]),
        "histogram matching": np.stack([matched(image, pool) for image in source]),
        "mean and spread of each": np.stack([shifted(image, pool) for image in source]),
        "mean and spread of sites": (source - one.mean()) / one.std() * pool.std() + pool.mean(),
        "FDA": np.stack([swapped(image, pool[random.integers(len(pool))]) for image in source]),
        "held-out images of the target": pools[to, True],
    }
    for name, width in WIDTHS.items():
        with smoothed_by(width):
            ways[f"{OURS}, {name}"] = np.stack([ours(scene, changer, run, *ends) for scene in mine])
    found = {}
    for name, made in ways.items():
        written = np.clip(np.rint(made), 0, 255).astype(np.float32)
        found[name] = {
            **(held(source, written) if len(made) == len(source) and name != "held-out images of the target" else {}),
            "taken for the target": round(float((classify(written) == wanted).mean()), 3),
            "Fréchet": likeness(written, pool),
        }
    recognised = [changer.likeliest(_shown(scene, changer), ends)["site"] == own for scene in mine]
    return {"own site found": round(float(np.mean(recognised)), 3), "ways": found}


def _shown(scene: Scene, changer: Changer) -> Tensor:
    tiles = laid.tiles_at(scene, 0, changer.facts, scene.plane, whole=True)
    assert tiles is not None
    return tiles.shown


def halves(work: Path) -> tuple[Path, Path]:
    """The clear dates of a scene, cut into the half to learn from and the other one."""
    series = SHARED / "satellite_timeseries"
    with (series / "s2_rome_west_dates.csv").open() as stream:
        clear = [row["file"] for row in csv.DictReader(stream) if row["class"] == "clear"]
    folders = work / "upper", work / "lower"
    for folder, rows in zip(folders, (slice(None, 128), slice(128, None)), strict=True):
        folder.mkdir()
        for name in clear:
            with rasterio.open(series / "s2_rome_west" / name) as source:
                values = source.read([source.descriptions.index(band) + 1 for band in BANDS])[:, rows]
                profile = {**source.profile, "count": len(BANDS), "height": values.shape[1]}
            with rasterio.open(folder / name, "w", **profile) as written:
                written.write(values)
                written.descriptions = BANDS
    return folders


@measured
def seasons(images: int, seeds: int, work: Path) -> None:
    """One ground in two months."""
    upper, lower = halves(work)
    dated = {folder: {scene.dates[0]: scene for file in sorted(folder.glob("*.tif")) for scene in open_scenes(file)}
             for folder in (upper, lower)}  # fmt: skip
    seen = {folder: {day: scene.read(0, 1).values[:, 0] for day, scene in days.items()}
            for folder, days in dated.items()}  # fmt: skip
    months = sorted({int(day[5:7]) for day in dated[lower]})
    trials = []
    for seed in range(1, seeds + 1):
        changes = ("name=seasons", "data.masks=null", "conditions={month: {kind: cycle, origin: month}}",
                   f"tiles={{size: [32, 32], cut: grid, overlap: 0.5, limits: [0, {BRIGHT:g}], flips: true}}",
                   f"game.images={images}", f"seed={seed}")  # fmt: skip
        run = train("satellite_tiles", data=upper, changes=changes, runs=work / "runs")
        changer = Changer.of(run)
        errors: dict[str, dict[str, list[dict[str, float]]]] = {}
        for (day, scene), month in product(dated[lower].items(), months):
            own = int(day[5:7])
            if min((own - month) % 12, (month - own) % 12) < APART:
                continue
            then = [other for other in dated[lower] if int(other[5:7]) == month]
            source, pool = seen[lower][day], np.stack([seen[upper][other] for other in then])
            style = styles(scene, changer, run.recipe, {}, {"month": str(month)})
            beside = seen[upper][day]
            to_pool = (pool.std(axis=(0, 2, 3)) / beside.std(axis=(1, 2)), pool.mean(axis=(0, 2, 3)))
            ways = {
                "source": source,
                OURS: ours(scene, changer, run, style.own[0], {"month": str(month)}),
                "histogram matching": matched(source, pool),
                "mean and spread of each": shifted(source, pool),
                "mean and spread of months": (source - beside.mean(axis=(1, 2))[:, None, None])
                * to_pool[0][:, None, None] + to_pool[1][:, None, None],
            }  # fmt: skip
            where = "summer and autumn" if {own, month} == {SUMMER, AUTUMN} else "other months"
            for name, made in ways.items():
                truth = [float(np.sqrt(np.mean((made - seen[lower][other]) ** 2))) for other in then]
                kept = float(np.corrcoef(edges(source).ravel(), edges(made).ravel())[0, 1])
                told = {"RMSE": float(np.mean(truth)), "edges": kept}
                for part in (where, "all"):
                    errors.setdefault(part, {}).setdefault(name, []).append(told)
        trials.append({"seed": seed, **{part: _means(of) for part, of in errors.items()}})
    keep("seasons", {"tiles shown": images, "trials": trials})


def scanned(number: int, scanner: str) -> Images:
    """Drawn radiograph ``number`` as a scanner has it, (1, 1, H, W), 0 to 255: the second one has flatter tones, and is
    brighter on one side, as by the heel of an anode."""
    plane = phantoms.radiograph(np.random.default_rng([11, number]), DRAWN, opacity=False)
    if scanner == "second":
        plane = np.clip(plane, 0, 1) ** 0.7 * 0.75 + np.linspace(0.0, 0.25, DRAWN)
    return np.asarray(np.rint(np.clip(plane, 0, 1) * 255), np.float32)[None, None]


@measured
def drawn(images: int, seeds: int, work: Path) -> None:
    """Drawn radiographs of two scanners, whose truth is known; and the picture of docs/restyle.md."""
    template = Template("png", "image", "", (Channel("gray"),), "uint8", 0, 255, bits=8)
    folder, scanners = work / "drawn", ("first", "second")

    def write(number: int, scanner: str, to: Path) -> Path:
        made_by = Provenance("phantom", "1", "drawn phantom", index=number, source=scanner)
        values = scanned(number, scanner)[0][:, None]
        return Path(next(iter(adapter("png").write_sample(to / f"{scanner}_{number:04d}", values, template, made_by))))

    learned_from = {scanner: range(start, LEARNED, 2) for start, scanner in enumerate(scanners)}
    rows = [(write(k, scanner, folder).name, scanner) for scanner, of in learned_from.items() for k in of]
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "scanner"), *rows])
    pools = {scanner: np.concatenate([scanned(k, scanner) for k in of]) for scanner, of in learned_from.items()}
    trials = []
    for seed in range(1, seeds + 1):
        changes = ("name=drawn", "conditions={scanner: {column: scanner}}", "data.group=null", "data.modality=''",
                   "tiles.size=[32,32]", f"game.images={images}", f"seed={seed}")  # fmt: skip
        run = train("chest_xray", data=folder, changes=changes, runs=work / "runs")
        changer = Changer.of(run)
        for own, to in (scanners, scanners[::-1]):
            numbers = range(LEARNED, LEARNED + JUDGED)
            mine = [open_scenes(write(k, own, work / "judged"))[0] for k in numbers]
            source, truth = (np.concatenate([scanned(k, scanner) for k in numbers]) for scanner in (own, to))
            one, pool = pools[own], pools[to]
            ways = {
                "source": source,
                OURS: np.stack([ours(scene, changer, run, {"scanner": own}, {"scanner": to}) for scene in mine]),
                "histogram matching": np.stack([matched(image, pool) for image in source]),
                "mean and spread of each": np.stack([shifted(image, pool) for image in source]),
                "mean and spread of scanners": (source - one.mean()) / one.std() * pool.std() + pool.mean(),
            }
            found = {}
            for name, made in ways.items():
                shown = np.clip(np.rint(made), 0, 255)
                error = float(np.sqrt(np.mean((shown - truth) ** 2)))
                found[name] = {"RMSE": round(error, 1), "edges": held(source, shown)["edges"]}
            trials.append({"seed": seed, "from": own, "to": to, "ways": found})
            if (seed, own) == (1, scanners[0]):
                beside = [source, ways[OURS], ways["histogram matching"], truth]
                sheet([visible(side[k], (), [0.0], [255.0]) for k in range(3) for side in beside], 4, PICTURE)
    keep("drawn", {"tiles shown": images, "learned": LEARNED, "judged": JUDGED, "trials": trials})


def _means(of: Mapping[str, list[dict[str, float]]]) -> dict[str, Any]:
    """The mean of each figure of every way."""
    return {
        name: {"dates": len(found), "RMSE": round(float(np.mean([f["RMSE"] for f in found])), 1),
               "edges": round(float(np.mean([f["edges"] for f in found])), 3)}
        for name, found in of.items()
    }  # fmt: skip


if __name__ == "__main__":
    main()
