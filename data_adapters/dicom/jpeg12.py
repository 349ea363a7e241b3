"""JPEG Extended of 12 bits, which GDCM decodes but pydicom does not ask it to: a plugin for pydicom's decoder."""

from __future__ import annotations

from pydicom.pixels.decoders.base import DecodeRunner, JPEGExtended12BitDecoder

DECODER_DEPENDENCIES = {JPEGExtended12BitDecoder.UID: ("gdcm",)}


def is_available(uid: str) -> bool:
    """Whether this plugin decodes a transfer syntax (asked by pydicom)."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """The words of one frame (called by pydicom)."""
    import gdcm  # type: ignore[import-untyped]

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(src)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    pixels = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    pixels.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(pixels)
    kind = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(runner.transfer_syntax))))
    bits = runner.bits_stored
    image.SetPixelFormat(gdcm.PixelFormat(1, runner.bits_allocated, bits, bits - 1, runner.pixel_representation))
    # The bytes come as text of their codes.
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))


def register() -> None:
    """Offer the plugin to pydicom, once."""
    if __name__ not in JPEGExtended12BitDecoder.available_plugins:
        JPEGExtended12BitDecoder.add_plugin(__name__, (__name__, decode_frame.__name__))
