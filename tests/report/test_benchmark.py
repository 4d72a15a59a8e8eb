import csv

import pytest

from coview.bench.results import COLUMNS, put_rows
from coview.report.benchmark import CEILING, FAITHFUL, median_and_range, read, table, usual

DEFAULTS = {
    "machine": "cpu: some processor, 2 cores, 1 threads, load 1.3",
    "input": "detected",
    "ring": "same",
    "width": "8",
    "steps": "100",
    "batch": "64",
    "parameters": "1234",
    "seconds": "10.0",
    "peak_mb": "500",
    "p_mpjpe_mm": "40.0",
    "opposite_percent": "0.000",
    "mirrored": "no",
    "joints": "16 joints of h36m_17 but the root",
    "alignment": "N-: root-aligned",
}


def row(recipe: str, seed: int, error: float | str, **other: str) -> dict[str, str]:
    known = DEFAULTS | {"recipe": recipe, "seed": str(seed), "n_mpjpe_mm": str(error)} | other
    return {name: known.get(name, "") for name in COLUMNS}


def lines_of(text: str, title: str) -> list[list[str]]:
    """The cells of the table below a heading, header first."""
    after = text.partition(f"## {title}\n\n")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (after[0], *after[2:])]


@pytest.fixture
def text(tmp_path) -> str:
    rows = [row(FAITHFUL, seed, error) for seed, error in enumerate((80.0, 100.0, 90.0))]
    rows += [row(CEILING, 0, 45.0)]
    rows += [row("ours", seed, error) for seed, error in enumerate((72.0, 60.0, 50.0))]
    rows += [row(FAITHFUL, 0, 70.0, input="exact"), row("ours", 0, 140.0, input="exact", mirrored="yes")]
    rows += [row("ours", 0, 66.0, ring="far")]
    put_rows(tmp_path / "t.csv", rows)
    return table(tmp_path / "t.csv")


def test_medians_and_ratios_by_hand(text):
    head, *lines = lines_of(text, "Input `detected`, cameras `same`")
    found = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    assert list(found) == [CEILING, "ours", FAITHFUL]  # best first
    assert found["ours"]["N-MPJPE mm"] == "60.0 (50.0–72.0)"
    assert found["ours"]["seeds"] == "3"
    assert found["ours"]["× faithful"] == "0.667"  # 60 / 90
    assert found["ours"]["× supervised"] == "1.333"  # 60 / 45
    assert found[FAITHFUL]["× faithful"] == "1.000"
    assert found[CEILING]["N-MPJPE mm"] == "45.0"
    assert found["ours"]["N-PCK@150 %"] == "–"  # absent is absent
    assert found["ours"]["mirrored"] == "0 of 3"


def test_inputs_and_rings_are_not_mixed(text):
    assert text.index("Input `exact`") < text.index("Input `detected`")
    (_, faithful, ours) = lines_of(text, "Input `exact`, cameras `same`")
    assert (faithful[0], ours[0]) == (FAITHFUL, "ours")
    assert ours[-3:] == ["1 of 1", "2.000", "–"]  # 140 / 70, and no ceiling on exact
    (_, far) = lines_of(text, "Input `detected`, cameras `far`")
    assert far[4] == "66.0"
    assert far[-2:] == ["–", "–"]  # no reference there
    assert "Input `exact`, cameras `far`" not in text


def test_the_table_says_joints_and_alignment(text):
    assert "Joints: 16 joints of h36m_17 but the root." in text
    assert "Alignment: N-: root-aligned." in text
    assert "Head size" not in text  # nothing that it would concern


def test_other_cameras_and_errors_are_left_to_the_plots(tmp_path):
    rows = [row("ours", 0, 60.0), row("ours", 0, 10.0, views="2"), row("ours", 0, 20.0, views="3")]
    rows += [row("ours", 0, 30.0, input="half"), row("other", 0, 30.0, input="double")]
    put_rows(tmp_path / "t.csv", rows)
    text = table(tmp_path / "t.csv")
    (_, line) = lines_of(text, "Input `detected`, cameras `same`")
    assert (line[3], line[4]) == ("1", "60.0")
    assert "Input `half`" not in text
    assert "Input `double`" not in text
    (_, cost) = lines_of(text, "What the training took")
    assert cost[0] == "ours"


