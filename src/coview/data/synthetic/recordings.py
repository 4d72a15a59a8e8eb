"""Synthetic recordings: a procedural person in a ring of cameras, and a simulated 2D detector."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.procedural_motion import Kind, random_motion
from coview.cameras import Cameras
from coview.data.base import DataConfig, InMemory, joined
from coview.errors import InputError
from coview.sample import MultiView
from coview.skeletons import H36M_17, Skeleton
from coview.threads import one_thread

# Standard deviation of human annotations of each joint, as a share of body size: the constants of COCO's keypoint
# evaluation [Lin14]; trunk points and the crown are ours. Only their ratios matter here.
_UNSURE = {
    **{"nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062},
    **{"hip": 0.107, "knee": 0.087, "ankle": 0.089, "pelvis": 0.09, "spine": 0.09, "head_top": 0.05},
}
_UNSURE_OTHERWISE = 0.08
_LEG_PARTS = ("hip", "knee", "ankle", "heel", "toe", "foot")


@dataclass(frozen=True)
class DetectorNoise:
    """Errors of a simulated 2D joint detector. Rates are shares in [0, 1]."""

    # root mean square error per coordinate over all joints, pixels. Each joint has its own share of it ([Lin14]: hips
    # are less precise than the nose), and each detection a random factor
    sigma: float = 4.0
    # share of detections far from the joint, independently in each view
    outlier_rate: float = 0.02
    # median distance of outliers, pixels; heavy-tailed
    outlier_px: float = 60.0
    # share of joints that are not detected
    missing_rate: float = 0.02
    # share of views of an instant with left and right arms, legs or both exchanged
    swap_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("sigma", "outlier_px"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise InputError(f"DetectorNoise: {name} is in pixels and cannot be negative, got {value}.")
        for name in ("outlier_rate", "missing_rate", "swap_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(
                    f"DetectorNoise: {name} is a share, 0 to 1 (not per cent), got {getattr(self, name)}."
                )


EXACT = DetectorNoise(sigma=0.0, outlier_rate=0.0, outlier_px=0.0, missing_rate=0.0, swap_rate=0.0)


def ring_cameras(
    views: int,
    *,
    radius: float = 5.0,
    height: float = 1.5,
    focal: float = 1145.0,
    size: tuple[int, int] = (1000, 1000),
    target: tuple[float, float, float] = (0.0, 0.0, 1.0),
    start_angle: float = 0.0,
) -> Cameras:
    """Cameras evenly spaced on a circle around the z axis that look at one point; no distortion.

    Args:
        views: number of cameras.
        radius: of the circle, metres.
        height: of the cameras, metres.
        focal: pixels.
        size: width and height of the images, pixels.
        target: point that the cameras look at, metres.
        start_angle: azimuth of the first camera, radians from x towards y.

    Raises:
        ValueError: no views, or a radius that is not positive."""
    if views < 1 or radius <= 0:
        raise InputError(
            f"ring_cameras: needs views ≥ 1 and radius > 0 m, got views={views}, radius={radius}."
        )
    angles = start_angle + torch.arange(views, dtype=torch.float64) * (2 * torch.pi / views)
    centres = torch.stack([radius * angles.cos(), radius * angles.sin(), torch.full_like(angles, height)], -1)
    forward = torch.nn.functional.normalize(torch.tensor(target).to(centres) - centres, dim=-1)
    right = torch.nn.functional.normalize(
        torch.stack([forward[:, 1], -forward[:, 0], 0 * angles], -1), dim=-1
    )
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2)
    translation = -(rotation @ centres[..., None])
    width, tall = size
    middle = ((width - 1) / 2, (tall - 1) / 2)
    intrinsics = torch.tensor([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1]])
    return Cameras.make(
        intrinsics.expand(views, 3, 3).clone(),
        torch.cat([rotation, translation], dim=-1).float(),
        torch.tensor([float(width), float(tall)]).expand(views, 2).clone(),
    )


@one_thread()
def detect(
    joints3d: Float[Tensor, "frames joints 3"],
    cameras: Cameras,
    noise: DetectorNoise = EXACT,
    seed: int = 0,
    *,
    skeleton: Skeleton = H36M_17,
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """Simulated 2D detections in every view.

    Confidence correlates with the error as a detector's does. Unlike a real detector's, errors of different frames are
    independent. The same seed gives the same detections.

    Args:
        joints3d: metres, world.
        cameras: of the views.
        noise: of the detector.
        seed: of the noise.
        skeleton: of the joints.

    Returns:
        Pixels and confidences in [0, 1]. Joints that are missed, behind a camera or outside its image are NaN with
        confidence 0; all others lie inside the image.

    Raises:
        ValueError: the number of joints is not that of the skeleton."""
    if joints3d.shape[-2] != len(skeleton):
        raise InputError(
            f"detect: {joints3d.shape[-2]} joints given, but skeleton '{skeleton.name}' has {len(skeleton)}. "
            f"Pass the skeleton of these joints."
        )
    generator = torch.Generator().manual_seed(seed)
    pixels = cameras.project(joints3d[:, None])
    limit = cameras.size[:, None] - 0.5
    seen = ((pixels >= -0.5) & (pixels <= limit)).all(dim=-1)
    pixels = torch.where(seen[..., None], pixels, torch.nan)
    pixels, confidence = _blurred(pixels, noise.sigma, skeleton, generator)
    pixels, confidence = _strayed(pixels, confidence, noise, generator)
    pixels, confidence = _swapped(pixels, confidence, noise.swap_rate, skeleton, generator)
    missing = torch.rand(seen.shape, generator=generator) < noise.missing_rate
    seen = pixels.isfinite().all(dim=-1) & ~missing
    inside = torch.minimum(pixels.clamp_min(-0.5), limit)
    return torch.where(seen[..., None], inside, torch.nan), torch.where(seen, confidence, 0.0)


def _blurred(
    pixels: Tensor, sigma: float, skeleton: Skeleton, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Gaussian errors of joint-dependent size, and confidences that fall with the size."""
    unsure = torch.tensor([_unsureness(joint) for joint in skeleton.joints])
    share = unsure / unsure.square().mean().sqrt()
    # standard deviation of the logarithm of the factor `luck`, whose mean square is one
    log_std = 0.4
    luck = (log_std * torch.randn(pixels.shape[:-1], generator=generator) - log_std**2).exp()
    error = sigma * (share * luck)[..., None] * torch.randn(pixels.shape, generator=generator)
    variation = 0.05 * torch.randn(pixels.shape[:-1], generator=generator)
    confidence = (1 / (1 + 0.15 * (share * luck).square()) + variation).clamp(0.05, 1.0)
    return pixels + error, confidence if sigma > 0 else torch.ones_like(confidence)


