"""Names of what is written beside a file or folder."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".nii.gz", ".nii", ".hdr", ".img", ".tif", ".tiff", ".dcm", ".png", ".jpg", ".jpeg")
"""Endings that say a format; what else follows a dot is part of a name."""


def parted(path: Path) -> tuple[str, str]:
    """``x.2023`` and ``.nii.gz`` of ``x.2023.nii.gz``; all of a folder's name, and nothing."""
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")
    stem = path.name[: len(path.name) - len(suffix)]
    return stem, path.name[len(stem) :]


def named_beside(path: Path, what: str) -> Path:
    """``x_low.nii.gz`` for ``x.nii.gz``, ``series_low`` for a folder ``series``."""
    stem, suffix = parted(path)
    return path.with_name(f"{stem}_{what}{suffix}")
