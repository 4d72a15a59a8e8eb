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
    assert (DOCS / "results.md").read_text() == generate.results(), "run `make docs`"


def test_results_begin_with_where_they_come_from(generate, tmp_path):
    row = {"recipe": "a", "input": "exact", "seed": "0", "ring": "same", "width": "8", "steps": "3"}
    put_rows(tmp_path / "t.csv", [dict.fromkeys(COLUMNS, "") | row])
    lines = generate.results(tmp_path / "t.csv").splitlines()
    assert lines[0] == "# Results of mocap4"
    assert "results/mocap4.csv" in lines[2]
    assert "median over seeds" in lines[4]
