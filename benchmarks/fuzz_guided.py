"""The targets of single files, fuzzed by coverage: what reaches code not reached before is changed further.

    pip install atheris
    python -m benchmarks.fuzz_guided dicom [-runs=100000] [any option of libFuzzer]

A script for a person who looks on; atheris is no dependency, and ``benchmarks.fuzz`` is what is measured. libFuzzer
stops at the first escape, and leaves its input beside.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path

NAMES = {
    "dicom": "file.dcm",
    "nifti": "file.nii",
    "tiff": "file.tif",
    "image": "file.png",
    "recipe": "recipe.yaml",
    "labels": "labels.csv",
}
"""What the one file of a case is called."""


def main() -> None:
    """Fuzz the target that is named first."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["data_adapters", "augmentor", "pydicom", "nibabel"]):
        from benchmarks.fuzz import laid_out, seeds_of, tried

    target, options = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as work:
        corpus = Path(work, "corpus")
        corpus.mkdir()
        for number, files in enumerate(seeds_of(None)[target]):
            (corpus / str(number)).write_bytes(next(iter(files.values())))

        def once(data: bytes) -> None:
            said = tried(target, laid_out({NAMES[target]: data}, Path(work, "case")))
            assert not said.startswith("escaped"), said

        atheris.Setup([sys.argv[0], *options, str(corpus)], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
