"""No file makes the program run what it holds: planted payloads are refused, and the source has no door for them."""

from __future__ import annotations

import ast
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from augmentor import labels
from augmentor import recipe as recipes
from augmentor.errors import LabelError, RecipeError, RunError
from augmentor.networks import load_generator
from augmentor.run import Run
from augmentor.tiles import TileStore
from benchmarks.fuzz import laid_out, seeds_of
from benchmarks.fuzz_targets import TARGETS
from data_adapters import scan
from data_adapters.errors import UserError

ROOT = Path(__file__).parents[2]


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a checkpoint and a tile store, as they ought to be."""
    folder = tmp_path_factory.mktemp("planted")
    seeds = seeds_of(None)
    for target, number in (("run", 0), ("resume", 0), ("store", 1)):
        laid_out(seeds[target][number], folder / target)
    return folder


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


def copied(planted: Path, target: str, to: Path) -> Path:
    return Path(shutil.copytree(planted / target, to / target))


def test_the_payload_would_make_its_marker(marker: Path) -> None:
    """Else nothing would be shown by its absence."""
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists()


def plain_pickle(path: Path, marker: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(marker)))


def torch_archive(path: Path, marker: Path) -> None:
    torch.save({"images": int(path.stem) if path.stem.isdigit() else 0, "learner": Payload(marker)}, path)


def torch_of_old(path: Path, marker: Path) -> None:
    torch.save({"learner": Payload(marker)}, path, _use_new_zipfile_serialization=False)


def archive_in_place(path: Path, marker: Path) -> None:
    """A checkpoint as it was, but for its pickle."""
    if not zipfile.is_zipfile(path):
        pytest.skip("no archive")
    with zipfile.ZipFile(path) as old:
        inside = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in inside.items():
            new.writestr(name, pickle.dumps(Payload(marker)) if name.endswith("data.pkl") else data)


PLANTS: dict[str, Callable[[Path, Path], None]] = {
    "a pickle": plain_pickle,
    "an archive of torch": torch_archive,
    "torch's old form": torch_of_old,
    "an archive with another pickle": archive_in_place,
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_pickle_for_a_checkpoint_is_refused(plant: str, planted: Path, tmp_path: Path, marker: Path) -> None:
    folder = copied(planted, "resume", tmp_path)
    (checkpoint,) = folder.rglob("*.pt")
    PLANTS[plant](checkpoint, marker)
    with pytest.raises(RunError):
        TARGETS["resume"](folder)
    assert not marker.exists()


@pytest.mark.parametrize("plant", ["a pickle", "an archive of torch", "torch's old form"])
@pytest.mark.parametrize("name", ["generator.safetensors", "facts.json", "recipe.yaml", "provenance.json"])
def test_a_pickle_for_a_file_of_a_run_is_refused(
    plant: str, name: str, planted: Path, tmp_path: Path, marker: Path
) -> None:
    folder = copied(planted, "run", tmp_path)
    PLANTS[plant](folder / name, marker)
    with pytest.raises(UserError):
        TARGETS["run"](folder)
    assert not marker.exists()


def test_facts_cannot_name_a_class_to_be_made(planted: Path, tmp_path: Path) -> None:
    folder = copied(planted, "run", tmp_path)
    facts = json.loads((folder / "facts.json").read_text())
    facts["conditions"] = [{"kind": "os.system", "name": "x"}]
    (folder / "facts.json").write_text(json.dumps(facts))
    with pytest.raises(RunError):
        load_generator(Run(folder))


@pytest.mark.parametrize("name", ["channels", "context"])
@pytest.mark.parametrize("count", [1.5, "1", None, -1, 10**9, [1]], ids=str)
def test_facts_of_a_run_count_in_whole_numbers(planted: Path, tmp_path: Path, name: str, count: object) -> None:
    folder = copied(planted, "run", tmp_path)
    facts = json.loads((folder / "facts.json").read_text())
    (folder / "facts.json").write_text(json.dumps(facts | {name: count}))
    with pytest.raises(RunError):
        load_generator(Run(folder))


TAGS = (
    "!!python/object/apply:os.system ['touch {}']",
    "!!python/object/new:os.system ['touch {}']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object/apply:subprocess.check_output [['touch', '{}']]",
)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("where", ["name: {}\n", "{}\n", "name: x\ndata: {}\n", "name: x\n? {}\n: 1\n"])
def test_a_recipe_with_a_tag_of_python_is_refused(tag: str, where: str, tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(where.format(tag.format(marker)))
    with pytest.raises(RecipeError, match="is not YAML"):
        recipes.load(path)
    assert not marker.exists()


@pytest.mark.parametrize("tag", TAGS)
def test_a_change_with_a_tag_of_python_is_refused(tag: str, marker: Path) -> None:
    with pytest.raises(RecipeError, match="is not YAML"):
        recipes.load("chest_xray", [f"seed={tag.format(marker)}"])
    assert not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}, *{p}]\n" for p, n in pairwise("abcdefghijklmnopqrst")),
        "name: x\nconditions: &a\n  b: *a\n",
        "name: " + "[" * 20_000,
        "name: x\nseed: " + "9" * 10_000,
        "name: x\nseed: 2024-13-45\n",
        "name: x\n" + "# padding\n" * 200_000,
        "name: \0",
        "",
        "- a\n- b\n",
    ],
    ids=["laughs", "loop", "depth", "digits", "date", "length", "null", "nothing", "list"],
)  # fmt: skip
def test_a_recipe_that_would_never_end_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError):
        recipes.load(path)


# Tile stores


def with_codec(folder: Path, version: int, codec: dict[str, object]) -> None:
    """The array of pixels told to be packed by another codec."""
    array = folder / "tiles.zarr/pixels"
    if version == 3:
        told = json.loads((array / "zarr.json").read_text())
        told["codecs"] = [*told["codecs"], codec]
        (array / "zarr.json").write_text(json.dumps(told))
        return
    shutil.rmtree(folder / "tiles.zarr")
    zarr.open_group(folder / "tiles.zarr", mode="w", zarr_format=2)
    array.mkdir()
    said = {"zarr_format": 2, "shape": [6, 1, 8, 8], "chunks": [6, 1, 8, 8], "dtype": "|O", "fill_value": None,
            "order": "C", "filters": [codec], "compressor": None}  # fmt: skip
    (array / ".zarray").write_text(json.dumps(said))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("codec", ["pickle", "numcodecs.pickle", "json2", "msgpack2", "gzip"])
def test_a_tile_store_of_another_codec_is_refused(
    version: int, codec: str, planted: Path, tmp_path: Path, marker: Path
) -> None:
    folder = copied(planted, "store", tmp_path)
    with_codec(folder, version, {"id": codec} if version == 2 else {"name": codec, "configuration": {}})
    # Wherever a chunk might be looked for.
    for chunk in ("tiles.zarr/pixels/0.0.0.0", "tiles.zarr/pixels/c/0/0/0/0"):
        (folder / chunk).parent.mkdir(parents=True, exist_ok=True)
        (folder / chunk).write_bytes(pickle.dumps(Payload(marker)))
    with pytest.raises(RunError, match="cannot be read"):
        TileStore(folder).load([0, 1])
    assert not marker.exists()


def test_a_tile_store_as_ingest_writes_it_uses_the_codecs_that_are_let_in(planted: Path) -> None:
    pixels, valid = TileStore(planted / "store").load([0, 5])
    assert pixels.shape == (2, 1, 8, 8)
    assert valid.all()


# Tables and arrays


def test_a_formula_in_a_label_file_is_a_text_and_no_more(tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"file,finding\na.png,=cmd|'/c touch {marker}'!A0\n@SUM(1),+1\n")
    rows = labels.read(path, ["finding"])
    assert rows["a.png"]["finding"].startswith("=cmd")
    with pytest.raises(LabelError, match="not there"):
        labels.match(rows, path, [tmp_path / "a.png"])
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".dcm", ".nii", ".tif", ".pkl"])
def test_an_array_of_objects_is_no_image(suffix: str, tmp_path: Path, marker: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    array = np.array([Payload(marker)], dtype=object)
    with (folder / f"x{suffix}").open("wb") as stream:
        np.save(stream, array, allow_pickle=True)
    assert scan(folder).scenes == ()
    assert not marker.exists()


# The source itself

FORBIDDEN = {
    "eval", "exec", "compile", "pickle.load", "pickle.loads", "dill.load", "marshal.load", "marshal.loads",
    "shelve.open", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "joblib.load", "os.system", "os.popen",
    "torch.jit.load", "pandas.read_pickle",
}  # fmt: skip


OPEN = {("augmentor/evaluation/encoder.py", "torch.jit.load")}
"""A network that the user names by ``--features`` is a program of theirs, and asked for as one."""


def called(node: ast.expr) -> str:
    """``a.b.c`` of an expression that is called."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id if isinstance(node, ast.Name) else "", *parts[::-1]])


@pytest.mark.parametrize(
    "path", sorted([*(ROOT / "augmentor").rglob("*.py"), *(ROOT / "data_adapters").rglob("*.py")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)  # fmt: skip
def test_the_source_has_no_door_for_code_in_data(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
    }
    assert imported & {"pickle", "dill", "marshal", "shelve", "joblib", "cloudpickle"} == set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, said = called(node.func), {word.arg: word.value for word in node.keywords}
        assert name not in FORBIDDEN or (str(path.relative_to(ROOT)), name) in OPEN, f"{path}:{node.lineno}"
        if name == "torch.load":
            assert ast.unparse(said["weights_only"]) == "True", f"{path}:{node.lineno}"
        if name == "yaml.compose":
            assert ast.unparse(said["Loader"]) == "yaml.SafeLoader", f"{path}:{node.lineno}"
        assert "shell" not in said, f"{path}:{node.lineno}"
        assert ast.unparse(said.get("allow_pickle", ast.Constant(False))) == "False", f"{path}:{node.lineno}"
        assert ast.unparse(said.get("trust_remote_code", ast.Constant(False))) == "False", f"{path}:{node.lineno}"
