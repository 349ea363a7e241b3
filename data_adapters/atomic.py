"""Files that are either whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from data_adapters.errors import BrokenFile, SystemRefused


@contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it becomes ``destination``, else it is removed.

    Raises:
        SystemRefused: in place of an OSError, as of a full disk; ``destination`` is as it was.
    """
    fresh: list[Path] = []
    # The suffixes are kept because writers choose a format by them.
    temporary = destination.with_name(f".{os.getpid()}-{destination.name}")
    try:
        if not destination.parent.exists():
            fresh = [folder for folder in destination.parents if not folder.exists()]
            destination.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, destination)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        for folder in fresh:
            # Folders made for this file go again; one that others have filled meanwhile stays.
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise SystemRefused.of(error, destination) from error
        raise


def read_json(path: Path) -> dict[str, Any]:
    """A record that was written so.

    Raises:
        BrokenFile: if it is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenFile(f"cannot be read as JSON ({error})", where=path, do="restore it, or make it anew") from error
    if not isinstance(record, dict):
        raise BrokenFile("holds no record", where=path, do="restore it, or make it anew")
    return record


def write_json(destination: Path, record: Any) -> Path:
    """Write ``record`` as indented JSON, atomically."""
    with replacing(destination) as temporary:
        temporary.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
    return destination
