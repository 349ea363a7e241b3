"""Samples in the place of a script's own images: of their class, in their size, type and units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import DataError, RunError, WrongCondition
from augmentor.onthefly.source import Source
from augmentor.sampling import Sample, check_conditions
from augmentor.segmentation import check_known

Limits = tuple[float, float]


class Replacing:
    """What transforms replace images by.

    Labels are names of the run's classes, or numbers, which ``classes`` gives names to. Images are in physical units,
    as the run's are; or else ``limits`` are the physical values that their 0 and 1 stand for, or 0 and the greatest
    number of an integer type. A sample is resized to the image's size.

    Raises:
        WrongCondition: if the run does not know one of ``classes``, or it is not clear what labels are of.
        DataError: if the limits are none.
    """

    def __init__(
        self, source: Source, labelled_by: str | None, classes: Sequence[str] | None, limits: Limits | None
    ) -> None:
        self.source = source
        self.labels = source.labelled_by(labelled_by)
        self.classes = tuple(classes) if classes is not None else None
        self.limits = limits
        if limits is not None and not limits[0] < limits[1]:
            raise DataError(f"limits are {limits}", do="give two numbers, the lower one first")
        self._ahead: dict[str, list[Sample]] = {}
        for name in self.classes or ():
            self._asked(name)

    def forget(self) -> None:
        """Drop what was drawn ahead, so that what follows depends on chance alone."""
        self._ahead.clear()

    def draw(self, chance: Callable[[], int], label: Any = None, segmentation: NDArray[Any] | None = None) -> Sample:
        """A sample of the class ``label``, for the label map ``segmentation`` (*size) where the run is given any.

        Samples of a class are drawn some ahead, from a seed that ``chance`` gives.

        Raises:
            WrongCondition: if the run does not know the class.
            RunError: if the run makes images for label maps and there is none.
            LabelError: if training never saw a label of the map.
        """
        facts, asked = self.source.facts, self._asked(label)
        if facts.given:
            if segmentation is None:
                raise RunError(
                    "makes images for label maps", where=self.source.run.folder, do="give the image's label map along"
                )
            self._check_size(segmentation.shape)
            map = _resized(segmentation[None], facts.tile, order=0)[0].astype(np.int32)
            check_known([map], facts.labels, self.source.run.folder)
            return self.source.block(0, chance(), asked, [map])[0]
        ahead = self._ahead.setdefault(asked[self.labels.name] if self.labels and label is not None else "", [])
        if not ahead:
            ahead += reversed(self.source.block(0, chance(), asked))
        return ahead.pop()

    def pixels(self, sample: Sample, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """A sample's pixels like those of an image of that shape, (C, *size), and type.

        Raises:
            DataError: if the image has other channels or axes than the run's, or its type does not hold their values.
        """
        facts = self.source.facts
        if shape[0] != facts.channels:
            raise DataError(
                f"an image has {shape[0]} channels, those of {self.source.run.name} have {facts.channels}",
                do="replace images before channels are added or taken away, or name another run",
            )
        self._check_size(shape[1:])
        values = _resized(sample.pixels, shape[1:], order=1)
        whole = dtype.kind in "iu"
        if self.limits is not None:
            low, high = self.limits
            values = np.clip((values - low) / (high - low), 0, 1) * (np.iinfo(dtype).max if whole else 1)
        elif whole:
            self._check_held(dtype)
        return (np.rint(values) if whole else values).astype(dtype)

    def label_map(self, sample: Sample, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """A sample's label map like one of that shape, (*size), and type.

        Raises:
            RunError: if the run makes none, so that an image's own would no longer fit it.
        """
        if sample.labels is None:
            raise RunError(
                "makes no label maps, and an image's own would not fit another",
                where=self.source.run.folder,
                do="train with segmentation.path, or leave label maps out",
            )
        self._check_size(shape)
        return _resized(sample.labels[None], shape, order=0)[0].astype(dtype)

    def _asked(self, label: Any) -> Mapping[str, str]:
        """The conditions of a sample in the place of an image of that class."""
        if label is None or self.labels is None:
            return self.source.asked
        return check_conditions(self.source.facts, {**self.source.asked, self.labels.name: self._name(label)})

    def _name(self, label: Any) -> str:
        if isinstance(label, str):
            return label
        try:
            number = index(label)
        except TypeError:
            raise WrongCondition(f"a label is {label!r}", do="give the name of a class, or its number") from None
        if self.classes is None:
            raise WrongCondition(
                f"a label is the number {number}", do="say which class every number is: classes=['...', '...']"
            )
        if not 0 <= number < len(self.classes):
            raise WrongCondition(f"a label is the number {number}", do=f"classes names 0 to {len(self.classes) - 1}")
        return self.classes[number]

    def _check_size(self, size: Sequence[int]) -> None:
        tile = self.source.facts.tile
        if len(size) != len(tile):
            kinds = {2: "planes", 3: "volumes"}
            raise DataError(
                f"an image has {len(size)} axes beside its channels",
                do=f"{self.source.run.name} makes {kinds[len(tile)]} of {' × '.join(map(str, tile))}",
            )

    def _check_held(self, dtype: np.dtype[Any]) -> None:
        scaling, held = self.source.facts.scaling, np.iinfo(dtype)
        low, high = round(min(scaling.low)), round(max(scaling.high))
        if low < held.min or high > held.max:
            raise DataError(
                f"an image is {dtype.name}, and samples of {self.source.run.name} reach from {low} to {high}",
                do="say which physical values 0 and the greatest number stand for: limits=(low, high)",
            )


def _resized(values: NDArray[Any], size: Sequence[int], order: int) -> NDArray[Any]:
    """(C, *tile) -> (C, *size), by lines (1) or nearest (0); as it is where it has that size."""
    if values.shape[1:] == tuple(size):
        return values
    from skimage.transform import resize

    soft = order > 0 and any(a < b for a, b in zip(size, values.shape[1:], strict=True))
    return np.stack(
        [resize(v, size, order=order, mode="edge", anti_aliasing=soft, preserve_range=True) for v in values]
    )
