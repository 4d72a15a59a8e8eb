import pytest
import torch

from coview.body.people_sizes import Stature, implied_statures, scale_of_people
from coview.body.procedural_motion import random_motion
from coview.body.stature_scale import NoScaleError, Scale
from coview.skeletons import H36M_17


def people(*statures: float) -> list[torch.Tensor]:
    """Joints in units of two metres."""
    return [random_motion(20, seed=0, stature=each).double() / 2 for each in statures]


CHILD_FIRST = people(1.2, 1.7, 1.75)


def test_a_stature_is_of_the_person_named():
    for person, stature in enumerate((1.2, 1.7, 1.75), 1):
        scale = scale_of_people(CHILD_FIRST, H36M_17, Stature(stature, person))
        assert scale.metres_per_unit == pytest.approx(2.0, rel=0.03)
        assert f"of person {person}" in scale.source
    with pytest.raises(NoScaleError, match=r"names person 4, and the recording has 3"):
        scale_of_people(CHILD_FIRST, H36M_17, Stature(1.7, 4))


def test_a_stature_of_nobody_is_refused_where_people_differ():
    with pytest.raises(
        NoScaleError, match=r"if it is person 1's, they are person 1 1\.70 m, person 2 2\.4.*1:1\.7"
    ):
        scale_of_people(CHILD_FIRST, H36M_17, Stature(1.7))
    alike = scale_of_people(people(1.68, 1.75), H36M_17, Stature(1.68))
    assert alike.metres_per_unit == pytest.approx(2.0, rel=0.03)


def test_where_nothing_is_stated_the_tall_ones_are_adults():
    scale = scale_of_people(CHILD_FIRST, H36M_17, None)
    assert scale.metres_per_unit == pytest.approx(2.0, rel=0.04)
    assert "ASSUMED stature 1.7 m of 2 of 3 people" in scale.source
    alone = scale_of_people(CHILD_FIRST[1:2], H36M_17, None)
    assert scale.relative_sigma < alone.relative_sigma


def test_everybodys_stature_is_told_and_who_was_never_seen_has_none():
    unseen = torch.full_like(CHILD_FIRST[0], torch.nan)
    told = implied_statures([*CHILD_FIRST[:2], unseen], H36M_17, Scale(2.0, 0.0, ""))
    assert told.startswith("person 1 1.2")
    assert "person 3" not in told
    assert "no limb" in implied_statures([unseen], H36M_17, Scale(2.0, 0.0, ""))
    with pytest.raises(NoScaleError, match=r"no limb"):
        scale_of_people([unseen], H36M_17, None)
