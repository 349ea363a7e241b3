"""The law of NIfTI: what is read and written back is what it was, whatever the file is like."""

import itertools
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from adapter_factories import bits_equal, everything, nifti, noise, only, patch, provenance
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import from_matvec
from nibabel.eulerangles import euler2mat
from nibabel.orientations import axcodes2ornt, inv_ornt_aff
from test_nifti import assert_kept, shown, stored

from data_adapters import Window

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")
SIGNS = list(itertools.product(*("RL", "AP", "SI")))
ORIENTATIONS = ["".join(codes) for signs in SIGNS for codes in itertools.permutations(signs)]
SCALED = ("int8", "uint8", "int16", "uint16")
"""Types whose every value survives slope and intercept; of wider ones float64 has no room for both."""


@st.composite
def files(draw):
    """All that a file may be: type, shape, orientation and tilt, version, byte order, codes, packing, scaling."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3)) + draw(st.sampled_from([(), (2,), (1, 3)]))
    order = inv_ornt_aff(axcodes2ornt(draw(st.sampled_from(ORIENTATIONS))), shape[:3])
    turn = draw(st.sampled_from([0.0, 0.2, -0.35]))
    big_endian = draw(st.booleans())
    scalings = [(None, 0.0), (2.5, 0.0), (0.01, -1024.0), (-1.0, 10.0)] if dtype in SCALED else [(None, 0.0)]
    slope, inter = draw(st.sampled_from(scalings))
    return {
        "name": draw(st.sampled_from(["a.nii", "a.nii.gz"])),
        "volume": noise(shape, dtype, draw(st.integers(0, 9))).astype(np.dtype(dtype).newbyteorder("<>"[big_endian])),
        "affine": from_matvec(euler2mat(turn, turn / 2, -turn), (-11, 7, 3)) @ order @ np.diag([2.0, 3.0, 4.0, 1.0]),
        "version": draw(st.sampled_from([1, 2])),
        "codes": draw(st.sampled_from([(1, 1), (2, 0), (0, 1), (4, 3)])),
        "big_endian": big_endian,
        "slope": slope,
        "inter": inter,
    }


@settings(max_examples=150, deadline=None)
@given(file=files(), out=st.sampled_from(["b.nii", "b.nii.gz"]), again=st.booleans())
def test_what_is_read_is_written_back_bit_for_bit(file, out, again):
    with tempfile.TemporaryDirectory() as folder:
        source = nifti(Path(folder) / file.pop("name"), **file)
        scene = only(source)
        # The largest whole numbers of 64 bits have no float64; where nothing is made they stay all the same.
        patches = everything(scene) if again and not scene.dtype.endswith("int64") else []
        filled = scene.write_filled(Path(folder) / out, patches, provenance())[0]
        assert bits_equal(stored(filled), stored(source))
        assert_kept(source, filled)


@settings(max_examples=100, deadline=None)
@given(file=files(), data=st.data())
def test_only_what_was_made_changes(file, data):
    with tempfile.TemporaryDirectory() as folder:
        source = nifti(Path(folder) / file.pop("name"), **file)
        scene = only(source)
        index, row, column = (data.draw(st.integers(0, length - 1)) for length in scene.shape[1:])
        window = Window(row, column, scene.shape[2] - row, scene.shape[3] - column)
        made = np.random.default_rng(0).random((1, window.height, window.width)) < 0.5
        filled, mask = scene.write_filled(Path(folder) / "b.nii", [patch(scene, index, window, 7, made)], provenance())
        before, after, marked = (shown(stored(path), nibabel.load(source).affine) for path in (source, filled, mask))
        where = np.zeros(before.shape, bool)
        where[index, row:, column:] = made[0]
        assert np.array_equal(marked > 0, where)
        assert bits_equal(after[~where], before[~where])
        assert_kept(source, filled)
