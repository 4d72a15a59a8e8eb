import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.report.chart import HEIGHT, WIDTH, line_chart

values = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=50))
@settings(deadline=None)
def test_every_curve_is_well_formed_and_inside_the_picture(points):
    chart = line_chart(points, "a < b", "step")
    ET.fromstring(chart)
    path = re.search(r' d="M([^"]+)"', chart).group(1)
    for pair in path.split("L"):
        x, y = map(float, pair.split())
        assert -0.1 <= x <= WIDTH + 0.1
        assert -0.1 <= y <= HEIGHT + 0.1


def test_wide_positive_curves_are_logarithmic_and_say_so():
    assert "(logarithmic)" in line_chart([(0.0, 1.0), (1.0, 1e-4)], "loss", "step")
    assert "(logarithmic)" not in line_chart([(0.0, 1.0), (1.0, 0.5)], "loss", "step")
    assert "(logarithmic)" not in line_chart([(0.0, 1.0), (1.0, 0.0)], "loss", "step")


def test_long_curves_are_thinned():
    assert len(line_chart([(float(x), float(x)) for x in range(20_000)], "x", "step")) < 12_000


def test_no_points_is_refused():
    with pytest.raises(ValueError, match="'loss': no points"):
        line_chart([], "loss", "step")
