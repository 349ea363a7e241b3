"""Chest radiographs at 64 px after a given CPU time: pictures, Fréchet distance, KID, nearest training images.

    python -m benchmarks.chest_xray [--data ../shared/data/chest_xray] [--cpu-minutes 10] [--device auto]

The run's length in tiles is set from a short trial, so that training takes about the CPU time asked for; what it
really took is in the result. Writes docs/benchmarks/chest_xray.json and docs/pictures/chest_xray_*.png.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
import numpy as np
import torch

from augmentor import recipe as recipes
from augmentor.measures.copies import nearest
from augmentor.measures.features import VERSION, layout_and_spectrum, random_convolutional
from augmentor.measures.fidelity import frechet, kernel
from augmentor.networks import load_generator
from augmentor.report.pictures import contact_sheet
from augmentor.run import Run
from augmentor.synthesize import samples
from augmentor.tiles import TileStore
from augmentor.train import train
from benchmarks.machine import machine

ROOT = Path(__file__).parent.parent
COUNT = 1024
TRIAL = 4_000
FEATURES = {"random convolutions": random_convolutional, "layout and spectrum": layout_and_spectrum}


def cpu_seconds(run: Run) -> tuple[int, float]:
    """Tiles shown, and CPU seconds of training taken for them."""
    last = json.loads((run.folder / "log.jsonl").read_text().splitlines()[-1])
    return int(last["images"]), float(last["cpu_seconds"])


def fit_length(data: Path, minutes: float, changes: tuple[str, ...], runs: Path) -> int:
    """How many tiles fit the CPU time, by a trial run with the same parts of each act."""
    trial = train("chest_xray", data=data, changes=(*changes, f"game.images={TRIAL}"), runs=runs)
    shown, seconds = cpu_seconds(trial)
    return round(shown / seconds * minutes * 60 / 1000) * 1000


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=ROOT.parent / "shared/data/chest_xray")
@click.option("--cpu-minutes", type=float, default=10.0)
@click.option("--device", default="auto")
@click.option("--runs", type=click.Path(path_type=Path), help="Keep the runs here.")
def main(data: Path, cpu_minutes: float, device: str, runs: Path | None) -> None:
    """Train, draw, measure, and write the result down."""
    runs = runs or Path(tempfile.mkdtemp())
    changes = (f"game.device={device}",)
    tiles = fit_length(data, cpu_minutes, changes, runs)
    run = train("chest_xray", data=data, changes=(*changes, f"game.images={tiles}"), runs=runs)
    shown, seconds = cpu_seconds(run)
    facts = run.facts
    store = TileStore(Path(run.provenance["tiles"]))
    loaded = {held_out: store.load(store.rows(held_out)) for held_out in (False, True)}
    sides = {key: facts.scaling.to_unit(pixels) * valid[:, None] for key, (pixels, valid) in loaded.items()}
    masks = loaded[False][1]
    drawn = list(samples(load_generator(run), facts, 0, COUNT, 0, {}))
    made = facts.scaling.to_unit(np.stack([s.pixels for s in drawn]))
    # Samples are seen through the same padding as real tiles, or the padding would be what is measured.
    order = np.random.default_rng(0).integers(len(masks), size=len(made))
    masked = (made * masks[order][:, None]).astype(np.float32)
    figures = {}
    for name, features in FEATURES.items():
        of = {key: features(torch.from_numpy(value)) for key, value in (*sides.items(), ("made", masked))}
        figures[name] = {
            "frechet": frechet(of["made"], of[True]),
            "frechet_floor": frechet(of[False], of[True]),
            "kid": kernel(of["made"], of[True]),
            "kid_floor": kernel(of[False], of[True]),
        }
    close, floor = nearest(made[:256], sides[False]), nearest(sides[True], sides[False])
    result = {
        "command": f"python -m benchmarks.chest_xray --cpu-minutes {cpu_minutes:g}",
        **machine(),
        "recipe": recipes.as_mapping(run.recipe)["game"],
        "tiles_shown": shown,
        "train_cpu_seconds": round(seconds, 1),
        "real_tiles": {"trained_on": len(sides[False]), "held_out": len(sides[True])},
        "samples": COUNT,
        "features_version": VERSION,
        "distances_to_held_out": figures,
        "nearest_training_image": {
            "median_of_samples": float(np.median(close.distance)),
            "smallest_of_samples": float(close.distance.min()),
            "median_of_held_out": float(np.median(floor.distance)),
            "smallest_of_held_out": float(floor.distance.min()),
        },
    }
    out = ROOT / "docs/benchmarks/chest_xray.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    pictures = ROOT / "docs/pictures"
    real = facts.scaling.to_physical(sides[False][np.random.default_rng(1).permutation(len(sides[False]))[:24]])
    contact_sheet([*real, *[s.pixels for s in drawn[:40]]], facts.scaling, pictures / "chest_xray_samples.png")
    row = facts.scaling.to_physical(sides[False][close.which[:8]])
    contact_sheet([*[s.pixels for s in drawn[:8]], *row], facts.scaling, pictures / "chest_xray_nearest.png")
    click.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
