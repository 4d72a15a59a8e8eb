from pathlib import Path

import torch

from coview.formats.session.people import People
from coview.formats.session.session import Session, SessionCamera
from coview.report.people import further_people, people_lines, people_section
from coview.skeletons import H36M_17

IDS = torch.tensor([1, 2]).expand(2, 50, 2)
SESSION = Session(
    Path("nowhere"), "s", 25.0, H36M_17, tuple(SessionCamera(name, None, None, 50) for name in ("a", "b"))
)


def people(*switches: int) -> People:
    return People(("a", "b"), IDS, IDS - 1, switches, (0.0, 0.0), {})


def test_a_row_per_person_and_per_camera():
    page = people_section(SESSION, people(0, 3))
    assert page.count("<tr>") == 2 + 1 + 2 + 1
    assert "<td>b</td><td>3</td>" in page
    assert "Look at b in people.csv" in page


def test_few_switches_are_a_note_and_many_a_doubt():
    assert people_lines(people(0, 0))[0].tone == "note"
    assert people_lines(people(0, 3))[0].tone == "fair"
    assert "2 people are told apart" in people_lines(people(0, 1))[0].words


def test_one_person_has_no_such_part():
    assert people_section(SESSION, None) == ""
    assert people_lines(None) == []


def test_further_people_are_those_with_3d_joints_of_as_many_frames():
    assert further_people(SESSION, 50) == []
