import pytest
import torch
from torch import nn

from coview.bench.measure import detections, measure, refined_detections, refines
from coview.data.base import InMemory
from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig
from coview.methods.shared.base import CameraPoses, Method
from coview.sample import MultiView
from coview.training.evaluation.scoring import truth_for

NOISE = DetectorNoise(sigma=3.0, outlier_rate=0.2, outlier_px=200.0, missing_rate=0.05, swap_rate=0.0)
MIRROR = torch.tensor([1.0, 1.0, -1.0])


@pytest.fixture(scope="module")
def data() -> InMemory:
    return SyntheticConfig(instants=20, validation_instants=20, subjects=1, noise=NOISE).validation()


class Known(Method[CameraPoses]):
    """Answers from a list; the list is the truth, or what a test makes of it."""

    def __init__(self, answers: torch.Tensor) -> None:
        super().__init__()
        self.inputs, self.supervision = frozenset({"joints2d", "confidence"}), frozenset({"rig", "joints3d"})
        self.answers, self.weight, self.place = answers, nn.Parameter(torch.zeros(1)), 0

    def forward(self, batch: MultiView) -> CameraPoses:
        assert batch.fields == self.inputs
        start, self.place = self.place, self.place + len(batch.joints2d)
        return CameraPoses(joints3d=self.answers[start : self.place])

    def losses(self, predicted, batch):
        return {}


class Refining(Known):
    """Knows the right pixels of the left wrist, and of nothing else."""

    def __init__(self, answers: torch.Tensor, pixels: torch.Tensor, joint: int) -> None:
        super().__init__(answers)
        self.pixels, self.joint, self.at = pixels, joint, 0

    def refine(self, batch: MultiView) -> MultiView:
        assert batch.fields == {"joints2d", "confidence", "rig"}  # never the truth
        start, self.at = self.at, self.at + len(batch.joints2d)
        joints2d = batch.joints2d.clone()
        joints2d[..., self.joint, :] = self.pixels[start : self.at, :, self.joint]
        return batch.replaced(joints2d=joints2d)


def truth_of(data: InMemory) -> torch.Tensor:
    return truth_for(CameraPoses(joints3d=torch.zeros(1, 1, 17, 3)), data.instants)


def test_the_truth_is_perfect_and_its_mirror_is_found(data):
    found = measure(Known(truth_of(data)), data, batch_size=7)
    assert found["n_mpjpe_mm"] < 0.01
    assert found["mirrored_percent"] == 0
    mirrored = measure(Known(truth_of(data) * MIRROR), data, batch_size=7)
    assert mirrored["n_mpjpe_mm"] > 20
    assert mirrored["mirrored_percent"] == 100
    assert not any(name.startswith("jdr") for name in found)


def test_rates_before_and_after_per_group(data):
    instants = data.instants
    pixels = instants.cameras.project(instants.joints3d[:, None])
    joint = data.skeleton.index("left_wrist")
    method = Refining(truth_of(data), pixels, joint)
    found = measure(method, data, rates=True, batch_size=7)
    assert 60 < found["jdr_all_before"] < 95
    assert found["jdr_wrist_before"] < found["jdr_wrist_after"] < 100  # the right wrist is as it was
    assert found["jdr_elbow_before"] == found["jdr_elbow_after"]
    assert found["jdr_all_after"] - found["jdr_all_before"] == pytest.approx(
        (found["jdr_wrist_after"] - found["jdr_wrist_before"]) / 6
    )
    # joints that were missing count as missing still, though the method filled them
    assert found["jdr_wrist_before"] <= found["jdr_wrist_seen_after"] < found["jdr_wrist_after"]
    assert "jdr_all_before" not in measure(Refining(truth_of(data), pixels, joint), data)


def test_a_joint_is_there_when_it_was_seen_or_was_found(data):
    """Places of confidence 0 mean nothing, even where they are finite."""
    batch = MultiView(
        data.skeleton,
        joints2d=torch.full((1, 1, 17, 2), 5.0),
        confidence=torch.tensor([0.0, 0.0] + [0.5] * 15)[None, None],
        rig=torch.zeros(1, dtype=torch.long),
    )
    seen = detections(batch)[0, 0, :, 0]
    assert seen.isnan().tolist() == [True, True] + [False] * 15
    method = Refining(torch.zeros(1), torch.full((1, 1, 17, 2), 9.0), 1)
    assert refines(method)
    after = refined_detections(method, batch)[0, 0, :, 0]
    assert after[0].isnan()
    assert after[1:].tolist() == [9.0] + [5.0] * 15


def test_methods_without_refinement_have_none():
    assert not refines(Known(torch.zeros(1)))
