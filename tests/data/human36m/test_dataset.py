from dataclasses import replace

import pytest
import torch

from coview.data.human36m.dataset import Human36MConfig, is_damaged
from coview.data.human36m.labels import read_labels
from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig
from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.skeletons import H36M_17, LEARNABLE_17
from coview.training.evaluation.evaluate import evaluate_untrained
from coview.training.recipe import Recipe, from_plain, to_plain

MARKED = (9, 0, 15)  # the joint that the picture of each frame marks, see conftest


def config(folder, **settings) -> Human36MConfig:
    plain = {"train_subjects": ("S1",), "test_subjects": ("S9",), "size": 160, "threads": 2}
    return Human36MConfig(folder=folder, **{**plain, **settings})


def spots(images: torch.Tensor) -> torch.Tensor:
    """Where the spot of each picture is: the mean pixel, weighted by brightness."""
    bright = images.mean(dim=-3)
    bright = torch.where(bright > 0.1, bright, 0.0).double()
    rows, columns = torch.meshgrid(
        torch.arange(images.shape[-2]), torch.arange(images.shape[-1]), indexing="ij"
    )
    place = torch.stack([columns, rows]).double()
    return (bright[..., None, :, :] * place).sum((-1, -2)) / bright.sum((-1, -2))[..., None]


def misses(settings: Human36MConfig, frames=(0, 1, 2)) -> torch.Tensor:
    """Spot minus projected joint, pixels of the crop: frames, views, 2."""
    batch = settings.train()[:3]
    joints = [batch.skeleton.index(LEARNABLE_17.joints[MARKED[frame]]) for frame in frames]
    world = batch.joints3d[range(len(frames)), joints]
    expected = batch.cameras.project(world[:, None, None])[:, :, 0]
    return spots(batch.images[list(frames)]) - expected


@pytest.mark.parametrize("size", [96, 384, 700])
def test_a_spot_on_a_joint_is_where_the_crops_camera_projects_the_joint(human36m, size):
    """The lens, the crop and the resizing, in pictures and in cameras, agree; 700 px enlarges the box."""
    assert misses(config(human36m, size=size)).abs().max() < 0.2


def test_the_reference_is_off_by_half_a_pixel_times_the_scale(human36m):
    batch = config(human36m, size=96).train()[:3]
    box = read_labels(human36m).boxes[:3].float()
    scale = 96 / (box[..., 2] - box[..., 0])
    expected = -0.5 * (1 - scale)[..., None].expand(3, 4, 2)
    torch.testing.assert_close(
        misses(config(human36m, size=96, released_numerics=True)).float(), expected, atol=0.2, rtol=0
    )
    exact = config(human36m, size=96, released_numerics=True).train()[:3]
    torch.testing.assert_close(batch.joints2d - exact.joints2d, expected[:, :, None].expand(3, 4, 17, 2))
    assert torch.equal(batch.stored("images"), exact.stored("images"))  # shrinking: the same pixels


def test_the_lens_is_not_opencvs(human36m, monkeypatch, request):
    """With OpenCV's tangential factors the same spots are off by more than a pixel."""
    from coview.data.human36m import images as human36m_pictures

    def opencvs(pixels, intrinsics, lens):
        focal, centre = intrinsics.diagonal()[:2], intrinsics[:2, 2]
        x, y = ((pixels - centre) / focal).unbind(-1)
        k1, k2, p1, p2, k3 = lens
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        bent = [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ]
        return torch.stack(bent, dim=-1) * focal + centre

    monkeypatch.setattr(human36m_pictures, "raw_pixels", opencvs)
    human36m_pictures.lens_map.cache_clear()
    request.addfinalizer(human36m_pictures.lens_map.cache_clear)
    assert misses(config(human36m, size=384)).abs().max() > 0.5


def test_a_larger_crop_keeps_the_cameras_right(human36m):
    larger = config(human36m, box_scale=1.5, size=200)
    assert misses(larger).abs().max() < 0.2
    plain = config(human36m, size=200).train()[:3].cameras.focal
    torch.testing.assert_close(larger.train()[:3].cameras.focal, plain / 1.5, rtol=0.01, atol=0)


