"""With stand-ins for methods: networks under the names that methods give them."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from coview.data.synthetic.recordings import ring_cameras
from coview.formats.weights.released_weights import ReleasedWeights, read_released
from coview.methods.algebraic_triangulation import RansacTriangulationConfig
from coview.methods.refinement_unit import RefinementUnitConfig
from coview.methods.weak_25d import Weak25DConfig
from coview.networks.backbone import PoseResNet
from coview.networks.v2v import V2V
from coview.sample import MultiView
from coview.skeletons import COCO_17, EPIPOLAR_16, H36M_17, LEARNABLE_17, MOCAP_19, MPII_16
from coview.training.pretrained import EPIPOLAR_MAP, KEY_MAP, REFINER_MAP, Source, initialise

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"


class Stand(nn.Module):
    """A backbone and, with `volume`, what makes volumes of its features."""

    def __init__(self, *, joints: int = 17, depth: int = 18, volume: bool = False, **settings) -> None:
        super().__init__()
        self.backbone = PoseResNet(depth, joints, **settings)
        if volume:
            self.process_features = nn.Sequential(nn.Conv2d(256, 32, 1))
            self.volume_net = V2V(32, joints)


def small(**settings) -> Stand:
    """On no more memory than a few megabytes."""
    return Stand(deconv=8, **settings)


def released(method: nn.Module, **changes) -> Source:
    """A method's own weights as authors would release them."""
    tensors = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    return Source.of_file(
        "released.pth", ReleasedWeights(tensors, **{"only_backbone": False, "bgr": True, **changes})
    )


# --- the files of the paper --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "entries", "settings"),
    [
        ("alg", 970, {"algebraic": True}),
        ("vol", 1311, {"volume": True}),
        ("vol_conf", 1331, {"volume": True, "volumetric": 32}),
    ],
)
def test_every_key_of_a_released_file_is_used(name, entries, settings):
    """Names and shapes are those of the authors; every tensor holds a number of its own."""
    path = REFERENCE / f"keys_lt_{name}.json"
    if not path.is_file():
        pytest.skip("the lists of keys are not here")
    shapes = json.loads(path.read_text())
    assert len(shapes) == entries
    tensors = {key: torch.tensor(float(i)).expand(shape) for i, (key, shape) in enumerate(shapes.items())}
    with torch.device("meta"):
        method = Stand(depth=152, **settings)
    method.to_empty(device="cpu")
    source = Source.of_file(name, ReleasedWeights(tensors, only_backbone=False, bgr=True))
    report = initialise(method, LEARNABLE_17, source, bgr=True)
    assert sorted(report.used) == sorted(shapes)
    assert [report.ignored, report.mismatched, report.started, report.notes] == [{}, {}, [], []]
    state = method.state_dict()
    assert all(bool((state[key] == i).all()) for i, key in enumerate(shapes))


def test_the_map_names_every_module_of_the_released_files():
    method = Stand(volume=True, algebraic=True, volumetric=32)
    for name in method.state_dict():
        assert any(name.startswith(f"{module}.") for module in KEY_MAP)


# --- another network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "remedy"), [(34, "--method.depth 34"), (50, "--method.depth 50")])
def test_weights_of_another_depth_are_refused_by_name(depth, remedy):
    theirs, ours = small(depth=depth), small(depth=18)
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    words = rf"released.pth holds a ResNet-{depth} of 64 channels, and this method has a ResNet-18 .*{remedy}"
    with pytest.raises(ValueError, match=words):
        initialise(ours, LEARNABLE_17, released(theirs))
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.state_dict().items())


def test_weights_of_another_width_or_of_no_known_depth_are_refused():
    with pytest.raises(
        ValueError, match=r"a ResNet-18 of 8 channels.*Build the method with --method.trunk 8, or"
    ):
        initialise(small(), LEARNABLE_17, released(small(trunk=8)))
    cut = released(small())
    del cut.tensors["backbone.layer4.1.conv1.weight"], cut.tensors["backbone.layer4.1.conv2.weight"]
    with pytest.raises(ValueError, match=r"residual network of 2-2-2-1 blocks .*Name weights of a ResNet-18"):
        initialise(small(), LEARNABLE_17, cut)


# --- joints ------------------------------------------------------------------------------------------


