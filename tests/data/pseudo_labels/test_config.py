import pytest

from coview.data.pseudo_labels.config import PseudoConfig


@pytest.mark.parametrize(
    "wrong", [{"min_confidence": 1.5}, {"threshold": -1.0}, {"frames": 0}, {"prior": -1}]
)
def test_settings_that_use_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PseudoConfig(**wrong)


def test_the_triangulation_goes_with_the_cameras_unless_named():
    assert PseudoConfig(cameras="given").method == "robust"
    assert PseudoConfig(cameras="people").method == "robust"
    assert PseudoConfig(cameras="epipolar").method == "pairs"
    assert PseudoConfig(cameras="given", triangulation="pairs").method == "pairs"
