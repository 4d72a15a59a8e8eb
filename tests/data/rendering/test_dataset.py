import dataclasses
from pathlib import Path

import pytest
import torch

from coview.data.rendering.dataset import RenderedConfig
from coview.data.shards import cache_folder
from coview.skeletons import H36M_17, LEARNABLE_17

SMALL = RenderedConfig(
    scenes=24, validation_scenes=12, subjects=4, validation_subjects=3, views=3, size=64, cache=False
)


def bytes_of(rendered) -> torch.Tensor:
    return (rendered.instants.images * 255).round().to(torch.uint8)


@pytest.fixture(scope="module")
def trained(egl):
    return SMALL.rendered("train")


@pytest.fixture(scope="module")
def validated(egl):
    return dataclasses.replace(SMALL, test_views=5).rendered("validation")


def test_the_fields_are_those_promised(trained):
    assert trained.instants.fields == SMALL.provides
    assert trained.instants.images.shape == (24, 3, 3, 64, 64)
    assert trained.instants.cameras.size.unique().tolist() == [64.0]
    assert not (trained.instants.cameras.distortion != 0).any()


def test_instants_say_who_and_when_without_being_drawn_again(trained):
    instants = trained.instants
    assert torch.equal(instants.subject, instants.rig)  # a rig per person
    assert torch.equal(instants.sequence, instants.subject)
    assert instants.time[:3].tolist() == [0.0, 0.5, 1.0]
    assert dataclasses.replace(SMALL, scenes=3, subjects=9)._whereabouts("train").subject.tolist() == [
        0,
        1,
        2,
    ]


def test_labels_are_the_projections_of_the_3d_joints(trained):
    batch = trained.instants
    expected = batch.cameras.project(batch.joints3d[:, None])
    torch.testing.assert_close(batch.joints2d, expected)
    inside = ((expected >= -0.5) & (expected <= 63.5)).all(dim=-1)
    assert (batch.confidence == inside.float()).all()
    assert inside.float().mean() > 0.97


def test_the_stated_share_of_joints_is_hidden_and_more_or_none_on_request(egl):
    wanted = dataclasses.replace(SMALL, scenes=64)
    for share in (0.0, 0.1, 0.3):
        found = dataclasses.replace(wanted, occlusion=share).rendered("train").hidden_share
        assert abs(found - share) < 0.01


def test_the_same_settings_give_the_same_bytes_and_another_seed_does_not(trained):
    again = SMALL.rendered("train")
    assert (bytes_of(again) == bytes_of(trained)).all()
    other = dataclasses.replace(SMALL, seed=1).rendered("train")
    assert (bytes_of(other) != bytes_of(trained)).any()


def test_validation_has_other_people_other_rigs_and_its_own_number_of_views(trained, validated):
    assert validated.instants.images.shape[:2] == (12, 5)

    def bones(rendered) -> torch.Tensor:
        joints = rendered.instants.joints3d
        ends = torch.tensor(H36M_17.bone_indices)
        return (joints[:, ends[:, 0]] - joints[:, ends[:, 1]]).norm(dim=-1)

    assert torch.cdist(bones(trained), bones(validated)).min() > 0.005
    centres = trained.instants.cameras.centres.flatten(0, 1)
    assert torch.cdist(centres, validated.instants.cameras.centres.flatten(0, 1)).min() > 0.01


def test_no_camera_stands_in_a_body(trained):
    away = trained.instants.joints3d[:, None] - trained.instants.cameras.centres[:, :, None]
    assert away.norm(dim=-1).min() > 0.5


def test_a_studio_is_one_empty_room(egl):
    """Upper corners show its wall, or now and then its floor; elsewhere they show anything."""

    def unlike(scenery: str) -> float:
        config = dataclasses.replace(SMALL, scenery=scenery, occlusion=0.0)
        images = config.rendered("train").instants.images
        corners = (
            torch.cat([images[..., :6, :6], images[..., :6, -6:]], dim=1).mean(dim=(-2, -1)).flatten(0, 1)
        )
        return (corners - corners.median(dim=0).values).abs().amax(dim=-1).quantile(0.8).item()

    assert unlike("studio") < 0.05
    assert unlike("varied") > 0.15


def test_a_ring_is_one_rig(egl):
    ring = dataclasses.replace(SMALL, cameras="ring", scenes=4, subjects=2).train().instants
    assert ring.rig.unique().tolist() == [0]
    assert (ring.cameras.cam_from_world == ring.cameras.cam_from_world[:1]).all()


def test_other_skeletons_and_sizes(egl):
    settings = {"skeleton": LEARNABLE_17, "size": 48, "height": 96, "scenes": 4, "subjects": 2}
    made = dataclasses.replace(SMALL, **settings).train().instants
    assert made.images.shape == (4, 3, 3, 96, 48)
    assert made.skeleton is LEARNABLE_17
    torch.testing.assert_close(made.joints2d, made.cameras.project(made.joints3d[:, None]))


def test_pictures_are_kept_and_a_damaged_file_is_drawn_again(egl, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    kept = dataclasses.replace(SMALL, cache=True)
    first = kept.rendered("train")
    files = sorted(cache_folder("rendered").rglob("train_*.safetensors"))
    assert len(files) == 1
    written = files[0].stat().st_mtime_ns
    assert (bytes_of(kept.rendered("train")) == bytes_of(first)).all()
    assert files[0].stat().st_mtime_ns == written
    files[0].write_bytes(files[0].read_bytes()[:1000])
    assert (bytes_of(kept.rendered("train")) == bytes_of(first)).all()
    assert (bytes_of(SMALL.rendered("train")) == bytes_of(first)).all()


def test_real_motion_can_be_rendered(egl, shared_data: Path):
    folder = shared_data / "mocap_cmu"
    if not (folder / "meta.json").is_file():
        pytest.skip(f"no prepared motion in {folder}")
    made = dataclasses.replace(SMALL, motion_folder=folder, scenes=8, validation_scenes=6).train().instants
    assert made.confidence.mean() > 0.97
    assert len(made.rig.unique()) > 1


def test_a_mesh_can_be_rendered(egl, shared_data: Path):
    path = shared_data / "makehuman_cc0" / "makehuman_cmu_rig.npz"
    if not path.is_file():
        pytest.skip(f"MakeHuman's mesh is not here ({path})")
    settings = {"body": "mesh", "mesh_file": path, "scenes": 4, "subjects": 2}
    made = dataclasses.replace(SMALL, **settings).rendered("train")
    capsules = dataclasses.replace(SMALL, scenes=4, subjects=2).rendered("train")
    assert (bytes_of(made) != bytes_of(capsules)).any()
    torch.testing.assert_close(made.instants.joints2d, capsules.instants.joints2d)


def test_a_missing_mesh_says_what_to_do(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"use body='capsules'"):
        dataclasses.replace(SMALL, body="mesh", mesh_file=tmp_path / "none.npz").train()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"views": 0}, "at least 1"),
        ({"test_views": 0}, "at least 1"),
        ({"size": 8}, "in pixels, 16 to 1024"),
        ({"occlusion": 10.0}, "not per cent"),
        ({"jitter": -0.1}, "jitter is a share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict, words: str):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SMALL, **settings)
