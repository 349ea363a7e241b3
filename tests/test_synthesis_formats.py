"""A format that a run is asked for either takes its samples, or the error names formats that do."""

import re
from pathlib import Path

import numpy as np
import pytest

from augmentor.run import Facts
from augmentor.scaling import Scaling
from augmentor.synthesize import FORMATS, target
from data_adapters import Channel, Provenance, Template, adapter
from data_adapters.errors import Unwritable

RUNS = {
    "bands": ("geotiff", "", 4, (16, 16)),
    "aerial": ("geotiff", "", 3, (16, 16)),
    "one band": ("geotiff", "", 1, (16, 16)),
    "photographs": ("png", "", 3, (16, 16)),
    "gray pictures": ("png", "", 1, (16, 16)),
    "radiographs": ("png", "CR", 1, (16, 16)),
    "CT": ("dicom", "CT", 1, (16, 16)),
    "CT volumes": ("dicom", "CT", 1, (4, 16, 16)),
    "PET": ("dicom", "PT", 1, (16, 16)),
    "skin": ("dicom", "XC", 3, (16, 16)),
    "NIfTI": ("nifti", "", 1, (16, 16)),
    "NIfTI volumes": ("nifti", "MR", 1, (4, 16, 16)),
}


def facts(run: str) -> Facts:
    form, modality, channels, tile = RUNS[run]
    names = tuple(Channel(f"c{index}") for index in range(channels))
    template = Template(form, "image", modality, names, "uint8", 0, 255, bits=8, spacing=(1, 1, 1), unit="mm")
    return Facts(channels, 0, tile, {}, (), (), Scaling((0.0,) * channels, (255.0,) * channels), template)


def write(run: str, format: str, folder: Path) -> list[Path]:
    known = facts(run)
    template = target(known, format)
    shape = (known.channels, *known.tile) if len(known.tile) == 3 else (known.channels, 1, *known.tile)
    made_by = Provenance("test", "1", "by hand")
    return adapter(template.format).write_sample(folder / format, np.zeros(shape), template, made_by)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("run", RUNS)
def test_what_is_refused_names_a_format_that_is_not(run: str, format: str, tmp_path: Path) -> None:
    try:
        target(facts(run), format)
    except Unwritable as error:
        advised = [known for known in FORMATS if re.search(rf"\buse\b[^,]*\b{known}\b", error.do)]
        assert advised and format not in advised
        for other in advised:
            assert write(run, other, tmp_path)
    else:
        assert write(run, format, tmp_path)


def test_bands_asked_for_as_dicom_are_sent_to_geotiff_alone() -> None:
    with pytest.raises(Unwritable) as refused:
        target(facts("bands"), "dicom")
    assert refused.value.do == "use geotiff"
