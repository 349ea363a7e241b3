"""How well a run that learned usual images tells others, and where, beside an autoencoder and principal components.

    OMP_NUM_THREADS=1 python -m benchmarks.score disease --minutes 3 --seeds 2
    OMP_NUM_THREADS=1 python -m benchmarks.score lesions --minutes 3 --seeds 2
    OMP_NUM_THREADS=1 python -m benchmarks.score lesions --data phantoms --minutes 3 --seeds 2 --picture
    OMP_NUM_THREADS=1 python -m benchmarks.score made --data ucmerced --minutes 3

``disease``: trained on chest radiographs without a finding; those of held-out patients against pneumonia. ``lesions``:
soft spots are planted into half of the same held-out radiographs. Both on drawn radiographs, too (``--data phantoms``),
whose findings are drawn opacities; ``--picture`` shows what was found beside what was planted. ``made``: held-out
images against samples of rivals. All models learn from the same tiles for the same CPU time. One record a trial, in
docs/benchmarks/score.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augmentor.adversary.batch import Batch
from augmentor.measures.localisation import region_overlap
from augmentor.measures.ranking import auc
from augmentor.report.pictures import sheet, visible
from augmentor.scoring.normal import FIGURES, Normal, image_scores, strangeness
from augmentor.scoring.views import NAMES, Viewer
from augmentor.t2t.conditioning import ClassCondition
from benchmarks.contenders import PHANTOMS, ROOT, T2T, Split, clock, contender, quiet, split
from benchmarks.gan import STORE
from benchmarks.machine import machine
from data_adapters.phantoms import chest_set

RECORD = ROOT / "docs/benchmarks/score.json"
PIXELS = 64
COMPONENTS = 32
"""Principal components that a radiograph is remade of."""

SPOTS = (2.5, 6.0), (0.3, 0.8)
"""Standard deviations of planted spots in pixels, and how much they add, of a range of 2."""

DRAWN = 240
"""Phantoms, half of them with an opacity."""

SHOWN, ABREAST = 8, 4
"""Tiles on a picture, and in a row of it."""

OURS = "T2T-GAN"
RIVALS = ("dcgan", "fastgan")

Maps = Callable[[Batch], NDArray[np.float32]]
"""What gives the views (N, views, H, W) of tiles."""


class Autoencoder(nn.Sequential):
    """Four strided convolutions to a latent as large as the run's own, and back."""

    def __init__(self, channels: int, latent: int = 128) -> None:
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for here, there in pairwise((channels, 32, 64, 128, 128)):
            down += [nn.Conv2d(here, there, 4, 2, 1), nn.GELU()]
            up = [nn.ConvTranspose2d(there, here, 4, 2, 1), nn.GELU(), *up]
        side = PIXELS // 16
        inner = 128 * side * side
        middle = [nn.Flatten(), nn.Linear(inner, latent), nn.Linear(latent, inner), nn.Unflatten(1, (128, side, side))]
        super().__init__(*down, *middle, *up[:-1])


def autoencoder(data: Split, seconds: float, seed: int) -> Maps:
    """Trained on the L1 distance, by Adam."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Autoencoder(data.channels)
        descent, now = torch.optim.Adam(network.parameters(), 1e-3), clock()
        end = now() + seconds
        while now() < end:
            batch = data.train[torch.randint(len(data.train.pixels), (16,))]
            loss = ((network(batch.shown) - batch.shown).abs() * batch.valid).mean()
            descent.zero_grad()
            loss.backward()
            descent.step()
    return residual(network)


def components(data: Split) -> Maps:
    """Of the training tiles."""
    flat = data.train.shown.flatten(1)
    mean = flat.mean(dim=0)
    basis = torch.linalg.svd(flat - mean, full_matrices=False).Vh[:COMPONENTS]
    return residual(lambda x: (mean + (x.flatten(1) - mean) @ basis.T @ basis).view_as(x))


def residual(remake: Callable[[Tensor], Tensor]) -> Maps:
    """What cannot be remade."""

    @torch.no_grad()
    def maps(tiles: Batch) -> NDArray[np.float32]:
        return ((tiles.shown - remake(tiles.shown)).abs().mean(dim=1, keepdim=True) * tiles.valid).numpy()

    return maps


def trained(data: Split, minutes: float, seed: int) -> dict[str, Maps]:
    """Each model's views after so many CPU minutes."""
    ours = T2T(data, seed)
    ours.train(60 * minutes)
    game = ours.painter.game
    viewer = Viewer(data.facts, game.average.eval(), game.average_inference.eval(), game.discriminator.eval())
    return {
        OURS: lambda tiles: viewer.look(tiles.shown, tiles.valid).numpy(),
        "autoencoder": autoencoder(data, 60 * minutes, seed),
        "principal components": components(data),
    }


