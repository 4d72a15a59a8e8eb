"""What can be wrong with a recording: the corruptions of `corrupted.py`, and the recording that they are applied to.

A `Take` is what lies on a user's disk: 2D joints of every camera, a calibration, and what they are called. A
corruption changes one thing of it. What it is called says whom it is about: a camera's name in `guilty` must be among
those that coview names, where it names any.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.data.synthetic.recordings import DetectorNoise, detect
from coview.geometry.rotations import rotation_from_axis_angle
from coview.skeletons import H36M_17

NOISE = DetectorNoise(sigma=4.0, outlier_rate=0.02, outlier_px=80.0, missing_rate=0.02, swap_rate=0.005)


@dataclass(frozen=True)
class Take:
    """Files of one recording, before they are written."""

    # one per camera
    names: list[str]
    # per camera (frames, people, joints, 3): x, y, confidence; cameras may have different numbers of frames
    joints: list[np.ndarray]
    # what the calibration file says, per camera; extrinsics as 3x4
    cameras: list[dict]
    fps: float
    # metres, world of the calibration, of person 1; NaN where nobody could tell
    truth: np.ndarray
    # options of the command that calibrates
    calibrate_flags: tuple[str, ...] = ()
    # written beside, for what a camera's joints do not say
    said: dict = field(default_factory=dict)
    # done to the session's folder after the stage of that name
    after: dict[str, Callable[[Path], None]] = field(default_factory=dict)


def room(
    seed: int,
    *,
    views: int = 4,
    frames: int = 150,
    fps: float = 30.0,
    size: tuple[int, int] = (1920, 1080),
    focal: float = 1400.0,
    radius: float = 5.0,
    height: float = 2.2,
    people: int = 1,
    noise: DetectorNoise = NOISE,
    kind: str = "mixed",
    span: float = 2 * np.pi,
) -> Take:
    """A room with cameras around it, each at a height, distance and roll of its own; people move in its middle."""
    draw = np.random.default_rng(seed)
    cameras = [
        _camera(draw, span * view / views + draw.uniform(-0.2, 0.2), radius, height, focal, size)
        for view in range(views)
    ]
    truths, seen = [], []
    for person in range(people):
        motion = random_motion(
            frames, fps=fps, seed=seed * 31 + person, kind=kind, stature=draw.uniform(1.6, 1.9)
        )
        around = person * 2 * np.pi / people
        place = [0.0, 0.0, 0.0] if people == 1 else [1.6 * np.cos(around), 1.6 * np.sin(around), 0.0]
        motion = motion + torch.tensor(place, dtype=torch.float32)
        pixels, confidence = detect(motion, tensors(cameras), noise, seed * 17 + person)
        truths.append(motion.numpy())
        seen.append(torch.cat([pixels, confidence[..., None]], dim=-1).nan_to_num(0.0).numpy())
    joints = [np.stack([each[:, view] for each in seen], axis=1) for view in range(views)]
    return Take([f"cam{view + 1:02d}" for view in range(views)], joints, cameras, fps, truths[0])


def _camera(draw, angle, radius, height, focal, size) -> dict:
    centre = np.array([radius * np.cos(angle), radius * np.sin(angle), height + draw.uniform(-0.4, 0.4)])
    forward = np.array([0.0, 0.0, 1.0]) + draw.uniform(-0.15, 0.15, 3) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    rotation = turned(draw.normal(0, np.radians(2)), "z") @ rotation
    focal = focal * draw.uniform(0.97, 1.03)
    matrix = np.array([[focal, 0, size[0] / 2 - 0.5], [0, focal, size[1] / 2 - 0.5], [0, 0, 1.0]])
    return {"matrix": matrix, "rotation": rotation, "translation": -rotation @ centre, "size": size}


def turned(angle: float, axis: str) -> np.ndarray:
    vector = torch.tensor({"x": [1.0, 0, 0], "y": [0, 1.0, 0], "z": [0, 0, 1.0]}[axis], dtype=torch.float64)
    return rotation_from_axis_angle(vector * angle).numpy()


def tensors(cameras: list[dict]) -> Cameras:
    stacked = {
        key: torch.tensor(np.stack([np.asarray(camera[key]) for camera in cameras])) for key in cameras[0]
    }
    pose = torch.cat([stacked["rotation"], stacked["translation"][..., None]], dim=-1)
    return Cameras.make(stacked["matrix"].float(), pose.float(), stacked["size"].float())


# --- writing ---------------------------------------------------------------------------------------


def write(take: Take, folder: Path, *, calibration: bool = True) -> None:
    """A folder as a user has it: `pose-2d/<camera>.json`, and `calibration.toml` in the same folder."""
    (folder / "pose-2d").mkdir(parents=True)
    for name, joints, camera in zip(take.names, take.joints, take.cameras, strict=True):
        frames = [
            {"people": [person.round(3).tolist() for person in frame if np.nan_to_num(person)[:, 2].any()]}
            for frame in joints
        ]
        said = {"fps": take.fps, "size": list(camera["size"]), "skeleton": H36M_17.name} | take.said
        content = {key: value for key, value in said.items() if value is not None} | {"frames": frames}
        (folder / "pose-2d" / f"{name}.json").write_text(json.dumps(content))
    if calibration:
        (folder / "calibration.toml").write_text(toml(take))


def toml(take: Take) -> str:
    """By hand, since a wrong camera would not pass `write_calibration`."""
    lines = []
    for name, camera in zip(take.names, take.cameras, strict=True):
        rotation = np.asarray(camera["rotation"])
        lines += [f"[{name}]", f'name = "{name}"', f"size = {[int(side) for side in camera['size']]}"]
        lines += [
            f"matrix = {camera['matrix'].tolist()}",
            f"distortions = {list(camera.get('distortion', [0.0] * 5))}",
        ]
        lines += [
            f"rotation = {rotation.tolist()}",
            f"translation = {np.asarray(camera['translation']).tolist()}",
            "",
        ]
    return "\n".join([*lines, "[metadata]", 'units = "m"', ""])


# --- corruptions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corruption:
    """One mistake, as a function of a take and of a random generator; it returns the take and who is guilty."""

    name: str
    # places, units, lenses, JSON, frames, people, stages
    kind: str
    # file: cameras from a calibration file; people: from the people in view
    route: str
    change: Callable[[Take, np.random.Generator], tuple[Take, tuple[str, ...]]]


def _one(take: Take, draw: np.random.Generator) -> int:
    return int(draw.integers(len(take.names)))


def on_cameras(change, how_many: str = "one"):
    """A change of one camera's dictionary, or of all of them."""

    def apply(take: Take, draw: np.random.Generator):
        chosen = [_one(take, draw)] if how_many == "one" else range(len(take.names))
        cameras = list(take.cameras)
        for view in chosen:
            cameras[view] = dict(cameras[view]) | change(dict(cameras[view]), draw)
        return replace(take, cameras=cameras), tuple(
            take.names[view] for view in chosen
        ) if how_many == "one" else ()

    return apply


