"""A file says which run made it and whether it was changed since, alone and beside the others of its folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import rasterio
from click.testing import CliRunner, Result
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from augmentor import fill, synthesize, train, verify
from augmentor.cli import main
from augmentor.run import Run
from augmentor.verify import Verdict
from augmentor.verifying.observed import observed
from augmentor.viewing.beside import Filled, record_of_fill
from data_adapters import Delivery, open_scenes, phantoms
from data_adapters.errors import NotDelivered
from data_adapters.fixity import pixel_digest
from data_adapters.sums import SUMS, Sums, read

FORMATS = ("dicom", "nifti", "png")
TRAINED = ("conditions.finding.column=finding", "data.group=patient", "tiles.size=[32,32]", "game.images=64",
           "game.checkpoint_every=64")  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(drawn: phantoms.Phantoms, runs: Path) -> Run:
    return train("chest_xray", data=drawn.chest, changes=TRAINED, runs=runs)


@pytest.fixture(scope="module")
def samples(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three samples in a folder a format; tests copy what they change."""
    place = tmp_path_factory.mktemp("samples")
    return {form: synthesize(3, run=run.folder, format=form, seed=5, out=place / form) for form in FORMATS}


def sample(folder: Path, number: int = 1) -> Path:
    return next(path for path in sorted(folder.iterdir()) if path.name.startswith(f"sample_{number:06d}."))


def one(path: Path, runs: Path, *, remake: bool = False) -> Verdict:
    (verdict,) = verify(path, runs=runs, remake=remake)
    return verdict


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def coreutils_agree(sums: Path) -> None:
    """Where they are installed."""
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", sums.name], cwd=sums.parent, check=True)


def brighter(path: Path) -> None:
    """A pixel changed by one count, and nothing else."""
    if path.suffix == ".dcm":
        dataset = pydicom.dcmread(path)
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            dataset.decompress(generate_instance_uid=False)
        words = dataset.pixel_array.copy()
        words[3, 4] ^= 1
        dataset.PixelData = words.tobytes()
        dataset.save_as(path)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            values, said = np.array(image), image.info["Provenance"]
        values[3, 4] ^= 1
        notes = PngInfo()
        notes.add_itxt("Provenance", said)
        Image.fromarray(values).save(path, pnginfo=notes)
    else:
        image = nibabel.load(path)
        raw = image.dataobj.get_unscaled().copy()
        raw[3, 4, 0] ^= 1
        other = nibabel.Nifti1Image(raw, None, image.header)
        other.header.set_slope_inter(*image.header.get_slope_inter())
        other.to_filename(path)


def renamed(path: Path) -> None:
    """A word of the header changed, and no pixel."""
    if path.suffix == ".dcm":
        dataset = pydicom.dcmread(path)
        dataset.PatientName = "Somebody^Else"
        dataset.save_as(path)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            notes = PngInfo()
            notes.add_itxt("Provenance", image.info["Provenance"])
            notes.add_itxt("Author", "Somebody else")
            image.save(path, pnginfo=notes)
    else:
        image = nibabel.load(path)
        raw = image.dataobj.get_unscaled().copy()
        other = nibabel.Nifti1Image(raw, None, image.header)
        other.header.set_slope_inter(*image.header.get_slope_inter())
        other.header["aux_file"] = b"else"
        other.to_filename(path)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def untouched(path: Path) -> None:
    pass


def gone(path: Path) -> None:
    path.unlink()


CHANGES = {
    "unchanged": untouched, "pixels changed since": brighter, "header changed since": renamed, "missing": gone,
    "changed since": emptied,
}  # fmt: skip


@pytest.mark.parametrize("word", CHANGES)
@pytest.mark.parametrize("form", FORMATS)
def test_what_was_done_to_a_file_is_told(
    samples: dict[str, Path], runs: Path, tmp_path: Path, form: str, word: str
) -> None:
    folder = tmp_path / form
    shutil.copytree(samples[form], folder)
    path = sample(folder)
    CHANGES[word](path)
    verdict = one(path, runs)
    assert verdict.word == word and verdict.fine == (word == "unchanged")
    others = [v for v in verify(folder, runs=runs) if v.file != path]
    assert {v.word for v in others} == {"unchanged"} and len(others) == 5


