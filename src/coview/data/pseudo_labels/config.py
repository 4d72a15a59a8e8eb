"""Settings of pseudo-labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from coview.errors import InputError
from coview.geometry.triangulation.inlier_threshold import check_settings


@dataclass(frozen=True)
class PseudoConfig:
    """How pseudo-labels are made."""

    # source of the extrinsics. given: the data. people: self-calibration, scaled by an adult's stature. epipolar:
    # adjacent pairs of views, chained without adjustment, as in [Kocabas19]. none: no pseudo-labels
    cameras: Literal["none", "given", "epipolar", "people"] = "people"
    # robust: inlier views, with covariance. pairs: optimal two-view triangulation of adjacent views, then the vector
    # median, as in [Kocabas19]. None: pairs where cameras are epipolar, else robust
    triangulation: Literal["robust", "pairs"] | None = None
    # run folder of a 2D method that detects the joints; None: the data's own 2D joints
    detector: Path | None = None
    # 2D joints of less confidence are not used
    min_confidence: float = 0.3
    # inlier threshold in pixels; None: from the data
    threshold: float | None = None
    # number of Gaussians of the pose prior, at most, for robust triangulation; 0: no prior
    prior: int = 10
    # instants from which the cameras of a rig are found, at most
    frames: int = 300
    # of the robust search and of the pose prior
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
