"""Records of trials as tables that people read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from scipy.stats import t as t_distribution

Record = dict[str, Any]
FIRST, SECOND = "random convolutions", "layout and spectrum"
COLUMNS: list[tuple[str, Callable[[Record], float]]] = [
    ("Fréchet", lambda r: r[FIRST]["frechet"]),
    ("KID", lambda r: r[FIRST]["kid"]),
    ("recall", lambda r: r[FIRST]["recall"]),
    ("coverage", lambda r: r[FIRST]["coverage"]),
    ("Fréchet, second set", lambda r: r[SECOND]["frechet"]),
    ("KID, second set", lambda r: r[SECOND]["kid"]),
    ("tiles shown", lambda r: r["tiles_shown"]),
    ("parameters", lambda r: r["parameters"]),
]
WHOLE = "full"
"""The name of the change that changes nothing."""

FLOORS = ("frechet_floor", "kid_floor", "recall_floor", "coverage_floor")


def write(records: Sequence[Record], path: Path) -> Path:
    """Write every table to ``path``."""
    text = ["# Measured: the T2T-GAN, its rivals and its parts", ""]
    text += [
        "Made by `python -m benchmarks.gan table` from gan.jsonl, where date, device and commit of each trial are.",
        "",
    ]
    for what, title, row in (
        ("compare", "At equal time", "model"),
        ("few", "From few images", "model"),
        ("ablate", "One part changed", "change"),
        ("stability", "Many seeds", "model"),
    ):
        text += _section([r for r in records if r["what"] == what], title, row)
    path.write_text("\n".join(text) + "\n")
    return path


def _section(records: Sequence[Record], title: str, row: str) -> list[str]:
    lines: list[str] = []
    kinds = grouped(records, lambda r: (r["data"], r["pixels"], r["minutes"], r.get("images")))
    for (data, pixels, minutes, images), group in kinds.items():
        few = f", {images} images" if images else ""
        lines += [f"## {title}: {data}, {pixels} px{few}, {minutes:g} minutes a trial", ""]
        first = group[0]
        lines += [
            f"Trained on {first['trained_on']}, judged by {first['held_out']} held-out images; the training images "
            f"themselves score {', '.join(f'{first[FIRST][f]:.3g}' for f in FLOORS)} and "
            f"{first[SECOND]['frechet_floor']:.3g}, {first[SECOND]['kid_floor']:.3g}.",
            "",
        ]
        names = [name for name, _ in COLUMNS]
        whole = {r["seed"]: r for r in group if r.get("change") == WHOLE}
        if whole:
            names += ["Fréchet less that of the whole", "the same, second set"]
        lines += [f"| {row} | seeds | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
        for name, trials in grouped(group, lambda r: r[row]).items():
            cells = [_cell([value(t) for t in trials]) for _, value in COLUMNS]
            if whole:
                cells += [_difference(trials, whole, features) for features in (FIRST, SECOND)]
            lines.append(f"| {name} | {len(trials)} | {' | '.join(cells)} |")
        lines.append("")
        if title == "Many seeds":
            lines += [_collapses(group), ""]
    return lines


def _difference(trials: Sequence[Record], whole: dict[int, Record], features: str) -> str:
    """Mean difference of the Fréchet distance over the seeds that both have, with its 95 % interval (Student's t)."""
    pairs = [(t[features]["frechet"], whole[t["seed"]][features]["frechet"]) for t in trials if t["seed"] in whole]
    differences = [changed - unchanged for changed, unchanged in pairs]
    if len(differences) < 2:
        return "".join(f"{difference:+.3g}" for difference in differences)
    reach = float(t_distribution.ppf(0.975, len(differences) - 1)) * stdev(differences) / len(differences) ** 0.5
    return f"{mean(differences):+.3g} ± {reach:.2g}"


def _collapses(group: Sequence[Record]) -> str:
    recalls = [r[FIRST]["recall"] for r in group]
    collapsed = sum(recall < median(recalls) / 2 for recall in recalls)
    broken = sum(not r["finite"] for r in group)
    return f"{len(group)} seeds: {collapsed} with a recall below half of the median, {broken} with values not finite."


def _cell(values: Sequence[float]) -> str:
    """The mean, and the range where there are several."""
    if len(values) == 1:
        return f"{values[0]:.3g}" if abs(values[0]) < 1000 else f"{values[0]:,.0f}"
    form = "{:.3g}" if abs(max(values, key=abs)) < 1000 else "{:,.0f}"
    return f"{form.format(mean(values))} ({form.format(min(values))} to {form.format(max(values))})"


def grouped(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return groups
