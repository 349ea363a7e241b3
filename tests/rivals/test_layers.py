"""The rivals' own layers against their definitions written out."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, interpolate

from augmentor.rivals.fastgan import FastGANDiscriminator
from augmentor.rivals.fastgan_blocks import Excitation
from augmentor.rivals.rival import Noise, doublings, pixel_norm, scaled
from augmentor.rivals.style import EqualConv, EqualLinear, ModulatedConv, blur
from augmentor.rivals.transgan_blocks import Attention, Stage, from_cells, to_cells
from augmentor.rivals.vitgan import L2Attention, SelfModulatedNorm


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_is_a_convolution_of_its_own_for_every_sample(kernel: int, demodulate: bool) -> None:
    layer = ModulatedConv(5, 7, kernel, 6, demodulate=demodulate)
    nn.init.normal_(layer.bias)
    x, style = torch.randn(3, 5, 8, 8), torch.randn(3, 6)
    expected = [
        conv2d(image[None], weight, layer.bias, padding=kernel // 2)[0]
        for image, weight in zip(x, own_weights(layer, style), strict=True)
    ]
    torch.testing.assert_close(layer(x, style), torch.stack(expected), atol=1e-5, rtol=1e-4)


def test_upsampling_modulated_convolution_filters_what_each_sample_spreads() -> None:
    layer = ModulatedConv(5, 7, 3, 6, up=True)
    x, style = torch.randn(3, 5, 8, 8), torch.randn(3, 6)
    spread = [
        conv_transpose2d(image[None], weight.transpose(0, 1), stride=2)
        for image, weight in zip(x, own_weights(layer, style), strict=True)
    ]
    made = layer(x, style)
    assert made.shape == (3, 7, 16, 16)
    torch.testing.assert_close(made, 4 * blur(torch.cat(spread), padding=1), atol=1e-5, rtol=1e-4)


def own_weights(layer: ModulatedConv, style: Tensor) -> list[Tensor]:
    scales = layer.modulation(style)
    weights = [layer.weight * layer.gain * scale[:, None, None] for scale in scales]
    if layer.demodulate:
        weights = [w / (w.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt() for w in weights]
    return weights


def test_blurring_what_is_spread_by_zeros_is_bilinear_upsampling() -> None:
    x = torch.randn(2, 3, 6, 6)
    spread = x.new_zeros(2, 3, 12, 12)
    spread[:, :, ::2, ::2] = x
    # The outermost pixels differ: a filter pads by zeros, interpolation by the edge.
    blurred, wanted = 4 * blur(spread, padding=2), interpolate(x, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(blurred[..., 1:11, 1:11], wanted[..., 1:11, 1:11])


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_an_equalised_layer_keeps_the_variance_whatever_its_rate(rate: float) -> None:
    layer = EqualLinear(256, 256, rate=rate, start=0.5)
    y = layer(torch.randn(256, 256))
    assert y.mean().item() == pytest.approx(0.5, abs=0.05)
    assert y.std().item() == pytest.approx(1.0, rel=0.1)
    assert layer.weight.std().item() == pytest.approx(1 / rate, rel=0.05)


def test_an_equalised_convolution_keeps_the_variance() -> None:
    assert EqualConv(64, 64, 3)(torch.randn(4, 64, 12, 12)).std().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("dim", [1, -1])
def test_pixel_norm_brings_every_token_to_a_mean_square_of_one(dim: int) -> None:
    x = torch.randn(2, 6, 5) * 7
    expected = x / (x.square().sum(dim=dim, keepdim=True) / x.shape[dim]).sqrt()
    torch.testing.assert_close(pixel_norm(x, dim), expected)
    assert not pixel_norm(torch.zeros(2, 3)).any()


@pytest.mark.parametrize("side", [2, 3])
def test_attention_with_relative_positions_written_out(side: int) -> None:
    layer = Attention(8, side)
    assert layer.bias is not None
    x = torch.randn(2, side**2, 8)
    q, k, v = layer.qkv(x).view(2, side**2, 3, 4, 2).unbind(dim=2)
    expected = torch.empty(2, side**2, 4, 2)
    for i in range(side**2):
        down, right = ([i // side - j // side for j in range(side**2)], [i % side - j % side for j in range(side**2)])
        place = [(d + side - 1) * (2 * side - 1) + r + side - 1 for d, r in zip(down, right, strict=True)]
        for head in range(4):
            logits = (k[:, :, head] * q[:, i : i + 1, head]).sum(dim=2) / 2**0.5 + layer.bias[head, place]
            expected[:, i, head] = (logits.softmax(dim=1)[..., None] * v[:, :, head]).sum(dim=1)
    torch.testing.assert_close(layer(x), layer.out(expected.flatten(2)), atol=1e-5, rtol=1e-4)


def test_grid_attention_is_global_attention_inside_each_cell() -> None:
    stage = Stage(8, 16, side=64, depth=2)
    x = torch.randn(1, 8, 64, 64)
    with torch.no_grad():
        made, placed = stage(x), x + stage.position
        for row in range(0, 64, 16):
            for column in range(0, 64, 16):
                inside = (..., slice(row, row + 16), slice(column, column + 16))
                alone = stage.blocks(placed[inside].flatten(2).transpose(1, 2))
                torch.testing.assert_close(made[inside].flatten(2).transpose(1, 2), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("side", "cell"), [(8, 8), (8, 4), (6, 2)])
def test_cells_go_back_to_their_grid(side: int, cell: int) -> None:
    x = torch.randn(2, 3, side, side)
    cells = to_cells(x, cell)
    assert cells.shape == (2 * (side // cell) ** 2, cell**2, 3)
    torch.testing.assert_close(cells[0].T.view(3, cell, cell), x[0, :, :cell, :cell])
    assert torch.equal(from_cells(cells, x.shape), x)


def test_l2_attention_is_a_softmax_of_squared_distances() -> None:
    layer = L2Attention(12)
    x = torch.randn(3, 5, 12)
    q, v = (f(x).view(3, 5, 6, 2).transpose(1, 2) for f in (layer.query, layer.value))
    weights = (-torch.cdist(q, q, compute_mode="donot_use_mm_for_euclid_dist").square() / 2**0.5).softmax(dim=-1)
    expected = layer.out((weights @ v).transpose(1, 2).reshape(3, 5, 12))
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-4)


def test_a_self_modulated_norm_takes_its_gain_and_shift_from_the_style() -> None:
    layer = SelfModulatedNorm(6)
    x, style = torch.randn(3, 5, 6), torch.randn(3, 6)
    normal = (x - x.mean(dim=2, keepdim=True)) / (x.var(dim=2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = torch.stack([n * layer.gain(s) + layer.shift(s) for n, s in zip(normal, style, strict=True)])
    torch.testing.assert_close(layer(x, style), expected, atol=1e-5, rtol=1e-4)


def test_skip_layer_excitation_is_a_gate_a_channel() -> None:
    layer = Excitation(5, 3).eval()
    coarse, fine = torch.randn(2, 5, 8, 8), torch.randn(2, 3, 32, 32)
    pooled = coarse.view(2, 5, 4, 2, 4, 2).mean(dim=(3, 5))
    squeeze, excite = layer.squeeze.weight, layer.excite.weight
    assert isinstance(squeeze, Tensor)
    assert isinstance(excite, Tensor)
    squeezed = torch.einsum("bchw,dchw->bd", pooled, squeeze)
    squeezed = squeezed * torch.sigmoid(squeezed)
    gate = torch.sigmoid(squeezed @ excite[:, :, 0, 0].T)
    torch.testing.assert_close(layer(coarse, fine), fine * gate[:, :, None, None], atol=1e-5, rtol=1e-4)


def test_what_is_decoded_is_compared_with_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = FastGANDiscriminator(1, 32, 0, 1 / 32)
    # Features that are the image itself, and decoders that only enlarge them, have nothing left to learn.
    monkeypatch.setattr(judge, "_grids", lambda x: [x[:, :, ::2, ::2], x[:, :, ::4, ::4]])
    monkeypatch.setattr(judge, "_verdict", lambda grids, conditions: None)
    for decoder in ("decode_whole", "decode_part"):
        monkeypatch.setattr(judge, decoder, nn.Upsample(scale_factor=2.0))
    image = interpolate(torch.randn(2, 1, 8, 8), scale_factor=4.0)
    for seed in range(8):  # all four quarters are among them
        _, loss = judge.study(image, torch.zeros(2, 0), torch.Generator().manual_seed(seed))
        assert loss.item() == 0


def test_noise_is_fresh_in_training_alone() -> None:
    layer = Noise(4)
    x = torch.zeros(2, 3, 4, 4)
    assert torch.equal(layer(x), x)
    nn.init.constant_(layer.strength, 2.0)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])
    assert torch.equal(first[:, 0], first[:, 1])
    torch.testing.assert_close(layer.eval()(x), (2 * layer.fixed).expand(2, 3, 4, 4))


@pytest.mark.parametrize(("sizes", "expected"), [((64, 1.0, 1), 64), ((64, 0.3, 4), 20), ((4, 0.01, 4), 4)])
def test_scaled_counts(sizes: tuple[float, float, int], expected: int) -> None:
    assert scaled(*sizes) == expected


def test_doublings() -> None:
    assert doublings(4, 64) == [4, 8, 16, 32, 64]
    with pytest.raises(ValueError, match="48 px is not 4 px doubled"):
        doublings(4, 48)
