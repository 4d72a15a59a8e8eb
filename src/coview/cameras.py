"""Calibrated cameras: world metres in, pixels out, and back. The only place with a K.

OpenCV axes (x right, y down, z forward); pixel (0, 0) is the centre of the top-left pixel.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from coview.distortion import COEFFICIENTS, distort, is_distorted, undistort
from coview.errors import InputError

_FIELDS = ("intrinsics", "cam_from_world", "size", "distortion", "fisheye")


@dataclass(frozen=True)
class Cameras:
    """One or many calibrated cameras as tensors; every field has the same leading `*batch`.

    OpenCV axes and lens models. The methods take and return tensors; `coview.make_cameras` makes cameras from NumPy
    arrays and lists, and `coview.project`, `coview.undistort` and `coview.triangulate` take any kind.

    Attributes:
        intrinsics: (*batch, 3, 3), pixels: [[fx, skew, cx], [0, fy, cy], [0, 0, 1]].
        cam_from_world: (*batch, 3, 4), rotation | translation in metres; NaN where it is not known.
        size: (*batch, 2), width and height of the image in pixels.
        distortion: (*batch, 8), k1 k2 p1 p2 k3 k4 k5 k6 [Brown66], or k1 to k4 of a fisheye lens [KB06].
        fisheye: (*batch), bool: whether `distortion` is that of a fisheye lens.

    Example:
        >>> import coview
        >>> cameras = coview.example_cameras(4)
        >>> len(cameras), cameras.focal[0].tolist()
        (4, [1145.0, 1145.0])
        >>> cameras[1:3].pixels_from_world.shape
        torch.Size([2, 3, 4])
    """

    intrinsics: Float[Tensor, "*batch 3 3"]  # pixels
    cam_from_world: Float[Tensor, "*batch 3 4"]  # rotation | translation in metres
    size: Float[Tensor, "*batch 2"]  # width, height of the image in pixels
    distortion: Float[Tensor, "*batch 8"]  # no unit; zeros for a perfect lens
    fisheye: Bool[Tensor, "*batch"]  # whether `distortion` is the equidistant model [KB06] with k1..k4

    @staticmethod
    def make(
        intrinsics: Float[Tensor, "*batch 3 3"],
        cam_from_world: Float[Tensor, "*batch 3 4"],
        size: Float[Tensor, "*batch 2"],
        distortion: Float[Tensor, "*batch coefficients"] | None = None,
        fisheye: bool = False,
    ) -> "Cameras":
        """Cameras of one lens model; up to 8 coefficients are padded with zeros.

        Raises ValueError for more than 8 coefficients (4 for a fisheye lens)."""
        limit = 4 if fisheye else COEFFICIENTS
        given = intrinsics.new_zeros(*intrinsics.shape[:-2], 0) if distortion is None else distortion
        if given.shape[-1] > limit:
            raise InputError(
                f"Cameras: {given.shape[-1]} distortion coefficients given, at most {limit} are known "
                f"for a {'fisheye' if fisheye else 'Brown-Conrady'} lens. Drop the ones that are zero."
            )
        padded = torch.nn.functional.pad(given, (0, COEFFICIENTS - given.shape[-1]))
        flag = torch.full(intrinsics.shape[:-2], fisheye, device=intrinsics.device)
        return Cameras(intrinsics, cam_from_world, size, padded, flag)

    # --- parts -----------------------------------------------------------------------------------

    @property
    def rotation(self) -> Float[Tensor, "*batch 3 3"]:
        """Camera-from-world rotation."""
        return self.cam_from_world[..., :3]

    @property
    def translation(self) -> Float[Tensor, "*batch 3"]:
        """Camera-from-world translation, metres: where the world's origin is in the camera."""
        return self.cam_from_world[..., 3]

    @property
    def centres(self) -> Float[Tensor, "*batch 3"]:
        """Camera centres, metres, world frame: C = -Rᵀt."""
        return -(self.rotation.mT @ self.translation[..., None])[..., 0]

    @property
    def focal(self) -> Float[Tensor, "*batch 2"]:
        """fx, fy in pixels."""
        return torch.stack([self.intrinsics[..., 0, 0], self.intrinsics[..., 1, 1]], dim=-1)

    @property
    def principal_point(self) -> Float[Tensor, "*batch 2"]:
        """cx, cy in pixels."""
        return self.intrinsics[..., :2, 2]

    @property
    def pixels_from_world(self) -> Float[Tensor, "*batch 3 4"]:
        """K [R | t]: for *undistorted* pixels. Distorted ones first go through `undistort`."""
        return self.intrinsics @ self.cam_from_world

    @property
    def is_distorted(self) -> bool:
        """Whether any camera has distortion, so that its pixels must be undistorted before linear projection."""
        return is_distorted(self.distortion, self.fisheye)

    @property
    def device(self) -> torch.device:
        return self.intrinsics.device

    def __len__(self) -> int:
        return self.intrinsics.shape[0]

    def __getitem__(self, index: object) -> "Cameras":
        """Some of the cameras; `index` addresses the batch axes."""
        return self._each(lambda field: field[index])

    def to(self, *args: Any, **options: Any) -> "Cameras":
        """Moved to a device or another floating type; the fisheye flags stay boolean."""
        moved = {name: getattr(self, name).to(*args, **options) for name in _FIELDS[:-1]}
        return replace(self, **moved, fisheye=self.fisheye.to(moved["intrinsics"].device))

    def expand(self, *batch: int) -> "Cameras":
        """Broadcast to the batch shape `batch` without copying."""
        axes = self.fisheye.ndim
        return self._each(lambda field: field.expand(*batch, *field.shape[axes:]))

    def reshape(self, *batch: int) -> "Cameras":
        """The same cameras in the batch shape `batch`."""
        axes = self.fisheye.ndim
        return self._each(lambda field: field.reshape(*batch, *field.shape[axes:]))

    @staticmethod
    def stack(several: Iterable["Cameras"]) -> "Cameras":
        """Stacked along a new first axis."""
        several = list(several)
        return several[0]._each_with(lambda *fields: torch.stack(fields), several[1:])

    # --- points ----------------------------------------------------------------------------------

    def to_camera(self, points: Float[Tensor, "*#points joints 3"]) -> Float[Tensor, "*#out joints 3"]:
        """World points in each camera's frame, metres. Batches broadcast: give points for all
        views as `points[..., None, :, :]`."""
        return points @ self.rotation.mT + self.translation[..., None, :]

    def project(self, points: Float[Tensor, "*#points joints 3"]) -> Float[Tensor, "*#out joints 2"]:
        """World points (metres) to distorted pixels; NaN for points behind the camera.

        [HZ04] eq. 6.7 and the lens models of OpenCV. The points' batch broadcasts with the
        cameras'. Gradients stay finite for points behind the camera (they are zero)."""
        x, y, depth = self.to_camera(points).unbind(-1)
        in_front = depth > 1e-6
        safe = torch.where(in_front, depth, 1.0)
        flat = torch.stack(
            [torch.where(in_front, x, 0.0) / safe, torch.where(in_front, y, 0.0) / safe], dim=-1
        )
        pixels = self._pixels(self._distort(flat))
        return torch.where(in_front[..., None], pixels, torch.nan)

    def normalise(self, pixels: Float[Tensor, "*#points joints 2"]) -> Float[Tensor, "*#out joints 2"]:
        """Distorted pixels to the undistorted plane at depth one (x/z, y/z; no unit)."""
        return self._undistort(pixels)[0]

    def undistort(
        self, pixels: Float[Tensor, "*#points joints 2"]
    ) -> tuple[Float[Tensor, "*#out joints 2"], Float[Tensor, "*#out joints"]]:
        """Pixels as a lens without distortion and the same K would have seen them, and the residual.

        The residual (pixels) is the distance between the re-distorted answer and the input: the inverse has
        no closed form and is found by Newton's method. Large values (> 0.1) mean that the
        lens model does not reach this pixel, and the answer is meaningless there."""
        flat, residual = self._undistort(pixels)
        return self._pixels(flat), residual

    def rays(
        self, pixels: Float[Tensor, "*#points joints 2"]
    ) -> tuple[Float[Tensor, "*#out joints 3"], Float[Tensor, "*#out joints 3"]]:
        """Origin (metres) and unit direction, both in the world frame, of the rays through pixels."""
        flat = self.normalise(pixels)
        direction = torch.cat([flat, torch.ones_like(flat[..., :1])], dim=-1) @ self.rotation
        direction = direction / direction.norm(dim=-1, keepdim=True)
        return self.centres[..., None, :].expand_as(direction), direction

    def undistorted(
        self, pixels: Float[Tensor, "*#points joints 2"]
    ) -> tuple["Cameras", Float[Tensor, "*#out joints 2"]]:
        """The same cameras without distortion, and the pixels that those would have seen.

        For what needs straight lines, such as epipolar geometry, or to undistort once what is triangulated many
        times: of a perfect lens nothing is computed.

        Args:
            pixels: raw (distorted); their batch broadcasts with the cameras'. Not finite: not seen.

        Returns:
            Cameras, and pixels: NaN where they were not finite, and meaningless where the residual of `undistort` is
            large. Where no lens is distorted both are what was given."""
        if not self.is_distorted:
            return self, pixels
        seen = pixels.isfinite().all(dim=-1, keepdim=True)
        straight = self.undistort(torch.where(seen, pixels, 0.0))[0]
        return self.without_distortion(), torch.where(seen, straight, torch.nan)

    # --- image plane -----------------------------------------------------------------------------

    def without_distortion(self) -> "Cameras":
        """The same cameras without distortion: for pixels that went through `undistort`."""
        return replace(
            self, distortion=torch.zeros_like(self.distortion), fisheye=torch.zeros_like(self.fisheye)
        )

    def crop(self, left_top: Float[Tensor, "*#batch 2"], size: Float[Tensor, "*#batch 2"]) -> "Cameras":
        """The cameras of image regions that begin at pixel `left_top` and are `size` (w, h) large."""
        intrinsics = self.intrinsics.clone()
        intrinsics[..., :2, 2] -= left_top
        return replace(self, intrinsics=intrinsics, size=size.expand_as(self.size).clone())

    def resize(self, size: Float[Tensor, "*#batch 2"]) -> "Cameras":
        """The cameras of images resized to `size` (w, h).

        Pixel centres are at whole numbers, hence c' = (c + ½) s − ½."""
        scale = size / self.size
        intrinsics = self.intrinsics.clone()
        intrinsics[..., 0, :2] *= scale[..., 0, None]
        intrinsics[..., 1, 1] *= scale[..., 1]
        intrinsics[..., :2, 2] = (self.principal_point + 0.5) * scale - 0.5
        return replace(self, intrinsics=intrinsics, size=size.expand_as(self.size).clone())

    def rotate(self, quarter_turns: int) -> "Cameras":
        """The cameras of images turned clockwise by quarter turns, as a phone's rotation flag does.

        Raises ValueError for cameras with distortion (undistort first) or skew."""
        if bool((self.distortion != 0).any()):
            raise InputError(
                "Cameras.rotate: these cameras have distortion, and tangential distortion does not turn with "
                "the image in this model. Undistort the pixels and use `without_distortion()` first."
            )
        if bool((self.intrinsics[..., 0, 1] != 0).any()):
            raise InputError(
                "Cameras.rotate: these cameras have skew (intrinsics[0, 1]), and a turned image of a skewed camera "
                "has no upper triangular K. Set the skew to zero if it is small, or rotate the pixels instead."
            )
        cameras = self
        for _ in range(quarter_turns % 4):
            cameras = cameras._rotated_clockwise()
        return cameras

    def moved(self, world_from_new: Float[Tensor, "3 4"], scale: float = 1.0) -> "Cameras":
        """The same cameras in a new world: X_old = scale · (R X_new) + t, translations in new units.

        `world_from_new` holds R | t with t in old units; `scale` is old units per new unit."""
        old_from_new, shift = world_from_new[:, :3], world_from_new[:, 3]
        rotation = self.rotation @ old_from_new
        translation = (self.translation + self.rotation @ shift) / scale
        return replace(self, cam_from_world=torch.cat([rotation, translation[..., None]], dim=-1))

    # --- inside ----------------------------------------------------------------------------------

    def _each(self, change) -> "Cameras":  # type: ignore[no-untyped-def]
        return self._each_with(change, [])

    def _each_with(self, change, others: list["Cameras"]) -> "Cameras":  # type: ignore[no-untyped-def]
        return Cameras(*(change(getattr(self, n), *(getattr(o, n) for o in others)) for n in _FIELDS))

    def _pixels(self, flat: Shaped[Tensor, "*#points joints 2"]) -> Tensor:
        return flat @ self.intrinsics[..., :2, :2].mT + self.principal_point[..., None, :]

    def _distort(self, flat: Tensor) -> Tensor:
        """Where the lens puts the undistorted point `flat` (both on the plane at depth one)."""
        if not self.is_distorted:
            return flat
        return torch.stack(distort(flat[..., 0], flat[..., 1], self.distortion, self.fisheye), dim=-1)

    def _undistort(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The undistorted point on the plane at depth one; and the residual in pixels."""
        target = _solve_upper(self.intrinsics[..., None, :2, :2], pixels - self.principal_point[..., None, :])
        if not self.is_distorted:
            return target, torch.zeros_like(target[..., 0])
        x, y = target.unbind(-1)
        flat = torch.stack(undistort(x, y, self.distortion, self.fisheye), dim=-1)
        residual = (self._pixels(self._distort(flat)) - pixels).norm(dim=-1)
        return flat, residual

    def _rotated_clockwise(self) -> "Cameras":
        # the new x axis is the old -y, the new y the old x: (u', v') = (height - 1 - v, u)
        width, height = self.size.unbind(-1)
        fx, fy = self.focal.unbind(-1)
        cx, cy = self.principal_point.unbind(-1)
        zero, one = torch.zeros_like(fx), torch.ones_like(fx)
        intrinsics = torch.stack([fy, zero, height - 1 - cy, zero, fx, cx, zero, zero, one], -1)
        clockwise = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).to(self.cam_from_world)
        return replace(
            self,
            intrinsics=intrinsics.unflatten(-1, (3, 3)),
            cam_from_world=clockwise @ self.cam_from_world,
            size=torch.stack([height, width], dim=-1),
        )


def _solve_upper(matrix: Tensor, vector: Tensor) -> Tensor:
    """Solve an upper triangular 2×2 system per point."""
    y = vector[..., 1] / matrix[..., 1, 1]
    x = (vector[..., 0] - matrix[..., 0, 1] * y) / matrix[..., 0, 0]
    return torch.stack([x, y], dim=-1)
