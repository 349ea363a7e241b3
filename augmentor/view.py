"""A run or a file on one page that is opened in a browser, and needs nothing else."""

from __future__ import annotations

from pathlib import Path

from augmentor.errors import RunError
from augmentor.viewing.page import fitted, render, replaceable, scene_page, write
from augmentor.viewing.scene import Looked, looked_at
from augmentor.viewing.serve import Server
from data_adapters.errors import NothingFound


def view(
    what: str | Path,
    out: str | Path = "view.html",
    *,
    name: str = "",
    source: str | Path | None = None,
    real: bool = True,
    runs: str | Path = "runs",
) -> Path:
    """Write a page that shows a run (a folder, or a name below ``runs``) or what lies at a path; returns the page.

    A run is shown by samples, walks between them, and where its discriminator looks; with ``real``, beside held-out
    images. A file is shown slice by slice; ``name`` chooses among several scenes. Of what `fill` or `score` wrote,
    ``source`` is what it was made from. An earlier page at ``out`` is replaced.

    Raises:
        UserError: if there is no such run or file, it cannot be shown, or ``out`` is anything but an earlier page.
    """
    out = replaceable(Path(out))
    if (folder := run_folder(what, Path(runs))) is not None:
        from augmentor.run import Run
        from augmentor.viewing.run import look_at

        return write(render("run.html", "run.js", run=look_at(Run(folder.resolve()), real=real)), out)
    looked = look(what, name=name, source=source)
    factor, inside = fitted(looked)
    return write(scene_page(looked, factor, inside), out)


def serve(
    what: str | Path,
    *,
    name: str = "",
    source: str | Path | None = None,
    port: int = 0,
    runs: str | Path = "runs",
) -> Server:
    """The server of a file too large for a page, at a free port of the loopback interface, or the one that is named.

    Raises:
        UserError: as ``view``; if ``what`` is a run, or the port cannot be used.
    """
    if (folder := run_folder(what, Path(runs))) is not None:
        raise RunError("needs no server: its page is small", where=folder, do="leave --serve out")
    return Server(look(what, name=name, source=source), port)


def look(what: str | Path, *, name: str = "", source: str | Path | None = None) -> Looked:
    """What lies at a path.

    Raises:
        UserError: if nothing there can be shown.
    """
    if not Path(what).exists():
        raise NothingFound("no such run, file or folder", where=what, do="check the name; `augmentor runs` lists runs")
    return looked_at(Path(what), name=name, source=None if source is None else Path(source))


def run_folder(what: str | Path, runs: Path) -> Path | None:
    """The folder of a run; None where nothing of that name is one."""
    every = (Path(what),) if Path(what).exists() else (runs / str(what),)
    return next((folder for folder in every if (folder / "recipe.yaml").is_file()), None)
