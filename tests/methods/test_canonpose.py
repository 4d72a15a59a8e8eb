import itertools
import math
from dataclasses import replace

import pytest
import torch

from coview.cameras import Cameras
from coview.data.synthetic.recordings import SyntheticConfig, ring_cameras
from coview.geometry.rotations import nearest_rotation, rotation_from_axis_angle
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.methods.shared.lifted import LiftedPoses
from coview.metrics.joint_error import n_joint_error
from coview.representations.cross_view_poses import permutation_within
from coview.sample import MultiView
from coview.skeletons import CANONPOSE_16, H36M_17

FOCAL = 1145 / 1000 / 2**0.5  # of SyntheticConfig's cameras, in image diagonals
SMALL = CanonPoseConfig(width=16)
OURS = CanonPoseConfig(
    width=16,
    rotation="six_d",
    projection="perspective",
    input_size="unit_rms",
    focal=FOCAL,
    pose_head_init_scale=0.03,
)
PERSPECTIVE = CanonPoseConfig(width=16, projection="perspective", focal=FOCAL)
BOTH = pytest.mark.parametrize("config", [SMALL, OURS], ids=["faithful", "ours"])


def instants(count: int = 6, **options) -> MultiView:
    return SyntheticConfig(instants=count, subjects=1, **options).train().instants


def flat(batch: MultiView) -> MultiView:
    """The same instants as a parallel projection sees them: 100 pixels to the metre."""
    points = batch.cameras.to_camera(batch.joints3d[:, None])
    return batch.replaced(joints2d=100 * points[..., :2] + 500)


def truly(method: CanonPose, batch: MultiView) -> LiftedPoses:
    """What a perfect network would say: the world's pose and each view's rotation."""
    lifted = method(batch)
    pose = batch.joints3d - batch.joints3d[:, :1]
    rotation = lifted.observed.ray_from_camera @ batch.cameras.rotation
    return replace(lifted, canonical=pose[:, None].expand_as(lifted.canonical), ray_from_canonical=rotation)


def total(terms: dict[str, torch.Tensor]) -> float:
    return float(sum(terms.values()))


def mirrored(lifted: LiftedPoses) -> LiftedPoses:
    d = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
    return replace(
        lifted, canonical=lifted.canonical @ d, ray_from_canonical=d @ lifted.ray_from_canonical @ d
    )


# --- the paper's losses ------------------------------------------------------------------------------


def test_t1_truth_costs_nothing_under_parallel_projection():
    batch = flat(instants())
    method = SMALL.build(H36M_17)
    assert total(method.losses(truly(method, batch), batch)) < 1e-4


def test_t2_neither_size_nor_the_mirror_is_seen():
    batch = flat(instants())
    method = SMALL.build(H36M_17)
    torch.manual_seed(0)
    lifted = method(batch)
    for other in (replace(lifted, canonical=37 * lifted.canonical), mirrored(lifted)):
        torch.manual_seed(1)
        expected = method.losses(lifted, batch)
        torch.manual_seed(1)
        torch.testing.assert_close(method.losses(other, batch), expected, rtol=1e-4, atol=1e-5)


def test_t3_camera_term_is_positive_and_zero_for_constant_relative_rotations():
    batch = flat(instants())
    method = SMALL.build(H36M_17)
    lifted = truly(method, batch)
    assert method.losses(lifted, batch)["camera"] < 1e-5
    wrong = torch.linalg.qr(torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0))).Q
    wrong = nearest_rotation(wrong)
    assert method.losses(replace(lifted, ray_from_canonical=wrong), batch)["camera"] > 0.01


def test_t5b_perspective_costs_nothing_where_orthography_does():
    batch = instants()
    ours, faithful = OURS.build(H36M_17), SMALL.build(H36M_17)
    assert total(ours.losses(truly(ours, batch), batch)) < 1e-3
    assert 0.05 < total(faithful.losses(truly(faithful, batch), batch)) < 0.4  # five poses' worth of 0.03
    # the mirror degeneracy is gone: the mirrored truth costs
    assert total(ours.losses(mirrored(truly(ours, batch)), batch)) > 0.1


