"""Every command that README.md and docs/*.md show is taken by the command line as it stands, and works."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
import sys
import timeit
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
from click.testing import CliRunner
from docs_place import PRODUCT, Listening, lay, listening

from augmentor.cli import main
from augmentor.evaluation import classifier, sieve
from augmentor.filling import rehearsal
from augmentor.fitting import pace
from augmentor.viewing.serve import Server

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
INLINE = re.compile(r"`(augmentor [^`]+)`")
PROGRAMS = {"augmentor", "make", "python", "sha256sum"}

ELSEWHERE = {
    # They install anew, with a network.
    "make demo": "tests/hostile/test_no_network.py::test_the_demo_asks_nothing_of_the_network",
    "make test": "tests/test_docs_commands.py::test_a_line_is_one_that_the_command_line_takes",
}
"""What cannot be run here, and a test that does the same."""

INSTEAD = {
    r"S2A_\w*….SAFE": PRODUCT,
    r"FILE_OR_FOLDER\.\.\.": "samples/sample_000017.dcm samples",
    r"\bRUN\b": "rome",
    r"--synthetic DIR": "--synthetic samples",
    r"--n \d{3,}": "--n 24",
    r"-n 1 -r 3": "-n 1 -r 1",
    r"\b(2048|1024|512)\b": "24",
    r"'clear'": "'no_finding'",
    r"40, 0, 192": "40, 0, 64",
}
"""What pages say for short, or what takes long, and what is written in its place."""

LENIENT = {
    "frechet": "[1e9,1e9]", "cover": "[0,0]", "spectrum": "[1e9,1e9]", "told_apart": "1", "values": "[1e9,1e9]",
    "obedience": "[0,0]", "copy_at": "1e-9", "unlike": "0", "chance": "1e-9",
}  # fmt: skip
"""Of a run that hardly trained, for verbs that go on only where samples came through."""

ADDED = {
    "train": ["--set", "game.images=96", *(f"--set=evaluation.{key}={limit}" for key, limit in LENIENT.items())],
    "fill": ["--adapt-tiles", "64"],
    "interpolate": ["--adapt-tiles", "64"],
    "evaluate": ["--n", "24"],
}
"""Words for each verb that save time; of an option that is said twice, the last one counts."""


class Line(NamedTuple):
    """A command as a page shows it, below a heading."""

    page: str
    heading: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}: {self.text}"


def shown(page: str) -> list[Line]:
    """The commands in a page's blocks; what goes on after a backslash is of the line before."""
    text = (ROOT / page).read_text()
    found = []
    for block in BLOCK.finditer(text):
        heading = HEADING.findall(BLOCK.sub("", text[: block.start()]))[-1]
        number = text.count("\n", 0, block.start(1)) + 1
        for line in re.findall(r"(?:.*\\\n)*.*\n", block[1]):
            if PROGRAMS & {*line.split(maxsplit=1)[:1]}:
                found.append(Line(page, heading, number, line.strip()))
            number += line.count("\n")
    return found


LINES = [line for page in PAGES for line in shown(page)]
SECTIONS: dict[str, list[Line]] = {}
for _line in LINES:
    SECTIONS.setdefault(f"{_line.page}: {_line.heading}", []).append(_line)


class Words(NamedTuple):
    """A command line taken apart: its words, and where its output goes."""

    words: list[str]
    out: str = ""
    err: str = ""

    @classmethod
    def of(cls, text: str) -> Words:
        words = shlex.split(text.replace("\\\n", ""), comments=True)
        sent = {sign: words[words.index(sign) + 1] for sign in (">", "2>") if sign in words}
        end = min([words.index(sign) for sign in sent], default=len(words))
        return cls(words[:end], sent.get(">", ""), sent.get("2>", ""))