def test_rows_from_before_there_were_views_are_of_four_cameras(tmp_path):
    put_rows(tmp_path / "t.csv", [row("ours", 0, 60.0)])
    with (tmp_path / "t.csv").open(newline="") as file:
        old = [
            {name: value for name, value in one.items() if name != "views"} for one in csv.DictReader(file)
        ]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(old[0]))
        writer.writeheader()
        writer.writerows(old)
    assert [one["views"] for one in read(tmp_path / "t.csv")] == ["4"]
    assert len(usual(read(tmp_path / "t.csv"))) == 1


def test_cost_counts_a_run_once_however_many_rings_it_has(text):
    head, *lines = lines_of(text, "What the training took")
    ours = dict(zip(head, next(line for line in lines if line[0] == "ours"), strict=True))
    assert ours["runs"] == "4"
    assert ours["seconds"] == "10 (10–10)"
    assert ours["on"] == "cpu: some processor, 2 cores, 1 threads"


def test_ratios_compare_equal_widths_and_if_possible_equal_steps(tmp_path):
    rows = [
        row(FAITHFUL, 0, 100.0),
        row(FAITHFUL, 0, 80.0, steps="900"),
        row(FAITHFUL, 0, 50.0, width="1024"),
    ]
    rows += [row("ours", 0, 40.0), row("ours", 0, 40.0, steps="500"), row("ours", 0, 40.0, width="16")]
    put_rows(tmp_path / "t.csv", rows)
    head, *lines = lines_of(table(tmp_path / "t.csv"), "Input `detected`, cameras `same`")
    at = head.index("× faithful")
    ratios = {(line[1], line[2]): line[at] for line in lines if line[0] == "ours"}
    # as many steps; else the longest of that width; else none
    assert ratios == {("8", "100"): "0.400", ("8", "500"): "0.500", ("16", "100"): "–"}


def test_detection_before_and_after(tmp_path):
    rates = {
        "jdr_all_before": "90.0",
        "jdr_all_seen_after": "93.0",
        "jdr_all_after": "95.5",
        "jdr_wrist_before": "80.0",
        "jdr_wrist_after": "79.0",
    }
    rows = [row("fusion", 0, 50.0, head_size="half a head", **rates), row("ours", 0, 60.0)]
    rows += [row("fusion", 1, 50.0, head_size="half a head", **rates | {"jdr_all_after": "96.5"})]
    put_rows(tmp_path / "t.csv", rows)
    text = table(tmp_path / "t.csv")
    head, line = lines_of(text, "Detection of 2D joints (JDR)")
    assert dict(zip(head, line, strict=True)) | {"all": "", "wrist": ""} == {
        **{"recipe": "fusion", "input": "detected", "width": "8", "steps": "100", "seeds": "2", "all": ""},
        **{group: "– → – → –" for group in ("hip", "knee", "ankle", "shoulder", "elbow")},
        "wrist": "",
    }
    assert line[head.index("all")] == "90.00 (90.00–90.00) → 93.00 (93.00–93.00) → 96.00 (95.50–96.50)"
    assert line[head.index("wrist")] == "80.00 (80.00–80.00) → – → 79.00 (79.00–79.00)"
    assert "Head size (JDR): half a head." in text


def test_spread():
    assert median_and_range(["1.0", "", "4.0", "2.0"]) == "2.0 (1.0–4.0)"
    assert median_and_range(["1.25"], 2) == "1.25"
    assert median_and_range(["", ""]) == "–"


def test_no_table(tmp_path):
    with pytest.raises(FileNotFoundError):
        table(tmp_path / "none.csv")


def test_a_table_from_before_a_column_is_read(tmp_path):
    put_rows(tmp_path / "t.csv", [row(FAITHFUL, 0, 70.0)])
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = [{n: v for n, v in r.items() if not n.startswith("pss_")} for r in csv.DictReader(file)]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    head, line = lines_of(table(tmp_path / "t.csv"), "Input `detected`, cameras `same`")
    assert "CPS" in head
    assert "PSS@50 %" not in head
    assert len(line) == len(head)
