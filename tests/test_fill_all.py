"""Many scenes at one command: each filled as alone, by whoever, and none twice."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from augmentor.errors import NothingToFill, OutputInTheWay
from augmentor.fill import fill
from augmentor.fill_all import RECORD, fill_all
from augmentor.together.workers import HERE, Workers, workers
from data_adapters import phantoms
from tests.test_verbs import augmentor


@pytest.fixture(scope="module")
def scenes(drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two volumes with holes and one without."""
    folder = tmp_path_factory.mktemp("scenes")
    for name, path in (("one", drawn.mr), ("two", drawn.mr), ("whole", drawn.mr_truth)):
        shutil.copy(path, folder / f"{name}.nii.gz")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def filled(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("filled") / "out"
    fill_all(scenes, out, prior_only=True)
    return out


def test_each_scene_is_filled_as_it_is_alone(scenes: Path, filled: Path, tmp_path: Path) -> None:
    fill(scenes / "two.nii.gz", tmp_path / "two.nii.gz", prior_only=True)
    alone = content(tmp_path)
    assert content(filled / "two").keys() == {*alone, RECORD}
    assert all(content(filled / "two")[name] == data for name, data in alone.items())


def test_what_became_of_each_is_said(filled: Path) -> None:
    said = {record["scene"]: record for record in map(json.loads, (filled / "fills.jsonl").read_text().splitlines())}
    assert list(said) == ["one", "two", "whole"]
    assert said["one"]["file"] == "one/one.nii.gz" and said["one"]["pixels"] > 0
    assert "left out" in said["whole"]
    assert [path.name for path in (filled / "whole").iterdir()] == [RECORD]


def test_interrupted_it_goes_on_and_fills_none_twice(
    scenes: Path, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Halting:
        def map(self, task: Any, items: Any) -> Any:
            for number, item in enumerate(items):
                if number == stop:
                    raise KeyboardInterrupt
                done.append(item.folder.name)
                yield task(item)

    stop = 1
    with pytest.raises(KeyboardInterrupt):
        fill_all(scenes, tmp_path / "out", hands=Halting(), prior_only=True)
    # As a kill in the middle of the second leaves it.
    (tmp_path / "out/.two").mkdir()
    (tmp_path / "out/.two/two.nii.gz").touch()
    before = (tmp_path / "out/one" / RECORD).stat().st_mtime_ns
    stop = 9
    fill_all(scenes, tmp_path / "out", hands=Halting(), prior_only=True)
    assert (tmp_path / "out/one" / RECORD).stat().st_mtime_ns == before
    assert content(tmp_path / "out").keys() == content(filled).keys()
    assert {k: v for k, v in content(tmp_path / "out").items() if k != "fills.json"} == {
        k: v for k, v in content(filled).items() if k != "fills.json"
    }


def test_a_cluster_fills_what_one_process_does(scenes: Path, filled: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with workers("local:2") as two:
        fill_all(scenes, tmp_path / "out", hands=two, prior_only=True)
    assert content(tmp_path / "out") == content(filled)


@pytest.mark.parametrize(
    ("prepare", "options", "error"),
    [
        pytest.param(lambda out: (out.mkdir(), (out / "mine").touch()), {}, OutputInTheWay, id="other files"),
        pytest.param(lambda out: None, {"grow": 3}, NothingToFill, id="nothing filled"),
    ],
)
def test_what_cannot_be_is_said(
    scenes: Path, tmp_path: Path, prepare: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    prepare(tmp_path / "out")
    with pytest.raises(error):
        fill_all(scenes, tmp_path / "out", prior_only=True, **options)


def test_other_options_are_another_filling(scenes: Path, filled: Path) -> None:
    before = content(filled)
    with pytest.raises(OutputInTheWay, match="or otherwise"):
        fill_all(scenes, filled, prior_only=True, extrapolate=True)
    assert content(filled) == before


def test_at_the_terminal(scenes: Path, tmp_path: Path) -> None:
    result = augmentor("fill", scenes, "--all", "--prior-only", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "2 of 3 scenes filled" in result.output


def test_this_process_is_the_default() -> None:
    hands: Workers = HERE
    assert list(hands.map(len, ["a", "bc"])) == [1, 2]
