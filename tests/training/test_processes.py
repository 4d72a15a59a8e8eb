"""One process by itself; two of them train together in test_fit."""

import pytest
import torch

from coview.training.processes import gathered, leads, part_ways, same_everywhere


@pytest.mark.parametrize(
    ("environment", "devices", "expected"),
    [
        ({}, 2, True),
        ({"LOCAL_RANK": "1"}, 2, False),
        ({"LOCAL_RANK": "0", "RANK": "2"}, 4, False),
        ({"LOCAL_RANK": "1"}, 1, True),  # one of several runs that have nothing to do with one another
    ],
)
def test_one_process_leads(monkeypatch, environment, devices, expected):
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert leads(devices) == expected


def test_a_process_alone_waits_for_nobody():
    weight = torch.ones(2)
    assert gathered({"loss": 1.0}) == [{"loss": 1.0}]
    same_everywhere({"weight": weight})
    part_ways()
    assert torch.equal(weight, torch.ones(2))
