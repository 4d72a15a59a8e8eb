"""Small generated things to try coview with: nothing is downloaded."""

from pathlib import Path

from coview.api.arrays import Number
from coview.api.session import Session
from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.demo import generate
from coview.formats.calibration.calibration import Calibration, write_calibration


def example_cameras(views: int = 4) -> Cameras:
    """Make calibrated cameras on a circle: 5 m from the z axis, 1.5 m above the floor, looking at (0, 0, 1).

    Images of 1000 × 1000 pixels, focal length 1145 pixels, no distortion.

    Args:
        views: How many.

    Returns:
        The cameras, batch axis `views`.

    Raises:
        CoviewError: Fewer than one.

    Example:
        >>> import coview
        >>> cameras = coview.example_cameras(3)
        >>> cameras.centres.norm(dim=-1).mean().round(decimals=2)
        tensor(5.2200)
    """
    return ring_cameras(views)


def example_session(
    path: str | Path, *, minutes: Number = 0.25, calibrated: bool = False, seed: int = 0
) -> Session:
    """Generate a recording to try coview on: a moving person 1.75 m tall, seen by four cameras and a noisy detector.

    17 joints of h36m_17, 25 frames per second, no videos. Of the cameras the intrinsics are known, and where they
    stand is not. The same seed gives the same recording.

    Args:
        path: Folder to make.
        minutes: Length of the recording.
        calibrated: Give the session its true cameras.
        seed: Of motion and noise.

    Returns:
        The session.

    Raises:
        CoviewError: A length of which there is no frame.

    Example:
        >>> import coview
        >>> session = coview.example_session("walk")
        >>> session.camera_names, session.frames
        (('cam_1', 'cam_2', 'cam_3', 'cam_4'), 375)
    """
    truth = generate(Path(path), seed, float(minutes))
    session = Session.open(path)
    if calibrated:
        truth_calibration = Calibration(session.camera_names, truth.cameras, {"source": "generated"})
        write_calibration(truth_calibration, session.calibration_path)
    return session
