"""Skeletons of sessions: by name where coview knows them, joint by joint otherwise."""

import tomllib

import pytest

from coview.formats.io.toml import dump_toml
from coview.formats.session.skeleton_table import skeleton_from_table, skeleton_to_table
from coview.skeletons import SKELETONS, Skeleton

OWN = Skeleton(
    "own", ("hip", "left", "right"), (("hip", "left"), ("hip", "right")), "hip", (("left", "right"),)
)


@pytest.mark.parametrize("skeleton", [*SKELETONS, OWN], ids=lambda s: s.name)
def test_a_skeleton_survives_toml(skeleton):
    text = dump_toml({"skeleton": skeleton_to_table(skeleton)})
    assert skeleton_from_table(tomllib.loads(text)["skeleton"]) == skeleton


def test_a_known_skeleton_is_its_name():
    assert skeleton_to_table(SKELETONS[0]) == SKELETONS[0].name
    assert isinstance(skeleton_to_table(OWN), dict)


def test_pairs_may_be_absent():
    table = skeleton_to_table(OWN)
    del table["left_right"]
    assert skeleton_from_table(table).left_right == ()


def test_an_unknown_name_and_a_missing_key_are_named():
    with pytest.raises(LookupError, match="nonesuch"):
        skeleton_from_table("nonesuch")
    with pytest.raises(KeyError, match="root"):
        skeleton_from_table({"name": "own", "joints": ["a"], "bones": []})
