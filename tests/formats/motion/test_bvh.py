"""BVH: places by hand for every detail of the format, a slow twin, and what is wrong with broken files."""

import numpy as np
import pytest
import torch

from coview.formats.motion.bvh import joint_positions, read_bvh

ARM = """HIERARCHY
ROOT Hips
{
  OFFSET 1 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT Upper Arm {
    OFFSET 0 2 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 0 3
    }
  }
}
MOTION
Frames: 2
Frame Time: .04
0 0 0  0 0 0  0 0 0
10 20 30  90 0 0  0 90 0
"""


def written(tmp_path, text: str):
    path = tmp_path / "a.bvh"
    path.write_text(text)
    return path


def test_places_by_hand(tmp_path):
    bvh = read_bvh(written(tmp_path, ARM))
    assert bvh.joints == ("Hips", "Upper Arm", "Upper Arm_end")
    assert bvh.parents == (-1, 0, 1)
    assert bvh.fps == 25.0
    points = joint_positions(bvh)
    assert points[0].tolist() == [[1, 0, 0], [1, 2, 0], [1, 2, 3]]
    # root at 1+10; a quarter turn about z takes (0,2,0) to (-2,0,0). In the arm, a quarter turn about x takes (0,0,3)
    # to (0,-3,0), which the root's turn takes to (3,0,0)
    expected = torch.tensor([[11.0, 20, 30], [9, 20, 30], [12, 20, 30]], dtype=torch.float64)
    torch.testing.assert_close(points[1], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("order", "place"),
    [
        ("Z X Y", (-1, 0, 0)),  # Ry: x to -z, Rx: -z to y, Rz: y to -x
        ("X Y Z", (0, 0, 1)),  # Rz: x to y, Ry: y stays, Rx: y to z
        ("Y X Z", (1, 0, 0)),  # Rz: x to y, Rx: y to z, Ry: z to x
    ],
)
def test_the_first_channel_is_the_outermost_turn(tmp_path, order, place):
    channels = " ".join(f"{axis}rotation" for axis in order.split())
    text = (
        f"HIERARCHY\nROOT a\n{{\nOFFSET 0 0 0\nCHANNELS 3 {channels}\nEnd Site\n{{\nOFFSET 1 0 0\n}}\n}}\n"
        "MOTION\nFrames: 1\nFrame Time: 1\n90 90 90\n"
    )
    found = joint_positions(read_bvh(written(tmp_path, text)))[0, 1]
    np.testing.assert_allclose(found.numpy(), place, atol=1e-12)


def test_position_channels_of_a_limb_take_the_place_of_its_offset(tmp_path):
    text = ARM.replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 1 Yposition")
    text = text.replace("0 0 0  0 0 0  0 0 0", "0 0 0  0 0 0  5").replace("90 0 0  0 90 0", "0 0 0  7")
    points = joint_positions(read_bvh(written(tmp_path, text)))
    assert points[0, 1].tolist() == [1, 5, 0]
    assert points[1, 1].tolist() == [11, 27, 30]


