"""The states that a run can go on from: the newest few, each whole or not there at all."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import torch

from augmentor.errors import RunError
from augmentor.progress import note
from augmentor.run import Run
from data_adapters.atomic import replacing, write_json

FOLDER = "checkpoints"
BEST = "best"
"""A folder in a run that other verbs take for a run: the networks as they were when samples lay closest."""


class Checkpoints:
    """The newest ``keep`` states of a run, each a file named by the tiles that it has seen."""

    def __init__(self, run: Run, keep: int) -> None:
        self.run = run
        self.folder = run.folder / FOLDER
        self.keep = keep

    def put(self, seen: int, state: dict[str, Any]) -> None:
        """Write a state, and remove what is older than the newest ``keep``.

        Raises:
            SystemRefused: if there is no room for it; those before stay.
        """
        path = self.folder / f"{seen:012d}.pt"
        with replacing(path) as temporary, temporary.open("wb") as stream:
            try:
                torch.save({"images": seen, **state}, stream)
            except RuntimeError as error:
                # What torch makes of a full disk; its cause says so.
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None
            stream.flush()
            os.fsync(stream.fileno())
        _list_to_disk(self.folder)
        for old in self._found()[: -self.keep]:
            old.unlink()

    def newest(self) -> dict[str, Any] | None:
        """The newest state that loads; None of a run that has none yet.

        Raises:
            RunError: if there are states and none loads.
        """
        found = self._found()
        for path in reversed(found):
            try:
                # Tensors and plain values alone: a file that would run code does not load.
                state = torch.load(path, weights_only=True, map_location="cpu")
                if not isinstance(state, dict) or state.get("images") != int(path.stem):
                    raise ValueError("it is no state of this run")
                return state
            except Exception as error:
                why = str(error).strip().partition("\n")[0]
                note(f"{path.name} of {self.run.name} does not load ({why}); an older checkpoint is taken")
        if found:
            raise RunError("none of its checkpoints loads", where=self.folder, do="train anew")
        return None

    def _found(self) -> list[Path]:
        """Oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if re.fullmatch(r"\d{12}\.pt", path.name))


def best(run: Run) -> Run:
    """Where the best networks of a run go, with what makes the folder a run."""
    kept = Run(run.folder / BEST)
    kept.folder.mkdir(exist_ok=True)
    for name in ("recipe.yaml", "provenance.json"):
        if not (kept.folder / name).is_file():
            with replacing(kept.folder / name) as temporary:
                temporary.write_bytes((run.folder / name).read_bytes())
    return kept


def note_best(run: Run, seen: int, distance: float) -> None:
    """Say of a run's best networks after how many tiles they were, and how far their samples lay."""
    write_json(run.folder / BEST / "chosen.json", {"images": seen, "distance": distance})


def least(run: Run) -> float:
    """The distance of a run's best networks; infinite where there are none."""
    path = run.folder / BEST / "chosen.json"
    return float(json.loads(path.read_text())["distance"]) if path.is_file() else float("inf")


def _list_to_disk(folder: Path) -> None:
    """Wait until a folder's list of files would survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
