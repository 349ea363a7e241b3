"""Real odd files: whatever is wrong with them, a user gets a sentence and never a traceback."""

import numpy as np
import pytest
from adapter_factories import SHARED, provenance

from data_adapters import scan
from data_adapters.errors import UserError

FOLDERS = sorted(p for p in (SHARED / "edge_cases").glob("*/*") if p.is_dir()) or []
FOLDERS += [p for p in (SHARED / "edge_cases" / name for name in ("nifti", "tiff", "images")) if p.is_dir()]


@pytest.mark.skipif(not FOLDERS, reason="real data are not here")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_every_file_is_a_scene_or_a_sentence(tmp_path, folder):
    found = scan(folder)
    assert all(isinstance(p, UserError) and "\n" not in str(p) and str(p) for p in found.problems)
    assert found.scenes or found.problems
    for number, scene in enumerate(found.scenes):
        try:
            pixels = scene.read(0, scene.shape[1])
            assert pixels.values.shape == pixels.valid.shape == scene.shape
            assert np.isfinite(pixels.values[pixels.valid]).all()
            template = scene.template()
            assert len(template.channels) == scene.shape[0]
            suffix = {"geotiff": ".tif", "png": ".png", "nifti": ".nii"}.get(scene.format, "")
            files = scene.write_filled(tmp_path / f"{number}{suffix}", [], provenance())
            again = scan(files[0] if len(files) == 1 or suffix else files[0].parent).scenes
            assert [s.shape for s in again] == [scene.shape]
            assert np.array_equal(again[0].read(0, scene.shape[1]).values, pixels.values)
            assert again[0].missing() == scene.missing()
        except UserError as error:
            assert str(error) and "\n" not in str(error)
