"""The tutorials work as they stand, in less time; and their notebooks are the same pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.tutorials import PAGES, PICTURES, Step, notebook, run, steps

HURRIED = {
    "--radiographs 200": "--radiographs 40",
    "--size 128": "--size 64",
    "game.images=12000": "game.images=96",
    "--n 200": "--n 20",
    "--adapt-tiles 6000": "--adapt-tiles 64",
    "--adapt-tiles 1000": "--adapt-tiles 64",
}
"""What takes minutes on the page, and in its place what takes seconds."""


def hurried(step: Step) -> Step:
    code = step.code
    for slow, fast in HURRIED.items():
        code = code.replace(slow, fast)
    return step._replace(code=code)


@pytest.mark.parametrize("name", PICTURES)
def test_every_step_of_a_page_works_and_leaves_the_pictures_that_it_shows(name: str, tmp_path: Path) -> None:
    page = (PAGES / f"{name}.md").read_text()
    for step in steps(page):
        run(hurried(step), tmp_path)
    for picture, made in PICTURES[name].items():
        assert f"(../pictures/{picture})" in page
        assert (tmp_path / made).read_bytes().startswith(b"\x89PNG")


def test_every_block_of_every_page_is_a_step() -> None:
    for path in PAGES.glob("*.md"):
        page = path.read_text()
        assert len(steps(page)) == len(re.findall(r"^```\w*$", page, re.MULTILINE)) / 2
        assert path.stem in PICTURES
    code = "".join(step.code for path in PAGES.glob("*.md") for step in steps(path.read_text()))
    assert [slow for slow in HURRIED if slow not in code] == []


@pytest.mark.parametrize("name", PICTURES)
def test_a_notebook_is_its_page(name: str) -> None:
    page, path = (PAGES / f"{name}.md").read_text(), PAGES / f"{name}.ipynb"
    assert json.loads(path.read_text()) == notebook(page)
    cells = notebook(page)["cells"]
    told = "".join("".join(cell["source"]) for cell in cells)
    for line in page.splitlines():
        assert line.startswith("```") or line in told


def test_a_step_that_fails_is_told() -> None:
    with pytest.raises(RuntimeError, match="nowhere"):
        run(Step("bash", "ls nowhere"), Path.cwd())