@pytest.mark.parametrize("form", FORMATS)
def test_a_lone_file_tells_its_pixels_apart_and_not_its_header(
    samples: dict[str, Path], runs: Path, run: Run, tmp_path: Path, form: str
) -> None:
    path = Path(shutil.copy(sample(samples[form]), tmp_path))
    words = []
    for change in (untouched, renamed, brighter):
        change(path)
        words.append(one(path, runs).word)
    assert words == ["pixels unchanged", "pixels unchanged", "pixels changed since"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_torn_file_is_never_unchanged(samples: dict[str, Path], runs: Path, tmp_path: Path, form: str) -> None:
    folder = tmp_path / form
    shutil.copytree(samples[form], folder)
    torn(sample(folder))
    assert one(sample(folder), runs).word in ("pixels changed since", "changed since")


def test_the_verdict_names_run_checkpoint_recipe_seed_and_sample(
    samples: dict[str, Path], runs: Path, run: Run
) -> None:
    digests = f"(checkpoint {run.checkpoint_digest()[:8]}…, recipe {run.recipe.digest()[:8]}…)"
    for form in FORMATS:
        said = str(one(sample(samples[form], 2), runs))
        assert said.startswith("made by augmentor ")
        assert said.endswith(f", run {run.name} {digests}, seed 5, sample 2: unchanged")
        elsewhere = str(one(sample(samples[form], 2), runs / "nowhere"))
        assert f"run not found under {runs / 'nowhere'}/ {digests}" in elsewhere


def test_what_others_made_is_not_ours_even_where_sums_name_it(
    drawn: phantoms.Phantoms, runs: Path, tmp_path: Path
) -> None:
    theirs = Path(shutil.copy(drawn.mr, tmp_path))
    Sums(tmp_path / SUMS).finish([theirs])
    text = tmp_path / "notes.txt"
    text.write_text("nothing of ours")
    assert [one(path, runs).word for path in (theirs, text)] == ["not made by augmentor"] * 2


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_draws_its_samples_again(samples: dict[str, Path], runs: Path, tmp_path: Path, form: str) -> None:
    assert {v.again for v in verify(*sorted(samples[form].glob("sample_*")), runs=runs, remake=True)} == {
        "drawn again, equal"
    }
    lone = Path(shutil.copy(sample(samples[form]), tmp_path))
    assert one(lone, runs, remake=True).again == "drawn again, equal"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that makes a label map beside every image."""
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for place in ("images", "maps"):
        (folder / place).mkdir()
    for number in range(16):
        inside = random.random((16, 16)) < 0.7
        Image.fromarray(np.where(inside, 200, 40).astype(np.uint8)).save(folder / f"images/a{number:02d}.png")
        Image.fromarray(inside.astype(np.uint8) * 7).save(folder / f"maps/a{number:02d}_seg.png")
    changes = ("tiles.size=[16,16]", "game.images=64", "tiles.held_out=0.2", "data.labels=null", "data.group=null",
               "conditions={}", f"segmentation.path={folder / 'maps'}")  # fmt: skip
    return train("chest_xray", data=folder / "images", changes=changes, runs=folder / "runs")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("volumes")
    for seed in range(2):
        phantoms.write_ct(folder / f"patient{seed}", phantoms.ct_volume(seed, 32, 16), seed)
    changes = ("tiles.size=[8,16,16]", "game.images=16", "game.batch=8")
    return train("ct_volume", data=folder, changes=changes, runs=folder / "runs")


@pytest.mark.parametrize(("made_by", "form", "files"), [
    ("labelled", "png", 4), ("labelled", "dicom", 4), ("volumes", "dicom", 16), ("volumes", "nifti", 2),
])  # fmt: skip
def test_every_slice_and_label_map_is_drawn_again(
    request: pytest.FixtureRequest, tmp_path: Path, made_by: str, form: str, files: int
) -> None:
    run: Run = request.getfixturevalue(made_by)
    folder = synthesize(2, run=run.folder, format=form, out=tmp_path / "out")
    verdicts = verify(folder, runs=run.folder.parent, remake=True)
    assert {verdict.word for verdict in verdicts} == {"unchanged"}
    parts = [verdict for verdict in verdicts if "sample_" in str(verdict.file.relative_to(folder))]
    assert len(parts) == files and {verdict.again for verdict in parts} == {"drawn again, equal"}


def test_a_forged_digest_is_told_by_drawing_again(samples: dict[str, Path], runs: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(sample(samples["png"]), tmp_path))
    brighter(path)
    with Image.open(path) as image:
        record = json.loads(image.info["Provenance"]) | {"pixels_sha256": pixel_digest(path)}
        notes = PngInfo()
        notes.add_itxt("Provenance", json.dumps(record))
        image.save(path, pnginfo=notes)
    assert one(path, runs).fine
    verdict = one(path, runs, remake=True)
    assert not verdict.fine and verdict.again == "drawn again, other pixels"


def test_conditions_and_guidance_are_asked_for_again(run: Run, runs: Path, tmp_path: Path) -> None:
    folder = synthesize(
        2, run=run.folder, condition={"finding": "opacity"}, guidance=2.0, format="dicom", out=tmp_path / "asked"
    )
    assert all(v.again == "drawn again, equal" for v in verify(*folder.glob("*.dcm"), runs=runs, remake=True))
    other = synthesize(2, run=run.folder, condition={"finding": "clear"}, format="dicom", out=tmp_path / "other")
    uids = [pydicom.dcmread(sample(place)).SOPInstanceUID for place in (folder, other)]
    assert uids[0] != uids[1], "other pixels are another object"


def test_the_command_says_a_line_a_file_and_ends_with_a_code(
    samples: dict[str, Path], runs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "png"
    shutil.copytree(samples["png"], folder)
    fine = augmentor("verify", folder, "--runs", runs)
    assert fine.exit_code == 0 and fine.stdout.splitlines()[-1] == "6 files: 6 unchanged"
    brighter(sample(folder))
    bad = augmentor("verify", folder, "--runs", runs)
    assert bad.exit_code == 1 and bad.stdout.splitlines()[-1] == "6 files: 5 unchanged; 1 pixels changed since"
    records = json.loads(augmentor("verify", "--json", folder, "--runs", runs).stdout)["files"]
    assert [record["file"] for record in records if not record["fine"]] == [str(sample(folder))]
    assert all(len(record["made"]["checkpoint"]) == 64 for record in records)
    assert augmentor("verify", tmp_path / "nowhere").exit_code == 2


def interrupted(run: Run, out: Path) -> None:
    """Samples of which the second was being told of when the work was broken off."""
    synthesize(2, run=run.folder, format="dicom", seed=5, out=out)
    labels = out / "labels.csv"
    labels.write_text(labels.read_text()[:-4])
    (out / "contact_sheet.png").unlink()


@pytest.mark.parametrize("deliver", [Delivery(), Delivery(compress="rle")], ids=["plain", "compressed"])
def test_sums_are_byte_for_byte_those_of_a_work_that_was_never_interrupted(
    run: Run, runs: Path, tmp_path: Path, deliver: Delivery
) -> None:
    once, halting = tmp_path / "once", tmp_path / "halting"
    interrupted(run, halting)
    for out in (once, halting):
        synthesize(3, run=run.folder, format="dicom", seed=5, out=out, deliver=deliver)
    assert (once / SUMS).read_bytes() == (halting / SUMS).read_bytes()
    assert set(read(once / SUMS)) == {path.name for path in once.iterdir()} - {SUMS}
    assert all(verdict.fine for out in (once, halting) for verdict in verify(out, runs=runs, remake=True))
    coreutils_agree(halting / SUMS)


def test_more_samples_add_to_the_sums(run: Run, samples: dict[str, Path], tmp_path: Path) -> None:
    for count in (1, 3):
        synthesize(count, run=run.folder, format="dicom", seed=5, out=tmp_path / "dicom")
    assert (tmp_path / "dicom" / SUMS).read_bytes() == (samples["dicom"] / SUMS).read_bytes()


def test_sums_are_right_where_sending_failed(
    run: Run, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Delivery, files: object, day: str = "") -> list[Path]:
        Delivery(compress="rle")(files)  # type: ignore[arg-type]
        raise NotDelivered("nobody takes it")

    class Refused(Delivery):
        __call__ = refuse

    with pytest.raises(NotDelivered):
        synthesize(2, run=run.folder, format="dicom", out=tmp_path / "s", deliver=Refused(compress="rle"))
    assert all(verdict.fine for verdict in verify(tmp_path / "s", runs=runs))


Filling = Callable[[phantoms.Phantoms, Path], Path]


def filled_series(drawn: phantoms.Phantoms, place: Path) -> Path:
    fill(drawn.ct, place / "ct", prior_only=True, deliver=Delivery(compress="jpeg-ls"))
    return place / "ct" / "slice_0005.dcm"


def filled_volume(drawn: phantoms.Phantoms, place: Path) -> Path:
    fill(drawn.mr, place / "mr.nii.gz", prior_only=True)
    return place / "mr.nii.gz"


def filled_stack(drawn: phantoms.Phantoms, place: Path) -> Path:
    fill(drawn.stack, place / "stack", mask=drawn.clouds, prior_only=True, deliver=Delivery(cog=True))
    return next(iter(sorted((place / "stack").glob("*_made.tif"))))


@pytest.mark.parametrize("filling", [filled_series, filled_volume, filled_stack])
def test_all_that_fill_writes_is_named_and_every_image_speaks_for_itself(
    drawn: phantoms.Phantoms, tmp_path: Path, filling: Filling
) -> None:
    path = filling(drawn, tmp_path)
    verdicts = verify(tmp_path)
    assert {verdict.word for verdict in verdicts} == {"unchanged"}
    (sums,) = tmp_path.glob("*.sha256")
    assert set(read(sums)) == {v.file.relative_to(tmp_path).as_posix() for v in verdicts}
    coreutils_agree(sums)
    lone = tmp_path / "elsewhere" / path.name
    lone.parent.mkdir()
    shutil.copy(path, lone)
    verdict = one(lone, tmp_path)
    assert verdict.word == "pixels unchanged" and ", by " in str(verdict)
    if path.suffix == ".tif":
        with rasterio.open(lone, "r+") as data:
            data.write(1 - np.minimum(data.read(1), 1), 1)
    else:
        brighter(lone)
    assert one(lone, tmp_path).word == "pixels changed since"


SOURCES = {filled_series: "ct", filled_volume: "mr", filled_stack: "stack"}


@pytest.mark.parametrize("filling", SOURCES)
def test_what_was_observed_is_still_the_sources(drawn: phantoms.Phantoms, tmp_path: Path, filling: Filling) -> None:
    filling(drawn, tmp_path)
    source = getattr(drawn, SOURCES[filling])
    result = tmp_path / source.name
    fine = augmentor("verify", result, "--source", source)
    assert fine.exit_code == 0 and fine.stdout.splitlines()[-1].endswith("pixels were made")
    low = result.with_name(result.name.replace("mr.", "mr_low.") if result.is_file() else f"{result.name}_low")
    assert observed(low, source).fine


def test_a_changed_observed_pixel_is_found_by_the_source_alone(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    path = filled_volume(drawn, tmp_path)
    before = observed(path, drawn.mr)
    brighter(path)
    after = observed(path, drawn.mr)
    assert (before.changed, after.changed) == (0, 1) and after.kept == before.kept - 1
    assert augmentor("verify", path, "--source", drawn.mr).exit_code == 1
    assert augmentor("verify", path, "--source", drawn.ct).exit_code == 2


def test_the_side_car_names_the_source_by_its_digest(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    filled_volume(drawn, tmp_path)
    said = json.loads((tmp_path / "mr.nii.gz.json").read_text())["sources"]
    assert said == {"mr.nii.gz": hashlib.sha256(drawn.mr.read_bytes()).hexdigest()}


def test_equal_commands_give_equal_sums(drawn: phantoms.Phantoms, tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        filled_series(drawn, tmp_path / place)
    assert (tmp_path / "a" / "ct.sha256").read_bytes() == (tmp_path / "b" / "ct.sha256").read_bytes()


@pytest.mark.parametrize(
    ("source", "name"),
    [("mr", "o.v2.nii.gz"), ("mr", "o.v2.nii"), ("ct", "series.v2"), ("scene", "s.2023.tif"), ("scene", "s.tiff")],
)
def test_whatever_a_result_is_called_what_lies_beside_it_is_found(
    drawn: phantoms.Phantoms, tmp_path: Path, source: str, name: str
) -> None:
    # The cloudiest date.
    number = int(np.argmax([rasterio.open(cover).read().mean() for cover in sorted(drawn.clouds.glob("*.tif"))]))
    one_date, clouds = (sorted(folder.glob("*.tif"))[number] for folder in (drawn.stack, drawn.clouds))
    path, mask = (one_date, clouds) if source == "scene" else (getattr(drawn, source), None)
    result = tmp_path / name
    fill(path, result, mask=mask, prior_only=True)
    held = observed(result, path)
    assert held.fine and held.made > 0
    (scene,) = (s for s in open_scenes(result) if s.shape[0] == open_scenes(path)[0].shape[0])
    record = record_of_fill(result)
    assert record is not None
    roles = [layer.role for layer in Filled(result, scene, record, path).layers()]
    assert roles == ["before", "made", "spread"]
