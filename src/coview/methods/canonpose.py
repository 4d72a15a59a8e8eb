"""CanonPose: a monocular lifter taught by views whose cameras nobody knows. [Wandt21]

Every view alone predicts a pose in a frame shared by all views, and the rotation into its camera.
The pose of any view, turned into the camera of any other, must look like what that camera saw.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.methods.shared.lifted import LiftedPoses
from coview.methods.shared.lifting import LiftingConfig, LiftingMethod
from coview.sample import MultiView
from coview.skeletons import Skeleton


@dataclass(frozen=True)
class CanonPoseConfig(LiftingConfig):
    """Defaults are those of the paper and the authors' code [Wandt21]."""

    view_weight: float = 1.0  # of the pose of one view seen in another
    camera_weight: float = 0.1  # of relative rotations exchanged within a static rig; 0 for moving cameras

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.view_weight, self.camera_weight) < 0:
            raise InputError("CanonPoseConfig: view_weight and camera_weight must not be negative.")

    def build(self, skeleton: Skeleton) -> "CanonPose":
        return CanonPose(self, skeleton)


class CanonPose(LiftingMethod):
    """Losses of the paper over all pairs of views at once."""

    def __init__(self, config: CanonPoseConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.config = config
        # the mirror decision needs the image centre, the camera term the rigs; neither is a label
        read = {"image_size", "rig"} if config.camera_weight else {"image_size"}
        self.supervision = frozenset(read) - self.inputs

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """The paper's three terms, weighted; needs at least two views."""
        views = predicted.canonical.shape[-3]
        if views < 2:
            raise InputError(f"CanonPose learns from two or more views of one instant, got {views}.")
        rep, view = self.own_and_cross(predicted)
        terms = {"rep": rep, "view": self.config.view_weight * view}
        if self.config.camera_weight:
            terms["camera"] = self.config.camera_weight * self.exchanged_error(predicted, batch.rig)
        return terms
