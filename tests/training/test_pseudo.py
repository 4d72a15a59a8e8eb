import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from coview.data.augment import Augment
from coview.data.base import InMemory
from coview.data.pseudo_labels.labels import PseudoConfig
from coview.data.synthetic.recordings import EXACT, SyntheticConfig
from coview.data.virtual_views import VirtualViews
from coview.methods.pseudo_label_lifting import PseudoLabelLiftingConfig
from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.metrics.joint_error import p_joint_error
from coview.training.pseudo import FILE, detected, lines, with_detections, with_pseudo
from coview.training.recipe import Recipe, check_fields
from coview.training.run import load_run, train

PEOPLE = PseudoConfig(cameras="people", prior=0)


@dataclass(frozen=True)
class Blind(SyntheticConfig):
    """Recordings whose true poses are hidden, and of whose cameras only the lenses are known."""

    def train(self) -> InMemory:
        known = super().train().instants
        hidden = replace(
            known.cameras, cam_from_world=torch.full_like(known.cameras.cam_from_world, torch.nan)
        )
        return InMemory(known.only(known.fields - {"joints3d"}).replaced(cameras=hidden))

    @property
    def provides(self) -> frozenset[str]:
        return super().provides - {"joints3d"}


def recipe(**changes) -> Recipe:
    known = Recipe(
        method=PseudoLabelLiftingConfig(width=32, rotation="six_d", projection="perspective"),
        data=Blind(instants=60, subjects=1, noise=EXACT),
        steps=5,
        augment=Augment(mirror=0.5, virtual=VirtualViews(count=2)),
        pseudo=PEOPLE,
    )
    return replace(known, **changes)


def test_labels_come_from_2d_joints_and_lenses_alone(tmp_path):
    out = train(recipe(), tmp_path / "run", progress=False)
    facts = json.loads((out / FILE).read_text())
    assert facts["instants"] == 60
    assert facts["known_share"] > 0.9
    assert "p_mpjpe_mm" not in facts
    assert load_run(out).method.supervision == {"pseudo3d", "pseudo_covariance", "pseudo_cameras"}


def test_where_the_truth_is_known_the_distance_from_it_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    data = SyntheticConfig(instants=60, subjects=1, noise=EXACT).train()
    labelled, facts = with_pseudo(PEOPLE, data)
    error = p_joint_error(labelled[:60].pseudo3d, data[:60].joints3d)
    assert facts["p_mpjpe_mm"] == pytest.approx(float(error.nanmean()), abs=1e-3)
    assert facts["p_mpjpe_mm"] < 1.0


def test_none_are_made_unless_asked_for():
    data = SyntheticConfig(instants=4, subjects=1).train()
    same, facts = with_pseudo(PseudoConfig(cameras="none"), data)
    assert same is data
    assert not facts
    assert Recipe(method=SupervisedLiftingConfig(), data=SyntheticConfig(), steps=1).pseudo.cameras == "none"


def test_a_run_that_goes_on_keeps_its_labels_and_overwriting_makes_them_anew(tmp_path):
    out = train(recipe(), tmp_path / "run", progress=False)
    (out / FILE).unlink()
    train(recipe(), out, progress=False)
    assert not (out / FILE).exists()  # finished: nothing is done
    train(recipe(steps=6), out, progress=False, overwrite=True)
    assert (out / FILE).is_file()


