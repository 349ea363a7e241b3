"""Pictures: what is read is what is stored, and what is not filled stays."""

import numpy as np
import pytest
from adapter_factories import everything, noise, only, patch, provenance, template
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from data_adapters import Window, adapter
from data_adapters.errors import BrokenFile, Unwritable

MODES = {
    "gray8": ("uint8", ()),
    "gray16": ("uint16", ()),
    "rgb": ("uint8", (3,)),
    "rgba": ("uint8", (4,)),
    "gray_alpha": ("uint8", (2,)),
}


def picture(path, mode, size=(20, 31)):
    dtype, bands = MODES[mode]
    stored = noise((*size, *bands), dtype)
    if mode in ("rgba", "gray_alpha"):
        stored[..., -1] = 255
        stored[2:6, 3:9, -1] = 0
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "kept")
    Image.fromarray(stored).save(path, pnginfo=info, dpi=(200, 200))
    return stored


def load(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("mode", MODES)
def test_read_gives_the_stored_values(tmp_path, mode):
    stored = picture(tmp_path / "a.png", mode)
    scene = only(tmp_path / "a.png")
    colours = stored.reshape(*stored.shape[:2], -1)
    colours = colours[..., :-1] if "a" in mode[4:] or mode == "rgba" else colours
    pixels = scene.read(0, 1)
    assert np.array_equal(np.moveaxis(pixels.values[:, 0], 0, -1), colours)
    assert scene.shape == (colours.shape[-1], 1, 20, 31) and scene.dtype == stored.dtype.name


@pytest.mark.parametrize("mode", ["rgba", "gray_alpha"])
def test_transparent_pixels_are_not_observed(tmp_path, mode):
    stored = picture(tmp_path / "a.png", mode)
    valid = only(tmp_path / "a.png").read(0, 1).valid
    assert np.array_equal(valid[0, 0], stored[..., -1] > 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["nothing", "what was read"])
def test_what_was_read_is_written_back(tmp_path, mode, what):
    stored = picture(tmp_path / "a.png", mode)
    scene = only(tmp_path / "a.png")
    patches = [] if what == "nothing" else everything(scene)
    (out,) = scene.write_filled(tmp_path / "b.png", patches, provenance())
    assert np.array_equal(load(out), stored)


@pytest.mark.parametrize("mode", MODES)
def test_untouched_pixels_stay_and_made_ones_are_observed(tmp_path, mode):
    stored = picture(tmp_path / "a.png", mode)
    scene = only(tmp_path / "a.png")
    window = Window(3, 4, 6, 7)
    (out,) = scene.write_filled(tmp_path / "b.png", [patch(scene, 0, window, 77)], provenance())
    outside = np.ones(stored.shape[:2], bool)
    outside[window.slices] = False
    assert np.array_equal(load(out)[outside], stored[outside])
    pixels = only(out).read(0, 1, window)
    assert (pixels.values == 77).all() and pixels.valid.all()


def test_text_and_resolution_are_kept_and_provenance_added(tmp_path):
    picture(tmp_path / "a.png", "rgb")
    scene = only(tmp_path / "a.png")
    (out,) = scene.write_filled(tmp_path / "b.png", [patch(scene, 0, Window(0, 0, 2, 2), 1)], provenance())
    with Image.open(out) as image:
        assert image.text["Comment"] == "kept" and '"synthetic": true' in image.text["Provenance"]
        assert image.info["dpi"][0] == pytest.approx(200, abs=0.1)


@pytest.mark.parametrize("mode", ["P", "1"])
def test_palettes_and_bits_are_read_as_what_they_show(tmp_path, mode):
    Image.fromarray(noise((8, 9), "uint8")).convert(mode).save(tmp_path / "a.png")
    scene = only(tmp_path / "a.png")
    assert scene.shape[0] == {"P": 3, "1": 1}[mode]
    out = scene.write_filled(tmp_path / "b.png", [], provenance())[0]
    assert np.array_equal(only(out).read(0, 1).values, scene.read(0, 1).values)


def test_jpeg_is_not_written_back_as_jpeg(tmp_path):
    Image.fromarray(noise((8, 9, 3), "uint8")).save(tmp_path / "a.jpg")
    scene = only(tmp_path / "a.jpg")
    with pytest.raises(Unwritable, match="PNG"):
        scene.write_filled(tmp_path / "b.jpg", [], provenance())
    (out,) = scene.write_filled(tmp_path / "b.png", [], provenance())
    assert np.array_equal(load(out), load(tmp_path / "a.jpg"))


def test_sixteen_bit_colour_is_refused_not_halved(tmp_path):
    # Pillow cannot write 16-bit colour: a PNG of one pixel, by hand.
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    body = zlib.compress(b"\0" + bytes(range(6)))
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(BrokenFile, match="16 bits"):
        only(tmp_path / "a.png")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("png") / "a.png"
    picture(path, "rgb")
    return only(path)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_window_is_a_part_of_the_whole(scene, data):
    row, column = data.draw(st.integers(0, 19)), data.draw(st.integers(0, 30))
    window = Window(row, column, data.draw(st.integers(1, 20 - row)), data.draw(st.integers(1, 31 - column)))
    part, whole = scene.read(0, 1, window), scene.read(0, 1)
    assert np.array_equal(part.values, whole.values[:, :, *window.slices])
    assert part.valid.shape == part.values.shape


@pytest.mark.parametrize(
    ("dtype", "channels", "mode"),
    [("uint8", 1, "L"), ("uint16", 1, "I;16"), ("uint8", 3, "RGB"), ("float32", 1, "I;16")],
)
def test_a_sample_keeps_its_integers(tmp_path, dtype, channels, mode):
    high = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    values = np.random.default_rng(0).random((channels, 1, 9, 11)) * high
    known = template("png", dtype=dtype, high=high)
    (out,) = adapter("png").write_sample(tmp_path / "s", values, known, provenance())
    with Image.open(out) as image:
        assert image.mode == mode and '"synthetic": true' in image.text["Provenance"]
    back = only(out).read(0, 1).values
    expected = values * 65535 if dtype == "float32" else values
    assert np.abs(back - expected).max() <= 0.5


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (1, 3, 4, 4), (5, 1, 4, 4)])
def test_other_shapes_do_not_fit_a_picture(tmp_path, shape):
    with pytest.raises(Unwritable, match="do not fit"):
        adapter("png").write_sample(tmp_path / "s", np.zeros(shape), template("png"), provenance())
    assert list(tmp_path.iterdir()) == []
