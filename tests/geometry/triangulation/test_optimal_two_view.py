import cv2
import numpy as np
import pytest
import torch

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.epipolar.relative_pose import fundamental_from_projections, sampson_distance
from coview.geometry.triangulation.optimal_two_view import corrected_matches, triangulate_pair, vector_median


def pair(noise: float = 0.0, frames: int = 12):
    """Two neighbours of a ring of four, and what they saw; neither sees the other."""
    cameras = ring_cameras(4).to(torch.float64)[:2]
    joints = random_motion(frames, seed=0).double()
    pixels = cameras.project(joints[:, None])
    generator = torch.Generator().manual_seed(1)
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    return cameras.pixels_from_world, joints, pixels[:, 0], pixels[:, 1]


def hartley_sturm(fundamental: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The polynomial of degree six, step by step as in [HZ04 alg. 12.1], for one match."""
    to_x, to_y = np.eye(3), np.eye(3)
    to_x[:2, 2], to_y[:2, 2] = x, y
    matrix = to_y.T @ fundamental @ to_x
    u, _, vt = np.linalg.svd(matrix)
    e, f = vt[2], u[:, 2]
    e, f = e / np.hypot(e[0], e[1]), f / np.hypot(f[0], f[1])
    turn_x = np.array([[e[0], e[1], 0], [-e[1], e[0], 0], [0, 0, 1]])
    turn_y = np.array([[f[0], f[1], 0], [-f[1], f[0], 0], [0, 0, 1]])
    matrix = turn_y @ matrix @ turn_x.T
    (a, b), (c, d) = matrix[1, 1:], matrix[2, 1:]
    one, two = np.poly1d([a, b]), np.poly1d([c, d])
    slope = np.poly1d([1, 0]) * (one * one + two * two * float(f[2] ** 2)) ** 2
    slope = slope - np.poly1d([e[2] ** 2, 0, 1]) ** 2 * one * two * float(a * d - b * c)
    places = [root.real for root in np.roots(slope.coeffs)]

    def cost(t: float) -> float:
        return t**2 / (1 + (e[2] * t) ** 2) + two(t) ** 2 / (one(t) ** 2 + (f[2] * two(t)) ** 2)

    t = min(places, key=cost)
    lines = (np.array([t * e[2], 1, -t]), turn_x, x), (np.array([-f[2] * two(t), one(t), two(t)]), turn_y, y)
    found = []
    for line, turn, start in lines:
        foot = np.array([-line[0] * line[2], -line[1] * line[2]]) / (line[0] ** 2 + line[1] ** 2)
        found.append(start + turn[:2, :2].T @ foot)
    return found[0], found[1]


def twin(fundamental, a, b):
    done = [hartley_sturm(fundamental.numpy(), x.numpy(), y.numpy()) for x, y in zip(a, b, strict=True)]
    return (torch.from_numpy(np.stack(column)) for column in zip(*done, strict=True))


@pytest.mark.parametrize("noise", [0.5, 5.0, 50.0])
def test_corrections_are_those_of_the_polynomial(noise):
    projections, _, a, b = pair(noise)
    matrix = fundamental_from_projections(*projections)
    a, b = a.flatten(0, 1), b.flatten(0, 1)
    moved = corrected_matches(matrix, a, b)
    for mine, textbook in zip(moved, twin(matrix, a, b), strict=True):
        torch.testing.assert_close(mine, textbook, atol=1e-6, rtol=0)
    assert float(sampson_distance(matrix, *moved).max()) < 1e-9


def test_opencv_gives_the_same():
    projections, joints, a, b = pair()
    points = triangulate_pair(*projections, a, b)
    flat = [each.flatten(0, 1).numpy() for each in (a, b)]
    matrix = fundamental_from_projections(*projections).numpy()
    moved = cv2.correctMatches(matrix, flat[0][None], flat[1][None])
    theirs = cv2.triangulatePoints(*projections.numpy(), moved[0][0].T, moved[1][0].T)
    theirs = torch.from_numpy((theirs[:3] / theirs[3]).T).reshape(joints.shape)
    torch.testing.assert_close(points, theirs, atol=1e-9, rtol=0)  # metres: 1e-6 mm
    torch.testing.assert_close(points, joints, atol=1e-9, rtol=0)


def forward_pair():
    """One camera 2 m behind the other: each sees the other's place, its epipole, in the image's middle."""
    cameras = ring_cameras(1).to(torch.float64)
    ahead = torch.eye(3, 4, dtype=torch.float64)
    ahead[:, 3] = 2.0 * cameras.rotation[0].T[:, 2]
    projections = torch.cat([cameras.pixels_from_world, cameras.moved(ahead).pixels_from_world])
    return projections[0], projections[1]


@pytest.mark.parametrize("spread", [3.0, 300.0])
def test_an_epipole_in_the_image_is_no_trouble(spread):
    projections = forward_pair()
    matrix = fundamental_from_projections(*projections)
    generator = torch.Generator().manual_seed(0)
    a, b = 499.5 + spread * torch.randn(2, 200, 2, generator=generator, dtype=torch.float64)
    moved = corrected_matches(matrix, a, b)
    far = sum((x - y).square().sum(-1) for x, y in zip(moved, (a, b), strict=True))
    best = sum((x - y).square().sum(-1) for x, y in zip(twin(matrix, a, b), (a, b), strict=True))
    torch.testing.assert_close(far, best, atol=1e-6, rtol=1e-6)
    assert float(sampson_distance(matrix, *moved).nan_to_num().max()) < 1e-6


def test_a_point_on_the_epipole_fits_as_it_is():
    projections = forward_pair()
    matrix = fundamental_from_projections(*projections)
    epipole = torch.linalg.svd(matrix).Vh[2]
    a, b = (epipole[:2] / epipole[2])[None], torch.tensor([[100.0, 900.0]]).double()
    moved = corrected_matches(matrix, a, b)
    torch.testing.assert_close(moved[0], a, atol=1e-6, rtol=0)
    torch.testing.assert_close(moved[1], b, atol=1e-6, rtol=0)


def test_epipoles_at_infinity():
    """Parallel cameras side by side: epipolar lines are rows, and the rows' mean is the best row."""
    matrix = torch.tensor([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]]).double()
    a, b = torch.tensor([[10.0, 20.0]]).double(), torch.tensor([[90.0, 26.0]]).double()
    moved = corrected_matches(matrix, a, b)
    torch.testing.assert_close(moved[0], torch.tensor([[10.0, 23.0]]).double())
    torch.testing.assert_close(moved[1], torch.tensor([[90.0, 23.0]]).double())


def test_unknown_matches_stay_unknown():
    projections, joints, a, b = pair()
    a[0, 3], b[2, 5] = torch.nan, torch.inf
    points = triangulate_pair(*projections, a, b)
    assert points[0, 3].isnan().all()
    assert points[2, 5].isnan().all()
    torch.testing.assert_close(points[4:], joints[4:], atol=1e-9, rtol=0)


def test_the_vector_median_is_the_candidate_nearest_to_all_others():
    near = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0.15, 0, 0], [9.0, 9, 9]])
    assert vector_median(near).tolist() == pytest.approx([0.1, 0, 0])
    unknown = torch.tensor([[torch.nan] * 3, [5.0, 5, 5], [0.0, 0, torch.nan]])
    assert vector_median(unknown).tolist() == [5, 5, 5]
    assert vector_median(torch.full((2, 3, 3), torch.nan)).isnan().all()
    several = torch.randn(7, 5, 3, generator=torch.Generator().manual_seed(0))
    slow = [min(each, key=lambda point: float((each - point).norm(dim=-1).sum())) for each in several]
    torch.testing.assert_close(vector_median(several), torch.stack(slow))
