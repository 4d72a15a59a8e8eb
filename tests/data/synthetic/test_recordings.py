import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.data.synthetic.recordings import EXACT, DetectorNoise, SyntheticConfig, detect, ring_cameras
from coview.skeletons import H36M_17

NOISY = DetectorNoise(sigma=4.0, outlier_rate=0.02, outlier_px=60.0, missing_rate=0.03, swap_rate=0.0)


@pytest.fixture(scope="module")
def walk():
    return random_motion(400, seed=7, kind="gait")


def test_ring_cameras_stand_on_the_ring_and_look_at_the_target():
    cameras = ring_cameras(4, radius=5.0, height=1.5, target=(0.0, 0.0, 1.0))
    expected = torch.tensor([[5.0, 0, 1.5], [0, 5, 1.5], [-5, 0, 1.5], [0, -5, 1.5]])
    torch.testing.assert_close(cameras.centres, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        torch.linalg.det(cameras.rotation), torch.ones(4), atol=1e-5, rtol=0
    )  # right-handed
    middle = cameras.project(torch.tensor([[0.0, 0, 1]]))[:, 0]
    torch.testing.assert_close(middle, torch.full((4, 2), 499.5), atol=1e-2, rtol=0)


def test_images_are_upright_and_not_mirrored():
    # Seen from +x by camera 0, which looks along -x: +y is to its right, up is towards row 0.
    pixels = ring_cameras(4).project(torch.tensor([[0.0, 0, 1], [0, 0.5, 1], [0, 0, 1.5]]))[0]
    assert pixels[1, 0] > pixels[0, 0] + 50
    assert pixels[2, 1] < pixels[0, 1] - 50
    # by hand: 0.5 m at 5.02 m, f 1145
    assert pixels[1, 0] - pixels[0, 0] == pytest.approx(1145 * 0.5 / 5.025, abs=0.5)


def test_start_angle_and_size():
    cameras = ring_cameras(2, start_angle=torch.pi / 2, size=(640, 480))
    torch.testing.assert_close(cameras.centres[0], torch.tensor([0.0, 5.0, 1.5]), atol=1e-5, rtol=0)
    assert cameras.size.tolist() == [[640, 480]] * 2


def test_exact_detections_are_the_projections_inside_the_image(walk):
    cameras = ring_cameras(4)
    joints, confidence = detect(walk, cameras, EXACT, 0)
    torch.testing.assert_close(joints, cameras.project(walk[:, None]))
    assert (confidence == 1).all()
    assert ((joints > 0) & (joints < 999)).all()


def test_noise_has_the_stated_size_and_rates(walk):
    cameras = ring_cameras(4)
    truth = cameras.project(walk[:, None])
    joints, confidence = detect(walk, cameras, NOISY, 1)
    missing = confidence == 0
    assert missing.float().mean() == pytest.approx(0.03, abs=0.005)
    assert joints[missing].isnan().all()
    error = (joints - truth)[~missing]
    far = error.norm(dim=-1) > 40  # ten sigma: nothing but an outlier
    assert 0.012 < far.float().mean() < 0.025
    assert error[~far].square().mean().sqrt() == pytest.approx(4.0, rel=0.12)
    beyond = error[far].norm(dim=-1)
    assert beyond.median() == pytest.approx(60, rel=0.25)
    assert beyond.max() > 200  # heavy-tailed


def test_vague_joints_are_noisier_than_clear_ones(walk):
    joints, _ = detect(walk, ring_cameras(4), DetectorNoise(4.0, 0.0, 0.0, 0.0, 0.0), 1)
    error = (joints - ring_cameras(4).project(walk[:, None])).square().mean(dim=(0, 1, 3)).sqrt()
    assert error[H36M_17.index("left_hip")] > 2 * error[H36M_17.index("nose")]


def test_confidence_falls_with_the_error_but_not_without_exceptions(walk):
    cameras = ring_cameras(4)
    joints, confidence = detect(walk, cameras, NOISY, 3)
    seen = confidence > 0
    error = (joints - cameras.project(walk[:, None])).norm(dim=-1)[seen]
    trust = confidence[seen]
    assert trust.max() <= 1
    ranks = torch.stack([error.argsort().argsort(), trust.argsort().argsort()]).double()
    spearman = torch.corrcoef(ranks)[0, 1]
    assert -0.8 < spearman < -0.25
    assert error[trust < 0.5].mean() > 3 * error[trust > 0.8].mean()


