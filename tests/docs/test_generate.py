import importlib.util
from pathlib import Path

import pytest

from coview.bench.results import COLUMNS, put_rows

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_in_the_docs_is_the_one_the_code_gives(generate):
    assert generate.NEEDS.read_text() == generate.table(), "run `make docs`"


def test_the_results_in_the_docs_are_those_that_were_measured(generate):
    if not generate.RESULTS.is_file():
        pytest.skip("nothing was measured yet")
    assert (generate.PAGES / "mocap4_results.md").read_text() == generate.everything(), "run `make docs`"


def test_the_comparison_in_the_docs_is_of_what_was_measured(generate):
    if not generate.RESULTS.is_file():
        pytest.skip("nothing was measured yet")
    text, pictures = generate.compared()
    assert (generate.PAGES / "comparison.md").read_text() == text, "run `make docs`"
    there = {path.name: path.read_text() for path in generate.PICTURES.glob("error_against_*.svg")}
    assert there == pictures, "run `make docs`"


def test_the_comparison_says_what_each_recipe_of_the_benchmark_needs(generate, tmp_path):
    path = put(tmp_path / "m.csv", ("supervised_mocap4", "0", "same", "3", "100", "50"))
    put_rows(path, [row | {"views": "2", "n_mpjpe_mm": "120"} for row in generate.benchmark.read(path)])
    text, pictures = generate.compared(path)
    assert "| supervised_mocap4 | 3D labels, given cameras | 8" in text
    assert "Not measured yet: canonpose_faithful_mocap4, canonpose_mocap4, coview_mocap4, " in text
    assert list(pictures) == ["error_against_cameras.svg"]
    assert "![Error against the number of cameras](pictures/error_against_cameras.svg)" in text


def test_the_results_on_rendered_people_are_those_that_were_measured(generate, tmp_path):
    if generate.RENDERED.is_file():
        assert (generate.PAGES / "rendered_results.md").read_text() == generate.rendered(), "run `make docs`"
    table = tmp_path / "rendered.csv"
    table.write_text(
        "method,seed,scenery,size,views,mpjpe_mm,mpjpe_relative_mm\n"
        "ransac,0,studio,64,2,50,40\nransac,1,studio,64,2,70,60\nransac,2,studio,64,2,51,41\n"
        "volumetric,0,studio,64,1,90,80\nransac,0,varied,64,2,99,98\n"
    )
    lines = generate.rendered(table).splitlines()
    assert "| studio, 64 px, seeds: 3; views: | 1 | 2 |" in lines
    assert "| RANSAC | – | 51.0 (41.0) |" in lines
    assert "| volumetric, softmax | 90.0 (80.0) | – |" in lines


def test_results_begin_with_where_they_come_from(generate, tmp_path):
    row = {"recipe": "a", "input": "exact", "seed": "0", "ring": "same", "width": "8", "steps": "3"}
    put_rows(tmp_path / "t.csv", [dict.fromkeys(COLUMNS, "") | row])
    lines = generate.results(tmp_path / "t.csv").splitlines()
    assert lines[0] == "# Results of mocap4"
    assert "results/mocap4.csv" in lines[2]
    assert "median over seeds" in lines[4]


def put(path: Path, *rows: tuple[str, str, str, str, str, str]) -> Path:
    """A table with rows of recipe, seed, ring, steps, N-MPJPE, P-MPJPE."""
    names = ("recipe", "seed", "ring", "steps", "n_mpjpe_mm", "p_mpjpe_mm")
    shared = dict.fromkeys(COLUMNS, "") | {"input": "detected", "width": "8"}
    put_rows(path, [shared | dict(zip(names, row, strict=True)) for row in rows])
    return path


