import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.cameras import Cameras
from coview.geometry.rotations import axis_angle_from_rotation, rotation_from_axis_angle

seeds = st.integers(0, 2**31)
LENSES = {
    4: [-0.21, 0.08, 1e-3, -2e-3],
    5: [-0.21, 0.08, 1e-3, -2e-3, -0.01],
    8: [0.31, 0.05, 1e-3, -2e-3, 0.004, 0.52, 0.12, 0.01],
}
FISHEYE = [0.03, -0.006, 0.002, -0.0004]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def camera(seed: int = 0, lens: list[float] | None = None, fisheye: bool = False) -> Cameras:
    """Somewhere 5 m from the origin and looking at it, roughly; 1280 × 960."""
    intrinsics = tensor([[1100.0, 0, 620], [0, 1150, 490], [0, 0, 1]])
    rotation = rotation_from_axis_angle(random(3, seed=seed))
    translation = tensor([0.1, -0.2, 5.0])
    pose = torch.cat([rotation, translation[:, None]], dim=1)
    distortion = None if lens is None else tensor(lens)
    return Cameras.make(intrinsics, pose, tensor([1280.0, 960.0]), distortion, fisheye)


def several(count: int, **options) -> Cameras:
    return Cameras.stack([camera(seed, **options) for seed in range(count)])


def opencv_pose(one: Cameras) -> tuple[np.ndarray, np.ndarray]:
    return axis_angle_from_rotation(one.rotation).numpy(), one.translation.numpy()


# --- projection -----------------------------------------------------------------------------------


def test_projection_by_hand():
    # Focal 100, centre (50, 40); a camera 2 m behind the origin: (0.5, -0.25, 0) is at depth 2,
    # so at (50 + 100 · 0.25, 40 - 100 · 0.125).
    pose = tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 2]])
    one = Cameras.make(tensor([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]]), pose, tensor([100.0, 80.0]))
    torch.testing.assert_close(one.project(tensor([[0.5, -0.25, 0.0]])), tensor([[75.0, 27.5]]))
    torch.testing.assert_close(one.centres, tensor([0.0, 0.0, -2.0]))
    torch.testing.assert_close(one.focal, tensor([100.0, 100.0]))
    torch.testing.assert_close(one.principal_point, tensor([50.0, 40.0]))


@pytest.mark.parametrize("count", LENSES)
@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_brown_conrady_equals_opencv(count, seed):
    one, points = camera(seed, LENSES[count]), random(12, 3, seed=seed)
    arguments = (*opencv_pose(one), one.intrinsics.numpy(), np.array(LENSES[count]))
    theirs = cv2.projectPoints(points.numpy(), *arguments)[0][:, 0]
    front = one.to_camera(points)[:, 2] > 0.1
    torch.testing.assert_close(one.project(points)[front], torch.from_numpy(theirs)[front])


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_fisheye_equals_opencv(seed):
    one, points = camera(seed, FISHEYE, fisheye=True), random(12, 3, seed=seed)
    arguments = (*opencv_pose(one), one.intrinsics.numpy(), np.array(FISHEYE))
    theirs = cv2.fisheye.projectPoints(points.numpy()[:, None], *arguments)[0][:, 0]
    front = one.to_camera(points)[:, 2] > 0.1
    torch.testing.assert_close(one.project(points)[front], torch.from_numpy(theirs)[front])


def test_the_matrix_projects_as_a_perfect_lens_does():
    one, points = camera(3), random(9, 3)
    homogeneous = torch.nn.functional.pad(points, (0, 1), value=1.0) @ one.pixels_from_world.mT
    torch.testing.assert_close(one.project(points), homogeneous[:, :2] / homogeneous[:, 2:])
    distorted = camera(3, LENSES[5])
    torch.testing.assert_close(distorted.without_distortion().project(points), one.project(points))


def test_frames_and_views_broadcast():
    cameras, points = several(3, lens=LENSES[5]), 0.5 * random(4, 7, 3)
    pixels = cameras.project(points[:, None])
    assert pixels.shape == (4, 3, 7, 2)
    torch.testing.assert_close(pixels[2, 1], cameras[1].project(points[2]))
    assert cameras.project(points[0]).shape == (3, 7, 2)


def test_each_camera_has_its_own_kind_of_lens():
    both = Cameras.stack([camera(1, LENSES[4]), camera(2, FISHEYE, fisheye=True), camera(3)])
    points = 0.5 * random(6, 3)
    pixels = both.project(points)
    for seed, alone in enumerate([camera(1, LENSES[4]), camera(2, FISHEYE, True), camera(3)]):
        torch.testing.assert_close(pixels[seed], alone.project(points))
        torch.testing.assert_close(both.undistort(pixels)[0][seed], alone.undistort(pixels[seed])[0])