def test_swaps_exchange_left_and_right_and_nothing_else(walk):
    cameras = ring_cameras(4)
    truth = cameras.project(walk[:, None])
    joints, confidence = detect(walk, cameras, DetectorNoise(0.0, 0.0, 0.0, 0.0, 0.25), 5)
    mirrored = truth[:, :, list(H36M_17.mirror)]
    paired = [H36M_17.index(joint) for pair in H36M_17.left_right for joint in pair]
    swapped = ((joints - mirrored).norm(dim=-1) < 1e-3) & ((truth - mirrored).norm(dim=-1) > 1e-3)
    kept = (joints - truth).norm(dim=-1) < 1e-3
    assert (swapped | kept).all()
    assert swapped[..., paired].any(dim=-1).float().mean() == pytest.approx(0.25, abs=0.03)
    assert (confidence[kept & ~swapped] == 1).float().mean() > 0.9


def test_what_leaves_the_image_or_is_behind_the_camera_is_missing(walk):
    joints, confidence = detect(walk + torch.tensor([7.0, 0, 0]), ring_cameras(4), EXACT, 0)
    assert (confidence[:, 0] == 0).all()  # behind the first camera
    assert joints[:, 0].isnan().all()
    assert (confidence[:, 2] == 1).any()


def test_noisy_detections_stay_inside_the_image(walk):
    joints, confidence = detect(walk, ring_cameras(3), DetectorNoise(5.0, 0.5, 400.0, 0.0, 0.0), 0)
    inside = joints[confidence > 0]
    assert inside.min() >= -0.5
    assert inside.max() <= 999.5


def test_the_same_seed_gives_the_same_detections(walk):
    runs = [detect(walk, ring_cameras(2), NOISY, seed) for seed in (1, 1, 2)]
    torch.testing.assert_close(runs[0], runs[1], equal_nan=True)
    assert not torch.equal(runs[0][1], runs[2][1])


def test_the_data_set_has_what_it_promises():
    config = SyntheticConfig(instants=50, validation_instants=20, subjects=3, views=5, noise=NOISY)
    train, validation = config.train(), config.validation()
    assert train.fields == config.provides == validation.fields
    assert (len(train), len(validation)) == (50, 20)
    batch = train[torch.tensor([0, 49])]
    assert batch.joints2d.shape == (2, 5, 17, 2)
    projected = batch.cameras.project(batch.joints3d[:, None])
    assert (projected - batch.joints2d).norm(dim=-1)[batch.confidence > 0].median() < 10
    thighs = (train.instants.joints3d[:, 4] - train.instants.joints3d[:, 5]).norm(dim=-1)
    assert len(thighs.mul(1e4).round().unique()) >= 3  # three people
    again = config.train()
    torch.testing.assert_close(again.instants.joints3d, train.instants.joints3d)
    assert not torch.allclose(train.instants.joints3d[:20], validation.instants.joints3d)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sigma": -1.0}, "sigma is in pixels and cannot be negative, got -1"),
        ({"missing_rate": 5.0}, r"missing_rate is a share, 0 to 1 \(not per cent\), got 5.0"),
    ],
)
def test_impossible_noise_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        DetectorNoise(**wrong)


def test_impossible_scenes_are_refused(walk):
    with pytest.raises(ValueError, match="statures in metres"):
        SyntheticConfig(tallest=175.0)
    with pytest.raises(ValueError, match="9 subjects cannot share 3 instants"):
        SyntheticConfig(instants=3, subjects=9)
    with pytest.raises(ValueError, match="at least 1"):
        SyntheticConfig(views=0)
    with pytest.raises(ValueError, match="needs views ≥ 1 and radius > 0"):
        ring_cameras(0)
    with pytest.raises(ValueError, match="16 joints given, but skeleton 'h36m_17' has 17"):
        detect(walk[:, :16], ring_cameras(2))


def test_instants_say_who_and_when():
    train = SyntheticConfig(instants=10, subjects=2, validation_instants=4, fps=5.0)
    instants = train.train().instants
    assert instants.subject.tolist() == instants.sequence.tolist() == [0] * 5 + [1] * 5
    torch.testing.assert_close(instants.time[:3], torch.tensor([0.0, 0.2, 0.4]))
    assert train.validation().instants.subject.unique().tolist() == [2]
