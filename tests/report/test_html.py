import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from coview.report.html import number, percent, plus_minus, render_html, render_markdown, setting, width
from coview.report.verdict import Line

NASTY = """<b onclick="x">&'"""
ESCAPED = "&lt;b onclick=&#34;x&#34;&gt;&amp;&#39;"


def test_values_cannot_become_markup():
    page = render_html("absent", name="x", title=NASTY, words=NASTY)
    assert page.count(ESCAPED) == 2
    assert "<b" not in page


def test_markup_of_ours_stays_markup():
    part = render_html("absent", name="x", title="X", words="<i>")
    page = render_html("page", title="T", parts=[part, "<u>"], version="1", date="today")
    assert isinstance(part, Markup)
    assert "<h2>X</h2>" in page
    assert "&lt;i&gt;" in page
    assert "&lt;u&gt;" in page


def test_definitions_and_verdicts_are_text():
    page = render_html("assumptions", blocks={"Recording": {NASTY: f"{NASTY} | second line"}})
    assert page.count(ESCAPED) == 2
    assert "<br>second line" in page
    assert ESCAPED in render_html("header", title="", subtitle="", headlines=[], lines=[Line("poor", NASTY)])


def test_a_forgotten_value_is_an_error_not_a_gap():
    with pytest.raises(UndefinedError, match="'words' is undefined"):
        render_html("absent", name="x", title="X")


def test_markdown_is_not_escaped():
    assert "| <a & b> |" in render_markdown(
        "benchmark", faithful="f", ceiling="c", conditions=[], accuracy=[], detection="", cost="| <a & b> |"
    )


def test_numbers_have_units_and_unknowns_a_dash():
    assert number(3.14159, "px") == "3.1\u00a0px"
    assert number(float("nan"), "px") == "–"
    assert percent(0.123, 1) == "12.3%"
    assert percent(float("nan")) == "–"
    assert plus_minus(1200.4, 4.0, "px") == "1200\u00a0±\u00a04.0\u00a0px"
    assert plus_minus(1200.4, float("nan"), "px") == "1200\u00a0px"
    assert plus_minus(float("nan"), 4.0, "px") == "–"
    assert (setting(None), setting(0.123456), setting(12)) == ("–", "0.1235", "12")
    assert (setting([0.25, "a"]), setting([])) == ("0.25, a", "none")


def test_bars_stay_in_their_cell():
    assert (width(7.0), width(0.5), width(-1.0), width(float("nan"))) == ("100.0%", "50.0%", "0.0%", "0.0%")
