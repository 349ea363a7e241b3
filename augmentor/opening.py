"""Scenes as a verb opens them: what cannot be used is said, and the rest goes on."""

from __future__ import annotations

from pathlib import Path

from augmentor.progress import note
from data_adapters import Scene, open_scenes, scan

SAID = 3
"""Problems told one by one."""


def opened(path: Path) -> list[Scene]:
    """The scenes at a path; files that give none are named on stderr.

    Raises:
        UserError: if nothing there can be used.
    """
    found = scan(path)
    if not found.scenes:
        return open_scenes(path)
    for problem in found.problems[:SAID]:
        note(f"left out: {problem}")
    if len(found.problems) > SAID:
        note(f"left out: {len(found.problems) - SAID} more; see `augmentor inspect`")
    return list(found.scenes)
