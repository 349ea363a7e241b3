"""The tutorials as they stand, step by step: whether each step works, how long it takes, what it draws.

    OMP_NUM_THREADS=2 python -m benchmarks.tutorials play
    python -m benchmarks.tutorials notebooks

``play`` clones the repository, installs it from the lock file, runs every step of docs/tutorials in an empty folder,
notes the seconds of each in docs/benchmarks/tutorials.json, and keeps the pictures that the pages show. ``notebooks``
writes the pages as notebooks beside them.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from benchmarks.machine import machine

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs/tutorials"
RECORD = ROOT / "docs/benchmarks/tutorials.json"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)

PICTURES = {
    "radiographs": {"tutorial_samples.png": "runs/chest-001/samples/dicom-seed0/contact_sheet.png"},
    "clouds": {"tutorial_clouds.png": "clear.png", "tutorial_date.png": "2024-05-10.tif.png"},
}
"""What each page shows, and the file that its steps leave."""


class Step(NamedTuple):
    """A block of a page: ``code`` in a ``language``, bash or python."""

    language: str
    code: str

    @property
    def command(self) -> list[str]:
        if self.language == "python":
            return [sys.executable, "-c", self.code]
        return ["bash", "-euo", "pipefail", "-c", self.code]


def steps(page: str) -> list[Step]:
    """The blocks of a page that are to be run, in order."""
    return [Step(*found.groups()) for found in BLOCK.finditer(page)]


def run(step: Step, folder: Path, python: Path = Path(sys.executable)) -> tuple[float, float]:
    """Run a step in a folder, with the programs beside a ``python``; returns wall and CPU seconds.

    Raises:
        RuntimeError: if it fails, with what it said.
    """
    place = {**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [str(python) if word == sys.executable else word for word in step.command]
    wall, cpu = time.monotonic(), _children()
    done = subprocess.run(command, cwd=folder, env=place, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{step.code}\nended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - wall, _children() - cpu


def _children() -> float:
    """CPU seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def notebook(page: str) -> dict[str, Any]:
    """A page as a notebook (nbformat 4.5): its blocks are cells to run, what lies between them is text."""
    cells: list[dict[str, Any]] = []
    at = 0
    for found in BLOCK.finditer(page):
        cells += _text(page[at : found.start()])
        language, code = found.groups()
        source = f"%%bash\n{code}" if language == "bash" else code
        cells.append({"cell_type": "code", "source": _lines(source), "execution_count": None, "outputs": []})
        at = found.end()
    cells += _text(page[at:])
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": [{"id": f"cell-{number}", "metadata": {}, **cell} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _text(part: str) -> Iterator[dict[str, Any]]:
    if part.strip():
        yield {"cell_type": "markdown", "source": _lines(part.strip())}


def _lines(text: str) -> list[str]:
    return text.rstrip("\n").splitlines(keepends=True)


@click.group()
def main() -> None:
    """Play the tutorials, and write them as notebooks."""


@main.command()
def play() -> None:
    """Every step of every page, from an empty folder on."""
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place) / "augmentor"
        installing = Step("bash", f"git clone --quiet {ROOT} {clone} && make --silent -C {clone} env")
        python = clone / ".venv/bin/python"
        record: dict[str, Any] = {**machine(), "installation": _seconds(run(installing, Path(place)))}
        for name, pictures in PICTURES.items():
            folder = Path(place) / name
            folder.mkdir()
            record[name] = list(_played((PAGES / f"{name}.md").read_text(), folder, python))
            for picture, made in pictures.items():
                shutil.copy(folder / made, ROOT / "docs/pictures" / picture)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


def _played(page: str, folder: Path, python: Path) -> Iterator[Mapping[str, Any]]:
    for step in steps(page):
        said = {"step": step.code.strip().splitlines()[-1], **_seconds(run(step, folder, python))}
        click.echo(f"{said}")
        yield said


def _seconds(taken: tuple[float, float]) -> dict[str, float]:
    return {"wall": round(taken[0], 1), "cpu": round(taken[1], 1)}


@main.command()
def notebooks() -> None:
    """Write every page as a notebook beside it."""
    for page in sorted(PAGES.glob("*.md")):
        page.with_suffix(".ipynb").write_text(json.dumps(notebook(page.read_text()), indent=1) + "\n")


if __name__ == "__main__":
    main()
