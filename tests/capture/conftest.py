"""Sessions whose videos show three joints as coloured dots, and a method that finds such dots."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.demo import generate
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import Session, SessionCamera
from coview.geometry.triangulation.undistorted import triangulate_undistorted
from coview.methods.shared.base import Method, MethodConfig, WorldPose
from coview.skeletons import H36M_17, Skeleton

NAMES = ("north", "east", "south", "west")
FRAMES, FPS = 12, 25.0
DOTS = Skeleton(
    "dots", ("pelvis", "head_top", "left_ankle"), (("pelvis", "head_top"),), "pelvis"
)  # red, green, blue
BARREL = torch.tensor([-0.25, 0.06, 0.002, -0.001, 0.0, 0.0, 0.0, 0.0])


def dot(size: tuple[int, int], at, sigma: float = 4.0) -> np.ndarray:
    """One channel with a round spot at pixel `at` (x, y)."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return 255 * np.exp(-((x - float(at[0])) ** 2 + (y - float(at[1])) ** 2) / (2 * sigma**2))


def write_film(path: Path, pictures: list[np.ndarray]) -> Path:
    """A video without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=int(FPS))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb24"
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def film_cameras(distorted: bool = True) -> Cameras:
    """Four around the person, wide enough for their lenses to matter; 480 × 400 pixels."""
    cameras = ring_cameras(4, start_angle=0.4, radius=3.2, focal=400.0, size=(480, 400))
    return replace(cameras, distortion=BARREL.expand(4, 8).clone()) if distorted else cameras


def film_session(
    path: Path, *, hidden: dict[int, range] | None = None, frames: int = FRAMES
) -> tuple[Session, torch.Tensor]:
    """A calibrated session with videos, exact detections, and the true joints.

    `hidden`: views, and the frames in which their detector sees nobody."""
    joints3d = random_motion(frames, fps=FPS, seed=3, kind="gait")
    joints3d = joints3d - joints3d[:1, :1] * torch.tensor([1.0, 1.0, 0.0])
    cameras = film_cameras()
    pixels = cameras.project(joints3d[:, None])
    confidence = torch.ones(pixels.shape[:-1])
    for view, missing in (hidden or {}).items():
        confidence[list(missing), view] = 0.0
    size = (480, 400)
    columns = [H36M_17.index(joint) for joint in DOTS.joints]
    path.mkdir(parents=True)
    for view, name in enumerate(NAMES):
        shown = pixels[:, view, columns]
        write_film(
            path / f"{name}.mov",
            [np.stack([dot(size, at) for at in three], -1).astype(np.uint8) for three in shown],
        )
    seen = torch.where(confidence[..., None] > 0, pixels, torch.nan).transpose(0, 1)[:, :, None]
    write_detections(path / "joints2d", NAMES, Detections(seen, confidence.transpose(0, 1)[:, :, None]))
    recorded = tuple(SessionCamera(name, size, path / f"{name}.mov", frames) for name in NAMES)
    session = Session(path, "dots", FPS, H36M_17, recorded)
    session.save()
    write_calibration(Calibration(NAMES, cameras.to(torch.float64)), session.calibration_path)
    return session, joints3d[:, columns]


@dataclass(frozen=True)
class DotConfig(MethodConfig):
    size: int = 128
    told: str = ""  # the field that tells the root
    released_numerics: bool = False

    def build(self, skeleton):
        return DotFinder(self, skeleton)


class DotFinder(Method[WorldPose]):
    """Brightness-weighted mean of every colour, triangulated; keeps what it was given."""

    def __init__(self, config, skeleton):
        super().__init__()
        self.config, self.batches = config, []
        self.offset = torch.nn.Parameter(torch.zeros(3))
        self.register_buffer("batches_seen", torch.tensor(0))  # without axes, as batch normalisation has one
        self.inputs = frozenset({"images", "cameras"}) | ({config.told} if config.told else frozenset())

    def forward(self, batch):
        self.batches.append(batch)
        images = batch.images
        axis = torch.arange(images.shape[-1], dtype=torch.float32)
        mass = images.sum(dim=(-2, -1))
        at = (
            torch.stack([(images.sum(-2) * axis).sum(-1), (images.sum(-1) * axis).sum(-1)], -1)
            / mass[..., None]
        )
        found = triangulate_undistorted(at, batch.cameras.pixels_from_world, (mass > 1).float())
        return WorldPose(joints3d=found + self.offset)

    def losses(self, predicted, batch):
        return {}


@pytest.fixture(scope="session")
def film():
    """The means to make such sessions."""
    return SimpleNamespace(
        session=film_session,
        cameras=film_cameras,
        dot=dot,
        write=write_film,
        DotConfig=DotConfig,
        DOTS=DOTS,
        NAMES=NAMES,
    )


@pytest.fixture
def generated(tmp_path):
    """A session of 2D joints, and its true cameras as a calibration."""
    truth = generate(tmp_path / "session", 0, minutes=0.1)
    session = Session.load(tmp_path / "session")
    return session, Calibration(session.camera_names, truth.cameras.to(torch.float64), {"file": "given"})
