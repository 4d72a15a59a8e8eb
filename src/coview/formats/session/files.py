"""Every file and folder that a session may hold: which stage makes it, and what becomes of it when that is replaced.

A new file of a session gets a row here; `coview import --overwrite` and the stages that replace a result go by this
table alone. Whatever is in the folder and not in the table belongs to somebody else and is never touched.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Stage = Literal[
    "import", "associate", "calibrate", "reconstruct", "export", "predict", "train", "report", "user"
]


@dataclass(frozen=True)
class SessionFile:
    """One kind of file in a session's folder."""

    # a name, or a pattern of names, relative to the session's folder
    pattern: str
    made_by: Stage
    about: str
    # stays when another recording is imported over the session: it is not about that recording alone
    outlives_recording: bool = False
    # stages whose result it shows without saying so: removed when they replace it. What names its input itself (3D
    # joints carry the hash of their calibration) stays, and is refused until it fits again
    shows: tuple[Stage, ...] = ()


SESSION_FILES = (
    SessionFile("session.toml", "import", "cameras, frame rate, skeleton and where everything came from"),
    SessionFile("joints2d", "import", "2D joints, one npz per camera"),
    SessionFile("given_calibration.toml", "import", "cameras that came with 2D joints given as arrays"),
    SessionFile("videos", "import", "copies of the videos, with --copy-videos"),
    SessionFile("people.npz", "associate", "the person that every detection shows"),
    SessionFile("people.csv", "associate", "tracks of every camera, to look things up in"),
    SessionFile("people.toml", "user", "corrections of who is who"),
    SessionFile("calibration.toml", "calibrate", "the cameras, with their uncertainty"),
    SessionFile("board2d", "calibrate", "corners of the board that were found in pictures"),
    SessionFile("lenses.toml", "calibrate", "intrinsics alone, from a board", outlives_recording=True),
    # also of single people (joints3d_person2.npz) and of models of images (joints3d_algebraic.npz)
    SessionFile("joints3d.npz", "reconstruct", "3D joints in metres, of person 1"),
    SessionFile(
        "joints3d_*.npz", "reconstruct", "3D joints of others, and those that models of images found"
    ),
    SessionFile(".joints3d_*.unfinished.npz", "reconstruct", "work of a model of images that goes on later"),
    SessionFile("exports", "export", "files for other programs", shows=("calibrate", "reconstruct")),
    SessionFile("predictions", "predict", "3D joints from one camera, a folder per model"),
    SessionFile("models", "train", "trained models", outlives_recording=True),
    SessionFile("report.html", "report", "the page about the session", shows=("calibrate", "reconstruct")),
    SessionFile("picture.png", "report", "one instant in all views", shows=("calibrate", "reconstruct")),
)


def files_of_recording(folder: Path, *, videos: bool) -> tuple[Path, ...]:
    """What is in a session's folder and goes when another recording is imported over it, `session.toml` first.

    Args:
        folder: The session's folder.
        videos: Whether import copied the videos; otherwise a folder of that name is the user's own.

    Returns:
        Paths that exist, in the order of `SESSION_FILES`.
    """
    return tuple(
        path
        for kind in SESSION_FILES
        if not kind.outlives_recording and (videos or kind.pattern != "videos")
        for path in sorted(folder.glob(kind.pattern))
    )


def remove_shown(folder: Path, stage: Stage, exported: str) -> tuple[Path, ...]:
    """Remove what shows the earlier result of `stage` without saying so, and return what was removed.

    Of `exports/` only files are removed that coview named, `<exported>.<format>` and `<exported>_person<n>.<format>`;
    whatever else is there is the user's.

    Args:
        folder: The session's folder.
        stage: The stage whose result is replaced.
        exported: Name of the session, after which exports are named.
    """
    doomed: list[Path] = []
    for kind in SESSION_FILES:
        if stage in kind.shows:
            for path in sorted(folder.glob(kind.pattern)):
                doomed += _exports(path, exported) if path.is_dir() else [path]
    for path in doomed:
        path.unlink(missing_ok=True)
    return tuple(doomed)


def _exports(folder: Path, name: str) -> list[Path]:
    # not a glob: the name of a session may hold characters that mean something in patterns
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and (path.stem == name or path.stem.startswith(f"{name}_person"))
    )
