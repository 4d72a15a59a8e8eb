"""A session: one recording by several cameras, as a folder with a readable `session.toml`.

`files.SESSION_FILES` lists what the folder may hold, and which stage makes it. Videos stay where they are and are
only referred to.
"""

import hashlib
import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError, MissingFileError
from coview.formats.calibration.calibration import Calibration, calibration_for, read_calibration
from coview.formats.io.atomic import write_text
from coview.formats.io.damage import reading
from coview.formats.io.text import read_toml
from coview.formats.io.toml import dump_toml
from coview.formats.keypoints.detections import Detections, read_detections
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.files import Stage, remove_shown
from coview.formats.session.people import EDITS, People, read_people
from coview.formats.session.session_camera import SessionCamera as SessionCamera
from coview.formats.session.session_camera import camera_from_table, camera_to_table
from coview.formats.session.skeleton_table import skeleton_from_table, skeleton_to_table
from coview.skeletons import Skeleton

# version of session.toml's layout; raised when an older coview could no longer read it
FORMAT = 1
FILE = "session.toml"
CALIBRATION_FILE = "calibration.toml"
INTRINSICS_FILE = "lenses.toml"
BOARD_FOLDER = "board2d"
# relative difference up to which two frame rates are one number
_SAME_RATE = 1e-6


class StaleError(InputError):
    """A result was made from data that changed since; the message says what to run."""


