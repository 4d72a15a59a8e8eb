import csv

import torch

from coview.capture.association.people_table import write_table
from coview.formats.keypoints.detections import Detections
from coview.formats.session.people import People


def test_a_row_per_track_and_owner(tmp_path):
    ids = torch.tensor([[[1, 2], [1, 2], [2, -1]]])
    tracks = torch.tensor([[[0, 1], [0, 1], [0, 1]]])
    joints = torch.arange(6.0).view(1, 3, 2, 1, 1).repeat(1, 1, 1, 4, 2)
    people = People(("cam",), ids, tracks, (1,), (0.0,), {})
    write_table(people, Detections(joints, torch.ones(1, 3, 2, 4)), tmp_path / "people.csv")
    rows = list(csv.DictReader((tmp_path / "people.csv").read_text().splitlines()))
    told = [
        (row["track"], row["person"], row["first_frame"], row["last_frame"], row["first_x"]) for row in rows
    ]
    assert told == [
        ("0", "1", "0", "1", "0"),
        ("0", "2", "2", "2", "4"),
        ("1", "", "2", "2", "5"),
        ("1", "2", "0", "1", "1"),
    ]
