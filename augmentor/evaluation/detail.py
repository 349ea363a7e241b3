"""Whether samples are as sharp, and as grainy, as real images."""

from __future__ import annotations

import numpy as np

from augmentor.evaluation.part import Part, graded, worst
from augmentor.evaluation.sets import Sets
from augmentor.measures.spectrum import octaves
from augmentor.recipe import Evaluation


def detail(sets: Sets, limits: Evaluation) -> Part:
    """Power by fineness, in factors of two, beside that of real images among themselves."""
    ours = octaves(sets.made.planes, sets.held_out.planes)
    floor = octaves(sets.train.planes, sets.held_out.planes)
    far = np.maximum(np.abs(ours) - np.abs(floor), 0)
    channel, ring = np.unravel_index(int(far.argmax()), far.shape)
    most = float(far[channel, ring])
    less = "less" if ours[channel, ring] < 0 else "more"
    named = f" of {sets.channels[channel]}" if len(sets.channels) == len(ours) > 1 else ""
    fineness = ("coarse shapes", "middling detail", "fine detail", "the finest detail")[ring // 4]
    grade, reason = worst(
        [
            (
                graded(most, limits.spectrum),
                f"{fineness}{named} has {2.0**most:.1f} times {less} power than in real images",
            )
        ],
        "detail is as strong as in real images, at every fineness",
    )
    head = ("from coarse to fine", *(f"{k + 1} of 16" for k in range(0, 16, 3)))
    names = sets.channels if len(sets.channels) == len(ours) else tuple(map(str, range(len(ours))))
    table = [head]
    for name, made, real in zip(names, ours, floor, strict=True):
        table += [
            (f"{name}: samples", *(f"{value:+.2f}" for value in made[::3])),
            (f"{name}: real images", *(f"{value:+.2f}" for value in real[::3])),
        ]
    return Part(
        "detail",
        grade,
        reason,
        {"octaves": ours.round(4).tolist(), "octaves_floor": floor.round(4).tolist(), "most": most},
        table,
        "Mean power in rings of spatial frequency, in factors of two (+1 is twice) over that of held-out images; the "
        "same of training images, which is chance.",
    )
