"""Which adapter reads what: decided by content, never by name alone."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import NoPixels, NothingFound, NotThisFormat, SystemRefused, Unwritable, UserError
from data_adapters.scene import Provenance, Scene, Template

GROUP = "augmentor.adapters"
"""Entry-point group by which third parties add formats: name = "package.module"."""

BUILT_IN = ("data_adapters.dicom", "data_adapters.nifti", "data_adapters.geotiff", "data_adapters.images")
"""In the order in which they are asked; DICOM first, because its preamble may dress it up as a TIFF."""


class Adapter(Protocol):
    """What a format's module provides."""

    NAME: str
    SUFFIXES: tuple[str, ...]

    def claims(self, path: Path, head: bytes) -> bool:
        """Whether the file's first 400 bytes are this format's."""

    def scan(self, files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
        """Scenes from headers alone, and one error for every file that gives none: NoPixels where none was to be."""

    def write_sample(
        self, stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
    ) -> list[Path]:
        """Write a synthetic sample beside ``stem``; returns the files."""


@dataclass(frozen=True)
class Inventory:
    """What lies at a path: scenes, files that should have been scenes, and a count of everything else."""

    scenes: tuple[Scene, ...]
    problems: tuple[UserError, ...]
    passed_over: dict[str, int]


@cache
def adapters() -> dict[str, Adapter]:
    """Every known adapter by name, built-in ones first."""
    found: dict[str, Any] = {}
    for name in BUILT_IN:
        module = importlib.import_module(name)
        found[module.NAME] = module
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, entry.load())
    return found


def adapter(name: str) -> Adapter:
    """The adapter of a format.

    Raises:
        Unwritable: if there is none.
    """
    if name not in adapters():
        raise Unwritable(f"unknown format {name!r}", do=f"use one of {', '.join(adapters())}")
    return adapters()[name]


def scan(path: str | Path) -> Inventory:
    """Everything at a file or below a folder, from headers alone; objects without images are counted by what they are.

    Raises:
        NothingFound: if the path does not exist.
    """
    found = _look(Path(path))
    empty = Counter(problem.what for problem in found.problems if isinstance(problem, NoPixels))
    problems = tuple(problem for problem in found.problems if not isinstance(problem, NoPixels))
    return replace(found, problems=problems, passed_over=dict(Counter(found.passed_over) + empty))


def _look(path: Path) -> Inventory:
    """Everything at a path, files without images among the problems."""
    files = _files(path)
    claimed: dict[str, list[Path]] = {name: [] for name in adapters()}
    problems: list[UserError] = []
    passed_over: Counter[str] = Counter()
    for file in files:
        owner = _owner(file)
        if owner is not None:
            claimed[owner].append(file)
        elif (name := named_as(file)) is not None:
            problems.append(
                NotThisFormat(f"is named as {name}, but its content is not", where=file, do="remove or restore it")
            )
        else:
            passed_over[file.suffix.lower() or "no suffix"] += 1
    scenes: list[Scene] = []
    for name, members in claimed.items():
        if members:
            found, broken = adapters()[name].scan(members)
            scenes += found
            problems += broken
    return Inventory(_distinct(scenes), tuple(problems), dict(passed_over))


def open_scenes(path: str | Path) -> list[Scene]:
    """The scenes at a path.

    Raises:
        UserError: the first problem, if nothing there could be opened.
        NothingFound: if nothing there is an image at all.
    """
    path = Path(path)
    inventory = _look(path)
    if inventory.scenes:
        return list(inventory.scenes)
    # What should have been an image is told before what is none.
    problems = sorted(inventory.problems, key=lambda problem: isinstance(problem, NoPixels))
    if len(problems) == 1:
        raise problems[0]
    if problems and isinstance(problems[0], NoPixels):
        kinds = Counter(problem.what for problem in problems if isinstance(problem, NoPixels))
        raise NoPixels(", ".join(f"{count} {what}" for what, count in kinds.most_common()), where=path)
    if problems:
        raise type(problems[0])(f"none of {len(problems)} files can be used; the first: {problems[0]}", where=path)
    raise NothingFound("no image in a known format", where=path, do=f"give a file or folder of {', '.join(adapters())}")


def _distinct(scenes: Sequence[Scene]) -> tuple[Scene, ...]:
    """The scenes with names by which they can be told apart: the second ``a`` is ``a-2``."""
    named: dict[str, Scene] = {}
    for scene in scenes:
        name, number = scene.name, 1
        while name in named:
            number += 1
            name = f"{scene.name}-{number}"
        named[name] = scene if number == 1 else replace(scene, name=name)
    return tuple(named.values())


def files_of(path: Path, format: str) -> list[Path]:
    """The files of one format at a path, images or not.

    Raises:
        NothingFound: if there is none.
    """
    found = [file for file in _files(path) if _owner(file) == format]
    if not found:
        raise NothingFound(f"no {format} file", where=path, do="check the path")
    return found


def _files(folder: Path) -> list[Path]:
    """Every visible file below a folder, in a stable order; of a file, itself.

    Raises:
        NothingFound: if the path does not exist.
        SystemRefused: if it cannot be looked at.
    """
    try:
        if folder.is_file():
            return [folder]
        there = folder.exists()
    except OSError as error:
        # A name that no file system has room for, or a place that may not be looked into.
        raise SystemRefused.of(error, folder) from error
    if not there:
        raise NothingFound("no such file or folder", where=folder, do="check the path")
    return sorted(_below(folder))


def _below(folder: Path) -> Iterator[Path]:
    """The files below a folder but hidden ones, those of linked folders, too; no folder is looked into twice."""
    seen = {os.path.realpath(folder)}
    for at, folders, files in os.walk(folder, followlinks=True):
        fresh = {os.path.realpath(Path(at, name)): name for name in sorted(folders, reverse=True) if name[0] != "."}
        folders[:] = sorted(name for real, name in fresh.items() if real not in seen)
        seen.update(fresh)
        yield from (file for name in files if name[0] != "." and (file := Path(at, name)).is_file())


def _owner(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            head = stream.read(400)
    except OSError:
        return None
    for name, module in adapters().items():
        if module.claims(file, head):
            return name
    return None


def owner(file: Path) -> Adapter | None:
    """The adapter whose format a file's content is in; None where it is in none."""
    name = _owner(file)
    return None if name is None else adapters()[name]


def named_as(file: Path) -> str | None:
    """The format that a file's name speaks of."""
    for name, module in adapters().items():
        if file.name.lower().endswith(module.SUFFIXES):
            return name
    return None
