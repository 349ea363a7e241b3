"""The verbs, end to end on phantoms, as a user types them."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import rasterio
from click.testing import CliRunner, Result
from pynetdicom import (
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    VerificationPresentationContexts,
    evt,
)

from augmentor import fill, synthesize, train, verify
from augmentor.adversary.game import Game
from augmentor.cli import main
from augmentor.errors import NothingToFill, OutputInTheWay
from augmentor.holes.find import find
from augmentor.learners.corrector import Corrector
from augmentor.orders import Order
from augmentor.recipe import shipped
from augmentor.run import Run
from augmentor.t2t.conditioning import ClassCondition
from data_adapters import Provenance, open_scenes, phantoms, scan
from tests.holding import held_elsewhere

SMALL = ("tiles.size=[32,32]", "game.images=640", "game.checkpoint_every=160")
CHEST = ("conditions.finding.column=finding", "data.group=patient", *SMALL)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def chest(drawn: phantoms.Phantoms, runs: Path) -> Run:
    return train("chest_xray", data=drawn.chest, changes=CHEST, runs=runs)


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open() as stream:
        return list(csv.DictReader(stream))


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.suffix in (".dcm", ".csv")}


def test_a_run_holds_recipe_weights_log_and_provenance(chest: Run, runs: Path) -> None:
    assert chest.recipe.tiles.size == (32, 32)
    assert chest.facts.conditions == (ClassCondition("finding", ("clear", "opacity")),)
    assert len(chest.provenance["recipe"]) == 64
    acts = {json.loads(line)["act"] for line in (chest.folder / "log.jsonl").read_text().splitlines()}
    assert "play" in acts
    assert Run.find(None, runs).folder == chest.folder


def test_patients_are_on_one_side_of_the_split(chest: Run) -> None:
    from augmentor.tiles import TileStore

    store = TileStore(Path(chest.provenance["tiles"]))
    sides = [{store.index[row].group for row in store.rows(held_out)} for held_out in (False, True)]
    assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_synthesize_writes_the_recipes_format_with_labels_and_sheet(chest: Run, runs: Path, tmp_path: Path) -> None:
    result = augmentor("synthesize", "--n", 20, "--runs", runs, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    rows = table(tmp_path / "out")
    assert [row["file"] for row in rows] == [f"sample_{k:06d}.dcm" for k in range(20)]
    assert {row["finding"] for row in rows} == {"clear", "opacity"}
    assert (tmp_path / "out/contact_sheet.png").is_file()
    inventory = scan(tmp_path / "out")
    assert len(inventory.scenes) == 21 and not inventory.problems
    read = pydicom.dcmread(tmp_path / "out/sample_000000.dcm")
    assert read.SyntheticData == "YES" and read.PatientIdentityRemoved == "YES"


@pytest.mark.parametrize("stop", [1, 7, 16, 19])
def test_synthesis_goes_on_where_it_stopped(
    chest: Run, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted synthesis, continued, equals one that never stopped, byte for byte."""
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    synthesize(20, run=chest.folder, out=whole)
    synthesize(stop, run=chest.folder, out=torn)
    with (torn / "labels.csv").open("a") as stream:
        stream.write("sample_0000")  # a line cut off by a crash
    synthesize(20, run=chest.folder, out=torn)
    assert content(torn) == content(whole)


def test_two_processes_do_not_write_into_one_folder(chest: Run, tmp_path: Path) -> None:
    synthesize(3, run=chest.folder, out=tmp_path / "out")
    before = content(tmp_path / "out")
    with held_elsewhere(tmp_path / "out"):
        result = augmentor("synthesize", "--n", 5, "--run", chest.folder, "-o", tmp_path / "out")
    assert result.exit_code == 2 and "FolderInUse" in result.stderr
    assert content(tmp_path / "out") == before


