"""The page of a file: what it holds is what the file holds, and nothing of whom it shows."""

import base64
import hashlib
import html
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from page_planes import plane, told
from PIL import Image

from augmentor.cli import main
from augmentor.run import Run
from augmentor.score import score
from augmentor.view import look, view
from augmentor.viewing import page as pages
from augmentor.viewing.page import fitted, scene_page
from data_adapters import open_scenes, phantoms


def shown(tmp_path: Path, what: Path, **options: object) -> str:
    return view(what, tmp_path / "view.html", **options).read_text(encoding="utf-8")


def cli(*words: object) -> Result:
    return CliRunner().invoke(main, ["view", *map(str, words)])


SOURCES: dict[str, Callable[[phantoms.Phantoms], Path]] = {
    "a CT series with gaps": lambda drawn: drawn.ct,
    "an MR volume": lambda drawn: drawn.mr,
    "a stack": lambda drawn: drawn.stack,
    "one radiograph": lambda drawn: sorted(drawn.chest.glob("*.dcm"))[0],
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_value_of_a_file_is_on_its_page(
    source: Callable[[phantoms.Phantoms], Path], drawn: phantoms.Phantoms, tmp_path: Path
) -> None:
    (scene,) = open_scenes(source(drawn))
    page = shown(tmp_path, source(drawn))
    assert len(told(page)["planes"]) == scene.shape[1]
    for index in {0, 5, scene.shape[1] - 1} & set(range(scene.shape[1])):
        pixels = scene.read(index, 1)
        for channel in range(scene.shape[0]):
            found = plane(page, f"values-{index}-{channel}")
            seen = pixels.valid[channel, 0]
            assert found.exact and np.array_equal(found.seen, seen)
            assert np.allclose(found.values[seen], pixels.values[channel, 0][seen], rtol=0, atol=1e-3)


def test_what_was_filled_lies_beside_its_source_with_its_interval(
    filled: Path, drawn: phantoms.Phantoms, tmp_path: Path
) -> None:
    page = shown(tmp_path, filled / "ct", source=drawn.ct)
    (ours,), (theirs,) = open_scenes(filled / "ct"), open_scenes(drawn.ct)
    low, high = (open_scenes(filled / f"ct_{end}")[0] for end in ("low", "high"))
    missing = set(theirs.missing())
    assert 5 in missing and told(page)["first"] in missing
    for index in (4, 5):
        before, made, spread = (plane(page, f"{role}-{index}-0") for role in ("before", "made", "spread"))
        assert before.same.all() == (index not in missing) and before.seen.any() == (index not in missing)
        assert (made.values > 0).all() == (index in missing)
        half = (high.read(index, 1).values - low.read(index, 1).values)[0, 0] / 2
        assert np.allclose(spread.values, half, atol=1e-6) and (half.max() > 0) == (index in missing)
        assert np.array_equal(plane(page, f"values-{index}-0").values, ours.read(index, 1).values[0, 0])


def test_ground_under_clouds_is_shown_before_and_after(filled: Path, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    page = shown(tmp_path, filled / "stack", source=drawn.stack)
    meta, (theirs,) = told(page), open_scenes(drawn.stack)
    assert meta["colours"] == [2, 1, 0] and meta["what"] == "date"
    assert [one["label"] for one in meta["planes"]] == list(theirs.dates)
    first = meta["first"]
    before, made = plane(page, f"before-{first}-3"), plane(page, f"made-{first}-0").values > 0
    assert made.any() and not made.all() and before.same[~made].all()
    there = before.seen & ~before.same
    assert there.any() and np.array_equal(before.values[there], theirs.read(first, 1).values[3, 0][there])


@pytest.mark.parametrize("same", [True, False], ids=["the source", "another file of its name"])
def test_the_source_is_found_beside_the_result_if_it_is_the_very_one(
    same: bool, filled: Path, drawn: phantoms.Phantoms, tmp_path: Path
) -> None:
    for path in filled.glob("mr*"):
        shutil.copy(path, tmp_path)
    shutil.move(tmp_path / "mr.nii.gz", tmp_path / "full.nii.gz")
    shutil.move(tmp_path / "mr.nii.gz.json", tmp_path / "full.nii.gz.json")
    shutil.copy(drawn.mr if same else drawn.mr_truth, tmp_path / "mr.nii.gz")
    page = shown(tmp_path, tmp_path / "full.nii.gz")
    assert told(page)["before"] == same
    assert ("is not at hand" in page) != same


@pytest.fixture(scope="module")
def scored(trained: Run, drawn: phantoms.Phantoms, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Three radiographs, and their scores."""
    folder = tmp_path_factory.mktemp("scored")
    (folder / "images").mkdir()
    for file in sorted(drawn.chest.glob("*.dcm"))[:3]:
        shutil.copy(file, folder / "images")
    score(folder / "images", run=trained.folder, runs=trained.folder.parent, out=folder / "scores")
    return folder / "images", folder / "scores"


def test_strangeness_lies_over_what_was_scored(scored: tuple[Path, Path], tmp_path: Path) -> None:
    images, scores = scored
    page = shown(tmp_path, scores, source=images)
    meta = told(page)
    assert len(meta["planes"]) == 3 and all("score" in one["label"] for one in meta["planes"])
    for number, scene in enumerate(open_scenes(images)):
        (map_,) = open_scenes(scores / f"{scene.name}_strange.dcm")
        found, values = plane(page, f"strange-{number}-0"), map_.read(0, 1).values[0, 0]
        assert np.allclose(found.values[found.seen], values[found.seen], atol=found.step)
        assert np.array_equal(plane(page, f"values-{number}-0").values, scene.read(0, 1).values[0, 0])
    alone = shown(tmp_path, scores)
    assert told(alone)["strange"] is None and "--source" in alone


def test_only_ct_is_offered_the_windows_of_ct(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    assert told(shown(tmp_path, drawn.ct))["presets"]["lung"] == [-600, 1500]
    assert told(shown(tmp_path, drawn.mr))["presets"] == {}


def test_cuts_are_of_regular_volumes_alone(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    (tmp_path / "uneven").mkdir()
    for number, file in enumerate(sorted(drawn.ct_truth.glob("*.dcm"))[:6]):
        image = pydicom.dcmread(file)
        image.ImagePositionPatient[2] = 2.0 * number + (0.7 if number == 4 else 0)
        image.save_as(tmp_path / "uneven" / file.name)
    for what, cut in (
        (drawn.ct, True), (drawn.mr, True), (tmp_path / "uneven", False), (drawn.stack, False), (drawn.chest, False),
    ):  # fmt: skip
        assert told(shown(tmp_path, what))["cuts"] == cut, what


def test_a_header_names_nobody_on_the_page(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    named = {"PatientName": "Zwölf^Wanda", "PatientID": "ID-4711-SECRET", "PatientBirthDate": "19440229",
             "InstitutionName": "Hospital of Nowhere", "StudyDescription": "follow-up of Wanda",
             "StudyDate": "20111213", "AccessionNumber": "ACC99887766"}  # fmt: skip
    for file in sorted(drawn.ct.glob("*.dcm"))[:4]:
        image = pydicom.dcmread(file)
        image.SpecificCharacterSet = "ISO_IR 192"
        for tag, text in named.items():
            setattr(image, tag, text)
        image.save_as(tmp_path / "series" / file.name)
    page = shown(tmp_path, tmp_path / "series")
    assert "CT" in page and "HU" in page
    for text in (
        *named.values(),
        "Wanda",
        "4711",
        str(pydicom.dcmread(tmp_path / "series" / file.name).StudyInstanceUID),
    ):
        assert text not in page


def test_nothing_is_loaded_and_only_the_pages_own_script_runs(filled: Path, tmp_path: Path) -> None:
    page = shown(tmp_path, filled / "ct")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy and "unsafe" not in policy
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    code = re.sub(r"<script type=.*?</script>", "", page, flags=re.S)
    assert not re.search(r"https?:|<link|<iframe|@import|url\(|\son\w+=|\sstyle=", code)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "]]><!-- <script>", "胸部 & 'x'"])
def test_a_name_is_text_wherever_it_stands(name: str, tmp_path: Path) -> None:
    for folder, count in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            Image.new("L", (8, 8), 3).save(tmp_path / folder / f"{name}{number or ''}.png")
    alone, both = (shown(tmp_path, tmp_path / folder) for folder in ("one", "two"))
    assert [html.unescape(title) for title in re.findall(r"<h1>(.*?)</h1>", alone)] == [name]
    assert told(both)["planes"][0]["label"] == name
    for page in (alone, both):
        assert "<img" not in page and len(re.findall("<script", page)) == len(re.findall("</script>", page))


def test_a_large_file_is_shown_coarser_and_says_so(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    looked = look(drawn.mr)
    factor, inside = fitted(looked, budget=40_000)
    assert factor > 1 and 10_000 < sum(len(one.data) for one in inside) <= 40_000
    page = scene_page(looked, factor, inside)
    assert f"mean of {factor} × {factor}" in page and "--serve" in page
    assert told(page)["planes"][0]["height"] == plane(page, "values-0-0").values.shape[0] == -(-64 // factor)
    assert "Shown coarser" not in scene_page(looked, *fitted(looked))


def test_single_images_of_different_sizes_are_scrolled_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for side in (8, 12, 9):
        Image.new("L", (side, side + 1), side).save(tmp_path / "images" / f"{side}.png")
    page = shown(tmp_path, tmp_path / "images")
    assert [(one["label"], one["height"], one["width"]) for one in told(page)["planes"]] == [
        ("12", 13, 12), ("8", 9, 8), ("9", 10, 9)]  # fmt: skip
    assert plane(page, "values-0-0").values.shape == (13, 12)


def test_an_earlier_page_is_replaced_and_nothing_else(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    for _ in range(2):
        result = cli(drawn.mr, "-o", tmp_path / "view.html")
        assert result.exit_code == 0 and str(tmp_path / "view.html") in result.output
    (tmp_path / "mine.html").write_text("<html>mine</html>")
    for out in ("mine.html", "."):
        result = cli(drawn.mr, "-o", tmp_path / out)
        assert result.exit_code == 2 and result.stderr.startswith("OutputInTheWay")
    assert (tmp_path / "mine.html").read_text() == "<html>mine</html>"


def test_what_cannot_be_shown_is_said(drawn: phantoms.Phantoms, filled: Path, tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("no image")
    out = ("-o", tmp_path / "out.html")
    for words, error in (
        ((tmp_path / "none", *out), "NothingFound"),
        ((tmp_path / "text.dcm", *out), "NotThisFormat"),
        ((filled.parent, *out), "NothingFound"),
        ((drawn.ct, "--scene", "other", *out), "NothingFound"),
        ((drawn.mr, "--source", drawn.mr_truth, *out), "NothingFound"),
        ((filled / "ct", "--source", drawn.mr, *out), "GridMismatch"),
        ((drawn.chest, "--scene", "radiograph_0001", "--source", drawn.chest, *out), "NothingFound"),
    ):
        result = cli(*words)
        assert result.exit_code == 2, (words, result.output)
        assert result.stderr.splitlines()[-1].startswith(error), result.stderr
    assert not (tmp_path / "out.html").exists()


def test_a_broken_side_car_is_none(filled: Path, tmp_path: Path) -> None:
    shutil.copy(filled / "mr.nii.gz", tmp_path)
    for said in ("{", "[]", '{"tool": "other", "holes": ""}', '{"tool": "t2t-augmentor", "holes": "", "sources": 3}'):
        (tmp_path / "mr.nii.gz.json").write_text(said)
        assert not told(shown(tmp_path, tmp_path / "mr.nii.gz"))["before"]


def test_the_budget_of_a_page_is_kept(
    drawn: phantoms.Phantoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PACKED", 0.001)
    factor, inside = fitted(look(drawn.mr), budget=60_000)
    assert factor > 1 and sum(len(one.data) for one in inside) <= 60_000
