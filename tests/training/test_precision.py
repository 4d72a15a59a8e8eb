import pytest
import torch
from torch import nn

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig
from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.networks.backbone import Maps
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training import precision
from coview.training.precision import check_precision, networks_in

CPU = torch.device("cpu")


class Lifting(nn.Module):
    """A network, and arithmetic around it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.network(x)
        assert answer.dtype == torch.float32
        return answer @ answer.mT


@pytest.fixture
def method() -> Lifting:
    torch.manual_seed(0)
    return Lifting()


def test_only_the_network_is_rounded_and_only_while_it_learns(method):
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    exact = method(x)
    with networks_in("bf16", method, CPU):
        rounded = method(x)
        method.eval()
        assert torch.equal(method(x), exact)
        method.train()
    assert 1e-6 < (rounded - exact).abs().max() < 0.1
    answer = method.network(x).bfloat16().float()
    assert not torch.equal(rounded, (rounded.bfloat16()).float())  # the product after it was float32
    torch.testing.assert_close(rounded, answer @ answer.mT, rtol=0.05, atol=0.05)
    assert torch.equal(method(x), exact)


def test_gradients_and_names_are_those_of_single_precision(method):
    names = list(method.state_dict())
    with networks_in("bf16", method, CPU):
        assert list(method.state_dict()) == names
        method(torch.ones(2, 8)).sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in method.parameters())


def test_the_network_is_itself_again_after_an_error(method):
    with pytest.raises(RuntimeError), networks_in("bf16", method, CPU):
        method(torch.ones(2, 3))
    assert "forward" not in vars(method.network)


def test_nothing_happens_in_single_precision(method):
    with networks_in("32", method, CPU):
        assert "forward" not in vars(method.network)


def test_hardware_decides(monkeypatch):
    monkeypatch.setattr(precision, "_automatic", lambda: "cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "amx_bf16": True})
    check_precision("bf16", "auto")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    check_precision("32", "cpu")
    for device in ("auto", "cpu"):
        with pytest.raises(ValueError, match="this machine's cpu has no arithmetic for bfloat16"):
            check_precision("bf16", device)
    with pytest.raises(ValueError, match="this machine's mps"):
        check_precision("bf16", "mps")


def test_a_gpu_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: asked.append(options) or True)
    check_precision("bf16", "cuda:0")
    assert asked == [{"including_emulation": False}]


# --- what answers with more than one tensor, layouts, and compilers ----------------------------------


def images_of(method_type, **changes):
    """A method on images, small, and instants for it."""
    joints3d = random_motion(2, seed=0)
    cameras = ring_cameras(3).expand(2, 3)
    cameras = cameras.resize(torch.tensor([64.0, 64.0]))
    batch = MultiView(
        H36M_17,
        images=torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0)),
        cameras=cameras,
        joints3d=joints3d,
        base_point=joints3d[:, 0],
    )
    small = {"depth": 18, "size": 64, "deconv": 16}
    configs = {
        "algebraic": AlgebraicTriangulationConfig(**small),
        "volumetric": VolumetricTriangulationConfig(
            **small, cells=8, levels=2, width=8, channels=8, rotate=False
        ),
    }
    torch.manual_seed(0)
    return configs[method_type].build(H36M_17).train(), batch


def learnt(method, batch):
    method.zero_grad()
    terms = method.losses(method(batch), batch)
    loss = torch.stack(list(terms.values())).sum()
    loss.backward()
    return loss.detach(), {n: p.grad.clone() for n, p in method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", ["algebraic", "volumetric"])
def test_methods_on_images_learn_the_same_with_channels_last(kind, monkeypatch):
    method, batch = images_of(kind)
    loss, gradients = learnt(method, batch)
    monkeypatch.setattr(precision, "_CHANNELS_LAST_ON", frozenset({"cpu"}))
    with networks_in("32", method, CPU):
        assert "forward" in vars(method.backbone)
        other, others = learnt(method, batch)
    torch.testing.assert_close(other, loss, rtol=1e-3, atol=1e-4)
    assert others.keys() == gradients.keys()
    for parameter in method.parameters():
        if parameter.grad is not None:
            sides = zip(parameter.shape, parameter.stride(), parameter.grad.stride(), strict=True)
            assert all(a == b for size, a, b in sides if size > 1)  # which fused optimisers demand


@pytest.mark.parametrize("kind", ["algebraic", "volumetric"])
def test_maps_survive_half_precision_as_they_are(kind):
    method, batch = images_of(kind)
    with networks_in("bf16", method, CPU):
        maps = method.backbone(torch.zeros(2, 3, 64, 64))
        assert isinstance(maps, Maps)
        assert {each.dtype for each in maps if each is not None} == {torch.float32}
        assert maps.volumetric is None
        loss, gradients = learnt(method, batch)
    assert bool(loss.isfinite())
    assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())


def test_networks_are_compiled_only_while_they_learn(method, monkeypatch):
    asked = []

    def compiling(forward):
        def compiled(*inputs):
            asked.append(1)
            return forward(*inputs)

        return compiled

    monkeypatch.setattr(torch, "compile", compiling)
    with networks_in("32", method, CPU, compiled=True):
        method(torch.ones(2, 8))
        method.eval()(torch.ones(2, 8))
    assert asked == [1]
