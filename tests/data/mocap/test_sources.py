from pathlib import Path

import pytest

from coview.data.mocap.sources import find_sources


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_takes_with_their_skeleton_subject_and_split(tmp_path):
    touch(
        tmp_path,
        "all/02/02.asf",
        "all/02/02_10.amc",
        "all/02/02_9.AMC",
        "bvh/131_01.bvh",
        "zombie.amc",
        "zombie.asf",
    )
    found = {source.name: source for source in find_sources(tmp_path).sources}
    assert list(found) == ["cmu_02_09", "cmu_02_10", "cmu_131_01", "cmu_zombie"]
    assert found["cmu_02_09"].asf == tmp_path / "all" / "02" / "02.asf"
    assert (found["cmu_02_09"].subject, found["cmu_02_09"].split) == ("cmu02", "train")
    assert (found["cmu_131_01"].subject, found["cmu_131_01"].split) == ("cmu131", "test")
    assert found["cmu_131_01"].asf is None
    assert found["cmu_zombie"].asf == tmp_path / "zombie.asf"


def test_one_take_under_two_names_is_not_in_two_splits(tmp_path):
    touch(tmp_path, "02_01.bvh", "11_01.bvh", "12_01.bvh")
    for name in ("02_01.bvh", "02_02.bvh", "11_01.bvh"):
        (tmp_path / name).write_text("the same")
    found = find_sources(tmp_path)
    assert [source.name for source in found.sources] == ["cmu_02_01", "cmu_02_02", "cmu_12_01"]
    (told,) = found.passed_over
    assert told.startswith(
        f"{tmp_path / '11_01.bvh'} is not used: its content is that of {tmp_path / '02_01.bvh'},"
    )


def test_a_file_is_no_folder(tmp_path):
    touch(tmp_path, "02_01.bvh")
    with pytest.raises(NotADirectoryError, match=rf"02_01\.bvh is a file\. Give its folder, {tmp_path};"):
        find_sources(tmp_path / "02_01.bvh")


def test_one_person_is_in_one_split_however_its_number_is_written(tmp_path):
    touch(tmp_path, "11_01.bvh", "011_2.bvh")
    assert {(source.subject, source.split) for source in find_sources(tmp_path).sources} == {
        ("cmu11", "test")
    }


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("11_01_poses.bvh", "cmu_11_01_poses"),
        ("Subject11_01.bvh", "cmu_11_01"),
        ("subject_011_01.bvh", "cmu_11_01"),
        ("cmu_11_1.bvh", "cmu_11_01"),
        ("11_01b.bvh", "cmu_11_01b"),
        ("11_walk_fast.bvh", "cmu_11_walk_fast"),
        ("11.bvh", "cmu_11"),
    ],
)
def test_a_test_subject_never_trains_however_its_takes_are_called(tmp_path, file, name):
    touch(tmp_path, file)
    (source,) = find_sources(tmp_path).sources
    assert (source.name, source.subject, source.split) == (name, "cmu11", "test")


def test_a_name_without_a_number_is_a_subject_of_its_own_that_trains(tmp_path):
    touch(tmp_path, "walk_fast.bvh", "3d_walk.bvh", "110_01.bvh")
    found = {source.name: (source.subject, source.split) for source in find_sources(tmp_path).sources}
    assert found == {
        "cmu_walk_fast": ("cmu_walk", "train"),
        "cmu_3d_walk": ("cmu_3d", "train"),
        "cmu_110_01": ("cmu110", "train"),
    }


@pytest.mark.parametrize("asf", ["11.asf", "Subject11.asf", "011.ASF", "subject11_01b.asf", "cmu_11.asf"])
def test_the_skeleton_of_a_take_with_words_around_its_numbers(tmp_path, asf):
    touch(tmp_path, asf, "12.asf", "Subject11_01b.amc")
    assert find_sources(tmp_path).sources[0].asf == tmp_path / asf


def test_the_skeleton_may_lie_elsewhere_but_not_in_two_places(tmp_path):
    touch(tmp_path, "skeletons/7.asf", "motion/07_01.amc")
    assert find_sources(tmp_path).sources[0].asf == tmp_path / "skeletons" / "7.asf"
    touch(tmp_path, "others/07.asf")
    assert find_sources(tmp_path).sources[0].asf is None


def test_the_original_comes_before_its_conversion(tmp_path):
    touch(tmp_path, "b/02_01.bvh", "a/02_01.c3d", "z/02_01.amc")
    found = find_sources(tmp_path)
    assert [source.path.name for source in found.sources] == ["02_01.amc"]
    assert len(found.passed_over) == 2
    assert found.passed_over[0].endswith("02_01.bvh: 02_01.amc is the same take, and comes first")


def test_the_digest_depends_on_content_skeleton_and_settings(tmp_path):
    touch(tmp_path, "02.asf", "02_01.amc")
    digests = {find_sources(tmp_path).sources[0].digest("m")}
    digests.add(find_sources(tmp_path).sources[0].digest("cm"))
    (tmp_path / "02.asf").write_text("another")
    digests.add(find_sources(tmp_path).sources[0].digest("m"))
    assert len(digests) == 3


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere\. Give the folder with"):
        find_sources(tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"no \.amc, \.bvh or \.c3d file in .* docs/howto/data_sets\.md says where"
    ):
        find_sources(tmp_path)
