"""Compares single-view poses, and the mean pose, with the multi-view reconstruction.

The reconstruction is no truth: it rests on the same 2D joints. It is what one camera would have to
find to be as good as all of them.
"""

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.session.session import Session
from coview.metrics.running import NMPJPE, NPCK, PMPJPE
from coview.skeletons import Skeleton, skeleton_map
from coview.training.evaluation.scoring import how_scored, known_somewhere

_CLEARLY = 0.6  # an error below this share of another is far smaller; ours: mirrored models lie near 0.3


@dataclass(frozen=True)
class Scores:
    """Means over joints and frames, by the rules of `metrics.joint_error`."""

    n_mpjpe_mm: float
    p_mpjpe_mm: float
    # percent
    n_pck_150: float

    def __str__(self) -> str:
        return (
            f"N-MPJPE {self.n_mpjpe_mm:.1f} mm, P-MPJPE {self.p_mpjpe_mm:.1f} mm, "
            f"N-PCK@150 {self.n_pck_150:.0f} %"
        )


@dataclass(frozen=True)
class Comparison:
    """One camera's poses against the reconstruction, in that camera's axes."""

    model: Scores
    # of one pose for all frames: the reconstruction's own mean in this camera's axes
    mean_pose: Scores
    # of the predicted poses with depth turned round
    mirrored_n_mpjpe_mm: float
    # with at least one joint known in both
    frames: int
    # joints that are known in no reconstructed frame
    unscored: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with poses that do not fit, in words; empty where they beat the mean pose."""
        model, mean = self.model, self.mean_pose
        said = []
        if self.mirrored_n_mpjpe_mm < _CLEARLY * model.n_mpjpe_mm:
            said.append(
                f"with depth turned round its poses would fit far better (N-MPJPE {self.mirrored_n_mpjpe_mm:.0f} "
                f"mm instead of {model.n_mpjpe_mm:.0f}), as if the model had learned the mirrored world."
            )
        if model.n_mpjpe_mm >= mean.n_mpjpe_mm:
            said.append(
                f"worse than the session's mean pose (N-MPJPE {model.n_mpjpe_mm:.0f} mm against "
                f"{mean.n_mpjpe_mm:.0f}, P-MPJPE {model.p_mpjpe_mm:.0f} mm against {mean.p_mpjpe_mm:.0f}). "
                f"Do not use these poses without looking at them."
            )
        elif model.p_mpjpe_mm >= mean.p_mpjpe_mm:
            said.append(
                f"better than the session's mean pose in N-MPJPE ({model.n_mpjpe_mm:.0f} mm against "
                f"{mean.n_mpjpe_mm:.0f}), worse in shape (P-MPJPE {model.p_mpjpe_mm:.0f} mm against "
                f"{mean.p_mpjpe_mm:.0f}): it finds the heading, and little of how the limbs move."
            )
        return tuple(said)

    def plain(self, skeleton: Skeleton) -> dict[str, object]:
        """The comparison as plain values for JSON, with the definitions of its numbers.

        Args:
            skeleton: Skeleton of the compared joints, for the definitions.

        Returns:
            Metrics, mean pose, definitions, unscored joints and warnings.
        """
        return {
            "metrics": asdict(self.model),
            "mean_pose": asdict(self.mean_pose),
            "mirrored_n_mpjpe_mm": self.mirrored_n_mpjpe_mm,
            "frames": self.frames,
            "reference": "the session's own multi-view reconstruction, not truth; camera axes",
            "definitions": how_scored(asdict(self.model), skeleton),
            "unscored_joints": list(self.unscored),
            "warnings": list(self.warnings),
        }


def reconstructed(
    session: Session, camera: str, skeleton: Skeleton
) -> tuple[Float[Tensor, "frames joints 3"] | None, str]:
    """The session's 3D joints as a single camera would predict them.

    Args:
        session: A session, calibrated and reconstructed if there is to be an answer.
        camera: Name of the camera.
        skeleton: Skeleton of the answer; joints that the reconstruction lacks are NaN.

    Returns:
        Joints (frames, joints, 3) in metres, root-centred, in the camera's axes, and ""; or None and the reason, where
        the session is not reconstructed, lacks the root joint, or the camera's extrinsics are not known.
    """
    if not session.poses3d_path.is_file():
        return None, "the session is not reconstructed, so there is nothing to compare with"
    rotation, why = camera_from_world(session, camera)
    if rotation is None:
        return None, why
    poses = session.poses3d()
    mapped = skeleton_map(poses.skeleton, skeleton, partial=True)
    if skeleton.root in mapped.absent:
        return None, f"the 3D joints of '{poses.skeleton.name}' do not give the root joint, {skeleton.root}"
    points = mapped.apply(poses.points.float())
    return (points - points[:, skeleton.root_index, None]) @ rotation.mT, ""


def camera_from_world(session: Session, camera: str) -> tuple[Float[Tensor, "3 3"] | None, str]:
    """Rotation from world to camera axes of one camera of a session.

    Args:
        session: The session.
        camera: Name of the camera.

    Returns:
        The rotation (3, 3) and ""; or None and the reason, where the extrinsics are not known.
    """
    if not session.calibration_path.is_file() or not (found := session.calibration()).has_extrinsics:
        return None, "it is not known where the cameras stand"
    return found.select((camera,)).cameras.rotation[0].float(), ""


def compare(
    points: Float[Tensor, "frames joints 3"],
    reference: Float[Tensor, "reconstructed joints 3"],  # as many frames
    skeleton: Skeleton,
) -> Comparison:
    """Score single-view poses and the mean pose against the multi-view reconstruction.

    The mean pose is the mean of `reference` over frames; it gets the gaps of the prediction, so that both are scored on
    the same joints. It knows the person's size and mean heading, which no model does: on a short recording of a person
    who hardly turns it is hard to beat.

    Args:
        points: Predicted poses of any scale, root-centred, in camera axes; NaN where not predicted.
        reference: Reconstructed poses in metres, root-centred, in the same axes; as many frames.
        skeleton: Skeleton of both.

    Returns:
        Scores of both, and the N-MPJPE of the prediction mirrored in depth.

    Raises:
        InputError: The shapes differ, or no joint is finite in both.
    """
    if points.shape != reference.shape:
        raise InputError(
            f"{len(points)} predicted frames of {points.shape[1]} joints cannot be compared with "
            f"{len(reference)} reconstructed ones of {reference.shape[1]}: run `coview predict` again."
        )
    valid = (points.isfinite() & reference.isfinite()).all(dim=-1)
    if not bool(valid.any()):
        raise InputError("no joint is known both from the one camera and in the reconstruction.")
    mean = reference.nanmean(dim=0).expand_as(reference)
    mean = torch.where(points.isfinite(), mean, torch.nan)
    turned = points * points.new_tensor([1.0, 1.0, -1.0])
    return Comparison(
        model=_scores(points, reference, skeleton),
        mean_pose=_scores(mean, reference, skeleton),
        mirrored_n_mpjpe_mm=_scores(turned, reference, skeleton).n_mpjpe_mm,
        frames=int(valid.any(dim=-1).sum()),
        unscored=tuple(
            joint
            for joint, scored in zip(skeleton.joints, known_somewhere(reference).tolist(), strict=True)
            if not scored
        ),
    )


def _scores(predicted: Tensor, reference: Tensor, skeleton: Skeleton) -> Scores:
    metrics = NMPJPE(skeleton.root_index), PMPJPE(), NPCK(skeleton.root_index, 150.0)
    for metric in metrics:
        metric.update(predicted, reference)
    return Scores(*(round(float(metric.compute()), 4) for metric in metrics))
