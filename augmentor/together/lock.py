"""Whose an output folder is: a verb's own, and one process' at a time, by a lock that ends with the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from augmentor.errors import FolderInUse, OutputInTheWay
from augmentor.progress import note

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path, *, patient: bool = False) -> Iterator[None]:
    """Hold ``folder``, which is made where it is not there; ``patient`` waits for whoever holds it.

    Raises:
        FolderInUse: if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    while True:
        with path.open("a+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "another process"
                if not patient:
                    raise FolderInUse(
                        f"{holder} works in it", where=folder, do="wait for its end, or choose another folder"
                    ) from None
                note(f"waiting for {holder}, which works in {folder}")
                fcntl.flock(stream, fcntl.LOCK_EX)
            # Whoever held it has removed it: the lock is one on a file that nobody else will find.
            if not path.exists() or os.fstat(stream.fileno()).st_ino != path.stat().st_ino:
                continue
            stream.truncate(0)
            stream.write(f"process {os.getpid()} on {os.uname().nodename}\n")
            stream.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def replaceable(folder: Path, record: str) -> Path:
    """The folder of what is written anew as a whole, if it is empty or its ``record`` says that the same verb wrote it.

    Raises:
        OutputInTheWay: if it holds anything else, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / record).is_file())):
        raise OutputInTheWay("holds other files", where=folder, do="choose another -o")
    return folder