def heatmaps(method: Stand, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        maps = method.eval().backbone(images)
    return maps.heatmaps, maps.algebraic


def test_joints_are_brought_into_order_by_name():
    theirs, ours = small(algebraic=True), small(algebraic=True)
    report = initialise(ours, H36M_17, released(theirs))
    assert not report.started
    images = torch.rand(1, 3, 64, 64)
    expected = heatmaps(theirs, images.flip(1))  # these were trained on blue, green, red
    found = heatmaps(ours, images)
    order = [LEARNABLE_17.index(joint) for joint in H36M_17.joints]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b[:, order], rtol=1e-4, atol=1e-5)


def test_joints_that_the_weights_do_not_know_begin_anew_and_are_counted():
    theirs, ours = small(), small(joints=19)
    before = ours.state_dict()["backbone.final_layer.weight"].clone()
    report = initialise(ours, MOCAP_19, released(theirs))
    after = ours.backbone.final_layer.weight
    for joint, name in enumerate(MOCAP_19.joints):
        known = name in LEARNABLE_17.joints
        expected = theirs.backbone.final_layer.weight[LEARNABLE_17.index(name)] if known else before[joint]
        assert torch.equal(after[joint], expected)
    assert "backbone.final_layer: 17 of 19 joints start from filters of the source" in " ".join(report.notes)


def test_channels_of_joints_that_nobody_names_are_not_taken():
    ours, theirs = small(joints=19), small(joints=19)
    report = initialise(ours, MOCAP_19, released(theirs))
    assert report.mismatched == {
        f"backbone.final_layer.{part}": "19 channels there, of joints that nobody names"
        for part in ("weight", "bias")
    }


def test_a_2d_file_gives_the_first_filters_that_it_has():
    theirs, ours = small(joints=33), small()
    report = initialise(ours, LEARNABLE_17, released(theirs, only_backbone=True))
    assert torch.equal(ours.backbone.final_layer.weight, theirs.backbone.final_layer.weight[:17])
    assert torch.equal(ours.backbone.final_layer.bias, theirs.backbone.final_layer.bias[:17])
    words = " ".join(report.notes)
    assert (
        "17 of 17 joints start from filters of the source, which has 33; the file does not name its joints"
        in words
    )
    few, ours = small(joints=16), small()
    initialise(ours, LEARNABLE_17, released(few, only_backbone=True))
    assert torch.equal(ours.backbone.final_layer.weight[:16], few.backbone.final_layer.weight)
    assert (
        0 < ours.backbone.final_layer.weight[16].abs().max() <= (6 / 25) ** 0.5 * 1.5
    )  # Xavier's bound, 8 + 17
    assert ours.backbone.final_layer.bias[16] == 0


def test_a_run_on_other_joints_is_refused_unless_channels_say_which_they_are():
    plain = nn.Linear(3, 3)
    source = Source("the run there", plain.state_dict(), COCO_17, None)
    with pytest.raises(
        ValueError, match=r"the run there has the joints of 'coco_17', and this method those of 'h36m_17'"
    ):
        initialise(nn.Linear(3, 3), H36M_17, source)
    theirs, ours = small(joints=16), small()
    report = initialise(ours, H36M_17, Source("run", theirs.state_dict(), MPII_16, False))
    assert "final_layer" in report.notes[0]


# --- colours -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("theirs", "ours"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_first_layer_sees_the_colours_it_learnt(theirs, ours):
    a, b = small(), small()
    report = initialise(b, LEARNABLE_17, released(a, bgr=theirs), bgr=ours)
    expected = a.backbone.conv1.weight
    assert torch.equal(b.backbone.conv1.weight, expected if theirs == ours else expected.flip(1))
    assert bool(report.notes) == (theirs != ours)
    assert ("--method.released-numerics" in " ".join(report.notes)) == (theirs and not ours)


# --- what is said ------------------------------------------------------------------------------------


