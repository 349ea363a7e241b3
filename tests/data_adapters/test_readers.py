"""What users' own loaders read of the files: the same values, at the same places, as this package reads."""

import warnings

import numpy as np
import pytest
from adapter_factories import dicom_series, geotiff, nifti, noise, only, patch, provenance, template

from data_adapters import Channel, Window, adapter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    SimpleITK = pytest.importorskip("SimpleITK")
    torchio = pytest.importorskip("torchio")
    rioxarray = pytest.importorskip("rioxarray")
    from monai.data import NibabelReader, PydicomReader
    from monai.transforms import LoadImage

MEDICAL = ("dicom", "nifti")
PLANES = ("axial", "coronal", "sagittal")


def sampled(folder, form, plane):
    """A synthetic volume of 5 slices."""
    known = template(form, modality="MR", channels=(Channel("MR"),), plane=plane, low=0, high=4095, intercept=0.0)
    values = np.random.default_rng(0).integers(0, 4000, (1, 5, 8, 10)).astype(float)
    files = adapter(form).write_sample(folder / "s", values, known, provenance())
    return files[0].parent if form == "dicom" else files[0]


def filled(folder, form):
    """A volume of 5 slices one of which was made."""
    if form == "dicom":
        source = dicom_series(folder / "in", noise((5, 8, 10), "int16"))
    else:
        source = nifti(folder / "in.nii.gz", noise((10, 8, 5), "int16"), slope=0.5)
    scene = only(source)
    out = folder / ("out" if form == "dicom" else "out.nii.gz")
    scene.write_filled(out, [patch(scene, 2, scene.plane, 40)], provenance())
    return out


def only_volume(path):
    """The scene of a volume, whatever lies beside it."""
    from data_adapters import open_scenes

    (found,) = (scene for scene in open_scenes(path) if scene.kind == "volume")
    return found


MADE = [(sampled, form, (plane,)) for form in MEDICAL for plane in PLANES] + [(filled, form, ()) for form in MEDICAL]
EACH = pytest.mark.parametrize(("make", "form", "how"), MADE, ids=lambda v: getattr(v, "__name__", str(v)))


def as_simpleitk(path):
    """A file or a series as SimpleITK reads it."""
    if path.is_file():
        return SimpleITK.ReadImage(str(path))
    return SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)))


def upright(image):
    """An image of SimpleITK in the plane and directions in which this package shows it."""
    along = SimpleITK.DICOMOrientImageFilter().GetOrientationFromDirectionCosines(image.GetDirection())
    slices = {"S": "LPS", "I": "LPS", "P": "LIP", "A": "LIP", "R": "PIR", "L": "PIR"}[along[2]]
    return SimpleITK.DICOMOrient(image, slices)


@EACH
def test_simpleitk_reads_the_same_volume(tmp_path, make, form, how):
    path = make(tmp_path, form, *how)
    scene = only_volume(path)
    image = upright(as_simpleitk(path))
    values = SimpleITK.GetArrayFromImage(image)
    assert np.allclose(values, scene.read(0, scene.shape[1]).values[0])
    assert image.GetSpacing()[::-1] == pytest.approx(scene.grid.spacing, rel=1e-4)


@EACH
def test_torchio_reads_the_same_volume(tmp_path, make, form, how):
    path = make(tmp_path, form, *how)
    scene = only_volume(path)
    image = torchio.ScalarImage(path)
    values = scene.read(0, scene.shape[1]).values[0]
    assert sorted(image.shape[1:]) == sorted(values.shape)
    assert np.array_equal(np.sort(image.numpy().ravel()), np.sort(values.ravel()).astype(image.numpy().dtype))
    assert sorted(image.spacing) == pytest.approx(sorted(scene.grid.spacing), rel=1e-4)
    canonical = torchio.ToCanonical()(image)
    assert canonical.orientation == ("R", "A", "S")


@EACH
def test_monai_reads_the_same_volume(tmp_path, make, form, how):
    path = make(tmp_path, form, *how)
    scene = only_volume(path)
    reader = PydicomReader() if form == "dicom" else NibabelReader()
    image = LoadImage(reader=reader, image_only=True)(str(path))
    values = scene.read(0, scene.shape[1]).values[0]
    assert sorted(image.shape) == sorted(values.shape)
    assert np.allclose(np.sort(np.asarray(image).ravel()), np.sort(values.ravel()))


@pytest.mark.parametrize("mechanism", ["none", "nodata"])
@pytest.mark.parametrize("what", ["sample", "filled"])
def test_rioxarray_reads_the_same_raster(tmp_path, what, mechanism):
    if what == "sample":
        values = np.random.default_rng(0).uniform(1, 9999, (2, 1, 8, 9)).round()
        (path,) = adapter("geotiff").write_sample(tmp_path / "s", values, template("geotiff"), provenance())
    else:
        scene = only(geotiff(tmp_path / "a.tif", mechanism=mechanism))
        path = scene.write_filled(tmp_path / "b.tif", [patch(scene, 0, Window(30, 30, 4, 4), 5)], provenance())[0]
    scene = only(path)
    with rioxarray.open_rasterio(path) as raster:
        pixels = scene.read(0, 1)
        assert np.array_equal(raster.values, pixels.values[:, 0])
        assert raster.rio.crs is not None and raster.rio.resolution()[0] == scene.grid.spacing[2]
        assert raster.attrs["long_name"] == tuple(c.name for c in scene.channels)
    if mechanism == "nodata":
        with rioxarray.open_rasterio(path, masked=True) as raster:
            assert np.array_equal(np.isfinite(raster.values).any(axis=0), pixels.seen[0])
