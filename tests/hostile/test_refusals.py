"""The operating system says no: one line says what, where and what to do; nothing half-written, the source whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from nibabel.nifti1 import Nifti1Image

from augmentor.cli import main
from benchmarks.fuzz_seeds import CT, WHO, smooth
from data_adapters import adapter
from data_adapters.atomic import read_json, replacing, write_json
from data_adapters.errors import BrokenFile, SystemRefused

CODES = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO)


def augmentor(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder, hidden ones included."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def raster(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 60_000, (2, 200, 200), dtype=np.uint16)
    pixels[:, 90:100, 90:100] = 0
    with rasterio.open(path, "w", driver="GTiff", width=200, height=200, count=2, dtype="uint16", nodata=0) as data:
        data.write(pixels)
    return path


def volume(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 900, (60, 60, 9), dtype=np.int16)
    pixels[:, :, 4] = 0
    Nifti1Image(pixels, np.eye(4)).to_filename(path)
    return path


def series(path: Path) -> Path:
    files = adapter("dicom").write_sample(path, smooth((1, 9, 60, 60)), CT, WHO)
    files[4].unlink()
    return path


SOURCES: dict[str, Callable[[Path], Path]] = {"x.tif": raster, "x.nii": volume, "series": series}


def refuses(code: int) -> Callable[..., Any]:
    def refused(*args: Any, **options: Any) -> Any:
        raise OSError(code, os.strerror(code), str(args[0]))

    return refused


@pytest.mark.parametrize(
    ("name", "code"), [*(("x.nii", code) for code in CODES), ("x.tif", errno.ENOSPC), ("series", errno.EROFS)]
)
@pytest.mark.parametrize("call", ["os.replace", "pathlib.Path.mkdir"])
def test_what_the_system_refuses_is_one_line(
    call: str, name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCES[name](tmp_path / name)
    before = contents(tmp_path)
    monkeypatch.setattr(call, refuses(code))
    result = augmentor("fill", "--prior-only", source, "-o", tmp_path / "out" / name)
    monkeypatch.undo()
    assert result.exit_code == 2, result.output
    (line,) = [text for text in result.stderr.splitlines() if not text.startswith("fill:")]
    assert line.startswith("SystemRefused: ")
    assert os.strerror(code)[1:] in line
    assert "; " in line
    assert contents(tmp_path) == before
    assert not (tmp_path / "out").exists()


def full(limit: int, *words: object) -> tuple[int, str]:
    """Exit code and stderr of a command, of which no file may grow beyond so many bytes: as on a disk that is full."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            result = augmentor(*words)
            os.write(writing, json.dumps([result.exit_code, result.stderr or repr(result.exception)]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        code, said = json.loads(stream.read())
    os.waitpid(pid, 0)
    return code, said


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("limit", [0, 100, 5_000])
def test_a_full_disk_leaves_nothing_half_written(name: str, limit: int, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path / name)
    before = contents(tmp_path)
    code, said = full(limit, "fill", "--prior-only", source, "-o", tmp_path / "out" / name)
    assert code == 2, said
    (line,) = [text for text in said.splitlines() if not text.startswith("fill:")]
    assert "Traceback" not in said
    assert ": " in line and "; " in line
    assert contents(tmp_path) == before


def test_a_disk_that_fills_while_gdal_writes_leaves_nothing(tmp_path: Path) -> None:
    """Blocks that are rewritten go to the end of a compressed file."""
    packed = tmp_path / "x.tif"
    with rasterio.open(raster(tmp_path / "plain.tif")) as data:
        profile = data.profile | {"compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64}
        with rasterio.open(packed, "w", **profile) as out:
            out.write(data.read())
    before = contents(tmp_path)
    for more in (10, 2_000, 20_000):
        code, said = full(
            packed.stat().st_size + more, "fill", "--prior-only", packed, "-o", tmp_path / "out" / "x.tif"
        )
        assert code == 2, f"{more}: {said}"
        assert "Traceback" not in said
        assert contents(tmp_path) == before


@pytest.mark.parametrize("limit", [0, 200])
def test_a_full_disk_leaves_no_finished_tile_store(limit: int, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(20):
        raster(folder / f"{number}.tif")
    code, said = full(limit, "ingest", "satellite_tiles", "--data", folder, "--store", tmp_path / "store")
    assert code == 2, said
    assert "Traceback" not in said
    assert not list((tmp_path / "store").rglob("facts.json"))


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
def test_a_file_is_as_it_was_when_it_cannot_be_replaced(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_json(tmp_path / "record.json", {"a": 1})
    monkeypatch.setattr(os, "replace", refuses(code))
    with pytest.raises(SystemRefused, match=r"record\.json") as told:
        write_json(path, {"a": 2})
    assert told.value.do
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "deep" / "er" / "x") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", b'"x"', b"[" * 100_000, b"null"])
def test_a_record_that_is_none_is_broken(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(text)
    with pytest.raises(BrokenFile, match=r"x\.json"):
        read_json(tmp_path / "x.json")
