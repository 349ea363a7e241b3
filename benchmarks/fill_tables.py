"""Records of filling as tables that people read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

Record = dict[str, Any]

ROUNDING = 0.05
"""dB that the rounding to a file's own type may cost; classical answers are not rounded."""


OURS = (("harmonic",), ("kriging", "along the optical flow"))
"""Classical answers that this project gives by itself, too."""


def best(record: Record, but: Sequence[str] = ()) -> str:
    """The classical answer with the highest PSNR, leaving out some."""
    return max(record["classical"].keys() - {*but}, key=lambda name: record["classical"][name]["psnr"])


def gain(record: Record, but: Sequence[str] = ()) -> float:
    """PSNR over the best classical answer, in dB, leaving out some."""
    return round(record["t2t_gan"]["psnr"] - record["classical"][best(record, but)]["psnr"], 2) + 0.0


def line(record: Record) -> str:
    """One case as a row of the table."""
    name = best(record)
    rival, own = record["classical"][name], record["t2t_gan"]
    # A slice, date or hole is set against the best classical answer for that very one.
    each = [max(values) for values in zip(*(r["each"] for r in record["classical"].values()), strict=True)]
    worse = sum(a < b - ROUNDING for a, b in zip(own["each"], each, strict=True))
    angle = (
        f" · {rival['sam']:.2f}° | {own['psnr']:.2f} · {own['ssim']:.4f} · {own['sam']:.2f}°"
        if "sam" in own
        else (f" | {own['psnr']:.2f} · {own['ssim']:.4f}")
    )
    return (
        f"| {record['case']} | {name} {rival['psnr']:.2f} · {rival['ssim']:.4f}{angle} | {gain(record):+.2f} | "
        f"{worse} of {len(each)} | {record['covered']:.1%} | {record['cpu_seconds']:.0f} |"
    )


HEAD = (
    "| case | best classical: PSNR · SSIM (· angle) | T2T-GAN | gain, dB | slices, dates or holes more than "
    f"{ROUNDING} dB below the best classical answer for that one | 90 % interval holds | CPU s |",
    "|---|---|---|---|---|---|---|",
)

GROUPS = {
    "Slices: every 4th missing": lambda name: name.count(",") == 1 and name.endswith("every 4th slice"),
    "Slices: every 4th missing, other contrasts of the same head beside it": lambda name: "beside" in name,
    "Slices: every 4th missing, by a run that was trained on other patients": lambda name: "run of others" in name,
    "Slices: 3 in a row missing": lambda name: name.endswith("3 slices in a row"),
    "Slices: every 2nd missing": lambda name: name.endswith("every 2nd slice"),
    "Slices at the end of a volume": lambda name: "the last" in name,
    "Damage in a part of slices": lambda name: name.endswith("deep"),
    "Clouds over dated stacks": lambda name: "dates" in name,
    "Clouds over pairs of dates, by a run that was trained on another place": lambda name: "run of Rome" in name,
    "Clouds over one date alone": lambda name: name.endswith("one date"),
    "Stripes over one date alone": lambda name: name.endswith("stripes"),
}


def write(records: Sequence[Record], path: Path) -> Path:
    """Write every table to ``path``."""
    text = ["# Measured: filling", "", "Made by `python -m benchmarks.fill table` from fill.jsonl.", ""]
    for title, belongs in GROUPS.items():
        group = [record for record in records if belongs(record["case"])]
        if not group:
            continue
        gains = [gain(record) for record in group]
        text += [f"## {title}", "", *HEAD, *(line(record) for record in group), ""]
        text += [f"Mean gain {mean(gains):+.2f} dB, least {min(gains):+.2f} dB.", ""]
        for ours in OURS:
            if all(record["classical"].keys() > {*ours} for record in group):
                over = [gain(record, but=ours) for record in group]
                text += [
                    f"Over all but {' and '.join(ours)}: mean {mean(over):+.2f} dB, least {min(over):+.2f} dB.",
                    "",
                ]
    path.write_text("\n".join(text))
    return path
