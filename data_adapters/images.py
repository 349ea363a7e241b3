"""Plain images: PNG, JPEG and their like, 8 or 16 bits, gray or colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_adapters.atomic import replacing
from data_adapters.errors import BrokenFile, Unwritable, UserError
from data_adapters.scene import Channel, Grid, Patch, Pixels, Provenance, Scene, Template, Window, to_stored

NAME = "png"
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF")
BANDS = {"L": ("gray",), "I;16": ("gray",), "RGB": ("red", "green", "blue")}


def claims(path: Path, head: bytes) -> bool:
    """Whether the content starts as PNG, JPEG, BMP or WebP does."""
    return head.startswith(MAGIC)


def scan(files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
    """One scene a file."""
    scenes: list[Scene] = []
    problems: list[UserError] = []
    for path in files:
        try:
            scenes.append(_open(path))
        except UserError as error:
            problems.append(error)
    return scenes, problems


def _mode(image: Image.Image) -> str:
    """The mode that loses nothing of the image's: palettes and the like become RGB."""
    if image.mode in ("1", "L", "LA"):
        return "L"
    return "I;16" if image.mode.startswith("I") else "RGB"


def _open(path: Path) -> ImageScene:
    try:
        with Image.open(path) as image:
            mode, (width, height) = _mode(image), image.size
    except Exception as error:
        raise BrokenFile(f"not readable as an image ({error})", where=path, do="restore it") from error
    return ImageScene(
        name=path.stem,
        path=path,
        format=NAME,
        kind="image",
        modality="",
        shape=(len(BANDS[mode]), 1, height, width),
        dtype="uint16" if mode == "I;16" else "uint8",
        channels=tuple(Channel(name) for name in BANDS[mode]),
        grid=Grid((1.0, 1.0, 1.0), "pixels", "pixels"),
        group=path.name,
        files=(path,),
    )


@dataclass(frozen=True)
class ImageScene(Scene):
    """A picture; its stored values are its physical values."""

    def _stored(self) -> NDArray[Any]:
        try:
            with Image.open(self.path) as image:
                picture = np.asarray(image if _mode(image) == "I;16" else image.convert(_mode(image)))
        except Exception as error:
            raise BrokenFile(f"pixels cannot be decoded ({error})", where=self.path, do="restore it") from error
        return picture if picture.ndim == 3 else picture[..., None]

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        rows, columns = (window or self.plane).slices
        values = np.moveaxis(self._stored(), -1, 0)[:, None, rows, columns].astype(np.float32)
        return Pixels(values, np.ones(values.shape, dtype=bool))

    def template(self) -> Template:
        high = float(np.iinfo(self.dtype).max)
        return Template(
            format=NAME,
            kind=self.kind,
            modality=self.modality,
            channels=self.channels,
            dtype=self.dtype,
            low=0.0,
            high=high,
            bits=16 if self.dtype == "uint16" else 8,
        )

    def write_filled(self, destination: Path, patches: Iterable[Patch], provenance: Provenance) -> list[Path]:
        if destination.suffix.lower() != ".png":
            raise Unwritable("only PNG keeps the untouched pixels", where=destination, do="name the output .png")
        stored = self._stored().copy()
        for patch in patches:
            region = patch.window.slices
            fresh = to_stored(np.moveaxis(patch.values, 0, -1), stored.dtype)
            stored[region] = np.where(np.moveaxis(patch.made, 0, -1), fresh, stored[region])
        return [_save(stored, destination)]


def _save(stored: NDArray[Any], destination: Path) -> Path:
    with replacing(destination) as temporary:
        Image.fromarray(stored[..., 0] if stored.shape[-1] == 1 else stored).save(temporary, format="PNG")
    return destination


def write_sample(
    stem: Path, values: NDArray[np.floating[Any]], template: Template, provenance: Provenance
) -> list[Path]:
    """A synthetic sample, (C, 1, H, W), as PNG: one or three channels, over the template's range.

    Integers of up to 16 bits keep their values; anything else is spread over 16 bits.

    Raises:
        Unwritable: for other numbers of channels, or several slices.
    """
    channels, slices = values.shape[:2]
    if channels not in (1, 3) or slices != 1:
        raise Unwritable(f"{channels} channels and {slices} slices do not fit a PNG", do="write geotiff or nifti")
    dtype = np.dtype(template.dtype)
    plane = np.moveaxis(values[:, 0], 0, -1)
    if dtype.kind == "u" and dtype.itemsize <= 2 and not (channels == 3 and dtype.itemsize == 2):
        stored = to_stored(plane, dtype, template.slope, template.intercept)
    else:
        dtype = np.dtype(np.uint16 if channels == 1 else np.uint8)
        span = (template.high - template.low) / float(np.iinfo(dtype).max)
        stored = to_stored(plane, dtype, span, template.low)
    return [_save(stored, stem.with_suffix(".png"))]
