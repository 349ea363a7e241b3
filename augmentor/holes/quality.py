"""What the values of a quality mask mean: classes, bits, a probability, or simply not zero.

A meaning is a word, and after a colon what is to count as covered where that is not the usual:

=================  =============================================  ================================================
``mask``           not zero                                       values: ``mask:0,4``, of a label map
``scl``            scene classification of Sentinel-2 Level 2A    classes: ``scl:3,8,9,10,11``, where 11 is snow
``qa_pixel``       Landsat Collection 2                           fields: ``qa_pixel:cloud,shadow,snow``
``bqa``            Landsat Collection 1, Level 1                  fields: ``bqa:cloud,snow``
``bqa_l8``         Landsat 8 from before the collections          fields
``pixel_qa``       Landsat Collection 1, Level 2                  fields
``probability``    of clouds, 0.4 or more                         ``probability:0.6``; ``probability:60`` in the
                                                                  raster's own units
=================  =============================================  ================================================

What was never observed (SCL 0, the fill bits) is nodata and not covered, unless named: ``scl:0,3,8``, ``bqa:fill``.

Sources. SCL: ESA, Sentinel-2 Level-2A Product Definition (S2-PDGS-MPC-L2A-PDD), scene classification. QA_PIXEL: USGS
LSDS-1619, Landsat 8-9 Collection 2 Level 1 Data Format Control Book. BQA: USGS LSDS-1656, Landsat Collection 1 Level 1
Product Definition; before, USGS LSDS-809, Landsat 8 Level 1 Data Format Control Book. pixel_qa: USGS LSDS-1368, Landsat
8 Surface Reflectance Code Product Guide. Probability: s2cloudless (Sentinel Hub), whose CLP band counts 0 to 255.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.errors import UnclearMask

THRESHOLD = 0.4
"""The cloud probability from which on s2cloudless calls a pixel cloud."""

SCL = ("1", "3", "8", "9", "10")
"""Saturated or defective, cloud shadow, cloud of medium and of high probability, thin cirrus."""

FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "qa_pixel": {"fill": (0, 1), "dilated": (1, 1), "cirrus": (2, 1), "cloud": (3, 1), "shadow": (4, 1),
                 "snow": (5, 1), "clear": (6, 1), "water": (7, 1)},
    "bqa": {"fill": (0, 1), "cloud": (4, 1), "shadow": (7, 3), "snow": (9, 3), "cirrus": (11, 3)},
    "bqa_l8": {"fill": (0, 1), "dropped": (1, 1), "snow": (10, 3), "cirrus": (12, 3), "cloud": (14, 3)},
    "pixel_qa": {"fill": (0, 1), "clear": (1, 1), "water": (2, 1), "shadow": (3, 1), "snow": (4, 1), "cloud": (5, 1),
                 "cirrus": (8, 3)},
}  # fmt: skip
"""Where each field begins and its value when it is set: confidences have two bits, and 3 is high."""

HIDES = ("dilated", "cirrus", "cloud", "shadow", "dropped")
"""Fields that are covered unless others are named."""

WORDS = ("mask", "scl", *FIELDS, "probability")

SAYS = (
    # The first that fits counts: s2cloudless_mask is a mask.
    ("scl", "scl"),
    ("qa_pixel", "qa_pixel"),
    ("pixel_qa", "pixel_qa"),
    ("bqa", "bqa"),
    ("mask", "mask|clm"),
    ("clp", "clp"),
    ("probability", "prob|probability|cloudprob|cldprb|snwprb|s2cloudless"),
)
"""What a part of a name says."""

BEFORE_COLLECTIONS = re.compile(r"(?<![A-Za-z])L[CO]8\d{13}", re.IGNORECASE)
"""How Landsat 8 named its scenes then; it is the name of the file that says so, and not that of the band."""


@dataclass(frozen=True)
class Meaning:
    """A word of the table above, what of it counts as covered, and the value of certainty in a probability."""

    word: str
    counts: tuple[str, ...] = ()
    certain: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Meaning:
        """A meaning as a user says it.

        Raises:
            UnclearMask: if it is none.
        """
        word, _, rest = text.strip().lower().partition(":")
        counts = tuple(part.strip() for part in rest.split(",") if part.strip())
        known = {
            "mask": all(re.fullmatch(r"-?\d+", part) for part in counts),
            "scl": all(part.isdigit() and int(part) < 12 for part in counts),
            "probability": len(counts) <= 1 and all(re.fullmatch(r"\d*\.?\d+", part) for part in counts),
        }
        if not known.get(word, word in FIELDS and set(counts) <= set(FIELDS[word])):
            fields = f" of {', '.join(FIELDS[word])}" if word in FIELDS else f"; the words are {', '.join(WORDS)}"
            raise UnclearMask(f"{text!r} is no meaning of a mask", do=f"say it as word or word:what{fields}")
        return cls(word, counts)

    @classmethod
    def of_names(cls, names: Sequence[str]) -> Meaning:
        """What the first of a mask's names that says anything says that it is; else not zero counts as covered."""
        for name in names:
            plain = f"_{re.sub(r'[^a-z0-9]+', '_', name.lower())}_"
            for word, pattern in SAYS:
                if not re.search(f"_(?:{pattern})_", plain):
                    continue
                if word == "clp":
                    return cls("probability", certain=255)
                return cls("bqa_l8" if word == "bqa" and any(map(BEFORE_COLLECTIONS.search, names)) else word)
        return cls("mask")

    def covered(self, values: NDArray[Any], *, whole_numbers: bool) -> NDArray[np.bool_]:
        """Where the values of a mask, stored as ``whole_numbers`` or as fractions, say that the ground is hidden.

        Raises:
            UnclearMask: if they are no probabilities where these were expected.
        """
        if self.word == "probability":
            return self._probable(values, whole_numbers)
        if self.word == "mask":
            return np.isin(values, [int(part) for part in self.counts]) if self.counts else values != 0
        codes = np.rint(values).astype(np.int64)
        if self.word == "scl":
            return np.isin(codes, [int(part) for part in self.counts or SCL])
        fields = FIELDS[self.word]
        chosen = [fields[name] for name in self.counts or HIDES if name in fields]
        return np.logical_or.reduce([(codes >> first) & full == full for first, full in chosen])

    @property
    def knows_unseen(self) -> bool:
        """Whether some values say that nothing was observed (and these are not asked to count as covered)."""
        return (self.word == "scl" and "0" not in self.counts) or (
            "fill" in FIELDS.get(self.word, {}) and "fill" not in self.counts
        )

    def unseen(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Where the values of a mask say that nothing was observed."""
        codes = np.rint(values).astype(np.int64)
        if self.word == "scl":
            return codes == 0
        first, full = FIELDS[self.word]["fill"]
        return (codes >> first) & full == full

    def _probable(self, values: NDArray[Any], whole_numbers: bool) -> NDArray[np.bool_]:
        threshold = float(self.counts[0]) if self.counts else THRESHOLD
        if threshold > 1:
            return values >= threshold
        certain = self.certain or (100.0 if whole_numbers else 1.0)
        if values.size and values.max() > certain * 1.001:
            raise UnclearMask(
                f"a probability of {values.max():g}, where {certain:g} is certain",
                do="say the threshold in the raster's own units, e.g. probability:40",
            )
        return values >= threshold * certain
