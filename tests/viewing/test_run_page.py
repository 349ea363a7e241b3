"""The page of a run: its samples, beside what was held out, where its discriminator looks, and walks."""

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from augmentor.cli import main
from augmentor.errors import RunError
from augmentor.inversion import Inversion
from augmentor.report.pictures import visible
from augmentor.run import Run
from augmentor.train import train
from augmentor.view import view
from augmentor.viewing.run import FRAMES, SHOWN, RunShown, look_at
from data_adapters import phantoms


def picture(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.fixture(scope="module")
def shown(trained: Run) -> RunShown:
    return look_at(trained)


def test_samples_stand_beside_what_was_held_out(shown: RunShown) -> None:
    assert len(shown.made) == SHOWN and 10 < len(shown.real) <= SHOWN
    assert (
        {tile.words for tile in shown.made}
        == {tile.words for tile in shown.real}
        == {"finding clear", "finding opacity"}
    )
    for tile in (*shown.made, *shown.real):
        assert picture(tile.picture).shape == (32, 32, 3)
        cover = picture(tile.attended)
        assert cover.shape == (32, 32, 4) and cover[..., 3].min() == 0 and cover[..., 3].max() == 255
    assert len({tile.picture for tile in shown.made}) == SHOWN


def test_a_walk_goes_from_one_end_to_the_other(shown: RunShown, trained: Run) -> None:
    assert len(shown.walks) == 6 and all(len(walk.frames) == FRAMES for walk in shown.walks)
    assert shown.walks[0].title.startswith("sample (finding ")
    for walk in shown.walks:
        first, *between, last = (picture(frame).astype(int) for frame in walk.frames)
        steps = [np.abs(first - frame).mean() for frame in (*between, last)]
        assert 0 < steps[0] < steps[-1] / 4
    (walk, *_) = (walk for walk in shown.walks if walk.ends)
    assert [end.picture for end in walk.ends] == [shown.real[0].picture, shown.real[1].picture]
    # The ends are what the run makes of the real images that stand beside them.
    inversion = Inversion.of(trained.folder)
    scaling = inversion.facts.scaling
    real = scaling.low[0] + picture(walk.ends[0].picture)[None, None, ..., 0] / 255 * (scaling.high[0] - scaling.low[0])
    said = {"finding": walk.ends[0].words.removeprefix("finding ")}
    remade = visible(inversion.reconstruct(real, None, [said])[0], ["CR"], scaling.low, scaling.high)
    assert np.abs(remade.astype(int) - picture(walk.frames[0])).max() <= 4


def test_the_page_says_how_training_went(shown: RunShown, trained: Run, tmp_path: Path) -> None:
    assert [chart.title for chart in shown.charts][:1] == ["Losses of the game"]
    assert shown.verdict == () and shown.said == ()
    copy = Run(shutil.copytree(trained.folder, tmp_path / trained.name))
    with (copy.folder / "log.jsonl").open("a") as stream:
        stream.write('{"images": 99')
    (copy.folder / "report").mkdir()
    part = {"grade": "caution", "reason": "few <b>images</b>", "figures": {}}
    (copy.folder / "report/report.json").write_text(json.dumps({"verdict": "caution", "parts": {"likeness": part}}))
    page = view(copy.folder, tmp_path / "view.html").read_text(encoding="utf-8")
    assert "few &lt;b&gt;images&lt;/b&gt;" in page and "Not evaluated yet" not in page
    assert shown.charts[0].spoken in page.replace("&#39;", "'")


def test_real_images_are_left_out_where_they_are_not_wanted_or_not_there(trained: Run, tmp_path: Path) -> None:
    words = ["view", trained.name, "--runs", str(trained.folder.parent), "-o", str(tmp_path / "view.html")]
    page = ""
    for more in ([], ["--no-real"]):
        result = CliRunner().invoke(main, [*words, *more])
        assert result.exit_code == 0, result.output
        page = (tmp_path / "view.html").read_text(encoding="utf-8")
        assert ('alt="real image 1' in page) == (not more)
        assert len(re.findall('alt="sample ', page)) == SHOWN
        assert "radiograph_0" not in page and "phantom0" not in page
    assert "default-src 'none'" in page.replace("&#39;", "'") and "https:" not in page
    copy = Run(shutil.copytree(trained.folder, tmp_path / trained.name))
    record = json.loads((copy.folder / "provenance.json").read_text())
    (copy.folder / "provenance.json").write_text(json.dumps(record | {"tiles": str(tmp_path / "gone")}))
    alone = look_at(copy)
    assert alone.real == () and len(alone.walks) == 3 and "not there" in alone.said[0]


def test_a_run_that_cannot_be_shown_is_said(trained: Run, drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    (tmp_path / "runs/begun-001").mkdir(parents=True)
    shutil.copy(trained.folder / "recipe.yaml", tmp_path / "runs/begun-001")
    for words, error in (
        (["begun-001", "--runs", str(tmp_path / "runs")], "RunError"),
        (["none-001", "--runs", str(tmp_path / "runs")], "NothingFound"),
        ([str(trained.folder), "--serve"], "RunError"),
    ):
        out = [] if "--serve" in words else ["-o", str(tmp_path / "view.html")]
        result = CliRunner().invoke(main, ["view", *words, *out])
        assert result.exit_code == 2 and result.stderr.startswith(error), result.output
    assert not (tmp_path / "view.html").exists()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of squares in ``images``, and maps of where these are in ``maps``."""
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for name in ("images", "maps"):
        (folder / name).mkdir()
    for k in range(30):
        square = np.zeros((16, 16), np.uint8)
        row, column = random.integers(0, 10, 2)
        square[row : row + 6, column : column + 6] = 1
        Image.fromarray(square).save(folder / f"maps/{k:02d}.png")
        Image.fromarray((60 + 120 * square + random.integers(0, 40, (16, 16))).astype(np.uint8)).save(
            folder / f"images/{k:02d}.png"
        )
    return folder


@pytest.mark.parametrize("use", ["together", "condition"])
def test_a_run_that_knows_label_maps_is_shown_without_attention(use: str, labelled: Path, tmp_path: Path) -> None:
    changes = (f"segmentation={{path: {labelled / 'maps'}, use: {use}}}", "conditions={}", "data.group=null",
               "data.labels=null", "tiles.size=[16,16]", "game.images=64", "tiles.held_out=0.3")  # fmt: skip
    run = train("chest_xray", data=labelled / "images", changes=changes, runs=tmp_path / "runs")
    shown = look_at(run)
    assert not shown.attended and "discriminator looks is not shown" in shown.said[0]
    assert len(shown.made) == SHOWN and len(shown.real) > 4 and len(shown.walks) == 6
    if use == "condition":
        assert len(look_at(run, real=False).walks) == 3
        shutil.rmtree(tmp_path / "runs/tiles")
        with pytest.raises(RunError, match="tile store is not there"):
            look_at(run)


def test_of_volumes_the_middle_slice_is_shown(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    changes = ("conditions={}", "tiles.size=[8,16,16]", "game.images=32", "tiles.held_out=0.3")
    shown = look_at(train("ct_volume", data=drawn.ct_truth, changes=changes, runs=tmp_path))
    assert shown.attended and {picture(tile.picture).shape for tile in shown.made} == {(16, 16, 3)}
    assert len({tile.picture for tile in shown.made}) == SHOWN


def test_a_run_that_fills_has_no_samples(tmp_path: Path) -> None:
    for seed in range(2):
        phantoms.write_ct(tmp_path / f"ct/{seed}", phantoms.ct_volume(seed, 32), seed)
    run = train(
        "ct_missing_slices", data=tmp_path / "ct", changes=("tiles.size=[32,32]", "game.images=32"), runs=tmp_path
    )
    result = CliRunner().invoke(main, ["view", str(run.folder), "-o", str(tmp_path / "view.html")])
    assert result.exit_code == 2 and result.stderr.splitlines()[-1].startswith("RunError")
    assert "augmentor view FILE" in result.stderr
