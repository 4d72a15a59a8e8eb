"""Imports point down: a module imports from floors below its own, or from its own room without a cycle.

One test looks at all files and names every one that is wrong: a test per file would be a thousand tests.
"""

import ast
import json
import statistics
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "coview"
FLOORS = [
    ["distortion", "errors", "threads"],
    ["skeleton_maps", "cameras", "progress"],
    ["skeletons"],
    ["sample", "geometry"],
    ["body"],
    ["representations", "networks", "losses", "formats"],
    ["methods", "metrics", "data"],
    ["training", "capture"],
    ["recipes", "report", "viewer"],
    ["demo", "doctor", "bench"],
    ["cli", "api"],
]
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def modules_imported(path: Path) -> set[str]:
    """Dotted names of everything of ours that a file imports, at the top or inside functions."""
    names: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}: write imports from the root, not relative ones."
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name for name in names if name.startswith("coview.")}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) -> int:
    """Lines from the first to the last, less those of docstrings within: a page that explains is no page of code."""
    first = getattr(node, "lineno", 1)
    docstrings = (
        inner.body[0]
        for inner in ast.walk(node)
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        if ast.get_docstring(inner) is not None
    )
    return node.body[-1].end_lineno - first + 1 - sum(d.end_lineno - d.lineno + 1 for d in docstrings)


def lines_of_code(path: Path) -> int:
    tree = parsed(path)
    return without_docstring(tree) if tree.body else 0


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported_from_above(path: Path) -> set[str]:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in modules_imported(path)} - {"__version__"}
    return {other for other in rooms if other != room and FLOOR[other] >= FLOOR[room]}


def test_imports_point_down():
    wrong = {
        f"{relative(path)} (floor {FLOOR[room_of(path)]})": imported_from_above(path) for path in MODULES
    }
    assert not {path: rooms for path, rooms in wrong.items() if rooms}


# Self-Fusion is CanonPose with refined 2D joints, and its paper says so: it builds on CanonPose's losses
BUILDS_ON = {"cross_view_fusion": {"canonpose"}}


def test_methods_do_not_import_each_other():
    methods = {path.stem: path for path in (ROOT / "methods").glob("*.py") if path.stem != "__init__"}
    imported = {
        stem: {name.split(".")[2] for name in modules_imported(path) if name.startswith("coview.methods.")}
        for stem, path in methods.items()
    }
    builds_on = {stem: found & (methods.keys() - {stem}) for stem, found in imported.items()}
    assert {stem: found for stem, found in builds_on.items() if found} == BUILDS_ON


def test_rooms_have_no_cycles():
    known = {".".join(("coview", *p.relative_to(ROOT).with_suffix("").parts)): p for p in MODULES}
    imported = {name: modules_imported(path) for name, path in known.items()}
    prefixes = {
        name: {i.rsplit(".", k)[0] for i in found for k in (0, 1)} for name, found in imported.items()
    }
    edges = {name: (prefixes[name] & known.keys()) - {name} for name in known}
    done: set[str] = set()
    while ready := {name for name in edges if name not in done and edges[name] <= done}:
        done |= ready
    assert set(edges) == done, f"in a cycle of imports: {sorted(set(edges) - done)}"


def test_no_folder_is_too_full_to_find_a_thing():
    modules = Counter(relative(path.parent) for path in MODULES if path.name != "__init__.py")
    assert not {folder: count for folder, count in modules.items() if count > 22}, "make packages of them"


def test_files_hold_one_idea():
    lines = {relative(path): lines_of_code(path) for path in MODULES}
    assert not {path: count for path, count in lines.items() if count > 320}, (
        "they hold two ideas: split them"
    )


def test_no_module_is_too_small_to_stand_alone():
    """Recipes apart: a name finds them."""
    names = {".".join(("coview", *p.relative_to(ROOT).with_suffix("").parts)): p for p in MODULES}
    importers = Counter(
        name
        for path in MODULES
        for name in {i.rsplit(".", k)[0] for i in modules_imported(path) for k in (0, 1)} & names.keys()
    )
    small = {
        relative(path): lines
        for name, path in names.items()
        if path.name != "__init__.py" and room_of(path) != "recipes"
        if (lines := len(path.read_text().splitlines())) < 25 and importers[name] == 1
    }
    assert not small, "each has one importer: it belongs into that"


def test_functions_fit_a_screen():
    lengths = {
        f"{relative(path)}:{node.lineno} {node.name}": without_docstring(node)
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    longest = max(lengths, key=lengths.__getitem__)
    assert lengths[longest] <= 60, f"{longest} has {lengths[longest]} lines"
    assert statistics.median(lengths.values()) <= 10


HEAVY = ["lightning", "torchmetrics", "cv2", "viser", "av", "scipy", "tyro", "rich", "matplotlib", "ezc3d"]


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("coview.geometry", []),
        ("coview.cameras", []),
        ("coview.sample", []),
        ("coview.methods.canonpose", []),
        ("coview.api.metrics", []),
    ],
)
def test_a_room_needs_torch_alone(room: str, allowed: list[str]):
    """Heavy libraries are blocked outright, then every module of the room is imported."""
    blocked = [name for name in HEAVY if name not in allowed]
    program = (
        "import importlib, pkgutil, sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        f"room = importlib.import_module({room!r})\n"
        f"for module in pkgutil.walk_packages(getattr(room, '__path__', []), {room!r} + '.'):\n"
        "    importlib.import_module(module.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_help_does_not_wait_for_torch():
    program = (
        "import sys, coview.cli.main; assert not {'torch', 'lightning', 'cv2', 'viser'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_module_has_its_test_file():
    modules = [path.relative_to(ROOT) for path in MODULES if path.name != "__init__.py"]
    mirrors = [
        Path(__file__).parent / module.parent / f"test_{module.name}"
        for module in modules
        if module.parts[0] != "recipes"  # tests/recipes runs them all
    ]
    assert not [str(mirror) for mirror in mirrors if not mirror.exists()]


def test_no_name_is_undefined():
    """Ruff's F821 is off, because it takes jaxtyping's shapes for names: those stand in quotes."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "F821",
        "--output-format",
        "json",
    ]
    found = json.loads(subprocess.run([*command, str(ROOT)], capture_output=True, timeout=120).stdout)
    undefined = [
        f"{each['filename']}:{each['location']['row']}: {each['message']}"
        for each in found
        if not within_quotes(Path(each["filename"]), **each["location"])
    ]
    assert not undefined, "\n".join(undefined)


def within_quotes(path: Path, row: int, column: int) -> bool:
    return path.read_text().splitlines()[row - 1][: column - 1].count('"') % 2 == 1
