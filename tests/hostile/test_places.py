"""Names and places as no one would choose them: what is no file is passed over, and what has an odd name is read."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from nibabel.nifti1 import Nifti1Image
from PIL import Image

from augmentor import labels
from augmentor.cli import main
from augmentor.errors import LabelError, OutputInTheWay
from augmentor.fill import fill
from augmentor.inspect import inspect
from benchmarks.fuzz_seeds import CT, WHO, smooth
from data_adapters import adapter, open_scenes, scan
from data_adapters.errors import BrokenFile, NothingFound, SystemRefused, printable

ROOT = Path(__file__).parents[2]


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def picture(path: Path, *, mask: bool = False) -> Path:
    """A gray ramp, or a mask of a hole in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    hole = np.zeros((48, 48), np.uint8)
    hole[20:26, 20:26] = 255
    Image.fromarray(hole if mask else pixels).save(path)
    return path


def raster(path: Path) -> Path:
    """A ramp with a hole of nodata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(np.arange(1, 49, dtype=np.uint16) * 9, (1, 48, 1))
    pixels[:, 20:26, 20:26] = 0
    plain = path.with_name("plain.tif")
    with rasterio.open(
        plain, "w", driver="GTiff", width=48, height=48, count=1, dtype="uint16", nodata=0, crs="EPSG:32633",
        transform=rasterio.transform.from_origin(0, 0, 10, 10),
    ) as data:  # fmt: skip
        data.write(pixels)
    return plain.rename(path)


# What is no file


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        # The place of a socket may be some hundred bytes long at most.
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def to_its_folder(path: Path) -> None:
    path.symlink_to(".")


def to_nothing(path: Path) -> None:
    path.symlink_to("not there")


def to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES: dict[str, Callable[[Path], None]] = {
    "FIFO": fifo,
    "socket": listening,
    "link to itself": to_itself,
    "link to its folder": to_its_folder,
    "link to nothing": to_nothing,
    "link to a device": to_zeros,
}
NAMES = ("x.dcm", "x.nii", "x.nii.gz", "x.tif", "x.png", "labels.csv")
BESIDE = ("good_MTL.txt", "good.tif.msk", "good.tif.ovr", "good.tif.aux.xml", "good.tfw", "summary.txt")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_file_is_passed_over(what: str, name: str, tmp_path: Path) -> None:
    raster(tmp_path / "good.tif")
    NO_FILES[what](tmp_path / name)
    found = scan(tmp_path)
    assert [scene.name for scene in found.scenes] == ["good"]
    assert found.problems == ()
    found.scenes[0].read(0, 1)
    assert "good" in inspect(tmp_path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("name", BESIDE)
def test_what_gdal_would_wait_at_is_said(what: str, name: str, tmp_path: Path) -> None:
    """GDAL reads what lies beside an image by its name, whatever it is."""
    path = raster(tmp_path / "good.tif")
    NO_FILES[what](tmp_path / name)
    if what in ("FIFO", "link to a device"):
        with pytest.raises(BrokenFile, match="is no file"):
            open_scenes(path)
    else:
        assert open_scenes(path)[0].read(0, 1).valid.any()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("name", NAMES[:5])
def test_what_is_no_file_alone_is_nothing(what: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    NO_FILES[what](path)
    with pytest.raises(NothingFound):
        open_scenes(path)
    result = augmentor("fill", path, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [path.parent]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/null", "/dev/tty"])
def test_a_device_is_no_recipe_no_table_and_no_image(device: str) -> None:
    for words in (("inspect", device), ("ingest", device, "--data", device), ("fill", device, "-o", "/dev/null/out")):
        result = augmentor(*words)
        assert result.exit_code == 2, words
        assert len(result.stderr.strip().splitlines()) == 1


# Names

STRANGE = {
    "letters": "ünïcödé 名前 мир",
    "emoji": "🩻🛰️",
    "combining": "e\u0301e",
    "right to left": "\u202egpj",
    "space": " two  spaces ",
    "newline": "two\nlines",
    "tab": "a\tb",
    "dash": "-rf",
    "option": "--help",
    "quotes": "a'b\"c`d",
    "shell": "$(touch x);|&<>*?",
    "percent": "100%d%s%n",
    "braces": "{0}{name}",
    "backslash": "a\\b",
    "colon": "GTIFF_DIR:1:x",
    "scheme": "http:x",
    "archive": "a!b",
    "escape": "\x1b[31mred",
    "bytes": os.fsdecode(b"\xff\xfe"),
    "long": "n" * 180,
    "longer still": "名" * 60,
}


def volume(path: Path) -> Path:
    """A volume of smooth slices, one of them blank."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = smooth((12, 12, 9), 800).astype(np.int16) + 1
    pixels[:, :, 4] = 0
    Nifti1Image(pixels, np.diag([1.0, 1.0, 2.0, 1.0])).to_filename(path.with_name("plain.nii.gz"))
    return path.with_name("plain.nii.gz").rename(path)


