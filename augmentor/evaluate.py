"""Whether samples may be used: how like real ones they are, whose copies, and what of that is to be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augmentor import recipe as recipes
from augmentor.errors import RecipeError
from augmentor.evaluation.card import write_card
from augmentor.evaluation.confounding import confounding
from augmentor.evaluation.detail import detail
from augmentor.evaluation.encoder import Extract, of_file
from augmentor.evaluation.following import following
from augmentor.evaluation.judged import Judged
from augmentor.evaluation.likeness import likeness
from augmentor.evaluation.memory import memory
from augmentor.evaluation.obedience import obedience
from augmentor.evaluation.originals import originals
from augmentor.evaluation.part import Grade, Part
from augmentor.evaluation.passed import REPORT, REPORTS
from augmentor.evaluation.segmenting import segmenting
from augmentor.evaluation.sets import Sets, of_folders, of_run
from augmentor.evaluation.telling import telling
from augmentor.evaluation.use import use
from augmentor.evaluation.values import values
from augmentor.progress import progress
from augmentor.recipe import Data, Recipe, Tiles
from augmentor.report.page import Picture, Section, write_page
from augmentor.report.pictures import sheet, visible
from augmentor.run import TOOL, Run, tool_version
from augmentor.together.lock import alone_in, replaceable
from augmentor.together.workers import HERE, Workers
from data_adapters.atomic import write_json
from data_adapters.fixity import file_digest

CARD = "CARD.md"
SHOWN = 32
"""Images of each kind on the contact sheets."""


@dataclass(frozen=True)
class Verdict:
    """What was found, and the page that tells it."""

    parts: Sequence[Part]
    page: Path

    @property
    def grade(self) -> Grade:
        """That of the worst part."""
        return max(part.grade for part in self.parts)


def evaluate(
    run: str | Path | None = None,
    *,
    real: str | Path | None = None,
    synthetic: str | Path | None = None,
    recipe: str | Path | None = None,
    changes: tuple[str, ...] = (),
    out: str | Path | None = None,
    features: str | Path | None = None,
    n: int = 512,
    seed: int = 0,
    runs: str | Path = "runs",
    hands: Workers = HERE,
) -> Verdict:
    """Judge ``n`` samples of a run (the latest when none is named), or the images at ``synthetic``, beside real ones.

    Those are the run's own, or the images at ``real``. Without a run, both folders are cut as ``recipe``, with
    ``changes``, says; by default whole, at 64 pixels a side, three in ten of the real ones held out. ``features`` is a
    network of the user's own, which likeness is measured by, too (``evaluation.encoder.of_file``). Images are read and
    cut by ``hands``.

    ``index.html`` and ``report.json`` are written to ``out``, by default ``report`` in the run's folder, and of a run a
    model card; an earlier report there is replaced. After a stop, the parts that were judged are not judged again.

    Raises:
        UserError: if there is no run, nothing to compare, or ``out`` holds anything else.
    """
    runs = Path(runs)
    own = {Path(features).name: of_file(Path(features))} if features else {}
    if recipe is None and changes:
        raise RecipeError("there is no recipe to change", do="name one with --recipe, or leave --set out")
    if recipe is not None and run is not None:
        raise RecipeError("a run has a recipe of its own", where=run, do="leave --recipe out, or the run")
    found: Run | None = None
    if run is None and (real is not None or recipe is not None):
        if synthetic is None:
            raise RecipeError("no samples were named", where=real or recipe, do="give --synthetic, or a run")
        out = replaceable(Path(out or REPORTS), REPORT)
        if recipe is None:
            known = Recipe(name="folders", data=Data(path=Path(real or "")), tiles=Tiles(held_out=0.3))
        else:
            known = recipes.load(recipe, changes, path=real)
        sets = of_folders(known, Path(synthetic), runs / "tiles", hands)
        who, origin = f"{synthetic}, beside {known.data.path}", {"recipe": known.digest(), "synthetic": str(synthetic)}
    else:
        found = Run.find(run, runs)
        out = replaceable(Path(out) if out else found.folder / REPORTS, REPORT)
        beside, given = (Path(folder) if folder else None for folder in (real, synthetic))
        sets = of_run(found, beside, given, n, seed, runs / "tiles", hands)
        who = f"{synthetic or f'{n} samples'}, beside the real images of {found.name}"
        origin = {"recipe": found.recipe.digest(), "checkpoint": found.checkpoint_digest(), "seed": str(seed)}
        origin |= {name: str(path) for name, path in (("real", real), ("synthetic", synthetic)) if path is not None}
    with alone_in(out):
        # Marks the folder as a report's, whatever happens next; an earlier verdict stands until there is another.
        if not (out / REPORT).is_file():
            write_json(out / REPORT, {"tool": TOOL, "verdict": "unfinished"})
        judged = Judged(out, sets, origin | ({"features": file_digest(Path(features))} if features else {}))
        verdict = Verdict(_parts(sets, own, judged), out / "index.html")
        if found is not None:
            write_card(found, sets, verdict.parts, out / CARD)
        write_page("Evaluation", _lead(who, verdict), _sections(sets, verdict.parts, out), verdict.page)
        write_json(
            out / REPORT,
            {
                "tool": TOOL,
                "version": tool_version(),
                **origin,
                "samples": len(sets.made),
                "verdict": verdict.grade.word,
                "parts": {
                    part.name: {"grade": part.grade.word, "reason": part.reason, "figures": part.figures}
                    for part in verdict.parts
                },
            },
        )
        judged.forget()
    return verdict


def _parts(sets: Sets, own: Mapping[str, Extract], judged: Judged) -> list[Part]:
    """Every part, the real images first: what they are worth decides what the others are."""
    limits = sets.recipe.evaluation
    judges: dict[str, Callable[[], Part | None]] = {
        "real images": lambda: originals(sets),
        "confounding": lambda: confounding(sets),
        "likeness": lambda: likeness(sets, limits, own),
        "telling apart": lambda: telling(sets, limits),
        "values": lambda: values(sets, limits),
        "detail": lambda: detail(sets, limits),
        "memory": lambda: memory(sets, limits),
        "obedience": lambda: obedience(sets, limits),
        "following": lambda: following(sets, limits),
        "use": lambda: use(sets),
        "segmenting": lambda: segmenting(sets),
    }
    parts = []
    with progress("evaluate", len(judges)) as advance:
        for number, (name, judge) in enumerate(judges.items()):
            advance(number, name)
            if (part := judged.part(name, judge)) is not None:
                parts.append(part)
        advance(len(judges))
    return parts


def _lead(who: str, verdict: Verdict) -> str:
    words = {
        Grade.PASS: "Nothing here speaks against using these samples.",
        Grade.CAUTION: "Use these samples with the doubts below in mind.",
        Grade.FAIL: "Do not use these samples as they are.",
    }
    return f"{who}. {words[verdict.grade]}"


def _sections(sets: Sets, parts: Sequence[Part], out: Path) -> list[Section]:
    """The verdict first, then what the samples look like, then every part."""
    verdicts = [(part.name, part.grade.word, part.reason) for part in parts]
    sheets = [
        _sheet(sets, sets.held_out.some(SHOWN).planes, out / "real.png", "real images that were held out"),
        _sheet(sets, sets.made.some(SHOWN).planes, out / "samples.png", "samples"),
    ]
    worst = max(part.grade for part in parts)
    sections = [
        Section("Verdict", "Each part has its own section below.", verdicts=verdicts, grade=worst.word),
        Section(
            "To look at",
            "Drawn at random, none chosen. Half of these, and of the pairs below, are real: show this page to nobody "
            "who may not see them.",
            sheets,
        ),
    ]
    for part in parts:
        pictures = []
        if part.pairs:
            planes = np.stack([plane for pair in part.pairs for plane in pair])
            path = out / f"{part.name.replace(' ', '_')}.png"
            pictures = [_sheet(sets, planes, path, f"{part.name}: pairs, left and right", columns=4)]
        title = f"{part.name[0].upper()}{part.name[1:]}"
        reason = f"{part.reason[0].upper()}{part.reason[1:]}. {part.about}"
        sections.append(Section(title, reason, pictures, part.table, grade=part.grade.word, charts=part.charts))
    return sections


def _sheet(sets: Sets, planes: NDArray[np.float32], path: Path, shows: str, columns: int = 8) -> Picture:
    ends = [1.0] * planes.shape[1]
    shown = [visible(plane, sets.channels, [-end for end in ends], ends) for plane in planes]
    return Picture(
        sheet(shown, min(columns, len(shown)), path), f"Contact sheet: {shows}", f"{shows[0].upper()}{shows[1:]}."
    )
