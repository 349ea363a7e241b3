"""Whether pixels are still what was written: a digest of their values alone, and what a file says of its making."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_adapters.errors import SystemRefused
from data_adapters.registry import owner
from data_adapters.scene import Provenance

OURS = "t2t-augmentor"
"""What a file that this package wrote says of its tool."""

PIXELS = "pixels_sha256"
"""The key of the digest beside a provenance."""

AT_ONCE = 1 << 20
"""Values that are converted together: a raster is not held twice."""


class PixelDigest:
    """SHA-256 of an array's shape and values, which come in pieces, in C order.

    The shape goes first, as ``3x512x512`` and a line feed; then every value as a little-endian 8-byte float, whatever
    type, byte order or compression it is stored in; 64-bit integers, which floats cannot hold, as themselves. So a file
    that is compressed anew without loss, or has come through an archive, has the digest that it had.
    """

    def __init__(self, *shape: int) -> None:
        self._sum = hashlib.sha256(f"{'x'.join(str(side) for side in shape)}\n".encode())

    def add(self, values: NDArray[Any]) -> None:
        flat = np.ascontiguousarray(values).reshape(-1)
        whole = flat.dtype.kind in "iu" and flat.dtype.itemsize == 8
        for start in range(0, flat.size, AT_ONCE):
            part = flat[start : start + AT_ONCE].astype("<u8" if whole else "<f8")
            if flat.dtype.kind == "f":
                # Neither the sign of zero nor the payload of NaN is a value.
                part += 0.0
                part[np.isnan(part)] = np.nan
            self._sum.update(part.data)

    def hexdigest(self) -> str:
        return self._sum.hexdigest()


def digest_of(values: NDArray[Any]) -> str:
    """The digest of an array of any shape."""
    found = PixelDigest(*values.shape)
    found.add(values)
    return found.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as ``sha256sum`` prints it.

    Raises:
        SystemRefused: if it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SystemRefused.of(error, path) from error


def as_text(provenance: Provenance, pixels: str) -> str:
    """A provenance and the digest of what it speaks of, as JSON, for formats that have room for a text."""
    return json.dumps({**provenance.as_dict(), PIXELS: pixels}, default=str)


NO_RECORD = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading a text may end in that claims to be a provenance and is none."""


@dataclass(frozen=True)
class Stated:
    """What a file says of its making; ``pixels`` is the digest of what was written, empty where it tells none.

    ``index`` is None of what speaks of many files. ``filled``: made pixels were laid into a source.
    """

    tool: str
    version: str
    method: str = ""
    recipe: str = ""
    checkpoint: str = ""
    seed: int = 0
    index: int | None = 0
    guidance: float = 1.0
    conditions: Mapping[str, str] = field(default_factory=dict)
    filled: bool = False
    source: str = ""
    pixels: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_text(cls, text: object) -> Stated | None:
        """What ``as_text`` wrote; None of anything else."""
        try:
            record = json.loads(str(text))
            return cls.from_record(record)
        except NO_RECORD:
            return None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Stated:
        """Of a provenance as a mapping.

        Raises:
            one of NO_RECORD: if it is none.
        """
        return cls(
            tool=str(record["tool"]),
            version=str(record["version"]),
            method=str(record["method"]),
            recipe=str(record["recipe"]),
            checkpoint=str(record["checkpoint"]),
            seed=int(record["seed"]),
            index=int(record["index"]),
            guidance=float(record.get("guidance", 1)),
            conditions={str(k): v for k, v in dict(record.get("conditions") or {}).items() if isinstance(v, str)},
            filled=bool(record.get("source")),
            source=str(record.get("source", "")),
            pixels=str(record.get(PIXELS, "")),
        )


def stated(path: Path) -> Stated | None:
    """What a file itself says of its making; None where it says nothing, or is in no format known here.

    Raises:
        BrokenFile: if it cannot be read.
    """
    read = getattr(owner(path), "stated", None)
    return read(path) if read else None


def pixel_digest(path: Path) -> str:
    """The digest of a file's pixels as they are now; empty for a format that has none.

    Raises:
        BrokenFile: if they cannot be decoded.
    """
    read = getattr(owner(path), "pixel_digest", None)
    return str(read(path)) if read else ""
