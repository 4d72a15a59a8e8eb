import pytest
import torch

from coview.data.base import InMemory
from coview.data.batching import SAME, Mixed, Shuffled, SubjectTimes
from coview.sample import MultiView
from coview.skeletons import H36M_17


def takes(*lengths: int, labelled: int = 10, fps: float = 10.0) -> InMemory:
    """Takes of so many instants; two of each subject. The first of all are labelled."""
    count = torch.tensor(lengths)
    sequence = torch.arange(len(lengths)).repeat_interleave(count)
    return InMemory(
        MultiView(
            H36M_17,
            subject=sequence // 2,
            sequence=sequence,
            time=torch.cat([torch.arange(length) / fps for length in lengths]),
            labelled=torch.arange(int(count.sum())) < labelled,
            labelled2d=(torch.arange(int(count.sum())) < labelled)[:, None].expand(-1, 2),
        )
    )


def test_shuffled_batches_are_those_there_always_were():
    data = takes(10)
    draws = Shuffled().draws(data, 3, seed=4)
    for step in range(9):
        order = torch.randperm(10, generator=torch.Generator().manual_seed(4 * 1_000_003 + step // 3))
        assert torch.equal(draws(step), order[step % 3 * 3 : step % 3 * 3 + 3])
    assert len(Shuffled().draws(data, 99, seed=0)(0)) == 10
    assert not Shuffled().reads


@pytest.mark.parametrize(
    "batching", [SubjectTimes(labelled=4), Mixed(0.25), Mixed(0.25, by="labelled"), Shuffled()]
)
def test_a_batch_depends_on_seed_and_step_alone(batching):
    data = takes(80, 60, 70)
    draws = batching.draws(data, 12, seed=1)
    forward = [draws(step).tolist() for step in range(20)]
    again = batching.draws(data, 12, seed=1)
    assert [again(step).tolist() for step in reversed(range(20))] == forward[::-1]
    assert batching.draws(data, 12, seed=2)(0).tolist() != forward[0]
    assert forward[0] != forward[1]
    assert all(len(batch) == 12 for batch in forward)


# --- many times of one subject -----------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [6, 12])  # at 12, random ones leave gaps too small for the rest
def test_times_of_one_subject_keep_their_distance(wanted):
    data = takes(30, 30, 200, 100).instants
    draws = SubjectTimes(gap=0.5, labelled=3).draws(InMemory(data), wanted + 3, seed=0)
    seen = set()
    for step in range(40):
        picked = data[draws(step)[:wanted]]
        assert len(picked.time) == wanted
        assert len(picked.subject.unique()) == 1
        seen.add(int(picked.subject[0]))
        apart = (picked.time[:, None] - picked.time).abs()
        same = (picked.sequence[:, None] == picked.sequence) & ~torch.eye(wanted).bool()
        assert (apart[same] >= 0.5 - SAME).all()
        assert data.labelled[draws(step)[wanted:]].all()
    assert seen == {0, 1}


def test_a_subject_with_few_instants_is_joined_by_others():
    data = takes(10, 10, 15, 200).instants  # the first subject has room for 4 instants half a second apart
    draws = SubjectTimes(gap=0.5, labelled=0).draws(InMemory(data), 20, seed=0)
    people = [data.subject[draws(step)].tolist() for step in range(60)]
    assert {tuple(sorted(set(who))) for who in people} == {(0, 1), (1,)}
    assert min(who.count(0) for who in people if 0 in who) == 4
    assert {len(who) for who in people} == {20}


def test_no_gap_takes_any_instants():
    data = takes(10, 10)
    assert sorted(SubjectTimes(gap=0.0, labelled=0).draws(data, 20, seed=0)(3).tolist()) == list(range(20))


def test_few_labelled_instants_come_more_than_once():
    draws = SubjectTimes(labelled=6).draws(takes(50, 50, labelled=2), 10, seed=0)
    assert sorted(draws(0)[4:].tolist()) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("batching", "data", "words"),
    [
        (SubjectTimes(labelled=11), takes(50), r"11 of the batch's 12 instants .* Raise batch_size"),
        (
            SubjectTimes(gap=9.0, labelled=0),
            takes(50),
            r"two instants of 9\.0 s or more .* Lower batching\.gap",
        ),
        (SubjectTimes(labelled=2), takes(50, labelled=0), r"no instant of the training data has\. Show some"),
        (Mixed(0.5), takes(50, labelled=0), "has 6 with labelled2d, and the training data 0"),
        (Mixed(0.5), takes(50, labelled=50), "has 6 without labelled2d, and the training data 0"),
        (Mixed(0.01), takes(50), "has 0 with labelled2d"),
    ],
)
def test_data_without_such_batches_is_refused_before_the_first(batching, data, words):
    with pytest.raises(ValueError, match=words):
        batching.draws(data, 12, seed=0)


def test_where_all_show_their_3d_joints_nothing_is_left_to_mix():
    data = takes(50, labelled=50)
    mixed = Mixed(0.5, by="labelled").draws(data, 12, seed=3)
    assert mixed(7).tolist() == Shuffled().draws(data, 12, seed=3)(7).tolist()


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"gap \(seconds\) and labelled \(instants\) are 0 or more, got -1"):
        SubjectTimes(gap=-1.0)
    with pytest.raises(ValueError, match=r"not per cent\), got 50"):
        Mixed(share=50.0)


# --- labelled ones mixed in --------------------------------------------------------------------------


def test_every_batch_has_its_share_of_labelled_instants():
    data = takes(100, labelled=10)
    draws = Mixed(share=0.25).draws(data, 12, seed=0)
    batches = [draws(step) for step in range(10)]
    assert all(int((batch < 10).sum()) == 3 for batch in batches)
    assert (torch.cat([batch[:3] for batch in batches]).bincount() == 3).all()  # three passes over the ten
    assert len(torch.cat([batch[3:] for batch in batches]).unique()) == 90


def test_where_there_are_fewer_than_a_batch_wants_some_come_twice():
    draws = Mixed(share=0.5).draws(takes(100, labelled=2), 12, seed=0)
    assert sorted(draws(5)[:6].tolist()) == [0, 0, 0, 1, 1, 1]