# --- behind the camera, and other absences --------------------------------------------------------


@pytest.mark.parametrize(("lens", "fisheye"), [(None, False), (LENSES[8], False), (FISHEYE, True)])
def test_points_behind_are_nan_and_gradients_finite(lens, fisheye):
    one = camera(0, lens, fisheye)
    behind, at_centre, on_axis = tensor([0.0, 0.0, -1.0]), tensor([0.0, 0.0, 0.0]), tensor([0.0, 0.0, 2.0])
    seen_from_camera = torch.stack([behind, at_centre, on_axis, tensor([0.3, 0.2, 2.0])])
    world = ((seen_from_camera - one.translation) @ one.rotation).requires_grad_()
    pixels = one.project(world)
    assert pixels.isnan().any(dim=-1).tolist() == [True, True, False, False]
    pixels.nansum().backward()
    assert world.grad.isfinite().all()
    assert (world.grad[:2] == 0).all()
    torch.testing.assert_close(pixels[2].detach(), one.principal_point)


def test_an_unknown_joint_stays_unknown():
    points = random(3, 3)
    points[1] = torch.nan
    pixels = camera(0, LENSES[5]).project(points)
    assert pixels.isnan().any(dim=-1).tolist() == [False, True, False]
    undistorted, residual = camera(0, LENSES[5]).undistort(pixels)
    assert undistorted.isnan().any(dim=-1).tolist() == [False, True, False]
    assert residual.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize(("lens", "fisheye"), [(None, False), (LENSES[8], False), (FISHEYE, True)])