def slowly(method: CanonPose, lifted: LiftedPoses, batch: MultiView) -> dict[str, torch.Tensor]:
    """The paper's text, pair by pair, with the permutations that the fast one draws. Orthographic."""

    def distance(pose, seen, confidence):
        def scaled(points):
            return points / points.square().mean().sqrt()

        error = (scaled(pose[:, :2]) - scaled(seen)).abs()
        return (confidence[:, None] * error).sum() / error.numel()

    samples, views = batch.joints2d.shape[:2]
    seen = batch.joints2d - batch.joints2d[:, :, :1]
    pose, rotation = lifted.canonical, lifted.ray_from_canonical
    others = [(a, b) for a in range(views) for b in range(views) if a != b]

    def error(s, a, b, turn):
        return distance(pose[s, a] @ turn.T, seen[s, b], batch.confidence[s, b])

    rep = [error(s, v, v, rotation[s, v]) for s in range(samples) for v in range(views)]
    view = [error(s, a, b, rotation[s, b]) for s in range(samples) for a, b in others]
    orders = [permutation_within(batch.rig) for _ in range(views)]
    camera = torch.tensor(0.0)
    for a, rig in itertools.product(range(views), batch.rig.unique()):
        members = [s for s in range(samples) if batch.rig[s] == rig]
        if len(members) < 2:
            continue
        errors = []
        for s, b in itertools.product(members, range(views)):
            if b != a:
                partner = int(orders[a][s])
                assert partner in members
                relative = rotation[partner, b] @ rotation[partner, a].T
                errors.append(error(s, a, b, relative @ rotation[s, a]))
        camera = camera + torch.stack(errors).mean()
    return {
        "rep": torch.stack(rep).mean(),
        # a sum over source views of means over the others
        "view": views * torch.stack(view).mean(),
        "camera": 0.1 * camera,
    }


def test_equals_the_slow_twin():
    batch = instants(7).replaced(rig=torch.tensor([3, 1, 3, 1, 1, 8, 3]))
    batch = batch.replaced(confidence=torch.rand(7, 4, 17, generator=torch.Generator().manual_seed(0)) + 0.1)
    torch.manual_seed(0)
    method = SMALL.build(H36M_17)
    lifted = method(batch)
    torch.manual_seed(5)
    fast = method.losses(lifted, batch)
    torch.manual_seed(5)
    torch.testing.assert_close(fast, slowly(method, lifted, batch), rtol=1e-4, atol=1e-5)


# --- the network -------------------------------------------------------------------------------------


def test_t6_parameters_of_the_paper():
    assert sum(p.numel() for p in CanonPoseConfig().build(CANONPOSE_16).parameters()) == 10_598_451


@pytest.mark.parametrize(
    ("config", "rate"),
    [(replace(SMALL, width=128), 3e-3), (replace(OURS, width=64), 6e-3)],
    ids=["faithful", "ours"],
)
def test_t4_eight_samples_can_be_learnt_by_heart(config, rate):
    batch = instants(8, seed=3)
    batch = flat(batch) if config.projection == "orthographic" else batch
    torch.manual_seed(0)
    method = replace(config, input_size="unit_rms").build(H36M_17)
    optimiser = torch.optim.Adam(method.parameters(), lr=rate)
    for step in range(1000):
        terms = method.losses(method(batch), batch)
        worst = max(terms["rep"].item(), terms["view"].item() / 4)
        if worst < 0.01:
            break
        optimiser.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / 2000))
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
    assert worst < 0.01


@BOTH
def test_predictions_are_root_centred_and_turn_with_the_camera(config):
    batch = instants(3)
    predicted = config.build(H36M_17)(batch)
    torch.testing.assert_close(predicted.joints3d[..., 0, :], torch.zeros(3, 4, 3))
    expected = predicted.canonical @ predicted.ray_from_canonical.mT @ predicted.observed.ray_from_camera
    torch.testing.assert_close(predicted.joints3d, expected)


@BOTH
def test_one_view_alone_predicts_the_same(config):
    batch, method = instants(3), config.build(H36M_17)
    alone = batch.only(method.inputs)
    alone = alone.replaced(**{name: getattr(alone, name)[:, 1:2] for name in alone.fields})
    torch.testing.assert_close(method(alone).joints3d[:, 0], method(batch).joints3d[:, 1])