class Found(NamedTuple):
    """What a model finds of tiles: ``apart`` (N, 3, H, W) and ``figures`` (N, 4), in standard deviations of usual ones,
    and ``scores`` (N,). A model of one view has it in place of all, and no more than its mean and peak in the score."""

    apart: NDArray[np.float32]
    figures: NDArray[np.float64]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, maps: Maps, usual: Batch, tiles: Batch) -> Found:
        (known, known_seen), (views, seen) = ((maps(t), t.valid[:, 0].numpy() > 0) for t in (usual, tiles))
        alone = views.shape[1] == 1
        known, views = (np.repeat(v, len(NAMES), axis=1) if alone else v for v in (known, views))
        normal = Normal.of(known, known_seen)
        apart = normal.apart(views)
        figures = normal.figures_of(apart, seen)
        both = figures[:, [FIGURES.index("reconstruction"), FIGURES.index("peak")]].mean(axis=1)
        return cls(apart, figures, both if alone else image_scores(figures))

    def each(self, name: str, others: int) -> dict[str, float]:
        """How well each figure of a model by its name tells the tiles from number ``others`` on."""
        told = FIGURES if name == OURS else ("reconstruction", "peak")
        return {figure: areas(self.figures[:, FIGURES.index(figure)], others) for figure in told}


USUAL_AND_ILL = {"chest_xray": ("no_finding", "pneumonia"), "phantoms": ("clear", "opacity")}


def usual_radiographs(data: str) -> tuple[Split, Batch]:
    """Chest radiographs without a finding, both sides; and all those with one."""
    if data == "phantoms" and not PHANTOMS.is_dir():
        chest_set(PHANTOMS, DRAWN, seed=0)
    labelled, plain = (split(data, PIXELS, more, STORE) for more in ((), ("conditions={}",)))
    (finding,) = labelled.facts.conditions
    assert isinstance(finding, ClassCondition)

    def those_of(side: Batch, codes: Tensor, name: str) -> Batch:
        return side[codes[:, 1:].argmax(dim=1) == finding.classes.index(name)]

    sides = (plain.train, labelled.train.conditions), (plain.held_out, labelled.held_out.conditions)
    usual, ill = ([those_of(*side, name) for side in sides] for name in USUAL_AND_ILL[data])
    return replace(plain, train=usual[0], held_out=usual[1]), joined(ill)


def joined(batches: Sequence[Batch]) -> Batch:
    return Batch(*(torch.cat([getattr(b, name) for b in batches]) for name in ("pixels", "valid", "conditions")))


