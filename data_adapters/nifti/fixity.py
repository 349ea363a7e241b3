"""What a NIfTI says of its making, and the digest of its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Extension
from numpy.typing import NDArray

from data_adapters import fixity
from data_adapters.nifti.file import load, readable
from data_adapters.scene import Provenance

COMMENT = 6
"""NIFTI_ECODE_COMMENT (nifti1.h): an extension that is plain text."""


def sign(image: Any, raw: NDArray[Any], what: str, provenance: Provenance) -> None:
    """Say in a header who made its pixels: in ``descrip`` for people, in an extension for machines.

    A header has room for 79 letters and no provenance; comments (code 6, nifti1.h) may be of any length.
    """
    image.header["descrip"] = f"{what}: {provenance.tool} {provenance.version}".encode()[:79]
    text = fixity.as_text(provenance, fixity.digest_of(raw.T)).encode()
    extensions = image.header.extensions
    # Of a file that was filled before, the new statement takes the place of the old one.
    extensions[:] = [extension for extension in extensions if _statement(extension) is None]
    extensions.append(Nifti1Extension("comment", text))


def _statement(extension: Any) -> fixity.Stated | None:
    """What ``sign`` wrote; None of any other extension."""
    if extension.get_code() != COMMENT:
        return None
    content = extension.get_content()
    return fixity.Stated.from_text(content.rstrip(b"\0").decode(errors="replace") if isinstance(content, bytes) else "")


def stated(path: Path) -> fixity.Stated | None:
    """What a file says of its making.

    Raises:
        BrokenFile: if it is no readable NIfTI.
    """
    found = [_statement(extension) for extension in load(path).header.extensions]
    return next((statement for statement in reversed(found) if statement is not None), None)


def pixel_digest(path: Path) -> str:
    """The digest of a file's stored values, the first axis running fastest as it does in the file.

    Raises:
        BrokenFile: if they cannot be read.
    """
    with readable(path):
        return fixity.digest_of(np.asanyarray(load(path).dataobj.get_unscaled()).T)
