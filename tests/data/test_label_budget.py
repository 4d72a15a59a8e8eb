import itertools

import pytest
import torch

from coview.data.base import InMemory
from coview.data.label_budget import ShownLabels, even_order
from coview.data.synthetic.recordings import SyntheticConfig

DATA = SyntheticConfig(instants=203, subjects=5, views=2).train()


def shown(**settings) -> torch.Tensor:
    return ShownLabels(**settings).shown(DATA).instants.labelled


def test_by_default_everything_is_shown_and_nothing_copied():
    data = ShownLabels().shown(DATA)
    assert data.instants.labelled.all()
    assert data.instants.labelled2d.shape == (203, 2)
    assert data.instants.labelled2d.all()
    assert data.instants.joints3d is DATA.instants.joints3d
    assert data.instants.joints2d is DATA.instants.joints2d


def test_splits_are_the_first_subjects_in_the_order_of_the_data():
    for split, people in (("s1", 1), ("s15", 2), ("s156", 3), ("all", 5)):
        assert DATA.instants.subject[shown(split=split)].unique().tolist() == list(range(people))
    turned = InMemory(DATA.instants[torch.arange(203).flip(0)])
    first = ShownLabels(split="s1").shown(turned).instants
    assert first.subject[first.labelled].unique().tolist() == [4]


@pytest.mark.parametrize("kind", ["count", "share"])
def test_smaller_sets_are_parts_of_larger_ones(kind):
    sizes = (1, 5, 17, 40) if kind == "count" else (0.01, 0.1, 0.35, 1.0)
    sets = [shown(split="s1", **{kind: size}) for size in sizes]
    sets += [shown(split=split) for split in ("s1", "s15", "s156", "all")]
    for small, large in itertools.pairwise(sets):
        assert not (small & ~large).any()
    assert [int(each.sum()) for each in sets] == sorted(int(each.sum()) for each in sets)


def test_counts_are_exact_and_spread_evenly():
    for count in (1, 7, 49, 200):
        assert int(shown(count=count).sum()) == count
    quarter = shown(count=51).nonzero().flatten()
    assert quarter.diff().unique().tolist() == [4]  # a uniform stride
    gaps = shown(count=70).nonzero().flatten().diff()
    assert gaps.max() <= 4
    assert int(shown(share=0.01).sum()) == 2
    assert int(shown(split="s1", share=0.001).sum()) == 1


def test_what_is_hidden_cannot_be_read():
    instants = ShownLabels(split="s1").shown(DATA).instants
    assert instants.joints3d[~instants.labelled].isnan().all()
    assert torch.equal(instants.joints3d[instants.labelled], DATA.instants.joints3d[instants.labelled])
    assert DATA.instants.joints3d.isfinite().all(), "the data itself stays as it was"


def test_hidden_2d_joints_have_no_place_and_no_confidence():
    instants = ShownLabels(split2d="s15", share2d=0.5).shown(DATA).instants
    hidden = ~instants.labelled2d
    assert int(instants.labelled2d[:, 0].sum()) == 41  # of 82
    assert instants.joints2d[hidden].isnan().all()
    assert (instants.confidence[hidden] == 0).all()
    assert torch.equal(instants.joints2d[~hidden], DATA.instants.joints2d[~hidden])
    assert instants.labelled.all()


def test_only_instants_that_have_a_label_are_counted():
    joints3d = DATA.instants.joints3d.clone()
    joints3d[:100] = torch.nan
    joints3d[100, 1:] = torch.nan  # one joint is a label
    gone = ShownLabels(share=0.1).shown(DATA.replaced(joints3d=joints3d)).instants
    assert not gone.labelled[:100].any()
    assert int(gone.labelled.sum()) == 10
    assert bool(gone.labelled[100])


def test_data_without_joints_is_left_alone():
    rigs = DATA.only(frozenset({"rig"}))
    assert ShownLabels().shown(rigs) is rigs
    assert ShownLabels().added(frozenset({"rig", "joints2d"})) == {"labelled2d"}


def test_an_even_order_is_an_order():
    for count in (1, 2, 3, 17, 64):
        assert even_order(count).sort().values.tolist() == list(range(count))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"share": 1.5}, r"share is a share, above 0 to 1 \(not per cent\), got 1\.5"),
        ({"share2d": 0.0}, "share2d is a share"),
        ({"count": -1}, "count is 0 or more"),
        ({"count": 5, "share": 0.5}, "goes without a share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ShownLabels(**settings)


def test_more_labels_than_there_are_cannot_be_shown():
    with pytest.raises(
        ValueError, match=r"50 labelled instants are asked for, and split 's1' of this data has 41"
    ):
        shown(split="s1", count=50)
