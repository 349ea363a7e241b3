"""Who reads what is decided by content; what is there is said, what is not is said too."""

import gzip
import shutil

import numpy as np
import pytest
from adapter_factories import dicom_series, geotiff, nifti, noise, only, provenance, template
from PIL import Image

from data_adapters import open_scenes, registry, scan
from data_adapters.errors import BrokenFile, NothingFound, NotThisFormat, Unwritable, UserError


@pytest.fixture(scope="module")
def one_each(tmp_path_factory):
    """A small file of every format."""
    folder = tmp_path_factory.mktemp("each")
    Image.fromarray(noise((8, 9), "uint8")).save(folder / "a.png")
    Image.fromarray(noise((8, 9, 3), "uint8")).save(folder / "a.jpg")
    Image.fromarray(noise((8, 9, 3), "uint8")).save(folder / "a.bmp")
    Image.fromarray(noise((8, 9, 3), "uint8")).save(folder / "a.webp")
    return {
        "png": folder / "a.png",
        "jpg": folder / "a.jpg",
        "bmp": folder / "a.bmp",
        "webp": folder / "a.webp",
        "dicom": dicom_series(folder / "ct", noise((1, 8, 9), "uint16")) / "000.dcm",
        "nifti": nifti(folder / "a.nii", noise((4, 5, 6), "int16")),
        "nifti.gz": nifti(folder / "a.nii.gz", noise((4, 5, 6), "int16"), version=2),
        "geotiff": geotiff(folder / "a.tif"),
    }


ADAPTER = {"jpg": "png", "bmp": "png", "webp": "png", "nifti.gz": "nifti"}


@pytest.mark.parametrize("name", ["x", "x.dcm", "x.tif", "x.png", "x.nii", "x.nii.gz", "x.dat"])
@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "webp", "dicom", "nifti", "nifti.gz", "geotiff"])
def test_content_decides_whatever_the_name(one_each, tmp_path, kind, name):
    copy = shutil.copy(one_each[kind], tmp_path / name)
    scene = only(copy)
    assert scene.format == ADAPTER.get(kind, kind)
    before = only(one_each[kind])
    assert scene.shape == before.shape
    assert np.array_equal(scene.read(0, scene.shape[1]).values, before.read(0, scene.shape[1]).values)


@pytest.mark.parametrize("name", ["x.dcm", "x.nii", "x.nii.gz", "x.tif", "x.png", "x.jpeg"])
@pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 40, gzip.compress(b"text" * 99)])
def test_text_in_disguise_is_not_this_format(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotThisFormat, match="content is not"):
        open_scenes(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.csv", b"BMI,age\n22.5,40\n"),
        ("sound.wav", b"RIFF\x24\x08\x00\x00WAVEfmt " + bytes(400)),
        ("notes.txt", b"II wrote this"),
        ("README.md", b"# hello"),
        ("archive.gz", gzip.compress(b"text" * 999)),
        ("damaged.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xaa" * 500),
    ],
)
def test_other_files_are_passed_over_and_counted(one_each, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    shutil.copy(one_each["png"], tmp_path / "a.png")
    found = scan(tmp_path)
    assert len(found.scenes) == 1 and found.problems == ()
    assert found.passed_over == {(tmp_path / name).suffix: 1}


def test_a_damaged_gzip_named_nifti_is_a_problem_not_a_crash(tmp_path):
    (tmp_path / "x.nii.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xaa" * 500)
    with pytest.raises(NotThisFormat):
        open_scenes(tmp_path)


def test_an_empty_folder_holds_nothing(tmp_path):
    assert scan(tmp_path).scenes == ()
    with pytest.raises(NothingFound, match="no image"):
        open_scenes(tmp_path)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(NothingFound, match="no such"):
        scan(tmp_path / "absent")


def test_hidden_files_are_not_looked_at(one_each, tmp_path):
    (tmp_path / ".hidden").mkdir()
    shutil.copy(one_each["png"], tmp_path / ".hidden" / "a.png")
    shutil.copy(one_each["png"], tmp_path / ".a.png")
    assert scan(tmp_path) == registry.Inventory((), (), {})


def test_linked_folders_are_looked_into_once(one_each, tmp_path):
    elsewhere, data = tmp_path / "elsewhere", tmp_path / "data"
    (elsewhere / "deep").mkdir(parents=True)
    data.mkdir()
    shutil.copy(one_each["png"], elsewhere / "deep" / "a.png")
    (elsewhere / "round").symlink_to(elsewhere)
    (data / "linked.png").symlink_to(elsewhere / "deep" / "a.png")
    (data / "nowhere").symlink_to(tmp_path / "absent")
    for name in ("one", "two", ".hidden"):
        (data / name).symlink_to(elsewhere)
    assert [scene.path for scene in open_scenes(data)] == [data / "linked.png", data / "one" / "deep" / "a.png"]


def test_one_scan_finds_every_format_once(one_each):
    folder = one_each["png"].parent
    assert sorted(s.format for s in open_scenes(folder)) == sorted(ADAPTER.get(k, k) for k in one_each)


@pytest.mark.parametrize("kind", ["png", "jpg", "dicom", "nifti", "nifti.gz", "geotiff"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_broken_and_nothing_worse(one_each, tmp_path, kind, part):
    source = one_each[kind]
    content = source.read_bytes()
    (tmp_path / source.name).write_bytes(content[: int(len(content) * part)])
    whole = only(source)
    try:
        scene = only(tmp_path / source.name)
        read = scene.read(0, scene.shape[1])
    except UserError as error:
        # Cut within its header, a DICOM file may still parse but then holds no image.
        assert part < 0.9 or isinstance(error, BrokenFile)
    else:
        # Only an end mark was cut off.
        assert part > 0.8 and np.array_equal(read.values, whole.read(0, whole.shape[1]).values)


def test_a_good_file_is_found_among_broken_ones(one_each, tmp_path):
    shutil.copy(one_each["png"], tmp_path / "good.png")
    (tmp_path / "bad.tif").write_bytes(one_each["geotiff"].read_bytes()[:60])
    (tmp_path / "text.dcm").write_text("hello")
    found = scan(tmp_path)
    assert [s.name for s in found.scenes] == ["good"]
    assert len(found.problems) == 2
    assert {type(p) for p in found.problems} == {BrokenFile, NotThisFormat}


def test_the_first_of_several_problems_is_told(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(NotThisFormat, match="none of 2 files"):
        open_scenes(tmp_path)


def test_scenes_of_one_name_are_told_apart(one_each, tmp_path):
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
        shutil.copy(one_each["png"], tmp_path / folder / "a.png")
    names = [scene.name for scene in open_scenes(tmp_path)]
    assert len(set(names)) == 2 and names[0] == "a"


def test_an_unknown_format_is_refused():
    with pytest.raises(Unwritable, match="dicom, nifti, geotiff, png"):
        registry.adapter("mp3")


def test_built_in_adapters_keep_the_protocol():
    for name, module in registry.adapters().items():
        assert name == module.NAME and isinstance(module.SUFFIXES, tuple)


@pytest.mark.parametrize("form", ["dicom", "nifti", "geotiff", "png"])
def test_a_stem_keeps_its_dots(tmp_path, form):
    known = template(form)
    values = np.full((len(known.channels), 1, 12, 14), 100.0)
    (file,) = registry.adapter(form).write_sample(tmp_path / "a.v0.5", values, known, provenance())
    assert file.name.startswith("a.v0.5.")
