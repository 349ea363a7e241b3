"""MONAI transforms that replace an image by a sample of a run, now and then.

from augmentor.onthefly.monai import RandSyntheticd

augment = Compose([LoadImaged("image"), EnsureChannelFirstd("image"), RandSyntheticd("image", prob=0.3)])
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms.transform import MapTransform, RandomizableTransform
from monai.utils.type_conversion import convert_to_dst_type, convert_to_numpy, get_equivalent_dtype

from augmentor.errors import DataError
from augmentor.onthefly.replacing import Limits, Replacing
from augmentor.onthefly.source import Source
from augmentor.sampling import Sample

SEEDS = 2**31 - 1
"""Seeds are drawn below this."""


class RandSynthetic(RandomizableTransform):
    """With probability ``prob``, a sample in the place of an image (C, *size): an array, a tensor, or a MetaTensor,
    which keeps its metadata. Size, type and device stay.

    Samples are of the class that is given with an image, else as often of each as in training, or as ``condition``
    says. Labels that are numbers need ``classes``, the run's classes in their order. Images are in physical units, or
    ``limits`` are the physical values that 0 and 1 stand for (0 and the greatest number, of integers).

    Raises:
        UserError: if there is no such run, it was trained to fill, or it does not know a condition or class.
    """

    def __init__(
        self,
        run: str | Path | None = None,
        prob: float = 0.1,
        *,
        classes: Sequence[str] | None = None,
        labelled_by: str | None = None,
        condition: Mapping[str, str] | None = None,
        guidance: float = 1.0,
        limits: Limits | None = None,
        runs: str | Path = "runs",
    ) -> None:
        RandomizableTransform.__init__(self, prob)
        source = Source(run, condition=condition, guidance=guidance, runs=runs)
        self.replacing = Replacing(source, labelled_by, classes, limits)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandSynthetic:
        """Set the random state; what was drawn ahead by an earlier one is dropped."""
        self.replacing.forget()
        super().set_random_state(seed, state)
        return self

    def __call__(self, img: Any, label: Any = None, segmentation: Any = None) -> Any:
        """The image, or a sample of the class ``label``; of a run given label maps, for ``segmentation`` (1, *size).

        Raises:
            UserError: if the class is unknown, or the image is none like the run's.
        """
        self.randomize(None)
        return self.replaced(self.sample(label, segmentation), img) if self._do_transform else img

    def sample(self, label: Any, segmentation: Any) -> Sample:
        """A sample in the place of the next image."""
        given = None if segmentation is None else convert_to_numpy(segmentation)[0]
        return self.replacing.draw(lambda: int(self.R.randint(SEEDS)), label, given)

    def replaced(self, sample: Sample, img: Any) -> Any:
        """The sample's pixels in the kind of ``img``."""
        pixels = self.replacing.pixels(sample, tuple(img.shape), _dtype(img))
        return convert_to_dst_type(pixels, img)[0]

    def replaced_map(self, sample: Sample, seg: Any) -> Any:
        """The sample's label map in the kind of ``seg`` (1, *size)."""
        labels = self.replacing.label_map(sample, tuple(seg.shape)[1:], _dtype(seg))
        return convert_to_dst_type(labels[None], seg)[0]


class RandSyntheticd(RandomizableTransform, MapTransform):
    """Dictionary version of ``RandSynthetic``, which says what the other arguments are.

    ``keys`` are the image's and, where it has one, its label map's: replaced along by one that the run makes, or kept
    as it is where the run makes images for label maps. The class at ``label_key`` stays, and the sample is of it;
    with ``label_key=None``, or a run without classes, no class is looked for.

    Raises:
        UserError: as ``RandSynthetic``; called, also where an item has no class.
    """

    def __init__(
        self,
        keys: Hashable | Sequence[Hashable],
        run: str | Path | None = None,
        prob: float = 0.1,
        *,
        label_key: Hashable | None = "label",
        classes: Sequence[str] | None = None,
        labelled_by: str | None = None,
        condition: Mapping[str, str] | None = None,
        guidance: float = 1.0,
        limits: Limits | None = None,
        runs: str | Path = "runs",
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        if len(self.keys) > 2:
            raise DataError(f"{len(self.keys)} keys", do="give the key of the image, and that of its label map")
        self.synthetic = RandSynthetic(
            run, 1.0, classes=classes, labelled_by=labelled_by, condition=condition, guidance=guidance, limits=limits,
            runs=runs,
        )  # fmt: skip
        self.label_key = label_key if self.synthetic.replacing.labels is not None else None

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandSyntheticd:
        """Set the random state, of what is drawn, too."""
        super().set_random_state(seed, state)
        self.synthetic.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The item, or one with a sample's image and label map.

        Raises:
            UserError: if the class is missing or unknown, or the image is none like the run's.
        """
        item = dict(data)
        self.randomize(None)
        if not self._do_transform:
            return item
        image, *maps = self.key_iterator(item)
        if self.label_key is not None and self.label_key not in item:
            raise DataError(f"an item has no {self.label_key!r}", do="name its class' key, or label_key=None for any")
        label = None if self.label_key is None else item[self.label_key]
        sample = self.synthetic.sample(label, item[maps[0]] if maps else None)
        item[image] = self.synthetic.replaced(sample, item[image])
        if maps and not self.synthetic.replacing.source.facts.given:
            item[maps[0]] = self.synthetic.replaced_map(sample, item[maps[0]])
        return item


def _dtype(values: Any) -> np.dtype[Any]:
    """The type of an array's numbers, or of a tensor's."""
    return np.dtype(get_equivalent_dtype(values.dtype, np.ndarray))
