"""What docs/python.md shows is run as it stands, where it says that it can be."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd
from PIL import Image

from augmentor import recipe as recipes
from augmentor import synthesize, train
from augmentor.evaluation import classifier
from data_adapters import open_scenes, phantoms

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
RECIPE = (
    "conditions.finding.column=finding", "data.group=patient", "tiles.size=[32,32]", "tiles.held_out=0.4",
    "game.images=320",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page speaks of."""
    place = tmp_path_factory.mktemp("place")
    phantoms.chest_set(place / "xrays", 40, seed=0, size=64)
    phantoms.write_ct(place / "series", phantoms.ct_volume(0, 48, 16), seed=0, leave_out=(4, 9))
    (place / "my.yaml").write_text(recipes.load("chest_xray", RECIPE).to_yaml())
    run = train(place / "my.yaml", data=place / "xrays", runs=place / "runs")
    synthesize(20, run=run.folder, out=place / "drawn", runs=place / "runs")
    return place


def test_the_page_has_snippets() -> None:
    assert len(SNIPPETS) == PAGE.count("```python") >= 8


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda code: code.strip().splitlines()[-1][:40])
def test_a_snippet_runs(place: Path, snippet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    # Judging is tested elsewhere; here it need not be good.
    monkeypatch.setattr(classifier, "STEPS", 3)
    exec(compile(snippet, "docs/python.md", "exec"), {"__name__": "snippet"})


def test_libraries_wait_until_they_are_needed() -> None:
    """None for the package's sake, and no transforms' library for another's."""
    code = (
        "import sys, importlib\n"
        "for name in ('augmentor', 'augmentor.onthefly', 'augmentor.onthefly.datasets',"
        " 'augmentor.onthefly.albumentations'):\n"
        "    importlib.import_module(name)\n"
        "    print(name, *sorted({'torch', 'monai', 'albumentations'} & {*sys.modules}))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert said.stdout.splitlines() == [
        "augmentor",
        "augmentor.onthefly",
        "augmentor.onthefly.datasets torch",
        "augmentor.onthefly.albumentations albumentations torch",
    ]


def test_images_read_as_the_page_says_lie_as_samples_do(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    phantoms.chest_set(tmp_path / "xrays", 5, seed=0, size=64)
    phantoms.write_mr(tmp_path / "mr.nii.gz", phantoms.mr_volume(0, 24, 10), seed=0)
    Image.fromarray(random.integers(0, 256, (20, 30), np.uint8)).save(tmp_path / "picture.png")
    ways = {
        "xrays/radiograph_0004.dcm": [LoadImaged("image", reader="PydicomReader", swap_ij=False)],
        "picture.png": [LoadImaged("image", reader="PILReader", reverse_indexing=False)],
        "mr.nii.gz": [LoadImaged("image"), EnsureChannelFirstd("image"), Orientationd("image", axcodes="SPL")],
    }
    for name, way in ways.items():
        theirs = np.asarray(Compose(way)({"image": tmp_path / name})["image"])
        (scene,) = open_scenes(tmp_path / name)
        np.testing.assert_allclose(theirs.squeeze(), scene.read(0, scene.shape[1]).values.squeeze(), rtol=1e-5)