def _strayed(
    pixels: Tensor, confidence: Tensor, noise: DetectorNoise, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Outliers: a heavy-tailed (Pareto) displacement in a random direction, mostly with low confidence."""
    chance, angle, depth, variation = torch.rand(4, *confidence.shape, generator=generator).unbind(0)
    out = chance < noise.outlier_rate
    # median: outlier_px
    distance = noise.outlier_px * (1 - depth).clamp_min(1e-3).pow(-0.5) / math.sqrt(2)
    away = distance[..., None] * torch.stack([(2 * torch.pi * angle).cos(), (2 * torch.pi * angle).sin()], -1)
    return torch.where(out[..., None], pixels + away, pixels), torch.where(
        out, confidence * (0.1 + 0.7 * variation), confidence
    )


def _swapped(
    pixels: Tensor, confidence: Tensor, rate: float, skeleton: Skeleton, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Left and right exchanged in some views: legs, arms (with the face) or both, equally often."""
    chance, which = torch.rand(2, *confidence.shape[:2], generator=generator).unbind(0)
    leg = torch.tensor([any(part in joint for part in _LEG_PARTS) for joint in skeleton.joints])
    part = torch.where(leg, which[..., None] < 2 / 3, which[..., None] > 1 / 3)
    swap = (chance < rate)[..., None] & part
    mirror = list(skeleton.mirror)
    swapped = torch.where(swap[..., None], pixels[..., mirror, :], pixels)
    return swapped, torch.where(swap, 0.8 * confidence[..., mirror], confidence)


def _unsureness(joint: str) -> float:
    return next((value for name, value in _UNSURE.items() if name in joint), _UNSURE_OTHERWISE)


# --- a data set ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SyntheticConfig(DataConfig):
    """Procedural people in a ring of cameras, every instant with its truth. No download.

    Training and validation people differ; the cameras are the same."""

    # training instants
    instants: int = 4000
    # validation instants
    validation_instants: int = 400
    # cameras on the ring
    views: int = 4
    # people that the training instants are shared among
    subjects: int = 8
    # kind of motion
    kind: Kind = "mixed"
    # instants per second; closer ones add little
    fps: float = 10.0
    # errors of the simulated detector
    noise: DetectorNoise = EXACT
    # skeleton of the joints
    skeleton: Skeleton = H36M_17
    # least stature, metres
    shortest: float = 1.55
    # largest stature, metres
    tallest: float = 1.95
    # of the ring, metres
    radius: float = 5.0
    # of the cameras, metres
    height: float = 1.5
    # focal length, pixels
    focal: float = 1145.0
    # width and height of the images, pixels
    size: tuple[int, int] = (1000, 1000)
    # azimuth of the first camera, radians
    start_angle: float = 0.0
    # of motion and noise
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.instants, self.validation_instants, self.views, self.subjects) < 1:
            raise InputError(
                "SyntheticConfig: instants, validation_instants, views and subjects are at least 1, got "
                f"{self.instants}, {self.validation_instants}, {self.views}, {self.subjects}."
            )
        if self.subjects > self.instants:
            raise InputError(
                f"SyntheticConfig: {self.subjects} subjects cannot share {self.instants} instants."
            )
        if not 0.5 <= self.shortest <= self.tallest <= 2.5:
            raise InputError(
                "SyntheticConfig: shortest and tallest are statures in metres, 0.5 to 2.5 and in this order, "
                f"got {self.shortest} and {self.tallest}."
            )

    @property
    def provides(self) -> frozenset[str]:
        """Fields of every instant."""
        provided = {"cameras", "joints2d", "confidence", "image_size", "joints3d", "rig"}
        return frozenset(provided) | {"subject", "sequence", "time"}

    def cameras(self) -> Cameras:
        """The ring of cameras."""
        return ring_cameras(
            self.views,
            radius=self.radius,
            height=self.height,
            focal=self.focal,
            size=self.size,
            start_angle=self.start_angle,
        )

    def train(self) -> InMemory:
        """The instants of the training people."""
        shares = [len(part) for part in torch.arange(self.instants).tensor_split(self.subjects)]
        return InMemory(joined([self._person(frames, who) for who, frames in enumerate(shares)]))

    def validation(self) -> InMemory:
        """The instants of another person."""
        return InMemory(self._person(self.validation_instants, self.subjects))

    def _person(self, frames: int, who: int) -> MultiView:
        """One subject's take. The subject's number seeds the motion, so that no two subjects share one."""
        seed = self.seed * 100_003 + who
        share = torch.rand((), generator=torch.Generator().manual_seed(seed)).item()
        stature = self.shortest + share * (self.tallest - self.shortest)
        joints3d = random_motion(
            frames, fps=self.fps, seed=seed, kind=self.kind, skeleton=self.skeleton, stature=stature
        )
        cameras = self.cameras()
        joints2d, confidence = detect(joints3d, cameras, self.noise, seed, skeleton=self.skeleton)
        return MultiView(
            self.skeleton,
            cameras=cameras.expand(frames, self.views),
            joints2d=joints2d,
            confidence=confidence,
            image_size=cameras.size.expand(frames, self.views, 2),
            joints3d=joints3d,
            rig=torch.zeros(frames, dtype=torch.long),
            subject=torch.full((frames,), who),
            sequence=torch.full((frames,), who),
            time=torch.arange(frames) / self.fps,
        )