@dataclass(frozen=True)
class Session:
    """A recording by several cameras; immutable. Files are read when asked for."""

    # its folder
    path: Path
    # exports are named after it
    name: str
    # frames per second, the same for all cameras
    fps: float
    # of the 2D joints
    skeleton: Skeleton
    # order of the views
    cameras: tuple[SessionCamera, ...]
    # topic: where it came from, in words
    provenance: dict[str, str] = field(default_factory=dict)
    # number of its first frame, counted from 0 at the beginning of the recording
    first_frame: int = 0

    def __post_init__(self) -> None:
        if self.name in ("", "..") or Path(self.name).name != self.name or "\\" in self.name:
            raise InputError(f"session name '{self.name}' cannot be a file name: exports are named after it.")
        lowered = [camera.name.casefold() for camera in self.cameras]
        doubled = sorted({name for name in lowered if lowered.count(name) > 1})
        if doubled:
            raise InputError(
                f"session '{self.name}': two cameras are named {', '.join(doubled)} (upper and lower case "
                f"count as the same, because some disks do so too). Give each camera its own name."
            )
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(
                f"session '{self.name}': fps must be above 0 and finite, got {self.fps}. Pass --fps with the "
                f"frames per second of the videos."
            )

    @staticmethod
    def load(path: Path) -> "Session":
        """Read the session in a folder.

        Args:
            path: The folder that holds `session.toml`.

        Returns:
            The session.

        Raises:
            FileNotFoundError: There is no `session.toml`.
            ValueError: It is damaged, or of a newer coview.
        """
        path = Path(path)
        file = path / FILE
        if not file.is_file():
            raise MissingFileError(
                f"no session at {path}: {file.name} is not there. Make one with "
                f"`coview import <recording folder> {path}`."
            )
        with reading(file, "the table of a session"):
            return _from_table(read_toml(file), path)

    def save(self, folder: Path | None = None) -> None:
        """Write `session.toml`, atomically; the folder is made if need be.

        Args:
            folder: Where to write while the session is prepared elsewhere for `path`. Default: `path`.
        """
        write_text((folder or self.path) / FILE, dump_toml(_to_table(self)))

    def with_provenance(self, **entries: str) -> "Session":
        """The same session with some provenance added or replaced.

        Args:
            **entries: Topic: where it came from, in words.

        Returns:
            The session; nothing is written.
        """
        return replace(self, provenance={**self.provenance, **entries})

    # --- what it holds -----------------------------------------------------------------------------

    def detections(self) -> Detections:
        """The 2D joints of all people in all cameras.

        Returns:
            Pixels and confidence, views in the session's order.

        Raises:
            FileNotFoundError: A camera has no 2D joints.
            ValueError: A file is damaged, or the cameras' files do not fit together.
        """
        return read_detections(self.detections_dir, self.camera_names)

    def people(self) -> People | None:
        """The identities of the people, after the edits of `people.toml`.

        Returns:
            The people; None where the session follows one person.

        Raises:
            StaleError: They were made from other 2D joints than the session has now.
            ValueError: A file is damaged, or an edit is impossible.
        """
        if not self.people_path.is_file():
            return None
        people = read_people(self.people_path)
        if people.made.get("joints2d") != self.detections_fingerprint or people.cameras != self.camera_names:
            raise StaleError(
                f"{self.people_path} was made from other 2D joints than the session has now. "
                f"Run `coview associate {self.path}`."
            )
        return people

    def followed(
        self, person: int = 1
    ) -> tuple[Float[Tensor, "views frames joints 2"], Float[Tensor, "views frames joints"]]:
        """Pixels and confidence of one person in all views.

        Without association of people this is the most visible person of each view, which is one and the same person
        only if nobody else is in view.

        Args:
            person: Number of the person; 1 is the one who is seen most.

        Returns:
            Pixels of shape (views, frames, joints, 2), NaN where not seen, and confidence of shape (views, frames,
            joints).

        Raises:
            ValueError: There is no such person.
        """
        people = self.people()
        if people is not None:
            return self.detections().picked(people.places(person))
        if person != 1:
            raise InputError(
                f"session {self.path} follows one person, so there is no person {person}. If several people are in "
                f"view, run `coview associate {self.path}`."
            )
        return self.detections().single()

    def calibration(self) -> Calibration:
        """The session's own calibration, with cameras in the session's order.

        Returns:
            The calibration; its dictionaries are the caller's own.

        Raises:
            FileNotFoundError: The session is not calibrated.
            ValueError: The file is damaged, or of other cameras or image sizes.
        """
        if not self.calibration_path.is_file():
            raise MissingFileError(
                f"session {self.path} is not calibrated: {self.calibration_path.name} is not there. "
                f"Run `coview calibrate people {self.path}` (or `board`, or `file`)."
            )
        found = _calibration(
            self.calibration_path, _stamp(self.calibration_path), self.camera_names, self.sizes
        )
        # the dictionaries are the caller's own: whoever adds to them does not change what the next caller gets
        return replace(
            found,
            provenance=dict(found.provenance),
            sigma=dict(found.sigma),
            clocks=dict(found.clocks),
            focal_sigma=dict(found.focal_sigma),
        )

    def poses3d(self, person: int = 1) -> Poses3D:
        """The 3D joints of a person.

        Args:
            person: Number of the person.

        Returns:
            Joints in metres, in the world of the session's calibration.

        Raises:
            FileNotFoundError: Nothing was reconstructed yet.
            StaleError: The session was calibrated again since, so the joints are in another world than its cameras; or
                its 2D joints, its frame rate or who is who have changed.
        """
        path = self.poses3d_path_of(person)
        if not path.is_file():
            raise MissingFileError(
                f"session {self.path} has no 3D joints: {path.name} is not there. "
                f"Run `coview reconstruct {self.path}`."
            )
        poses = replace(Poses3D.load(path), first_frame=self.first_frame)
        self._check_made_from(poses, path)
        made_with = poses.provenance.get("calibration_hash", "unknown")
        placed = made_with != "unknown" and self.calibration_path.is_file()
        if placed and made_with != self.calibration().fingerprint:
            raise StaleError(
                f"{path} was made with another calibration than the session has now, so its joints "
                f"are in another world than the cameras. Run `coview reconstruct {self.path}` first."
            )
        return poses

    def _check_made_from(self, poses: Poses3D, path: Path) -> None:
        """Refuse 3D joints of 2D joints that the session does not have any more. Files of others do not say theirs."""
        made_from = poses.provenance.get("tracks_hash", "unknown")
        if abs(poses.fps / self.fps - 1) > _SAME_RATE:
            changed = f"{poses.fps:g} frames per second, and the session has {self.fps:g} now"
        elif made_from != "unknown" and made_from != self.tracks_fingerprint:
            changed = "other 2D joints, or another choice of who is who, than the session has now"
        else:
            return
        raise StaleError(f"{path} was made from {changed}. Run `coview reconstruct {self.path}` first.")

    def remove_shown(self, stage: Stage) -> tuple[Path, ...]:
        """Remove files that show the earlier result of a stage without naming it (`files.SESSION_FILES`).

        Args:
            stage: The stage whose result is replaced.

        Returns:
            The files removed.
        """
        return remove_shown(self.path, stage, self.name)

    # --- where -------------------------------------------------------------------------------------

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras, in the session's order."""
        return tuple(camera.name for camera in self.cameras)

    @property
    def sizes(self) -> tuple[tuple[int, int] | None, ...]:
        """Width, height in pixels per camera; None where unknown."""
        return tuple(camera.size for camera in self.cameras)

    @property
    def frames(self) -> int:
        """Number of frames; 0 without cameras."""
        return min((camera.frames for camera in self.cameras), default=0)

    @property
    def detections_dir(self) -> Path:
        """Folder of the 2D joints, one npz per camera."""
        return self.path / "joints2d"

    @property
    def calibration_path(self) -> Path:
        """File of the session's own calibration, whether it is there or not."""
        return self.path / CALIBRATION_FILE

    @property
    def poses3d_path(self) -> Path:
        """File of the 3D joints of person 1, whether it is there or not."""
        return self.path / "joints3d.npz"

    def poses3d_path_of(self, person: int) -> Path:
        """File of the 3D joints of a person: `joints3d.npz` for person 1, else `joints3d_person<n>.npz`."""
        return self.poses3d_path if person == 1 else self.path / f"joints3d_person{person}.npz"

    @property
    def people_path(self) -> Path:
        """File of the identities of people, written by association."""
        return self.path / "people.npz"

    @property
    def edits_path(self) -> Path:
        """File of corrections of identities, written by the user."""
        return self.path / EDITS

    @property
    def detections_fingerprint(self) -> str:
        """Hash of the 2D joints' files, 16 hex digits; changes when any 2D joint changes."""
        digest = hashlib.sha256()
        for name in self.camera_names:
            digest.update((self.detections_dir / f"{name}.npz").read_bytes())
        return digest.hexdigest()[:16]

    @property
    def tracks_fingerprint(self) -> str:
        """Hash of what people's 2D tracks are made of, 16 hex digits: 2D joints, frame rate, and who is who."""
        digest = hashlib.sha256(f"{self.detections_fingerprint} {self.fps:.9g}".encode())
        if self.people_path.is_file():
            for file in filter(Path.is_file, (self.people_path, self.edits_path)):
                digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def exports_dir(self) -> Path:
        """Folder of files for other programs."""
        return self.path / "exports"

    @property
    def models_dir(self) -> Path:
        """Folder of trained models."""
        return self.path / "models"

    @property
    def tracks_path(self) -> Path:
        """Table of the tracks of all people, to look up while writing corrections."""
        return self.path / "people.csv"

    @property
    def predictions_dir(self) -> Path:
        """Folder of 3D joints predicted from single cameras."""
        return self.path / "predictions"

    @property
    def report_path(self) -> Path:
        """The report's page."""
        return self.path / "report.html"


