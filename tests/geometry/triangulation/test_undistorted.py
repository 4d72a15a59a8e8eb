import math
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation import undistorted
from coview.geometry.triangulation.undistorted import (
    refine_points,
    reprojection_residuals,
    triangulate_robust_undistorted,
    triangulate_undistorted,
)


def rig(views: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A ring without opposite cameras; two views stand 72° apart."""
    return ring_cameras(max(views, 5)).pixels_from_world[:views].to(dtype)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def people(frames: int, joints: int = 17, seed: int = 0) -> torch.Tensor:
    return 0.6 * normal(frames, joints, 3, seed=seed) + torch.tensor([0, 0, 1.0], dtype=torch.float64)


def images(points: torch.Tensor, projections: torch.Tensor) -> torch.Tensor:
    """frames joints 3 -> frames views joints 2, as the textbook has it."""
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    image = torch.einsum("vij,fnj->fvni", projections.double(), homogeneous.double())
    return image[..., :2] / image[..., 2:]


def noisy(views: int, frames: int, pixels: float, seed: int = 0):  # type: ignore[no-untyped-def]
    truth, projections = people(frames, seed=seed), rig(views)
    seen = images(truth, projections)
    return truth, projections, seen + pixels * normal(*seen.shape, seed=seed + 1)


def by_svd(pixels: torch.Tensor, projections: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The slow twin [HZ04 §12.2]: the smallest singular vector of the weighted rows, one joint at a time."""
    rows = pixels[..., None] * projections[:, None, 2:] - projections[:, None, :2]
    rows = (weights[..., None, None] * rows).transpose(1, 2).flatten(2, 3).double()
    vector = torch.linalg.svd(rows).Vh[..., -1, :]
    return vector[..., :3] / vector[..., 3:]


# --- linear ------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), views=st.integers(2, 16), joints=st.integers(1, 20))
@settings(deadline=None, max_examples=30)
def test_projecting_then_triangulating_returns_the_points(seed: int, views: int, joints: int):
    truth, projections = people(2, joints, seed), rig(views)
    pixels, weights = images(truth, projections), torch.rand(2, views, joints).double() + 0.1
    torch.testing.assert_close(
        triangulate_undistorted(pixels, projections, weights), truth, atol=1e-9, rtol=0
    )
    for solver in ("linear", "reprojection"):
        found = triangulate_robust_undistorted(pixels, projections, weights, solver=solver)
        torch.testing.assert_close(found.points, truth, atol=1e-9, rtol=0)
        assert found.inliers.all()
        assert found.residuals.max() < 1e-6


def test_by_hand():
    # Two cameras, focal length 1, the right one a metre along x, looking at (0.25, 0.5, 2): the left one
    # sees (0.25, 0.5) / 2, the right one (0.25 - 1, 0.5) / 2.
    left = torch.eye(3, 4)
    right = left.clone()
    right[0, 3] = -1.0
    pixels = torch.tensor([[[0.125, 0.25]], [[-0.375, 0.25]]])
    found = triangulate_undistorted(pixels, torch.stack([left, right]), torch.ones(2, 1))
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.5, 2.0]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("views", [2, 3, 4, 8])
def test_float32_agrees_with_the_singular_vector_in_float64(views: int):
    _, projections, pixels = noisy(views, 200, pixels=10.0)
    weights = torch.rand(200, views, 17, generator=torch.Generator().manual_seed(0)).double() + 0.1
    twin = by_svd(pixels, projections, weights)
    found = triangulate_undistorted(pixels.float(), projections.float(), weights.float())
    assert (found - twin).norm(dim=-1).max() < 1e-4  # a tenth of a millimetre, with 10 px of noise


def test_float32_keeps_a_point_to_a_hundredth_of_a_millimetre():
    truth, projections, pixels = noisy(4, 200, pixels=0.0)
    weights = torch.ones(200, 4, 17)
    for found in (
        triangulate_undistorted(pixels.float(), projections.float(), weights),
        triangulate_robust_undistorted(pixels.float(), projections.float(), weights).points,
    ):
        assert (found - truth).norm(dim=-1).max() < 1e-5


