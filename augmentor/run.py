"""A run: a folder with the resolved recipe, checkpoints, the log, and where it all came from."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from augmentor import recipe as recipes
from augmentor.errors import NoRun, RunError
from augmentor.recipe import Recipe
from augmentor.scaling import Scaling
from augmentor.t2t.conditioning import Condition, as_record, from_record
from augmentor.t2t.presets import PRESETS, steps
from data_adapters import Template
from data_adapters.atomic import read_json, replacing, write_json

LATEST = "latest"
TOOL = "t2t-augmentor"


def tool_version() -> str:
    """The installed version, or ``unknown`` where the package runs uninstalled."""
    try:
        return version(TOOL)
    except PackageNotFoundError:
        return "unknown"


MOST = 4096
"""Channels, labels, and sides of a tile, above which facts are no run's."""

FUSED_BY = frozenset(("tokens", "convolutions", "patches"))


@dataclass(frozen=True)
class Facts:
    """What a trained generator needs beside its weights.

    ``combinations`` are the conditions as they occur together in training, with counts; texts are left out, since they
    may name a patient. ``labels`` are the values of a segmentation, each a channel: given to the network as its
    context (``given``), or made by it beside the image. A run that fills has ``context`` channels, the ``prior`` that
    it corrects, and a ``gain`` in [0, 1] a channel: how much of its correction is to be applied.
    """

    channels: int
    context: int
    tile: tuple[int, ...]
    model: Mapping[str, Any]
    conditions: tuple[Condition, ...]
    combinations: tuple[tuple[dict[str, str], int], ...]
    scaling: Scaling
    template: Template
    labels: tuple[int, ...] = ()
    given: bool = False
    gain: tuple[float, ...] = ()
    prior: str = "linear"

    @property
    def made(self) -> int:
        """Channels that the network makes: the image's, and those of a segmentation made along."""
        return self.channels + (0 if self.given else len(self.labels))

    @property
    def read(self) -> int:
        """Channels of the image condition that the network reads."""
        return self.context + (len(self.labels) if self.given else 0)

    def as_dict(self) -> dict[str, Any]:
        return {
            "channels": self.channels,
            "context": self.context,
            "tile": list(self.tile),
            "model": dict(self.model),
            "conditions": [as_record(condition) for condition in self.conditions],
            "combinations": [[values, count] for values, count in self.combinations],
            "scaling": {"low": list(self.scaling.low), "high": list(self.scaling.high)},
            "template": self.template.as_dict(),
            "labels": list(self.labels),
            "given": self.given,
            "gain": list(self.gain),
            "prior": self.prior,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Facts:
        """The way back from ``as_dict``.

        Raises:
            KeyError: if something is not said.
            ValueError, TypeError, AttributeError: if a value makes no sense.
        """
        found = cls(
            channels=record["channels"],
            context=record["context"],
            tile=tuple(record["tile"]),
            model=record["model"],
            conditions=tuple(from_record(condition) for condition in record["conditions"]),
            combinations=tuple((dict(values), int(count)) for values, count in record["combinations"]),
            scaling=Scaling(tuple(record["scaling"]["low"]), tuple(record["scaling"]["high"])),
            template=Template.from_dict(record["template"]),
            labels=tuple(record["labels"]),
            given=record["given"],
            gain=tuple(record["gain"]),
            prior=record["prior"],
        )
        found._check()
        return found

    def _check(self) -> None:
        """Raise ValueError or TypeError for what no training writes, before networks are made of it."""
        if self.model["preset"] not in PRESETS or {self.model["encoder"], self.model["decoder"]} - FUSED_BY:
            raise ValueError(f"a model of {dict(self.model)}")
        if not all(type(count) is int for count in (self.channels, self.context)):
            raise TypeError(f"{self.channels} channels, {self.context} of context")
        if not (1 <= self.channels <= MOST and 0 <= self.context <= MOST and len(self.labels) <= MOST):
            raise ValueError(f"{self.channels} channels, {self.context} of context, {len(self.labels)} labels")
        if len(self.tile) not in (2, 3) or not all(type(side) is int and 1 <= side <= MOST for side in self.tile):
            raise ValueError(f"tiles of {self.tile}")
        if math.prod(self.tile) > MOST**2:
            raise ValueError(f"tiles of {math.prod(self.tile)} pixels")
        steps(self.tile, PRESETS[self.model["preset"]])
        ends = (*self.scaling.low, *self.scaling.high, *self.gain)
        if {len(self.scaling.low), len(self.scaling.high)} != {self.channels} or not all(map(math.isfinite, ends)):
            raise ValueError("a scaling or gain that is none of its channels")


@dataclass(frozen=True)
class Run:
    """One run's folder; every file in it is written atomically."""

    folder: Path

    @classmethod
    def create(cls, recipe: Recipe, runs: Path, *, source: str, tiles: Path) -> Run:
        """A new numbered folder, ``runs/<recipe>-001``, that is the latest from now on."""
        runs.mkdir(parents=True, exist_ok=True)
        numbers = [int(m.group(1)) for p in runs.iterdir() if (m := re.fullmatch(rf"{recipe.name}-(\d+)", p.name))]
        for number in count(max(numbers, default=0) + 1):
            run = cls(runs / f"{recipe.name}-{number:03d}")
            # Another process may take the same number at the same moment.
            with suppress(FileExistsError):
                run.folder.mkdir()
                break
        with replacing(run.folder / "recipe.yaml") as temporary:
            temporary.write_text(recipe.to_yaml())
        origin = {"tool": TOOL, "version": tool_version(), "recipe": recipe.digest(), "source": source}
        write_json(run.folder / "provenance.json", origin | {"tiles": str(tiles)})
        run.make_latest()
        return run

    @classmethod
    def find(cls, name: str | Path | None, runs: Path) -> Run:
        """A run by folder or by name below ``runs``; the latest when none is named.

        Raises:
            NoRun: if there is none.
        """
        if name is None:
            folder = runs / LATEST
            if not folder.is_dir():
                raise NoRun("no run yet", where=runs, do="train one: augmentor train RECIPE --data PATH")
            return cls(folder.resolve())
        for folder in (Path(name), runs / str(name)):
            if (folder / "recipe.yaml").is_file():
                return cls(folder.resolve())
        raise NoRun("no such run", where=name, do=f"name a folder, or one of those in {runs}")

    def make_latest(self) -> None:
        """Point ``runs/latest`` here."""
        link = self.folder.parent / f".{LATEST}-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(self.folder.name)
        os.replace(link, self.folder.parent / LATEST)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def recipe(self) -> Recipe:
        return recipes.load(self.folder / "recipe.yaml")

    @property
    def provenance(self) -> dict[str, Any]:
        return read_json(self.folder / "provenance.json")

    def file(self, network: str) -> Path:
        """Where the weights of a network lie, safetensors."""
        return self.folder / f"{network}.safetensors"

    @property
    def weights(self) -> Path:
        """The averaged generator."""
        return self.file("generator")

    @property
    def facts(self) -> Facts:
        """What goes with the weights.

        Raises:
            RunError: if training has not yet written a checkpoint, an earlier version did, or it makes no sense.
            BrokenFile: if they cannot be read.
        """
        path = self.folder / "facts.json"
        if not path.is_file() or not self.weights.is_file():
            raise RunError("has no checkpoint yet", where=self.folder, do="train it further: augmentor train --resume")
        try:
            return Facts.from_dict(read_json(path))
        except KeyError as error:
            raise RunError(
                f"does not say its {error.args[0]}: another version of augmentor wrote it",
                where=path,
                do="train it again",
            ) from None
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise RunError(f"makes no sense ({error})", where=path, do="train it again") from error

    def check_draws(self) -> None:
        """Raise RunError if it was trained to fill: it draws no images of its own."""
        if self.facts.context:
            raise RunError("was trained to fill, not to synthesize", where=self.folder, do="name another run")

    def check_looks(self) -> None:
        """Raise RunError if it cannot look at images alone: it fills, or makes or needs label maps."""
        self.check_draws()
        if self.facts.labels:
            raise RunError(
                "knows images with their label maps alone", where=self.folder, do="name a run without segmentation"
            )

    def checkpoint_digest(self) -> str:
        """SHA-256 of the weights, which every output names."""
        return hashlib.sha256(self.weights.read_bytes()).hexdigest()

    def say(self, state: str, images: int, total: int, why: str = "") -> None:
        """Note what becomes of it, training, stopped, finished or failed, after so many tiles of all."""
        here = {"pid": os.getpid(), "host": os.uname().nodename}
        write_json(self.folder / "state.json", {"state": state, "images": images, "total": total, "why": why, **here})

    def forget_after(self, images: int) -> None:
        """Take out of ``log.jsonl`` what lies behind ``images`` tiles, and a torn last line."""
        path = self.folder / "log.jsonl"
        if not path.is_file():
            return
        kept = []
        for line in path.read_text().splitlines():
            with suppress(ValueError):
                if json.loads(line).get("images", 0) <= images:
                    kept.append(line + "\n")
        with replacing(path) as temporary:
            temporary.write_text("".join(kept))

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to ``log.jsonl``."""
        with (self.folder / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(record) + "\n")
