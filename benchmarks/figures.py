"""Records of trials as figures: every trial is a dot, so that seeds that disagree are seen to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.tables import FIRST, SECOND, WHOLE, Record, grouped

OURS, RIVAL, FLOOR = "#b2182b", "#2166ac", "#777777"


def draw(records: Sequence[Record], folder: Path) -> list[Path]:
    """Draw what there are records for into ``folder``; returns the pictures' paths."""
    drawn = []
    for what, picture in (("compare", _compare), ("few", _few), ("ablate", _ablate)):
        found = [record for record in records if record["what"] == what]
        if found:
            figure = picture(found)
            drawn.append(folder / f"figure_{what}.png")
            figure.savefig(drawn[-1], dpi=110, bbox_inches="tight")
    return drawn


def _compare(records: Sequence[Record]) -> Figure:
    """A panel a data set and feature set, a row a model, a dot a seed; the dashed line is training images."""
    return _rows(records, "model", "t2t")


def _ablate(records: Sequence[Record]) -> Figure:
    """The same with a row a change; the red row is the whole network."""
    return _rows(records, "change", WHOLE)


def _rows(records: Sequence[Record], row: str, ours: str) -> Figure:
    every = grouped(records, lambda r: (r["data"], r["pixels"], r["minutes"]))
    # Where one stands alone, there is nothing to see.
    sets = {kind: trials for kind, trials in every.items() if len({trial[row] for trial in trials}) > 1} or every
    names = sorted({record[row] for record in records}, key=lambda name: (name != ours, name), reverse=True)
    figure = Figure(figsize=(4.2 * len(sets), 1.6 + 0.5 * len(names)), layout="constrained")
    panels = figure.subplots(2, len(sets), squeeze=False, sharey=True)
    for column, ((data, pixels, minutes), trials) in enumerate(sets.items()):
        for axes, features in zip(panels[:, column], (FIRST, SECOND), strict=True):
            for trial in trials:
                colour = OURS if trial[row] == ours else RIVAL
                axes.plot(trial[features]["frechet"], names.index(trial[row]), "o", color=colour, alpha=0.8)
            _dress(axes, trials[0][features]["frechet_floor"], f"Fréchet distance, {features}")
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(-0.6, len(names) - 0.4)
        panels[0, column].set_title(f"{data}, {pixels} px, {minutes:g} min")
    return figure


def _few(records: Sequence[Record]) -> Figure:
    """A panel a data set, a line a model from few images to many; the grey line is training images themselves."""
    sets = grouped(records, lambda r: (r["data"], r["pixels"], r["minutes"]))
    figure = Figure(figsize=(6 * len(sets), 3.4), layout="constrained")
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    for axes, ((data, pixels, minutes), trials) in zip(panels, sets.items(), strict=True):
        axes.set_prop_cycle(color=colormaps["Dark2"](range(8)))
        for model, line in grouped(trials, lambda r: r["model"]).items():
            points = sorted((t["trained_on"], t[FIRST]["frechet"], t[FIRST]["frechet_floor"]) for t in line)
            counts, distances, floors = zip(*points, strict=True)
            axes.plot(counts, distances, "o-", color=OURS if model == "t2t" else None, label=model)
            if model == "t2t":
                axes.plot(counts, floors, "--", color=FLOOR, label="training images")
        axes.set(title=f"{data}, {pixels} px, {minutes:g} min", xlabel="training images", ylabel="Fréchet distance")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _dress(axes: Axes, floor: float, label: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.axvline(floor, linestyle="--", color=FLOOR)
    axes.set_xlabel(label)
    axes.grid(axis="y", alpha=0.3)
