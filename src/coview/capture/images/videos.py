"""The videos of a session, checked to be those that its 2D joints and its cameras belong to."""

from pathlib import Path

from coview.errors import InputError, MissingFileError
from coview.formats.io.video import VideoInfo, probe
from coview.formats.keypoints.view_joints import TOLERATED
from coview.formats.session.session import Session, SessionCamera


def session_videos(session: Session) -> tuple[Path, ...]:
    """The videos of a session, checked against its cameras.

    A video may be longer than the 2D joints (they may have been cut), hardly shorter.

    Args:
        session: The session.

    Returns:
        One video per camera, in order.

    Raises:
        InputError: Where a camera has no video, or it differs in size or length.
        MissingFileError: Where a video is not there any more.
    """
    without = [camera.name for camera in session.cameras if camera.video is None]
    if without:
        raise InputError(
            f"session {session.path}: no video is known of {', '.join(without)}, so there are no images to look at. "
            f"Import the recording again with its videos, or use --method detections."
        )
    videos = []
    for camera in session.cameras:
        assert camera.video is not None
        if not camera.video.is_file():
            raise MissingFileError(
                f"camera '{camera.name}': the video {camera.video} is not there any more. Put it back, or import "
                f"the recording again (--copy-videos keeps the videos inside the session)."
            )
        _check(camera, probe(camera.video))
        videos.append(camera.video)
    return tuple(videos)


def _check(camera: SessionCamera, info: VideoInfo) -> None:
    if camera.size is not None and info.size != camera.size:
        raise InputError(
            f"camera '{camera.name}': {camera.video} shows {info.size[0]}×{info.size[1]} pixels, and the session was "
            f"made of {camera.size[0]}×{camera.size[1]}. 2D joints and calibration would not fit; import again."
        )
    needed = camera.first_picture + camera.frames
    # by their time, fewer pictures can cover the same frames
    if info.frames < needed - TOLERATED and not camera.by_time:
        raise InputError(
            f"camera '{camera.name}': {camera.video} has {info.frames} frames and the session {camera.frames} frames "
            f"of 2D joints, up to its picture {needed - 1}. Frame n would not be the same instant; import again."
        )