def planted(tiles: Batch, seed: int) -> tuple[Batch, NDArray[np.bool_]]:
    """The second half of the tiles with a soft spot each, brighter or darker, somewhere in the middle; and where."""
    random, size = np.random.default_rng(seed), tiles.pixels.shape[-1]
    pixels, truth = tiles.pixels.clone(), np.zeros((len(tiles.pixels), size, size), bool)
    rows, columns = np.indices((size, size))
    for number in range(len(truth) // 2, len(truth)):
        at, wide = random.uniform(0.2 * size, 0.8 * size, 2), random.uniform(*SPOTS[0])
        spot = np.exp(-((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / (2 * wide**2))
        added = random.uniform(*SPOTS[1]) * random.choice([-1, 1]) * spot
        pixels[number] = (pixels[number] + torch.from_numpy(added).float()).clamp(-1, 1)
        truth[number] = spot > 0.5
    return replace(tiles, pixels=pixels), truth


def seen_as(
    tiles: Batch, where: NDArray[np.floating[Any]], truth: NDArray[np.bool_], number: int
) -> list[NDArray[np.uint8]]:
    """A tile, what is strange of it, from 1 to 4 standard deviations, and where the spot was planted."""
    strange = np.clip((where[number] - 1) / 3, 0, 1)
    planes = (tiles.pixels[number, 0].numpy(), 2 * strange - 1, 2.0 * truth[number] - 1)
    return [visible(plane[None], (), [-1.0], [1.0]) for plane in planes]


def _called(what: str, source: str) -> str:
    return what if source == "chest_xray" else f"{what}, {source}"


radiographs = click.option(
    "--data", "source", type=click.Choice(list(USUAL_AND_ILL)), default="chest_xray", show_default=True
)


@click.group()
def main() -> None:
    """Measure what scores are worth."""
    quiet()


def keep(name: str, record: dict[str, Any]) -> None:
    known = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    RECORD.write_text(json.dumps(known | {name: {**record, **machine()}}, indent=2) + "\n")
    click.echo(f"{name}: {json.dumps(record, indent=1)}")


def areas(view: NDArray[np.floating], others: int) -> float:
    """How well scores of tiles tell those from number ``others`` on."""
    return round(auc(view[others:], view[:others]), 3)


@main.command()
@radiographs
@click.option("--minutes", default=3.0, show_default=True)
@click.option("--seeds", default=2, show_default=True)
def disease(source: str, minutes: float, seeds: int) -> None:
    """Findings, by what was learned of radiographs without one."""
    data, ill = usual_radiographs(source)
    tiles, usual, found = joined([data.held_out, ill]), len(data.held_out.pixels), []
    for seed in range(seeds):
        for name, maps in trained(data, minutes, seed).items():
            made = Found.of(maps, data.held_out, tiles)
            found.append({"model": name, "seed": seed, "AUROC": areas(made.scores, usual), **made.each(name, usual)})
    counts = {"train": len(data.train.pixels), "usual": usual, "ill": len(ill.pixels)}
    keep(_called("disease", source), {"minutes": minutes, **counts, "trials": found})


@main.command()
@radiographs
@click.option("--minutes", default=3.0, show_default=True)
@click.option("--seeds", default=2, show_default=True)
@click.option("--picture", is_flag=True, help="Draw the last of the first seed into docs/pictures.")
def lesions(source: str, minutes: float, seeds: int, picture: bool) -> None:
    """Planted spots: which images hold one, and where it lies."""
    data, _ = usual_radiographs(source)
    found = []
    for seed in range(seeds):
        tiles, truth = planted(data.held_out, seed)
        half, seen = len(truth) // 2, tiles.valid[:, 0].numpy() > 0
        for name, maps in trained(data, minutes, seed).items():
            looked = Found.of(maps, data.held_out, tiles)
            where = strangeness(looked.apart, seen)
            if picture and name == OURS and not seed:
                shown = [view for number in range(-SHOWN, 0) for view in seen_as(tiles, where, truth, number)]
                sheet(shown, 3 * ABREAST, ROOT / "docs/pictures" / f"score_{source}.png")
            found.append(
                {
                    "model": name,
                    "seed": seed,
                    "AUROC of images": areas(looked.scores, half),
                    "by figure": looked.each(name, half),
                    "AUROC of pixels": round(auc(where[truth & seen], where[~truth & seen]), 3),
                    "PRO": round(region_overlap(where, truth, seen), 3),
                }
            )
    keep(
        _called("lesions", source),
        {"minutes": minutes, "usual": half, "with a spot": len(truth) - half, "trials": found},
    )


@main.command()
@click.option("--data", "name", default="ucmerced", show_default=True)
@click.option("--minutes", default=3.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
def made(name: str, minutes: float, seed: int) -> None:
    """Samples of other generators, by what was learned of real images."""
    data = split(name, PIXELS, (), STORE)
    models = trained(data, minutes, seed)
    real = len(data.held_out.pixels)
    found = []
    for rival in RIVALS:
        other = contender(rival, data, seed)
        other.train(60 * minutes)
        codes = data.held_out.conditions
        samples = Batch(other.draw(codes, seed).clamp(-1, 1), data.held_out.valid, codes)
        tiles = joined([data.held_out, samples])
        for model, maps in models.items():
            told = Found.of(maps, data.held_out, tiles)
            found.append({"rival": rival, "model": model, "score": areas(told.scores, real), **told.each(model, real)})
    keep(f"made, {name}", {"minutes": minutes, "seed": seed, "real": real, "trials": found})


if __name__ == "__main__":
    main()
