"""The T2T-GAN beside its rivals, in parts, and by stability: one record a trial, in docs/benchmarks/gan.jsonl.

    OMP_NUM_THREADS=1 python -m benchmarks.gan compare --data chest_xray --pixels 64 --minutes 10 --seed 0
    OMP_NUM_THREADS=1 python -m benchmarks.gan few --data chest_xray --pixels 32 --minutes 10
    OMP_NUM_THREADS=1 python -m benchmarks.gan ablate --data chest_xray --pixels 32 --minutes 3
    OMP_NUM_THREADS=1 python -m benchmarks.gan stability --seeds 20
    OMP_NUM_THREADS=1 python -m benchmarks.gan compute
    python -m benchmarks.gan table

Every trial gets the same CPU time (time on a GPU) on one thread. A trial whose record is there is not run again
unless ``--again``; ``table`` writes docs/benchmarks/gan.md from the records, and draws them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from benchmarks.contenders import MODELS, ROOT, SETS, T2T, Split, contender, quiet, split
from benchmarks.machine import machine

RECORDS = ROOT / "docs/benchmarks/gan.jsonl"
PICTURES = ROOT / "docs/pictures"
TABLES = ROOT / "docs/benchmarks/gan.md"
STORE = ROOT / "runs/tiles"

ABLATIONS: dict[str, tuple[str, ...]] = {
    "full": (),
    "encoder: convolutions": ("model.encoder=convolutions",),
    "encoder: patches": ("model.encoder=patches",),
    "decoder: convolutions": ("model.decoder=convolutions",),
    "decoder: patches": ("model.decoder=patches",),
    "both: convolutions": ("model.encoder=convolutions", "model.decoder=convolutions"),
    "both: patches": ("model.encoder=patches", "model.decoder=patches"),
    "no warm start": ("game.warm_start=0", "game.judge_alone=0", "game.reconstruction_weight=0"),
    "warm start alone": ("game.warm_start=1", "game.judge_alone=0"),
    "reconstruction not kept": ("game.reconstruction_weight=0",),
    "no bands": ("game.bands=false",),
    "no spectral normalisation": ("game.spectral=false",),
    "no penalty": ("game.penalty=none",),
    "exact penalty": ("game.penalty=exact",),
    "penalty does not adapt": ("game.penalty_adapts=false",),
    "no augmentation": ("game.augmentation=0",),
    "augmentation adapts": ("game.augmentation_adapts=true",),
    "no jitter": ("game.jitter=0",),
    "non-saturating": ("game.loss=non_saturating",),
    "hinge": ("game.loss=hinge",),
    "LeCam": ("game.lecam_weight=0.1",),
    "super-resolution": ("game.superresolution_weight=0.5",),
    "locality": ("game.locality=true",),
}
"""What is changed in the recipe, by the name of the change."""


def main_options(command: Any) -> Any:
    """Options that every trial has."""
    for option in (
        click.option("--data", type=click.Choice(list(SETS)), default="chest_xray"),
        click.option("--pixels", type=int, default=64),
        click.option("--minutes", type=float, default=10.0, help="CPU minutes a trial; minutes on a GPU."),
        click.option("--seed", "seeds", type=int, multiple=True, default=(0,)),
        click.option("--again", is_flag=True, help="Run trials whose record is there."),
    ):
        command = option(command)
    return command


@click.group()
def main() -> None:
    """Measure the T2T-GAN."""
    quiet()


def trial(what: str, model: str, data: str, pixels: int, minutes: float, seed: int, **more: Any) -> dict[str, Any]:
    """What a trial is known by."""
    return {"what": what, "model": model, "data": data, "pixels": pixels, "minutes": minutes, "seed": seed, **more}


def records() -> list[dict[str, Any]]:
    """Every record so far."""
    return [json.loads(line) for line in RECORDS.read_text().splitlines()] if RECORDS.is_file() else []


KNOWN_BY = ("what", "model", "act", "data", "pixels", "minutes", "seed", "images", "change")
"""What tells one trial from another."""


def known_by(record: dict[str, Any]) -> list[Any]:
    """A record's trial."""
    return [record.get(name) for name in KNOWN_BY]


def skipped(key: dict[str, Any], again: bool) -> bool:
    """Whether a trial need not run, since its record is there; says so."""
    found = not again and known_by(key) in map(known_by, records())
    if found:
        click.echo(f"there: {key}")
    return found


