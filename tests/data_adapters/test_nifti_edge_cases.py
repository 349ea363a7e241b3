"""Real odd NIfTI files: read as ITK's own reader reads them, or refused by name."""

import warnings

import nibabel
import numpy as np
import pytest
from adapter_factories import SHARED, only
from test_nifti import shown
from test_readers import upright

from data_adapters import open_scenes
from data_adapters.errors import BrokenFile, NotThisFormat

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    SimpleITK = pytest.importorskip("SimpleITK")

FOLDER = SHARED / "edge_cases" / "nifti"
REFUSED = {"DERIVED_truncated_example4d.nii.gz": BrokenFile, "DERIVED_not_a_nifti.nii.gz": NotThisFormat}
UNKNOWN = {"example_nifti2.nii.gz"}
"""ITK's reader knows NIfTI-1 alone."""
FILES = sorted(FOLDER.glob("*")) if FOLDER.is_dir() else []

pytestmark = pytest.mark.skipif(not FILES, reason="real data are not here")


@pytest.mark.parametrize("path", [p for p in FILES if p.name not in {*REFUSED, *UNKNOWN}], ids=lambda p: p.name)
def test_values_and_directions_are_itk_s(path):
    scene = only(path)
    image = SimpleITK.ReadImage(str(path))
    volumes = [image] if image.GetDimension() == 3 else [image[..., v] for v in range(image.GetSize()[3])]
    values = np.concatenate([SimpleITK.GetArrayFromImage(upright(volume)) for volume in volumes])
    assert np.allclose(scene.read(0, scene.shape[1]).values[0], values)
    assert upright(volumes[0]).GetSpacing()[::-1] == pytest.approx(scene.grid.spacing, rel=1e-4)


@pytest.mark.parametrize("path", [p for p in FILES if p.name in UNKNOWN], ids=lambda p: p.name)
def test_values_are_nibabel_s_turned_by_itself(path):
    image = nibabel.load(path)
    scene = only(path)
    assert np.allclose(scene.read(0, scene.shape[1]).values[0], shown(image.get_fdata(), image.affine))


@pytest.mark.parametrize("path", [p for p in FILES if p.name in REFUSED], ids=lambda p: p.name)
def test_what_is_broken_is_refused_by_its_own_error(path):
    with pytest.raises(REFUSED[path.name]):
        for scene in open_scenes(path):
            scene.read(0, scene.shape[1])