def test_the_slow_textbook_twin(shared_data):
    bvh = read_bvh(shared_data / "mocap_cmu" / "raw_samples" / "131_01.bvh")
    assert (len(bvh.joints), tuple(bvh.motion.shape)) == (38, (994, 96))
    assert bvh.fps == pytest.approx(120, abs=1e-3)
    fast = joint_positions(bvh)
    for frame in (0, 500, 993):
        values = iter(np.radians(bvh.motion[frame].numpy()))
        worlds: list[np.ndarray] = []
        for joint, parent in enumerate(bvh.parents):
            local = np.eye(4)
            local[:3, 3] = bvh.offsets[joint].numpy()
            for name in bvh.channels[joint]:
                value = next(values)
                a, (i, j) = "XYZ".index(name[0]), {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[name[0]]
                step = np.eye(4)
                if name.endswith("position"):
                    step[a, 3] = np.degrees(value)
                else:
                    step[i, i] = step[j, j] = np.cos(value)
                    step[j, i], step[i, j] = np.sin(value), -np.sin(value)
                local = local @ step
            worlds.append(local if parent < 0 else worlds[parent] @ local)
        slow = np.stack([world[:3, 3] for world in worlds])
        np.testing.assert_allclose(fast[frame].numpy(), slow, atol=1e-9)


BROKEN = {
    "not BVH": (
        "HIERARCHY",
        "TREE",
        r"a\.bvh is not a whole BVH file: it should have the lines HIERARCHY and",
    ),
    "no motion": (ARM[ARM.index("MOTION") :], "", "is not a whole BVH file"),
    "cut in the last frame": (
        " 0 90 0\n",
        " 0 9",
        r"line 19: a frame has 9 numbers by the hierarchy, and here are 8",
    ),
    "frames missing": (
        "Frames: 2",
        "Frames: 3",
        r"line 16: 3 frames are promised and 2 are there\. The file was cut",
    ),
    "frames too many": ("Frames: 2", "Frames: 1", "1 frames are promised and 2 are there"),
    "an absurd count": ("Frames: 2", "Frames: 99999999999999", "are promised and 2 are there"),
    "no count": ("Frames: 2", "Frames: many", "line 16: the count of frames holds a word that is no number"),
    "no time": ("Frame Time: .04", "Frame Time: 0", "line 17: a Frame Time of 0 s is impossible"),
    "NaN": ("10 20 30", "10 nan 30", "line 19: a frame holds NaN or infinity, from which no place follows"),
    "text": ("10 20 30", "10 x 30", "line 19: a frame holds a word that is no number: could not convert"),
    "an unknown channel": ("Zrotation X", "Wrotation X", "line 8: CHANNELS should be a count and as many of"),
    "a wrong channel count": ("CHANNELS 3", "CHANNELS 4", "line 8: CHANNELS should be a count"),
    "an offset too short": ("OFFSET 0 2 0", "OFFSET 0 2", "line 7: an OFFSET has 3 numbers"),
    "no offset": ("    OFFSET 0 2 0\n", "", "line 12: joint 'Upper Arm' has no OFFSET"),
    "a brace missing": (
        "  }\n}\nMOTION",
        "  }\nMOTION",
        "line 14: MOTION begins, and 1 joints are still open",
    ),
    "two of a name": ("JOINT Upper Arm", "JOINT Hips", "line 6: two joints are called 'Hips'"),
    "two people": (
        "JOINT Upper Arm",
        "ROOT Other",
        "line 6: ROOT 'Other' here: a file of one person has one ROOT",
    ),
    "a strange word": ("OFFSET 0 2 0", "OFFXET 0 2 0", "line 7: 'OFFXET' is no word of BVH's hierarchy"),
    "a word outside": ("ROOT Hips", "OFFSET 1 2 3\nROOT Hips", "line 2: 'OFFSET 1 2 3' belongs to no joint"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_files_say_where_and_what_to_do(tmp_path, fault):
    old, new, message = BROKEN[fault]
    assert old in ARM
    with pytest.raises(ValueError, match=message):
        read_bvh(written(tmp_path, ARM.replace(old, new, 1)))


def test_a_missing_file_and_a_binary_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_bvh(tmp_path / "none.bvh")
    (tmp_path / "b.bvh").write_bytes(b"HIERARCHY\n\xff\xfe")
    with pytest.raises(ValueError, match=r"b\.bvh, line 2: byte 0xff is not UTF-8 text"):
        read_bvh(tmp_path / "b.bvh")


def test_an_unknown_joint_names_those_there_are(tmp_path):
    with pytest.raises(LookupError, match=r"has no joint 'Knee'\. It has: Hips, Upper Arm, Upper Arm_end"):
        read_bvh(written(tmp_path, ARM)).index("Knee")
