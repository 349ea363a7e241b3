"""Sums are what coreutils take, grow by a file at a time, and are the same however often the work was interrupted."""

import shutil
import subprocess

import pytest

from data_adapters.fixity import file_digest
from data_adapters.sums import SUMS, Sums, read

ODD = ["plain", "two words", "umlaut-ä", "a\\b", "line\nfeed", "return\rhere", "#1", "in/a folder", "  led"]


def written(folder, names=ODD):
    files = []
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"content of {name}")
        files.append(path)
    return files


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not installed")
def test_sha256sum_takes_them_and_tells_what_was_changed(tmp_path):
    files = written(tmp_path)
    Sums(tmp_path / SUMS).finish(files)
    assert subprocess.run(["sha256sum", "-c", "--strict", SUMS], cwd=tmp_path, capture_output=True).returncode == 0
    files[3].write_text("changed")
    assert subprocess.run(["sha256sum", "-c", SUMS], cwd=tmp_path, capture_output=True).returncode == 1


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not installed")
def test_what_sha256sum_writes_is_read(tmp_path):
    written(tmp_path)
    names = [*ODD]
    said = subprocess.run(["sha256sum", *names], cwd=tmp_path, capture_output=True, check=True).stdout
    (tmp_path / "theirs").write_bytes(said)
    ours = Sums(tmp_path / SUMS)
    ours.finish(tmp_path / name for name in names)
    assert read(tmp_path / "theirs") == ours.known == read(tmp_path / SUMS)


def digests(files):
    return {file.name: file_digest(file) for file in files}


@pytest.mark.parametrize("whole", range(5))
def test_interrupted_sums_become_those_that_were_not(tmp_path, whole):
    files = written(tmp_path, ["a", "b", "c", "d"])
    at_once = Sums(tmp_path / "at once")
    at_once.add(digests(files))
    halting = tmp_path / "halting"
    Sums(halting).add(digests(files[:whole]))
    with halting.open("a") as stream:
        stream.write("0123 torn")
    again = Sums(halting)
    again.keep(files[:whole])
    again.add(digests(files[whole:]))
    assert halting.read_bytes() == (tmp_path / "at once").read_bytes() == again.finish(files).read_bytes()


def test_what_is_no_sum_is_passed_over(tmp_path):
    (tmp_path / SUMS).write_bytes(b"\xff\xfe\n\nSHA256 (a) = 12\n" + b"0" * 64 + b"  a\n")
    assert read(tmp_path / SUMS) == {"a": "0" * 64}
    assert read(tmp_path / "none") == {}
