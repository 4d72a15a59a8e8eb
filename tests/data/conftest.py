"""A person of our own as a BVH file, for tests that need raw motion capture without any download."""

import math
from collections.abc import Callable

import pytest

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
