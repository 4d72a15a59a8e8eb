import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from coview.metrics.running import PSS
from coview.metrics.structure_score import (
    SHIPPED,
    PoseCentres,
    fit_centres,
    shipped_centres,
    unit_poses,
)
from coview.skeletons import COCO_19, H36M_17, SKIPOSE_17, Skeleton

TRIPOD = Skeleton("tripod", ("hub", "a", "b", "c"), (("hub", "a"), ("hub", "b"), ("hub", "c")), "hub")


def poses(count: int, joints: int = 17, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, joints, 3, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def centres() -> PoseCentres:
    return fit_centres(poses(300), H36M_17, 8, reference="random numbers", starts=3)


def score(centres: PoseCentres, predicted: torch.Tensor, truth: torch.Tensor) -> float:
    metric = PSS(centres)
    metric.update(predicted, truth)
    return metric.compute().item()


# --- what it is ------------------------------------------------------------------------------------


def test_by_hand():
    # Two typical poses: a along +x, and a along -x. Norms are those of (2, 0, 0): the unit poses are ±x at joint a.
    points = torch.zeros(2, 12, dtype=torch.float64)
    points[0, 3], points[1, 3] = 1.0, -1.0
    known = PoseCentres(points, TRIPOD.joints, "hub", "two poses", 2)
    truth = torch.zeros(4, 4, 3)
    truth[:, 1, 0] = 2.0
    predicted = truth.clone()
    predicted[1, 1, 0] = 0.1  # the same, smaller
    predicted[2, 1, 0] = -2.0  # the other
    predicted[3] += torch.tensor([5.0, -1.0, 3.0])  # the same, elsewhere
    assert known.nearest(truth).tolist() == [0, 0, 0, 0]
    assert known.nearest(predicted).tolist() == [0, 0, 1, 0]
    assert score(known, predicted, truth) == 75


def test_a_pose_has_the_structure_of_itself(centres):
    assert score(centres, poses(50, seed=1), poses(50, seed=1)) == 100


@pytest.mark.parametrize("factor", [1e-3, 0.37, 1000.0])
def test_size_does_not_matter(centres, factor):
    truth = poses(200, seed=2)
    predicted = truth + 0.5 * poses(200, seed=3)
    assert torch.equal(centres.nearest(factor * predicted), centres.nearest(predicted))
    assert 0 < score(centres, factor * predicted, truth) == score(centres, predicted, truth) < 100


def test_orientation_matters():
    known = shipped_centres(50)
    typical = known.points.unflatten(-1, (17, 3))
    turned = typical @ torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]], dtype=torch.float64)
    assert score(known, turned, typical) < 50


def test_nearest_is_that_of_all_differences(centres):
    """The slow twin, and any batch shape, give the same."""
    flat = unit_poses(poses(60, seed=5), 0).flatten(-2)
    apart = (flat[:, None] - centres.points).square().sum(dim=-1)
    assert torch.equal(centres.nearest(poses(60, seed=5)), apart.argmin(dim=-1))
    shaped = centres.nearest(poses(60, seed=5).unflatten(0, (5, 3, 4)))
    assert torch.equal(shaped.flatten(), apart.argmin(dim=-1))


# --- what is not known -----------------------------------------------------------------------------


def test_a_missing_prediction_is_wrong_and_an_unknown_truth_not_counted(centres):
    truth = poses(4, seed=6)
    predicted = truth.clone()
    predicted[0, 3] = torch.nan
    assert score(centres, predicted, truth) == 75
    truth[1, 2] = torch.nan
    assert score(centres, predicted, truth) == pytest.approx(200 / 3)
    truth[0] = torch.nan  # unknown in both is no agreement
    assert score(centres, predicted, truth) == 100


def test_a_pose_in_one_point_is_wrong(centres):
    truth = poses(2, seed=6)
    assert score(centres, torch.zeros_like(truth), truth) == 0


def test_nothing_to_count_is_nan(centres):
    unknown = torch.full((3, 17, 3), torch.nan)
    assert torch.tensor(score(centres, poses(3), unknown)).isnan()


