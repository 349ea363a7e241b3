"""Lossless compression of written files, for those who ask for it."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from data_adapters.dicom.common import save
from data_adapters.errors import Unwritable

SYNTAXES = {"rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg2000": JPEG2000Lossless}


def compress(path: Path, name: str) -> None:
    """Rewrite a file in a lossless transfer syntax; one that is compressed already, or of single bits, stays as it is.

    Raises:
        Unwritable: if its pixels do not fit the syntax (of JPEG 2000: sides below 32 pixels).
    """
    dataset = dcmread(path)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated or dataset.BitsAllocated == 1:
        return
    try:
        dataset.compress(SYNTAXES[name], generate_instance_uid=False)
    except Exception as error:
        raise Unwritable(f"does not fit {name} ({error})", where=path, do="choose another compression") from error
    save(dataset, path)
