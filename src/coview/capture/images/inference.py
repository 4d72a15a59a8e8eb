"""Inference over the frames of a session with a method that finds joints in images, a few frames at a time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.images.crops import Crops, stream_crops
from coview.capture.images.model import ImageModel
from coview.capture.images.person_boxes import Boxes
from coview.capture.reconstruction.reconstruct import NothingReconstructedError
from coview.errors import InputError
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session
from coview.methods.shared.base import WorldPose
from coview.progress import progress
from coview.sample import MultiView

# seconds between savings of unfinished work
SAVE_SECONDS = 30.0
# key in the provenance of unfinished work
_DONE = "frames_done"


@dataclass(frozen=True)
class ImageInference:
    """Inference of a model over the videos of a session: everything that the frames have in common."""

    # the session
    session: Session
    # the trained model
    model: ImageModel
    # calibrated cameras, views
    cameras: Cameras
    # one per view
    videos: tuple[Path, ...]
    # where the person is in every frame and view
    boxes: Boxes
    # which of its video's pictures belongs to a frame; -1: none
    pictures: Int[Tensor, "frames views"]
    # root joint in the world, metres; None: the method finds it
    roots: Float[Tensor, "frames 3"] | None
    # provenance; unfinished work with other settings is not continued
    settings: dict[str, str]
    # where work is kept until all frames are done
    unfinished: Path
    # frames in memory at once
    at_once: int
    # where the model runs, in torch's words
    device: str

    @torch.no_grad()
    def done(self, *, fresh: bool) -> Poses3D:
        """Find the joints of all frames.

        Args:
            fresh: Start anew instead of where an earlier, interrupted try got to.

        Returns:
            Joints as the method finds them, metres, NaN in frames that could not be examined.

        Raises:
            NothingReconstructedError: Where no frame can be examined, or not one joint was found.
        """
        frames = self._frames()
        poses = (None if fresh else load_if_current(self.unfinished, self.settings)) or self._nothing()
        first = int(poses.provenance.get(_DONE, "0"))
        rest = [frame for frame in frames if frame >= first]
        self.model.method.to(self.device)
        saved, points, inliers = time.monotonic(), poses.points, poses.inliers
        assert inliers is not None
        crops = stream_crops(
            self.videos,
            self.cameras,
            self.boxes,
            self.model.size,
            frames=rest,
            pictures=self.pictures,
            at_once=self.at_once,
            released_numerics=self.model.released_crops,
        )
        total = -(-len(rest) // self.at_once)
        for portion in progress(crops, total=total, what=self.model.kind):
            for rows, views, found in self._found(portion):
                index = torch.tensor(portion.frames)[rows]
                points[index] = found
                inliers[index[:, None], views] = found.isfinite().all(dim=-1)[:, None]
            if time.monotonic() - saved > SAVE_SECONDS:
                self._keep(poses, portion.frames[-1] + 1)
                saved = time.monotonic()
        if not bool(points.isfinite().all(dim=-1).any()):
            raise NothingReconstructedError(
                f"session '{self.session.name}': {self.model.name} found not one joint in {len(frames)} frames with "
                f"boxes. Its run {self.model.weights} may not be trained; look at its evaluation."
            )
        return poses

    def _frames(self) -> list[int]:
        """Those that can be looked at at all."""
        enough = self.boxes.present.sum(dim=-1) >= self._fewest
        if self.roots is not None:
            enough = enough & self.roots.isfinite().all(dim=-1)
        frames: list[int] = enough.nonzero()[:, 0].tolist()
        if not frames:
            shares = self.boxes.present.float().mean(dim=0).tolist()
            boxes = ", ".join(
                f"{name}: {share:.0%}" for name, share in zip(self.session.camera_names, shares, strict=True)
            )
            root = "" if self.roots is None else " while the root joint is triangulated"
            raise NothingReconstructedError(
                f"session '{self.session.name}': in no frame do {self._fewest} cameras see the person{root}. Frames "
                f"with a box around 2D joints per camera: {boxes}. Look at the detections, or lower --min-confidence."
            )
        return frames

    @property
    def _fewest(self) -> int:
        return 2 if self.roots is None else 1

    def _found(self, crops: Crops) -> Iterator[tuple[Tensor, Tensor, Float[Tensor, "instants joints 3"]]]:
        """Which of the portion's frames, from which views, and their joints; frames of equal views together."""
        patterns, which = crops.present.unique(dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            views, rows = pattern.nonzero()[:, 0], (which == number).nonzero()[:, 0]
            # a video ended early
            if len(views) < self._fewest:
                continue
            batch = MultiView(
                self.model.skeleton,
                images=crops.images[rows][:, views].contiguous(),
                cameras=crops.cameras[rows][:, views].to(torch.float32),
                **self._told(torch.tensor(crops.frames)[rows]),
            )
            predicted = self.model.method(batch.only(self.model.method.inputs).to(self.device))
            if not isinstance(predicted, WorldPose):
                raise InputError(
                    f"{self.model.weights} is a run of {self.model.name}, which finds a pose per camera and none "
                    f"in the world. Reconstruct with an algebraic or volumetric model, or from the 2D detections."
                )
            yield rows, views, predicted.joints3d.float().cpu()

    def _told(self, index: Tensor) -> dict[str, Any]:
        """What a method is told of the root: a point, and a pose in which it is the one known joint."""
        if self.roots is None:
            return {}
        roots = self.roots[index]
        joints = torch.full((len(index), len(self.model.skeleton), 3), torch.nan)
        joints[:, self.model.skeleton.root_index] = roots
        return {"base_point": roots, "joints3d": joints}

    def _nothing(self) -> Poses3D:
        frames, joints = len(self.boxes.side), len(self.model.skeleton)
        return Poses3D(
            points=torch.full((frames, joints, 3), torch.nan),
            covariance=None,
            inliers=torch.zeros(frames, len(self.videos), joints, dtype=torch.bool),
            residuals=None,
            fps=self.session.fps,
            skeleton=self.model.skeleton,
            provenance=self.settings,
        )

    def _keep(self, poses: Poses3D, until: int) -> None:
        replace(poses, provenance=self.settings | {_DONE: str(until)}).save(self.unfinished)


def load_if_current(path: Path, settings: dict[str, str]) -> Poses3D | None:
    """Load poses if they were made from the same input in the same way.

    Args:
        path: File of 3D joints.
        settings: Entries that its provenance must hold.

    Returns:
        The poses; None where there is no file, or it was made otherwise.
    """
    if not path.is_file():
        return None
    poses = Poses3D.load(path)
    return poses if settings.items() <= poses.provenance.items() else None
