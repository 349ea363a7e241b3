"""The verb: any two folders, or a run, to a page and a verdict."""

import json
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from augmentor.cli import main
from augmentor.errors import RunError
from augmentor.evaluate import evaluate
from augmentor.evaluation import classifier
from augmentor.evaluation.part import Grade, Part
from augmentor.evaluation.sets import Sets
from augmentor.report.chart import Chart, Line
from augmentor.synthesize import synthesize
from augmentor.train import train
from data_adapters import phantoms

# The package holds the verb under the name of its module.
verb = import_module("augmentor.evaluate")

SMALL = ("tiles.size=[32,32]", "tiles.held_out=0.4", "game.images=64", "data.group=patient",
         "conditions.finding.column=finding", "data.licence=CC-BY-4.0")  # fmt: skip


@pytest.fixture(scope="module")
def chests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests")
    phantoms.chest_set(folder / "real", 80, 3, 48)
    phantoms.chest_set(folder / "others", 40, 4, 48)
    return folder


def _judge_otherwise(report: Path, word: str) -> None:
    report.write_text(json.dumps({**json.loads(report.read_text()), "verdict": word}))


def test_any_two_folders_are_compared(chests: Path, tmp_path: Path) -> None:
    verdict = evaluate(real=chests / "real", synthetic=chests / "others", out=tmp_path / "out", runs=tmp_path / "runs")
    assert [part.name for part in verdict.parts] == [
        "real images",
        "likeness",
        "telling apart",
        "values",
        "detail",
        "memory",
    ]
    assert verdict.grade < Grade.FAIL
    said = json.loads((tmp_path / "out/report.json").read_text())
    assert said["verdict"] == verdict.grade.word
    assert {name: part["grade"] for name, part in said["parts"].items()} == {
        part.name: part.grade.word for part in verdict.parts
    }
    page = verdict.page.read_text()
    assert all(part.reason[1:] in page for part in verdict.parts)
    # Nothing is fetched when the page is opened.
    assert "http" not in page


def test_copies_end_with_an_exit_code(chests: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--real", chests / "real", "--synthetic", chests / "real"]
    words += ["-o", tmp_path / "out", "--runs", tmp_path / "runs"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 1, result.output
    assert "fail    memory" in result.output


def test_a_run_is_judged_by_its_own_tiles_and_again(
    chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "STEPS", 3)
    runs = tmp_path / "runs"
    run = train("chest_xray", data=chests / "real", changes=SMALL, runs=runs)
    with pytest.raises(RunError, match="not been evaluated"):
        synthesize(2, runs=runs, only_if_passed=True)
    first = evaluate(n=24, runs=runs)
    assert first.page == run.folder / "report/index.html"
    assert first.grade is Grade.FAIL
    card = (run.folder / "report/CARD.md").read_text()
    assert all(f"| {part.name} | {part.grade.word} | {part.reason} |" in card for part in first.parts)
    assert "CC-BY-4.0" in card and "clear, opacity" in card
    # Nobody's folders are told.
    assert str(chests) not in card and str(tmp_path) not in card
    with pytest.raises(RunError, match="likeness"):
        synthesize(2, runs=runs, only_if_passed=True)
    _judge_otherwise(run.folder / "report/report.json", "caution")
    assert synthesize(2, runs=runs, only_if_passed=True).is_dir()
    # The folder that synthesis makes is one of samples, its contact sheet is none.
    made = synthesize(16, runs=runs, out=tmp_path / "made", format="png")
    judged = evaluate(run.name, synthetic=made, out=tmp_path / "of_made", runs=runs)
    assert {part.name: part for part in judged.parts}["likeness"].figures["compared"] == 16
    # What other images say of it counts for nothing.
    evaluate(run.name, real=chests / "others", n=24, runs=runs)
    _judge_otherwise(run.folder / "report/report.json", "pass")
    with pytest.raises(RunError, match="not been evaluated"):
        synthesize(2, runs=runs, only_if_passed=True)
    again = evaluate(run.name, n=24, runs=runs)
    assert [part.figures for part in again.parts] == [part.figures for part in first.parts]
    beside = evaluate(run.name, synthetic=chests / "others", out=tmp_path / "beside", runs=runs)
    assert {part.name: part for part in beside.parts}["likeness"].figures["compared"] == 40
    assert [part.name for part in first.parts] == [
        "real images", "confounding", "likeness", "telling apart", "values", "detail", "memory", "obedience", "use",
    ]  # fmt: skip


JUDGES = ("originals", "likeness", "telling", "values", "detail", "memory")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Judges that find something at once, of every kind that a part can hold; how often each was asked."""
    calls: Counter[str] = Counter()

    def judge(name: str, sets: Sets) -> Part:
        calls[name] += 1
        figures = {"of": {"mean": float(sets.made.planes.mean()), "none": float("nan")}, "count": len(sets.made)}
        chart = Chart("a", "b", "c", (1.0, 2.0), {"one": 1.0}, [Line("d", (0.1, float("nan")), (0.0, 0.1), (0.2, 0.3))])
        pairs = [(sets.train.planes[0], sets.made.planes[0])]
        return Part(name, Grade.CAUTION, "doubted", figures, [("", "a"), ("b", "1")], "So.", pairs, [chart])

    for name in JUDGES:
        monkeypatch.setattr(verb, name, lambda sets, *told, name=name: judge(name, sets))
    return calls


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_was_judged_before_a_stop_is_not_judged_again(
    chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: Counter[str]
) -> None:
    def compare(out: str) -> None:
        evaluate(real=chests / "real", synthetic=chests / "others", out=tmp_path / out, runs=tmp_path / "runs")

    compare("whole")
    quick.clear()
    for name in JUDGES:
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(verb, name, interrupted)
            compare("torn")
    compare("torn")
    assert content(tmp_path / "torn") == content(tmp_path / "whole")
    assert quick == dict.fromkeys(JUDGES, 1)


def test_what_was_judged_of_other_images_counts_for_nothing(
    chests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: Counter[str]
) -> None:
    where = {"out": tmp_path / "out", "runs": tmp_path / "runs"}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(verb, "memory", interrupted)
        evaluate(real=chests / "real", synthetic=chests / "real", **where)
    evaluate(real=chests / "real", synthetic=chests / "others", **where)
    assert quick["likeness"] == 2
    assert not (tmp_path / "out/judged").exists()


def interrupted(*told: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--real", "REAL"], "--synthetic"),
        (["--real", "REAL", "--synthetic", "FEW"], "12"),
        (["--real", "REAL", "--synthetic", "REAL", "-o", "REAL"], "-o"),
        (["gone"], "no such run"),
        (["gone", "--recipe", "chest_xray"], "of its own"),
        (["--real", "REAL", "--synthetic", "REAL", "--set", "seed=1"], "--recipe"),
        (["--recipe", "chest_xray", "--real", "REAL"], "--synthetic"),
    ],
)
def test_what_cannot_be_compared_is_said(words: list[str], error: str, chests: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    phantoms.chest_set(few, 3, 3, 48)
    places = {"REAL": str(chests / "real"), "FEW": str(few)}
    given = [places.get(word, word) for word in words]
    own = [] if "-o" in words else ["-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, ["evaluate", *given, *own, "--runs", str(tmp_path / "runs")])
    assert result.exit_code == 2, result.output
    assert error in result.output
