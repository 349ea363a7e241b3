"""Changed files, by the ten thousand, handed to what reads files: each is answered, or refused by a ``UserError``.

    OMP_NUM_THREADS=1 python -m benchmarks.fuzz --cases 50000 [--target NAME] [--seed S] [--seeds DIR]
    OMP_NUM_THREADS=1 python -m benchmarks.fuzz --replay TARGET:NUMBER

Anything else is an escape: a traceback, memory that ran out or went beyond ``--mib``, a case that took longer than
``--seconds``, or the end of the process. Cases run in children, some hundreds in each; the input of an escape is kept,
and the run goes on with the next case. Case k of a target is the same for the same seed, versions and seed files.
Writes docs/benchmarks/fuzz.json.
"""

from __future__ import annotations

import json
import os
import random
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.fuzz_mutations import changed
from benchmarks.fuzz_seeds import Files, collected, drawn_in
from benchmarks.fuzz_targets import TARGETS
from benchmarks.machine import machine
from data_adapters.errors import UserError

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "docs/benchmarks/fuzz.json"
ELSEWHERE = ROOT.parent / "shared/data/edge_cases"
BATCH = 250
"""Cases that one child works through."""

ADDRESSES = 12 * 2**30
"""Bytes of address space of a child: far above what any case may use, far below what harms the machine."""

WEIGHTS = {"dicom": 6, "series": 3, "nifti": 4, "tiff": 5, "stack": 3, "image": 4, "store": 1, "run": 1}
"""Shares of the cases; 2 where nothing is said."""


@dataclass
class Outcome:
    """What became of the cases of one target."""

    cases: int = 0
    said: Counter[str] = field(default_factory=Counter)
    escapes: list[dict[str, Any]] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    peak_mib: float = 0.0
    seconds: float = 0.0


def case(seeds: Sequence[Files], target: str, number: int, seed: int) -> Files:
    """The files of one case; the first cases of a target are its seeds as they are."""
    if number < len(seeds):
        return dict(seeds[number])
    draw = random.Random(f"{seed}:{target}:{number}")
    return changed(draw.choice(seeds), seeds, draw)


def laid_out(files: Files, folder: Path) -> Path:
    """Write the files of a case below an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, contents in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder


def tried(target: str, folder: Path) -> str:
    """``answered``, the name of the error that refused it, or ``escaped`` and how.

    An error that was raised because memory ran out is an escape, too.
    """
    try:
        TARGETS[target](folder)
    except UserError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return f"escaped\nMemoryError, told as {type(error).__name__}: {error}"
            cause = cause.__cause__ or cause.__context__
        return type(error).__name__
    except BaseException:
        return f"escaped\n{traceback.format_exc()}"
    return "answered"


def _memory() -> float:
    """The peak of resident memory since it was last asked for, in MiB."""
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    # 5 sets the peak back to what is held now (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    return int(peak.split()[1]) / 1024


def _child(seeds: Sequence[Files], target: str, numbers: Sequence[int], seed: int, work: Path, answers: int) -> None:
    """Work through cases and tell of each when it begins and what became of it; never returns."""
    # The threads that the parent computes with are not there after a fork, and would be waited for.
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)

    def tell(record: dict[str, Any]) -> None:
        os.write(answers, json.dumps(record).encode() + b"\n")

    os.environ["TMPDIR"] = tempfile.tempdir = str(work)
    before = _memory()
    for number in numbers:
        tell({"number": number})
        folder = laid_out(case(seeds, target, number, seed), work / "case")
        began = time.monotonic()
        said = tried(target, folder)
        seconds = time.monotonic() - began
        tell(
            {
                "number": number,
                "said": said[:20] + said[20:][-4000:],
                "seconds": seconds,
                "mib": max(0.0, _memory() - before),
            }
        )
    os._exit(0)


def _children(
    seeds: Sequence[Files], target: str, numbers: Sequence[int], seed: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """One record a case; children that end or stall are replaced."""
    left = list(numbers)
    while left:
        with tempfile.TemporaryDirectory() as work:
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                try:
                    _child(seeds, target, left[:BATCH], seed, Path(work), writing)
                finally:
                    os._exit(99)
            os.close(writing)
            begun, ended = None, ""
            buffer = b""
            while True:
                ready, _, _ = select.select([reading], [], [], seconds * (1 if begun is not None else 20))
                if not ready:
                    os.kill(pid, signal.SIGKILL)
                    ended = f"escaped\nno answer within {seconds:g} s"
                    break
                fresh = os.read(reading, 1 << 16)
                if not fresh:
                    break
                *lines, buffer = (buffer + fresh).split(b"\n")
                for text in lines:
                    record = json.loads(text)
                    if "said" in record:
                        begun = None
                        left.remove(record["number"])
                        yield record
                    else:
                        begun = record["number"]
            os.close(reading)
            _, status = os.waitpid(pid, 0)
            if begun is not None:
                code = os.waitstatus_to_exitcode(status)
                how = ended or f"escaped\nthe process ended: {signal.Signals(-code).name if code < 0 else code}"
                left.remove(begun)
                yield {"number": begun, "said": how, "seconds": seconds if ended else 0.0, "mib": 0.0}
            elif os.waitstatus_to_exitcode(status) != 0:
                raise SystemExit(f"a child of {target} ended between cases: {os.waitstatus_to_exitcode(status)}")


def fuzzed(
    seeds: Sequence[Files],
    target: str,
    numbers: Sequence[int],
    seed: int = 0,
    *,
    seconds: float = 10.0,
    mib: float = 1024.0,
    kept: Path | None = None,
) -> Outcome:
    """Try cases of one target; the inputs of escapes are kept below ``kept``."""
    outcome = Outcome()
    began = time.monotonic()
    for record in _children(seeds, target, numbers, seed, seconds):
        number, said = record["number"], record["said"]
        if not said.startswith("escaped") and record["mib"] > mib:
            said = f"escaped\n{record['mib']:.0f} MiB"
        if not said.startswith("escaped") and record["seconds"] > seconds:
            said = f"escaped\n{record['seconds']:.1f} s"
        outcome.cases += 1
        outcome.said[said.partition("\n")[0]] += 1
        outcome.slowest = max(outcome.slowest, (record["seconds"], number))
        outcome.peak_mib = max(outcome.peak_mib, record["mib"])
        if said.startswith("escaped"):
            outcome.escapes.append({"case": f"{target}:{number}", "how": said.partition("\n")[2]})
            if kept is not None:
                laid_out(case(seeds, target, number, seed), kept / f"{target}_{number}" / "input")
                (kept / f"{target}_{number}" / "how.txt").write_text(said)
    outcome.seconds = time.monotonic() - began
    return outcome


def seeds_of(elsewhere: Path | None) -> dict[str, list[Files]]:
    """The seeds of every target: those drawn, by a process of their own since that starts threads, and those found."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "benchmarks.fuzz_seeds", name], cwd=ROOT, check=True)
        found = drawn_in(Path(name))
    if elsewhere is not None:
        for target, more in collected(elsewhere).items():
            found[target] += more
    return found


