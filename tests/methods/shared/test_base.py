import pytest
import torch
from torch import Tensor

from coview.methods.shared.base import Method, MethodConfig, WorldPose
from coview.sample import MultiView
from coview.skeletons import Skeleton

HIP = Skeleton("toy", ("hip",), (), "hip")


class Peeking(Method[WorldPose]):
    inputs = frozenset({"confidence"})
    supervision = frozenset({"joints3d"})

    def forward(self, batch: MultiView) -> WorldPose:
        return WorldPose(joints3d=batch.joints3d)

    def losses(self, predicted: WorldPose, batch: MultiView) -> dict[str, Tensor]:
        return {}


def test_forward_cannot_read_the_supervision():
    batch = MultiView(HIP, joints3d=torch.zeros(2, 1, 3), confidence=torch.ones(2, 3, 1))
    method = Peeking()
    with pytest.raises(LookupError, match=r"no 'joints3d'; it has: confidence"):
        method(batch.only(method.inputs))


def test_needs_is_everything_training_reads():
    assert Peeking().needs == {"confidence", "joints3d"}


def test_most_methods_have_nothing_to_revise():
    assert Peeking().resolve_ambiguity(MultiView(HIP, confidence=torch.ones(1, 2, 1))) == {}


def test_the_abstract_parts_cannot_be_left_out():
    with pytest.raises(TypeError, match="abstract"):
        MethodConfig()

    class Silent(Method[WorldPose]):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Silent()
