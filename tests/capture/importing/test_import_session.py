"""From a folder to a session: the layouts, all or nothing, safe to repeat, and every bad input."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from coview.cameras import Cameras
from coview.capture.importing.import_session import import_session
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import nearest_pictures
from coview.skeletons import BODY_25B, COCO_17

SIZE = (64, 48)


def frame(person=None) -> str:
    people = [] if person is None else [{"pose_keypoints_2d": person}]
    return json.dumps({"version": 1.3, "people": people})


# COCO's 17 joints of somebody who stands, as shares of the height
STANDING = [
    *(
        (0.5, 0.1),
        (0.52, 0.08),
        (0.48, 0.08),
        (0.54, 0.09),
        (0.46, 0.09),
        (0.6, 0.2),
        (0.4, 0.2),
        (0.65, 0.35),
    ),
    *(
        (0.35, 0.35),
        (0.66, 0.5),
        (0.34, 0.5),
        (0.56, 0.5),
        (0.44, 0.5),
        (0.56, 0.73),
        (0.44, 0.73),
        (0.56, 0.95),
    ),
    (0.44, 0.95),
]


def person(seed: int) -> list[float]:
    generator = np.random.default_rng(seed)
    places = (
        np.array(STANDING) * 40 + generator.uniform((-10, 0), (20, 4)) + generator.normal(0, 0.3, (17, 2))
    )
    return np.hstack([places, generator.uniform(0.2, 1, (17, 1))]).flatten().tolist()


def video(path: Path, frames=5, fps=25, size=SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        black = av.VideoFrame.from_ndarray(np.zeros((size[1], size[0], 3), dtype=np.uint8), format="rgb24")
        for _ in range(frames):
            black.pts = None
            for packet in stream.encode(black):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def pose2sim(root: Path, frames=5, cameras=("cam01", "cam02"), videos=True) -> Path:
    for number, camera in enumerate(cameras):
        folder = root / "pose" / f"{camera}_json"
        folder.mkdir(parents=True)
        for n in range(frames):
            (folder / f"{camera}.{n:04d}.json").write_text(frame(person(100 * number + n)))
        if videos:
            video(root / "videos" / f"{camera}.mp4", frames)
    return root


def calibration(path: Path, names=("cam_01", "cam_02"), size=SIZE) -> Path:
    views = len(names)
    matrix = (
        torch.tensor([[60.0, 0, size[0] / 2], [0, 60, size[1] / 2], [0, 0, 1]]).double().repeat(views, 1, 1)
    )
    pose = torch.eye(3, 4).double().repeat(views, 1, 1)
    pose[:, 0, 3] = torch.arange(views) * 3.0
    sizes = torch.tensor(size).double().repeat(views, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_calibration(Calibration(tuple(names), Cameras.make(matrix, pose, sizes)), path)
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


# --- layouts -------------------------------------------------------------------------------------


def test_pose2sim_layout(tmp_path):
    src = pose2sim(tmp_path / "project" / "trial")
    calibration(tmp_path / "project" / "calibration" / "Calib.toml")
    made = import_session(src, tmp_path / "s")
    assert made == Session.load(tmp_path / "s")
    assert (made.name, made.fps, made.skeleton, made.camera_names) == ("s", 25.0, COCO_17, ("cam01", "cam02"))
    assert made.sizes == (SIZE, SIZE)
    assert made.cameras[0].video == src / "videos" / "cam01.mp4"
    assert made.detections().joints.shape == (2, 5, 1, 17, 2)
    assert made.detections().joints[1, 3, 0, 0].tolist() == pytest.approx(person(103)[:2], abs=1e-4)
    assert made.provenance["calibration_source"].endswith("Calib.toml")
    assert not made.calibration_path.exists(), "a calibration is installed by `calibrate`, not by `import`"


def test_plain_folder_of_videos_and_json(tmp_path):
    src = tmp_path / "plain"
    for camera in ("left", "right"):
        video(src / f"{camera}.mp4")
        people = [np.reshape(person(n), (17, 3)).tolist() for n in range(5)]
        (src / f"{camera}.json").write_text(json.dumps({"frames": [{"people": [p]} for p in people]}))
    calibration(src / "rig.toml", ("left", "right"))
    made = import_session(src, tmp_path / "s")
    assert made.camera_names == ("left", "right")
    assert made.provenance["calibration_source"] == str(src / "rig.toml")


def test_without_videos(tmp_path):
    made = import_session(pose2sim(tmp_path / "t", videos=False), tmp_path / "s")
    assert made.sizes == (None, None)
    assert made.fps == 30
    assert "A GUESS" in made.provenance["fps"]


def test_into_the_recording_itself(tmp_path):
    src = pose2sim(tmp_path / "t")
    made = import_session(src, src)
    assert 'video = "videos/cam01.mp4"' in (src / "session.toml").read_text()
    assert import_session(src, src) == made, "the session's own files do not count as a source"


def test_copied_videos(tmp_path):
    src = pose2sim(tmp_path / "t")
    made = import_session(src, tmp_path / "s", copy_videos=True)
    assert made.cameras[0].video == tmp_path / "s" / "videos" / "cam01.mp4"
    assert made.cameras[0].video.read_bytes() == (src / "videos" / "cam01.mp4").read_bytes()


def test_options(tmp_path):
    src = pose2sim(tmp_path / "t")
    given = calibration(tmp_path / "elsewhere" / "c.toml")
    made = import_session(src, tmp_path / "s", skeleton="h36m_17", fps=50.0, calibration=given)
    assert (made.skeleton.name, made.fps) == ("h36m_17", 50)
    assert made.provenance["calibration_source"] == str(given)


# --- all or nothing, again and again -------------------------------------------------------------


def test_importing_again_changes_nothing(tmp_path):
    src = pose2sim(tmp_path / "t")
    import_session(src, tmp_path / "s")
    before = everything(tmp_path / "s")
    import_session(src, tmp_path / "s")
    assert everything(tmp_path / "s") == before


def test_a_changed_recording_asks_for_overwrite_and_deletes_nothing(tmp_path):
    src = pose2sim(tmp_path / "t")
    import_session(src, tmp_path / "s")
    before = everything(tmp_path / "s")
    (src / "pose" / "cam01_json" / "cam01.0002.json").write_text(frame(person(999)))
    with pytest.raises(FileExistsError, match=r"already holds a session, imported from .*t; .*--overwrite"):
        import_session(src, tmp_path / "s")
    assert everything(tmp_path / "s") == before
    made = import_session(src, tmp_path / "s", overwrite=True)
    assert made.detections().joints[0, 2, 0, 0].tolist() == pytest.approx(person(999)[:2], abs=1e-4)
    [aside] = (tmp_path / "s").glob("replaced-*")
    assert everything(aside) == before


def test_trained_models_outlive_the_recording_and_that_is_said(tmp_path):
    src = pose2sim(tmp_path / "t")
    assert "warning_models" not in import_session(src, tmp_path / "s").provenance
    (tmp_path / "s" / "models" / "canonpose_session").mkdir(parents=True)
    (src / "pose" / "cam01_json" / "cam01.0002.json").write_text(frame(person(999)))
    made = import_session(src, tmp_path / "s", overwrite=True)
    assert (made.models_dir / "canonpose_session").is_dir()
    said = made.provenance["warning_models"]
    assert said.startswith("canonpose_session in ")
    assert "trained on the recording that was replaced, and kept" in said


@pytest.mark.parametrize(
    "where",
    ["coview.capture.importing.import_session.write_detections", "coview.formats.session.session.write_text"],
)
def test_a_failed_import_leaves_no_half_session(tmp_path, monkeypatch, where):
    src = pose2sim(tmp_path / "t")
    before = everything(tmp_path)

    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, fails)
    with pytest.raises(KeyboardInterrupt):
        import_session(src, tmp_path / "s")
    assert everything(tmp_path) == before
    assert not (tmp_path / "s").exists()
    monkeypatch.undo()
    import_session(src, tmp_path / "s")


# --- bad input: a clear message, and nothing is left behind ---------------------------------------


def refused(src: Path, message: str, error=ValueError, **options) -> None:
    target = src.parent / "refused"
    with pytest.raises(error, match=message):
        import_session(src, target, **options)
    assert not target.exists()
    assert not [p for p in src.parent.iterdir() if "importing" in p.name]


def test_an_empty_folder(tmp_path):
    (tmp_path / "t").mkdir()
    refused(tmp_path / "t", r"t is empty\. Expected is a folder with 2D joints")


def test_one_camera(tmp_path):
    refused(pose2sim(tmp_path / "t", cameras=("cam01",)), r"one camera only \(cam01\).*two or more")


def test_an_unreadable_video(tmp_path):
    src = pose2sim(tmp_path / "t")
    (src / "videos" / "cam02.mp4").write_bytes(b"this is no video")
    refused(src, r"cam02.mp4 is not a readable video: .*Play it in a video player")


def test_without_videos_the_calibration_says_the_image_size(tmp_path):
    src = pose2sim(tmp_path / "t", videos=False)
    calibration(src / "calibration" / "c.toml")
    made = import_session(src, tmp_path / "s")
    assert made.sizes == Session.load(tmp_path / "s").sizes == (SIZE, SIZE)
    assert made.provenance["image_sizes"] == "of cam01, cam02 from the calibration"
    video(src / "videos" / "cam01.mp4")
    some = import_session(src, tmp_path / "some")
    assert some.sizes == (SIZE, SIZE)
    assert some.provenance["image_sizes"] == "of cam02 from the calibration"


def test_a_calibration_of_smaller_images_than_the_joints_lie_in_says_nothing(tmp_path):
    src = pose2sim(tmp_path / "t", videos=False)
    given = calibration(src / "calibration" / "c.toml", size=(SIZE[0] // 2, SIZE[1] // 2))
    made = import_session(src, tmp_path / "s")
    assert made.sizes == (None, None)
    assert "is calibrated for images of 32×24 pixels" in made.provenance["calibration_skipped"]
    assert not {"calibration_source", "image_sizes"} & made.provenance.keys()
    refused(src, r"c\.toml: camera 'cam01' .* 32×24 .* of its 2D joints lie outside", calibration=given)


def test_no_people_in_some_frames_is_fine(tmp_path):
    src = pose2sim(tmp_path / "t")
    for n, text in enumerate(['{"people": []}', '{"people": {}}', '{"people": [{}]}']):
        (src / "pose" / "cam01_json" / f"cam01.{n:04d}.json").write_text(text)
    detections = import_session(src, tmp_path / "s").detections()
    assert detections.joints[0, :3].isnan().all()
    assert (detections.confidence[0, :3] == 0).all()
    assert detections.joints[0, 3:].isfinite().all()


def test_no_people_in_any_frame(tmp_path):
    src = pose2sim(tmp_path / "t")
    for file in (src / "pose" / "cam01_json").iterdir():
        file.write_text(frame())
    refused(src, r"cam01_json: nobody is in any of the 5 frames")


def test_nan_and_zero_confidences(tmp_path):
    src = pose2sim(tmp_path / "t")
    numbers = person(7)
    numbers[2], numbers[3], numbers[6:9] = 0.0, float("nan"), [0.0, 0.0, 0.0]
    (src / "pose" / "cam01_json" / "cam01.0001.json").write_text(frame(numbers))
    detections = import_session(src, tmp_path / "s").detections()
    assert detections.joints[0, 1, 0, :3].isnan().all()
    assert detections.confidence[0, 1, 0, :4].tolist() == [0, 0, 0, pytest.approx(numbers[11], abs=1e-5)]


def test_mismatched_frame_counts(tmp_path):
    src = pose2sim(tmp_path / "t", videos=False)
    for n in (2, 3, 4):
        (src / "pose" / "cam02_json" / f"cam02.{n:04d}.json").unlink()
    # a file without people: this program writes one for every frame, so the end of the files is the recording's
    (src / "pose" / "cam01_json" / "cam01.0001.json").write_text(frame())
    refused(src, r"different numbers of frames: cam01 5, cam02 2\. .*--allow-unequal")
    made = import_session(src, tmp_path / "s", allow_unequal=True)
    assert made.frames == 2
    assert "cut to the shortest camera (cam01 5, cam02 2)" in made.provenance["frames"]


def test_somebody_who_leaves_one_camera_early_is_blank_there(tmp_path):
    src = pose2sim(tmp_path / "t")
    for n in (0, 2, 3, 4):
        (src / "pose" / "cam02_json" / f"cam02.{n:04d}.json").unlink()
    made = import_session(src, tmp_path / "s")
    seen = made.detections().confidence.amax(dim=(2, 3)) > 0
    assert seen.tolist() == [[True] * 5, [False, True, False, False, False]]
    assert "frames without a file, left empty: cam02 3" in made.provenance["frames"]


def test_an_early_end_beside_a_shorter_video_is_another_recording(tmp_path):
    src = pose2sim(tmp_path / "t", frames=9)
    for n in range(5, 9):
        (src / "pose" / "cam02_json" / f"cam02.{n:04d}.json").unlink()
    video(src / "videos" / "cam02.mp4", 5)
    refused(src, r"cam01 9, cam02 5 \(their videos: cam01 9, cam02 5 pictures\)")


def test_a_take_without_files_for_empty_frames_is_the_take_with_them(tmp_path):
    made = []
    for name, keep in (("with", True), ("without", False)):
        src = pose2sim(tmp_path / name, frames=12, videos=False)
        for camera, gone in (("cam01", range(4, 6)), ("cam02", [*range(3), *range(9, 12)])):
            for n in gone:
                file = src / "pose" / f"{camera}_json" / f"{camera}.{n:04d}.json"
                file.write_text(frame()) if keep else file.unlink()
        made.append(import_session(src, tmp_path / f"s_{name}", fps=25.0))
    one, other = made
    assert torch.equal(one.detections().confidence, other.detections().confidence)
    assert one.first_frame == other.first_frame == 0


def numbered(src: Path, camera: str, first: int) -> None:
    """Renumber the files of a camera so that they begin at `first`."""
    folder = src / "pose" / f"{camera}_json"
    for n, file in sorted(enumerate(sorted(folder.iterdir())), reverse=True):
        file.rename(folder / f"{camera}.{n + first:04d}.json")


def test_the_number_of_the_first_frame_is_kept(tmp_path):
    src = pose2sim(tmp_path / "t")
    for camera in ("cam01", "cam02"):
        numbered(src, camera, 40)
        video(src / "videos" / f"{camera}.mp4", 60)
    made = import_session(src, tmp_path / "s")
    assert (made.first_frame, made.frames) == (40, 5)
    assert [camera.first_picture for camera in made.cameras] == [40, 40]
    assert Session.load(made.path) == made
    assert nearest_pictures(made).tolist() == [[n, n] for n in range(40, 45)]


def test_a_video_cut_to_the_files_begins_with_the_first_of_them(tmp_path):
    src = pose2sim(tmp_path / "t")
    for camera in ("cam01", "cam02"):
        numbered(src, camera, 1000)
    made = import_session(src, tmp_path / "s")
    assert made.first_frame == 1000
    assert nearest_pictures(made).tolist() == [[n, n] for n in range(5)]


@pytest.mark.parametrize("videos", [True, False])
def test_files_numbered_from_0_and_from_1_are_one_row(tmp_path, videos):
    src = pose2sim(tmp_path / "t", videos=videos)
    numbered(src, "cam02", 1)
    made = import_session(src, tmp_path / "s")
    assert made.frames == 5
    assert bool((made.detections().confidence[..., 0] > 0).all())
    assert "cam02 are numbered from 1" in made.provenance["warning_frames_1"]


def test_a_rate_of_30000_over_1001_beside_30_moves_the_joints(tmp_path):
    src = pose2sim(tmp_path / "t", frames=300, videos=False)
    for camera, fps, size in (("cam01", 30, SIZE), ("cam02", Fraction(30000, 1001), SIZE)):
        walk = [[5 + n * 30 / (300 * float(fps)) + j, 8 + 2 * j, 0.9] for n in range(300) for j in range(17)]
        rows = np.array(walk).reshape(300, -1)
        for n, row in enumerate(rows):
            (src / "pose" / f"{camera}_json" / f"{camera}.{n:04d}.json").write_text(frame(row.tolist()))
        video(src / "videos" / f"{camera}.mp4", 300, fps, size)
    made = import_session(src, tmp_path / "s")
    assert made.fps == 30
    joints = made.detections().joints[:, :, 0]
    # both show one walk: after 299 frames at the slower rate 0.3 frames later, 0.03 pixels
    assert float((joints[0] - joints[1]).abs().max()) < 2e-3
    assert "cam02 29.97" in made.provenance["warning_times"]
    assert nearest_pictures(made)[-1].tolist() == [299, 299]


def varying_video(path: Path, milliseconds) -> None:
    """A video whose pictures are shown at given times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for time in milliseconds:
            black = av.VideoFrame.from_ndarray(np.zeros((*SIZE[::-1], 3), dtype=np.uint8), format="rgb24")
            black.pts, black.time_base = int(time), Fraction(1, 1000)
            for packet in stream.encode(black):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_varying_rate_goes_by_the_time_at_which_pictures_are_shown(tmp_path, ending):
    src = pose2sim(tmp_path / "t", frames=1, videos=False)
    steady = np.arange(60) * 40
    # a picture is lost after the tenth, and the rest comes unevenly
    uneven = np.where(np.arange(60) > 10, 40 * (np.arange(60) + 1), 40 * np.arange(60))
    uneven[20:50] += np.random.default_rng(0).integers(-15, 15, 30)
    for camera, times in (("cam01", steady), ("cam02", uneven)):
        for n, time in enumerate(times):
            walk = [[5 + time / 100 + j, 8 + 2 * j, 0.9] for j in range(17)]
            (src / "pose" / f"{camera}_json" / f"{camera}.{n:04d}.json").write_text(
                frame([v for joint in walk for v in joint])
            )
    varying_video(src / "videos" / f"cam01.{ending}", steady)
    varying_video(src / "videos" / f"cam02.{ending}", uneven)
    made = import_session(src, tmp_path / "s")
    assert made.fps == pytest.approx(25)
    assert [camera.by_time for camera in made.cameras][1]
    joints = made.detections().joints[:, :, 0]
    both = joints.isfinite().all(dim=(0, 2, 3))
    assert float(both.double().mean()) > 0.9
    assert float((joints[0] - joints[1])[both].abs().max()) < 0.02
    # a picture fewer since the one that was lost
    assert nearest_pictures(made)[[5, 15, 55]].tolist() == [[5, 5], [15, 14], [55, 54]]