def test_the_world_may_lie_far_from_its_origin():
    truth, projections, pixels = noisy(4, 50, pixels=0.0)
    far = torch.eye(4, dtype=torch.float64)
    far[:3, 3] = -torch.tensor([300.0, -200.0, 50.0])
    found = triangulate_undistorted(pixels.float(), (projections @ far).float(), torch.ones(50, 4, 17))
    assert (found + far[:3, 3] - truth).norm(dim=-1).max() < 1e-3  # float32 itself keeps 300 m to 0.03 mm


def test_a_projection_has_no_scale_and_views_no_order():
    _, projections, pixels = noisy(5, 10, pixels=5.0)
    weights = torch.rand(10, 5, 17).double() + 0.1
    found = triangulate_undistorted(pixels, projections, weights)
    scaled = projections * torch.tensor([1.0, 3, 0.1, 7, 1e3]).double()[:, None, None]
    torch.testing.assert_close(triangulate_undistorted(pixels, scaled, weights), found)
    order = [3, 0, 4, 1, 2]
    again = triangulate_undistorted(pixels[:, order], projections[order], weights[:, order])
    torch.testing.assert_close(again, found)


def test_cameras_of_their_own_or_shared_make_no_difference():
    _, projections, pixels = noisy(4, 6, pixels=5.0)
    pixels[2, 1, :5] += 80
    weights = torch.rand(6, 4, 17).double() + 0.1
    weights[0, :2, 3] = 0
    own = projections.expand(6, 4, 3, 4).contiguous()
    torch.testing.assert_close(
        triangulate_undistorted(pixels, own, weights),
        triangulate_undistorted(pixels, projections, weights),
        equal_nan=True,
    )
    one, other = (
        triangulate_robust_undistorted(pixels, own, weights),
        triangulate_robust_undistorted(pixels, projections, weights),
    )
    for field in ("points", "covariance", "inliers", "residuals"):
        torch.testing.assert_close(getattr(one, field), getattr(other, field), equal_nan=True)


@pytest.mark.parametrize("frames", [1, 7])
def test_working_in_blocks_makes_no_difference(frames: int, monkeypatch: pytest.MonkeyPatch):
    _, projections, pixels = noisy(4, frames, pixels=5.0)
    weights = torch.ones(frames, 4, 17).double()
    whole = triangulate_undistorted(pixels, projections, weights)
    refined = refine_points(whole, pixels, projections, weights)
    monkeypatch.setattr(undistorted, "_BLOCK", 34)
    torch.testing.assert_close(triangulate_undistorted(pixels, projections, weights), whole)
    torch.testing.assert_close(refine_points(whole, pixels, projections, weights), refined)


def test_any_batch_and_none():
    truth, projections, pixels = noisy(3, 6, pixels=0.0)
    weights = torch.ones(6, 3, 17).double()
    for batch in ((), (6,), (2, 3), (1, 6), (0,)):
        count = math.prod(batch)
        found = triangulate_robust_undistorted(
            pixels[:count].reshape(*batch, 3, 17, 2), projections, weights[:count].reshape(*batch, 3, 17)
        )
        assert found.points.shape == (*batch, 17, 3)
        assert found.covariance.shape == (*batch, 17, 3, 3)
        assert found.inliers.shape == found.residuals.shape == (*batch, 3, 17)
        torch.testing.assert_close(found.points, truth[:count].reshape(*batch, 17, 3))