def test_gradients_of_projection_and_its_inverse(lens, fisheye):
    one, points = camera(0, lens, fisheye), random(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(one.project, points)
    pixels = one.project(points).detach().requires_grad_()
    assert torch.autograd.gradcheck(one.normalise, pixels, eps=1e-4)  # pixels are hundreds

    def project(intrinsics, pose, distortion):
        moved = Cameras(intrinsics, pose, one.size, distortion, one.fisheye)
        return moved.project(points.detach())

    fields = tuple(
        field.clone().requires_grad_() for field in (one.intrinsics, one.cam_from_world, one.distortion)
    )
    if lens is not None:  # a perfect lens takes a shorter way that does not see its coefficients
        assert torch.autograd.gradcheck(project, fields)


# --- undistortion ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("lens", "fisheye"), [*((lens, False) for lens in LENSES.values()), (FISHEYE, True)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_undistortion_goes_round(lens, fisheye, dtype):
    one = camera(0, lens, fisheye).to(dtype)
    u, v = torch.meshgrid(torch.linspace(0, 1279, 9), torch.linspace(0, 959, 7), indexing="xy")
    pixels = torch.stack([u, v], dim=-1).flatten(0, 1).to(dtype)
    perfect, residual = one.undistort(pixels)
    tolerance = 1e-9 if dtype == torch.float64 else 1e-3
    assert residual.max() < tolerance
    # seen through: a point on the ray of each pixel lands on the pixel again
    on_ray = torch.nn.functional.pad(one.normalise(pixels), (0, 1), value=1.0) * 3
    world = (on_ray - one.translation) @ one.rotation
    torch.testing.assert_close(one.project(world), pixels, atol=10 * tolerance, rtol=0)
    torch.testing.assert_close(one.without_distortion().project(world), perfect, atol=10 * tolerance, rtol=0)


def test_undistortion_equals_opencv():
    one, pixels = camera(0, LENSES[5]), 200 * random(20, 2) + tensor([640.0, 480.0])
    theirs = cv2.undistortPoints(pixels.numpy()[:, None], one.intrinsics.numpy(), np.array(LENSES[5]))
    # it stops after a few rounds: good to a fifth of a pixel
    torch.testing.assert_close(one.normalise(pixels), torch.from_numpy(theirs[:, 0]), atol=2e-4, rtol=0)


def test_where_the_lens_model_ends_the_residual_says_so():
    # k1 = -0.3: the image radius r - 0.3 r³ grows up to r = 1/√0.9 = 1.054, that is 0.703 or 773 pixels;
    # pixels beyond that no point can reach.
    one = camera(0, [-0.3])
    pixels = one.principal_point + tensor([[700.0, 0.0], [900.0, 0.0]])
    _, residual = one.undistort(pixels)
    assert residual[0] < 1e-6
    assert not residual[1] < 0.1


def test_a_perfect_lens_has_nothing_to_undo():
    pixels = random(5, 2)
    perfect, residual = camera().undistort(pixels)
    torch.testing.assert_close(perfect, pixels)
    assert (residual == 0).all()


# --- rays -----------------------------------------------------------------------------------------


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_rays_pass_through_what_was_seen(seed):
    cameras = Cameras.stack([camera(seed, LENSES[5]), camera(seed + 1, LENSES[4])])
    points = 0.5 * random(6, 3, seed=seed)
    origin, direction = cameras.rays(cameras.project(points))
    torch.testing.assert_close(direction.norm(dim=-1), torch.ones(2, 6, dtype=torch.float64))
    torch.testing.assert_close(origin, cameras.centres[:, None].expand(2, 6, 3))
    towards = points - origin
    along = (towards * direction).sum(dim=-1, keepdim=True)
    assert (along > 0).all()
    torch.testing.assert_close(along * direction, towards, atol=1e-7, rtol=0)


def test_the_centre_is_where_the_camera_sees_nothing():
    cameras = several(4)
    at_centre = cameras.to_camera(cameras.centres[:, None])
    torch.testing.assert_close(at_centre, torch.zeros(4, 1, 3, dtype=torch.float64), atol=1e-12, rtol=0)


# --- the image plane ------------------------------------------------------------------------------


def test_pixel_centres_map_on_resizing():
    # By hand: 2 × 2 pixels become 4 × 4. Old pixel 0 covers -0.5 .. 0.5, which becomes -0.5 .. 1.5:
    # its centre is now at 0.5, and that of old pixel 1 at 2.5.
    small = Cameras.make(torch.eye(3), torch.eye(3, 4), torch.tensor([2.0, 2.0]))
    large = small.resize(torch.tensor([4.0, 4.0]))
    points = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    torch.testing.assert_close(large.project(points), torch.tensor([[0.5, 0.5], [2.5, 2.5]]))
    assert large.size.tolist() == [4, 4]


@pytest.mark.parametrize("size", [(160, 120), (40, 30), (160, 30)])
def test_resizing_as_a_real_image_does(size):
    # an image whose grey values are its own coordinates shows where each new pixel came from
    image = np.stack(np.meshgrid(np.arange(80.0), np.arange(60.0)), axis=-1)
    resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    old = Cameras.make(
        tensor([[90.0, 0, 41], [0, 95, 28], [0, 0, 1]]), torch.eye(3, 4).double(), tensor([80.0, 60])
    )
    new = old.resize(tensor(size))
    inner = np.s_[size[1] // 4 : -size[1] // 4, size[0] // 4 : -size[0] // 4]
    where = np.stack(np.meshgrid(np.arange(float(size[0])), np.arange(float(size[1]))), axis=-1)[inner]
    directions = new.rays(torch.from_numpy(where.reshape(-1, 2)))[1]
    torch.testing.assert_close(old.project(directions), torch.from_numpy(resized[inner].reshape(-1, 2)))


def test_cropping_as_a_real_image_does():
    image = np.zeros((60, 80))
    image[37, 52] = 1
    old = Cameras.make(
        tensor([[90.0, 0, 41], [0, 95, 28], [0, 0, 1]]), torch.eye(3, 4).double(), tensor([80.0, 60])
    )
    point = old.rays(tensor([[52.0, 37.0]]))[1]
    new = old.crop(tensor([30.0, 20.0]), tensor([40.0, 25.0]))
    v, u = np.argwhere(image[20:45, 30:70] == 1)[0]
    torch.testing.assert_close(new.project(point), tensor([[float(u), float(v)]]))
    assert new.size.tolist() == [40, 25]
    assert old.intrinsics[0, 2] == 41  # the old cameras are as they were


def test_crops_of_many_views_differ():
    cameras = several(3)
    left_top = tensor([[10.0, 20], [30, 40], [50, 60]])
    moved = cameras.crop(left_top, tensor([100.0, 200.0]))
    points = 0.5 * random(5, 3)
    torch.testing.assert_close(moved.project(points), cameras.project(points) - left_top[:, None])
    assert moved.size.shape == (3, 2)


@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3, 5])
def test_turning_as_a_real_image_does(turns):
    image = np.zeros((60, 80))
    image[37, 52] = 1
    pose = torch.cat(
        [rotation_from_axis_angle(tensor([0.1, -0.2, 0.3])), tensor([[0.1], [0.2], [0.3]])], dim=1
    )
    old = Cameras.make(tensor([[90.0, 0, 41], [0, 95, 28], [0, 0, 1]]), pose, tensor([80.0, 60]))
    origin, direction = old.rays(tensor([[52.0, 37.0]]))
    new = old.rotate(turns)
    turned = np.rot90(image, k=-turns)  # numpy counts anti-clockwise
    v, u = np.argwhere(turned == 1)[0]
    torch.testing.assert_close(new.project(origin + 3 * direction), tensor([[float(u), float(v)]]))
    assert new.size.tolist() == [turned.shape[1], turned.shape[0]]
    torch.testing.assert_close(new.centres, old.centres)
    torch.testing.assert_close(torch.linalg.det(new.rotation), tensor(1.0))