def test_every_name_ends_in_exactly_one_list():
    theirs, ours = small(algebraic=True), Stand(volume=True, deconv=16)
    source = released(theirs)
    source.tensors["epoch.of.training"] = torch.ones(1)
    report = initialise(ours, LEARNABLE_17, source)
    there = [*report.used, *report.ignored, *report.mismatched]
    assert sorted(there) == sorted(source.tensors)
    here = [*report.used, *report.started]
    assert sorted(here) == sorted(ours.state_dict())
    assert report.ignored["epoch.of.training"] == "not a name of Learnable Triangulation"
    assert report.ignored["backbone.alg_confidences.head.0.bias"] == "this method has no such weight"
    assert (
        report.mismatched["backbone.deconv_layers.0.weight"] == "512 × 8 × 4 × 4 there, 512 × 16 × 4 × 4 here"
    )
    lines = report.lines()
    assert lines[0] == report.summary()
    assert lines[0].startswith(f"from released.pth: {len(report.used)} weights used, ")
    assert any(line.startswith("  anew: ") and "volume_net.encoder_decoder" in line for line in lines)
    json.dumps(report.plain())


def test_nothing_that_fits_is_an_error():
    with pytest.raises(ValueError, match=r"nothing in released.pth fits Linear: none of its 2 names"):
        initialise(nn.Linear(2, 2), LEARNABLE_17, released(nn.Linear(3, 3)))


# --- EpipolarPose ------------------------------------------------------------------------------------


def listed(name: str) -> dict[str, list[int]]:
    path = REFERENCE / f"keys_ep_{name}.json"
    if not path.is_file():
        pytest.skip("the lists of keys are not here")
    return json.loads(path.read_text())


