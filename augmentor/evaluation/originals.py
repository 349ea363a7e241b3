"""Whether the real tiles themselves are sound: doubles, and what was held out but is known all the same."""

from __future__ import annotations

import numpy as np

from augmentor.evaluation.part import Grade, Part, worst
from augmentor.evaluation.sets import Sets
from augmentor.measures.copies import nearest

SAME = 1e-6
"""Root-mean-square distance, of the 2 that values span, below which two tiles are one."""

ALIKE = 0.02
"""Below which they are near doubles: a hundredth of the range."""


def originals(sets: Sets) -> Part:
    """Doubles among the tiles that were trained on, and of these among those held out."""
    within = nearest(sets.train.planes, sets.train.planes, itself=False)
    across = nearest(sets.held_out.planes, sets.train.planes)
    counts = {
        "the same, in training": int((within.distance < SAME).sum()),
        "nearly the same, in training": int(((within.distance >= SAME) & (within.distance < ALIKE)).sum()),
        "held out, and the same in training": int((across.distance < SAME).sum()),
        "held out, and nearly the same in training": int(((across.distance >= SAME) & (across.distance < ALIKE)).sum()),
    }
    doubled = counts["the same, in training"] + counts["nearly the same, in training"]
    leaked = int((across.distance < ALIKE).sum())
    grade, reason = worst(
        [
            (
                Grade.CAUTION if doubled else Grade.PASS,
                f"{doubled} of {len(sets.train)} training tiles have a double",
            ),
            (
                Grade.FAIL if leaked > 0.05 * len(sets.held_out) else Grade.CAUTION if leaked else Grade.PASS,
                f"{leaked} of {len(sets.held_out)} held-out tiles are in training, too, so that nothing compared "
                "with them can be trusted",
            ),
        ],
        "no tile comes twice",
    )
    order = np.argsort(across.distance)[:4]
    return Part(
        "real images",
        grade,
        reason,
        {key.replace(" ", "_").replace(",", ""): count for key, count in counts.items()},
        [("tiles", "how many"), *((key, str(count)) for key, count in counts.items())],
        "Doubles are looked for over mirror images and shifts of two pixels. Below: held-out tiles, each beside the "
        "training tile that is nearest to it.",
        tuple((sets.held_out.planes[k], sets.train.planes[across.which[k]]) for k in order),
    )