def test_swapped_width_and_height(tmp_path):
    src = pose2sim(tmp_path / "t")
    given = calibration(tmp_path / "c.toml", size=(SIZE[1], SIZE[0]))
    refused(src, r"'cam01'.*48×64.*64×48: width and height are exchanged", calibration=given)


def test_a_left_handed_rotation(tmp_path):
    src = pose2sim(tmp_path / "t")
    given = calibration(tmp_path / "c.toml")
    text = given.read_text().replace(
        "rotation = [0.0, 0.0, 0.0]", "rotation = [[1, 0, 0], [0, 1, 0], [0, 0, -1]]"
    )
    given.write_text(text)
    refused(src, r"camera 'cam_01': the rotation is left-handed \(determinant -1.000", calibration=given)


def test_a_calibration_for_other_cameras(tmp_path):
    src = pose2sim(tmp_path / "t")
    given = calibration(tmp_path / "c.toml", ("left", "right"))
    refused(
        src,
        r"no camera cam01, cam02\. .*: cam01, cam02; .*: left, right .*never by pos|never matches",
        calibration=given,
    )


def test_an_unclear_unit_does_not_stop_the_import(tmp_path):
    src = pose2sim(tmp_path / "t")
    given = calibration(tmp_path / "c.toml")
    text = (
        given.read_text().replace('units = "m"\n', "").replace("translation = [3.0", "translation = [120.0")
    )
    given.write_text(text)
    made = import_session(src, tmp_path / "s", calibration=given)
    assert "120 apart (median): that fits no unit well" in made.provenance["calibration_notes"]
    assert "--units" in made.provenance["calibration_notes"]


