import pytest
import torch

from coview.cameras import Cameras
from coview.sample import MultiView
from coview.skeletons import COCO_17, COCO_19, H36M_17

VIEWS, JOINTS = 3, 17


def cameras(*batch: int) -> Cameras:
    one = Cameras.make(torch.eye(3), torch.eye(3, 4), torch.tensor([100.0, 80.0]))
    return one.expand(*batch)


def instant(**fields) -> MultiView:
    everything = {
        "images": torch.rand(VIEWS, 3, 4, 5),
        "cameras": cameras(VIEWS),
        "joints2d": torch.rand(VIEWS, JOINTS, 2),
        "confidence": torch.rand(VIEWS, JOINTS),
        "image_size": torch.full((VIEWS, 2), 100.0),
        "joints3d": torch.rand(JOINTS, 3),
        "base_point": torch.rand(3),
        "rig": torch.tensor(4),
        "subject": torch.tensor(2),
        "sequence": torch.tensor(7),
        "time": torch.tensor(0.5),
        "labelled": torch.tensor(True),
        "labelled2d": torch.tensor([True, False, True]),
    }
    return MultiView(H36M_17, **{**everything, **fields})


ALL = instant().fields


def test_what_is_given_can_be_read():
    sample = instant()
    fields = {"images", "cameras", "joints2d", "confidence", "image_size", "joints3d", "base_point", "rig"}
    fields |= {"subject", "sequence", "time", "labelled", "labelled2d"}
    assert sample.fields == fields
    assert sample.images.shape == (VIEWS, 3, 4, 5)
    assert len(sample.cameras) == VIEWS
    assert sample.joints2d.shape == (VIEWS, JOINTS, 2)
    assert sample.confidence.shape == (VIEWS, JOINTS)
    assert sample.image_size.tolist() == [[100, 100]] * VIEWS
    assert sample.joints3d.shape == (JOINTS, 3)
    assert sample.base_point.shape == (3,)
    assert int(sample.rig) == 4
    assert (int(sample.subject), int(sample.sequence), float(sample.time)) == (2, 7, 0.5)
    assert bool(sample.labelled)
    assert sample.labelled2d.tolist() == [True, False, True]


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_is_hidden_cannot_be_read(name):
    sample = instant().only(ALL - {name})
    assert sample.fields == ALL - {name}
    with pytest.raises(LookupError, match=f"has no '{name}'; it has: .* lists in `inputs` or `supervision`"):
        getattr(sample, name)


def test_an_empty_sample_says_so():
    with pytest.raises(LookupError, match="it has: nothing"):
        _ = instant().only(frozenset()).joints2d


def test_hiding_keeps_the_original():
    sample = instant()
    hidden = sample.only(frozenset({"joints2d", "no_such_field"}))
    assert hidden.fields == {"joints2d"}
    assert hidden.joints2d is sample.joints2d
    assert sample.fields == ALL


def test_replacing_adds_exchanges_and_removes():
    sample = instant().only(frozenset({"joints2d", "confidence"}))
    new = torch.zeros(VIEWS, JOINTS, 2)
    replaced = sample.replaced(joints2d=new, confidence=None, rig=torch.tensor(1))
    assert replaced.fields == {"joints2d", "rig"}
    assert replaced.joints2d is new
    assert sample.fields == {"joints2d", "confidence"}


def test_stacking_and_picking_go_round():
    samples = [instant() for _ in range(4)]
    batch = MultiView.stack(samples)
    assert batch.joints2d.shape == (4, VIEWS, JOINTS, 2)
    assert batch.cameras.intrinsics.shape == (4, VIEWS, 3, 3)
    assert batch.rig.tolist() == [4] * 4
    for sample, again in zip(samples, (batch[i] for i in range(4)), strict=True):
        assert again.fields == ALL
        torch.testing.assert_close(again.joints3d, sample.joints3d)
        torch.testing.assert_close(again.cameras.size, sample.cameras.size)
    assert batch[torch.tensor([2, 0])].confidence.shape == (2, VIEWS, JOINTS)


def test_a_field_missing_anywhere_is_missing_everywhere():
    batch = MultiView.stack([instant(), instant().only(ALL - {"joints3d"})])
    assert batch.fields == ALL - {"joints3d"}


def test_skeletons_are_not_mixed():
    with pytest.raises(ValueError, match=r"MultiView\.stack: .* skeletons: coco_17, h36m_17"):
        MultiView.stack([instant(), MultiView(COCO_17, joints3d=torch.rand(17, 3))])


def test_moving_moves_every_field():
    moved = MultiView.stack([instant(), instant()]).to("cpu", non_blocking=True)
    assert moved.fields == ALL
    assert moved.cameras.fisheye.dtype == torch.bool


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(Exception, match="Type-check error"):
        instant(confidence=torch.rand(VIEWS, JOINTS + 1))


def test_its_picture_names_shapes():
    sample = MultiView(COCO_19, joints3d=torch.rand(19, 3), cameras=cameras(2))
    assert repr(sample) == "MultiView(coco_19, {'cameras': 'Cameras', 'joints3d': (19, 3)})"


def test_images_held_as_bytes_are_read_as_shares():
    held = torch.tensor([0, 51, 255], dtype=torch.uint8)[None, :, None, None].expand(VIEWS, 3, 4, 5)
    sample = instant(images=held)
    torch.testing.assert_close(sample.images[0, :, 0, 0], torch.tensor([0.0, 0.2, 1.0]))
    stacked = MultiView.stack([sample, sample])
    assert stacked.images.shape == (2, VIEWS, 3, 4, 5)
    assert stacked.images.dtype == torch.float32


def test_what_is_held_as_bytes_can_be_had_as_bytes():
    batch = MultiView(H36M_17, images=torch.full((2, 1, 3, 4, 4), 51, dtype=torch.uint8))
    assert batch.stored("images").dtype == torch.uint8
    assert batch.images.dtype == torch.float32
    with pytest.raises(LookupError, match="no 'cameras'"):
        batch.stored("cameras")
