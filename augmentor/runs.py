"""Runs to a table: which there are, how far each is, how it was found, and what it takes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from augmentor.errors import NoRun

# Files are read as they lie: the classes that write them wait for torch.
RECIPE, ORIGIN, LOG, STATE, FACTS = "recipe.yaml", "provenance.json", "log.jsonl", "state.json", "facts.json"
WEIGHTS, STATES, REPORT = "generator.safetensors", "checkpoints", Path("report") / "report.json"
BEST = "best"
"""A folder in a run that is one, too: its networks as they were when samples lay closest."""

NO_FIGURES = {"images", "act", "seconds", "cpu_seconds", "why"}
"""What a line of the log says beside figures."""

LOSSES = ("generator", "discriminator", "reconstruction")
"""Figures that are told before others."""

SHOWN = 3
"""Figures in the table."""


@dataclass(frozen=True)
class Listed:
    """A run: its ``state`` (training, stopped, finished, failed, no checkpoint, broken) and, where it has one, why.

    ``images`` of ``total`` tiles are shown; ``figures`` are the last that training logged of each kind; ``evaluated``
    is the verdict on its samples; ``bytes``, of all its files.
    """

    name: str
    state: str
    why: str = ""
    recipe: str = ""
    images: int = 0
    total: int = 0
    resumable: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    evaluated: str = ""
    bytes: int = 0

    def __str__(self) -> str:
        """The state in words."""
        if self.state == "stopped":
            return f"stopped at {self.images} of {self.total} tiles" + (", resumable" if self.resumable else "")
        return f"{self.state}: {self.why}" if self.why else self.state

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def runs(folder: str | Path = "runs") -> list[Listed]:
    """The runs in a folder by name; one that cannot be read is listed as broken.

    Raises:
        NoRun: if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NoRun("no run yet", where=folder, do="train one: augmentor train RECIPE --data PATH")
    return [_listed(path) for path in _folders(folder)]


def table(every: Sequence[Listed]) -> str:
    """The runs as aligned lines, a heading first."""
    rows = [("run", "state", "recipe", "tiles", "last figures", "CPU", "evaluated", "size")]
    for run in every:
        figures = list(run.figures.items())[:SHOWN]
        said = " ".join(f"{name} {value:.3g}" for name, value in figures)
        tiles = f"{run.images}/{run.total}" if run.total else "-"
        clock = _duration(run.cpu_seconds) if run.cpu_seconds else "-"
        rows.append((run.name, str(run), run.recipe or "-", tiles, said or "-", clock, run.evaluated or "-",
                     _size(run.bytes)))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def named_by(folder: Path, checkpoint: str, recipe: str) -> str:
    """The name below ``folder`` of the run with these weights, of several the one with that recipe; empty for none."""
    if not checkpoint or not folder.is_dir():
        return ""
    paths = [path for run in _folders(folder) for path in (run, run / BEST)]
    found = [path for path in paths if _weights(path) == checkpoint]
    found.sort(key=lambda path: _record(path / ORIGIN, {}).get("recipe") != recipe)
    return found[0].relative_to(folder).as_posix() if found else ""


def _folders(folder: Path) -> list[Path]:
    """What lies in a folder of runs and was begun as one; `latest` is but another name."""
    every = (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    return sorted(p for p in every if any((p / name).is_file() for name in (RECIPE, ORIGIN, LOG, STATE)))


def _listed(run: Path) -> Listed:
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file() and not path.is_symlink())
    try:
        return _read(run, size)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        why = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
        return Listed(run.name, "broken", why, bytes=size)


def _read(run: Path, size: int) -> Listed:
    """What the files of a run say.

    Raises:
        OSError, ValueError, TypeError, KeyError, AttributeError, YAMLError: if they are not what a run's are.
    """
    recipe = yaml.safe_load((run / RECIPE).read_text(encoding="utf-8"))
    log = list(_lines(run / LOG))
    said = _record(run / STATE, {})
    total = int(said.get("total") or recipe["game"]["images"])
    logged = int(log[-1]["images"]) if log else 0
    images = int(said.get("images", logged))
    resumable = any((run / STATES).glob("*.pt"))
    usable = (run / WEIGHTS).is_file() and (run / FACTS).is_file()
    state = str(said["state"]) if said else "finished" if 0 < total <= images else "stopped"
    if state == "training" and _dead(said):
        # Where its last checkpoint was, and it can go on from.
        state = "stopped"
    elif state == "training":
        images = max(images, logged)
    if state == "stopped" and not (usable or resumable):
        state = "no checkpoint"
    return Listed(
        name=run.name,
        state=state,
        why=str(said.get("why") or "") if state == "failed" else "",
        recipe=str(recipe["name"]),
        images=images,
        total=total,
        resumable=resumable and state != "finished",
        figures=_figures(log),
        cpu_seconds=_spent(log),
        evaluated=_evaluated(run),
        bytes=size,
    )


def _dead(said: Mapping[str, Any]) -> bool:
    """Whether the process that trains a run is gone, which can be seen on its own machine alone."""
    if said.get("host") != os.uname().nodename:
        return False
    number = int(said["pid"])
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # One that has ended and that its parent has not heard of yet (proc(5)) does not train either.
    stat = Path(f"/proc/{number}/stat")
    return stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log; the last may be torn."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1].splitlines()
    for line in whole:
        record = json.loads(line)
        yield {"images": int(record["images"]), **record}


def _figures(log: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The last of each figure, losses first and then those of the last line."""
    found: dict[str, float] = {}
    for line in reversed(log):
        for name, value in line.items():
            if name not in NO_FIGURES and isinstance(value, int | float):
                found.setdefault(name, float(value))
    return {name: found[name] for name in (*(loss for loss in LOSSES if loss in found), *found)}


def _spent(log: Sequence[Mapping[str, Any]]) -> float:
    """CPU seconds of a run; where the clock was set back, at a resumption, it counts on from there."""
    clocks = [float(line.get("cpu_seconds", 0)) for line in log]
    turns = [before for before, after in pairwise(clocks) if after < before]
    return sum(turns) + (clocks[-1] if clocks else 0.0)


def _evaluated(run: Path) -> str:
    """The verdict on a run's own samples, and whether it has learned on since."""
    record = _record(run / REPORT, {})
    if not record or {"real", "synthetic"} & set(record):
        return ""
    word = str(record["verdict"])
    return word if record.get("checkpoint") in (None, _weights(run)) else f"{word}, before it learned further"


def _record(path: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    """A JSON object; ``otherwise`` where there is no such file.

    Raises:
        ValueError, TypeError: if it holds anything else.
    """
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else otherwise


def _weights(run: Path) -> str:
    """SHA-256 of a run's weights, which every output names; empty where there are none."""
    path = run / WEIGHTS
    if not path.is_file():
        return ""
    stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _duration(seconds: float) -> str:
    """``48 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(count: float) -> str:
    """Bytes in the unit that leaves at most three digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
