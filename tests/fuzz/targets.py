"""Every reader of coview, with small files that it reads: one file of each is damaged, the others stay whole.

New formats of calibrations and of 2D joints are found through their registries; what has an example of its own is in
`keypoint_files`.
"""

import io
import json
import pickle
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coview.body.procedural_motion import random_motion
from coview.capture.importing.import_session import import_session
from coview.data.human36m.labels import read_labels
from coview.data.mocap.clips import read_clips
from coview.data.mocap.raw import read_take
from coview.data.synthetic.recordings import SyntheticConfig, ring_cameras
from coview.errors import CoviewError
from coview.formats.calibration.board import read_board
from coview.formats.calibration.calibration import Calibration, read_calibration, write_calibration
from coview.formats.calibration.convert import write_converted
from coview.formats.calibration.registry import FORMATS
from coview.formats.keypoints.files import ENDINGS, read_keypoint_file
from coview.formats.keypoints.openpose import read_openpose_folder
from coview.formats.motion.amc import joint_positions as amc_positions
from coview.formats.motion.amc import read_amc
from coview.formats.motion.asf import read_asf
from coview.formats.motion.bvh import joint_positions as bvh_positions
from coview.formats.motion.bvh import read_bvh
from coview.formats.motion.c3d import read_c3d, write_c3d
from coview.formats.motion.csv import read_csv, write_csv
from coview.formats.motion.poses3d import Poses3D, write_npz
from coview.formats.motion.trc import read_trc, write_trc
from coview.formats.session.people import People, read_people, write_people
from coview.formats.session.session import Session
from coview.formats.weights.refiner_norm import read_norm
from coview.formats.weights.released_weights import read_released
from coview.methods.canonpose import CanonPoseConfig
from coview.skeletons import COCO_17, MOCAP_19
from coview.training.checkpoint import Checkpoint
from coview.training.prediction.predict import predict
from coview.training.prediction.prediction_files import read_prediction
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

NAMES = ("a", "b", "c")
FRAMES = 5
# whose whole files are refused, after they were read: a small example cannot be what they want
INCOMPLETE = (
    "keypoints/any.npz",
    "take/c3d",
    "take/bvh",
    "mocap/meta.json",
    "mocap/cmu_train.npz",
    "human36m",
)


@dataclass(frozen=True)
class Target:
    """A reader, and a folder that it reads."""

    name: str
    # whole; every input is put into `file` of a copy
    folder: Path
    file: str
    read: Callable[[Path], Any]

    @property
    def seed(self) -> bytes:
        return (self.folder / self.file).read_bytes()

    def feed(self, data: bytes) -> str:
        """Read the folder with `data` in the place of its file; whatever is raised that names no mistake is raised.

        Returns:
            The error's text; empty where it was read."""
        path = self.folder / self.file
        whole = path.read_bytes()
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.read(self.folder)
        except CoviewError as error:
            return str(error)
        except OSError as error:
            if error.filename is None:
                raise
            return str(error)
        finally:
            path.write_bytes(whole)
        return ""


def targets(root: Path) -> dict[str, Target]:
    """All targets by name, their folders made below `root`."""
    found = [
        *_calibrations(root),
        *_keypoints(root),
        *_motion(root),
        *_sessions(root),
        *_trained(root),
        *_others(root),
    ]
    return {target.name: target for target in found}


def _target(
    root: Path, name: str, file: str, content: bytes, read: Callable[[Path], Any], **others: bytes
) -> Target:
    folder = root / name.replace("/", "_")
    for path, data in {file: content, **others}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return Target(name, folder, file, read)


def _calibrations(root: Path) -> Iterator[Target]:
    cameras = ring_cameras(3, radius=3.0).to(torch.float64)
    whole = Calibration(NAMES, cameras, sigma={"a": (0.01, 0.001)}, scale_sigma=0.02, focal_sigma={"a": 3.0})
    for form in FORMATS:
        for place in ("cameras", "cameras.toml", "cameras.xml", "cameras.xcp", "cameras.json", "cameras.txt"):
            folder = root / f"calibration_{form.key}"
            try:
                files = write_converted(whole, folder / place, form).files
                read_calibration(folder / place)
            except (CoviewError, OSError):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for number, file in enumerate(files[:3]):
                yield Target(
                    f"calibration/{form.key}/{number}", folder, str(file.relative_to(folder)),
                    lambda at, place=place: read_calibration(at / place, sizes={"*": (1000, 1000)}),
                )  # fmt: skip
            break
    write_calibration(whole, root / "ours.toml")
    yield _target(
        root,
        "calibration/ours",
        "c.toml",
        (root / "ours.toml").read_bytes(),
        lambda at: read_calibration(at / "c.toml"),
    )
    board = (
        b'kind = "charuco"\ncolumns = 7\nrows = 5\nsquare = 0.04\nmarker = 0.03\ndictionary = "DICT_4X4_50"\n'
    )
    yield _target(root, "board", "b.toml", board, lambda at: read_board(str(at / "b.toml")))


