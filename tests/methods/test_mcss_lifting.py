from dataclasses import replace

import pytest
import torch

from coview.data.augment import mirrored
from coview.data.base import InMemory
from coview.data.batching import Mixed
from coview.data.label_budget import ShownLabels
from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig
from coview.geometry.rotations import rotation_from_axis_angle
from coview.methods.mcss_lifting import McssLiftingConfig
from coview.representations.canonical_pose import canonical_pose
from coview.representations.normalised import ray_from_camera
from coview.sample import MultiView
from coview.skeletons import H36M_17

SMALL = McssLiftingConfig(width=32)
LABELS_ALONE = replace(SMALL, across=0.0, agreement=0.0, limb_weight=0.0)


def instants(count: int = 12, labels: int = 6, **settings) -> MultiView:
    data = SyntheticConfig(**{"instants": count, "subjects": 2, "fps": 1.0} | settings).train()
    return ShownLabels(count=labels).shown(data).instants


def test_each_view_gets_a_canonical_pose_and_a_unit_embedding():
    batch, method = instants(), SMALL.build(H36M_17)
    found = method(batch.only(method.inputs))
    assert found.joints3d.shape == (12, 4, 17, 3)
    assert (found.joints3d[..., 0, :] == 0).all()
    hip = found.joints3d[..., H36M_17.index("left_hip"), :]
    torch.testing.assert_close(hip[..., 1], torch.zeros(12, 4), atol=1e-5, rtol=0)
    assert (hip[..., 0] > 0).all()
    torch.testing.assert_close(found.embedding.norm(dim=-1), torch.ones(12, 4))


def test_the_world_is_not_mirrored():
    """Turned to its heading by a rotation about z: what was clockwise stays so."""
    method = SMALL.build(H36M_17)
    points = torch.randn(5, 17, 3)
    turned = method._headed(points)
    volume = torch.linalg.det((points - points[:, :1])[:, [3, 8, 14]])
    torch.testing.assert_close(torch.linalg.det(turned[:, [3, 8, 14]]), volume, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(turned[..., 2], (points - points[:, :1])[..., 2])


def test_poses_are_upright_wherever_a_level_camera_sees_them():
    """Points of the world, in the axes of a camera that looks down by the pitch, then of one turned to the person."""
    method = SMALL.build(H36M_17)
    with torch.no_grad():
        method.pitch.fill_(0.3)
    camera = rotation_from_axis_angle(torch.tensor([0.3, 0.0, 0.0])) @ torch.tensor(
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    )  # from a world whose z is up and whose y leads away; looks down
    level = camera @ torch.tensor([0.0, 1.0, 0.0])
    assert level[1] < 0  # above the middle of the picture
    turn = ray_from_camera(torch.tensor([[0.0, 0.0], [0.3, -0.2], [-0.5, 0.4]]))
    world = torch.randn(7, 3)
    found = (world @ camera.mT @ turn.mT) @ method._upright(turn).mT
    torch.testing.assert_close(found[..., 2], world[:, 2].expand(3, 7), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0], world, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.linalg.det(method._upright(turn)), torch.ones(3))


def test_a_mirrored_view_gets_the_mirrored_pose():
    """Before the heading, which goes by the left hip: that is the other one there."""
    batch, method = instants(), SMALL.build(H36M_17)
    flipped = mirrored(batch.only(method.inputs), torch.ones(12).bool())
    sideways = torch.tensor([-1.0, 1.0, 1.0])
    expected = method(batch).corrected[..., list(H36M_17.mirror), :] * sideways
    torch.testing.assert_close(method(flipped).corrected, expected, atol=1e-4, rtol=1e-4)


def test_labels_teach_how_far_cameras_look_down():
    batch, method = instants(), LABELS_ALONE.build(H36M_17)
    method.fit_statistics([batch])
    method.losses(method(batch), batch)["pose"].backward()
    assert method.pitch.grad is not None
    assert method.pitch.grad.abs() > 1e-4