def test_a_calibration_found_nearby_that_does_not_fit_is_only_noted(tmp_path):
    src = pose2sim(tmp_path / "t")
    calibration(src / "calibration" / "c.toml", ("left", "right"))
    made = import_session(src, tmp_path / "s")
    assert "calibration_source" not in made.provenance
    assert "no camera cam01, cam02" in made.provenance["calibration_skipped"]


def test_duplicate_camera_names(tmp_path):
    src = pose2sim(tmp_path / "t", cameras=("cam01", "Cam01"), videos=False)
    refused(src, r"two cameras are named cam01")


def test_a_broken_json(tmp_path):
    src = pose2sim(tmp_path / "t")
    (src / "pose" / "cam02_json" / "cam02.0003.json").write_text('{"people": [')
    refused(src, r"cam02.0003.json, line 1, column 13: not valid JSON")


def test_different_frame_rates(tmp_path):
    src = pose2sim(tmp_path / "t")
    video(src / "videos" / "cam02.mp4", fps=50)
    refused(src, r"different frame rates: cam01 25, cam02 50")


def test_an_unknown_skeleton(tmp_path):
    refused(pose2sim(tmp_path / "t"), "no skeleton 'cocoa'", LookupError, skeleton="cocoa")


def test_a_malicious_npz_as_joints(tmp_path):
    src, harm = tmp_path / "t", tmp_path / "harm"
    (src / "joints2d").mkdir(parents=True)

    class Harmful:
        def __reduce__(self):
            return Path.mkdir, (harm,)

    for camera in ("a", "b"):
        np.savez(src / "joints2d" / f"{camera}.npz", joints=np.array([Harmful()], dtype=object))
    refused(src, r"a.npz is not an npz file of plain arrays.*refused")
    assert not harm.exists()


