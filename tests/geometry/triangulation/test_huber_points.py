import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation.huber_points import least_huber_points
from coview.geometry.triangulation.undistorted import triangulate_undistorted

LIMIT = 2.0


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scene(noise: float, views: int = 4, frames: int = 12) -> tuple[torch.Tensor, ...]:
    """Linear points of noisy detections, these, cameras, and that all are seen."""
    cameras = ring_cameras(max(views, 5)).pixels_from_world[:views].double().expand(frames, views, 3, 4)
    points = 0.6 * normal(frames, 5, 3, seed=1) + torch.tensor([0, 0, 1.0], dtype=torch.float64)
    image = torch.einsum("fvij,fnj->fvni", cameras[..., :3], points) + cameras[..., None, :, 3]
    pixels = image[..., :2] / image[..., 2:] + noise * normal(frames, views, 5, 2, seed=2)
    seen = torch.ones(frames, views, 5, dtype=torch.bool)
    return triangulate_undistorted(pixels, cameras, seen.double()), pixels, cameras, seen


def distances(point: np.ndarray, pixels: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    image = cameras @ np.append(point, 1.0)
    return np.linalg.norm(image[:, :2] / image[:, 2:] - pixels, axis=1)


def loss(point: np.ndarray, pixels: np.ndarray, cameras: np.ndarray) -> float:
    e = distances(point, pixels, cameras)
    return float(np.where(e <= LIMIT, e**2, 2 * LIMIT * e - LIMIT**2).sum())


def textbook(start: np.ndarray, pixels: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """SciPy's robust least squares, begun again until it stands still."""
    point = start
    for _ in range(20):
        found = least_squares(
            lambda at: distances(at, pixels, cameras) / LIMIT,
            point,
            loss="huber",
            method="trf",
            ftol=1e-15,
            xtol=1e-15,
            gtol=1e-15,
        ).x
        if np.linalg.norm(found - point) < 1e-12:
            break
        point = found
    return found


@pytest.mark.parametrize("noise", [0.3, 3.0, 12.0])
@pytest.mark.parametrize("views", [3, 4])
def test_it_ends_where_scipy_does(noise, views):
    start, pixels, cameras, seen = scene(noise, views, frames=4)
    found = least_huber_points(start, pixels, cameras, seen, LIMIT)
    for frame, joint in np.ndindex(4, 5):
        given = pixels[frame, :, joint].numpy(), cameras[frame].numpy()
        best = textbook(start[frame, joint].numpy(), *given)
        own = found[frame, joint].numpy()
        assert loss(own, *given) <= loss(best, *given) * (1 + 1e-12)
        assert (
            np.linalg.norm(own - best) < 1e-5
        )  # SciPy's differences and tolerances; ours is lower, see above


@pytest.mark.parametrize("noise", [0.0, 1.0, 5.0, 40.0])
@pytest.mark.parametrize("views", [2, 3, 4])
def test_nothing_near_it_is_lower_and_a_second_search_goes_nowhere(noise, views):
    start, pixels, cameras, seen = scene(noise, views)
    found = least_huber_points(start, pixels, cameras, seen, LIMIT)
    again = least_huber_points(found, pixels, cameras, seen, LIMIT)
    # metres; where everything disagrees, or one direction is as good as another, rounding of the loss is what is left
    assert (again - found).norm(dim=-1).max() < (1e-6 if views == 2 or noise == 40.0 else 1e-9)
    for frame, joint in np.ndindex(12, 5):
        given = pixels[frame, :, joint].numpy(), cameras[frame].numpy()
        here = loss(found[frame, joint].numpy(), *given)
        for step in 1e-3 * np.concatenate([np.eye(3), -np.eye(3)]):
            assert here <= loss(found[frame, joint].numpy() + step, *given) + 1e-12


def test_an_unseen_view_does_not_count_and_nobody_is_nobody():
    start, pixels, cameras, seen = scene(2.0)
    seen[:, 3] = False
    pixels[:, 3] = torch.nan
    three = least_huber_points(start, pixels[:, :3], cameras[:, :3], seen[:, :3], LIMIT)
    torch.testing.assert_close(
        least_huber_points(start, pixels, cameras, seen, LIMIT), three, rtol=0, atol=1e-9
    )
    start[0, 0] = torch.nan
    found = least_huber_points(start, pixels, cameras, seen, LIMIT)
    assert found[0, 0].isnan().all()
    torch.testing.assert_close(found[1:], three[1:], rtol=0, atol=1e-9)
    nowhere = least_huber_points(start[1:], pixels[1:], cameras[1:], torch.zeros_like(seen[1:]), LIMIT)
    assert torch.equal(nowhere, start[1:])


def test_the_answer_has_the_precision_of_the_start():
    start, pixels, cameras, seen = scene(2.0)
    found = least_huber_points(start.float(), pixels.float(), cameras.float(), seen, LIMIT)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found.double(), least_huber_points(start, pixels, cameras, seen, LIMIT), atol=1e-4, rtol=0
    )