def series(path: Path) -> Path:
    """A series of smooth slices, one of them missing."""
    files = adapter("dicom").write_sample(path, smooth((1, 9, 12, 12)), CT, WHO)
    files[4].unlink()
    return path


LAID: dict[str, Callable[[Path], Path]] = {".tif": raster, ".png": picture, ".nii.gz": volume, "": series}
"""What lays a small file or series with a hole down at a path, by what its name ends in."""


@pytest.mark.parametrize("suffix", LAID)
@pytest.mark.parametrize("name", STRANGE)
def test_an_odd_name_goes_in_and_comes_out(
    name: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command, by a name relative to where one is, as a person would give it."""
    named = STRANGE[name] + suffix
    given = LAID[suffix](tmp_path / "in" / named)
    mask = picture(tmp_path / "masks" / f"{STRANGE[name]}.png", mask=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    inside, out = Path("in", named), Path("out", named)
    # A single picture alone does not say where its holes are.
    masked = ["--mask", mask.relative_to(tmp_path)] if suffix == ".png" else []
    result = augmentor("fill", "--prior-only", *masked, "-o", out, "--", inside)
    if (name, suffix) == ("bytes", ".tif"):
        # GDAL's names are UTF-8.
        assert result.exit_code == 2
        assert "rename it" in result.stderr
        return
    assert result.exit_code == 0, result.output
    (before,), (after,) = open_scenes(given), open_scenes(out)
    assert after.shape == before.shape
    old, new = (scene.read(0, scene.shape[1]) for scene in (before, after))
    kept = old.valid.copy()
    if suffix == ".png":
        kept[..., 20:26, 20:26] = False
    kept[:, [slot for slot in before.missing() if suffix]] = False
    assert np.array_equal(old.values[kept], new.values[kept])
    assert new.valid.all()
    assert {path.name[: len(STRANGE[name])] for path in (tmp_path / "out").iterdir()} == {STRANGE[name]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "masks", "out"]
    said = inspect(inside)
    assert all(c.isprintable() or c in "\n" for c in said)


@pytest.mark.parametrize("verb", ["inspect", "fill", "ingest"])
@pytest.mark.parametrize("name", ["n" * 300, "a/" * 3000, os.fsdecode(b"\xff") * 200])
def test_a_name_that_no_disk_has_room_for_is_said_in_a_line(verb: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    words = {
        "inspect": ["inspect", path],
        "fill": ["fill", path, "-o", tmp_path / "out"],
        "ingest": ["ingest", "chest_xray", "--data", path, "--store", tmp_path / "store"],
    }[verb]
    result = augmentor(*words)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_an_output_that_no_disk_has_room_for_is_said_in_a_line(tmp_path: Path) -> None:
    path = raster(tmp_path / "in" / "x.tif")
    result = augmentor("fill", "--prior-only", path, "-o", tmp_path / ("n" * 251 + ".tif"))
    assert result.exit_code == 2
    assert "shorter name" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_name_of_no_encoding_is_printed(tmp_path: Path) -> None:
    """On a terminal of its own, since the runner of tests forgives more."""
    picture(tmp_path / "plain.png").rename(tmp_path / (os.fsdecode(b"\xff\xfe") + ".png"))
    process = subprocess.run(
        [sys.executable, "-c", "from augmentor.cli import main; main()", "inspect", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "\\udcff\\udcfe" in process.stdout


def test_a_terminal_is_told_nothing_that_it_would_obey() -> None:
    assert printable("\x1b[2J\x07a\u202eb\udcffc\n\u3000é名") == "\\x1b[2J\\x07a\\u202eb\\udcffc\\n\u3000é名"
    assert str(SystemRefused("a\x1b[31m", where="b\nc", do="d\x00e")) == "b c: a\\x1b[31m; d\\x00e"


# Names in files

OUTSIDE = {
    "steps back": "../outside.png",
    "further back": "images/../../outside.png",
    "from the root": "{outside}",
    "a link": "link.png",
    "a system file": "/etc/passwd",
}


@pytest.fixture
def images(tmp_path: Path) -> Iterator[Path]:
    """A folder of two images, a link to one outside, and that one."""
    folder = tmp_path / "images"
    for name in ("a.png", "b.png"):
        picture(folder / name)
    picture(tmp_path / "outside.png")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    yield folder


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_label_file_opens_nothing_beyond_the_images_found(name: str, images: Path) -> None:
    """A row that names something else is of no image; it brings none in."""
    table = images / "labels.csv"
    named = OUTSIDE[name].format(outside=images.parent / "outside.png")
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "finding"), ("a.png", "clear"), (named, "planted")])
    found = [images / "a.png", images / "b.png"]
    rows = labels.match(labels.read(table, ["finding"]), table, found)
    assert {path: row["finding"] for path, row in rows.items()} == {images / "a.png": "clear"}


@pytest.mark.parametrize("named", ["x" * 5000, "a/" * 3000 + "b.png", "a\0b", "../" * 50 + "nothing", "~/x", "."])
def test_a_label_file_with_no_name_of_a_file_is_refused(named: str, images: Path) -> None:
    table = images / "labels.csv"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "finding"), (named, "planted")])
    with pytest.raises(LabelError):
        labels.match(labels.read(table, ["finding"]), table, [images / "a.png"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file,finding\na.png,x,y\n", "longer"),
        ("file,finding\na.png\n", "shorter"),
        ("file,finding\na.png," + "x" * 200_000 + "\n", "no CSV"),
        ('file,finding\na.png,"never closed\n' + "x\n" * 100_000, "no CSV|shorter"),
        ("", "no column"),
        ("file\n", "none of"),
    ],
    ids=["longer", "shorter", "cell", "quote", "empty", "no rows"],
)
def test_a_table_that_is_none_is_refused(text: str, why: str, images: Path) -> None:
    table = images / "labels.csv"
    table.write_text(text)
    with pytest.raises(LabelError, match=why):
        labels.match(labels.read(table, []), table, [images / "a.png"])


def test_a_text_of_several_lines_is_one_cell(images: Path) -> None:
    """In quotes, with every mark that Python takes for the end of a line."""
    table = images / "labels.csv"
    said = "one\ntwo\r\nthree\x0bfour\x85five\u2028six"
    with table.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "report"), ("a.png", said)])
    assert labels.read(table, ["report"])["a.png"]["report"] == said


@pytest.mark.parametrize("suffix", [".msk", ".ovr", ".aux.xml"])
def test_a_raster_beside_another_cannot_send_gdal_elsewhere(suffix: str, tmp_path: Path) -> None:
    """What GDAL reads along may be a virtual raster, of any file and any server."""
    path = raster(tmp_path / "in" / "x.tif")
    secret = raster(tmp_path / "secret.tif")
    source = f"<SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="Byte" band="1">{source}</VRTRasterBand>'
    notes = f'<Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{secret}</MDI></Metadata>'
    planted = {
        ".aux.xml": f"<PAMDataset>{notes}</PAMDataset>",
    }.get(suffix, f'<VRTDataset rasterXSize="48" rasterYSize="48">{band}</VRTDataset>')
    path.with_name(path.name + suffix).write_text(planted)
    with pytest.raises(BrokenFile, match=r"remove it"):
        open_scenes(path)


# Nothing is overwritten


@pytest.mark.parametrize("link", ["itself", "a link", "a link through a folder", "a dangling link"])
def test_a_source_is_never_written_to(link: str, tmp_path: Path) -> None:
    path = raster(tmp_path / "in" / "x.tif")
    before = path.read_bytes()
    out = tmp_path / "out.tif"
    if link == "itself":
        out = path
    elif link == "a link":
        out.symlink_to(path)
    elif link == "a link through a folder":
        (tmp_path / "folder").symlink_to("in")
        out = tmp_path / "folder" / "x.tif"
    else:
        out.symlink_to(tmp_path / "elsewhere.tif")
    if link == "a dangling link":
        fill(path, out, prior_only=True)
        assert not (tmp_path / "elsewhere.tif").exists()
    else:
        with pytest.raises(OutputInTheWay):
            fill(path, out, prior_only=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["out.tif", "out_low.tif", "out_high.tif", "out_made.tif", "out.tif.json", "out.tif.png", "out.tif.sha256"]
)
def test_nothing_that_lies_where_filling_writes_is_written_over(tmp_path: Path, name: str) -> None:
    path = raster(tmp_path / "in" / "x.tif")
    (tmp_path / name).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputInTheWay, match=name):
        fill(path, tmp_path / "out.tif", prior_only=True)
    assert (tmp_path / name).read_text() == "mine"
    assert sorted(tmp_path.rglob("*")) == before
