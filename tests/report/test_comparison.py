import xml.etree.ElementTree as ET

import pytest

from coview.report.comparison import page

NEEDS = {"ours": "intrinsics", "ceiling": "3D labels, given cameras", "later": "nothing"}
SVG = "{http://www.w3.org/2000/svg}"
CAMERAS, NOISE = "error_against_cameras.svg", "error_against_noise.svg"


def row(recipe: str, error: float | str, **other: str) -> dict[str, str]:
    usual = {"input": "detected", "views": "4", "seed": "0", "ring": "same", "width": "8", "steps": "100"}
    return usual | {"recipe": recipe, "n_mpjpe_mm": str(error), "p_mpjpe_mm": "40", "pss_50": "61"} | other


def table_of(text: str) -> list[dict[str, str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    head, _, *rest = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(head, cells, strict=True)) for cells in rest]


def labels(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter(f"{SVG}text")]


def curves(picture: str) -> list[int]:
    """How many points each line has."""
    groups = [g for g in ET.fromstring(picture).iter(f"{SVG}g") if g.get("id", "").startswith("curve-")]
    return [group.find(f"{SVG}path").get("d").count("L") + 1 for group in groups]


def test_one_table_of_medians_best_first_with_what_each_needs():
    rows = [row("ours", error, seed=str(seed)) for seed, error in enumerate((80.0, 70.0, 75.0))]
    rows += [row("ceiling", 60.0), row("ceiling", 90.0, ring="near"), row("mine.own", 99.0)]
    rows += [row("ours", 1.0, **other) for other in ({"views": "2"}, {"input": "half"}, {"input": "exact"})]
    rows += [row("unseen_rings_only", 10.0, ring="far")]
    text, _ = page(rows, NEEDS)
    table = table_of(text)
    assert [line["recipe"] for line in table] == ["ceiling", "ours", "mine.own", "unseen_rings_only"]
    ceiling, ours, own, unseen = table
    assert ours["N-MPJPE mm, `same`"] == "75.0 (70.0–80.0)"
    assert (ours["seeds"], ours["needs"], ours["N-MPJPE mm, `near`"]) == ("3", "intrinsics", "–")
    assert ours["P-MPJPE mm, `same`"] == "40.0 (40.0–40.0)"
    assert (ceiling["N-MPJPE mm, `near`"], ceiling["PSS@50 %, `same`"]) == ("90.0", "61.0")
    assert ceiling["needs"] == "3D labels, given cameras"
    assert own["needs"] == "–"
    assert (unseen["N-MPJPE mm, `same`"], unseen["N-MPJPE mm, `far`"]) == ("–", "10.0")


def test_what_was_not_measured_is_named_with_its_command():
    text, _ = page([row("ours", 70.0), row("ceiling", 50.0, input="exact")], NEEDS)
    assert (
        "Not measured yet: ceiling, later. `coview bench mocap4 --recipes ceiling later --inputs detected`"
        in text
    )


def test_a_line_per_recipe_over_cameras():
    rows = [row("ours", 100.0 - 5 * views, views=str(views)) for views in (2, 3, 4)]
    rows += [row("ceiling", 60.0 - views, views=str(views)) for views in (2, 4)]
    rows += [row("later", 60.0), row("later", 50.0, views="2", ring="far"), row("later", 9.0, input="half")]
    text, pictures = page(rows, NEEDS, "there")
    found = labels(pictures[CAMERAS])
    assert "ceiling" in found
    assert "later" not in found  # one number of cameras is no line
    assert found.index("ceiling") < found.index("ours")  # best first
    assert {"cameras in training", "N-MPJPE on the ring ‘same’, mm", "2", "3", "4"} <= set(found)
    assert curves(pictures[CAMERAS]) == [2, 3]
    assert "](there/error_against_cameras.svg)" in text
    assert "All lines: width 8, 100 steps." in text
    assert (
        "Missing: ceiling at 3. `coview bench mocap4 --recipes ceiling --inputs detected --views 3 "
        "--width 8 --steps 100`" in text
    )


def test_a_line_per_recipe_over_noise_at_its_sigma():
    errors = {"double": 95.0, "detected": 80.0, "exact": 60.0, "half": 70.0}
    rows = [row("ours", error, input=kind) for kind, error in errors.items()]
    rows += [row("ours", 1.0, input="exact", views="2")]
    text, pictures = page(rows, NEEDS)
    assert list(pictures) == [NOISE]
    assert curves(pictures[NOISE]) == [4]
    words = labels(pictures[NOISE])
    at = words.index("0")
    assert words[at : at + 4] == ["0", "2.5", "5", "10"]  # px
    assert "Missing: ours" not in text


def test_widths_and_steps_are_never_one_line():
    rows = [row("ours", 80.0), row("ours", 90.0, views="2", steps="900")]
    assert page(rows, NEEDS)[1] == {}
    rows += [row("ours", 85.0, views="2"), row("ours", 75.0, steps="900"), row("ours", 75.0, width="")]
    rows += [row("ours", 85.0, width="", views="3")]
    text, pictures = page(rows, NEEDS)
    found = labels(pictures[CAMERAS])
    assert {"ours, width 8, 100 steps", "ours, width 8, 900 steps", "ours, width –, 100 steps"} <= set(found)
    assert "All lines" not in text
    assert "--views 2 --steps 100`" in text  # of the method that has no width


def test_without_rows_the_page_says_what_makes_them():
    text, pictures = page([], NEEDS)
    assert pictures == {}
    assert "![" not in text
    assert "--inputs detected --views 2 3 4`." in text
    assert "--inputs exact half detected double --views 4`." in text


def test_runs_without_an_error_are_left_out():
    rows = [row("ours", 80.0), row("ours", "", views="2")]
    assert page(rows, NEEDS)[1] == {}


@pytest.mark.parametrize("order", [1, -1])
def test_the_page_does_not_depend_on_the_order_of_rows(order):
    rows = [row(name, 70.0 + views, views=str(views)) for name in ("ours", "ceiling") for views in (2, 3, 4)]
    assert page(rows[::order], NEEDS) == page(rows, NEEDS)
