"""Plain images: PNG, JPEG and their like, 8 or 16 bits, gray or colour."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from data_adapters import fixity, room
from data_adapters.atomic import replacing
from data_adapters.errors import BrokenFile, TooLarge, Unwritable, UserError
from data_adapters.labelled import read_as_labels
from data_adapters.scene import Channel, Grid, Patch, Pixels, Provenance, Scene, Template, Window, one_each, to_stored

NAME = "png"
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
BANDS = {
    "L": ("gray",), "LA": ("gray",), "I;16": ("gray",),
    "RGB": ("red", "green", "blue"), "RGBA": ("red", "green", "blue"),
}  # fmt: skip
"""Colours of each mode that is worked in; the last plane of LA and RGBA says what was observed."""
BITS = {"LA": 16, "RGB": 24, "RGBA": 32, "I;16": 16}
"""Bits of a pixel in a PNG of each mode, at least."""
DENSEST = 1024
"""Pixels that a byte of a JPEG stands for, at most: a bit for each block of 8 x 8 (ITU-T T.81 G.1.2), and as much."""
PROVENANCE = "Provenance"
"""The text of a PNG that says who made its pixels."""


def claims(path: Path, head: bytes) -> bool:
    """Whether the content starts as PNG, JPEG, BMP or WebP does."""
    # Two letters are too few to tell a bitmap by: its reserved words at byte 6 are zero.
    bitmap = head[:2] == b"BM" and head[6:10] == bytes(4)
    return head.startswith(MAGIC) or bitmap or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def scan(files: Sequence[Path]) -> tuple[list[Scene], list[UserError]]:
    """One scene a file."""
    return one_each(files, _open)


def _mode(image: Image.Image) -> str:
    """The mode that loses nothing of the image's: palettes and the like become RGB."""
    if image.mode.startswith("I"):
        return "I;16"
    gray = image.mode in ("1", "L", "LA")
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        return "LA" if gray else "RGBA"
    return "L" if gray else "RGB"