@BOTH
@pytest.mark.parametrize("views", [2, 5])
def test_any_number_of_views_and_joints(config, views):
    cameras = ring_cameras(views).expand(4, views)
    points = torch.randn(4, 1, 9, 3, generator=torch.Generator().manual_seed(0)) / 3 + 1
    skeleton = replace(H36M_17, joints=H36M_17.joints[:9], bones=(), left_right=())
    batch = MultiView(
        skeleton,
        joints2d=cameras.project(points),
        confidence=torch.ones(4, views, 9),
        image_size=cameras.size,
        rig=torch.zeros(4, dtype=torch.long),
    )
    method = config.build(skeleton)
    terms = method.losses(method(batch), batch)
    assert all(term.isfinite() for term in terms.values())


def test_one_view_cannot_teach():
    batch, method = instants(2, views=1), SMALL.build(H36M_17)
    with pytest.raises(ValueError, match="two or more views of one instant, got 1"):
        method.losses(method(batch), batch)


# --- the authors' numerics ---------------------------------------------------------------------------


def doubles(batch: MultiView) -> MultiView:
    """The fields that CanonPose reads, in double precision; some joints of no confidence, whose places are wild."""
    generator = torch.Generator().manual_seed(3)
    confidence = torch.rand(batch.confidence.shape, generator=generator, dtype=torch.float64)
    confidence = torch.where(confidence < 0.2, 0.0, confidence)
    joints2d = (
        batch.joints2d.double()
        + 200
        * torch.randn(batch.joints2d.shape, generator=generator, dtype=torch.float64)
        * (confidence == 0)[..., None]
    )
    return batch.replaced(joints2d=joints2d, confidence=confidence)


def authors_lifter(weights: dict[str, torch.Tensor], flat: torch.Tensor, confidence: torch.Tensor):
    """The network by its text: planar input, no activation after the first layer, Rodrigues' formula."""

    def linear(x, name):
        return x @ weights[f"lifter.{name}.weight"].T + weights[f"lifter.{name}.bias"]

    def leaky(x):
        return torch.where(x > 0, x, 0.01 * x)

    def block(x, name):
        return leaky(leaky(linear(leaky(linear(x, f"{name}.first")), f"{name}.second")) + x)

    x = block(linear(torch.cat([flat[:, 0], flat[:, 1], confidence]), "entry"), "shared")
    pose = linear(block(block(x, "pose_branch.0"), "pose_branch.1"), "pose").view(3, -1).T
    omega = linear(block(block(x, "rotation_branch.0"), "rotation_branch.1"), "rotation")
    angle = omega.norm()
    a = omega / angle
    cross = torch.stack(
        [
            torch.stack([0 * a[0], -a[2], a[1]]),
            torch.stack([a[2], 0 * a[0], -a[0]]),
            torch.stack([-a[1], a[0], 0 * a[0]]),
        ]
    )
    return pose, torch.eye(3).to(a) + angle.sin() * cross + (1 - angle.cos()) * cross @ cross


def test_released_numerics_are_the_authors_to_the_last_digit():
    torch.manual_seed(0)
    config = replace(SMALL, released_numerics=True, camera_weight=0.0)
    batch, method = doubles(instants(3)), config.build(H36M_17).double()
    lifted = method(batch)
    weights = dict(method.state_dict())
    poses, rotations = torch.empty(3, 4, 17, 3).double(), torch.empty(3, 4, 3, 3).double()
    for n, v in itertools.product(range(3), range(4)):
        centred = batch.joints2d[n, v] - batch.joints2d[n, v, :1]
        poses[n, v], rotations[n, v] = authors_lifter(
            weights, centred / centred.norm(), batch.confidence[n, v]
        )
        found = poses[n, v] @ rotations[n, v].T
        assert (1000 * (lifted.joints3d[n, v] - found + found[:1])).abs().max() < 1e-9
    # neither is the pose moved to its root, nor does the loss leave anything out
    assert 1000 * (lifted.canonical - poses).abs().max() < 1e-9
    assert poses[..., 0, :].norm(dim=-1).min() > 1e-3
    authors = replace(lifted, canonical=poses, ray_from_canonical=rotations)
    expected = slowly(method, authors, batch.replaced(rig=torch.zeros(3, dtype=torch.long)))
    terms = method.losses(lifted, batch)
    for name in ("rep", "view"):
        torch.testing.assert_close(terms[name], expected[name], rtol=1e-6, atol=1e-12)


