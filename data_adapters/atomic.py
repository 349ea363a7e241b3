"""Files that are either whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it becomes ``destination``, else it is removed."""
    fresh = []
    if not destination.parent.exists():
        fresh = [folder for folder in destination.parents if not folder.exists()]
        destination.parent.mkdir(parents=True, exist_ok=True)
    # The suffixes are kept because writers choose a format by them.
    temporary = destination.with_name(f".{os.getpid()}-{destination.name}")
    try:
        yield temporary
        os.replace(temporary, destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        for folder in fresh:
            # Folders made for this file go again; one that others have filled meanwhile stays.
            with suppress(OSError):
                folder.rmdir()
        raise


def write_json(destination: Path, record: Any) -> Path:
    """Write ``record`` as indented JSON, atomically."""
    with replacing(destination) as temporary:
        temporary.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
    return destination
