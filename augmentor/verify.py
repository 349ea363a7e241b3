"""Files to where they came from: whether we made them, by which run, and whether they were changed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from augmentor.progress import progress
from augmentor.runs import named_by
from data_adapters.errors import BrokenFile, NothingFound, UserError
from data_adapters.fixity import OURS, Stated, file_digest, pixel_digest, stated
from data_adapters.sidecars import SideCars

UNCHANGED = "unchanged"
PIXELS_UNCHANGED = "pixels unchanged"
"""Of a file that no sums name: of its header, nothing tells whether it was changed."""

PIXELS_CHANGED, HEADER_CHANGED, CHANGED = "pixels changed since", "header changed since", "changed since"
MISSING, UNREADABLE = "missing", "not to be read here"
UNTOLD, NOT_OURS = "without a digest to tell by", "not made by augmentor"


@dataclass(frozen=True)
class Verdict:
    """What is known of a file: a ``word`` for its state, what is said of its making, and the ``run`` that made it.

    ``run`` is the name of the one below ``runs`` whose checkpoint and recipe are those that are said, empty where there
    is none. ``again`` says how the file compares with what that run draws when it is asked again, and ``other`` whether
    it differs.
    """

    file: Path
    word: str
    made: Stated | None = None
    run: str = ""
    runs: Path = Path("runs")
    again: str = ""
    other: bool = False

    @property
    def fine(self) -> bool:
        """Whether it is ours, and as it was."""
        return self.word in (UNCHANGED, PIXELS_UNCHANGED) and not self.other

    def __str__(self) -> str:
        if self.made is None:
            return self.word
        return f"{', '.join(self._maker(self.made))}: {self.word}{f'; {self.again}' if self.again else ''}"

    def _maker(self, made: Stated) -> list[str]:
        said = [f"made by augmentor {made.version}"]
        if made.checkpoint:
            run = f"run {self.run}" if self.run else f"run not found under {self.runs}/"
            said.append(f"{run} (checkpoint {made.checkpoint[:8]}…, recipe {made.recipe[:8]}…)")
        if made.filled:
            return [*said, f"by {made.method}" + (f" from {made.source}" if made.source else "")]
        return [*said, f"seed {made.seed}", *([] if made.index is None else [f"sample {made.index}"])]

    def as_dict(self) -> dict[str, Any]:
        """The same for machines; digests in full."""
        record: dict[str, Any] = {"file": str(self.file), "verdict": self.word, "fine": self.fine}
        if self.made is not None:
            record |= {"run": self.run or None, "made": self.made.as_dict()}
        return record | ({"again": self.again} if self.again else {})


def verify(*paths: str | Path, runs: str | Path = "runs", remake: bool = False) -> list[Verdict]:
    """A verdict on each file at ``paths``, and below those that are folders, in a stable order.

    Pixels are held against the digest that was written with them, and whole files against the sums beside them
    (``SHA256SUMS``, ``*.sha256``), where these lie there. With ``remake``, the run that made a sample draws it again,
    which is a proof that needs no digest.

    Raises:
        UserError: if nothing lies at a path.
    """
    runs, beside = Path(runs), SideCars()
    # Of many files of one run, that is looked up once.
    run_of = cache(partial(named_by, runs))
    files = [file for path in paths for file in _files(Path(path), beside)]
    verdicts = []
    with progress("verify", len(files)) as advance:
        for done, file in enumerate(files, 1):
            verdict = replace(_judged(file, beside), runs=runs)
            if verdict.made is not None:
                verdict = replace(verdict, run=run_of(verdict.made.checkpoint, verdict.made.recipe))
            verdicts.append(_drawn_again(verdict, beside) if remake else verdict)
            advance(done)
    return verdicts


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many files there are in each state, the most frequent first."""
    counts = Counter(verdict.word + (", drawn again otherwise" if verdict.other else "") for verdict in verdicts)
    return f"{len(verdicts)} files: " + "; ".join(f"{count} {word}" for word, count in counts.most_common())


def _files(path: Path, beside: SideCars) -> list[Path]:
    """The files at a path, but for sums themselves, and those that sums name there and that are gone."""
    named = beside.named_below(path)
    if not path.exists() and not named:
        raise NothingFound("no such file or folder", where=path, do="check the path")
    found = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    visible = [p for p in found if p == path or not any(part.startswith(".") for part in p.relative_to(path).parts)]
    return sorted({p for p in visible if p == path or not beside.is_sums(p)} | set(named))


def _judged(file: Path, beside: SideCars) -> Verdict:
    """What the file and what lies beside it say."""
    named = beside.of(file)
    if not file.is_file():
        return Verdict(file, MISSING, named.made if named else None)
    own = _own(file)
    made = own or (named.made if named else None)
    if made is None:
        return Verdict(file, NOT_OURS)
    try:
        word = _compared(file, own.pixels if own else "", named.digest if named else "")
    except UserError:
        word = UNREADABLE
    return Verdict(file, word, made)


def _compared(file: Path, pixels: str, whole: str) -> str:
    """The word for a file whose digests were ``pixels`` and ``whole``, either empty where it is not known.

    Raises:
        UserError: if the file cannot be looked at, though it may be in order.
    """
    same_pixels = _pixels(file) == pixels if pixels else None
    if same_pixels is False:
        return PIXELS_CHANGED
    if whole and file_digest(file) != whole:
        return HEADER_CHANGED if same_pixels else CHANGED
    if whole:
        return UNCHANGED
    return PIXELS_UNCHANGED if same_pixels else UNTOLD


def _own(file: Path) -> Stated | None:
    """What the file itself says of its making, if it was ours."""
    try:
        said = stated(file)
    except UserError:
        return None
    return said if said is not None and said.tool == OURS else None


def _pixels(file: Path) -> str:
    """The digest of a file's pixels as they are now; empty where they are broken.

    Raises:
        UserError: if they cannot be looked at.
    """
    try:
        return pixel_digest(file)
    except BrokenFile:
        return ""


def _drawn_again(verdict: Verdict, beside: SideCars) -> Verdict:
    """The verdict with what the run says that made the file."""
    made = verdict.made
    if made is None or made.filled or made.index is None or verdict.word in (MISSING, UNREADABLE):
        return verdict
    if not verdict.run:
        return replace(verdict, again="not drawn again, for want of its run")
    # torch is waited for where it is needed alone.
    from augmentor.verifying.remake import pixels_again

    pixels, why = pixels_again(verdict.runs / verdict.run, verdict.file, made, beside.asked(verdict.file, made))
    if why:
        return replace(verdict, again=f"not drawn again: {why}")
    same = _pixels(verdict.file) in pixels
    return replace(verdict, again="drawn again, equal" if same else "drawn again, other pixels", other=not same)
