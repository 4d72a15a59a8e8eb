import pytest

from coview.capture.board.videos import board_folders, films_of, find_films, instants


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_videos_folders_and_single_pictures(tmp_path):
    touch(
        tmp_path, "cam_2.mp4", "int_cam01_img/b_2.jpg", "int_cam01_img/b_10.jpg", "cam03_ext.png", "notes.txt"
    )
    films = find_films(tmp_path)
    assert {name: film.is_video for name, film in films.items()} == {
        "cam_2": True,
        "cam01": False,
        "cam03": False,
    }
    assert [path.name for path in films["cam01"].files] == ["b_2.jpg", "b_10.jpg"]
    matched = films_of(films, ["cam1", "cam2"], tmp_path)
    assert matched["cam2"].files[0].name == "cam_2.mp4"


def test_projects_hold_both_kinds(tmp_path):
    touch(tmp_path, "calibration/extrinsic/cam_0.mp4", "calibration/intrinsic/cam_0.mp4")
    base = tmp_path / "calibration"
    assert board_folders(tmp_path) == (base / "extrinsic", base / "intrinsic")
    assert board_folders(base / "extrinsic") == (base / "extrinsic", None)


def test_what_is_no_film_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder"):
        find_films(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"one video per camera"):
        find_films(tmp_path)
    touch(tmp_path, "left.mp4", "left_ext.mp4")
    with pytest.raises(ValueError, match=r"more than one video or folder is of camera left"):
        find_films(tmp_path)
    with pytest.raises(ValueError, match=r"never matches by position"):
        films_of(find_films_of_one(tmp_path), ["north"], tmp_path)


def find_films_of_one(folder):
    (folder / "left_ext.mp4").unlink()
    return find_films(folder)


def test_caliscopes_times(tmp_path):
    path = tmp_path / "timestamps.csv"
    assert instants(tmp_path, ["cam_0"], [3]) is None
    path.write_text(
        "sync_index,cam_id,frame_index,frame_time\n7,0,26,1.0\n7,1,26,1.01\n8,0,27,1.2\n9,0,28,1.4\n9,1,27,1.41\n"
    )
    assert instants(tmp_path, ["cam_0", "cam_1"], [3, 2]) == [{0: 0, 1: 1, 2: 2}, {0: 0, 1: 2}]
    with pytest.raises(ValueError, match=r"2 rows of camera 'cam_1' and its video 5 frames"):
        instants(tmp_path, ["cam_0", "cam_1"], [3, 5])


def test_times_without_an_index_go_to_the_nearest(tmp_path):
    rows = [
        "cam_id,frame_time",
        *(f"0,{t}" for t in (0.0, 0.1, 0.2, 0.3)),
        *(f"1,{t}" for t in (0.11, 0.19, 0.32)),
    ]
    (tmp_path / "timestamps.csv").write_text("\n".join(rows))
    assert instants(tmp_path, ["cam_0", "cam_1"], [4, 3])[1] == {0: 1, 1: 2, 2: 3}
