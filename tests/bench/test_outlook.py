from math import isnan

import pytest

from coview.bench.outlook import Outlook


def test_what_is_left_at_the_pace_of_the_recipe_or_of_all():
    outlook = Outlook(print, 5)
    assert isnan(outlook.seconds_left([("a", 10)]))
    assert outlook.seconds_left([]) == 0
    outlook.done("a", 10, 20.0)  # 2 s per step
    outlook.done("a", 10, 40.0)  # 4
    outlook.done("b", 100, 900.0)  # 9
    # a: 10 steps at 3 s; new: 2 steps at the mean of 2, 4 and 9 s
    assert outlook.seconds_left([("a", 10), ("new", 2)]) == pytest.approx(30 + 10)


def test_a_line_says_where_the_bench_is():
    lines = []
    outlook = Outlook(lines.append, 2)
    outlook.done("a", 1, 120.0)
    outlook.line(0, "a", [("a", 1)])
    outlook.line(1, "a", [])
    assert lines == ["[1/2] a; about 2 min to go", "[2/2] a"]