@pytest.mark.parametrize("line", [line for line in LINES if line.text.startswith("augmentor ")], ids=str)
def test_a_line_is_one_that_the_command_line_takes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its verb, its options, and the number and types of their values; nothing is done."""
    monkeypatch.setattr(click.Command, "invoke", lambda verb, context: None)
    done = CliRunner().invoke(main, Words.of(line.text).words[1:])
    assert done.exit_code == 0, done.output


def spoken(page: str) -> list[str]:
    """What the running text of a page writes as commands; they may be less than whole ones."""
    text = BLOCK.sub("", (ROOT / page).read_text())
    return [" ".join(found.split()) for found in INLINE.findall(text)]


@pytest.mark.parametrize("page", PAGES)
def test_what_the_text_speaks_of_are_verbs_and_their_options(page: str) -> None:
    for text in spoken(page):
        _, *words = shlex.split(text)
        verb: click.Command = main
        while isinstance(verb, click.Group) and words and not words[0].startswith("-"):
            name = words.pop(0)
            # `recipes` takes names of recipes for verbs.
            assert name in verb.commands or verb.name == "recipes", text
            verb = verb.commands.get(name, verb)
        known = {name for option in verb.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
        assert {word for word in words if word.startswith("-")} <= known, text


@pytest.fixture(scope="module")
def ours() -> Iterator[Listening]:
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every page takes for granted: the user's files, three runs, and what the last one made."""
    place = tmp_path_factory.mktemp("laid") / "place"
    lay(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for text in BEFORE:
            carry_out(text)
    return place


BEFORE = [
    "augmentor train satellite_tiles --data STACK_DIR --set name=rome --set data.masks=null --set tiles.size=[16,16] "
    "--set 'conditions={month: {kind: cycle, origin: month}}'",
    "augmentor train my.yaml --set name=rome --set conditions={} --set segmentation.path=MAPS "
    "--set segmentation.use=condition",
    "augmentor train chest_xray --data DIR",
    "augmentor synthesize --n 24 -o samples",
    "augmentor score PATH",
    "augmentor fill volume.nii.gz -o out.nii.gz --prior-only",
]
"""How runs and their works come about."""


@pytest.fixture
def place(laid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a section's own."""
    shutil.copytree(laid, tmp_path / "place", symlinks=True)
    monkeypatch.chdir(tmp_path / "place")
    # Verdicts, timing and figures of error are tested elsewhere; here they need not be good.
    monkeypatch.setattr(classifier, "STEPS", 3)
    monkeypatch.setattr(rehearsal, "JUDGED_ON", 24)
    monkeypatch.setattr(rehearsal, "COMPARED_ON", 12)
    monkeypatch.setattr(pace, "SECONDS", 0.0)
    monkeypatch.setattr(sieve, "realism", lambda seen, real: np.ones(len(seen)))
    # What serves until Ctrl-C ends at once.
    monkeypatch.setattr(Server, "until_interrupted", lambda server: None)
    return tmp_path / "place"


def carry_out(text: str) -> None:
    """Do in the present folder, quickly, what a line says.

    Raises:
        AssertionError: if it fails, or leaves nothing where it was to.
    """
    for said, instead in INSTEAD.items():
        text = re.sub(said, instead, text)
    (program, *words), out, err = Words.of(text)
    named = [Path(words[at + 1]) for at, word in enumerate(words) if word == "-o"]
    for path in named:
        clear(path)
    code, stdout, stderr = RUN[program](words)
    # A verdict is an answer, whichever it is.
    assert code == 0 or (words[0] == "evaluate" and code == 1), f"{text}\n{stdout}{stderr}"
    for name, stream in ((out, stdout), (err, stderr)):
        if name:
            Path(name).write_text(stream)
            named.append(Path(name))
    assert all(path.exists() for path in named), named


def clear(out: Path) -> None:
    """Remove what an earlier line left at an output, and beside it."""
    stem, dot, _ = out.name.partition(".")
    for path in Path().iterdir():
        if re.fullmatch(rf"{re.escape(stem)}(_low|_high|_made)?(\..+){'' if dot else '?'}", path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def verb(words: list[str]) -> tuple[int, str, str]:
    at = next((at for at, word in enumerate(words) if word in ADDED), None)
    if at is not None and "--resume" not in words:
        words = [*words, *ADDED[words[at]]]
    with pytest.MonkeyPatch.context() as patch:
        # Which processes of one team are started from.
        patch.setattr(sys, "argv", ["augmentor", *words])
        done = CliRunner().invoke(main, words)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def python(words: list[str]) -> tuple[int, str, str]:
    """In this process, where libraries are loaded already."""
    said = io.StringIO()
    with redirect_stdout(said):
        if words[:2] == ["-m", "timeit"]:
            return timeit.main(words[2:]) or 0, said.getvalue(), ""
        assert words[0] == "-c"
        exec(words[1], {})
    return 0, said.getvalue(), ""


def sums(words: list[str]) -> tuple[int, str, str]:
    """In the folder of samples, where they lie."""
    done = subprocess.run(["sha256sum", *words], cwd="samples", capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


RUN = {"augmentor": verb, "python": python, "sha256sum": sums}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_lines_of_a_section_work_one_after_the_other(section: str, place: Path, ours: Listening) -> None:
    for line in SECTIONS[section]:
        text, arrived = line.text, len(ours.arrived)
        for theirs, here in ours.addresses.items():
            text = text.replace(theirs, here)
        if line.text not in ELSEWHERE:
            carry_out(text)
        assert len(ours.arrived) > arrived or "--to-" not in text, line


@pytest.mark.parametrize("said", INSTEAD)
def test_what_is_written_otherwise_is_still_said(said: str) -> None:
    assert any(re.search(said, line.text) for line in LINES)


@pytest.mark.parametrize("said", ELSEWHERE)
def test_what_is_run_elsewhere_is_still_said_and_run_there(said: str) -> None:
    assert said in [line.text for line in LINES]
    file, _, name = ELSEWHERE[said].rpartition("::")
    assert f"\ndef {name}(" in (ROOT / file).read_text()
