"""Labels of Human3.6M as the prepared file `human36m.npz`: cameras, boxes and 3D joints, in metres.

Images stay where anibali/h36m-fetch puts them: processed/S1/Phoning-1/imageSequence/54138969/img_000001.jpg.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError, MissingFileError
from coview.formats.io.atomic import replacing
from coview.formats.io.damage import reader
from coview.formats.io.untrusted import read_npz
from coview.skeletons import LEARNABLE_17

PREPARED = "human36m.npz"
# folder of images undistorted with the authors' script
UNDISTORTED = "imageSequence-undistorted"
PREPARE = (
    "Make it with `coview data prepare human36m LABELS.npy --out FOLDER`; "
    "see docs/howto/data_sets.md for LABELS.npy."
)
# range of thigh lengths in metres: narrow enough to detect every wrong unit
_THIGH = (0.3, 0.6)
# range of distances between camera and person in metres; the laboratory is 4 m wide
_REACH = (1.0, 15.0)


@dataclass(frozen=True)
class Labels:
    """One row per instant; joints in the order of `LEARNABLE_17`."""

    # names, such as "S1"
    subjects: tuple[str, ...]
    # names, such as "Phoning-1"
    actions: tuple[str, ...]
    # names, such as "54138969"
    cameras: tuple[str, ...]
    # pixels
    intrinsics: Float[Tensor, "subjects views 3 3"]
    # metres
    cam_from_world: Float[Tensor, "subjects views 3 4"]
    # k1 k2 p1 p2 k3 of Human3.6M's own model, not OpenCV's
    lens: Float[Tensor, "subjects views 5"]
    # index into `subjects`
    subject: Int[Tensor, "rows"]
    # index into `actions`
    action: Int[Tensor, "rows"]
    # counted from 0; the image's number is one higher
    frame: Int[Tensor, "rows"]
    # metres, world z up
    joints3d: Float[Tensor, "rows joints 3"]
    # top, left, bottom, right in pixels; zeros where the view is absent
    boxes: Int[Tensor, "rows views 4"]

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Tensor) -> "Labels":
        """Some of the rows."""
        per_row = ("subject", "action", "frame", "joints3d", "boxes")
        return Labels(**{**vars(self), **{name: getattr(self, name)[rows] for name in per_row}})

    def of_views(self, views: list[int]) -> "Labels":
        """The same rows with some of the cameras.

        Args:
            views: indices of the cameras, in the order of the result."""
        parts = {
            name: getattr(self, name)[:, views] for name in ("intrinsics", "cam_from_world", "lens", "boxes")
        }
        return Labels(**{**vars(self), **parts, "cameras": tuple(self.cameras[view] for view in views)})

    @property
    def seen(self) -> Tensor:
        """Whether there is an image, per row and view."""
        return (self.boxes != 0).any(dim=-1)

    @property
    def complete(self) -> Tensor:
        """Whether there is an image in every view, per row."""
        return self.seen.all(dim=-1)

    def clip(self, row: int) -> str:
        """Path of the clip of a row, relative to `processed`.

        Args:
            row: index of the row."""
        return f"{self.subjects[self.subject[row]]}/{self.actions[self.action[row]]}"

    def picture(self, pictures: Path, row: int, view: int, *, undistorted: bool) -> Path:
        """Path of the image of a row in a view.

        Args:
            pictures: folder of the subjects.
            row: index of the row.
            view: index of the camera.
            undistorted: the image in the folder of undistorted ones."""
        kind = UNDISTORTED if undistorted else "imageSequence"
        return pictures / self.clip(row) / kind / self.cameras[view] / picture_name(int(self.frame[row]))


def picture_name(frame: int) -> str:
    """Name of the file of a frame.

    Args:
        frame: counted from 0; files are counted from 1."""
    return f"img_{frame + 1:06d}.jpg"


def picture_folder(folder: Path) -> Path:
    """Folder of the subjects: `processed`, as h36m-fetch makes it, or the folder itself.

    Args:
        folder: of the data set."""
    return folder / "processed" if (folder / "processed").is_dir() else folder


def write_labels(labels: Labels, folder: Path) -> Path:
    """Writes the prepared file.

    Args:
        labels: to be written.
        folder: made if necessary.

    Returns:
        The path of the file."""
    arrays: dict[str, Any] = {each.name: np.asarray(getattr(labels, each.name)) for each in fields(labels)}
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / PREPARED) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return folder / PREPARED


@reader("prepared labels")
def read_labels(folder: Path) -> Labels:
    """The prepared labels of a folder.

    Args:
        folder: of the data set.

    Raises:
        FileNotFoundError: nothing was prepared.
        ValueError: the file is damaged, or its content impossible."""
    path = folder / PREPARED
    if not folder.is_dir() or not path.is_file():
        raise MissingFileError(f"{path} is not there: no prepared Human3.6M in {folder}. {PREPARE}")
    arrays = read_npz(path)
    if missing := [each.name for each in fields(Labels) if each.name not in arrays]:
        raise InputError(f"{path} lacks {', '.join(missing)}: it is not what coview prepared. {PREPARE}")
    return checked(
        {
            each.name: tuple(arrays[each.name].tolist())
            if each.type == tuple[str, ...]
            else torch.from_numpy(arrays[each.name])
            for each in fields(Labels)
        },
        path,
    )


def checked(parts: dict[str, Any], path: Path) -> Labels:
    """Labels of arrays that are checked for shapes, indices and units.

    Args:
        parts: arrays by the names of the fields.
        path: for messages.

    Raises:
        ValueError: naming file and array."""
    names = {name: len(parts[name]) for name in ("subjects", "actions", "cameras")}
    rows = len(parts["frame"])
    wanted = {
        "intrinsics": (names["subjects"], names["cameras"], 3, 3),
        "cam_from_world": (names["subjects"], names["cameras"], 3, 4),
        "lens": (names["subjects"], names["cameras"], 5),
        "subject": (rows,),
        "action": (rows,),
        "frame": (rows,),
        "joints3d": (rows, len(LEARNABLE_17), 3),
        "boxes": (rows, names["cameras"], 4),
    }
    for name, shape in wanted.items():
        if tuple(parts[name].shape) != shape:
            raise InputError(
                f"{path}: {name} has the shape {tuple(parts[name].shape)} and must have {shape}."
            )
    for name, count in (("subject", names["subjects"]), ("action", names["actions"])):
        if rows and not 0 <= int(parts[name].min()) <= int(parts[name].max()) < count:
            raise InputError(f"{path}: {name} numbers one that has no name; there are {count} names.")
    labels = Labels(**parts)
    if not rows:
        raise InputError(f"{path} has no rows, so there is nothing to learn from.")
    _check_lengths(labels, path)
    return labels


def _check_lengths(labels: Labels, path: Path) -> None:
    hip, knee = LEARNABLE_17.index("left_hip"), LEARNABLE_17.index("left_knee")
    thigh = float((labels.joints3d[:, hip] - labels.joints3d[:, knee]).norm(dim=-1).median())
    if not _THIGH[0] <= thigh <= _THIGH[1]:
        raise InputError(
            f"{path}: a thigh is {thigh:.4g} m long, and people's are {_THIGH[0]} to {_THIGH[1]} m. The 3D joints "
            f"must be millimetres in LABELS.npy and metres in {PREPARED}; or their order is not that of the labels."
        )
    centres = Cameras.make(
        labels.intrinsics, labels.cam_from_world, torch.ones(*labels.intrinsics.shape[:-2], 2)
    ).centres
    pelvis = labels.joints3d[:, LEARNABLE_17.root_index]
    away = float((centres[labels.subject] - pelvis[:, None]).norm(dim=-1).median())
    if not _REACH[0] <= away <= _REACH[1]:
        raise InputError(
            f"{path}: cameras are {away:.4g} m away from the person, which cannot be in that laboratory. Translations "
            f"must be millimetres in LABELS.npy, from world to camera (t = −R C, not the centre C)."
        )
