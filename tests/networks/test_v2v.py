import pytest
import torch
from torch import nn
from torch.nn import functional

from coview.networks.v2v import V2V


def test_the_number_of_parameters():
    # methods/learnable_triangulation.md §6.5: 11.94 M
    with torch.device("meta"):
        network = V2V()
    assert sum(p.numel() for p in network.parameters()) == 11_944_353


def textbook(state, volume, levels):
    """The network written out with functions on a state dict."""

    def normal(features, name):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        shift = [
            value[:, None, None, None]
            for value in (mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])
        ]
        return (features - shift[0]) / (shift[1] + 1e-5).sqrt() * shift[2] + shift[3]

    def conv(features, name):
        weight = state[f"{name}.weight"]
        return functional.conv3d(features, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def basic(features, name):
        return normal(conv(features, f"{name}.block.0"), f"{name}.block.1").relu()

    def res(features, name):
        inner = normal(conv(features, f"{name}.res_branch.0"), f"{name}.res_branch.1").relu()
        inner = normal(conv(inner, f"{name}.res_branch.3"), f"{name}.res_branch.4")
        if f"{name}.skip_con.0.weight" in state:
            features = normal(conv(features, f"{name}.skip_con.0"), f"{name}.skip_con.1")
        return (inner + features).relu()

    def up(features, name):
        weight, bias = state[f"{name}.block.0.weight"], state[f"{name}.block.0.bias"]
        return normal(functional.conv_transpose3d(features, weight, bias, stride=2), f"{name}.block.1").relu()

    middle = "encoder_decoder."
    volume = basic(volume, "front_layers.0")
    for layer in (1, 2, 3):
        volume = res(volume, f"front_layers.{layer}")
    skips = []
    for level in range(1, levels + 1):
        skips.append(res(volume, f"{middle}skip_res{level}"))
        volume = res(functional.max_pool3d(volume, 2), f"{middle}encoder_res{level}")
    volume = res(volume, f"{middle}mid_res")
    for level in range(levels, 0, -1):
        volume = up(res(volume, f"{middle}decoder_res{level}"), f"{middle}decoder_upsample{level}")
        volume = volume + skips[level - 1]
    volume = basic(basic(res(volume, "back_layers.0"), "back_layers.1"), "back_layers.2")
    return conv(volume, "output_layer")


@pytest.mark.parametrize(
    ("settings", "cells"),
    [({}, 32), ({"inputs": 4, "outputs": 3, "width": 6, "levels": 3, "front_kernel": 3}, 16)],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_agrees_with_the_textbook(with_statistics, settings, cells, layout):
    torch.manual_seed(0)
    network = with_statistics(V2V(**settings)).eval().to(memory_format=layout)
    volume = torch.randn(1, settings.get("inputs", 32), cells, cells, cells)
    with torch.no_grad():
        wanted = textbook(network.state_dict(), volume, network.levels)
        found = network(volume.to(memory_format=layout))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


def test_begins_xavier_normal_with_zero_biases():
    torch.manual_seed(0)
    network = V2V()
    weight = network.encoder_decoder["mid_res"].res_branch[0].weight
    deviation = (2 / (27 * (128 + 128))) ** 0.5  # variance 2 / (fan in + fan out)
    assert abs(weight.std().item() / deviation - 1) < 0.01
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
            assert (layer.bias == 0).all()


def small(**more):
    torch.manual_seed(0)
    return V2V(3, 2, width=4, levels=2, front_kernel=3, **more)


def test_without_levels_and_with_an_odd_width():
    network = V2V(3, 2, width=5, levels=0, front_kernel=1).eval()
    assert network(torch.randn(1, 3, 3, 3, 3)).shape == (1, 2, 3, 3, 3)


@pytest.mark.parametrize("batch", [1, 2])
def test_the_smallest_grid_in_training_and_in_use(batch):
    """Its innermost volume is one cell: with a batch of one there is no variance to normalise by."""
    volume = torch.randn(batch, 3, 4, 4, 4, requires_grad=True)
    for training in (True, False):
        scores = small().train(training)(volume)
        assert scores.shape == (batch, 2, 4, 4, 4)
        scores.sum().backward()
    assert volume.grad.isfinite().all()


def test_checkpointing_changes_neither_gradients_nor_running_statistics():
    volume = torch.randn(2, 3, 8, 8, 8)
    plain, recomputed = small(), small(checkpointing=True)
    for network in (plain, recomputed):
        network(volume).square().mean().backward()
    for (name, wanted), found in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-5, atol=1e-7, msg=name)
    for (name, wanted), found in zip(plain.named_buffers(), recomputed.buffers(), strict=True):
        assert torch.equal(found, wanted), name


def test_same_answer_with_and_without_gradients(with_statistics):
    network, volume = with_statistics(small()).eval(), torch.randn(1, 3, 8, 8, 8)
    with torch.no_grad():
        without = network(volume)
    torch.testing.assert_close(network(volume), without)


@pytest.mark.parametrize("cells", [12, 28, 64])
@pytest.mark.parametrize("batch", [1, 2])
def test_slabs_change_nothing(with_statistics, cells, batch):
    network, volume = with_statistics(small()).eval(), torch.randn(batch, 3, cells, cells, cells)
    with torch.no_grad():
        wanted = textbook(network.state_dict(), volume, network.levels)
        before, volumes = volume.clone(), [volume]
        torch.testing.assert_close(network(volume), wanted, rtol=1e-4, atol=1e-5)
        assert torch.equal(volume, before)
        torch.testing.assert_close(network.consume(volumes), wanted, rtol=1e-4, atol=1e-5)
    assert not volumes  # taken, so that its memory can be used again


def test_a_grid_that_cannot_be_halved_often_enough():
    with pytest.raises(
        ValueError, match=r"a grid of 6 cells a side cannot be halved 2 times; take a multiple of 4"
    ):
        small()(torch.randn(1, 3, 6, 6, 6))


@pytest.mark.parametrize("wrong", [{"width": 1}, {"front_kernel": 4}, {"levels": -1}])
def test_impossible_sizes(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        V2V(**wrong)