def keypoint_files() -> dict[str, bytes]:
    """A file of 2D joints of one camera per form."""
    people = _seen()
    plain = {"camera": "a", "fps": 25.0, "size": [1000, 1000], "skeleton": "h36m_17"}
    plain["frames"] = [{"people": frame.tolist()} for frame in people]
    coco = [
        {"image_id": f, "keypoints": person.ravel().tolist(), "score": 1.0}
        for f in range(FRAMES)
        for person in people[f]
    ]
    return {
        "plain.json": json.dumps(plain).encode(),
        "coco.json": json.dumps(coco).encode(),
        "joints.npz": _npz(joints=people.astype("f4")),
    }


def _seen() -> np.ndarray:
    """Two people as a camera saw them: joints that are of nobody would be refused."""
    moving = torch.stack([random_motion(FRAMES, seed=seed) for seed in range(2)], dim=1)
    pixels = ring_cameras(1, radius=3.0).project(moving.flatten(0, 1)[:, None])[:, 0]
    return np.pad(
        pixels.reshape(FRAMES, 2, 17, 2).numpy(), [(0, 0)] * 3 + [(0, 1)], constant_values=0.9
    ).round(1)


def keypoint_files_of_others() -> dict[str, bytes]:
    """Files of other programs, which a version may read or not."""
    people = np.random.default_rng(0).uniform(100, 900, (FRAMES, 17, 2)).round(1).tolist()
    shown = [
        {"keypoints": person, "keypoint_scores": [0.9] * 17, "bbox": [[1.0, 2.0, 3.0, 4.0]]}
        for person in people
    ]
    mmpose = {"meta_info": {"dataset_name": "coco"}, "instance_info": []}
    mmpose["instance_info"] = [{"frame_id": f, "instances": [each]} for f, each in enumerate(shown)]
    triples = [[value for place in person for value in (*place, 2)] for person in people]
    coco = {
        "images": [
            {"id": f, "file_name": f"{f:05d}.jpg", "width": 1000, "height": 1000} for f in range(FRAMES)
        ],
        "annotations": [
            {"id": f, "image_id": f, "category_id": 1, "keypoints": row} for f, row in enumerate(triples)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints)}],
    }
    parts = [part for joint in COCO_17.joints for part in (joint,) * 3]
    rows = [["scorer", *["x"] * 51], ["bodyparts", *parts], ["coords", *["x", "y", "likelihood"] * 17]]
    rows += [[str(f), *map(str, row)] for f, row in enumerate(triples)]
    table = "\n".join(",".join(row) for row in rows)
    return {
        "mmpose.json": json.dumps(mmpose).encode(),
        "annotations.json": json.dumps(coco).encode(),
        "deeplabcut.csv": table.encode(),
    }


