"""What may know of what, and how little the package costs to ask for help."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LIBRARIES = {"pydicom", "highdicom", "nibabel", "rasterio", "gdcm"}
OPTIONAL = {"transformers"}
FORMATS = ("dicom", "nifti", "geotiff")


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("path", sources("data_adapters"), ids=lambda p: str(p.relative_to(ROOT)))
def test_adapters_know_nothing_of_learning(path: Path) -> None:
    assert imported(path) & {"torch", "monai", "augmentor"} == set()


@pytest.mark.parametrize("path", sources("augmentor"), ids=lambda p: str(p.relative_to(ROOT)))
def test_learning_knows_nothing_of_files(path: Path) -> None:
    assert imported(path) & FILE_LIBRARIES == set()
    named = [
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (getattr(node, field, None) for field in ("id", "attr", "name", "arg"))
        if isinstance(name, str) and any(word in name.lower() for word in FORMATS)
    ]
    assert named == []


@pytest.mark.parametrize("package", ["t2t", "adversary", "measures", "rivals"])
def test_the_network_knows_nothing_of_scenes(package: str) -> None:
    for path in sources(f"augmentor/{package}"):
        assert "data_adapters" not in imported(path), path


@pytest.mark.parametrize("package", ["augmentor", "data_adapters"])
def test_nobody_needs_what_is_not_installed_with_the_package(package: str) -> None:
    """Language encoders are a user's own affair: their library is looked for when one is asked for, and not before."""
    for path in sources(package):
        at_import = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        named = {alias.name for node in at_import for alias in node.names} | {
            getattr(n, "module", "") for n in at_import
        }
        assert not any((name or "").partition(".")[0] in OPTIONAL for name in named), path


def ask(code: str) -> tuple[str, float]:
    """What a fresh interpreter prints, and the CPU seconds that it took."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert process.returncode == 0, said
    return said, usage.ru_utime + usage.ru_stime


def test_help_answers_at_once() -> None:
    seconds = []
    for _ in range(3):
        said, spent = ask("import sys; sys.argv = ['augmentor', '--help']; from augmentor.cli import main; main()")
        assert "synthesize" in said
        assert "fill" in said
        seconds.append(spent)
    assert min(seconds) < 0.5


@pytest.mark.parametrize("package", ["augmentor", "augmentor.cli", "augmentor.recipe", "data_adapters"])
def test_importing_does_not_wait_for_torch(package: str) -> None:
    said, _ = ask(f"import sys, {package}; print('torch' in sys.modules)")
    assert said.strip() == "False"


VERBS = "from augmentor import train, synthesize, fill, ingest, inspect; "
CHECK = "print(all(callable(v) for v in (train, synthesize, fill, ingest, inspect)))"


@pytest.mark.parametrize(
    "code",
    [
        VERBS + CHECK + "; " + VERBS + CHECK,
        "import augmentor.train, augmentor.fill; " + VERBS + CHECK,
        VERBS + "import augmentor.synthesize; import augmentor.learners.painter; " + VERBS + CHECK,
        "from augmentor.fill import Filled; from augmentor.train import describe; " + VERBS + CHECK,
        "import importlib; importlib.import_module('augmentor.ingest'); " + VERBS + CHECK,
        VERBS + "import augmentor; print(callable(augmentor.train) and augmentor.train is train)",
    ],
    ids=["once and twice", "after modules", "around modules", "after names", "after importlib", "as attributes"],
)
def test_verbs_are_functions_however_often_imported(code: str) -> None:
    assert set(ask(code)[0].split()) == {"True"}


def test_the_package_has_no_other_attributes() -> None:
    said, _ = ask("import augmentor; print(getattr(augmentor, 'paint', 'none'))")
    assert said.strip() == "none"
