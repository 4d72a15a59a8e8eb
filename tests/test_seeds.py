"""Tests are repeatable: what they draw from global generators does not depend on which tests ran before."""

import os
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

FIRST = (
    random.Random(0).random(),
    np.random.RandomState(0).rand(),
    torch.rand((), generator=torch.Generator().manual_seed(0)).item(),
)


def drawn() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002 - the global one


@pytest.fixture(scope="module")
def drawn_for_the_module() -> tuple[float, float, float]:
    return drawn()


@pytest.mark.parametrize("again", range(2))
def test_every_test_begins_at_the_same_state(again: int):
    assert drawn() == FIRST


def test_so_does_a_fixture_of_a_module(drawn_for_the_module):
    assert drawn_for_the_module == FIRST
    assert drawn() == FIRST


@given(st.integers())
@settings(max_examples=5)
def test_so_does_every_example_of_hypothesis(number: int):
    assert drawn() == FIRST


def test_examples_are_the_same_in_every_run_but_the_nightly_one():
    assert settings().derandomize == (os.environ.get("HYPOTHESIS_PROFILE", "reproducible") == "reproducible")
    assert not settings.get_profile("nightly").derandomize
    assert settings().deadline is None