def test_the_ablation_is_relative_to_ours_of_the_same_size(generate, tmp_path):
    path = put(
        tmp_path / "a.csv",
        ("ablation.ours", "0", "same", "3", "100", "50"),
        ("ablation.ours", "0", "near", "3", "900", "900"),
        ("ablation.ours", "0", "same", "9", "80", ""),
        ("ablation.axis_angle", "0", "same", "3", "110", ""),
        ("ablation.axis_angle", "1", "same", "3", "120", ""),
        ("ablation.axis_angle", "2", "same", "3", "", ""),
        ("ablation.axis_angle", "0", "same", "9", "88", ""),
        ("ablation.one_side", "0", "same", "3", "", ""),
    )
    lines = generate.ablation(path, tmp_path / "nothing.csv").splitlines()
    assert lines[0].startswith("## What each choice bought")
    assert lines[6:12] == [
        "| ours | 8 | 3 | 1 | 100.0 | 1.000 | 50.0 |",
        "| ours | 8 | 9 | 1 | 80.0 | 1.000 | – |",
        "| axis angle | 8 | 3 | 2 | 115.0 (110.0–120.0) | 1.150 | – |",
        "| axis angle | 8 | 9 | 1 | 88.0 | 1.100 | – |",
        "| one side | 8 | 3 | 0 | – | – | – |",
        "",
    ]
    assert "mirroring also halves the camera term" in lines[12]


def test_the_ablation_goes_on_without_ours(generate, tmp_path):
    path = put(tmp_path / "a.csv", ("ablation.one_side", "0", "same", "3", "110", "70"))
    assert "| one side | 8 | 3 | 1 | 110.0 | – | 70.0 |" in generate.ablation(path, tmp_path / "no.csv")


def test_the_ablation_ends_with_fusion_of_the_same_seeds_and_width(generate, tmp_path):
    path = put(tmp_path / "a.csv", ("ablation.ours", "0", "same", "3", "100", "50"))
    whole = put(
        tmp_path / "m.csv",
        ("canonpose_mocap4", "0", "same", "3", "100", "50"),
        ("self_fusion_mocap4", "0", "same", "3", "85", "44"),
        ("self_fusion_s1_mocap4", "0", "same", "3", "90", "45"),
        ("self_fusion_s1_mocap4", "1", "same", "3", "10", "10"),
        ("self_fusion_s1_mocap4", "0", "far", "3", "10", "10"),
    )
    put_rows(whole, [dict.fromkeys(COLUMNS, "") | {"recipe": "self_fusion_mocap4", "input": "exact"}])
    lines = generate.ablation(path, whole).splitlines()
    assert lines[6:9] == [
        "| ours | 8 | 3 | 1 | 100.0 | 1.000 | 50.0 |",
        "| ours with fusion, Step 1 | 8 | 3 | 1 | 90.0 | 0.900 | 45.0 |",
        "| ours with fusion, Steps 1 and 2 | 8 | 3 | 1 | 85.0 | 0.850 | 44.0 |",
    ]


def test_epipolar_pose_stands_by_teacher_with_its_units_below(generate, tmp_path):
    path = tmp_path / "e.csv"
    names = (
        "model",
        "teacher",
        "labels_p_mpjpe_mm",
        "n_mpjpe_mm",
        "p_mpjpe_mm",
        "n_pck_150",
        "pss_50",
        "steps",
    )
    rows = (
        ("refinement_unit by pseudo", "people", "60", "150", "99", "", "", "9"),
        ("epipolar_pose", "people", "60", "160", "100", "50", "20", "9"),
        ("epipolar_pose", "people", "62", "170", "110", "52", "22", "9"),
        ("epipolar_pose", "truth", "", "120.04", "80", "70", "40", "9"),
        ("mean", "", "", "250", "140", "", "", ""),
    )
    path.write_text("\n".join(",".join(row) for row in (names, *rows)) + "\n")
    lines = generate.epipolar(path).splitlines()
    table = lines[lines.index("| taught by | labels | N-MPJPE | P-MPJPE | N-PCK | PSS@50 | steps |") + 2 :]
    assert table == [
        "| mean pose | – | 250 | 140 | – | – | – |",
        "| the truth (full supervision) | – | 120 | 80 | 70 | 40 | 9 |",
        "| pseudo-labels, cameras from the people (ours) | 61 | 165 | 105 | 51 | 21 | 9 |",
        "| … then a refinement unit, taught by the same pseudo-labels | 60 | 150 | 99 | – | – | 9 |",
    ]