def test_released_numerics_differ_only_where_something_is_missing_or_off_the_root():
    torch.manual_seed(0)
    ours = SMALL.build(H36M_17).double()
    theirs = replace(SMALL, released_numerics=True).build(H36M_17).double()
    theirs.load_state_dict(ours.state_dict())
    whole = instants(3)
    whole = whole.replaced(joints2d=whole.joints2d.double(), confidence=torch.ones(3, 4, 17).double())
    torch.testing.assert_close(theirs(whole).joints3d, ours(whole).joints3d, rtol=0, atol=1e-12)
    assert (theirs(doubles(whole)).joints3d - ours(doubles(whole)).joints3d).nan_to_num().abs().max() > 1e-3
    gone = whole.replaced(joints2d=whole.joints2d.index_fill(2, torch.tensor([5]), torch.nan))
    assert theirs(gone).joints3d.isfinite().all()
    rootless = whole.replaced(joints2d=whole.joints2d.index_fill(2, torch.tensor([0]), torch.nan))
    assert theirs(rootless).joints3d.isnan().all()


# --- what is missing ---------------------------------------------------------------------------------


@BOTH
def test_nan_joints_with_confidence_zero_poison_nothing(config):
    batch = instants(4)
    joints2d, confidence = batch.joints2d.clone(), batch.confidence.clone()
    joints2d[0, 1, 5], confidence[0, 1, 5] = torch.nan, 0  # a joint
    joints2d[1, 2, 0], confidence[1, 2, 0] = torch.nan, 0  # a root
    joints2d[2, 3], confidence[2, 3] = torch.nan, 0  # a person
    joints2d[3, 0, 7] = torch.nan  # a joint whose confidence forgot to say so
    batch = batch.replaced(joints2d=joints2d, confidence=confidence)
    method = config.build(H36M_17)
    predicted = method(batch)
    sum(method.losses(predicted, batch).values()).backward()
    assert all(p.grad.isfinite().all() for p in method.parameters())
    unknown = predicted.joints3d.isnan().all(dim=-1).all(dim=-1)
    assert unknown.nonzero().tolist() == [[1, 2], [2, 3]]  # no root, no pose
    assert predicted.joints3d[~unknown].isfinite().all()


@BOTH
def test_a_view_without_its_root_has_no_weight(config):
    """Neither as a target, nor as a source, nor as a partner in the exchange of rotations."""
    batch, method = instants(4), config.build(H36M_17)
    confidence = batch.confidence.clone()
    confidence[1, 2, 0] = 0
    terms = []
    for value in (0.0, 300.0):
        joints2d = batch.joints2d.clone()
        joints2d[1, 2] = value + 3 * torch.arange(17)[:, None]
        hidden = batch.replaced(joints2d=joints2d, confidence=confidence)
        lifted = method(hidden)
        wild = lifted.canonical.clone()
        wild[1, 2] = 1 + value
        torch.manual_seed(0)
        terms.append(method.losses(replace(lifted, canonical=wild), hidden))
    torch.testing.assert_close(*terms)


# --- the mirror --------------------------------------------------------------------------------------


@BOTH
def test_unmirroring_the_weights_mirrors_every_prediction(config):
    batch, method = instants(3), config.build(H36M_17)
    before = mirrored(method(batch))
    method.unmirror()
    after = method(batch)
    torch.testing.assert_close(after.canonical, before.canonical)
    torch.testing.assert_close(after.ray_from_canonical, before.ray_from_canonical)
    torch.testing.assert_close(torch.linalg.det(after.ray_from_canonical), torch.ones(3, 4))


@BOTH
@pytest.mark.parametrize("flip", [False, True])
def test_t5_revise_finds_and_repairs_a_mirrored_model(config, flip, monkeypatch):
    batch, method = instants(50), config.build(H36M_17)
    perfect = truly(method, batch)
    lifted = mirrored(perfect) if flip else perfect
    monkeypatch.setattr(method, "forward", lambda _: lifted)
    before = method.lifter.pose.weight.clone()
    facts = method.resolve_ambiguity(batch.only(method.needs))
    assert facts["mirror_flipped"] is flip
    assert facts["mirror_sigmas"] > 5
    assert torch.equal(method.lifter.pose.weight, before) != flip


# --- declarations ------------------------------------------------------------------------------------


