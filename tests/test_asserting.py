"""Every test asserts something: one that only runs its subject passes for any answer."""

import ast
from pathlib import Path

HERE = Path(__file__).parent
ASSERTING = {
    "raises",
    "warns",
    "fail",
    "gradcheck",
    "assert_close",
    "assert_allclose",
    "assert_equal",
    "assert_array_equal",
}
# helpers are found by name: those of a test's own file and those that several files share
SHARED = [
    node
    for path in sorted(HERE.rglob("*.py"))
    if not path.name.startswith("test_")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.FunctionDef)
]


def asserts(node: ast.AST, helpers: dict[str, ast.FunctionDef]) -> bool:
    """Whether there is an assertion in `node`, or in a helper that it calls."""
    if any(
        isinstance(part, ast.Assert) and not isinstance(part.test, ast.Constant) for part in ast.walk(node)
    ):
        return True
    called = {
        part.func.attr if isinstance(part.func, ast.Attribute) else getattr(part.func, "id", "")
        for part in ast.walk(node)
        if isinstance(part, ast.Call)
    }
    others = {name: helper for name, helper in helpers.items() if name not in called}
    return bool(called & ASSERTING) or any(asserts(helpers[name], others) for name in called & helpers.keys())


def silent(tree: ast.Module) -> list[str]:
    """The tests of a file that assert nothing."""
    own = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    helpers = {node.name: node for node in (*SHARED, *own)}
    return [node.name for node in own if node.name.startswith("test") and not asserts(node, helpers)]


def test_every_test_asserts_something():
    found = {path: silent(ast.parse(path.read_text())) for path in sorted(HERE.rglob("test_*.py"))}
    assert not {str(path.relative_to(HERE)): names for path, names in found.items() if names}


def test_a_test_that_asserts_nothing_is_found():
    tree = ast.parse(
        "def check(x):\n  assert x\n"
        "def test_a():\n  check(1)\n"
        "def test_b():\n  print(1)\n"
        "def test_c():\n  with pytest.raises(ValueError):\n    int('a')\n"
        "def test_d():\n  assert True\n"
    )
    assert silent(tree) == ["test_b", "test_d"]
