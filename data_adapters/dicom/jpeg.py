"""JPEG by GDCM, which alone decodes all of its kinds, in a process apart: a plugin for pydicom's decoders.

GDCM answers a codestream that is damaged, or another than the data set says, by a C++ exception that its binding lets
through, which ends the process. JPEG-LS and JPEG 2000 are left to CharLS and OpenJPEG, which say what is wrong. Nor
does pydicom ask GDCM for JPEG Extended of 12 bits, which it can do.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from pydicom.pixels.decoders import base, gdcm
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

LABEL = "gdcm apart"
PATIENCE = 60.0
"""Seconds that a frame may take."""

SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
DECODER_DEPENDENCIES = {UID(uid): ("gdcm",) for uid in SYNTAXES}

LATER = ("pylibjpeg", "pillow")
"""pydicom's own other plugins for these transfer syntaxes."""

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame's header (ITU-T T.81 table B.1)."""

START, SCAN, END = 0xD8, 0xDA, 0xD9


class Coded(NamedTuple):
    """What a codestream says of its frame."""

    precision: int
    rows: int
    columns: int
    samples: int


def coded(source: bytes) -> Coded:
    """The frame's header of a JPEG codestream.

    Raises:
        ValueError: if there is none before the pixels, or anything else than segments.
    """
    if source[:2] != bytes((0xFF, START)):
        raise ValueError("it does not start as JPEG does")
    at = 2
    while at + 10 <= len(source):
        if source[at] != 0xFF:
            raise ValueError(f"stray bytes at {at}")
        marker = source[at + 1]
        if marker == 0xFF:
            # Fill before a marker.
            at += 1
            continue
        length = int.from_bytes(source[at + 2 : at + 4], "big")
        if marker in FRAMES:
            rows, columns = (int.from_bytes(source[at + k : at + k + 2], "big") for k in (5, 7))
            return Coded(source[at + 4], rows, columns, source[at + 9])
        if marker in (START, SCAN, END) or length < 2:
            break
        at += 2 + length
    raise ValueError("it has no frame")


def check(source: bytes, runner: DecodeRunner) -> None:
    """Raise ValueError where a codestream is of another size, depth or number of colours than the data set says."""
    found = coded(source)
    said = (runner.rows, runner.columns, runner.samples_per_pixel)
    if found[1:] != said or not 2 <= found.precision <= runner.bits_allocated <= 16:
        raise ValueError(
            f"a codestream of {found.rows} x {found.columns} x {found.samples} samples of {found.precision} bits, "
            f"where {said[0]} x {said[1]} x {said[2]} in {runner.bits_allocated} bits are told of"
        )


def is_available(uid: str) -> bool:
    """Whether this plugin decodes a transfer syntax (asked by pydicom)."""
    return uid in SYNTAXES


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """The pixels of one frame (called by pydicom).

    Raises:
        ValueError: if the codestream is none, or not the data set's.
    """
    check(source, runner)
    said = {
        "length": len(source),
        "rows": runner.rows,
        "columns": runner.columns,
        "samples": runner.samples_per_pixel,
        "planar_configuration": runner.planar_configuration if runner.samples_per_pixel > 1 else 0,
        "photometric_interpretation": str(runner.photometric_interpretation),
        "transfer_syntax": str.__str__(runner.transfer_syntax),
        "bits_allocated": runner.bits_allocated,
        "bits_stored": runner.bits_stored,
        "pixel_representation": runner.pixel_representation,
    }
    return _apart.ask(json.dumps(said).encode() + b"\n" + bytes(source))


class Apart:
    """The process that GDCM runs in: begun when first asked, and again after it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, request: bytes) -> bytes:
        """The answer to a request.

        Raises:
            ValueError: if the process ended over it, or took too long.
        """
        with self._lock:
            process = self._begun()
            try:
                assert process.stdin is not None
                process.stdin.write(request)
                process.stdin.flush()
                return self._read(int(self._read(None)))
            except (OSError, ValueError) as error:
                self.end()
                raise ValueError("the codestream is broken: GDCM gave up on it") from error

    def _begun(self) -> subprocess.Popen[bytes]:
        # A process that was forked off has none of its own yet.
        if self._process is None or self._owner != os.getpid():
            # In a folder of its own, and by its path: nothing but GDCM is to be imported.
            script = Path(__file__).with_name("gdcm_child.py")
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._owner = os.getpid()
        return self._process

    def _read(self, count: int | None) -> bytes:
        """So many bytes of an answer, or its first line."""
        assert self._process is not None
        assert self._process.stdout is not None
        handle, found = self._process.stdout.fileno(), bytearray()
        while count is None or len(found) < count:
            if not select.select([handle], [], [], PATIENCE)[0]:
                raise ValueError("no answer")
            fresh = os.read(handle, 1 if count is None else min(1 << 20, count - len(found)))
            if not fresh:
                raise ValueError("the process ended")
            if count is None and fresh == b"\n":
                break
            found += fresh
        return bytes(found)

    def end(self) -> None:
        """End the process, if it is this one's."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    # What could not be written to a process that ended is not wanted any more.
                    try:
                        pipe.close()
                    except OSError:
                        continue
        self._process = None


_apart = Apart()
atexit.register(_apart.end)


def register() -> None:
    """Stand in for pydicom's own plugin for GDCM, once."""
    for uid in gdcm.DECODER_DEPENDENCIES:
        decoder = base.get_decoder(UID(uid))
        if "gdcm" not in decoder.available_plugins:
            continue
        decoder.remove_plugin("gdcm")
        if uid in SYNTAXES:
            # They are tried in the order in which they were added.
            later = [label for label in decoder.available_plugins if label in LATER]
            for label in later:
                decoder.remove_plugin(label)
            decoder.add_plugin(LABEL, (__name__, decode_frame.__name__))
            for label in later:
                decoder.add_plugin(label, (f"pydicom.pixels.decoders.{label}", "_decode_frame"))