# --- the real recording --------------------------------------------------------------------------


def test_the_sample_recording(tmp_path, shared_data):
    made = import_session(shared_data / "pose2sim_single" / "balancing", tmp_path / "s")
    assert (made.fps, made.skeleton, made.frames) == (60.0, BODY_25B, 100)
    assert made.camera_names == ("cam01", "cam02", "cam03", "cam04")
    # the trap of this recording: cameras 1 and 2 were filmed 1080 pixels wide and calibrated for 1088
    assert made.sizes == ((1080, 1920), (1080, 1920), (1088, 1920), (1088, 1920))
    assert made.provenance["calibration_notes"].count("UNCHANGED") == 2
    assert made.provenance["joints"] == "pose-associated; not used: pose"
    detections = made.detections()
    assert detections.joints.shape == (4, 100, 1, 25, 2)
    with np.load(shared_data / "pose2sim_single" / "balancing" / "balancing_arrays.npz") as arrays:
        expected = torch.from_numpy(arrays["kp2d"]).nan_to_num()
    found = torch.cat([detections.joints, detections.confidence[..., None]], dim=-1).nan_to_num()
    torch.testing.assert_close(found[:, :, 0], expected * (expected[..., 2:] > 0), atol=1e-3, rtol=0)


def test_eleven_video_frames_and_twelve_of_joints(tmp_path, shared_data):
    made = import_session(shared_data / "pose2sim_single" / "static", tmp_path / "s")
    assert made.frames == 12
    assert "warning_lengths" not in made.provenance