def on_joints(change, how_many: str = "one"):
    """A change of one camera's joints (frames, people, joints, 3), or of all of them."""

    def apply(take: Take, draw: np.random.Generator):
        chosen = [_one(take, draw)] if how_many == "one" else range(len(take.names))
        joints = list(take.joints)
        for view in chosen:
            changed = change(joints[view].copy(), np.array(take.cameras[view]["size"], dtype=float), draw)
            unseen = joints[view][..., 2] <= 0
            if changed.shape == joints[view].shape:
                changed[unseen] = 0
            joints[view] = changed
        return replace(take, joints=joints), tuple(
            take.names[view] for view in chosen
        ) if how_many == "one" else ()

    return apply


def _exchanged(cameras: bool, three: bool = False):
    def apply(take: Take, draw: np.random.Generator):
        chosen = draw.permutation(len(take.names))[: 3 if three else 2].tolist()
        order = list(range(len(take.names)))
        for a, b in zip(chosen, chosen[1:] + chosen[:1], strict=True):
            order[a] = b
        guilty = tuple(take.names[view] for view in chosen)
        if cameras:
            return replace(take, cameras=[take.cameras[view] for view in order]), guilty
        return replace(take, joints=[take.joints[view] for view in order]), guilty

    return apply


def _scaled_world(factor: float):
    return on_cameras(lambda c, _: {"translation": np.asarray(c["translation"]) * factor}, "all")


def _world(rotation: np.ndarray):
    return on_cameras(lambda c, _: {"rotation": c["rotation"] @ rotation}, "all")


def _nudged(degrees: float, metres: float):
    def change(camera: dict, draw: np.random.Generator) -> dict:
        axis = draw.normal(size=3)
        vector = torch.tensor(axis / np.linalg.norm(axis) * np.radians(degrees))
        rotation = rotation_from_axis_angle(vector).numpy() @ camera["rotation"]
        centre = -camera["rotation"].T @ camera["translation"]
        away = draw.normal(size=3)
        centre = centre + away / np.linalg.norm(away) * metres
        return {"rotation": rotation, "translation": -rotation @ centre}

    return on_cameras(change)


