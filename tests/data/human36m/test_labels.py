import numpy as np
import pytest
import torch

from coview.data.human36m.labels import PREPARED, picture_folder, read_labels, write_labels
from coview.data.human36m.prepare import convert
from coview.formats.io.untrusted import read_npz


@pytest.fixture
def folder(tmp_path, human36m_npy):
    write_labels(convert(human36m_npy), tmp_path)
    return tmp_path


def spoilt(folder, **changes) -> None:
    arrays = {**read_npz(folder / PREPARED), **changes}
    np.savez(folder / PREPARED, **{name: value for name, value in arrays.items() if value is not None})


def test_written_and_read_again_is_the_same(folder, human36m_npy):
    before, after = convert(human36m_npy), read_labels(folder)
    for name, value in vars(before).items():
        assert torch.equal(value, getattr(after, name)) if isinstance(value, torch.Tensor) else True
    assert (before.subjects, before.actions, before.cameras) == (after.subjects, after.actions, after.cameras)
    assert [path.name for path in folder.iterdir()] == [PREPARED]


def test_rows_and_views_can_be_picked(folder):
    labels = read_labels(folder)
    few = labels[torch.tensor([5, 0])].of_views([3, 0])
    assert len(few) == 2
    assert few.cameras == ("60457274", "54138969")
    assert few.complete.tolist() == [False, True]
    assert labels[torch.tensor([5])].of_views([1, 2]).complete.all()
    assert torch.equal(few.boxes[1], labels.boxes[0][[3, 0]])


def test_pictures_are_where_h36m_fetch_puts_them(folder):
    labels = read_labels(folder)
    (folder / "processed").mkdir()
    path = labels.picture(picture_folder(folder), 4, 2, undistorted=False)
    assert path == folder / "processed/S9/Walking-1/imageSequence/58860488/img_000006.jpg"
    assert labels.picture(folder, 0, 0, undistorted=True).parts[-3:-1] == (
        "imageSequence-undistorted",
        "54138969",
    )


def test_millimetres_in_a_prepared_file_are_refused(folder):
    spoilt(folder, joints3d=read_labels(folder).joints3d.numpy() * 1000)
    with pytest.raises(
        ValueError, match=r"human36m\.npz: a thigh is 440.* m long, and people's are 0\.3 to 0\.6"
    ):
        read_labels(folder)


def test_translations_in_another_unit_are_refused(folder):
    cameras = read_labels(folder).cam_from_world.clone()
    cameras[..., 3] *= 1000
    spoilt(folder, cam_from_world=cameras.numpy())
    with pytest.raises(ValueError, match=r"cameras are 5\d+ m away from the person.*t = −R C"):
        read_labels(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"boxes": None}, "lacks boxes"),
        (
            {"joints3d": np.zeros((6, 32, 3), np.float32)},
            r"joints3d has the shape \(6, 32, 3\) and must have \(6, 17, 3\)",
        ),
        ({"subject": np.full(6, 2, np.int32)}, "subject numbers one that has no name; there are 2"),
        ({"cameras": np.array(["1", "2"])}, r"intrinsics has the shape \(2, 4, 3, 3\)"),
    ],
)
def test_what_is_wrong_is_named(folder, changes, words):
    spoilt(folder, **changes)
    with pytest.raises(ValueError, match=words):
        read_labels(folder)


def test_no_rows_are_nothing_to_learn_from(folder):
    labels = read_labels(folder)
    write_labels(labels[torch.tensor([], dtype=torch.long)], folder)
    with pytest.raises(ValueError, match="has no rows"):
        read_labels(folder)
