import torch

from coview.capture.association.reidentification import rejoin_people
from coview.data.synthetic.crowd import generated_crowd

CROWD = generated_crowd(2, 3, 80, missed=0.0, seed=1)
PROJECTIONS = CROWD.cameras.to(torch.float64).pixels_from_world
PIXELS = CROWD.detections.joints.double()


def test_who_was_out_of_sight_is_found_again():
    people = torch.where(CROWD.who > 0, CROWD.who - 1, -1)
    people[:, 40:50] = -1
    people[:, 50:] = torch.where(people[:, 50:] >= 0, 3 - people[:, 50:], -1)  # 0 is 3 now, 1 is 2
    whole = rejoin_people(PIXELS, people, PROJECTIONS)
    assert torch.equal(whole[:, :40], people[:, :40])
    assert torch.equal(whole[:, 50:], torch.where(people[:, 50:] >= 0, 3 - people[:, 50:], -1))


def test_people_who_are_there_at_once_stay_two():
    people = torch.where(CROWD.who > 0, CROWD.who - 1, -1)
    assert torch.equal(rejoin_people(PIXELS, people, PROJECTIONS), people)


def test_a_single_person_is_left_alone():
    people = torch.where(CROWD.who == 1, 0, -1)
    assert torch.equal(rejoin_people(PIXELS, people, PROJECTIONS), people)
