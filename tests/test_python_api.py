"""What pages show in Python is run as it stands, where docs/python.md says that it can be."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd
from PIL import Image

from augmentor import recipe as recipes
from augmentor import synthesize, train
from augmentor.evaluation import classifier
from data_adapters import open_scenes, phantoms

ROOT = Path(__file__).parent.parent
PAGES = [(ROOT / page).read_text() for page in ("README.md", "docs/model.md", "docs/python.md")]
SNIPPETS = [code for page in PAGES for code in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)]
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


def test_the_pages_have_snippets() -> None:
    assert len(SNIPPETS) == sum(page.count("```python") for page in PAGES) >= 13
    told = [path for path in (ROOT / "docs").rglob("*.md") if "```python" in path.read_text()]
    assert {path.parent.name if path.parent.name == "tutorials" else path.name for path in told} == {
        "model.md", "python.md", "tutorials",
    }  # fmt: skip


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda code: code.strip().splitlines()[-1][:40])
def test_a_snippet_runs(place: Path, snippet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    # Judging is tested elsewhere; here it need not be good.
    monkeypatch.setattr(classifier, "STEPS", 3)
    for left in place.glob("filled*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    exec(compile(snippet, "a page", "exec"), {"__name__": "snippet", **readers_own()})


def readers_own() -> dict[str, object]:
    """What pages leave to the reader: a data set, and two images on a run's tile."""
    pixels = np.random.default_rng(0).uniform(0, 4000, (2, 1, 32, 32)).astype(np.float32)
    real = [(torch.rand(1, 32, 32), number % 2) for number in range(20)]
    return {"real": real, "pixels": pixels, "valid": np.ones((2, 32, 32), bool)}


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
