from dataclasses import replace

import pytest
import torch

from coview.body.limb_lengths import LimbLengths
from coview.methods.weak_25d import Weak25D, Weak25DConfig
from coview.networks.backbone import Maps
from coview.representations.heatmaps import gaussian_maps, soft_argmax
from coview.sample import MultiView
from coview.skeletons import H36M_17

SIZE = 64
SMALL = Weak25DConfig(depth=18, size=SIZE, trunk=8, deconv=16, ramp=0.0)


@pytest.fixture
def batch(dotted) -> MultiView:
    """Four instants: two with 2D labels, one with a frozen network's 2D joints, one with nothing."""
    made = dotted(4, size=SIZE)
    labelled = torch.tensor([True, True, False, False])[:, None].expand(4, 4)
    confidence = made.confidence * torch.tensor([1.0, 1.0, 0.7, 0.0])[:, None, None]
    joints2d = torch.where(confidence[..., None] > 0, made.joints2d, torch.nan)
    return made.replaced(joints2d=joints2d, confidence=confidence, labelled2d=labelled)


def built(config: Weak25DConfig = SMALL) -> Weak25D:
    """A network that is half sure of every joint."""
    torch.manual_seed(0)
    method = config.build(H36M_17)
    with torch.no_grad():
        method.backbone.final_layer.bias[:] = 0.5
    return method


def own_limbs(batch: MultiView) -> LimbLengths:
    """Means of the people who are shown."""
    limbs = LimbLengths().of(H36M_17)
    names = (
        "torso",
        "hip",
        "hip",
        "thigh",
        "thigh",
        "shank",
        "shank",
        "neck",
        "head",
        "shoulder",
        "shoulder",
    )
    names += ("upper_arm", "upper_arm", "forearm", "forearm")
    lengths = limbs.vectors(batch.joints3d).norm(dim=-1).mean(dim=0).tolist()
    return LimbLengths(**dict(zip(names, lengths, strict=True)))


def terms(method: Weak25D, batch: MultiView) -> dict[str, torch.Tensor]:
    return method.losses(method(batch.only(method.inputs)), batch.only(method.needs))


def test_the_soft_argmax_of_a_bump_is_at_its_place():
    """T7: at the sharpness that training begins with, less than a tenth of a cell off; far off where it is dull."""
    places = 6 + 52 * torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    maps = gaussian_maps(places, torch.ones(50), (64, 64), Weak25DConfig().sigma)
    sharpness = torch.nn.functional.softplus(built().log_sharpness.detach())
    torch.testing.assert_close(sharpness, torch.full((17,), Weak25DConfig().sharpness))
    assert (soft_argmax(maps, Weak25DConfig().sharpness) - places).norm(dim=-1).max() < 0.1
    assert (soft_argmax(maps, 5.0) - places).norm(dim=-1).mean() > 5


def test_each_term_has_its_views(batch):
    method = built()
    found = terms(method, batch)
    assert set(found) == {"heatmap", "pseudo", "agreement", "limb"}
    assert all(term.isfinite() and term > 0 for term in found.values())
    wrong = batch.joints2d.clone()
    wrong[:2] += 9.0
    moved = terms(method, batch.replaced(joints2d=wrong))
    assert moved["heatmap"] != found["heatmap"]
    assert all(moved[name] == found[name] for name in ("pseudo", "agreement", "limb"))
    everything = batch.replaced(labelled2d=torch.ones(4, 4, dtype=torch.bool))
    labels = terms(method, everything)
    assert labels["pseudo"] == labels["agreement"] == labels["limb"] == 0


def test_unsure_joints_of_the_frozen_network_teach_nothing(batch):
    method = built()
    unsure = batch.replaced(confidence=batch.confidence.clamp_max(0.4))
    assert terms(method, unsure)["pseudo"] == 0


def test_limbs_teach_depths_and_not_places(batch):
    method = built()
    predicted = method(batch.only(method.inputs))
    trust = torch.ones_like(predicted.confidence)
    slopes = torch.autograd.grad(
        method._limb_error(predicted, trust), (predicted.rays, predicted.relative_depth), allow_unused=True
    )
    assert slopes[0] is None
    assert slopes[1].any()


@pytest.mark.parametrize("teach", [False, True])
def test_views_teach_places_only_where_that_is_asked_for(batch, teach):
    """On pictures that nothing else holds, one figure for all is where the views agree best."""
    method = built(replace(SMALL, views_teach_places=teach))
    predicted = method(batch.only(method.inputs))
    agreement = method.losses(predicted, batch.only(method.needs))["agreement"]
    learning = (method.backbone.final_layer.weight, method.depth_layer.weight)
    places, depths = torch.autograd.grad(agreement, learning, allow_unused=True)
    assert (places is not None and bool(places.any())) == teach
    assert depths.any()


def test_multi_view_terms_come_in_slowly(batch):
    method = built(replace(SMALL, ramp=0.5))
    method.progress = 0.25
    half = terms(method, batch)
    method.progress = 0.5
    full = terms(method, batch)
    torch.testing.assert_close(2 * half["agreement"], full["agreement"])
    torch.testing.assert_close(half["heatmap"], full["heatmap"])