def test_samples_beyond_the_first_thousands_lie_in_folders_of_their_own(
    chest: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = synthesize(20, run=chest.folder, out=tmp_path / "plain")
    monkeypatch.setattr("augmentor.orders.FOLDER", 8)
    out = synthesize(5, run=chest.folder, out=tmp_path / "out")
    synthesize(20, run=chest.folder, out=out)
    folders = ["", "000008/", "000016/"]
    assert [row["file"] for row in table(out)] == [f"{folders[k // 8]}sample_{k:06d}.dcm" for k in range(20)]
    for theirs, ours in zip(table(plain), table(out), strict=True):
        assert (out / ours["file"]).read_bytes() == (plain / theirs["file"]).read_bytes()
    assert len(scan(out).scenes) == 21
    assert all(verdict.fine for verdict in verify(out, runs=chest.folder.parent))


def test_a_million_samples_are_planned_without_end_in_sight(chest: Run, tmp_path: Path) -> None:
    made_by = Provenance("t2t-augmentor", "0", "T2T-GAN", "", "", 0)
    order = Order(chest, tmp_path, chest.facts.template, made_by, {})
    blocks = list(order.blocks(7, 1_000_000))
    assert [(block.first, block.below) for block in blocks[:2]] == [(7, 32), (32, 64)]
    assert sum(block.below - block.first for block in blocks) == 1_000_000 - 7
    assert next(islice(order.blocks(0, None), 10_000, None)).first == 320_000


def test_a_sample_does_not_depend_on_how_many_are_drawn(chest: Run, tmp_path: Path) -> None:
    few = content(synthesize(5, run=chest.folder, out=tmp_path / "few"))
    many = content(synthesize(40, run=chest.folder, out=tmp_path / "many"))
    assert all(many[name] == data for name, data in few.items() if name.endswith(".dcm"))
    other = content(synthesize(5, run=chest.folder, out=tmp_path / "other", seed=1))
    assert all(other[name] != data for name, data in few.items() if name.endswith(".dcm"))


@pytest.mark.parametrize(("format", "suffix"), [("dicom", ".dcm"), ("nifti", ".nii.gz"), ("png", ".png")])
def test_formats_and_conditions_on_request(chest: Run, tmp_path: Path, format: str, suffix: str) -> None:
    out = synthesize(4, run=chest.folder, out=tmp_path / "out", format=format, condition={"finding": "opacity"})
    rows = table(out)
    assert {row["finding"] for row in rows} == {"opacity"}
    assert all(row["file"].endswith(suffix) and (out / row["file"]).is_file() for row in rows)
    assert open_scenes(out / rows[0]["file"])[0].shape == (1, 1, 32, 32)


def test_a_run_on_bands_writes_geotiff(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    run = train("satellite_tiles", data=drawn.stack_truth, changes=SMALL, runs=tmp_path)
    out = synthesize(3, run=run.folder, out=tmp_path / "out")
    scene = open_scenes(out / "sample_000000.tif")[0]
    assert [c.name for c in scene.channels] == list(phantoms.BANDS)
    assert scene.dtype == "uint16" and scene.grid.spacing[1:] == (10.0, 10.0)
    refused = augmentor("synthesize", "--n", 3, "--run", run.folder, "--format", "dicom")
    assert refused.exit_code == 2 and refused.stderr.splitlines()[-1].endswith("are no medical image; use geotiff")


class Stopped(Exception):
    """Stands for a power cut."""


LEARNERS: list[tuple[str, Callable[[phantoms.Phantoms], dict[str, Any]], type, str, int]] = [
    ("make", lambda d: {"recipe": "chest_xray", "data": d.chest, "changes": CHEST}, Game, "autoencode", 11),
    ("make", lambda d: {"recipe": "chest_xray", "data": d.chest, "changes": CHEST}, Game, "play", 5),
    ("fill", lambda d: {"recipe": "ct_missing_slices", "data": d.ct, "changes": SMALL}, Corrector, "step", 30),
]


@pytest.mark.parametrize(("kind", "arguments", "owner", "method", "calls"), LEARNERS)
def test_a_resumed_run_equals_one_that_never_stopped(
    drawn: phantoms.Phantoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    arguments: Callable[[phantoms.Phantoms], dict[str, Any]],
    owner: type,
    method: str,
    calls: int,
) -> None:
    given = arguments(drawn)
    whole = train(**given, runs=tmp_path / "whole")
    original, left = getattr(owner, method), [calls]

    def falter(self: Any, *rest: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return original(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, falter)
        with pytest.raises(Stopped):
            train(**given, runs=tmp_path / "torn")
    resumed = train(runs=tmp_path / "torn", resume=True)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()


@pytest.fixture(scope="session")
def fill_run(drawn: phantoms.Phantoms, runs: Path) -> Run:
    return train("ct_missing_slices", data=drawn.ct_truth, changes=SMALL, runs=runs / "fill")


@pytest.mark.parametrize("adapting", [False, True])
@pytest.mark.parametrize("with_run", [False, True])
def test_missing_slices_are_rebuilt_and_the_rest_is_untouched(
    drawn: phantoms.Phantoms, fill_run: Run, tmp_path: Path, with_run: bool, adapting: bool
) -> None:
    runs = fill_run.folder.parent if with_run else tmp_path / "none"
    filled = fill(drawn.ct, tmp_path / "out", runs=runs, adapting=adapting, tiles=64)
    assert (fill_run.name in filled.method) == with_run
    assert ("learned on the scene itself" in filled.method) == adapting
    before, after = open_scenes(drawn.ct)[0], open_scenes(tmp_path / "out")[0]
    assert after.missing() == () and after.shape == before.shape
    hole = find(before, None)[0](before.plane)
    old, new = before.read(0, before.shape[1]), after.read(0, after.shape[1])
    np.testing.assert_array_equal(new.values[~hole], old.values[~hole])
    truth = open_scenes(drawn.ct_truth)[0].read(0, before.shape[1]).values
    assert np.abs(new.values - truth)[hole].mean() < 40
    low, high = (open_scenes(tmp_path / f"out_{name}")[0].read(0, before.shape[1]).values for name in ("low", "high"))
    assert (low <= new.values).all() and (new.values <= high).all()
    np.testing.assert_array_equal(low[~hole], old.values[~hole])
    np.testing.assert_array_equal(high[~hole], old.values[~hole])
    assert (high - low)[hole].mean() > 1
    assert filled.expected_error.endswith("HU (root mean square, by hiding observed pixels)")


def test_blank_slices_of_a_volume_are_rebuilt(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    filled = fill(drawn.mr, tmp_path / "out.nii.gz", prior_only=True)
    assert open_scenes(filled.files[0])[0].missing() == ()
    assert filled.holes.startswith("5 missing slices")


def test_clouds_go_and_clear_pixels_stay(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    result = augmentor(
        "fill", drawn.stack, "--mask", drawn.clouds, "-o", tmp_path / "out", "--runs", tmp_path / "none", "--no-adapt"
    )
    assert result.exit_code == 0, result.output
    assert "no trained run" in result.output
    before = open_scenes(drawn.stack)[0]
    after = next(s for s in open_scenes(tmp_path / "out") if s.shape == before.shape)
    hole = find(before, drawn.clouds)[0](before.plane)
    old, new = before.read(0, before.shape[1]), after.read(0, after.shape[1])
    np.testing.assert_array_equal(new.values[~hole], old.values[~hole])
    np.testing.assert_array_equal(new.valid | hole, old.valid | hole)
    assert new.valid[hole].all()
    truth = open_scenes(drawn.stack_truth)[0].read(0, before.shape[1]).values
    assert np.abs(new.values - truth)[hole].mean() < np.abs(old.values - truth)[hole].mean() / 5


def test_one_date_alone_is_filled_from_its_surroundings(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    scene, mask = sorted(drawn.stack.glob("*.tif"))[1], sorted(drawn.clouds.glob("*.tif"))[1]
    filled = fill(scene, tmp_path / "out.tif", mask=mask, prior_only=True)
    assert "harmonic" in filled.method
    assert filled.pixels == int(open_scenes(mask)[0].read(0, 1).values.sum())


def test_a_file_larger_than_a_block_has_no_seams(drawn: phantoms.Phantoms, monkeypatch: Any, tmp_path: Path) -> None:
    whole = fill(drawn.ct, tmp_path / "whole", prior_only=True)
    monkeypatch.setattr(sys.modules["augmentor.filling.blocks"], "SIDES", (24, 24))
    blocks = fill(drawn.ct, tmp_path / "blocks", prior_only=True)
    images = [[path for path in filled.files if path.suffix == ".dcm"] for filled in (whole, blocks)]
    for a, b in zip(*images, strict=True):
        assert np.array_equal(pydicom.dcmread(a).pixel_array, pydicom.dcmread(b).pixel_array)


def test_one_of_several_scenes_is_named(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    for patient in ("a", "b"):
        shutil.copytree(drawn.ct, tmp_path / "in" / patient)
    result = augmentor("fill", tmp_path / "in" / "a", "--prior-only", "-o", tmp_path / "alone")
    assert result.exit_code == 0, result.output
    rasters = tmp_path / "rasters"
    for number, path in enumerate(sorted(drawn.stack.glob("*.tif"))[:2]):
        rasters.mkdir(exist_ok=True)
        (rasters / f"scene{number}.tif").write_bytes(path.read_bytes())
    (rasters / "mask.tif").write_bytes(sorted(drawn.clouds.glob("*.tif"))[1].read_bytes())
    words = ["fill", rasters, "--mask", rasters / "mask.tif", "--prior-only", "-o", tmp_path / "out.tif"]
    refused = augmentor(*words)
    assert refused.exit_code == 2 and "--scene" in refused.output and "scene1" in refused.output
    result = augmentor(*words, "--scene", "scene1")
    assert result.exit_code == 0, result.output
    refused = augmentor(*words[:-1], tmp_path / "other.tif", "--scene", "gone")
    assert refused.exit_code == 2 and "scene1" in refused.output


def test_fill_never_writes_over_anything(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(OutputInTheWay):
        fill(drawn.ct, tmp_path / "out")
    with pytest.raises(NothingToFill):
        fill(drawn.ct_truth, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.fixture
def archive() -> Iterator[tuple[str, list[str]]]:
    """The address of a PACS, and the SOPInstanceUIDs of what arrives there."""
    arrived: list[str] = []

    def keep(event: Any) -> int:
        arrived.append(str(event.dataset.SOPInstanceUID))
        return 0x0000

    server = AE(ae_title="ARCHIVE")
    for context in (*AllStoragePresentationContexts, *VerificationPresentationContexts):
        server.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    handlers: list[Any] = [(evt.EVT_C_STORE, keep), (evt.EVT_C_ECHO, lambda event: 0x0000)]
    running = server.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    yield f"127.0.0.1:{running.server_address[1]}/ARCHIVE", arrived
    running.shutdown()


def identities(*paths: Path) -> list[str]:
    return sorted(str(pydicom.dcmread(path).SOPInstanceUID) for path in paths)


def test_samples_and_filled_series_arrive_at_an_archive(
    chest: Run, drawn: phantoms.Phantoms, tmp_path: Path, archive: tuple[str, list[str]]
) -> None:
    address, arrived = archive
    words = ["--run", chest.folder, "-o", tmp_path / "samples", "--compress", "rle", "--to-pacs", address]
    result = augmentor("synthesize", "--n", 5, *words)
    assert result.exit_code == 0, result.output
    assert sorted(arrived) == identities(*(tmp_path / "samples").glob("*.dcm")) and len(arrived) == 5
    arrived.clear()
    result = augmentor("fill", drawn.ct, "-o", tmp_path / "filled", "--prior-only", "--to-pacs", address)
    assert result.exit_code == 0, result.output
    assert sorted(arrived) == identities(*(tmp_path / "filled").iterdir(), tmp_path / "filled_made.dcm")


def test_what_lies_in_a_folder_is_sent_as_it_is(
    drawn: phantoms.Phantoms, tmp_path: Path, archive: tuple[str, list[str]]
) -> None:
    address, arrived = archive
    result = augmentor("send", drawn.ct, "--to-pacs", address)
    assert result.exit_code == 0, result.output
    assert sorted(arrived) == identities(*drawn.ct.glob("*.dcm"))


def test_a_filled_stack_is_described_date_by_date(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    words = ["--mask", drawn.clouds, "-o", tmp_path / "out", "--prior-only", "--cog", "--stac"]
    result = augmentor("fill", drawn.stack, *words)
    assert result.exit_code == 0, result.output
    images = [path for path in (tmp_path / "out").glob("*.tif") if not path.stem.endswith("_made")]
    assert len(images) == open_scenes(drawn.stack)[0].shape[1]
    for path, day in zip(sorted(images), open_scenes(drawn.stack)[0].dates, strict=True):
        item = json.loads(path.with_suffix(".stac.json").read_text())
        assert item["properties"]["datetime"].startswith(day)
        with rasterio.open(path) as data:
            assert data.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_a_mask_of_classes_hides_what_they_say(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    scene, mask = sorted(drawn.stack.glob("*.tif"))[1], sorted(drawn.clouds.glob("*.tif"))[1]
    classes = tmp_path / "classes.tif"
    classes.write_bytes(mask.read_bytes())
    with rasterio.open(classes, "r+") as data:
        hidden = data.read() > 0
        data.write(np.where(hidden, 9, 4).astype(data.dtypes[0]))
    words = ["--mask", classes, "--mask-means", "scl", "--prior-only", "-o"]
    assert augmentor("fill", scene, *words, tmp_path / "out.tif").exit_code == 0
    with rasterio.open(tmp_path / "out_made.tif") as made:
        assert np.array_equal(made.read() > 0, hidden)


def bad_recipe(folder: Path) -> Path:
    path = folder / "bad.yaml"
    path.write_text("name: bad\ntiles:\n  sise: [32, 32]\n")
    return path


def unlabelled(drawn: phantoms.Phantoms, folder: Path) -> Path:
    for path in sorted(drawn.chest.glob("*.dcm"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "labels.csv").write_text("file,finding,patient\nradiograph_0000.dcm,clear,a\ngone.dcm,clear,b\n")
    return folder


def doubled(drawn: phantoms.Phantoms, folder: Path) -> Path:
    for path in drawn.ct.glob("*.dcm"):
        shutil.copy(path, folder / path.name)
    shutil.copy(sorted(drawn.ct.glob("*.dcm"))[0], folder / "again.dcm")
    return folder


def text_as_dicom(folder: Path) -> Path:
    (folder / "note.dcm").write_text("this is a text\n")
    return folder


def first(folder: Path) -> Path:
    return sorted(folder.glob("*.tif"))[0]


def all_ones(drawn: phantoms.Phantoms, folder: Path) -> Path:
    path = folder / "mask.tif"
    path.write_bytes(first(drawn.clouds).read_bytes())
    with rasterio.open(path, "r+") as data:
        data.write(np.ones_like(data.read()))
    return path


def truncated(drawn: phantoms.Phantoms, folder: Path) -> Path:
    source = sorted(drawn.chest.glob("*.dcm"))[0]
    (folder / "short.dcm").write_bytes(source.read_bytes()[:-500])
    return folder


def full(folder: Path) -> Path:
    (folder / "mine.txt").write_text("mine")
    return folder


BAD: list[tuple[str, Callable[[phantoms.Phantoms, Path, Path], list[object]], str]] = [
    ("empty folder", lambda d, r, t: ["inspect", t], "NothingFound"),
    ("no such path", lambda d, r, t: ["inspect", t / "gone"], "NothingFound"),
    ("text named .dcm", lambda d, r, t: ["inspect", text_as_dicom(t)], "NotThisFormat"),
    ("truncated", lambda d, r, t: ["train", "satellite_tiles", "--data", truncated(d, t), *sized(t)], "BrokenFile"),
    ("typo in recipe", lambda d, r, t: ["train", bad_recipe(t), "--data", d.chest, *sized(t)], "RecipeError"),
    ("no such recipe", lambda d, r, t: ["train", "chest_xry", "--data", d.chest], "RecipeError"),
    ("no recipe", lambda d, r, t: ["train"], "RecipeError"),
    ("no data", lambda d, r, t: ["train", "chest_xray", *sized(t)], "RecipeError"),
    (
        "labels miss images",
        lambda d, r, t: ["train", "chest_xray", "--data", unlabelled(d, t), *named(t)],
        "LabelError",
    ),
    ("no such column", lambda d, r, t: ["train", "chest_xray", "--data", d.chest, *sized(t)], "LabelError"),
    ("no run yet", lambda d, r, t: ["synthesize", "--n", 3, "--runs", t], "NoRun"),
    ("nothing to resume", lambda d, r, t: ["train", "--resume", "--runs", t], "NoRun"),
    ("recipe to go on", lambda d, r, t: ["train", "chest_xray", "--runs", r, "--resume"], "RecipeError"),
    ("data to go on", lambda d, r, t: ["train", "--resume", "--data", d.chest, "--runs", r], "RecipeError"),
    ("masks to go on", lambda d, r, t: ["train", "--resume", "--masks", d.clouds, "--runs", r], "RecipeError"),
    ("changes to go on", lambda d, r, t: ["train", "--resume", "--set", "game.images=9", "--runs", r], "RecipeError"),
    ("another run to go on", lambda d, r, t: ["train", "--resume", "--from", "a", "--runs", r], "RecipeError"),
    ("full output", lambda d, r, t: ["synthesize", "--n", 3, "--runs", r, "-o", full(t)], "OutputInTheWay"),
    ("wrong format", lambda d, r, t: ["synthesize", "--n", 3, "--runs", r, "--format", "geotiff"], "Unwritable"),
    (
        "wrong value",
        lambda d, r, t: ["synthesize", "--n", 3, "--runs", r, "--condition", "finding=x"],
        "WrongCondition",
    ),
    ("wrong name", lambda d, r, t: ["synthesize", "--n", 3, "--runs", r, "--condition", "age=7"], "WrongCondition"),
    ("no equals", lambda d, r, t: ["synthesize", "--n", 3, "--runs", r, "--condition", "age"], "WrongCondition"),
    ("nothing missing", lambda d, r, t: ["fill", d.ct_truth, "-o", t / "out"], "NothingToFill"),
    (
        "all hole",
        lambda d, r, t: ["fill", first(d.clouds), "--mask", all_ones(d, t), "-o", t / "out"],
        "TooLittleContext",
    ),
    ("many scenes", lambda d, r, t: ["fill", d.chest, "-o", t / "out"], "NothingToFill"),
    ("mask of another grid", lambda d, r, t: ["fill", d.stack, "--mask", d.mr, "-o", t / "out"], "GridMismatch"),
    ("no such layer", lambda d, r, t: ["fill", d.stack, "--mask", "scl", "-o", t / "out"], "UnclearMask"),
    (
        "no such meaning",
        lambda d, r, t: ["fill", d.stack, "--mask", d.clouds, "--mask-means", "fog", "-o", t / "out"],
        "UnclearMask",
    ),
    ("a wish of another format", lambda d, r, t: ["synthesize", "--n", 3, "--runs", r, "--cog"], "Unwritable"),
    ("a wish of another format, filled", lambda d, r, t: ["fill", d.mr, "-o", t / "o.nii", "--stac"], "Unwritable"),
    ("no address", lambda d, r, t: ["synthesize", "--n", 3, "--runs", r, "--to-pacs", "archive"], "NotDelivered"),
    ("nobody there", lambda d, r, t: ["fill", d.ct, "-o", t / "o", "--to-pacs", "127.0.0.1:1/AET"], "NotDelivered"),
    ("nowhere to send", lambda d, r, t: ["send", d.ct], "NotDelivered"),
    ("nothing to send", lambda d, r, t: ["send", d.stack, "--to-pacs", "127.0.0.1:1/AET"], "NothingFound"),
    ("no service", lambda d, r, t: ["fill", d.ct, "-o", t / "o", "--to-dicomweb", "nonsense"], "NotDelivered"),
    ("doubled volume", lambda d, r, t: ["ingest", "ct_volume", "--data", doubled(d, t)], "DuplicatePositions"),
    ("into the source", lambda d, r, t: ["fill", d.ct, "-o", d.ct / "out"], "OutputInTheWay"),
    ("tile does not fit", lambda d, r, t: ["train", "chest_xray", "--data", d.chest, *odd(t)], "RunError"),
]


def sized(folder: Path) -> list[object]:
    return ["--runs", folder / "runs", *(word for change in SMALL for word in ("--set", change))]


def named(folder: Path) -> list[object]:
    return ["--runs", folder / "runs", *(word for change in CHEST for word in ("--set", change))]


def odd(folder: Path) -> list[object]:
    return [*named(folder), "--set", "tiles.size=[30,32]"]


@pytest.mark.parametrize(("case", "words", "error"), BAD, ids=[case for case, _, _ in BAD])
def test_bad_input_is_one_line_of_its_own_type(
    case: str,
    words: Callable[[phantoms.Phantoms, Path, Path], list[object]],
    error: str,
    drawn: phantoms.Phantoms,
    chest: Run,
    runs: Path,
    tmp_path: Path,
) -> None:
    result = augmentor(*words(drawn, runs, tmp_path))
    said = result.stderr.splitlines()
    assert result.exit_code == 2, result.output
    assert said[-1].startswith(f"{error}: ") and ";" in said[-1]
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "runs").glob("*-0*")), "a run was begun"


def test_a_gpu_that_is_not_there_is_named(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = augmentor("train", "chest_xray", "--data", drawn.chest, *named(tmp_path), "--set", "game.device=cuda")
    assert result.exit_code == 2 and result.stderr.startswith("DeviceMissing: ")
    assert not (tmp_path / "runs").exists()


def test_recipes_are_listed_and_shown() -> None:
    listed = augmentor("recipes")
    assert listed.exit_code == 0 and len(listed.output.splitlines()) == len(shipped())
    assert "name: chest_xray" in augmentor("recipes", "chest_xray").output


def test_inspect_says_what_is_there(drawn: phantoms.Phantoms) -> None:
    assert "missing slices: 5, 11, 17, 23, 29" in augmentor("inspect", drawn.ct).output
    assert "40 dicom image" in augmentor("inspect", drawn.chest).output
    assert "finding: 20 clear, 20 opacity" in augmentor("inspect", drawn.chest).output
    assert "8 dates" in augmentor("inspect", drawn.stack).output