def record(outcomes: Mapping[str, Outcome], seeds: Mapping[str, Sequence[Files]]) -> dict[str, Any]:
    """Figures by target."""
    return {
        target: {
            "seeds": len(seeds[target]),
            "cases": found.cases,
            "answered": found.said["answered"],
            "refused": {name: n for name, n in found.said.most_common() if name not in ("answered", "escaped")},
            "escapes": len(found.escapes),
            "slowest_seconds": round(found.slowest[0], 3),
            "slowest_case": f"{target}:{found.slowest[1]}",
            "peak_mib": round(found.peak_mib, 1),
            "seconds": round(found.seconds, 1),
        }
        for target, found in outcomes.items()
    }


@click.command()
@click.option("--cases", default=50_000, show_default=True, help="Cases in all.")
@click.option("--target", "targets", type=click.Choice(list(TARGETS)), multiple=True, help="All when absent.")
@click.option("--seed", default=0, show_default=True)
@click.option("--first", default=0, show_default=True, help="Number of the first case of each target.")
@click.option("--seeds", "elsewhere", type=click.Path(path_type=Path), help="Folder of files that are seeds, too.")
@click.option("--seconds", default=10.0, show_default=True, help="What a case may take.")
@click.option("--mib", default=1024.0, show_default=True, help="What memory a case may take.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the inputs of escapes.")
@click.option("--replay", metavar="TARGET:NUMBER", help="One case, here, with its traceback.")
def main(
    cases: int,
    targets: tuple[str, ...],
    seed: int,
    first: int,
    elsewhere: Path | None,
    seconds: float,
    mib: float,
    keep: Path | None,
    replay: str | None,
) -> None:
    """Try cases, and write the record unless a part alone was asked for."""
    found = seeds_of(elsewhere or (ELSEWHERE if ELSEWHERE.is_dir() else None))
    if replay:
        target, _, number = replay.partition(":")
        folder = laid_out(case(found[target], target, int(number), seed), Path(tempfile.mkdtemp()) / "case")
        click.echo(f"{folder}\n{tried(target, folder)}")
        return
    chosen = targets or tuple(TARGETS)
    total = sum(WEIGHTS.get(target, 2) for target in chosen)
    keep = keep or Path(tempfile.gettempdir()) / "fuzz-escapes"
    outcomes = {}
    for target in chosen:
        share = -(-cases * WEIGHTS.get(target, 2) // total)
        numbers = range(first, first + share)
        outcomes[target] = fuzzed(found[target], target, numbers, seed, seconds=seconds, mib=mib, kept=keep)
        click.echo(json.dumps(record({target: outcomes[target]}, found)))
        for escape in outcomes[target].escapes[:8]:
            click.echo(f"  {escape['case']}: {escape['how'].strip().splitlines()[-1][:200]}")
    escapes = sum(len(outcome.escapes) for outcome in outcomes.values())
    click.echo(
        f"{sum(o.cases for o in outcomes.values())} cases, {escapes} escapes{f', kept in {keep}' if escapes else ''}"
    )
    if not targets and not first:
        result = {
            "command": f"python -m benchmarks.fuzz --cases {cases} --seed {seed}",
            **machine(),
            "limits": {"seconds": seconds, "mib": mib},
            "cases": sum(outcome.cases for outcome in outcomes.values()),
            "escapes": [escape for outcome in outcomes.values() for escape in outcome.escapes],
            "slowest_seconds": max(round(outcome.slowest[0], 3) for outcome in outcomes.values()),
            "peak_mib": max(round(outcome.peak_mib, 1) for outcome in outcomes.values()),
            "seconds": round(sum(outcome.seconds for outcome in outcomes.values()), 1),
            "targets": record(outcomes, found),
        }
        RECORD.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(bool(escapes))


if __name__ == "__main__":
    main()
