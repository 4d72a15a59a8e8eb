from coview.report.html import bar, definitions, number, percent, section, stacked, table, text


def test_text_cannot_become_markup():
    assert text('<b onclick="x">&') == "&lt;b onclick=&quot;x&quot;&gt;&amp;"
    assert "<b>" not in definitions({"<b>": "<b>"})


def test_numbers_have_units_and_unknowns_a_dash():
    assert number(3.14159, "px") == "3.1&nbsp;px"
    assert number(float("nan"), "px") == "–"
    assert percent(0.123, 1) == "12.3%"
    assert percent(float("nan")) == "–"


def test_bars_stay_in_their_cell():
    assert "width:100.0%" in bar(7.0, "x")
    assert "width:0.0%" in bar(float("nan"), "x")
    assert stacked([0.25, 0.0, 0.75], ["0", "1", "2"]).count("<i ") == 2


def test_tables_and_empty_sections():
    assert table(("a", "b"), [("1", "2"), ("3", "4")]).count("<td>") == 4
    assert section("x", "X") == ""
