"""The field's words: names that coview once had of its own do not come back.

"doubts" is a key in stored predictions, and a lag is one of an autocorrelation.

`training/stored_names.py` and `cli/retired.py` are the tables of the old names, and keep them.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLES = {"stored_names.py", "retired.py"}
# old name -> the field's
NAMES = {
    **{
        "settle": "refine_rig",
        "settled": "RefinedRig",
        "bend": "huber_delta",
        "narrowing": "threshold_schedule",
    },
    **{"misses": "residuals", "misfit": "epipolar_error", "doubt": "ambiguity", "pull": "gradient"},
    **{"stiff": "hessian_diagonal", "late": "time_offset", "lenses": "intrinsics"},
    **{"lenses_alone": "intrinsics_only", "trust": "min_confidence", "both_sides": "flip_test"},
    **{"placed_by": "centring", "pose_start": "pose_head_init_scale", "revise": "resolve_ambiguity"},
    **{"watched": "diagnostics", "contracted": "greedy_edge_contraction"},
}
PROSE = re.compile(r"\b(settles?|settled|misfits?|narrowing|doubt|stiff)\b", re.IGNORECASE)


def names_in(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return {name.strip("_").casefold() for name in found}


def test_no_old_name_is_used():
    sources = [path for path in (ROOT / "src").rglob("*.py") if path.name not in TABLES]
    used = {path: names_in(ast.parse(path.read_text())) & NAMES.keys() for path in sources}
    assert not {path.name: {name: NAMES[name] for name in found} for path, found in used.items() if found}


def test_no_old_word_is_in_the_prose():
    pages = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    pages = [page for page in pages if page.name not in TABLES and "_build" not in page.parts]
    found = {str(page.relative_to(ROOT)): PROSE.findall(page.read_text("utf-8")) for page in pages}
    assert not {page: words for page, words in found.items() if words}
