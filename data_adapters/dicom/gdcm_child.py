"""GDCM in a process of its own, since it ends the one that gives it a broken JPEG: see ``jpeg.py``, which runs this.

A request on stdin is a line of JSON, what the data set says of the frame and how long the codestream is, and the
codestream. An answer on stdout is a line that says how many bytes follow, and these.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def decoded(source: bytes, said: dict[str, Any]) -> bytes:
    """The words of one frame, as ``said`` of it."""
    import gdcm  # type: ignore[import-untyped]

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(source)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    pixels = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    pixels.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((said["columns"], said["rows"], 1))
    image.SetDataElement(pixels)
    kind = gdcm.PhotometricInterpretation.GetPIType(said["photometric_interpretation"])
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if said["samples"] > 1:
        image.SetPlanarConfiguration(said["planar_configuration"])
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(said["transfer_syntax"])))
    bits = said["bits_stored"]
    image.SetPixelFormat(
        gdcm.PixelFormat(said["samples"], said["bits_allocated"], bits, bits - 1, said["pixel_representation"])
    )
    # The bytes come as text of their codes.
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))


def main() -> None:
    """Answer requests until there are no more."""
    while line := sys.stdin.buffer.readline():
        said = json.loads(line)
        words = decoded(sys.stdin.buffer.read(said["length"]), said)
        sys.stdout.buffer.write(b"%d\n" % len(words))
        sys.stdout.buffer.write(words)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
