import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.body.anthropometry import DOFS, Body, limits
from coview.body.procedural_motion import gait_angles, random_motion, smooth_noise, walking_speed
from coview.skeletons import BODY_25, CANONPOSE_16, H36M_17

J = {name: H36M_17.index(name) for name in H36M_17.joints}
KINDS = ("gait", "random", "mixed")


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=15)
def test_motion_is_a_body_on_a_floor_at_human_speed(kind, seed):
    check_motion(random_motion(100, seed=seed, kind=kind))


# faster than 10 m/s before they were calmed, or starting farther away than 1.6 m
@pytest.mark.parametrize("seed", [288, 317, 1010, 5276, 9718, 2526, 3557, 5111])
def test_wild_motions_are_calmed(seed):
    check_motion(random_motion(100, seed=seed, kind="random"))


def test_motions_that_need_no_calming_are_left_alone(monkeypatch):
    before = [random_motion(100, seed=seed, kind=kind) for seed in range(3) for kind in KINDS]
    monkeypatch.setattr("coview.body.procedural_motion.FASTEST", 1e9)
    monkeypatch.setattr("coview.body.procedural_motion.FARTHEST", 1e9)
    after = [random_motion(100, seed=seed, kind=kind) for seed in range(3) for kind in KINDS]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    wild = random_motion(100, seed=288, kind="random")
    assert (wild.diff(dim=0).norm(dim=-1) * 25).max() > 10


def check_motion(joints: torch.Tensor) -> None:
    parents, children = (list(column) for column in zip(*H36M_17.bone_indices, strict=True))
    lengths = (joints[:, parents] - joints[:, children]).norm(dim=-1)
    assert (lengths.amax(dim=0) - lengths.amin(dim=0)).max() < 1e-5
    assert joints[..., 2].min() > 0.03  # metres: feet on the floor, nothing under it
    assert joints[..., 2].amin(dim=-1).max() < 0.1  # and never in the air
    assert (joints.diff(dim=0).norm(dim=-1) * 25).max() < 10.0  # metres per second
    assert joints[:, 0, :2].norm(dim=-1).max() < 1.6


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_motion_and_another_another(kind):
    first, second, other = (random_motion(20, seed=seed, kind=kind) for seed in (4, 4, 5))
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)


def test_walkers_face_where_they_go_and_bend_the_right_way():
    for seed in range(5):
        joints = random_motion(100, seed=seed, kind="gait")
        left = torch.nn.functional.normalize(joints[:, J["left_hip"]] - joints[:, J["right_hip"]], dim=-1)
        going = joints[2:, 0] - joints[:-2, 0]
        up = torch.tensor([0.0, 0.0, 1.0]).expand_as(going)
        forward = torch.linalg.cross(left[1:-1], up)
        assert ((going * forward).sum(-1) > 0).float().mean() > 0.99
        for side in ("left", "right"):
            assert (_bend(joints, f"{side}_hip", f"{side}_knee", f"{side}_ankle", left) > 0).all()
            assert (_bend(joints, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", left) < 0).all()


def _bend(joints, upper, middle, lower, left):
    """Signed area of the bend, about the body's left axis: positive folds backward."""
    first, second = joints[:, J[middle]] - joints[:, J[upper]], joints[:, J[lower]] - joints[:, J[middle]]
    return (torch.linalg.cross(first, second) * left).sum(dim=-1)


def test_gait_is_periodic_alternates_and_stays_within_the_limits():
    phase = torch.linspace(0, 1, 50)
    angles = gait_angles(phase)
    torch.testing.assert_close(gait_angles(phase + 1), angles, atol=1e-4, rtol=0)
    low, _, high = limits()
    assert ((angles >= low) & (angles <= high)).all()
    left, right = DOFS.index("left_knee_flexion"), DOFS.index("right_knee_flexion")
    torch.testing.assert_close(gait_angles(phase + 0.5)[:, right], angles[:, left], atol=1e-4, rtol=0)


def test_walking_speed_is_that_of_people():
    # Winter (1991), natural cadence of adults: 1.2-1.5 m/s; slower strides walk slower.
    body = Body.make(1.75, torch.Generator().manual_seed(0))
    assert 1.0 < walking_speed(body, 1.1) < 1.7
    assert walking_speed(body, 1.3) < walking_speed(body, 1.0)


def test_people_are_seen_from_all_sides():
    joints = random_motion(2000, seed=2, kind="random")
    left = joints[:, J["left_hip"]] - joints[:, J["right_hip"]]
    azimuth = torch.atan2(left[:, 1], left[:, 0])
    counts = torch.histc(azimuth, bins=8, min=-torch.pi, max=torch.pi)
    assert (counts > 20).all()


def test_stature_scales_the_body_and_other_skeletons_follow_by_name():
    tall, small = (random_motion(3, seed=1, stature=stature) for stature in (2.0, 1.5))
    thigh = [(j[0, J["left_knee"]] - j[0, J["left_hip"]]).norm() for j in (tall, small)]
    assert thigh[0] / thigh[1] == pytest.approx(2.0 / 1.5, rel=1e-4)
    mapped = random_motion(3, seed=1, stature=2.0, skeleton=CANONPOSE_16)
    torch.testing.assert_close(mapped[:, CANONPOSE_16.index("left_wrist")], tall[:, J["left_wrist"]])


def test_smooth_noise_has_unit_variance_and_is_smooth():
    noise = smooth_noise(20_000, 3, 0.5, 25.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(noise.std(dim=0), torch.ones(3), atol=0.1, rtol=0)
    # a Gaussian kernel of s seconds has an autocorrelation of exp(-dt²/4s²)
    assert (noise[12:] * noise[:-12]).mean() == pytest.approx(0.79, abs=0.05)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_shortest_motions(kind, frames):
    assert random_motion(frames, seed=0, kind=kind).isfinite().all()


def test_what_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match="needs frames ≥ 1 and fps > 0, got frames=0"):
        random_motion(0, seed=0)
    with pytest.raises(LookupError, match="no map from skeleton 'h36m_17' to 'body_25'"):
        random_motion(1, seed=0, skeleton=BODY_25)