def drawn(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """Random tensors of true names and shapes, as the authors' files hold them."""
    torch.manual_seed(3)
    return {f"module.{key}": torch.rand(shape) for key, shape in shapes.items()}


def of_disk(tmp_path, tensors) -> Source:
    torch.save({"state_dict": tensors, "epoch": 139}, tmp_path / "released.pth.tar")
    return Source.of_file("released", read_released(tmp_path / "released.pth.tar"))


@pytest.mark.parametrize(
    ("name", "depth", "skeleton", "entries"),
    [("r18_j16", 18, EPIPOLAR_16, 140), ("r50_j16", 50, EPIPOLAR_16, 338), ("r50_j17", 50, H36M_17, 338)],
)
def test_released_epipolarpose_goes_round(tmp_path, name, depth, skeleton, entries):
    shapes = listed(name)
    assert len(shapes) == entries
    tensors = drawn(shapes)
    method = Stand(depth=depth, joints=64 * len(skeleton))
    report = initialise(method, skeleton, of_disk(tmp_path, tensors), bgr=False)
    assert sorted(report.used) == sorted(f"backbone.{key}" for key in shapes)
    assert [report.ignored, report.mismatched, report.started, report.notes] == [{}, {}, [], []]
    state = method.state_dict()
    for key, tensor in tensors.items():
        ours = state[key.replace("module.", "backbone.")]
        torch.testing.assert_close(ours, tensor.to(ours))


def test_volumes_are_brought_into_order_by_name(tmp_path):
    """Channel j·64 + z stays layer z of the same joint; a joint that the file has not begins anew."""
    tensors = drawn(listed("r18_j16"))
    method = Stand(depth=18, joints=64 * 17)
    before = method.backbone.final_layer.weight.detach().clone()
    report = initialise(method, H36M_17, of_disk(tmp_path, tensors), bgr=False)
    after, given = method.backbone.final_layer.weight.detach(), tensors["module.final_layer.weight"]
    for joint, word in enumerate(H36M_17.joints):
        here = slice(64 * joint, 64 * joint + 64)
        if word == "spine":
            assert torch.equal(after[here], before[here])
        else:
            there = EPIPOLAR_16.index(word)
            assert torch.equal(after[here], given[64 * there : 64 * there + 64])
    assert report.notes == [
        "backbone.final_layer: 16 of 17 joints start from filters of the source, which has 16."
    ]


def test_volumes_of_other_depths_and_maps_are_initialised_anew(tmp_path):
    source = of_disk(tmp_path, drawn(listed("r18_j16")))
    for channels in (32 * 16, 16):  # half as many layers; and one heat map per joint
        report = initialise(Stand(depth=18, joints=channels), EPIPOLAR_16, source)
        assert report.mismatched["backbone.final_layer.weight"].startswith("1024 × 256 × 1 × 1 there, ")
        assert "backbone.final_layer.bias" in report.started
        assert "backbone.conv1.weight" in report.used
    maps = released(Stand(depth=18, joints=17), only_backbone=True)
    report = initialise(Stand(depth=18, joints=64 * 17), H36M_17, maps, bgr=True)
    assert set(report.mismatched) == {"backbone.final_layer.weight", "backbone.final_layer.bias"}


def test_a_heat_map_of_our_own_fills_every_layer_of_its_joint():
    flat, deep = Stand(depth=18, joints=17), Stand(depth=18, joints=4 * 17)
    source = Source("a run", dict(flat.state_dict()), H36M_17, bgr=False)
    report = initialise(deep, H36M_17, source)
    assert not report.mismatched
    assert not report.started
    assert report.notes == ["backbone.final_layer: a heat map of the source fills all 4 layers of its joint"]
    image = torch.rand(1, 3, 64, 64)
    flat.eval(), deep.eval()
    maps = flat.backbone(image).heatmaps
    volumes = deep.backbone(image).heatmaps.unflatten(1, (17, 4))
    for layer in range(4):
        torch.testing.assert_close(volumes[:, :, layer], maps)


@pytest.mark.parametrize("depths", ["maps", "picture"])
def test_a_2d_network_begins_heat_maps_and_leaves_depths_flat(depths):
    """They were filled with its heat maps once: half a torso of depth at the first step, and nothing was learnt."""
    method = Weak25DConfig(depth=18, size=64, trunk=8, deconv=8, depths=depths).build(H36M_17)
    flat = RansacTriangulationConfig(depth=18, size=64, trunk=8, deconv=8).build(H36M_17)
    with torch.no_grad():
        flat.backbone.final_layer.weight.mul_(30)
    initialise(method, H36M_17, Source("a run", dict(flat.state_dict()), H36M_17, bgr=False))
    method.eval(), flat.eval()
    images = torch.rand(1, 1, 3, 64, 64)
    batch = MultiView(
        H36M_17, images=images, cameras=ring_cameras(1).resize(torch.tensor([64.0, 64.0]))[None]
    )
    with torch.no_grad():
        found = method(batch)
        torch.testing.assert_close(found.heatmaps, flat.maps(images).heatmaps[None])
    assert found.relative_depth.abs().max() < 0.05


def test_a_refiner_is_read_with_its_statistics(tmp_path):
    shapes = listed("refiner")
    tensors = {key: tensor.abs() + 0.1 for key, tensor in drawn(shapes).items()}
    norm = [100 * torch.rand(45).numpy() + 1 for _ in range(4)]
    (tmp_path / "norm.pkl").write_bytes(pickle.dumps(norm))
    method = RefinementUnitConfig().build(EPIPOLAR_16)
    report = initialise(method, EPIPOLAR_16, of_disk(tmp_path, tensors))
    assert len(report.used) == 74 + 4
    assert [report.ignored, report.mismatched, report.started, report.notes] == [{}, {}, [], []]
    state = method.state_dict()
    torch.testing.assert_close(state["refiner.w1.weight"], tensors["module.w1.weight"])
    torch.testing.assert_close(state["target_std"], torch.from_numpy(norm[3] / 1000).float())
    (tmp_path / "norm.pkl").unlink()
    report = initialise(RefinementUnitConfig().build(EPIPOLAR_16), EPIPOLAR_16, of_disk(tmp_path, tensors))
    assert sorted(report.started) == ["input_mean", "input_std", "target_mean", "target_std"]
    assert "no norm.pkl beside" in report.notes[0]
    with pytest.raises(
        ValueError, match="has the joints of 'epipolar_16', and this method those of 'h36m_17'"
    ):
        initialise(RefinementUnitConfig().build(H36M_17), H36M_17, of_disk(tmp_path, tensors))


def test_the_maps_name_every_entry_of_the_lists_and_nothing_else():
    for file, known, prefix in (("r50_j17", EPIPOLAR_MAP, "backbone."), ("refiner", REFINER_MAP, "refiner.")):
        names = [prefix + key for key in listed(file)] + [name for name in known if "_" in name[:7]]
        for name in names:
            assert any(f"{name}.".startswith(f"{module}.") for module in known), name
        for module in known:
            assert any(f"{name}.".startswith(f"{module}.") for name in names), module


def test_names_of_others_are_ignored_and_said(tmp_path):
    tensors = drawn(listed("r18_j16")) | {"module.discriminator.weight": torch.ones(2)}
    report = initialise(Stand(depth=18, joints=1024), EPIPOLAR_16, of_disk(tmp_path, tensors))
    assert report.ignored == {"backbone.discriminator.weight": "not a name of EpipolarPose"}
