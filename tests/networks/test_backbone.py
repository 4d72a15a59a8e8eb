import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from coview.networks.backbone import BasicBlock, Bottleneck, PoseResNet, Trunk, TrunkShape, trunk_shapes
from coview.networks.v2v import V2V

# methods/learnable_triangulation.md §3, §9: entries, parameters; and the digest of `name [shape]` of the released files
RELEASED = {
    "alg": (970, 79_521_890, "a22a401da661dfe6"),
    "vol": (1311, 80_588_050, "4859dd43051877f9"),
    "vol_conf": (1331, 91_478_322, "ef0b690e56bcebf2"),
}


def released(kind):
    """The networks of one released file under their names there, without memory for the weights."""
    with torch.device("meta"):
        parts = {
            "backbone": PoseResNet(152, 17, algebraic=kind == "alg", volumetric=32 * (kind == "vol_conf"))
        }
        if kind != "alg":
            parts |= {"process_features": nn.Sequential(nn.Conv2d(256, 32, 1)), "volume_net": V2V()}
    return nn.ModuleDict(parts)


def shapes(module):
    return {name: list(value.shape) for name, value in module.state_dict().items()}


@pytest.mark.parametrize("kind", RELEASED)
def test_names_shapes_and_parameters_of_the_released_weights(kind):
    module = released(kind)
    listing = "\n".join(f"{name} {shape}" for name, shape in sorted(shapes(module).items()))
    digest = hashlib.sha256(listing.encode()).hexdigest()[:16]
    assert (len(shapes(module)), sum(p.numel() for p in module.parameters()), digest) == RELEASED[kind]


@pytest.mark.parametrize("kind", RELEASED)
def test_the_full_lists_of_the_released_files(kind, shared_data: Path):
    keys = shared_data.parent / "reference" / f"keys_lt_{kind}.json"
    if not keys.is_file():
        pytest.skip(f"the list {keys} is not here")
    assert shapes(released(kind)) == json.loads(keys.read_text())


def test_without_confidences_950_entries():
    # methods/learnable_triangulation.md §3
    with torch.device("meta"):
        assert len(PoseResNet(152, 17).state_dict()) == 950


@pytest.mark.parametrize(
    ("depth", "trunk"), [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032), (101, 42_500_160)]
)
def test_trunks_are_torchvision_s(depth, trunk):
    # torchvision's documented counts (11,689,512; 21,797,672; 25,557,032; 44,549,160) without the classifier
    with torch.device("meta"):
        named = PoseResNet(depth, 17).named_parameters()
    assert (
        sum(p.numel() for name, p in named if name.split(".")[0] not in ("deconv_layers", "final_layer"))
        == trunk
    )


