"""Verification of a prepared Human3.6M: counts, cameras against boxes, missing images."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from coview.cameras import Cameras
from coview.data.human36m.dataset import DAMAGED, Human36MConfig, is_damaged
from coview.data.human36m.labels import UNDISTORTED, Labels, picture_folder, picture_name, read_labels
from coview.formats.calibration.validate import check_cameras

# Known preparations by their numbers of instants [Iskakov19].
_PREPARATIONS = {
    ("train", 159_181): "frames in which some joint had moved by 40 mm",
    ("train", 389_938): "every frame at 50 Hz",
    ("test", 26_634): "every fifth frame, as the paper's tables",
}
# margin around a box within which joints count as inside, as a share of its side
_MARGIN = 0.1
_LEAST_INSIDE, _MOST_OFF = 0.95, 0.15


@dataclass(frozen=True)
class SubjectRow:
    """What the labels hold of one subject."""

    subject: str
    # train, test, or neither
    part: str
    clips: int
    instants: int
    # instants without an image in some view
    incomplete: int
    # share of the projected joints inside their view's box
    inside: float
    # median distance between the centres of box and projected joints, in sides of the box
    off: float
    # images that are missing
    missing: int


@dataclass(frozen=True)
class Human36MReport:
    """Result of `check_human36m`."""

    folder: Path
    rows: tuple[SubjectRow, ...]
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def check_human36m(folder: Path) -> Human36MReport:
    """Verifies labels, cameras and the names of all images; decodes one image per view.

    Args:
        folder: of the prepared data.

    Raises:
        FileNotFoundError: there are no labels.
        ValueError: the labels cannot be read."""
    labels, pictures = read_labels(folder), picture_folder(folder)
    undistorted = not _has(labels, pictures, "imageSequence") and _has(labels, pictures, UNDISTORTED)
    lost = _missing(labels, pictures, undistorted)
    rows = tuple(_row(labels, number, lost) for number in labels.subject.unique().tolist())
    faults = [
        f"{row.subject}: cameras, boxes and joints do not belong together: {row.inside:.0%} of the joints are in the "
        f"boxes, and their middle is {row.off:.0%} of a side from the boxes'."
        for row in rows
        if row.inside < _LEAST_INSIDE or not row.off <= _MOST_OFF
    ]
    if lost:
        first = next(iter(lost.values()))[0]
        faults.append(
            f"{sum(map(len, lost.values()))} pictures are missing in {len(lost)} folders, e.g. {first}."
        )
    else:
        faults += _camera_faults(labels, pictures, undistorted)
    return Human36MReport(folder, rows, _notes(labels, rows, undistorted), tuple(faults))


def _row(labels: Labels, number: int, lost: dict[Path, list[Path]]) -> SubjectRow:
    of_subject = labels[(labels.subject == number).nonzero().flatten()]
    name = labels.subjects[number]
    config = Human36MConfig()
    part = {**dict.fromkeys(config.train_subjects, "train"), **dict.fromkeys(config.test_subjects, "test")}
    return SubjectRow(
        name,
        part.get(name, "neither"),
        len(of_subject.action.unique()),
        len(of_subject),
        int((~of_subject.complete).sum()),
        *_fit(of_subject),
        sum(len(files) for place, files in lost.items() if name in place.parts),
    )


def _fit(labels: Labels) -> tuple[float, float]:
    """Share of projected joints inside their view's box, and median distance between the centres of joints and box, in
    box sides."""
    subject = labels.subject.long()
    sizes = torch.full((*labels.intrinsics.shape[:2], 2), 1000.0)
    cameras = Cameras.make(labels.intrinsics, labels.cam_from_world, sizes)[subject]
    there = labels.seen
    pixels, boxes = cameras.project(labels.joints3d[:, None])[there], labels.boxes[there].float()
    low, high = boxes[:, None, [1, 0]], boxes[:, None, [3, 2]]
    side = high - low
    inside = ((pixels >= low - _MARGIN * side) & (pixels <= high + _MARGIN * side)).all(dim=-1)
    middle = (pixels.amin(dim=1, keepdim=True) + pixels.amax(dim=1, keepdim=True)) / 2
    off = ((middle - (low + high) / 2) / side).norm(dim=-1)
    return float(inside.float().mean()), float(off.median())


def _missing(labels: Labels, pictures: Path, undistorted: bool) -> dict[Path, list[Path]]:
    """Pictures that are not there, by folder."""
    seen = labels.seen
    clip = labels.subject.long() * len(labels.actions) + labels.action
    lost = {}
    for number in clip.unique():
        for view in range(len(labels.cameras)):
            rows = ((clip == number) & seen[:, view]).nonzero().flatten()
            if not len(rows):
                continue
            place = labels.picture(pictures, int(rows[0]), view, undistorted=undistorted).parent
            there = set(os.listdir(place)) if place.is_dir() else set()
            wanted = [picture_name(frame) for frame in labels.frame[rows].tolist()]
            if absent := [place / name for name in wanted if name not in there]:
                lost[place] = absent
    return lost


def _camera_faults(labels: Labels, pictures: Path, undistorted: bool) -> list[str]:
    """Faults found by `check_cameras`, with the sizes of the images."""
    import cv2

    faults = []
    for number in labels.subject.unique().tolist():
        rows = ((labels.subject == number) & labels.complete).nonzero().flatten()
        if not len(rows):
            continue
        paths = [
            labels.picture(pictures, int(rows[0]), view, undistorted=undistorted)
            for view in range(len(labels.cameras))
        ]
        found = [cv2.imread(str(path)) for path in paths]
        faults += [
            f"{p} is no picture that can be decoded."
            for p, raw in zip(paths, found, strict=True)
            if raw is None
        ]
        sizes = torch.tensor([raw.shape[1::-1] for raw in found if raw is not None]).float()
        if len(sizes) < len(paths):
            continue
        cameras = Cameras.make(labels.intrinsics[number], labels.cam_from_world[number], sizes)
        try:
            check_cameras(labels.cameras, cameras, labels.subjects[number])
        except ValueError as error:
            faults.append(str(error))
    return faults


def _has(labels: Labels, pictures: Path, kind: str) -> bool:
    return any(next(pictures.glob(f"{subject}/*/{kind}"), None) for subject in labels.subjects)


def _notes(labels: Labels, rows: tuple[SubjectRow, ...], undistorted: bool) -> tuple[str, ...]:
    notes = []
    if undistorted:
        notes.append(f"the pictures are in {UNDISTORTED}: read them with undistort False.")
    for part in ("train", "test"):
        count = sum(row.instants for row in rows if row.part == part)
        preparation = _PREPARATIONS.get(
            (part, count), "no preparation that is known; figures are not comparable with published ones"
        )
        notes.append(f"{part}: {count} instants: {preparation}.")
    if incomplete := sum(row.incomplete for row in rows):
        notes.append(
            f"{incomplete} instants lack a view and are left out, unless `incomplete` or fewer `views` are set."
        )
    if damaged := int(is_damaged(labels).sum()):
        scenes = ", ".join(f"{subject} {action}" for subject, action in DAMAGED)
        notes.append(
            f"{damaged} instants of {scenes} have damaged 3D labels; testing leaves them out (`damaged`)."
        )
    return tuple(notes)
