"""Whether what a file says of its size can be true, and be held: asked before memory is."""

from __future__ import annotations

import os
import resource
import zlib
from contextlib import suppress
from pathlib import Path

from data_adapters.errors import BrokenFile, TooLarge

DENSEST = 1032
"""Bytes that one byte of a deflate stream can stand for, at most (RFC 1951: 258 bytes by two bits)."""

PART = 0.5
"""Of the memory of the machine, what one file may ask for."""

MOST_SLICES = 1 << 20
"""Slices, volumes and dates of one scene, each of which has a place in the index of it."""


def held(size: int, where: Path, *, packed: bool = False) -> None:
    """Check that a file is long enough for the ``size`` bytes of pixels that it says it has.

    Raises:
        BrokenFile: if it cannot hold them, even ``packed`` as densely as deflate can.
    """
    there = where.stat().st_size
    if size > there * (DENSEST if packed else 1):
        raise BrokenFile(
            f"says that it holds {told(size)} of pixels, in a file of {told(there)}",
            where=where,
            do="restore it from its source",
        )


def taken(size: int, where: Path, do: str = "read it in parts, or use a machine with more memory") -> None:
    """Check that ``size`` bytes can be had at once.

    Raises:
        TooLarge: if they are more than a part of the memory there is.
    """
    if size > (room := memory() * PART):
        raise TooLarge(f"needs {told(size)} of memory at once; {told(int(room))} may be taken", where=where, do=do)


def inflated(path: Path, start: int) -> None:
    """Check that what a deflate stream (RFC 1951) from byte ``start`` on unpacks to can be had at once.

    Raises:
        TooLarge: if it is more than a part of the memory there is.
    """
    size = 0
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as stream, suppress(zlib.error):
        # What does not unpack is told where it is read.
        stream.seek(start)
        while block := unpacking.unconsumed_tail or stream.read(1 << 16):
            size += len(unpacking.decompress(block, 1 << 20))
            taken(size, path)


def memory() -> int:
    """Bytes of memory of the machine, or of what this process was granted of its addresses, if that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    granted, _ = resource.getrlimit(resource.RLIMIT_AS)
    return whole if granted == resource.RLIM_INFINITY else min(whole, granted)


def told(size: int) -> str:
    """A number of bytes for a reader: ``3.2 GiB``."""
    if size < 1024:
        return f"{size} bytes"
    power = min(6, (size.bit_length() - 1) // 10)
    return f"{size / 1024**power:.3g} {'KMGTPE'[power - 1]}iB"
