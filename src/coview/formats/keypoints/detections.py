"""2D detections of all cameras, and our own npz files of them, one per camera.

In memory an absent joint is NaN with confidence 0, whatever zero or blank a file used for it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError, MissingFileError
from coview.formats.io.atomic import replacing
from coview.formats.io.damage import reader
from coview.formats.io.untrusted import read_npz
from coview.formats.keypoints.single_person_tracker import follow


@dataclass(frozen=True)
class Detections:
    """2D joints of all people in all views and frames; the order of people means nothing."""

    # pixels; NaN: not seen
    joints: Float[Tensor, "views frames people joints 2"]
    # in [0, 1]; 0: not seen
    confidence: Float[Tensor, "views frames people joints"]

    @staticmethod
    def make(points: Float[Tensor, "views frames people joints 3"]) -> "Detections":
        """Detections from x, y, confidence as detectors write them.

        A joint is absent where a value is NaN or infinite, where the confidence is 0 or less, or where x and y are both
        exactly 0 (as OpenPose writes it).

        Args:
            points: Shape (views, frames, people, joints, 3): x, y in pixels, confidence.

        Returns:
            The detections, float32; confidence is clipped to [0, 1].
        """
        points = points.to(torch.float32)
        seen = points.isfinite().all(dim=-1) & (points[..., 2] > 0) & (points[..., :2] != 0).any(dim=-1)
        joints = torch.where(seen[..., None], points[..., :2], torch.nan)
        return Detections(joints, torch.where(seen, points[..., 2].clamp(0, 1), 0.0))

    @property
    def points(self) -> Float[Tensor, "views frames people joints 3"]:
        """x, y (pixels), confidence, as written: shape (views, frames, people, joints, 3); NaN where absent."""
        confidence = torch.where(self.confidence > 0, self.confidence, torch.nan)
        return torch.cat([self.joints, confidence[..., None]], dim=-1)

    def single(
        self,
    ) -> tuple[Float[Tensor, "views frames joints 2"], Float[Tensor, "views frames joints"]]:
        """One person per view, tracked over time.

        Where a view has several people: the person with the greatest confidence × size over the recording, then the
        nearest one from frame to frame. Views are tracked independently, so two views may follow different people.

        Returns:
            Pixels of shape (views, frames, joints, 2), NaN where absent, and confidence of shape (views, frames,
            joints).
        """
        return self.picked(
            torch.stack([follow(j, c) for j, c in zip(self.joints, self.confidence, strict=True)])
        )

    def picked(
        self, chosen: Int[Tensor, "views frames"]
    ) -> tuple[Float[Tensor, "views frames joints 2"], Float[Tensor, "views frames joints"]]:
        """One person per view and frame, by index among the people.

        Args:
            chosen: Shape (views, frames): index of the person; below 0: absent.

        Returns:
            Pixels of shape (views, frames, joints, 2), NaN where absent, and confidence of shape (views, frames,
            joints).
        """
        found = chosen >= 0
        index = chosen.clamp(min=0)[..., None, None]
        confidence = self.confidence.gather(2, index.expand(*index.shape[:3], self.joints.shape[3]))[:, :, 0]
        index = index[..., None].expand(*index.shape[:3], *self.joints.shape[3:])
        joints = self.joints.gather(2, index)[:, :, 0]
        return (
            torch.where(found[..., None, None], joints, torch.nan),
            torch.where(found[..., None], confidence, 0.0),
        )


def write_detections(folder: Path, names: tuple[str, ...], detections: Detections) -> None:
    """Write one `<camera>.npz` per view with the array `joints` of shape (frames, people, joints, 3), float32.

    Args:
        folder: The folder; made if need be.
        names: Names of the cameras, in the order of the views.
        detections: The detections.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, points in zip(names, detections.points, strict=True):
        with replacing(folder / f"{name}.npz") as temporary:
            np.savez_compressed(temporary, joints=points.numpy().astype(np.float32))


def read_detections(folder: Path, names: tuple[str, ...]) -> Detections:
    """Read the detections of some cameras from a folder that `write_detections` wrote.

    Args:
        folder: The folder.
        names: Names of the cameras, which gives the order of the views.

    Returns:
        The detections; views with fewer people are padded as absent.

    Raises:
        FileNotFoundError: A camera has no file.
        ValueError: A file is damaged, or the cameras have different numbers of frames or joints.
    """
    views = [_read_view(folder / f"{name}.npz", name) for name in names]
    if not views:
        raise InputError(f"no cameras to read from {folder}: the session names none.")
    shapes = {name: (view.shape[0], view.shape[2]) for name, view in zip(names, views, strict=True)}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name}: {f} frames of {j} joints" for name, (f, j) in shapes.items())
        raise InputError(f"{folder}: the cameras do not fit together: {listed}. Import the recording again.")
    return Detections.make(stack_views(views))


def stack_views(views: list[Float[Tensor, "_ _ joints 3"]]) -> Float[Tensor, "views frames people joints 3"]:
    """Views with equally many joints as one tensor.

    Args:
        views: Per view, shape (frames, people, joints, 3).

    Returns:
        Shape (views, frames, people, joints, 3); fewer frames or people are padded with NaN.
    """
    frames = max(view.shape[0] for view in views)
    people = max(1, *(view.shape[1] for view in views), 1)
    stacked = views[0].new_full((len(views), frames, people, *views[0].shape[2:]), torch.nan)
    for row, view in zip(stacked, views, strict=True):
        row[: view.shape[0], : view.shape[1]] = view
    return stacked


@reader("2D joints of one camera")
def _read_view(file: Path, name: str) -> Float[Tensor, "frames people joints 3"]:
    if not file.is_file():
        raise MissingFileError(
            f"camera '{name}' has no 2D joints: {file} is not there. Import the recording again."
        )
    arrays = read_npz(file)
    joints = arrays.get("joints")
    if joints is None or joints.ndim != 4 or joints.shape[-1] != 3 or joints.dtype.kind != "f":
        found = {key: (value.shape, str(value.dtype)) for key, value in arrays.items()}
        raise InputError(
            f"{file}: needs a float array 'joints' of shape (frames, people, joints, 3), found {found}."
        )
    return torch.from_numpy(np.ascontiguousarray(joints, dtype=np.float32))
