import pytest
import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation.detection_noise import detection_noise
from coview.geometry.triangulation.triangulate import triangulate_robust

CAMERAS = ring_cameras(4).to(torch.float64)


def detected(sigma: torch.Tensor, frames: int, *, outliers: float = 0.0, weight: float = 1.0):
    """Triangulation, pixels and weights of joints with this noise each, pixels."""
    random = torch.Generator().manual_seed(1)
    points = torch.randn(frames, 1, len(sigma), 3, generator=random, dtype=torch.float64) * 0.5
    pixels = CAMERAS.project(points + torch.tensor([0.0, 0.0, 1.0]))
    pixels = pixels + sigma[:, None] * torch.randn(pixels.shape, generator=random, dtype=torch.float64)
    wrong = torch.rand(pixels.shape[:-1], generator=random) < outliers
    pixels = pixels + 12.0 * wrong[..., None]  # within the threshold: they pass for inliers
    weights = torch.full(pixels.shape[:-1], weight, dtype=torch.float64)
    found = triangulate_robust(CAMERAS, pixels, weights, threshold=20.0, solver="linear")
    return found, CAMERAS, pixels, weights


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0, 5.0])
def test_the_noise_is_that_of_the_detections_whatever_the_threshold(sigma):
    assert detection_noise(*detected(torch.full((5,), sigma), 300)).tolist() == pytest.approx(
        [sigma] * 5, rel=0.07
    )


def test_every_joint_has_its_own_noise():
    sigma = torch.tensor([0.5, 1.0, 4.0])
    assert detection_noise(*detected(sigma, 300)).tolist() == pytest.approx(sigma.tolist(), rel=0.1)


def test_wrong_detections_among_the_inliers_hardly_count():
    noise = detection_noise(*detected(torch.full((5,), 1.0), 300, outliers=0.02))
    assert noise.max() < 1.5


def test_the_noise_is_of_a_detection_of_weight_one():
    noise = detection_noise(*detected(torch.full((2,), 2.0), 300, weight=0.5))
    assert noise.tolist() == pytest.approx([1.0, 1.0], rel=0.07)


def test_few_detections_are_drawn_to_the_mean_and_none_have_it():
    found, cameras, pixels, weights = detected(torch.full((4,), 2.0), 60)
    weights[:, :, 0] = 0.0
    found.inliers[:, :, 0] = False
    noise = detection_noise(found, cameras, pixels, weights)
    assert noise.tolist() == pytest.approx([2.0] * 4, rel=0.15)
    found.inliers[:] = False
    assert detection_noise(found, cameras, pixels, weights).tolist() == [1.0] * 4


def test_exact_detections_have_the_least_noise():
    assert detection_noise(*detected(torch.zeros(2), 30)).tolist() == pytest.approx([0.01, 0.01])
