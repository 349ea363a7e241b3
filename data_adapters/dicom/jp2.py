"""JPEG 2000 in boxes: whether they lead to the codestream."""

from __future__ import annotations

START = b"\x00\x00\x00\x0cjP  "
"""The signature box, which is the first of a JP2 file (ISO/IEC 15444-1 I.5.1)."""

CODESTREAM = b"jp2c"
HEAD = 8
"""Bytes of a box's length and kind."""


def check(frame: bytes) -> None:
    """Raise ValueError for boxes that lead nowhere, in which pydicom would look for the codestream for ever.

    DICOM has codestreams without boxes (PS3.5 8.2.4), and writers that put them in all the same.
    """
    if not frame.startswith(START):
        return
    at = int.from_bytes(START[:4], "big")
    while at < len(frame) and frame[at + 4 : at + HEAD] != CODESTREAM:
        length = int.from_bytes(frame[at : at + 4], "big")
        if length < HEAD:
            raise ValueError(f"a JP2 box of {length} bytes")
        at += length