# --- calibration.toml ------------------------------------------------------------------------------


def _stamp(file: Path) -> tuple[int, ...]:
    """Changes when the file is written again, or another one is put in its place."""
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=8)
def _calibration(
    file: Path, stamp: tuple[int, ...], names: tuple[str, ...], sizes: tuple[tuple[int, int] | None, ...]
) -> Calibration:
    """Read and checked once per `stamp`: stages ask for the calibration many times."""
    return calibration_for(read_calibration(file), names, sizes, size_mismatch="refuse")


# --- session.toml --------------------------------------------------------------------------------


def _to_table(session: Session) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": session.name,
        "fps": float(session.fps),
        "first_frame": session.first_frame,
        "units": "m",
        "skeleton": skeleton_to_table(session.skeleton),
        "cameras": [camera_to_table(camera, session.path) for camera in session.cameras],
        "provenance": dict(session.provenance),
    }


def _from_table(table: dict[str, Any], path: Path) -> Session:
    file = path / FILE
    if int(table.get("format", 0)) > FORMAT:
        raise InputError(
            f"{file} has format {table['format']}, and this coview reads up to {FORMAT}. Update coview."
        )
    try:
        return Session(
            path=path,
            name=table["name"],
            fps=float(table["fps"]),
            skeleton=skeleton_from_table(table["skeleton"]),
            cameras=tuple(camera_from_table(row, path) for row in table["cameras"]),
            provenance={key: str(value) for key, value in table.get("provenance", {}).items()},
            # sessions of coview 0.1 do not say it
            first_frame=int(table.get("first_frame", 0)),
        )
    except (KeyError, TypeError, LookupError, ValueError) as error:
        missing = f"the key {error} is missing" if type(error) is KeyError else str(error)
        raise InputError(f"{file}: {missing}. Mend the file, or import the recording again.") from error
