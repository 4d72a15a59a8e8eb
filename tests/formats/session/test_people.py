from dataclasses import replace

import pytest
import torch

from coview.formats.session.people import People, edited, read_people, write_people

IDS = torch.tensor([[[1, 2], [2, 1], [1, -1]], [[1, 2], [1, 2], [2, 1]]])
TRACKS = torch.tensor([[[0, 1], [1, 0], [0, 2]], [[3, 4], [3, 4], [4, 3]]])
PEOPLE = People(("left", "right"), IDS, TRACKS, (0, 1), (0.0, 12.5), {"basis": "none"})


def after(tmp_path, text: str) -> People:
    (tmp_path / "people.toml").write_text(text)
    return edited(PEOPLE, tmp_path / "people.toml")


def test_round_trip(tmp_path):
    write_people(PEOPLE, tmp_path / "people.npz")
    found = read_people(tmp_path / "people.npz")
    assert torch.equal(found.ids, IDS)
    assert torch.equal(found.tracks, TRACKS)
    assert replace(found, ids=IDS, tracks=TRACKS) == PEOPLE


def test_places_of_a_person():
    assert PEOPLE.places(2).tolist() == [[1, 0, -1], [1, 1, 0]]
    with pytest.raises(
        ValueError, match=r"there is no person 3: the people of this session are numbered 1 to 2"
    ):
        PEOPLE.places(3)


def test_edits_are_read_with_the_people(tmp_path):
    write_people(PEOPLE, tmp_path / "people.npz")
    (tmp_path / "people.toml").write_text('[[edit]]\ncamera = "right"\nframes = [1, 2]\nswap = [1, 2]\n')
    assert read_people(tmp_path / "people.npz").ids[1].tolist() == [[1, 2], [2, 1], [1, 2]]
    assert read_people(tmp_path / "people.npz").edits == 1
    assert torch.equal(read_people(tmp_path / "people.npz", edits=False).ids, IDS)


def test_both_ends_of_frames_are_included(tmp_path):
    done = after(tmp_path, '[[edit]]\ncamera = "left"\nframes = [1, 1]\nperson = 2\nto = "nobody"\n')
    assert done.ids[0].tolist() == [[1, 2], [-1, 1], [1, -1]]


def test_a_track_of_nobody_is_given_to_a_person(tmp_path):
    done = after(tmp_path, '[[edit]]\ncamera = "left"\nframes = [0, 2]\ntrack = 2\nto = 2\n')
    assert done.ids[0, 2].tolist() == [1, 2]


def test_edits_follow_each_other(tmp_path):
    first = '[[edit]]\ncamera = "all"\nframes = [0, 2]\nperson = 2\nto = 3\n'
    second = '[[edit]]\ncamera = "all"\nframes = [0, 2]\nperson = 1\nto = 2\n'
    assert set(after(tmp_path, first + second).ids.unique().tolist()) == {-1, 2, 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[edit]]\ncamera = "up"\nframes = [0, 1]\nperson = 1\nto = 2',
            r"edit 1: no camera 'up'. Known: left, right",
        ),
        (
            '[[edit]]\ncamera = "left"\nframes = [0, 3]\nperson = 1\nto = 2',
            r"the recording has frames 0 to 2",
        ),
        (
            '[[edit]]\ncamera = "left"\nframes = [0, 1]\nperson = 5\nto = 2',
            r"no person 5: there are persons 1 to 2",
        ),
        ('[[edit]]\ncamera = "left"\nframes = [0, 1]\nperson = 1\nto = 9', r"to = 9 is neither a person"),
        (
            '[[edit]]\ncamera = "left"\nframes = [0, 1]\nperson = 1\nto = 2',
            r"would hold person 2 twice in frame 0. Use",
        ),
        ('[[edit]]\ncamera = "left"\nframes = [0, 1]\ntrack = 4\nto = 1', r"nothing to change"),
        (
            '[[edit]]\ncamera = "left"\nframes = [0, 1]\nperson = 1',
            r"do not make an edit. An edit in people.toml reads",
        ),
        ('[[edit]]\ncamera = "left"\nframes = [0, 1]\nswap = [1, 1]', r"should name two different people"),
        ('[[edit]]\ncamera = "left"\nframe = 3\nperson = 1\nto = 2', r"unknown key frame"),
        ('[[edits]]\ncamera = "left"', r"edits is not understood"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        after(tmp_path, text)


def test_a_file_of_something_else_is_named(tmp_path):
    import numpy as np

    np.savez(tmp_path / "people.npz", ids=np.zeros(3))
    with pytest.raises(ValueError, match=r"people.npz does not say who is who"):
        read_people(tmp_path / "people.npz")


@pytest.mark.parametrize("track", ['"x"', "true", "-1", "1.0"])
def test_what_is_no_track_is_named(tmp_path, track):
    with pytest.raises(ValueError, match=r"edit 1: track = .* is not a track's number"):
        after(tmp_path, f'[[edit]]\ncamera = "left"\nframes = [0, 1]\ntrack = {track}\nto = 1')


def test_what_is_no_edit_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"people.toml, edit 1: 1 is no edit"):
        after(tmp_path, "edit = [1, 2]")


def test_a_damaged_file_says_how_to_make_it_again(tmp_path):
    (tmp_path / "people.npz").write_bytes(b"half")
    with pytest.raises(
        ValueError, match=r"people.npz does not say who is who .*Run `coview associate` again"
    ):
        read_people(tmp_path / "people.npz")
