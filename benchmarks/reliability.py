"""What is lost when processes are killed, and what many scenes cost: one record a trial, in docs/benchmarks.

    OMP_NUM_THREADS=1 python -m benchmarks.reliability kills --verb train --times 30
    OMP_NUM_THREADS=1 python -m benchmarks.reliability kills --verb synthesize --times 30
    OMP_NUM_THREADS=1 python -m benchmarks.reliability kills --verb ingest --times 30
    OMP_NUM_THREADS=1 python -m benchmarks.reliability load --samples 20000
    OMP_NUM_THREADS=1 python -m benchmarks.reliability files --count 10000
    OMP_NUM_THREADS=1 python -m benchmarks.reliability processes

``kills`` runs a verb to its end without a stop, and once more while it is killed at random moments (SIGKILL, SIGTERM
and SIGINT in turn) and started again; what both wrote must be equal byte for byte. Phantoms are drawn for all of it.
Writes docs/benchmarks/reliability.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.large import cost
from benchmarks.machine import machine
from data_adapters import phantoms

RECORD = Path(__file__).parent.parent / "docs/benchmarks/reliability.json"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)
CLOCKS = ("seconds", "cpu_seconds", "pid", "host")
"""What a log says of when and where, which differs from run to run."""

CHEST = ("train", "chest_xray", "--set", "tiles.size=[32,32]", "--set", "tiles.held_out=0.3",
         "--set", "conditions.finding.column=finding", "--set", "data.group=patient")  # fmt: skip
OUT = "out"
TURNS, FILES = 3, 8_000
"""Of ``processes``: how often each is timed, and the files that are read and written."""

UNLABELLED = ("--set", "data.labels=null", "--set", "data.group=null", "--set", "conditions={}")
OFTEN = ("--set", "game.checkpoint_every=400")


@click.group()
def main() -> None:
    """Measure what is lost, and what much costs."""


def keep(name: str, record: dict[str, Any]) -> None:
    """Put a record in its place in the file."""
    known = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    RECORD.write_text(json.dumps(known | {name: {**record, **machine()}}, indent=2) + "\n")
    click.echo(f"{name}: {record}")


@contextmanager
def drawn() -> Iterator[tuple[Path, Path]]:
    """A folder to work in, and radiographs of phantoms."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        yield place, phantoms.draw_all(place / "phantoms").chest


def augmentor(*words: str | int | Path) -> list[str]:
    return [sys.executable, "-m", "augmentor", *map(str, words)]