def _check_size(path: Path, image: Image.Image) -> None:
    """Raise BrokenFile for a file too short for its picture: Pillow takes the memory before it looks for the pixels."""
    count = math.prod(image.size)
    if image.format == "PNG":
        # Gray and palettes may have single bits.
        bits = BITS.get(image.mode, 1)
        room.held(count * bits // 8, path, packed=True)
    elif image.format != "WEBP":
        # WebP alone has room for a picture of one colour in some bytes, whatever its size.
        room.held(count // DENSEST, path)


def _open(path: Path) -> ImageScene:
    try:
        with Image.open(path) as image:
            mode, (width, height) = _mode(image), image.size
            _check_size(path, image)
            # Pillow reads these as 8 bits without a word.
            halved = any("16" in str(tile[3]) for tile in image.tile) and mode != "I;16"
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise TooLarge(f"is too large a picture ({error})", where=path, do="convert it to GeoTIFF") from error
    except Exception as error:
        raise BrokenFile(f"not readable as an image ({error})", where=path, do="restore it") from error
    if halved:
        raise BrokenFile("colour or alpha of 16 bits cannot be read whole", where=path, do="convert it to GeoTIFF")
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
    """A picture; its stored values are its physical values, and transparent pixels were not observed."""

    def _stored(self) -> tuple[NDArray[Any], dict[Any, Any]]:
        """Stored values (H, W, planes), alpha last where there is one, and what else the file says."""
        # The picture as it is decoded, and as an array in the mode that is worked in.
        room.taken(2 * (self.shape[0] + 1) * np.dtype(self.dtype).itemsize * math.prod(self.shape[2:]), self.path)
        try:
            with Image.open(self.path) as image:
                picture = np.array(image if _mode(image) == "I;16" else image.convert(_mode(image)))
                said = dict(image.info)
        except Exception as error:
            raise BrokenFile(f"pixels cannot be decoded ({error})", where=self.path, do="restore it") from error
        return picture.reshape(*picture.shape[:2], -1), said

    def read(self, first: int, count: int, window: Window | None = None) -> Pixels:
        window = window or self.plane
        rows, columns = window.slices
        room.taken(5 * self.shape[0] * window.height * window.width, self.path)
        planes = np.moveaxis(self._stored()[0], -1, 0)[:, None, rows, columns]
        values = planes[: self.shape[0]].astype(np.float32)
        valid = np.ones(values.shape, dtype=bool)
        return Pixels(values, valid & (planes[-1:] > 0) if len(planes) > self.shape[0] else valid)

    @cached_property
    def classes(self) -> bool:
        """As gray values tell, where they can be read, since nothing else says so; a picture in colour is an image."""
        return self.shape[0] == 1 and read_as_labels(lambda: np.moveaxis(self._stored()[0], -1, 0)[:1])

    def template(self) -> Template:
        return Template.like(self, slope=1.0, intercept=0.0)

    def write_filled(
        self, destination: Path, patches: Iterable[Patch], provenance: Provenance, *, marked: bool = True
    ) -> list[Path]:
        if destination.suffix.lower() != ".png":
            raise Unwritable("only PNG keeps the untouched pixels", where=destination, do="name the output .png")
        stored, said = self._stored()
        colours, alpha = np.split(stored, [self.shape[0]], axis=-1)
        for patch in patches:
            region = patch.window.slices
            made = np.moveaxis(patch.made, 0, -1)
            fresh = to_stored(np.moveaxis(patch.values, 0, -1), stored.dtype)
            colours[region] = np.where(made, fresh, colours[region])
            alpha[region] = np.where(made.any(axis=-1, keepdims=True), np.iinfo(stored.dtype).max, alpha[region])
        return [_save(stored, destination, provenance, said)]

    def write_map(self, stem: Path, values: NDArray[np.float32], about: str, provenance: Provenance) -> list[Path]:
        """As ``Scene.write_map``: a PNG of 16 bits has room for hundredths from 0 to 655.35, 0 where none is known."""
        hundredths = to_stored(100.0 * np.moveaxis(values, 0, -1), np.dtype(np.uint16))
        return [
            _save(hundredths, stem.with_name(f"{stem.name}.png"), provenance, {"Description": f"{about}, times 100"})
        ]


def _save(stored: NDArray[Any], destination: Path, provenance: Provenance, said: dict[Any, Any] | None = None) -> Path:
    """Write planes (H, W, 1 to 4) as PNG; of what the source ``said``, texts, resolution and colours are kept."""
    said = said or {}
    notes = PngInfo()
    for key, text in said.items():
        if isinstance(text, str) and key != PROVENANCE:
            notes.add_itxt(key, text)
    picture = Image.fromarray(stored[..., 0] if stored.shape[-1] == 1 else stored)
    notes.add_itxt(PROVENANCE, fixity.as_text(provenance, _digest(picture)))
    kept = {key: said[key] for key in ("dpi", "icc_profile", "exif") if key in said}
    with replacing(destination) as temporary:
        picture.save(temporary, format="PNG", pnginfo=notes, **kept)
    return destination


def _digest(picture: Image.Image) -> str:
    """The digest of a picture's colours, 8 bits as RGBA, so that neither palettes nor modes count; 16 bits as gray."""
    return fixity.digest_of(np.array(picture if _mode(picture) == "I;16" else picture.convert("RGBA")))


def stated(path: Path) -> fixity.Stated | None:
    """What a file says of its making.

    Raises:
        BrokenFile: if it cannot be read.
    """
    with _readable(path), Image.open(path) as image:
        # Texts may lie behind the pixels, where an optimiser has put them.
        image.load()
        return fixity.Stated.from_text(image.info.get(PROVENANCE))


def pixel_digest(path: Path) -> str:
    """The digest of a file's pixels.

    Raises:
        BrokenFile: if they cannot be decoded.
    """
    with _readable(path), Image.open(path) as image:
        return _digest(image)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say of a picture that cannot be read whose it is."""
    try:
        yield
    except Exception as error:
        raise BrokenFile(f"pixels cannot be decoded ({error})", where=path, do="restore it") from error


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
    return [_save(stored, stem.with_name(f"{stem.name}.png"), provenance)]
