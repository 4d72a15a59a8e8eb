import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.report.chart import COLOURS, HEIGHT, PAPERS, WIDTH, Series, line_chart, lines_svg

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


# --- pictures that are files ----------------------------------------------------------------------

LINES = (
    Series("a < b", ((2.0, 90.0, 88.0, 93.0), (4.0, 80.0, 80.0, 80.0))),
    Series("other", ((4.0, 70.0, 69.0, 71.0), (3.0, 75.0, 75.0, 75.0), (2.0, 82.0, 80.0, 84.0))),
)
SVG = "{http://www.w3.org/2000/svg}"


def picture(lines=LINES) -> ET.Element:
    return ET.fromstring(lines_svg(lines, title="Error", across="training cameras", up="N-MPJPE, mm"))


def curves(root: ET.Element) -> list[list[tuple[float, float]]]:
    """Places of the points of every line, in points of the picture."""
    groups = [group for group in root.iter(f"{SVG}g") if group.get("id", "").startswith("curve-")]
    paths = [group.find(f"{SVG}path").get("d").replace("M", "L").split("L")[1:] for group in groups]
    return [[tuple(map(float, pair.split())) for pair in path] for path in paths]


def test_a_picture_names_its_axes_its_lines_and_every_x_that_occurs():
    words = [element.text for element in picture().iter(f"{SVG}text")]
    assert {"Error", "training cameras", "N-MPJPE, mm", "a < b", "other"} <= set(words)
    assert [word for word in words if word in ("2", "3", "4")] == ["2", "3", "4"]
    assert {"70", "80", "90"} <= set(words)


def test_lines_run_from_left_to_right_and_worse_lies_higher():
    first, second = curves(picture())
    assert [len(first), len(second)] == [2, 3]
    assert [x for x, _ in second] == sorted(x for x, _ in second)
    assert (first[0][0], first[1][0]) == (second[0][0], second[2][0])  # the same x, the same place
    assert first[0][1] < second[0][1] < second[1][1] < second[2][1]  # y points down
    rise = (first[1][1] - first[0][1]) / (90.0 - 80.0)
    assert second[1][1] - first[1][1] == pytest.approx(5.0 * rise, abs=1e-3)  # in proportion


def test_all_of_a_picture_lies_inside_it_and_the_same_lines_give_the_same_text():
    many = tuple(
        Series(f"recipe {i}", ((0.0, 50.0 + i, 40.0, 70.0), (10.0, 60.0, 1.0, 99.0))) for i in range(9)
    )
    root = picture(many)
    _, _, width, height = map(float, root.get("viewBox").split())
    for curve in curves(root):
        for x, y in curve:
            assert 0 < x < width
            assert 0 < y < height
    paths = [group.find(f"{SVG}path") for group in root.iter(f"{SVG}g") if "curve-" in group.get("id", "")]
    assert len({path.get("style") for path in paths}) == 9  # told apart by colour and dashes
    drawn = [lines_svg(LINES, title="t", across="x", up="y") for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_one_point_is_a_picture_and_none_is_refused():
    assert len(curves(picture([Series("a", ((4.0, 80.0, 80.0, 80.0),))]))) == 1
    with pytest.raises(ValueError, match="'Error': no points"):
        picture([Series("a", ())])


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it, of #rrggbb."""
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("paper", PAPERS)
def test_colours_show_on_light_and_on_dark_paper(paper):
    for colour in COLOURS:
        light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3.0, colour  # WCAG 2, 1.4.11: what a picture is made of