def test_fields_are_what_is_promised(human36m):
    data = config(human36m).train()
    batch = data[torch.tensor([2, 0])]
    assert batch.fields == data.fields == config(human36m).provides
    assert len(data) == 3
    assert batch.stored("images").shape == (2, 4, 3, 160, 160)
    assert batch.stored("images").dtype == torch.uint8
    assert batch.cameras.size.unique().tolist() == [160]
    assert not batch.cameras.distortion.any()
    assert batch.rig.tolist() == [0, 0]
    red, green, blue = batch.images.amax((-1, -2)).mean((0, 1))
    assert red > 1.5 * green > 10 * blue  # orange: RGB, not BGR


def test_metres_and_the_order_of_the_skeleton(human36m):
    batch = config(human36m).train()[:3]
    assert batch.skeleton is LEARNABLE_17
    pelvis = batch.joints3d[0, LEARNABLE_17.index("pelvis")]
    torch.testing.assert_close(pelvis, torch.tensor([0.4, -0.3, 0.9]))
    ours = config(human36m, skeleton="h36m_17").train()[:3]
    assert ours.skeleton is H36M_17
    for joint in H36M_17.joints:
        a, b = H36M_17.index(joint), LEARNABLE_17.index(joint)
        assert torch.equal(ours.joints3d[:, a], batch.joints3d[:, b])
        assert torch.equal(ours.joints2d[:, :, a], batch.joints2d[:, :, b])
    assert misses(config(human36m, skeleton="h36m_17")).abs().max() < 0.2


def test_joints_outside_the_crop_have_no_confidence(human36m):
    whole = config(human36m).train()[:3]
    assert whole.confidence.mean() > 0.95
    part = config(human36m, box_scale=0.5).train()[:3]
    inside = ((part.joints2d >= 0) & (part.joints2d <= 159)).all(dim=-1)
    assert part.confidence[inside].all()
    outside = ((part.joints2d < -1) | (part.joints2d > 160)).any(dim=-1)
    assert 0.2 < outside.float().mean() < 0.8
    assert not part.confidence[outside].any()


def test_an_instant_without_one_of_the_views_is_left_out(human36m):
    assert len(config(human36m).validation()) == 2
    others = config(human36m, views=("60457274", "55011271")).validation()
    assert len(others) == 3
    every = config(human36m).validation()[:2].cameras.centres
    assert torch.equal(others[:2].cameras.centres, every[:, [3, 1]])


def test_an_instant_without_one_of_the_views_can_be_kept(human36m):
    """As methods on images know it: NaN for the camera, black for the picture, no confidence."""
    batch = config(human36m, incomplete=True).validation()[:3]
    assert batch.cameras.pixels_from_world.isnan().flatten(2).all(-1).tolist() == [[False] * 4] * 2 + [
        [True, False, False, False]
    ]
    assert batch.cameras.pixels_from_world[2, 1:].isfinite().all()
    assert not batch.images[2, 0].any()
    assert batch.images[2, 1].any()
    assert not batch.confidence[2, 0].any()
    assert batch.joints2d.isfinite().all()
    assert batch.joints3d.isfinite().all()
    alone = config(human36m, incomplete=True, views=("54138969", "55011271")).validation()
    assert len(alone) == 2  # of the third only one of these two views is left


def test_every_nth_instant(human36m):
    data = config(human36m, train_every=2).train()
    assert len(data) == 2
    every = config(human36m).train()[:3].joints3d
    assert torch.equal(data[:2].joints3d, every[[0, 2]])


def test_damaged_scenes_test_only_when_asked_for(human36m):
    labels = replace(read_labels(human36m), actions=("Greeting-2",))
    assert is_damaged(labels).tolist() == [False] * 3 + [True] * 3
    without = config(human36m)._rows(labels, ("S1", "S9"), 1, False)
    assert without.tolist() == [0, 1, 2]
    assert config(human36m)._rows(labels, ("S1", "S9"), 1, True).tolist() == [0, 1, 2, 3, 4]


