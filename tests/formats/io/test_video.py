"""Videos: size as shown, exact frame numbers, clear words for what cannot be read."""

import struct

import av
import numpy as np
import pytest

from coview.formats.io.video import probe, read_frames


def write_video(path, frames=6, size=(64, 48), fps=25):
    """Frames whose left half is white and whose right half tells the frame number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 20 * number, dtype=np.uint8)
            picture[:, : size[0] // 2] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def turned(source, target):
    """The same file with a rotation matrix in its track header, as phones write it: a quarter clockwise."""
    data = bytearray(source.read_bytes())
    at = data.find(b"tkhd") + 4 + 40  # version and flags, five words, eight bytes, four half-words
    data[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)
    target.write_bytes(data)
    return target


def test_probe(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4"))
    assert (info.size, info.fps, info.frames, info.rotation, info.uneven) == ((64, 48), 25.0, 6, 0, False)


def test_frames_have_exact_numbers(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    found = dict(read_frames(path, [4, 1, 99]))
    assert list(found) == [1, 4]
    for number, picture in found.items():
        assert picture.shape == (48, 64, 3)
        assert abs(int(picture[24, 50, 0]) - 20 * number) < 6
    assert list(read_frames(path, [])) == []


def test_a_rotation_flag_is_obeyed(tmp_path):
    path = turned(write_video(tmp_path / "a.mp4"), tmp_path / "b.mp4")
    info = probe(path)
    assert (info.size, info.rotation) == ((48, 64), -90)
    [(_, picture)] = read_frames(path, [0])
    assert picture.shape == (64, 48, 3)
    # turned clockwise, what was left is now on top (OpenCV shows this file the same way)
    assert picture[5, 24, 0] > 200
    assert picture[-5, 24, 0] < 50


@pytest.mark.parametrize("content", [b"", b"this is no video" * 100])
def test_unreadable_videos_are_named(tmp_path, content):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken.mp4 is not a readable video: .*convert it again"):
        probe(path)


def test_a_video_cut_off_before_its_first_frame(tmp_path):
    whole = write_video(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: whole.find(b"mdat")])
    with pytest.raises(ValueError, match=r"b.mp4"):
        probe(tmp_path / "b.mp4")


def test_a_missing_video(tmp_path):
    with pytest.raises(FileNotFoundError, match="no video"):
        probe(tmp_path / "nothing.mp4")


def test_sound_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        for packet in stream.encode(frame):
            container.mux(packet)
    with pytest.raises(ValueError, match="holds no video stream"):
        probe(tmp_path / "a.wav")


def test_real_videos(shared_data):
    # README of the recording: cam01 is 1080×1920 although calibrated as 1088×1920; cam02 is VP9
    folder = shared_data / "pose2sim_single" / "balancing" / "videos"
    assert [probe(folder / f"cam0{n}.mp4").size for n in (1, 2, 3)] == [
        (1080, 1920),
        (1080, 1920),
        (1088, 1920),
    ]
    assert [probe(folder / f"cam0{n}.mp4").frames for n in (1, 2)] == [100, 100]