def content(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder, without what clocks said; TensorBoard's are nothing else, and left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.parent.name != "tensorboard":
            found[str(path.relative_to(folder))] = hashlib.sha256(timeless(path)).hexdigest()
    return found


def timeless(path: Path) -> bytes:
    """What a file holds, but for clocks."""
    if path.suffix == ".pt":
        state = torch.load(path, weights_only=True)
        return repr([(name, values) for name, values in plain(state) if not name.startswith("/clocks")]).encode()
    if path.name not in ("log.jsonl", "state.json"):
        return path.read_bytes()
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else []
    lines = lines or [json.loads(path.read_text())]
    return json.dumps([{k: v for k, v in line.items() if k not in CLOCKS} for line in lines]).encode()


def plain(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a state by its place, tensors by the digests of their bytes."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, held in items:
            yield from plain(held, f"{name}/{key}")
    elif isinstance(value, torch.Tensor):
        yield name, hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
    else:
        yield name, value


def killed(first: list[str], again: list[str], times: int, longest: float) -> tuple[Counter[str], int]:
    """Start a command, and start it ``again`` after each of so many kills, until it ends of itself.

    Returns kills by signal, and how often it was started.
    """
    chance, done, started = random.Random(0), Counter[str](), 0
    command = first
    while True:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started += 1
        left = times - sum(done.values())
        try:
            code = process.wait(chance.uniform(0.1, 1) * longest if left > 0 else None)
        except subprocess.TimeoutExpired:
            number = SIGNALS[sum(done.values()) % len(SIGNALS)]
            process.send_signal(number)
            process.wait()
            done[number.name] += 1
            command = again
            continue
        if code == 0:
            return done, started
        raise SystemExit(f"{' '.join(command)} ended with {code}")


def train(place: Path, data: Path) -> tuple[list[str], list[str], Path]:
    runs = place / OUT
    first = augmentor(*CHEST, *OFTEN, "--set", "game.images=12000", "--data", data, "--runs", runs)
    # Killed before it has made its folder, it has nothing to go on from.
    resume = f'"$0" -m augmentor train --resume --runs "{runs}"'
    shell = f'if [ -e "{runs}/latest" ]; then exec {resume}; else exec "$0" "${{@:2}}"; fi'
    return first, ["bash", "-c", shell, *first], runs


def synthesize(place: Path, data: Path) -> tuple[list[str], list[str], Path]:
    runs = place / "runs"
    if not runs.exists():
        few = ("--set", "game.images=400")
        subprocess.run(augmentor(*CHEST, *few, "--data", data, "--runs", runs), check=True, stderr=subprocess.DEVNULL)
    command = augmentor("synthesize", "--n", "4000", "--runs", runs, "-o", place / OUT)
    return command, command, place / OUT


def ingest(place: Path, data: Path) -> tuple[list[str], list[str], Path]:
    many(place / "scenes", 4_000)
    command = augmentor("ingest", "chest_xray", *UNLABELLED, "--data", place / "scenes", "--store", place / OUT)
    return command, command, place / OUT


VERBS: dict[str, tuple[Callable[[Path, Path], tuple[list[str], list[str], Path]], float]] = {
    "train": (train, 25.0),
    "synthesize": (synthesize, 8.0),
    "ingest": (ingest, 8.0),
}
"""Each verb's commands, and the longest time in seconds that it is left alone."""


@main.command()
@click.option("--verb", type=click.Choice(list(VERBS)), default="train", show_default=True)
@click.option("--times", default=30, show_default=True, help="Kills.")
def kills(verb: str, times: int) -> None:
    """Kill a verb at random moments, again and again."""
    build, longest = VERBS[verb]
    with drawn() as (place, data):
        first, again, out = build(place, data)
        subprocess.run(first, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Both are written at one place, since runs name where their tiles lie.
        one = content(out.rename(place / "whole"))
        done, started = killed(first, again, times, longest)
        other = content(out)
        unlike = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        keep(
            f"kills: {verb}",
            {"kills": dict(done), "started": started, "files": len(one), "unlike": unlike, "lost": bool(unlike)},
        )


def many(folder: Path, count: int) -> None:
    """So many small DICOM files, a patient each, of 64 x 64 pixels."""
    if folder.exists():
        return
    import numpy as np

    from data_adapters import Channel, Provenance, Template, adapter

    folder.mkdir()
    template = Template("dicom", "image", "CR", (Channel("CR", ""),), "uint16", 0, 4095)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 4000, (1, 1, 64, 64)).astype(float)
        made_by = Provenance("phantoms", "0", "noise", "", "", number, index=number)
        adapter("dicom").write_sample(folder / f"{number:06d}", pixels, template, made_by)


@main.command()
@click.option("--samples", default=20_000, show_default=True)
def load(samples: int) -> None:
    """Write many samples, and say what memory does meanwhile."""
    with drawn() as (place, data):
        synthesize(place, data)
        costs = {}
        for count in (samples // 100, samples // 10, samples):
            began = time.monotonic()
            costs[str(count)] = cost(
                "synthesize", "--n", str(count), "--runs", str(place / "runs"), "-o", str(place / f"out{count}")
            ) | {"seconds": round(time.monotonic() - began, 1)}
        keep("load: samples", costs)


@main.command()
@click.option("--count", default=10_000, show_default=True)
def files(count: int) -> None:
    """Ingest many small files, stopped half-way once."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        many(place / "scenes", count)
        words = ("ingest", "chest_xray", *UNLABELLED, "--data", str(place / "scenes"), "--store")
        began = time.monotonic()
        whole = cost(*words, str(place / "whole")) | {"seconds": round(time.monotonic() - began, 1)}
        stop = subprocess.Popen(augmentor(*words, place / "torn"), stderr=subprocess.DEVNULL)
        time.sleep(whole["seconds"] / 2)
        stop.kill()
        stop.wait()
        began = time.monotonic()
        subprocess.run(augmentor(*words, place / "torn"), check=True, stderr=subprocess.DEVNULL)
        again = round(time.monotonic() - began, 1)
        keep(
            "load: files",
            {"files": count, "whole": whole, "seconds after a stop half-way": again,
             "equal": content(place / "whole") == content(place / "torn")},
        )  # fmt: skip


@main.command()
def processes() -> None:
    """One process and two, in turn, since a shared machine is not always as fast: training, ingest and synthesis."""
    took: dict[str, list[float]] = defaultdict(list)

    def timed(what: str, *words: str | int | Path) -> None:
        began = time.monotonic()
        subprocess.run(augmentor(*words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took[what].append(time.monotonic() - began)

    with drawn() as (place, data):
        os.environ["OMP_NUM_THREADS"] = "1"
        many(place / "scenes", FILES)
        for turn, count in product(range(TURNS), (1, 2)):
            work = place / f"{turn}-{count}"
            for batch in (16, 32):
                changes = [f"tiles.size={[64, 64]}", "game.images=1600", f"game.batch={batch}"]
                few = [word for change in changes for word in ("--set", change)]
                timed(
                    f"train, batches of {batch}, {count}",
                    *CHEST, *few, "--data", data, "--runs", work / "runs", "--devices", count,
                )  # fmt: skip
            option = ("--scheduler", f"local:{count}") if count > 1 else ()
            tiles = ("chest_xray", *UNLABELLED, "--data", place / "scenes", "--store", work / "tiles")
            timed(f"ingest, {count}", "ingest", *tiles, *option)
            timed(
                f"synthesize, {count}", "synthesize", "--n", FILES, "--runs", work / "runs", "-o", work / OUT, *option
            )
            shutil.rmtree(work)
    keep("processes", {what: {"seconds": [round(one, 1) for one in every]} for what, every in took.items()})


if __name__ == "__main__":
    main()