def test_missing_joints_views_and_labels_poison_nothing():
    batch = instants(noise=DetectorNoise(missing_rate=0.3))
    joints2d, confidence = batch.joints2d.clone(), batch.confidence.clone()
    joints2d[1, 2], confidence[1, 2] = torch.nan, 0  # a view that shows nothing
    joints3d = batch.joints3d.clone()
    joints3d[0, 5] = torch.nan
    batch = batch.replaced(joints2d=joints2d, confidence=confidence, joints3d=joints3d)
    method = SMALL.build(H36M_17)
    method.fit_statistics([batch])
    method.progress = 0.5
    found = method(batch)
    assert found.joints3d.isnan().flatten(2).all(dim=-1).nonzero().tolist() == [[1, 2]]
    terms = method.losses(found, batch)
    assert set(terms) == {"pose", "across", "agreement", "limb"}
    sum(terms.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())


def test_labels_teach_where_they_are_shown_and_nowhere_else():
    batch, method = instants(), LABELS_ALONE.build(H36M_17)
    before = method.losses(method(batch), batch)
    assert set(before) == {"pose"}
    moved = torch.where(batch.labelled[:, None, None], batch.joints3d, 7.0)  # as if nobody had hidden them
    torch.testing.assert_close(
        method.losses(method(batch), batch.replaced(joints3d=moved))["pose"], before["pose"]
    )
    assert method.losses(method(batch), batch.replaced(labelled=torch.zeros(12).bool()))["pose"] == 0
    truth = canonical_pose(batch.joints3d, H36M_17)[:, None].expand(-1, 4, -1, -1)
    assert method.losses(replace(method(batch), joints3d=truth), batch)["pose"] == 0


def test_it_begins_with_the_size_and_the_limbs_of_the_labelled_poses():
    batch, method = instants(), SMALL.build(H36M_17)
    method.fit_statistics([batch[:5], batch[5:]])
    poses = canonical_pose(batch.joints3d[batch.labelled], H36M_17)
    poses = poses[poses.isfinite().flatten(1).all(dim=-1)]
    assert float(method.size) == pytest.approx(float(poses.flatten(1).norm(dim=-1).mean()), rel=1e-5)
    torso = (poses[:, H36M_17.index("thorax")] - poses[:, 0]).norm(dim=-1).mean()
    assert method.limbs.lengths[0] == pytest.approx(float(torso), rel=1e-5)
    with pytest.raises(ValueError, match=r"McssLifting: 1 labelled instants .* at least 2 are needed"):
        method.fit_statistics([instants(labels=1)])


def test_it_says_whether_poses_differ():
    batch, method = instants(), SMALL.build(H36M_17)
    assert method.resolve_ambiguity(batch)["embedding"] in (
        "spread out",
        "collapsed: all poses look alike to it",
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"across": -1.0}, "across, agreement and limb_weight cannot be negative"),
        ({"focal": 0.0}, "focal"),
        ({"ramp": 10.0}, "shares"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=f"McssLiftingConfig: .*{words}"):
        McssLiftingConfig(**settings)


# --- does it learn? ----------------------------------------------------------------------------------


def apart(shown: MultiView) -> MultiView:
    """The views of every instant without a label are of different instants."""
    generator = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(len(shown.labelled), generator=generator) for _ in range(4)], dim=1)
    order[shown.labelled] = shown.labelled.nonzero().expand(-1, 4)
    return shown.replaced(
        **{name: shown.stored(name)[order, torch.arange(4)] for name in ("joints2d", "confidence")}
    )


def test_views_of_one_person_make_up_for_labels_and_views_of_different_poses_do_not(learnt_canonical):
    """Ten labelled instants of 2000; four other people to test on."""
    noise = DetectorNoise(sigma=3.0)
    shown = instants(2000, labels=10, subjects=4, fps=2.0, noise=noise)
    test = SyntheticConfig(instants=400, subjects=4, fps=2.0, noise=noise, seed=5).train().instants
    learner = replace(SMALL, width=128)

    def learnt(config: McssLiftingConfig, shown: MultiView) -> float:
        draws = Mixed(share=1 / 3, by="labelled").draws(InMemory(shown), 32, seed=0)
        return learnt_canonical(config, shown, draws, test, 400)

    baseline = learnt(replace(learner, across=0.0, agreement=0.0, limb_weight=0.0), shown)
    assert learnt(learner, shown) < 0.95 * baseline
    assert learnt(learner, apart(shown)) > baseline