# --- what the 2D joints are -----------------------------------------------------------------------


def shares(of) -> list[float]:
    joints = np.reshape(person(0), (17, 3))
    joints[:, :2] = of(joints[:, :2] / SIZE)
    return joints.flatten().tolist()


@pytest.mark.parametrize(("kind", "of"), [("unit", lambda xy: xy), ("signed", lambda xy: 2 * xy - 1)])
def test_shares_of_the_image_are_refused_and_read_when_asked(tmp_path, kind, of):
    src = pose2sim(tmp_path / "t", videos=False)
    for file in (src / "pose").glob("*/*.json"):
        file.write_text(frame(shares(of)))
    refused(src, rf"camera 'cam01': .* no pixels .*--normalised {kind} and --image-size WIDTH HEIGHT")
    refused(src, "size of the image is not known", normalised=kind)
    made = import_session(src, tmp_path / "s", normalised=kind, image_size=SIZE)
    assert made.sizes == (SIZE, SIZE)
    assert made.detections().joints[0, 0, 0, 0].tolist() == pytest.approx(person(0)[:2], abs=1e-3)


def test_joints_in_no_known_order_are_refused_and_taken_when_asked(tmp_path):
    src = pose2sim(tmp_path / "t", frames=12)
    order = np.random.default_rng(0).permutation(17)
    for n, file in enumerate(sorted((src / "pose").glob("*/*.json"))):
        file.write_text(frame(np.reshape(person(n), (17, 3))[order].flatten().tolist()))
    refused(src, r"17 joints, as .*coco_17.*, but in another order")
    made = import_session(src, tmp_path / "s", skeleton="coco_17")
    assert "A GUESS against the poses" in made.provenance["skeleton"]


@pytest.mark.parametrize(
    "names", [("_cam1", "_cam2"), ("IMG_0012 (1)", "IMG_0012 (2)"), ("cam [a], #1", "cam [b], #1")]
)
def test_any_name_that_a_disk_allows(tmp_path, names):
    src = pose2sim(tmp_path / "t", cameras=names)
    calibration(src / "rig.toml", names)
    made = import_session(src, tmp_path / "s")
    assert made.camera_names == names
    assert [camera.video.stem for camera in made.cameras] == list(names)
    assert made.provenance["calibration_source"].endswith("rig.toml")
    assert Session.load(tmp_path / "s").detections().joints.shape == (2, 5, 1, 17, 2)


def test_a_mac_s_letters_are_the_same_letters(tmp_path):
    src = pose2sim(tmp_path / "t", cameras=("Came\u0301ra 1", "Came\u0301ra 2"), videos=False)
    for name in ("Cam\u00e9ra 1", "Cam\u00e9ra 2"):
        video(src / "videos" / f"{name}.mp4")
    made = import_session(src, tmp_path / "s")
    assert made.camera_names == ("Cam\u00e9ra 1", "Cam\u00e9ra 2")
    assert all(camera.video is not None for camera in made.cameras)
