"""A recording in a folder, with the stages as methods: `Session`."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from coview.api.arrays import ArrayLike, Number, as_float
from coview.api.poses import skeleton as skeleton_of
from coview.api.write_session import write_session
from coview.cameras import Cameras
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration
from coview.formats.session import session as files
from coview.formats.session.synchronised_tracks import session_tracks
from coview.skeletons import Skeleton

if TYPE_CHECKING:
    from coview.capture.calibration.assess import Calibrated
    from coview.capture.reconstruction.reconstruct import Reconstructed

Source = Literal["people", "board", "file"]
Format = Literal["trc", "c3d", "csv", "npz"]
Fit = Literal["fixed", "auto", "shared", "each"]
# What `calibrate` takes from each source; anything else would be ignored, and is refused instead.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "people": (
        *("file", "stature", "distance", "frames", "min_confidence", "size_mismatch"),
        *("fit_focal", "fit_clock", "fit_distortion", "seed"),
    ),
    "file": ("file", "units", "size_mismatch"),
    "board": ("board", "file", "videos", "intrinsics_videos", "origin_frame", "size_mismatch"),
}


class Session(files.Session):
    """One recording by several synchronised cameras: a folder of 2D joints, and what the stages make of them.

    The folder holds `session.toml`, `joints2d/`, and as the stages run `calibration.toml`, `joints3d.npz`, `exports/`,
    `models/` and `report.html`. A `Session` says what is known of the recording and never changes; the stages write
    files, and what they wrote is read when it is asked for. Every stage can be repeated, and skips what is done.

    Attributes:
        path: The folder.
        name: Exports are named after it.
        fps: Frames per second.
        first_frame: Number of its first frame in the recording, from 0.
        skeleton: Of the joints.
        cameras: What was recorded by each camera: name, image size, video, number of frames.
        provenance: Where everything came from, in words.
        camera_names: In the order of the views of every array.
        frames: How many.

    Besides the methods below there are `calibration()`, the `Calibration` once there is one, and `poses3d(person=1)`,
    the 3D joints with their covariance.

    Example:
        >>> import coview
        >>> session = coview.example_session("walk")
        >>> calibrated = session.calibrate(stature=1.75)
        >>> reconstructed = session.reconstruct(smooth=6.0)
        >>> session.joints3d().shape  # frames, joints, metres
        (375, 17, 3)
        >>> [path.name for path in session.export(["trc"])]
        ['demo.trc']
        >>> session.report().name
        'report.html'
    """

    # --- making one --------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path) -> "Session":
        """Open a session that is there.

        Args:
            path: Its folder.

        Returns:
            The session.

        Raises:
            CoviewError: No session there, or a damaged `session.toml`.

        Example:
            >>> import coview
            >>> _ = coview.example_session("walk")
            >>> coview.Session.open("walk").fps
            25.0
        """
        return cls._with_stages(files.Session.load(Path(path)))

    @classmethod
    def create(
        cls,
        path: str | Path,
        source: str | Path,
        *,
        skeleton: str | None = None,
        fps: Number | None = None,
        calibration: str | Path | None = None,
        copy_videos: bool = False,
        allow_unequal: bool = False,
        overwrite: bool = False,
        normalised: Literal["unit", "signed"] | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> "Session":
        """Import a recording: a Pose2Sim or OpenPose folder, or videos with one file of 2D joints per camera.

        Args:
            path: Folder to make.
            source: Folder of the recording, which stays as it is.
            skeleton: Name of the joint order, where the files do not tell.
            fps: Frames per second, where no video tells.
            calibration: File with the cameras, or their intrinsics alone; one beside the source is found by itself.
                It is used by `calibrate`.
            copy_videos: Copy the videos into the session instead of referring to them.
            allow_unequal: Cut all cameras to the shortest one.
            overwrite: Replace a session that is there; what was there is moved to a sub-folder.
            normalised: What x and y of the 2D joints are, where they are no pixels: "unit", 0 to 1 across the image,
                or "signed", −1 to 1.
            image_size: Width and height of the images in pixels, for cameras without a video.

        Returns:
            The session; importing the same recording again returns the one that is there.

        Raises:
            CoviewError: Nothing that can be imported, or another recording's session at `path`.

        Example:
            >>> import coview
            >>> coview.Session.create("session", "no such folder")
            Traceback (most recent call last):
            ...
            coview.errors.MissingFileError: ...
        """
        from coview.capture.importing.import_session import import_session

        made = import_session(
            Path(source),
            Path(path),
            skeleton=skeleton,
            fps=as_float(fps),
            calibration=None if calibration is None else Path(calibration),
            copy_videos=copy_videos,
            allow_unequal=allow_unequal,
            overwrite=overwrite,
            normalised=normalised,
            image_size=image_size,
        )
        return cls._with_stages(made)

    @classmethod
    def from_arrays(
        cls,
        path: str | Path,
        pixels: ArrayLike,
        confidence: ArrayLike | None = None,
        *,
        fps: Number,
        skeleton: str | Skeleton,
        image_size: ArrayLike | None = None,
        camera_names: Sequence[str] | None = None,
        calibration: Calibration | Cameras | None = None,
    ) -> "Session":
        """Make a session from the 2D joints of one person as arrays.

        Args:
            path: Folder to make.
            pixels: (frames, views, joints, 2), as filmed; NaN: not seen. NumPy array, tensor or nested lists.
            confidence: (frames, views, joints), in [0, 1]. Default: 1 wherever the pixels are not NaN.
            fps: Frames per second.
            skeleton: Of the joints, or its name.
            image_size: (views, 2) or (2,): width, height in pixels. Default: the calibration's.
            camera_names: Default: the calibration's, or cam_1, cam_2, ...
            calibration: Known cameras, or their intrinsics alone; used by `calibrate`.

        Returns:
            The session.

        Raises:
            CoviewError: Axes in another order, another number of cameras or joints, or a session that is there already.

        Example:
            >>> import coview, numpy as np
            >>> pixels = np.random.default_rng(0).uniform(0, 1000, size=(50, 4, 17, 2))
            >>> session = coview.Session.from_arrays(
            ...     "random", pixels, fps=30, skeleton="coco_17", image_size=(1000, 1000)
            ... )
            >>> session.frames, len(session.cameras)
            (50, 4)
        """
        made = write_session(
            Path(path),
            pixels,
            confidence,
            fps=float(fps),
            skeleton=skeleton_of(skeleton),
            image_size=image_size,
            camera_names=camera_names,
            calibration=calibration,
        )
        return cls._with_stages(made)

    # --- the stages --------------------------------------------------------------------------------

    def detect(self) -> NoReturn:
        """Find 2D joints in the session's videos. This version cannot yet: it raises an error that says what to do.

        Raises:
            CoviewError: Always, in this version.

        Example:
            >>> import coview
            >>> coview.example_session("walk").detect()
            Traceback (most recent call last):
            ...
            coview.errors.NotYetError: this version of coview has no detector of 2D joints yet. ...
        """
        from coview.errors import NotYetError

        raise NotYetError(
            "this version of coview has no detector of 2D joints yet. Run one of your choice (OpenPose, RTMPose, "
            "ViTPose, MMPose, Pose2Sim, ...) on every video, and import what it wrote: coview.Session.create(PATH, "
            "FOLDER), with a folder of OpenPose's JSON files per camera or one JSON or npz file per camera; or pass "
            "its arrays to coview.Session.from_arrays."
        )

    def calibrate(
        self,
        source: Source = "people",
        *,
        file: str | Path | None = None,
        stature: Number | tuple[int, Number] | None = None,
        distance: tuple[str, str, float] | None = None,
        frames: tuple[int, int] | None = None,
        min_confidence: Number | None = None,
        fit_focal: Fit | None = None,
        fit_clock: Literal["auto", "fixed", "offset", "drift"] | None = None,
        fit_distortion: Fit | None = None,
        units: Literal["m", "cm", "mm"] | None = None,
        size_mismatch: Literal["keep", "centre", "resize", "refuse"] | None = None,
        board: str | None = None,
        videos: str | Path | None = None,
        intrinsics_videos: str | Path | None = None,
        origin_frame: int | None = None,
        seed: int | None = None,
    ) -> "Calibrated":
        """Calibrate the session's cameras: from the people they saw, from a board, or from a file.

        Args:
            source: "people", "board" or "file". An option of another source is refused.
            file: Calibration file; of "people" and "board" only its intrinsics are read. Default: the one found at
                import.
            stature: Of "people": height of the one person in metres, or of several the number of one and metres, such
                as (2, 1.62); sets the scale.
            distance: Of "people": two joints or cameras and the metres between them; sets the scale instead.
            frames: Of "people": first and one-past-last frame to calibrate on; the others are held out and judged.
            min_confidence: Of "people": leave out detections less confident than this; default 0.3.
            fit_focal: Of "people": "auto" (default), "fixed", "shared", "each": how focal lengths are found.
            fit_clock: Of "people": "auto" (default), "fixed", "offset", "drift": how time offsets are found.
            fit_distortion: Of "people": "auto" (default), "fixed", "shared", "each": how k1 is found.
            units: Of "file": unit of its lengths, where it does not say.
            size_mismatch: Where calibration and images differ in size: "keep" (default), "centre", "resize", "refuse".
            board: Of "board": such as "charuco:7x5:0.04:0.03:DICT_4X4_50" or "checkerboard:7x5:0.04", or a TOML file.
            videos: Of "board": folder of what the cameras filmed of it; default: the session's videos.
            intrinsics_videos: Of "board": folder of more videos or pictures of each camera by itself.
            origin_frame: Of "board": frame in which it lies on the floor.
            seed: Of "people": of the robust search.

        Returns:
            `.calibration`, `.fits` (how well each camera agrees with the others) and `.path` of `calibration.toml`.

        Raises:
            CoviewError: A recording that does not determine the cameras (the message says what to record instead), a
                file of other cameras, an option of another source.

        Example:
            >>> import coview
            >>> session = coview.example_session("walk")
            >>> known = coview.Calibration(session.camera_names, coview.example_cameras(4))
            >>> coview.write_calibration(known, "cameras.toml")
            >>> done = session.calibrate("file", file="cameras.toml")
            >>> len(done.fits), done.calibration.has_extrinsics
            (4, True)
        """
        given = {
            name: value
            for name, value in locals().items()
            if name not in ("self", "source") and value is not None
        }
        _check_options(source, given)
        options = {
            _STAGE_NAMES.get((source, name), name): _as_stage(name, value) for name, value in given.items()
        }
        if source == "board":
            from coview.capture.board.calibrate import calibrate_from_board

            return calibrate_from_board(self.path, **options)
        from coview.capture.calibration import from_people as stage

        if source == "file":
            return stage.calibrate_from_file(self, **options)
        return stage.calibrate_from_people(self, **options)

    def reconstruct(
        self,
        *,
        person: int = 1,
        min_confidence: Number = 0.3,
        threshold: Number | None = None,
        solver: Literal["linear", "reprojection"] = "linear",
        max_gap: int = 10,
        smooth: Number | None = None,
        refine: bool = False,
        overwrite: bool = False,
    ) -> "Reconstructed":
        """Reconstruct 3D joints in metres, each with a covariance, by robust triangulation.

        Args:
            person: Whom; 1 is seen most.
            min_confidence: Leave out detections less confident than this, in [0, 1].
            threshold: Pixels beyond which a detection is wrong; default: three times the robust spread of this
                recording's own residuals.
            solver: "linear": the weighted DLT; "reprojection": the maximum-likelihood point.
            max_gap: Interpolate gaps of up to this many frames.
            smooth: Cut-off of a zero-phase Butterworth low-pass filter in Hz.
            refine: Solve for the whole take with smooth motion and constant bone lengths as priors instead.
            overwrite: Compute again even if the result is there.

        Returns:
            `.poses`, `.median_px` (reprojection residual), `.found` (share of joints with a position), `.path`.

        Raises:
            CoviewError: A session that is not calibrated, or in which not one joint can be placed.

        Example:
            >>> import coview
            >>> session = coview.example_session("walk", calibrated=True)
            >>> session.reconstruct().found > 0.95
            True
        """
        from coview.capture.reconstruction.reconstruct import reconstruct

        return reconstruct(
            self,
            person=person,
            min_confidence=float(min_confidence),
            threshold=as_float(threshold),
            solver=solver,
            max_gap=max_gap,
            smooth=as_float(smooth),
            refine=refine,
            overwrite=overwrite,
        )

    def export(
        self,
        formats: Format | Sequence[Format] = ("trc", "csv", "npz"),
        *,
        trc_units: Literal["m", "mm"] = "m",
    ) -> list[Path]:
        """Write the 3D joints of everybody for other programs, as `exports/<name>.<format>`.

        Args:
            formats: One or more of "trc" (OpenSim), "c3d", "csv", "npz".
            trc_units: Unit of length in TRC files.

        Returns:
            The files written.

        Raises:
            CoviewError: An unknown format, or nothing reconstructed yet.

        Example:
            >>> import coview
            >>> session = coview.example_session("walk", calibrated=True)
            >>> _ = session.reconstruct()
            >>> [path.name for path in session.export(["csv", "npz"])]
            ['demo.csv', 'demo.npz']
        """
        from coview.capture.export import export_session

        return export_session(
            self, [formats] if isinstance(formats, str) else list(formats), trc_units=trc_units
        )

    def report(self, out: str | Path | None = None) -> Path:
        """Write a self-contained HTML report: what was measured, how well, and what was assumed.

        Args:
            out: File to write; default `report.html` in the session.

        Returns:
            The file.

        Raises:
            CoviewError: Damaged files in the session.

        Example:
            >>> import coview
            >>> coview.example_session("walk").report("page.html").name
            'page.html'
        """
        from coview.report.page import write_report

        return write_report(self.path, None if out is None else Path(out))

    # --- arrays ------------------------------------------------------------------------------------

    def joints2d(self, person: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Read a person's 2D joints, all views at the same times, in the layout of `coview.triangulate`.

        Cameras with a clock that differs from the reference's are read between their frames.

        Args:
            person: Whom; 1 is seen most.

        Returns:
            Pixels (frames, views, joints, 2), NaN where not seen, and confidence (frames, views, joints) in [0, 1].

        Raises:
            CoviewError: Nobody of that number.

        Example:
            >>> import coview
            >>> pixels, confidence = coview.example_session("walk").joints2d()
            >>> pixels.shape, confidence.shape
            ((375, 4, 17, 2), (375, 4, 17))
        """
        pixels, confidence = session_tracks(self, person=person)
        return pixels.numpy(), confidence.numpy()

    def joints3d(self, person: int = 1) -> np.ndarray:
        """Read a person's reconstructed 3D joints; `poses3d()` has their covariance too.

        Args:
            person: Whom; 1 is seen most.

        Returns:
            (frames, joints, 3), metres, z up; NaN where not known.

        Raises:
            CoviewError: Nothing reconstructed yet, or calibrated again since.

        Example:
            >>> import coview
            >>> session = coview.example_session("walk", calibrated=True)
            >>> _ = session.reconstruct()
            >>> session.joints3d().shape
            (375, 17, 3)
        """
        points: np.ndarray = self.poses3d(person).points.numpy()
        return points

    # --- inside ------------------------------------------------------------------------------------

    @classmethod
    def _with_stages(cls, plain: files.Session) -> "Session":
        return cls(**{field.name: getattr(plain, field.name) for field in fields(plain) if field.init})


# How the stages name an option, where they name it otherwise.
_STAGE_NAMES = {
    ("people", "file"): "intrinsics",
    ("people", "fit_focal"): "focal",
    ("people", "fit_clock"): "clock",
    ("people", "fit_distortion"): "distortion",
    ("board", "file"): "intrinsics",
}


def _as_stage(name: str, value: Any) -> Any:
    if name in ("file", "videos", "intrinsics_videos"):
        return Path(value)
    if name == "stature" and isinstance(value, tuple):
        return int(value[0]), float(value[1])
    if name in ("stature", "min_confidence"):
        return float(value)
    return value


def _check_options(source: str, given: dict[str, Any]) -> None:
    if source not in _OPTIONS:
        raise InputError(f"calibrate: source is {', '.join(map(repr, _OPTIONS))}, got {source!r}.")
    strange = [name for name in given if name not in _OPTIONS[source]]
    if strange:
        raise InputError(
            f"calibrate('{source}') has no use for {', '.join(strange)}; it takes {', '.join(_OPTIONS[source])}."
        )
    if source == "board" and "board" not in given:
        raise InputError(
            "calibrate('board') needs to know the board, e.g. board='charuco:7x5:0.04:0.03:DICT_4X4_50'."
        )