def test_pictures_that_were_undistorted_before_are_read_as_they_are(human36m):
    for place in sorted(human36m.glob("processed/*/*/imageSequence")):
        place.rename(place.with_name("imageSequence-undistorted"))
    with pytest.raises(
        FileNotFoundError, match=r"imageSequence/54138969 is not there.*set undistort to False"
    ):
        config(human36m).train()
    settings = config(human36m, undistort=False, size=384)
    assert settings.train()[:1].stored("images").any()
    assert misses(settings).abs().max() > 1  # these pictures were not: the lens is still in them


# --- messages ----------------------------------------------------------------------------------------


def test_an_absent_folder_says_how_to_make_it(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no prepared Human3\.6M in .*nowhere.* prepare human36m"):
        config(tmp_path / "nowhere").train()
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "human36m")):
        Human36MConfig().train()


def test_absent_pictures_are_named(human36m):
    path = human36m / "processed" / "S1" / "Walking-1" / "imageSequence" / "58860488" / "img_000006.jpg"
    path.write_bytes(b"no picture")
    data = config(human36m).train()
    assert data[torch.tensor([0])].fields
    with pytest.raises(ValueError, match=r"58860488/img_000006\.jpg is no picture"):
        data[torch.tensor([1])]
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"58860488/img_000006\.jpg is not there"):
        data[torch.tensor([1])]
    for left in sorted(human36m.glob("processed/S9/*/*/*/*")):
        left.unlink()
        if not any(left.parent.iterdir()):
            left.parent.rmdir()
    with pytest.raises(FileNotFoundError, match=r"S9/Walking-1/imageSequence/54138969 is not there"):
        config(human36m).validation()


def test_strangers_are_answered_with_those_who_are_known(human36m):
    with pytest.raises(ValueError, match=r"no subject 'S5'\. Known: S1, S9"):
        config(human36m, train_subjects=("S5",)).train()
    with pytest.raises(ValueError, match=r"no camera '1'\. Known: 54138969, 55011271"):
        config(human36m, views=("1",)).train()
    with pytest.raises(ValueError, match="no instant of nobody that enough views saw"):
        config(human36m, train_subjects=()).train()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"train_every": 0}, "train_every must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"box_scale": 0.0}, r"box_scale must be above 0, got 0\.0"),
        ({"test_subjects": ("S9", "S1")}, "S1 would train and test"),
        ({"views": ("1", "1")}, "names a camera twice: 1, 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Human36MConfig(**settings)


def test_the_value_survives_being_written_as_json(tmp_path):
    value = Human36MConfig(folder=tmp_path, views=("a", "b"), skeleton="h36m_17")
    assert from_plain(to_plain(value), Human36MConfig) == value


def test_released_weights_are_measured_on_it_and_one_network_places_the_other(human36m, tmp_path):
    """The volumetric network is told the pelvis by the algebraic one; neither is trained."""
    small = {"depth": 18, "size": 64, "trunk": 8, "deconv": 8, "released_numerics": True}
    volume = {"cells": 8, "levels": 1, "width": 4, "channels": 4}
    data = config(human36m, size=64, released_numerics=True)
    algebraic = Recipe(AlgebraicTriangulationConfig(**small), data, steps=1, device="cpu")
    volumetric = replace(algebraic, method=VolumetricTriangulationConfig(**small, **volume))
    for name, recipe in (("algebraic", algebraic), ("volumetric", volumetric)):
        torch.manual_seed(0)
        torch.save(recipe.method.build(LEARNABLE_17).state_dict(), tmp_path / f"{name}.pth")
        recipe = replace(recipe, init=f"released:{tmp_path}/{name}.pth")
        if name == "volumetric":
            recipe = replace(recipe, base_from=tmp_path / "runs" / "algebraic")
        metrics = evaluate_untrained(recipe, tmp_path / "runs" / name)
        assert metrics["coverage_percent"] == 100
    # random weights see nobody, but the grid stands where the other network put the pelvis
    assert list((tmp_path / "runs" / "algebraic" / "base_points").iterdir())