def test_low_precision_around_it_does_not_leak_in():
    truth, projections, pixels = noisy(4, 10, pixels=0.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = triangulate_undistorted(pixels.float(), projections.float(), torch.ones(10, 4, 17))
    assert (found - truth).norm(dim=-1).max() < 1e-5


def test_real_recording_gives_the_points_of_pose2sim(shared_data: Path):
    # Pose2Sim's own TRC; it leaves out bad views, we do not know which, so any choice of views may match.
    with np.load(shared_data / "pose2sim_single/balancing/balancing_arrays.npz") as file:
        array = {name: file[name] for name in file.files}
    joints = [list(array["kp2d_names"]).index(name) for name in array["xyz_names"]]
    pose = np.concatenate([array["R"], array["t"].reshape(4, 3, 1)], axis=-1)
    projections = torch.tensor(array["K"] @ pose).float()
    pixels, trust = torch.tensor(array["kp2d"])[:, :, joints].transpose(0, 1).split((2, 1), dim=-1)
    trust = torch.where(trust[..., 0] > 0.3, trust[..., 0], 0.0).nan_to_num()
    choices = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)[:, None, :, None]
    found = triangulate_undistorted(pixels.expand(16, *pixels.shape), projections, trust * choices)
    nearest = (found - torch.tensor(array["xyz_world_m"])).norm(dim=-1).nan_to_num(torch.inf).amin(dim=0)
    nearest = nearest[nearest.isfinite()]
    assert len(nearest) > 1900
    assert (nearest < 1e-4).double().mean() > 0.99


# --- what is missing -----------------------------------------------------------------------------------


def test_weight_zero_or_no_pixel_is_a_view_that_is_not_there():
    _, projections, pixels = noisy(4, 5, pixels=5.0)
    weights = torch.ones(5, 4, 17).double()
    weights[:, 2] = 0
    alone = triangulate_undistorted(pixels[:, [0, 1, 3]], projections[[0, 1, 3]], weights[:, [0, 1, 3]])
    for nothing in (0.0, 1e6, torch.nan, torch.inf):
        pixels[:, 2] = nothing
        torch.testing.assert_close(triangulate_undistorted(pixels, projections, weights), alone)
    pixels[:, 2], weights[:, 2] = torch.nan, 1.0
    torch.testing.assert_close(triangulate_undistorted(pixels, projections, weights), alone)
    pixels[:, 2], weights[:, 2] = 0.0, torch.nan
    torch.testing.assert_close(triangulate_undistorted(pixels, projections, weights), alone)


def degenerate() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One joint for every way to be unknowable, then one good joint; view 3 has view 0's camera."""
    projections = rig(4)[[0, 1, 2, 0]].clone()
    truth = people(1, 7)
    pixels, weights = images(truth, projections)[0], torch.ones(4, 7).double()
    weights[:, 0] = 0  # seen by nobody
    weights[1:, 1] = 0  # by one view
    pixels[:, 2] = torch.nan
    pixels[1:, 3] = torch.inf
    weights[1:3, 4] = 0  # by two views with one and the same camera
    weights[:, 5] = torch.nan
    return pixels, projections, weights


def test_what_cannot_be_known_is_nan():
    pixels, projections, weights = degenerate()
    for found in (
        triangulate_undistorted(pixels, projections, weights),
        triangulate_robust_undistorted(pixels, projections, weights).points,
        triangulate_robust_undistorted(pixels, projections, weights).covariance[..., 0],
    ):
        assert found[:6].isnan().all()
        assert found[6].isfinite().all()
    assert not triangulate_robust_undistorted(pixels, projections, weights).inliers[:, :6].any()


