"""The values that travel: templates and provenance survive JSON, stored integers never wrap."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from adapter_factories import provenance, template
from hypothesis import given
from hypothesis import strategies as st

from data_adapters import Template, Window
from data_adapters.atomic import replacing, write_json
from data_adapters.errors import BrokenFile, DataError, GeometryError, UserError
from data_adapters.scene import to_stored, working_dtype

FORMATS = ("dicom", "nifti", "geotiff", "png")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@pytest.mark.parametrize("form", FORMATS)
def test_a_template_survives_json(form):
    known = template(form)
    assert Template.from_dict(json.loads(json.dumps(known.as_dict()))) == known
    assert Template.from_dict(known.as_dict()) == known


def test_values_are_frozen():
    with pytest.raises(FrozenInstanceError):
        template("png").low = 1.0


def test_a_window_cuts_what_it_says():
    plane = np.arange(20).reshape(4, 5)
    assert plane[Window(1, 2, 2, 3).slices].tolist() == [[7, 8, 9], [12, 13, 14]]


def test_provenance_says_synthetic_and_digests_what_was_made():
    made = provenance(conditions={"finding": "opacity"})
    assert json.loads(json.dumps(made.as_dict()))["conditions"] == {"finding": "opacity"}
    assert made.as_dict()["synthetic"] is True
    assert made.digest("series") == provenance(conditions={"finding": "opacity"}).digest("series")
    # All that decides the pixels: files that differ in them must not share a UID.
    deciding = {"seed": 8, "index": 1, "recipe": "x", "checkpoint": "x", "conditions": {"finding": "clear"}}
    others = [provenance(**{name: value}) for name, value in (*deciding.items(), ("guidance", 2.0))]
    assert len({p.digest("series") for p in (made, *others)}) == len(others) + 1
    assert made.digest("series") != made.digest("study")


@pytest.mark.parametrize("dtype", INTEGERS)
@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_stored_integers_are_clipped_never_wrapped(dtype, value):
    limits = np.iinfo(dtype)
    stored = int(to_stored(np.array([value]), np.dtype(dtype))[0])
    expected = 0 if np.isnan(value) else min(max(value, limits.min), limits.max)
    # Beyond 2**53 a float has no unit precision: the last representable integer may fall short of the limit.
    assert abs(stored - expected) <= max(0.5, abs(expected) * 2.0**-52)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stored_floats_stay_finite(dtype):
    stored = to_stored(np.array([1e300, -1e300, 1.5]), np.dtype(dtype))
    assert np.isfinite(stored).all() and stored[2] == 1.5


@given(
    dtype=st.sampled_from(("uint8", "int16", "uint16", "int32")),
    slope=st.sampled_from((1.0, 0.5, 2.75e-5, 3.7, -1.0)),
    intercept=st.sampled_from((0.0, -1024.0, -0.2, 1e5)),
    data=st.data(),
)
def test_stored_to_physical_and_back_is_exact(dtype, slope, intercept, data):
    kind = np.dtype(dtype)
    limits = np.iinfo(kind)
    raw = np.array(data.draw(st.lists(st.integers(limits.min, limits.max), min_size=1, max_size=20)), kind)
    physical = (raw.astype(np.float64) * slope + intercept).astype(working_dtype(kind, slope, intercept))
    assert (to_stored(physical, kind, slope, intercept) == raw).all()


@pytest.mark.parametrize(
    ("dtype", "working"),
    [("uint8", 4), ("int16", 4), ("float32", 4), ("int32", 8), ("float64", 8)],
)
def test_plain_values_are_held_exactly_by_the_smallest_float(dtype, working):
    assert np.dtype(working_dtype(np.dtype(dtype))).itemsize == working


def test_an_error_says_what_where_and_what_to_do_in_one_line():
    error = BrokenFile("cut\nshort", where="a.dcm", do="restore it")
    assert str(error) == "a.dcm: cut short; restore it"
    assert isinstance(error, DataError) and issubclass(GeometryError, UserError)


def test_a_write_is_whole_or_absent(tmp_path):
    target = tmp_path / "deep" / "x.json"
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not target.parent.exists()
    assert json.loads(write_json(target, {"a": 1}).read_text()) == {"a": 1}
    assert [p.name for p in target.parent.iterdir()] == ["x.json"]
