"""Checks that every calibrated camera passes when it is read or written; errors name camera and value."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.formats.io.camera_names import listed

# largest entry of RᵀR - I that is allowed
_EXACT = 1e-6
# relative difference allowed between fx and fy
_ASPECT = 0.2
# how far undistortion may move a pixel, as a share of its distance from the principal point; strong distortion is
# that of wide-angle lens models
_PINCHED, _STRETCHED = 0.7, 3.0
# distances of the principal point from the image's middle, as a share of its sides, that suggest swapped sides
_OFF_CENTRE, _CENTRED = 0.2, 0.1


def check_cameras(names: Sequence[str], cameras: Cameras, where: str) -> None:
    """Raise where the parameters of a camera are impossible.

    Checked: unique names; known size; finite upper triangular K with positive, similar focal lengths; principal point
    inside the image; a right-handed orthonormal rotation; distortion that is invertible and moderate halfway to the
    corners. Extrinsics that are NaN throughout mean that only the intrinsics are known, and pass.

    Args:
        names: Names of the cameras.
        cameras: One batch axis, in the order of `names`.
        where: The file, for messages.

    Raises:
        ValueError: Naming `where`, the camera, the value and the likely cause.
    """
    doubled = {name for name in names if list(names).count(name) > 1}
    if doubled:
        raise InputError(
            f"{where}: more than one camera is named {listed(doubled)}. Videos are matched to cameras by "
            f"name, so each needs its own; rename one of them."
        )
    for name, camera in zip(names, (cameras[i] for i in range(len(cameras))), strict=True):
        label = f"{where}: camera '{name}'"
        _check_size(camera.size, label)
        _check_intrinsics(camera.intrinsics, label)
        _check_principal_point(camera, label)
        _check_extrinsics(camera, label)
        _check_distortion(camera, label)


def _check_size(size: Float[Tensor, "2"], label: str) -> None:
    if not bool(size.isfinite().all()) or not bool((size >= 1).all()):
        raise InputError(
            f"{label}: the image size is {_numbers(size)}, so nobody can tell whether it fits the video. "
            f"Add `size = [width, height]` in pixels."
        )


def _check_intrinsics(matrix: Float[Tensor, "3 3"], label: str) -> None:
    shown = [[round(value, 3) for value in row] for row in matrix.tolist()]
    if not bool(matrix.isfinite().all()):
        raise InputError(f"{label}: the camera matrix {shown} holds numbers that are not finite.")
    fx, fy = float(matrix[0, 0]), float(matrix[1, 1])
    lower = matrix.tril(-1).abs().max()
    if float(lower) > _EXACT * max(abs(fx), 1.0):
        hint = "It looks transposed, as MATLAB writes it. " if bool((matrix[2, :2] > 1).all()) else ""
        raise InputError(
            f"{label}: the camera matrix {shown} is not upper triangular. {hint}"
            f"It should read [[fx, skew, cx], [0, fy, cy], [0, 0, 1]]."
        )
    if abs(float(matrix[2, 2]) - 1) > _EXACT:
        raise InputError(f"{label}: the last number of the camera matrix is {shown[2][2]} and must be 1.")
    if min(fx, fy) <= 0 or abs(fx / fy - 1) > _ASPECT:
        raise InputError(
            f"{label}: focal lengths fx = {fx:.1f} and fy = {fy:.1f} px must be positive and differ by less "
            f"than {_ASPECT:.0%}: pixels are (nearly) square. Check the camera matrix {shown}."
        )


def _check_principal_point(camera: Cameras, label: str) -> None:
    centre, size = camera.principal_point, camera.size
    distance, distance_if_swapped = _off_centre(centre, size), _off_centre(centre, size.flip(0))
    if distance > _OFF_CENTRE and distance_if_swapped < _CENTRED:
        raise InputError(
            f"{label}: the principal point {_numbers(centre)} lies off the middle of an image of "
            f"{_numbers(size)} (width, height), but close to the middle of one of {_numbers(size.flip(0))}. "
            f"Width and height are probably swapped; write `size = [{size[1]:.0f}, {size[0]:.0f}]`."
        )
    if distance > 0.5:
        raise InputError(
            f"{label}: the principal point {_numbers(centre)} lies outside the image of {_numbers(size)} "
            f"pixels (width, height). The size or the camera matrix belongs to another image."
        )


def _check_distortion(camera: Cameras, label: str) -> None:
    if not bool(camera.distortion.isfinite().all()):
        raise InputError(f"{label}: distortion {camera.distortion.tolist()} is not finite.")
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    camera = camera.to(torch.float64)
    middle = camera.principal_point
    # halfway to the corners, where every distortion model holds
    away = (corners * camera.size - middle) / 2
    straight, miss = camera.undistort(middle + away)
    stretched = (straight - middle).norm(dim=-1) / away.norm(dim=-1)
    if bool((miss > 1).any()) or float(stretched.min()) < _PINCHED or float(stretched.max()) > _STRETCHED:
        what = f"moves what lies halfway to a corner to {float(stretched.max()):.2g} times its distance from the middle"
        if bool((miss > 1).any()):
            what = "has no inverse halfway to a corner"
        raise InputError(
            f"{label}: distortion {_numbers(camera.distortion)} {what}, which no lens does. The order is k1, k2, p1, "
            f"p2, k3; a fisheye's coefficients are not those of another lens (`fisheye = true`)."
        )


def _off_centre(centre: Float[Tensor, "2"], size: Float[Tensor, "2"]) -> float:
    """Distance from the image's middle as a share of its sides, the greater of the two."""
    return float((centre / size - 0.5).abs().max())


def _check_extrinsics(camera: Cameras, label: str) -> None:
    if bool(camera.cam_from_world.isnan().all()):
        return
    if not bool(camera.cam_from_world.isfinite().all()):
        raise InputError(
            f"{label}: rotation or translation hold numbers that are not finite: "
            f"{camera.cam_from_world.tolist()}. Leave both out if only the lens is known."
        )
    rotation = camera.rotation.double()
    determinant = float(torch.linalg.det(rotation))
    tolerance = _EXACT if camera.rotation.dtype == torch.float64 else 1e-4
    error = float((rotation.mT @ rotation - torch.eye(3).double()).abs().max())
    if error > max(tolerance, _EXACT):
        raise InputError(
            f"{label}: the rotation is not orthonormal (RᵀR differs from the identity by {error:.2g}): "
            f"{rotation.tolist()}. It was rounded, scaled, or is not a rotation matrix."
        )
    if determinant < 0:
        raise InputError(
            f"{label}: the rotation is left-handed (determinant {determinant:.3f}, must be +1): it mirrors "
            f"the world, and left and right would be exchanged. One axis of the file's convention is flipped."
        )


def _numbers(values: Tensor) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values.tolist()) + ")"