def test_batching_does_not_matter(centres):
    truth, predicted = poses(20, seed=7), poses(20, seed=7) + 0.4 * poses(20, seed=8)
    metric = PSS(centres)
    for part in (slice(0, 3), slice(3, 20)):
        metric.update(predicted[part], truth[part])
    assert metric.compute().item() == score(centres, predicted, truth)


# --- fitting and keeping ---------------------------------------------------------------------------


def test_fitting_is_repeatable_and_leaves_unknown_poses_out(centres):
    more = torch.cat([poses(300), torch.full((5, 17, 3), torch.nan)])
    again = fit_centres(3.7 * more + 2, H36M_17, 8, reference="random numbers", starts=3)
    assert again.poses == 300
    torch.testing.assert_close(again.points, centres.points)  # size and place are taken out
    same = fit_centres(more, H36M_17, 8, reference="random numbers", starts=3)
    assert same.digest == centres.digest


def test_kept_centres_come_back_to_the_bit(centres, tmp_path):
    path = tmp_path / "made" / "centres.safetensors"
    centres.save(path)
    first = path.read_bytes()
    found = PoseCentres.load(path)
    assert torch.equal(found.points, centres.points)
    assert found.points.dtype == torch.float64
    assert replace(found, points=centres.points) == replace(centres, points=centres.points)
    assert found.words == centres.words
    found.save(path)
    assert path.read_bytes() == first
    assert torch.equal(found.nearest(poses(99, seed=4)), centres.nearest(poses(99, seed=4)))


@pytest.mark.parametrize("k", SHIPPED)
def test_the_shipped_centres_are_those_that_results_were_measured_with(k):
    """The hashes are part of the definition of the columns pss_50 and pss_100: change them, and tables lie."""
    known = shipped_centres(k)
    assert known.points.shape == (k, 51)
    assert known.fits(H36M_17)
    assert known.fits(SKIPOSE_17)
    assert not known.fits(COCO_19)
    assert known.digest[:12] == DIGESTS[k]
    assert known.starts >= 10
    assert f"sha256 {DIGESTS[k]}" in known.words
    centred = known.points.unflatten(-1, (17, 3))
    assert (centred[:, 0].abs() < 1e-12).all()  # the root is the origin
    assert (centred.norm(dim=(1, 2)) < 1).all()  # means of unit poses
    assert (centred[:, H36M_17.index("head_top"), 1] < 0).float().mean() > 0.9  # y points down, people up


DIGESTS = {50: "847f50c2c182", 100: "5d655ab02815"}


# --- messages --------------------------------------------------------------------------------------


def test_no_other_centres_are_shipped():
    with pytest.raises(
        LookupError, match=r"no 7 pose centres come with coview, only 50 and 100\. Fit your own"
    ):
        shipped_centres(7)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.safetensors with pose centres"):
        PoseCentres.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"not tensors at all", None])
def test_a_damaged_file_is_named(centres, tmp_path, content):
    path = tmp_path / "c.safetensors"
    centres.save(path)
    path.write_bytes(path.read_bytes()[:-7] if content is None else content)
    with pytest.raises(ValueError, match=r"c\.safetensors is no file of pose centres, or is damaged"):
        PoseCentres.load(path)


def changed(path, about=None, tensor=None):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["coview"])
    points = load_file(path)["centres"]
    save_file(
        {"centres": points if tensor is None else tensor(points)},
        path,
        {"coview": json.dumps(header | (about or {}))},
    )


def test_centres_that_were_changed_are_refused(centres, tmp_path):
    path = tmp_path / "c.safetensors"
    centres.save(path)
    changed(path, tensor=lambda points: points + 1e-15)
    with pytest.raises(ValueError, match=r"have the hash .* and should have .*: they were changed"):
        PoseCentres.load(path)


def test_another_version_is_refused(centres, tmp_path):
    path = tmp_path / "c.safetensors"
    centres.save(path)
    changed(path, about={"version": 2})
    with pytest.raises(ValueError, match=r"of version 2, and pose centres of version 1 are needed"):
        PoseCentres.load(path)
