"""Raw motion capture and pictures of our own, for tests that need them without any download."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from coview.cameras import Cameras
from coview.data.human36m.prepare import prepare_labels
from coview.data.rendering.mesh_body import MeshBody, read_mesh
from coview.data.rendering.renderer import Tiles, context

# Offsets in centimetres; +Y up, facing +Z, so left is +X. Names as in conversions of CMU for Poser.
_TREE = """Hips 0 0 0 (
 LHipJoint 0 0 0 ( LeftHip 9 -10 0 ( LeftKnee 0 -42 2 ( LeftAnkle 0 -41 -3 ( LeftToe 0 -6 12 ( . 0 -1 6 ) ) ) ) )
 RHipJoint 0 0 0 ( RightHip -9 -10 0 ( RightKnee 0 -42 2 ( RightAnkle 0 -41 -3 ( RightToe 0 -6 12 ( . 0 -1 6 ) ) ) ) )
 lowerback 0 0 0 ( Chest 0 11 0 ( Chest2 0 11.5 -1 (
  lowerneck THORAX ( Neck 0 9 1 ( Head 0 9 0 ( . 0 9 0 ) ) )
  LeftCollar THORAX ( LeftShoulder 17 7 0 ( LeftElbow 0 -28 0 ( LeftWrist 0 -25 1 ( . 0 -8 0 ) ) ) )
  RightCollar THORAX ( RightShoulder -17 7 0 ( RightElbow 0 -28 0 ( RightWrist 0 -25 1 ( . 0 -8 0 ) ) ) ) ) ) ) )"""


def person_bvh(
    *,
    thorax: str = "0 11.6 0.3",
    frames: int = 120,
    fps: float = 120.0,
    scale: float = 1.0,
    mirrored: bool = False,
) -> str:
    """The text of a file: somebody who sways; lengths in cm times `scale`. Mirrored: x of every offset negated."""
    words = iter(_TREE.replace("THORAX", thorax).split())
    lines, joints, depth = ["HIERARCHY"], 0, 0
    for word in words:
        if word == ")":
            depth -= 1
            lines.append("}")
            continue
        numbers = [float(next(words)) * scale for _ in range(3)]
        numbers[0] *= -1 if mirrored else 1
        lines.append("End Site" if word == "." else f"{'JOINT' if depth else 'ROOT'} {word}")
        lines += ["{", "OFFSET " + " ".join(f"{number:.6f}" for number in numbers)]
        if word == ".":
            lines.append("}")
        else:
            place = "" if depth else "Xposition Yposition Zposition "
            lines.append(f"CHANNELS {3 if depth else 6} {place}Zrotation Yrotation Xrotation")
            joints += 1
        assert next(words) == "(" if word != "." else True
        depth += word != "."
    rows = [
        f"0 {95 * scale:.6f} {frame * 0.1 * scale:.6f} "
        + " ".join(f"{3 * (joint % 3) * (1 - math.cos(frame / 10)):.3f}" for joint in range(3 * joints))
        for frame in range(frames)
    ]
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1 / fps:.7f}", *rows]
    return "\n".join(lines) + "\n"


@pytest.fixture
def person() -> Callable[..., str]:
    """`person(thorax=…, frames=…, fps=…, scale=…, mirrored=…)`: the text of a BVH file of a made-up person."""
    return person_bvh


MARKED = (9, 0, 15)  # joint of LEARNABLE_17 that the picture of each of the three frames marks


@pytest.fixture
def human36m(tmp_path: Path, human36m_once: Path) -> Path:
    """A copy of the prepared folder, to be spoilt."""
    return Path(shutil.copytree(human36m_once, tmp_path / "human36m"))


@pytest.fixture(scope="session")
def human36m_once(
    tmp_path_factory: pytest.TempPathFactory, human36m_npy: Path, human36m_content: dict[str, Any]
) -> Path:
    """A prepared folder with a picture per row and view: black, with an orange spot where the lens shows a joint."""
    folder = tmp_path_factory.mktemp("human36m")
    prepare_labels(human36m_npy, folder)
    names = human36m_content["subject_names"]
    for number, row in enumerate(human36m_content["table"]):
        subject, frame = int(row["subject_idx"]), int(row["frame_idx"])
        for view, camera in enumerate(human36m_content["camera_names"]):
            values = human36m_content["cameras"][subject, view]
            place = folder / "processed" / names[subject] / "Walking-1" / "imageSequence" / camera
            place.mkdir(parents=True, exist_ok=True)
            at = seen_through_the_lens(row["keypoints"][MARKED[number % 3]], values)
            height = 1002 if view in (0, 3) else 1000
            cv2.imwrite(
                str(place / f"img_{frame + 1:06d}.jpg"), spot(at, height), [cv2.IMWRITE_JPEG_QUALITY, 97]
            )
    return folder


def seen_through_the_lens(point: np.ndarray, camera: np.void) -> np.ndarray:
    """The raw pixel of a world point (mm): Human3.6M's lens model written out term by term, in double precision."""
    x, y, z = camera["R"].astype(float) @ point.astype(float) + camera["t"][:, 0].astype(float)
    x, y = x / z, y / z
    k1, k2, p1, p2, k3 = camera["dist"].astype(float)
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent = x * radial + p1 * x * y + p2 * (x * x + r2), y * radial + p2 * x * y + p1 * (y * y + r2)
    return np.array(bent) * camera["K"].diagonal()[:2] + camera["K"][:2, 2]


def spot(at: np.ndarray, height: int) -> np.ndarray:
    """A picture (BGR) 1000 pixels wide with a soft orange spot; pixel centres are at whole numbers."""
    rows, columns = np.mgrid[0:height, 0:1000]
    bright = np.exp(-((columns - at[0]) ** 2 + (rows - at[1]) ** 2) / (2 * 5.0**2))
    return (bright[..., None] * [0, 128, 255]).round().astype(np.uint8)


@pytest.fixture(scope="session")
def egl() -> None:
    """The test draws; it skips, saying why, where that is not possible."""
    try:
        context()
    except (ModuleNotFoundError, OSError) as error:
        pytest.skip(f"nothing can be drawn here: {error}")


@pytest.fixture(scope="session")
def makehuman(shared_data: Path) -> MeshBody:
    """MakeHuman's mesh; the test skips where its file is absent."""
    path = shared_data / "makehuman_cc0" / "makehuman_cmu_rig.npz"
    if not path.is_file():
        pytest.skip(f"MakeHuman's mesh is not here ({path})")
    return read_mesh(path)


def plain_tiles(cameras: Cameras) -> Tiles:
    """Black surroundings, white ambient light, a perfect sensor."""
    count = len(cameras)
    return Tiles(
        cameras=cameras,
        seed=torch.zeros(count, dtype=torch.long),
        light=torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(count, 4),
        tone=torch.ones(count, 4),
        wall=torch.zeros(count, 2, 4),
        floor=torch.tensor([0.0, 0.0, 0.0, -1.0]).expand(count, 2, 4),
        shadow=torch.zeros(count, 2),
        slope=torch.zeros(count, 2),
        optics=torch.zeros(count, 2),
        tint=torch.ones(count, 4),
    )


@pytest.fixture(scope="session")
def plain():
    return plain_tiles
