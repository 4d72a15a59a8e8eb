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
    assert (DOCS / "needs.md").read_text() == generate.table(), "run `make docs`"


def test_the_results_in_the_docs_are_those_that_were_measured(generate):
    if not generate.RESULTS.is_file():
        pytest.skip("nothing was measured yet")
    assert (DOCS / "results.md").read_text() == generate.everything(), "run `make docs`"


def test_results_begin_with_where_they_come_from(generate, tmp_path):
    row = {"recipe": "a", "input": "exact", "seed": "0", "ring": "same", "width": "8", "steps": "3"}
    put_rows(tmp_path / "t.csv", [dict.fromkeys(COLUMNS, "") | row])
    lines = generate.results(tmp_path / "t.csv").splitlines()
    assert lines[0] == "# Results of mocap4"
    assert "results/mocap4.csv" in lines[2]
    assert "median over seeds" in lines[4]


def test_the_ablation_is_relative_to_ours(generate, tmp_path):
    shared = dict.fromkeys(COLUMNS, "") | {"input": "detected", "width": "8", "steps": "3"}
    rows = [
        shared | {"recipe": f"ablation.{name}", "seed": seed, "ring": ring, "n_mpjpe_mm": error}
        for name, seed, ring, error in (
            ("ours", "0", "same", "100"),
            ("ours", "0", "near", "900"),
            ("axis_angle", "0", "same", "110"),
            ("axis_angle", "1", "same", "120"),
        )
    ]
    put_rows(tmp_path / "a.csv", rows)
    lines = generate.ablation(tmp_path / "a.csv").splitlines()
    assert "| ours | 1 | 100.0 | 1.000 | – |" in lines
    assert "| axis angle | 2 | 115.0 (110.0–120.0) | 1.150 | – |" in lines
