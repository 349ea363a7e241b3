"""How like real images samples are, and how much of what is real they show, beside real images' own figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from augmentor.evaluation.part import Part, graded, worst
from augmentor.evaluation.sets import Sets, Side
from augmentor.measures.features import VERSION, Features, layout_and_spectrum, random_convolutional
from augmentor.measures.fidelity import Cover, cover, frechet, kernel, principal
from augmentor.measures.interval import interval
from augmentor.recipe import Evaluation

FEATURES = {"random convolutions": random_convolutional, "layout and spectrum": layout_and_spectrum}

MOST = 512
"""Tiles and samples that are compared, at most."""


def likeness(sets: Sets, limits: Evaluation) -> Part:
    """Fréchet and kernel distances, precision, recall, density and coverage, on two unlike sets of features."""
    # Distances depend on how many are compared, so that samples and training tiles are as many.
    count = min(len(sets.train), len(sets.made), MOST)
    made, train, held_out = sets.made.some(count), sets.train.some(count), sets.held_out.some(MOST)
    found: dict[str, dict[str, Any]] = {}
    grades = []
    table = [("", "samples", "95 % interval", "real images")]
    lacking = (1 - limits.cover[0], 1 - limits.cover[1])
    for name, features in FEATURES.items():
        own = _figures(*(_features(features, side) for side in (made, train, held_out)))
        found[name] = own
        times, sure = (own["frechet"][end] / max(own["frechet_floor"], 1e-9) for end in ("value", "low"))
        said = f"their Fréchet distance by {name} is {times:.1f} times that of real images"
        grades.append((graded(times, limits.frechet, sure), said))
        for part in ("precision", "recall"):
            least = max(own[f"{part}_floor"], 1e-9)
            said = f"{part} by {name} is {own[part]:.2f}, of real images {least:.2f}"
            grades.append((graded(1 - own[part] / least, lacking), said))
        table += _rows(name, own)
    grade, reason = worst(grades, "samples are as like real images as those are like each other, and as diverse")
    return Part(
        "likeness",
        grade,
        reason,
        {"features_version": VERSION, "compared": count, **found},
        table,
        f"{count} samples against {len(held_out)} images that were held out, beside as many training images against "
        "the same. Distances on these features compare with each other, never with published ones. Recall is what a "
        "set without variety lacks; precision is what one of poor images lacks.",
    )


def _features(features: Callable[[torch.Tensor], Features], side: Side) -> Features:
    return features(torch.from_numpy(side.planes))


def _figures(made: Features, train: Features, held_out: Features) -> dict[str, Any]:
    """What samples and, as the floor, training images have by one set of features."""
    axes = max(2, min(len(made), len(held_out)) // 5)
    reduce = principal(train, axes)
    found: dict[str, Any] = {}
    for figure, ours, floor, theirs in (
        ("frechet", reduce(made), reduce(train), reduce(held_out)),
        ("kid", made, train, held_out),
    ):
        measure = {"frechet": frechet, "kid": kernel}[figure]
        value, low, high = interval(measure, (ours, theirs))
        found[figure] = {"value": value, "low": low, "high": high}
        found[f"{figure}_floor"] = measure(floor, theirs)
    for end, side in (("", made), ("_floor", train)):
        found |= {f"{part}{end}": value for part, value in cover(side, held_out)._asdict().items()}
    return found


def _rows(name: str, own: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Lines of the table."""
    rows = []
    for figure, called in (("frechet", "Fréchet distance"), ("kid", "kernel distance (KID)")):
        value, low, high = (own[figure][k] for k in ("value", "low", "high"))
        rows.append((f"{called}, {name}", f"{value:.3g}", f"{low:.3g} to {high:.3g}", f"{own[f'{figure}_floor']:.3g}"))
    rows += [(f"{part}, {name}", f"{own[part]:.2f}", "", f"{own[f'{part}_floor']:.2f}") for part in Cover._fields]
    return rows