def _openpose(frame: int) -> bytes:
    rows = np.random.default_rng(frame).uniform(100, 900, (2, 25 * 3)).round(1).tolist()
    return json.dumps(
        {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": row} for row in rows]}
    ).encode()


def _keypoints(root: Path) -> Iterator[Target]:
    def imported(at: Path) -> Session:
        shutil.rmtree(at.with_name(f"{at.name}_session"), ignore_errors=True)
        skeleton = "body_25" if (at / "a_json").is_dir() else None
        return import_session(at, at.with_name(f"{at.name}_session"), skeleton=skeleton)

    for name, content in keypoint_files().items():
        yield _target(
            root, f"keypoints/{name}", name, content, lambda at, name=name: read_keypoint_file(at / name)
        )
        ending = Path(name).suffix
        place = "joints2d/" if ending == ".npz" else ""
        others = {f"{place}{camera}{ending}": content for camera in NAMES[1:]}
        yield _target(root, f"recording/{name}", f"{place}a{ending}", content, imported, **others)
    for name, content in keypoint_files_of_others().items():
        yield _target(
            root, f"others/{name}", name, content, lambda at, name=name: read_keypoint_file(at / name)
        )
    for ending in sorted(ENDINGS):
        some = keypoint_files()["plain.json"]
        yield _target(
            root,
            f"keypoints/any{ending}",
            f"a{ending}",
            some,
            lambda at, e=ending: read_keypoint_file(at / f"a{e}"),
        )
    frames = {f"a_json/a_{number:05d}_keypoints.json": _openpose(number) for number in range(1, FRAMES)}
    yield _target(
        root,
        "keypoints/openpose",
        "a_json/a_00000_keypoints.json",
        _openpose(0),
        lambda at: read_openpose_folder(at / "a_json"),
        **frames,
    )
    frames |= {f"b_json/b_{number:05d}_keypoints.json": _openpose(number) for number in range(FRAMES)}
    yield _target(
        root, "recording/openpose", "a_json/a_00000_keypoints.json", _openpose(0), imported, **frames
    )


def _poses() -> Poses3D:
    points = torch.randn(FRAMES, 17, 3, generator=torch.Generator().manual_seed(0))
    points[2, 3] = torch.nan
    covariance = torch.eye(3).mul(1e-4).expand(FRAMES, 17, 3, 3).clone()
    inliers = torch.ones(FRAMES, 2, 17, dtype=torch.bool)
    return Poses3D(points, covariance, inliers, torch.rand(FRAMES, 2, 17), 25.0, COCO_17, {"a": "b"})


BVH = b"""HIERARCHY
ROOT Hips
{
\tOFFSET 0.0 0.0 0.0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT Spine
\t{
\t\tOFFSET 0.0 5.2 0.0
\t\tCHANNELS 3 Zrotation Xrotation Yrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0.0 10.0 0.0
\t\t}
\t}
}
MOTION
Frames: 2
Frame Time: 0.0083333
0.0 35.0 0.0 10.0 5.0 2.0 1.0 2.0 3.0
0.1 35.1 0.0 11.0 5.0 2.0 1.0 2.0 3.5
"""
ASF = b""":version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name lhipjoint
     direction 0.63 -0.71 0.29
     length 2.4
     axis 0 0 0 XYZ
  end
  begin
     id 2
     name lfemur
     direction 0.34 -0.93 0
     length 7.1
     axis 0 0 20 XYZ
     dof rx ry rz
     limits (-160.0 20.0)
            (-70.0 70.0)
            (-60.0 70.0)
  end
:hierarchy
  begin
    root lhipjoint
    lhipjoint lfemur
  end
"""
AMC = b"""#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 9.3 17.8 -17.3 -2.0 -4.9 2.5
lfemur -13.1 4.8 22.7
2
root 9.3 17.8 -17.2 -2.0 -4.9 2.5
lfemur -13.2 4.8 22.6
"""


def _motion(root: Path) -> Iterator[Target]:
    work = root / "made"
    work.mkdir()
    writers: dict[str, tuple[Callable[[Poses3D, Path], None], Callable[[Path], Any]]] = {
        "trc": (write_trc, read_trc), "c3d": (write_c3d, read_c3d),
        "csv": (write_csv, read_csv), "npz": (write_npz, Poses3D.load),
    }  # fmt: skip
    for ending, (write, read) in writers.items():
        write(_poses(), work / f"m.{ending}")
        data = (work / f"m.{ending}").read_bytes()
        yield _target(
            root, f"motion/{ending}", f"m.{ending}", data, lambda at, e=ending, read=read: read(at / f"m.{e}")
        )
    data = (work / "m.c3d").read_bytes()
    yield _target(root, "take/c3d", "m.c3d", data, lambda at: read_take(at / "m.c3d"))
    yield _target(root, "motion/bvh", "m.bvh", BVH, lambda at: bvh_positions(read_bvh(at / "m.bvh")))
    yield _target(root, "take/bvh", "m.bvh", BVH, lambda at: read_take(at / "m.bvh"))

    def skeleton(at: Path) -> Any:
        return amc_positions(read_amc(at / "m.amc", read_asf(at / "m.asf")))

    yield _target(root, "motion/asf", "m.asf", ASF, skeleton, **{"m.amc": AMC})
    yield _target(root, "motion/amc", "m.amc", AMC, skeleton, **{"m.asf": ASF})


def _sessions(root: Path) -> Iterator[Target]:
    take = root / "take"
    take.mkdir()
    for camera in NAMES:
        (take / f"{camera}.json").write_bytes(keypoint_files()["plain.json"])
    session = import_session(take, root / "session")
    ids = torch.tensor([[[1, 2]] * FRAMES] * 3)
    made = {"joints2d": session.detections_fingerprint, "basis": "x"}
    write_people(People(NAMES, ids, ids - 1, (0, 0, 0), (0.0, 0.0, 0.0), made), session.people_path)
    session.edits_path.write_text('[[edit]]\ncamera = "a"\nframes = [1, 2]\nswap = [1, 2]\n')
    cameras = ring_cameras(3, radius=3.0)
    write_calibration(Calibration(NAMES, cameras.to(torch.float64)), session.calibration_path)
    _poses().save(session.poses3d_path)

    def everything(at: Path) -> None:
        found = Session.load(at)
        found.detections()
        people = found.people()
        found.followed(1)
        found.calibration()
        found.poses3d()
        if people is not None:
            read_people(found.people_path)

    for file in (
        "session.toml",
        "joints2d/a.npz",
        "people.npz",
        "people.toml",
        "calibration.toml",
        "joints3d.npz",
    ):
        folder = root / f"session_{Path(file).name}"
        shutil.copytree(session.path, folder)
        yield Target(f"session/{file}", folder, file, everything)


def _trained(root: Path) -> Iterator[Target]:
    data = SyntheticConfig(instants=8, validation_instants=4, subjects=1)
    recipe = Recipe(
        method=CanonPoseConfig(width=4, projection="perspective"),
        data=data,
        steps=2,
        batch_size=4,
        device="cpu",
    )
    train(recipe, root / "run", progress=False)
    for file in ("run.json", "recipe.json", "weights.safetensors"):
        folder = root / f"run_{file}"
        shutil.copytree(root / "run", folder)
        yield Target(f"run/{file}", folder, file, load_run)
    Checkpoint(1, 2.0, {"w": torch.ones(3)}, {"0/step": torch.ones(1)}).save(
        root / "made" / "checkpoint.safetensors"
    )
    content = (root / "made" / "checkpoint.safetensors").read_bytes()
    yield _target(
        root, "run/checkpoint", "c.safetensors", content, lambda at: Checkpoint.load(at / "c.safetensors")
    )
    predict(root / "run", root / "take" / "a.json", out=root / "predicted", skeleton="coco_17")
    file = next((root / "predicted").glob("*.npz"))
    yield _target(root, "prediction", "p.npz", file.read_bytes(), lambda at: read_prediction(at / "p.npz"))


def _others(root: Path) -> Iterator[Target]:
    backbone = {
        "conv1.weight": torch.ones(2, 3, 3, 3),
        "bn1.weight": torch.ones(2),
        "final_layer.weight": torch.ones(17, 2, 1, 1),
    }
    torch.save(backbone, root / "made" / "w.pth")
    content = (root / "made" / "w.pth").read_bytes()
    yield _target(root, "weights/pth", "w.pth", content, lambda at: read_released(at / "w.pth"))
    torch.save(backbone, root / "made" / "old.pth", _use_new_zipfile_serialization=False)
    content = (root / "made" / "old.pth").read_bytes()
    yield _target(root, "weights/old", "w.pth", content, lambda at: read_released(at / "w.pth"))
    norm = {
        "data_mean": np.zeros(48),
        "data_std": np.ones(48),
        "label_mean": np.zeros(48),
        "label_std": np.ones(48),
    }
    yield _target(
        root, "weights/norm", "n.pkl", pickle.dumps(norm, protocol=2), lambda at: read_norm(at / "n.pkl", 48)
    )
    entry = {"id": "x", "split": "train", "subject": "s", "fps": 30.0, "frames": FRAMES}
    meta = json.dumps({"joints": list(MOCAP_19.joints), "units": "m", "up": "+Y", "clips": [entry]}).encode()
    arrays = _npz(x=np.random.default_rng(0).normal(size=(FRAMES, 19, 3)).astype("f4"))
    for file in ("meta.json", "cmu_train.npz"):
        others = {"meta.json": meta, "cmu_train.npz": arrays}
        yield _target(
            root, f"mocap/{file}", file, others.pop(file), lambda at: read_clips(at, "train"), **others
        )
    yield _target(root, "human36m", "human36m.npz", _npz(joints3d=np.zeros((2, 17, 3))), read_labels)


def _npz(**arrays: np.ndarray) -> bytes:
    stored = io.BytesIO()
    np.savez(stored, **arrays)
    return stored.getvalue()
