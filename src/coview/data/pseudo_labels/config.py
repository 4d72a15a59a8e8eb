"""Settings of pseudo-labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coview.errors import InputError
from coview.geometry.triangulation.inlier_threshold import check_settings


@dataclass(frozen=True)
class PseudoConfig:
    """How pseudo-labels are made."""

    # where the cameras stand. given: as the data say. people: ours, `self_calibrate` and an adult's stature.
    # epipolar: as in [Kocabas19], neighbouring pairs of cameras in a chain, no adjustment. none: no labels are made
    cameras: Literal["none", "given", "epipolar", "people"] = "people"
    # how joints become points. robust: views that agree, with covariance. pairs: as in [Kocabas19], every
    # neighbouring pair optimally, then the vector median. None: pairs where cameras are epipolar, else robust
    triangulation: Literal["robust", "pairs"] | None = None
    # run folder of a 2D method that sees the joints; None: the data's own
    detector: Path | None = None
    # 2D joints of less confidence are left out
    min_confidence: float = 0.3
    # pixels between a poor joint and a wrong one; None: from the data
    threshold: float | None = None
    # Gaussians that describe the poses, at most: what each joint owes to the others (`pose_prior`); 0: nothing.
    # Only for robust triangulation, which knows how sure it is
    prior: int = 10
    # instants of a rig that its cameras are found from, at most
    frames: int = 300
    seed: int = 0

    @property
    def method(self) -> Literal["robust", "pairs"]:
        """The triangulation that is used."""
        return self.triangulation or ("pairs" if self.cameras == "epipolar" else "robust")

    def __post_init__(self) -> None:
        check_settings(self.min_confidence, self.threshold)
        if self.prior < 0:
            raise InputError(f"PseudoConfig: prior counts Gaussians, 0 or more, got {self.prior}.")
        if self.frames < 1:
            raise InputError(
                f"PseudoConfig: frames must be at least 1, got {self.frames}: no camera can be found from nothing."
            )