@pytest.mark.parametrize("name", ["linear", "refined", "robust linear", "robust", "residuals"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_whatever_is_missing(name: str, dtype: torch.dtype):
    inputs = [each.to(dtype).requires_grad_() for each in degenerate()]
    pixels, projections, weights = inputs
    if name.startswith("robust"):
        solver = "linear" if "linear" in name else "reprojection"
        found = triangulate_robust_undistorted(pixels, projections, weights, solver=solver)
        total = found.points.nansum() + found.residuals.nansum() + found.covariance.nansum()
    else:
        points = triangulate_undistorted(pixels, projections, weights)
        if name == "refined":
            points = refine_points(points, pixels, projections, weights)
        if name == "residuals":
            points = reprojection_residuals(points, pixels, projections)
        total = points.nansum()
    for gradient in torch.autograd.grad(total, inputs, allow_unused=name == "residuals"):
        assert gradient is not None
        assert gradient.isfinite().all()


def test_gradients_are_those_of_finite_differences():
    _, projections, pixels = noisy(3, 1, pixels=5.0)
    pixels, weights = pixels[:, :, :1], torch.rand(1, 3, 1).double() + 0.5
    inputs = tuple(each.clone().requires_grad_() for each in (pixels, projections, weights))
    assert torch.autograd.gradcheck(triangulate_undistorted, inputs)
    start = triangulate_undistorted(pixels, projections, weights)
    assert torch.autograd.gradcheck(lambda *given: refine_points(start, *given), inputs, atol=1e-4)
    assert torch.autograd.gradcheck(
        lambda *given: triangulate_robust_undistorted(*given, solver="reprojection", threshold=50.0).points,
        inputs,
        atol=1e-4,
    )


@pytest.mark.parametrize("function", [triangulate_undistorted, triangulate_robust_undistorted])
def test_one_view_is_refused(function):  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"1 view.*shape \(1, 17, 2\).*one ray has no depth.*two or more"):
        function(torch.zeros(1, 17, 2), rig(1, torch.float32), torch.ones(1, 17))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sigma": 0.0}, "sigma=0.0"),
        ({"threshold": -1.0}, "threshold=-1.0"),
        ({"threshold": math.nan}, "threshold=nan"),
        ({"max_ambiguity": -1.0}, "0 or more, got -1.0"),
        ({"max_ambiguity": math.nan}, "0 or more, got nan"),
        ({"max_pairs": 0}, "at least 1, got 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        triangulate_robust_undistorted(torch.zeros(2, 1, 2), rig(2, torch.float32), torch.ones(2, 1), **wrong)


# --- export --------------------------------------------------------------------------------------------


class Linear(torch.nn.Module):
    def forward(self, pixels, projections, weights):  # type: ignore[no-untyped-def]
        return (triangulate_undistorted(pixels, projections, weights),)


class Refined(torch.nn.Module):
    def forward(self, pixels, projections, weights):  # type: ignore[no-untyped-def]
        found = triangulate_undistorted(pixels, projections, weights)
        return (refine_points(found, pixels, projections, weights),)


class Robust(torch.nn.Module):
    def forward(self, pixels, projections, weights):  # type: ignore[no-untyped-def]
        found = triangulate_robust_undistorted(pixels, projections, weights)
        return found.points, found.covariance, found.inliers, found.residuals


# torch 2.13 warns about itself while exporting
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning", "ignore:.*axis name:UserWarning")
@pytest.mark.parametrize(
    "model",
    [
        Linear(),
        pytest.param(Refined(), marks=pytest.mark.slow),
        pytest.param(Robust(), marks=pytest.mark.slow),
    ],
)
def test_onnxruntime_gives_the_same(model: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("onnxscript", reason="exporting needs `pip install onnx onnxscript onnxruntime`")
    runtime = pytest.importorskip("onnxruntime", reason="running ONNX needs `pip install onnxruntime`")
    # The shape checker compares lengths, and a length that was compared is a constant in the exported graph.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    _, projections, pixels = (each.float() for each in noisy(4, 6, pixels=3.0))
    weights = torch.ones(6, 4, 17)
    pixels[1, 2, :4] += 90
    pixels[2, 1, 3], weights[2, 1, 3] = torch.nan, 0
    weights[3, 1:, 5] = 0
    frames = torch.export.Dim("frames", min=2)
    program = torch.onnx.export(
        model.eval(),
        (pixels[:2], projections, weights[:2]),
        dynamo=True,
        dynamic_shapes=({0: frames}, None, {0: frames}),
        verbose=False,
        optimize=False,  # the slowest step, and onnxruntime does it again
    )
    assert program is not None
    program.save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    names = [each.name for each in session.get_inputs()]
    given = zip(names, (pixels.numpy(), projections.numpy(), weights.numpy()), strict=True)
    for mine, theirs in zip(model(pixels, projections, weights), session.run(None, dict(given)), strict=True):
        torch.testing.assert_close(torch.tensor(theirs), mine, equal_nan=True, atol=1e-4, rtol=1e-4)
