"""An albumentations transform that replaces an image by a sample of a run, now and then.

from augmentor.onthefly.albumentations import Synthetic

augment = albumentations.Compose([Synthetic(p=0.3), albumentations.HorizontalFlip()])
augment(image=image, mask=mask, label="pneumonia")
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import DataError, RunError
from augmentor.onthefly.replacing import Limits, Replacing
from augmentor.onthefly.source import Source
from augmentor.sampling import Sample

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from albumentations import DualTransform
from albumentations.core.type_definitions import Targets

TARGETS = {2: ("image", "mask"), 3: ("volume", "mask3d")}
"""What a sample is, by the axes of a run's tiles: pixels, and a label map."""

ALL = {"image", "images", "volume", "volumes", "mask", "masks", "mask3d", "masks3d", "bboxes", "keypoints"}
"""What albumentations transforms."""


class Synthetic(DualTransform):
    """With probability ``p``, a sample in the place of an image (H, W) or (H, W, C), of any integer or floating type.

    ``mask`` is replaced along by a label map that the run makes, or kept where the run makes images for label maps;
    runs of volumes take ``volume`` and ``mask3d``. The class given as ``label_key`` stays, and the sample is of it;
    with ``label_key=None``, or a run without classes, none is looked for. Labels that are numbers need ``classes``, the
    run's classes in their order. Images are in physical units, as 8-bit pictures are; else ``limits`` are the physical
    values that 0 and 1 stand for (0 and the greatest number, of integers).

    Raises:
        UserError: if there is no such run, it was trained to fill, or it does not know a condition or class.
    """

    _targets = (Targets.IMAGE, Targets.MASK, Targets.VOLUME, Targets.MASK3D)

    def __init__(
        self,
        run: str | Path | None = None,
        label_key: str | None = "label",
        classes: Sequence[str] | None = None,
        labelled_by: str | None = None,
        condition: Mapping[str, str] | None = None,
        guidance: float = 1.0,
        limits: Limits | None = None,
        runs: str | Path = "runs",
        p: float = 0.5,
    ) -> None:
        source = Source(run, condition=condition, guidance=guidance, runs=runs)
        self.replacing = Replacing(source, labelled_by, classes, limits)
        super().__init__(p=p)
        # What albumentations writes down of a transform, and makes another of.
        self.run, self.runs = str(source.run.folder), str(runs)
        self.label_key = label_key if self.replacing.labels is not None else None
        self.classes, self.labelled_by, self.limits = classes, labelled_by, limits
        self.condition, self.guidance = condition, guidance
        if self.label_key is not None:
            self._available_keys.add(self.label_key)

    def set_random_seed(self, seed: int | None) -> None:
        """Set the random state; what was drawn ahead by an earlier one is dropped."""
        self.replacing.forget()
        super().set_random_seed(seed)

    def set_random_state(self, random_generator: np.random.Generator, py_random: random.Random) -> None:
        """Set the random state; what was drawn ahead by an earlier one is dropped."""
        self.replacing.forget()
        super().set_random_state(random_generator, py_random)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """The sample that all targets are replaced by.

        Raises:
            UserError: if the class is missing or unknown, or a target is none that a sample has.
        """
        pixels, map = TARGETS[self._dimensions]
        given = {target for target in ALL if data.get(target) is not None}
        if strange := sorted(given - {pixels, map}):
            where = self.replacing.source.run.folder
            raise RunError(f"makes no {', '.join(strange)}", where=where, do=f"give {pixels}=, and perhaps {map}=")
        if self.label_key is not None and data.get(self.label_key) is None:
            raise DataError(f"no {self.label_key}= was given", do="give the image's class, or label_key=None for any")
        label = None if self.label_key is None else data[self.label_key]
        labels = data[map].reshape(data[map].shape[: self._dimensions]) if map in given else None
        return {"sample": self.replacing.draw(lambda: int(self.random_generator.integers(2**31)), label, labels)}

    def apply(self, img: NDArray[Any], sample: Sample, **params: Any) -> NDArray[Any]:
        """The sample's pixels in the kind of an image (*size) or (*size, C)."""
        plain = img.ndim == self._dimensions
        shape = (1, *img.shape) if plain else (img.shape[-1], *img.shape[:-1])
        pixels = self.replacing.pixels(sample, shape, img.dtype)
        return pixels[0] if plain else np.moveaxis(pixels, 0, -1)

    def apply_to_mask(self, mask: NDArray[Any], sample: Sample, **params: Any) -> NDArray[Any]:
        """The sample's label map in the kind of a mask (*size) or (*size, 1)."""
        if self.replacing.source.facts.given:
            return mask
        labels = self.replacing.label_map(sample, mask.shape[: self._dimensions], mask.dtype)
        return labels.reshape(mask.shape)

    def apply_to_volume(self, volume: NDArray[Any], sample: Sample, **params: Any) -> NDArray[Any]:
        """As ``apply``, of a run of volumes."""
        return self.apply(volume, sample)

    def apply_to_mask3d(self, mask3d: NDArray[Any], sample: Sample, **params: Any) -> NDArray[Any]:
        """As ``apply_to_mask``, of a run of volumes."""
        return self.apply_to_mask(mask3d, sample)

    @property
    def _dimensions(self) -> int:
        return len(self.replacing.source.facts.tile)
