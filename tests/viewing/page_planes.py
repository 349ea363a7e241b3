"""Planes as who reads a page unpacks them, in the stead of its script."""

import base64
import json
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Unpacked(NamedTuple):
    """A plane as ``planes.js`` unpacks it: values, what was seen, and what is the same elsewhere."""

    values: NDArray[np.float64]
    seen: NDArray[np.bool_]
    same: NDArray[np.bool_]
    step: float
    exact: bool


def unpack(data: bytes) -> Unpacked:
    raw = zlib.decompress(data)
    low, step, height, width, exact = struct.unpack_from("<ddIII", raw)
    halves = np.frombuffer(raw, np.uint8, offset=28).reshape(2, -1).astype(np.int64)
    codes = (np.cumsum(halves[0] + (halves[1] << 8)) & 0xFFFF).reshape(height, width)
    return Unpacked(low + codes * step, codes != 0xFFFF, codes == 0xFFFE, step, bool(exact))


def told(page: str) -> dict[str, Any]:
    """What a page tells its script."""
    return json.loads(page.partition('id="meta">')[2].partition("</script>")[0])


def plane(page: str, key: str) -> Unpacked:
    """A plane as a page holds it."""
    return unpack(base64.b64decode(page.partition(f'id="{key}">')[2].partition("</script>")[0]))