def test_turning_a_distorted_lens_is_refused():
    with pytest.raises(ValueError, match=r"Cameras\.rotate: .* distorted.*without_distortion"):
        camera(0, LENSES[4]).rotate(1)


def test_turning_a_skewed_camera_is_refused():
    one = camera()
    one.intrinsics[0, 1] = 2.0
    with pytest.raises(ValueError, match=r"Cameras\.rotate: .* skew"):
        one.rotate(1)


# --- another world --------------------------------------------------------------------------------


@given(seed=seeds, scale=st.floats(0.01, 100))
@settings(deadline=None, max_examples=20)
def test_moving_the_world_moves_no_pixel(seed, scale):
    cameras, points = several(3, lens=LENSES[5]), 0.5 * random(6, 3, seed=seed)
    turn, shift = rotation_from_axis_angle(random(3, seed=seed)), random(3, seed=seed + 1)
    new_points = (points - shift) @ turn / scale  # solves X_old = scale · R X_new + t
    moved = cameras.moved(torch.cat([turn, shift[:, None]], dim=1), scale)
    torch.testing.assert_close(moved.project(new_points), cameras.project(points), atol=1e-6, rtol=1e-9)
    expected = (cameras.centres - shift) @ turn / scale
    torch.testing.assert_close(moved.centres, expected, atol=1e-9, rtol=1e-9)


def test_a_mirrored_world_is_another_picture():
    # X → DX with D = diag(1, 1, -1) cannot be undone by turning cameras: perspective tells the two apart
    cameras, points = several(3), 0.5 * random(8, 3)
    mirror = torch.diag(tensor([1.0, 1.0, -1.0]))
    mirrored = Cameras.make(
        cameras.intrinsics,
        torch.cat([mirror @ cameras.rotation @ mirror, cameras.translation[..., None]], dim=-1),
        cameras.size,
    )
    torch.testing.assert_close(torch.linalg.det(mirrored.rotation), torch.ones(3, dtype=torch.float64))
    assert (mirrored.project(points @ mirror) - cameras.project(points)).norm(dim=-1).max() > 10


# --- many cameras ---------------------------------------------------------------------------------


def test_picking_stacking_and_spreading():
    cameras = several(4, lens=LENSES[5])
    assert len(cameras) == 4
    again = Cameras.stack([cameras[i] for i in range(4)])
    torch.testing.assert_close(again.cam_from_world, cameras.cam_from_world)
    picked = cameras[torch.tensor([2, 0])]
    torch.testing.assert_close(picked.distortion, cameras.distortion[[2, 0]])
    spread = cameras.expand(5, 4)
    assert spread.fisheye.shape == (5, 4)
    torch.testing.assert_close(spread[3].intrinsics, cameras.intrinsics)


def test_other_numbers_keep_the_kind_of_lens():
    single = camera(0, FISHEYE, fisheye=True).to(torch.float32)
    assert single.intrinsics.dtype == single.distortion.dtype == torch.float32
    assert single.fisheye.dtype == torch.bool
    assert bool(single.fisheye)
    assert single.device == torch.device("cpu")


def test_short_lists_of_coefficients_are_padded():
    assert camera(0, [-0.1]).distortion.tolist() == [-0.1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("count", "fisheye"), [(12, False), (5, True)])
def test_unknown_coefficients_are_refused(count, fisheye):
    limit = 4 if fisheye else 8
    with pytest.raises(ValueError, match=f"{count} distortion coefficients given, at most {limit} are known"):
        camera(0, [0.01] * count, fisheye)


def test_a_wide_fisheye_sees_to_the_side():
    # By hand: the equidistant lens maps the angle itself; 60° from the axis lands f · π/3 away.
    one = Cameras.make(
        tensor([[300.0, 0, 500], [0, 300, 500], [0, 0, 1]]),
        torch.eye(3, 4).double(),
        tensor([1000.0, 1000]),
        None,
        True,
    )
    pixel = one.project(tensor([[math.tan(math.pi / 3), 0.0, 1.0]]))
    torch.testing.assert_close(pixel, tensor([[500 + 300 * math.pi / 3, 500.0]]))


def test_undistorted_pixels_come_with_perfect_cameras():
    both = Cameras.stack([camera(1, LENSES[4]), camera(2, FISHEYE, fisheye=True)])
    pixels = both.project(random(12, 3))
    pixels[0, 3] = torch.nan
    perfect, straight = both.undistorted(pixels)
    assert not perfect.is_distorted
    torch.testing.assert_close(straight[:, :3], both.undistort(pixels[:, :3])[0])
    assert straight.isnan().any(dim=-1).nonzero().tolist() == [[0, 3]]
    assert perfect.undistorted(straight) == (perfect, straight)  # the very same: nothing to do