def textbook(state, images, blocks, bottleneck):
    """The network written out with functions on a state dict, one block after the other."""

    def normal(features, name):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scaled = (features - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    def conv(features, name, stride=1):
        weight = state[f"{name}.weight"]
        return functional.conv2d(features, weight, state.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def unit(features, name, number, stride=1):
        return normal(conv(features, f"{name}.conv{number}", stride), f"{name}.bn{number}")

    def confidence(features, name):
        for first in (0, 4):
            features = normal(conv(features, f"{name}.features.{first}"), f"{name}.features.{first + 1}")
            features = functional.max_pool2d(features, 2).relu()
        numbers = features.flatten(2).mean(-1)
        for layer in (0, 2, 4):
            weight, bias = state[f"{name}.head.{layer}.weight"], state[f"{name}.head.{layer}.bias"]
            numbers = (numbers.relu() if layer else numbers) @ weight.mT + bias
        return numbers.sigmoid()

    features = functional.max_pool2d(normal(conv(images, "conv1", 2), "bn1").relu(), 3, 2, 1)
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            if bottleneck:
                inner = unit(unit(features, name, 1).relu(), name, 2, stride).relu()
                inner = unit(inner, name, 3)
            else:
                inner = unit(unit(features, name, 1, stride).relu(), name, 2)
            if f"{name}.downsample.0.weight" in state:
                features = normal(conv(features, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            features = (inner + features).relu()
    confidences = [confidence(features, name) for name in ("alg_confidences", "vol_confidences")]
    for layer in (0, 3, 6):
        grown = functional.conv_transpose2d(features, state[f"deconv_layers.{layer}.weight"], None, 2, 1)
        features = normal(grown, f"deconv_layers.{layer + 1}").relu()
    return conv(features, "final_layer"), features, *confidences


@pytest.mark.parametrize(("depth", "blocks"), [(18, (2, 2, 2, 2)), (50, (3, 4, 6, 3))])
def test_agrees_with_the_textbook(with_statistics, depth, blocks):
    torch.manual_seed(0)
    network = with_statistics(PoseResNet(depth, 5, algebraic=True, volumetric=7, deconv=16)).eval()
    images = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        maps = network(images)
        wanted = textbook(network.state_dict(), images, blocks, bottleneck=depth >= 50)
    for found, slow in zip(maps[:4], wanted, strict=True):
        torch.testing.assert_close(found, slow, rtol=1e-4, atol=1e-5 * slow.abs().max().item())


def test_shapes_without_heads_of_an_image_that_is_not_square():
    maps = PoseResNet(18, 4, deconv=8).eval()(torch.randn(2, 3, 64, 96))
    assert maps.heatmaps.shape == (2, 4, 16, 24)
    assert maps.features.shape == (2, 8, 16, 24)
    assert maps.algebraic is None
    assert maps.volumetric is None


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(64, 64), (32, 32), (96, 64)])
def test_small_images_in_training_and_in_use(training, size):
    network = PoseResNet(18, 4, algebraic=True, volumetric=3, deconv=8).train(training)
    maps = network(torch.randn(1, 3, *size))
    assert all(value.isfinite().all() for value in maps)
    assert maps.algebraic.shape == (1, 4)
    assert maps.volumetric.shape == (1, 3)
    assert ((maps.algebraic > 0) & (maps.algebraic < 1)).all()


@pytest.mark.parametrize("block", [BasicBlock(8, 8, 2), Bottleneck(8, 4, 2), Bottleneck(16, 4, 1)])
def test_a_block_leaves_its_input_as_it_was(block):
    features = torch.randn(2, block.conv1.in_channels, 8, 8)
    before = features.clone()
    block(features)
    assert torch.equal(features, before)


def gradients(checkpointing):
    torch.manual_seed(1)
    network = PoseResNet(18, 3, algebraic=True, deconv=8, checkpointing=checkpointing)
    maps = network(torch.randn(2, 3, 64, 64))
    (maps.heatmaps.square().mean() + maps.algebraic.sum()).backward()
    return {name: p.grad for name, p in network.named_parameters()}, dict(network.named_buffers())


def test_checkpointing_changes_neither_gradients_nor_running_statistics():
    (plain, statistics), (recomputed, statistics_again) = gradients(False), gradients(True)
    assert plain.keys() == recomputed.keys()
    for name, value in plain.items():
        torch.testing.assert_close(recomputed[name], value, rtol=1e-5, atol=1e-7, msg=name)
    for name, value in statistics.items():
        torch.testing.assert_close(statistics_again[name], value, rtol=0, atol=0, msg=name)
    assert statistics_again["bn1.num_batches_tracked"] == 1


def test_checkpointing_keeps_less():
    def kept(checkpointing):
        sizes: dict[int, int] = {}

        def pack(tensor):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        network = PoseResNet(50, 3, deconv=8, checkpointing=checkpointing)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(torch.randn(1, 3, 64, 64))
        weights = {p.data_ptr() for p in [*network.parameters(), *network.buffers()]}
        return sum(size for pointer, size in sizes.items() if pointer not in weights)

    assert kept(True) < kept(False) / 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"depth": 18, "joints": 0},
            r"joints, deconv and trunk ≥ 1.*got joints=0, deconv=256, trunk=64, volumetric=0",
        ),
        ({"depth": 18, "joints": 3, "volumetric": -1}, "volumetric=-1"),
    ],
)
def test_impossible_sizes(arguments, words):
    with pytest.raises(ValueError, match=words):
        PoseResNet(**arguments)


def test_a_narrow_trunk_halves_every_stage():
    wide, narrow = PoseResNet(18, 17), PoseResNet(18, 17, trunk=32)
    assert narrow.conv1.weight.shape == (32, 3, 7, 7)
    for (name, a), b in zip(
        wide.layer3.state_dict().items(), narrow.layer3.state_dict().values(), strict=True
    ):
        assert list(b.shape) == [side // 2 if side in (128, 256) else side for side in a.shape], name
    assert narrow.eval()(torch.rand(1, 3, 64, 64)).heatmaps.shape == (1, 17, 16, 16)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_weights_tell_how_deep_and_wide_their_network_is(depth):
    with torch.device("meta"):
        weights = Trunk(depth, trunk=8).state_dict()
    found = trunk_shapes(
        {f"eyes.{name}": tensor for name, tensor in weights.items()} | {"other.weight": torch.ones(2)}
    )
    assert {name: (shape.depth, shape.channels) for name, shape in found.items()} == {"eyes.": (depth, 8)}
    assert str(found["eyes."]) == f"ResNet-{depth} of 8 channels"


def test_weights_of_other_networks_have_no_depth():
    assert trunk_shapes({"lifter.weight": torch.ones(2)}) == {}
    blocks = {f"layer{stage}.0.conv1.weight": torch.ones(8, 8, 1, 1) for stage in range(1, 5)}
    assert trunk_shapes(blocks) == {"": TrunkShape(None, (1, 1, 1, 1), 8)}
    assert str(trunk_shapes(blocks)[""]) == "residual network of 1-1-1-1 blocks of 8 channels"