def test_declares_what_it_reads():
    assert SMALL.build(H36M_17).inputs == {"joints2d", "confidence"}
    assert SMALL.build(H36M_17).supervision == {"image_size", "rig"}
    assert OURS.build(H36M_17).inputs == {"joints2d", "confidence", "image_size"}
    assert replace(SMALL, camera_weight=0.0).build(H36M_17).supervision == {"image_size"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        (
            {"focal": 0.0},
            r"focal \(in image diagonals\) and pose_head_init_scale must be positive, got 0\.0 and 1\.0",
        ),
        ({"view_weight": -1.0}, "must not be negative"),
        ({"released_numerics": True, "projection": "perspective"}, "are those of projection 'orthographic'"),
        ({"released_numerics": True, "centring": "weighted"}, "are those of .* centring 'root'"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        CanonPoseConfig(**wrong)


def test_synthetic_truth_is_what_the_tests_take_it_for():
    """A guard: the perfect network of these tests has no error against the truth."""
    batch = instants(2)
    assert isinstance(batch.cameras, Cameras)
    method = OURS.build(H36M_17)
    lifted = truly(method, batch)
    pose = lifted.canonical @ lifted.ray_from_canonical.mT @ lifted.observed.ray_from_camera
    truth = batch.cameras.to_camera(batch.joints3d[:, None])
    assert n_joint_error(pose, truth, 0).max() < 0.01


# --- what a static rig keeps constant ----------------------------------------------------------------


def test_exchanged_rotations_cost_nothing_where_the_rig_is_static():
    batch, method = instants(40), PERSPECTIVE.build(H36M_17)
    lifted = truly(method, batch)
    torch.manual_seed(0)
    assert method.exchanged_error(lifted, batch.rig) < 1e-3


def test_rotations_are_exchanged_within_a_rig_only():
    """Half of the instants come from a rig whose second camera stands elsewhere."""
    batch, method = instants(40), PERSPECTIVE.build(H36M_17)
    lifted = truly(method, batch)
    turn = rotation_from_axis_angle(torch.tensor([0.0, 0.5, 0.0]))
    rotation = lifted.ray_from_canonical.clone()
    rotation[20:, 1] = turn @ rotation[20:, 1]
    other = replace(lifted, ray_from_canonical=rotation)
    method_errors = []
    for rig in (torch.zeros(40, dtype=torch.long), torch.arange(40) // 20):
        torch.manual_seed(0)
        method_errors.append(method.exchanged_error(other, rig) / len(rig.unique()))
    assert method_errors[1] < method_errors[0]


def test_a_rig_seen_once_has_nothing_to_exchange():
    batch, method = instants(3), PERSPECTIVE.build(H36M_17)
    assert method.exchanged_error(method(batch), torch.arange(3)) == 0
    assert method.exchanged_error(method(batch), torch.zeros(3, dtype=torch.long)) > 0


def test_other_targets_than_what_was_lifted_can_be_compared_with():
    """What Self-Fusion does with refined joints."""
    batch, method = instants(5), PERSPECTIVE.build(H36M_17)
    lifted = truly(method, batch)
    rep, view = method.own_and_cross(lifted)
    assert max(rep, view) < 1e-3
    moved = replace(lifted.observed, joints=lifted.observed.joints + 0.02 * torch.randn(5, 4, 17, 2))
    worse, cross = method.own_and_cross(lifted, moved)
    assert min(worse, cross) > 0.05


# --- how 2D poses are centred ---------------------------------------------------------------------------


def test_a_wrong_root_does_not_shift_the_rest_when_centred_by_weights():
    """All the other joints are right, and so is the pose that the losses compare with them."""
    batch = instants(6)
    points = batch.cameras.to_camera(batch.joints3d[:, None])
    joints2d, confidence = 100 * points[..., :2] + 500, batch.confidence.clone()
    joints2d[..., 0, :] += 50.0
    confidence[..., 0] = 0.01
    batch = batch.replaced(joints2d=joints2d, confidence=confidence)
    error = {}
    for centring in ("root", "weighted"):
        method = replace(PERSPECTIVE, projection="orthographic", centring=centring).build(H36M_17)
        error[centring] = method.own_and_cross(truly(method, batch))[0].item()
    assert error["weighted"] < 0.05 * error["root"]


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_the_truth_costs_nothing_however_it_is_centred(projection):
    batch = instants(6)
    if projection == "orthographic":
        batch = flat(batch)
    confidence = torch.rand(6, 4, 17, generator=torch.Generator().manual_seed(0)) + 0.1
    method = replace(PERSPECTIVE, projection=projection, centring="weighted").build(H36M_17)
    batch = batch.replaced(confidence=confidence.clamp_max(1.0))
    rep, view = method.own_and_cross(truly(method, batch))
    assert max(rep, view) < 2e-3