def _focal(factor: float, x: bool = True, y: bool = True):
    return lambda c, _: {
        "matrix": c["matrix"] * np.array([[factor if x else 1, 1, 1], [1, factor if y else 1, 1], [1, 1, 1]])
    }


def _moved_by(frames: int):
    """One camera began that many frames later, or (below 0) earlier."""

    def change(joints: np.ndarray, _, __) -> np.ndarray:
        return (
            joints[frames:]
            if frames > 0
            else np.concatenate([joints[:1].repeat(-frames, 0), joints])[: len(joints)]
        )

    def apply(take: Take, draw: np.random.Generator):
        changed, guilty = on_joints(change)(take, draw)
        shortest = min(len(each) for each in changed.joints)
        return replace(
            changed, joints=[each[:shortest] for each in changed.joints], truth=take.truth[:shortest]
        ), guilty

    return apply


def _bumped(at: float, degrees: float):
    """The camera is turned in the middle of the take: its pixels move, the calibration stays."""

    def change(joints: np.ndarray, size: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        first = int(at * len(joints))
        angle = draw.uniform(0, 2 * np.pi)
        joints[first:, ..., :2] += (
            1400 * np.tan(np.radians(degrees)) * np.array([np.cos(angle), np.sin(angle)])
        )
        return joints

    return on_joints(change)


def _other_person(take: Take, draw: np.random.Generator):
    other = room(int(draw.integers(10_000)) + 50_000, people=1, frames=len(take.truth), fps=take.fps)
    view = _one(take, draw)
    joints = list(take.joints)
    joints[view] = other.joints[view % len(other.joints)][: len(joints[view])]
    return replace(take, joints=joints), (take.names[view],)


def _other_rig(take: Take, draw: np.random.Generator):
    other = room(
        int(draw.integers(10_000)) + 70_000, views=len(take.names), span=4.0, radius=draw.uniform(3, 7)
    )
    return replace(take, cameras=other.cameras), ()


def _other_camera(take: Take, draw: np.random.Generator):
    other = room(
        int(draw.integers(10_000)) + 80_000, views=len(take.names), span=5.0, radius=draw.uniform(4, 6)
    )
    view = _one(take, draw)
    cameras = list(take.cameras)
    cameras[view] = other.cameras[view]
    return replace(take, cameras=cameras), (take.names[view],)


def _reversed_frames(joints: np.ndarray, *_) -> np.ndarray:
    return joints[::-1].copy()


def _half_rate(take: Take, draw: np.random.Generator):
    """One camera wrote every second frame, and its files are numbered without gaps."""
    view = _one(take, draw)
    joints = [each if at != view else each[::2] for at, each in enumerate(take.joints)]
    shortest = min(len(each) for each in joints)
    return replace(take, joints=[each[:shortest] for each in joints], truth=take.truth[:shortest]), (
        take.names[view],
    )


def _dropped(take: Take, draw: np.random.Generator):
    """One camera lost frames in the middle, and nobody left a gap for them."""
    view, count = _one(take, draw), 15
    first = int(draw.integers(len(take.truth) // 3, len(take.truth) // 2))
    joints = [
        each if at != view else np.delete(each, range(first, first + count), axis=0)
        for at, each in enumerate(take.joints)
    ]
    shortest = min(len(each) for each in joints)
    return replace(take, joints=[each[:shortest] for each in joints], truth=take.truth[:shortest]), (
        take.names[view],
    )


def _said(**words):
    return lambda take, _: (replace(take, said=take.said | words), ())


def _flags(*flags: str):
    return lambda take, _: (replace(take, calibrate_flags=flags), ())


def _pixels(change):
    """Of x and y alone, given the picture's size."""

    def apply(joints: np.ndarray, size: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        joints[..., :2] = change(joints[..., :2], size, draw)
        return joints

    return apply


def _swapped_sides(joints: np.ndarray, *_) -> np.ndarray:
    return joints[:, :, list(H36M_17.mirror)]


def _shuffled(joints: np.ndarray, _, draw: np.random.Generator) -> np.ndarray:
    return joints[:, :, np.random.default_rng(5).permutation(joints.shape[2])]


def _confidence(change):
    def apply(joints: np.ndarray, _, draw: np.random.Generator) -> np.ndarray:
        joints[..., 2] = change(joints[..., 2])
        return joints

    return apply


def _overwritten(name: str, change: Callable[[np.ndarray], np.ndarray]):
    """An array of a stage's file is changed by something else than coview."""

    def after(session: Path) -> None:
        for path in sorted(session.glob(name)):
            arrays = dict(np.load(path, allow_pickle=False))
            key = "joints" if "joints" in arrays else "points"
            arrays[key] = change(arrays[key])
            np.savez(path, **arrays)

    return after


def _cut(name: str):
    def after(session: Path) -> None:
        for path in sorted(session.glob(name)):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return after


def _replaced_text(name: str, old: str, new: str):
    def after(session: Path) -> None:
        for path in sorted(session.glob(name)):
            path.write_text(path.read_text().replace(old, new))

    return after


def _after(stage: str, what: Callable[[Path], None]):
    return lambda take, _: (replace(take, after=take.after | {stage: what}), ())


def _nothing(take: Take, _) -> tuple[Take, tuple[str, ...]]:
    return take, ()


UPSIDE_DOWN = turned(np.pi, "x")
Y_UP = turned(-np.pi / 2, "x")
GL = np.diag([1.0, -1.0, -1.0])

PLACES = {
    "cameras exchanged": _exchanged(cameras=True),
    "three cameras exchanged": _exchanged(cameras=True, three=True),
    "rotation transposed, one": on_cameras(lambda c, _: {"rotation": c["rotation"].T}),
    "rotation transposed, all": on_cameras(lambda c, _: {"rotation": c["rotation"].T}, "all"),
    "pose inverted, one": on_cameras(
        lambda c, _: {"rotation": c["rotation"].T, "translation": -c["rotation"].T @ c["translation"]}
    ),
    "pose inverted, all": on_cameras(
        lambda c, _: {"rotation": c["rotation"].T, "translation": -c["rotation"].T @ c["translation"]}, "all"
    ),
    "centre for translation, one": on_cameras(
        lambda c, _: {"translation": -c["rotation"].T @ c["translation"]}
    ),
    "centre for translation, all": on_cameras(
        lambda c, _: {"translation": -c["rotation"].T @ c["translation"]}, "all"
    ),
    "upside down, one": on_cameras(
        lambda c, _: {
            "rotation": turned(np.pi, "z") @ c["rotation"],
            "translation": turned(np.pi, "z") @ c["translation"],
        }
    ),
    "upside down, all": on_cameras(
        lambda c, _: {
            "rotation": turned(np.pi, "z") @ c["rotation"],
            "translation": turned(np.pi, "z") @ c["translation"],
        },
        "all",
    ),
    "a quarter turn, one": on_cameras(
        lambda c, _: {
            "rotation": turned(np.pi / 2, "z") @ c["rotation"],
            "translation": turned(np.pi / 2, "z") @ c["translation"],
        }
    ),
    "OpenGL axes, all": on_cameras(
        lambda c, _: {"rotation": GL @ c["rotation"], "translation": GL @ c["translation"]}, "all"
    ),
    "OpenGL axes, one": on_cameras(
        lambda c, _: {"rotation": GL @ c["rotation"], "translation": GL @ c["translation"]}
    ),
    "mirrored world": on_cameras(lambda c, _: {"rotation": c["rotation"] @ np.diag([1.0, 1.0, -1.0])}, "all"),
    "another rig": _other_rig,
    "another camera's place": _other_camera,
    "turned by 2 degrees": _nudged(2, 0),
    "turned by 5 degrees": _nudged(5, 0),
    "turned by 20 degrees": _nudged(20, 0),
    "moved by 0.1 m": _nudged(0, 0.1),
    "moved by 0.4 m": _nudged(0, 0.4),
    "moved by 1.5 m": _nudged(0, 1.5),
    "not a number": on_cameras(lambda c, _: {"translation": np.array([np.nan, 0, 0])}),
}
UNITS = {
    "world x 2": _scaled_world(2),
    "world x 0.5": _scaled_world(0.5),
    "world x 2.54": _scaled_world(2.54),
    "world x 1000": _scaled_world(1000),
    "world x 0.001": _scaled_world(0.001),
    "world x 100": _scaled_world(100),
    "world x 3.28": _scaled_world(3.28),
    "--units cm": _flags("--units", "cm"),
    "--units mm": _flags("--units", "mm"),
    "y up": _world(Y_UP),
    "upside-down world": _world(UPSIDE_DOWN),
    "x up": _world(turned(np.pi / 2, "y")),
}
LENSES = {
    "focal x 1.2, one": on_cameras(_focal(1.2)),
    "focal x 1.5, one": on_cameras(_focal(1.5)),
    "focal x 0.5, one": on_cameras(_focal(0.5)),
    "focal x 1.2, all": on_cameras(_focal(1.2), "all"),
    "focal x 1.5, all": on_cameras(_focal(1.5), "all"),
    "focal x 0.5, all": on_cameras(_focal(0.5), "all"),
    "fy x 1.15, all": on_cameras(_focal(1.15, x=False), "all"),
    "principal point, one": on_cameras(
        lambda c, _: {"matrix": c["matrix"] + [[0, 0, 150.0], [0, 0, -80.0], [0, 0, 0]]}
    ),
    "sides exchanged": on_cameras(lambda c, _: {"size": tuple(reversed(c["size"]))}),
    "half resolution, one": on_cameras(lambda c, _: {"matrix": np.diag([0.5, 0.5, 1]) @ c["matrix"]}),
    "half resolution, all": on_cameras(lambda c, _: {"matrix": np.diag([0.5, 0.5, 1]) @ c["matrix"]}, "all"),
    "half resolution and size, all": on_cameras(
        lambda c, _: {
            "matrix": np.diag([0.5, 0.5, 1]) @ c["matrix"],
            "size": tuple(s // 2 for s in c["size"]),
        },
        "all",
    ),
    "distortion k1 -0.3, one": on_cameras(lambda c, _: {"distortion": [-0.3, 0.1, 0, 0, 0]}),
    "distortion k1 -0.3, all": on_cameras(lambda c, _: {"distortion": [-0.3, 0.1, 0, 0, 0]}, "all"),
    "matrix transposed": on_cameras(lambda c, _: {"matrix": c["matrix"].T}, "all"),
}
JSON = {
    "2D joints exchanged": _exchanged(cameras=False),
    "pixels 0 to 1": on_joints(_pixels(lambda p, s, _: p / s), "all"),
    "pixels -1 to 1": on_joints(_pixels(lambda p, s, _: 2 * p / s - 1), "all"),
    "pixels 0 to 1, one": on_joints(_pixels(lambda p, s, _: p / s)),
    "y from below, all": on_joints(
        _pixels(lambda p, s, _: np.stack([p[..., 0], s[1] - 1 - p[..., 1]], -1)), "all"
    ),
    "y from below, one": on_joints(_pixels(lambda p, s, _: np.stack([p[..., 0], s[1] - 1 - p[..., 1]], -1))),
    "mirrored, all": on_joints(
        _pixels(lambda p, s, _: np.stack([s[0] - 1 - p[..., 0], p[..., 1]], -1)), "all"
    ),
    "mirrored, one": on_joints(_pixels(lambda p, s, _: np.stack([s[0] - 1 - p[..., 0], p[..., 1]], -1))),
    "upside-down pictures, one": on_joints(_pixels(lambda p, s, _: s - 1 - p)),
    "upside-down pictures, all": on_joints(_pixels(lambda p, s, _: s - 1 - p), "all"),
    "x and y exchanged, all": on_joints(_pixels(lambda p, s, _: p[..., ::-1]), "all"),
    "x and y exchanged, one": on_joints(_pixels(lambda p, s, _: p[..., ::-1])),
    "half resolution, all": on_joints(_pixels(lambda p, s, _: p / 2), "all"),
    "half resolution, one": on_joints(_pixels(lambda p, s, _: p / 2)),
    "cropped, one": on_joints(_pixels(lambda p, s, _: p - [160, 90])),
    "cropped, all": on_joints(_pixels(lambda p, s, _: p - [160, 90]), "all"),
    "left and right exchanged, one": on_joints(_swapped_sides),
    "left and right exchanged, all": on_joints(_swapped_sides, "all"),
    "joints in another order, all": on_joints(_shuffled, "all"),
    "joints in another order, one": on_joints(_shuffled),
    "confidence in per cent": on_joints(_confidence(lambda c: 100 * c), "all"),
    "confidence zero": on_joints(_confidence(lambda c: 0 * c), "all"),
    "confidence zero, one": on_joints(_confidence(lambda c: 0 * c)),
    "not a number, one": on_joints(_pixels(lambda p, s, _: p * np.nan)),
    "squeezed, all": on_joints(_pixels(lambda p, s, _: p * [1, 0.85]), "all"),
    "standing still, one": on_joints(lambda j, s, _: j[:1].repeat(len(j), 0)),
    "noise of 40 px, one": on_joints(
        lambda j, s, g: j + np.concatenate([g.normal(0, 40, (*j.shape[:-1], 2)), 0 * j[..., :1]], -1)
    ),
}
FRAMES = {
    "2 frames later": _moved_by(2),
    "6 frames later": _moved_by(6),
    "20 frames later": _moved_by(20),
    "45 frames later": _moved_by(45),
    "10 frames earlier": _moved_by(-10),
    "backwards, one": on_joints(_reversed_frames),
    "half the rate, one": _half_rate,
    "frames lost in the middle": _dropped,
    "moved at a third, 3 degrees": _bumped(0.33, 3),
    "moved at two thirds, 3 degrees": _bumped(0.67, 3),
    "moved at half, 10 degrees": _bumped(0.5, 10),
    "frame rate 0": _said(fps=0),
    "frame rate infinite": _said(fps=float("inf")),
    "size of another picture": _said(size=[640, 480]),
}
PEOPLE = {
    "another person, one": _other_person,
}
STAGES = {
    "2D joints changed after reconstruct": _after(
        "reconstruct", _overwritten("joints2d/*.npz", lambda a: a + np.float32(40))
    ),
    "2D joints cut after import": _after("import", _cut("joints2d/cam02.npz")),
    "3D joints cut": _after("reconstruct", _cut("joints3d.npz")),
    "3D joints changed": _after("reconstruct", _overwritten("joints3d.npz", lambda a: a[: len(a) // 2])),
    "3D joints not finite": _after("reconstruct", _overwritten("joints3d.npz", lambda a: a * np.nan)),
    "calibration changed after reconstruct": _after(
        "reconstruct", _replaced_text("calibration.toml", "1920", "1900")
    ),
    "calibration cut": _after("calibrate", _cut("calibration.toml")),
    "session cut": _after("import", _cut("session.toml")),
    "frame rate changed after reconstruct": _after(
        "reconstruct", _replaced_text("session.toml", "fps = 30", "fps = 60")
    ),
    "nothing": _nothing,
}
FROM_PEOPLE_TOO = [
    *(
        "pixels 0 to 1",
        "y from below, all",
        "y from below, one",
        "mirrored, all",
        "mirrored, one",
        "squeezed, all",
    ),
    *("x and y exchanged, all", "upside-down pictures, all", "half resolution, one", "cropped, all"),
    *("left and right exchanged, all", "left and right exchanged, one", "joints in another order, one"),
    *(
        "6 frames later",
        "45 frames later",
        "another person, one",
        "frames lost in the middle",
        "backwards, one",
    ),
    *("half the rate, one", "moved at half, 10 degrees"),
]
FROM_PEOPLE = {name: (JSON | FRAMES | PEOPLE)[name] for name in FROM_PEOPLE_TOO}


def every_corruption() -> list[Corruption]:
    """All of them, in the order in which the campaign draws from them."""
    tables = {
        **{"places": PLACES, "units": UNITS, "lenses": LENSES, "JSON": JSON},
        **{"frames": FRAMES, "people": PEOPLE, "stages": STAGES},
    }
    found = [
        Corruption(name, kind, "file", change)
        for kind, table in tables.items()
        for name, change in table.items()
    ]
    return found + [
        Corruption(name, "JSON, frames", "people", change) for name, change in FROM_PEOPLE.items()
    ]


# kinds of intact recordings
INTACT: dict[str, dict] = {
    "room": {},
    "close": {"radius": 2.6, "height": 1.6, "focal": 1000.0},
    "far": {"radius": 18.0, "height": 4.0, "focal": 2200.0},
    "two cameras": {"views": 2, "span": 2.8},
    "three cameras": {"views": 3},
    "eight cameras": {"views": 8},
    "ceiling": {"height": 4.5, "radius": 3.0, "focal": 1100.0},
    "several people": {"people": 3},
    "240 fps": {"fps": 240.0},
    "10 fps": {"fps": 10.0, "frames": 80},
    "4K": {"size": (3840, 2160), "focal": 2800.0},
    "small pictures": {
        "size": (640, 480),
        "focal": 500.0,
        "noise": replace(NOISE, sigma=2.0, outlier_px=40.0),
    },
    "walking": {"kind": "gait"},
    "half circle": {"span": np.pi},
    "poor detector": {"noise": replace(NOISE, sigma=9.0, outlier_rate=0.06, missing_rate=0.1)},
}