def test_reads_intrinsics_and_never_where_a_camera_stands(batch):
    method = built().eval()
    lost = replace(batch.cameras, cam_from_world=torch.full_like(batch.cameras.cam_from_world, torch.nan))
    with torch.no_grad():
        blind, seeing = method(batch.replaced(cameras=lost)), method(batch)
    torch.testing.assert_close(blind.joints3d, seeing.joints3d)


def test_a_view_without_a_lens_is_nan_and_poisons_nothing(batch):
    intrinsics = batch.cameras.intrinsics.clone()
    intrinsics[3, 1] = torch.nan
    method = built()
    lost = batch.replaced(cameras=replace(batch.cameras, intrinsics=intrinsics))
    predicted = method(lost.only(method.inputs))
    assert predicted.joints3d[3, 1].isnan().all()
    assert predicted.joints3d[3, 0].isfinite().all()
    sum(method.losses(predicted, lost.only(method.needs)).values()).backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in method.parameters())


def test_learns_places_from_single_images(batch, glimpse):
    method = built()
    method.backbone, method.depth_layer = glimpse(17), torch.nn.Conv2d(32, 17, 1)
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    first = None
    for _ in range(60):
        loss = terms(method, batch)["heatmap"]
        first = first or loss.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.7 * first


class Seeing(torch.nn.Module):
    """A backbone that sees the 2D joints of known pictures, and nothing else of them."""

    def __init__(self, batch: MultiView, channels: int) -> None:
        super().__init__()
        self.marks, self.joints2d = self.marks_of(batch.images.flatten(0, 1)), batch.joints2d.flatten(0, 1)
        self.pad = channels - 34

    def marks_of(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=1)[:, ::4].flatten(1)

    def forward(self, images: torch.Tensor) -> Maps:
        joints2d = self.joints2d[torch.cdist(self.marks_of(images), self.marks).argmin(dim=1)]
        bumps = gaussian_maps((joints2d + 0.5) / 4 - 0.5, torch.ones(joints2d.shape[:-1]), (16, 16), 1.0)
        places = (joints2d - joints2d[:, :1]).flatten(1) / SIZE
        coarse = torch.nn.functional.pad(places, (0, self.pad))[..., None, None]
        return Maps((bumps + 1e-9).log() / SEEN.sharpness, bumps, None, None, coarse.expand(-1, -1, 2, 2))


SEEN = replace(SMALL, depths="picture", loss="cross_entropy", sharpness=10.0, sigma=1.0, limb_weight=2.0)


def of_normalised(images: torch.Tensor) -> torch.Tensor:
    return images


def seeing(batch: MultiView) -> Weak25D:
    """A method whose places are right and whose depths are to be learnt."""
    torch.manual_seed(0)
    method = replace(SEEN, limbs=own_limbs(batch)).build(H36M_17)
    method.backbone = Seeing(batch, method.backbone.channels)
    method._normalised = of_normalised
    return method


def error(method: Weak25D, batch: MultiView) -> float:
    """Root-relative, millimetres, no scaling."""
    truth = (batch.joints3d - batch.joints3d[:, :1])[:, None] @ batch.cameras.rotation.mT
    with torch.no_grad():
        return 1000 * float((method.eval()(batch).joints3d - truth).norm(dim=-1).mean())


@pytest.fixture(scope="module")
def learnt(dotted) -> tuple[Weak25D, MultiView, float]:
    """After 100 steps on pictures without 2D labels, and the error of flat people before."""
    batch = dotted(24, size=SIZE)
    batch = batch.replaced(labelled2d=torch.zeros(24, 4, dtype=torch.bool))
    method = seeing(batch)
    flat = error(method, batch)
    optimiser = torch.optim.Adam(method.parameters(), lr=1e-3)
    for _ in range(100):
        loss = sum(terms(method.train(), batch).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0)
        optimiser.step()
    method.resolve_ambiguity(batch)
    return method, batch, flat


def test_views_alone_teach_depths(learnt):
    method, batch, flat = learnt
    assert flat > 100
    assert error(method, batch) < 0.5 * flat


def test_a_model_in_the_mirrored_world_is_turned_back(learnt):
    method, batch, _ = learnt
    right = error(method, batch)
    with torch.no_grad():
        method.depth_layer.weight.neg_()
        method.depth_layer.bias.neg_()
    assert error(method, batch) > 2 * right
    assert method.resolve_ambiguity(batch)["mirror_flipped"]
    assert error(method, batch) == pytest.approx(right)
    assert not method.resolve_ambiguity(batch)["mirror_flipped"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sharpness": 0.0}, "sharpness"),
        ({"limb_weight": -1.0}, "cannot be negative"),
        ({"ramp": 1.0}, "ramp is a share"),
        ({"fewest_views": 2}, "fewest_views"),
        ({"trunk_rate": 0.0}, "trunk_rate"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        replace(SMALL, **settings)