def note(record: dict[str, Any]) -> None:
    """Append a record; an earlier one of the same trial goes."""
    before = records()
    kept = [r for r in before if known_by(r) != known_by(record)]
    if len(kept) < len(before):
        RECORDS.write_text("".join(json.dumps(r) + "\n" for r in kept))
    with RECORDS.open("a") as stream:
        stream.write(json.dumps({**record, **machine()}) + "\n")
    click.echo(json.dumps(record))


def run(key: dict[str, Any], data: Split, again: bool, *, sheet: bool = False) -> None:
    """Train, draw and judge one contender, unless its record is there."""
    from benchmarks.verdict import draw, figures

    if skipped(key, again):
        return
    model = contender(key["model"], data, key["seed"])
    shown = model.train(key["minutes"] * 60)
    made, codes, _ = draw(model, data, seed=1)
    if sheet:
        long = "" if key["minutes"] == 10 else f"_{key['minutes']:g}_minutes"
        who = key["model"].replace("=", "_matched")
        draw_sheet(made[:40], data, f"gan_{key['data']}_{key['pixels']}_{who}{long}.png")
    trained_on = {"trained_on": len(data.train.pixels), "held_out": len(data.held_out.pixels)}
    said = {"verdicts": model.verdicts(made, codes)} if isinstance(model, T2T) else {}
    note({**key, "tiles_shown": shown, "parameters": model.parameters, **trained_on, **figures(made, data), **said})


def draw_sheet(made: Any, data: Split, name: str) -> None:
    """Draw samples into the documentation's pictures."""
    from augmentor.report.pictures import contact_sheet

    contact_sheet([data.facts.scaling.to_physical(m) for m in made.numpy()], data.facts.scaling, PICTURES / name)


@main.command()
@main_options
@click.option("--model", "models", type=click.Choice(MODELS), multiple=True, default=MODELS)
def compare(data: str, pixels: int, minutes: float, seeds: Sequence[int], again: bool, models: Sequence[str]) -> None:
    """The T2T-GAN and every rival at equal CPU time, of seed 0 each with a sheet of samples; and one of held-out
    images."""
    cut = split(data, pixels, (), STORE)
    draw_sheet(cut.held_out.shown[:40], cut, f"gan_{data}_{pixels}_real.png")
    for seed in seeds:
        for model in models:
            run(trial("compare", model, data, pixels, minutes, seed), cut, again, sheet=seed == 0)


@main.command()
@main_options
@click.option("--model", "models", type=click.Choice(MODELS), multiple=True, default=MODELS)
def few(data: str, pixels: int, minutes: float, seeds: Sequence[int], again: bool, models: Sequence[str]) -> None:
    """The same from 30, 100 and 300 training images (or as many as there are)."""
    cut = split(data, pixels, (), STORE)
    for seed in seeds:
        for count in (30, 100, 300):
            for model in models:
                key = trial("few", model, data, pixels, minutes, seed, images=count)
                run(key, cut.few(min(count, len(cut.train.pixels)), seed), again)


@main.command()
@main_options
@click.option("--change", "names", type=click.Choice(list(ABLATIONS)), multiple=True, help="All when absent.")
def ablate(data: str, pixels: int, minutes: float, seeds: Sequence[int], again: bool, names: Sequence[str]) -> None:
    """The T2T-GAN with one part changed at a time."""
    for name in names or ABLATIONS:
        cut = split(data, pixels, ABLATIONS[name], STORE)
        for seed in seeds:
            run(trial("ablate", "t2t", data, pixels, minutes, seed, change=name), cut, again)


@main.command()
@click.option("--seeds", "count", type=int, default=20)
@click.option("--minutes", type=float, default=1.0)
@click.option("--again", is_flag=True)
def stability(count: int, minutes: float, again: bool) -> None:
    """Many seeds on three data sets: does any collapse, or leave the finite numbers?"""
    for data, pixels in (("chest_xray", 32), ("chest_xray", 64), ("ucmerced", 32)):
        cut = split(data, pixels, (), STORE)
        for seed in range(count):
            run(trial("stability", "t2t", data, pixels, minutes, seed), cut, again)


@main.command()
def compute() -> None:
    """FLOPs, their rate beside the machine's matmul rate, images a second, memory, and the speed of sampling."""
    from benchmarks.speed import speeds

    cut = split("chest_xray", 64, (), STORE)
    for record in speeds(cut):
        note({"what": "compute", **record})


@main.command()
def table() -> None:
    """Write docs/benchmarks/gan.md from the records, and draw them."""
    from benchmarks.figures import draw
    from benchmarks.tables import write

    for path in (write(records(), TABLES), *draw(records(), PICTURES)):
        click.echo(path)


if __name__ == "__main__":
    main()