class Eye(nn.Module):
    """Sees every joint where the picture is brightest."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def detections(self, batch):
        brightest = batch.images[:, :, 0].flatten(-2).argmax(dim=-1)
        width = batch.images.shape[-1]
        place = torch.stack([brightest % width, brightest // width], dim=-1).float()
        return place[:, :, None].expand(-1, -1, 17, 2), torch.full((*place.shape[:2], 17), 0.7)


def test_a_detectors_joints_take_the_place_of_the_datas():
    batch = SyntheticConfig(instants=5, subjects=1).train().instants
    images = torch.zeros(5, 4, 3, 8, 6)
    images[:, :, 0, 3, 2] = 1.0
    pixels, confidence = detected(Eye(), InMemory(batch.replaced(images=images)))
    assert pixels.shape == (5, 4, 17, 2)
    assert (pixels == torch.tensor([2.0, 3.0])).all()
    assert (confidence == 0.7).all()


def test_what_cannot_detect_or_be_looked_at_is_refused():
    data = SyntheticConfig(instants=5, subjects=1).train()
    with pytest.raises(ValueError, match="reads images, and this data has only"):
        detected(Eye(), data)
    with pytest.raises(ValueError, match="Linear does not see 2D joints"):
        detected(nn.Linear(1, 1), data)


def test_recipes_must_ask_for_labels_exactly_where_they_are_read():
    data = SyntheticConfig()
    with pytest.raises(ValueError, match=r"made from the 2D joints with --pseudo.cameras people"):
        check_fields(recipe(pseudo=PseudoConfig(cameras="none")), data.provides)
    with pytest.raises(ValueError, match="reads none"):
        check_fields(recipe(method=SupervisedLiftingConfig(), augment=Augment()), data.provides)
    with pytest.raises(ValueError, match="'cameras'"):
        check_fields(recipe(), data.provides - {"cameras"})
    check_fields(recipe(), data.provides - {"joints3d"})


class Pictured(Blind):
    @property
    def provides(self) -> frozenset[str]:
        return super().provides | {"images"}


def test_a_run_is_not_its_own_detector(tmp_path):
    itself = replace(PEOPLE, detector=tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"pseudo.detector names .*, the folder that this run is to be written to"
    ):
        train(recipe(pseudo=itself, data=Pictured()), tmp_path / "run", progress=False)


def test_what_is_learnt_from_is_said_before_it_is_learnt_from(tmp_path):
    said: list[str] = []
    train(recipe(), tmp_path / "run", progress=False, say=said.append)
    assert said[0].startswith("labels: 100% of the joints of 60 instants are known")
    assert "rig 0: cameras people, residuals" in said[1]
    assert "agreement 100%" in said[1]
    assert "POOR" not in said[1]
    assert "scale" in said[2]


def test_poor_labels_are_called_poor_and_the_view_is_named():
    rig = {"cameras": "people", "median_px": [2.0, 30.0], "agreement": [0.9, 0.47], "scale": "assumed"}
    words = lines({"known_share": 0.5, "instants": 9, "rigs": {"3": rig}})[1]
    assert "rig 3" in words
    assert "POOR: of the joints of view 2 few agree" in words
    assert lines({}) == []


def test_a_distance_that_is_not_known_is_no_nan_in_the_record(monkeypatch, tmp_path):
    data = SyntheticConfig(instants=60, subjects=1, noise=EXACT).train()
    unknown = InMemory(data.instants.replaced(joints3d=torch.full_like(data.instants.joints3d, torch.nan)))
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    facts = with_pseudo(PEOPLE, unknown)[1]
    assert facts["p_mpjpe_mm"] is None


class Seer(nn.Module):
    """Sees every joint at (1, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def detections(self, batch):
        views = batch.images.shape[:2]
        return torch.tensor([1.0, 2.0]).expand(*views, 17, 2), torch.full((*views, 17), 0.8)


def test_a_frozen_network_fills_in_where_labels_are_not_shown_and_nowhere_else():
    made = SyntheticConfig(instants=3, subjects=1, noise=EXACT).train().instants
    views = made.confidence.shape[1]
    shown = torch.tensor([True, False, False])[:, None].expand(3, views)
    data = InMemory(made.replaced(labelled2d=shown, images=torch.zeros(3, views, 3, 8, 8)))
    filled = with_detections(data, Seer()).instants
    torch.testing.assert_close(filled.joints2d[0], made.joints2d[0], equal_nan=True)
    assert (filled.joints2d[1:] == torch.tensor([1.0, 2.0])).all()
    assert (filled.confidence[1:] == 0.8).all()
    with pytest.raises(ValueError, match=r"joints2d_from fills in 2D joints beside 2D labels"):
        with_detections(InMemory(made), Seer())


def test_of_many_rigs_some_are_told_and_all_are_counted():
    rig = {"cameras": "people", "median_px": [2.0, 3.0], "agreement": [0.9, 0.9], "scale": "assumed"}
    rigs = {str(number): rig for number in range(200)} | {"150": rig | {"agreement": [0.9, 0.2]}}
    said = lines({"known_share": 0.5, "instants": 9, "rigs": rigs})
    assert len(said) == 1 + 2 * 5 + 1
    assert "rig 150" in said[-3]
    assert "POOR" in said[-3]
    assert said[-1].startswith("  and 195 more rigs; of all 200, 1 are poor")
