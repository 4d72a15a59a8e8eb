"""What is written is what `tomllib` reads, whatever the strings and numbers."""

import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.io.toml import dump_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.one_of(TEXT, st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False))
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.lists(st.lists(SCALARS, max_size=2), max_size=2)
)
TABLES = st.dictionaries(
    TEXT,
    st.one_of(
        VALUES,
        st.dictionaries(TEXT, VALUES, max_size=3),
        st.lists(st.dictionaries(TEXT, VALUES, max_size=2), min_size=1, max_size=2),
    ),
    max_size=4,
)


@given(TABLES)
@settings(deadline=None, max_examples=200)
def test_round_trip(table):
    assert tomllib.loads(dump_toml(table)) == table


def test_plain_values_come_before_tables():
    text = dump_toml({"table": {"x": 1}, "late": 2})
    assert text == "late = 2\n\n[table]\nx = 1\n"


def test_full_precision():
    value = 0.1 + 0.2
    assert tomllib.loads(dump_toml({"a": [value, 1e-300, float("inf")]}))["a"] == [
        value,
        1e-300,
        float("inf"),
    ]
    assert np.isnan(tomllib.loads(dump_toml({"a": float("nan")}))["a"])


def test_none_is_left_out():
    assert dump_toml({"a": None, "b": 1}) == "b = 1\n"


def test_other_types_are_refused():
    with pytest.raises(TypeError, match=r"ndarray .* has no TOML form"):
        dump_toml({"a": np.zeros(2)})
