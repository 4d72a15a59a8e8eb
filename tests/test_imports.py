"""What `import coview` loads: nothing at first, and for arrays torch and numpy alone."""

import subprocess
import sys

import pytest

# Besides what torch and numpy load themselves; jaxtyping holds the shapes in all of coview's signatures.
OURS = {"coview", "jaxtyping"}


def loaded(program: str) -> set[str]:
    """Top-level modules in memory after a program, in a fresh interpreter."""
    program += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_coview_alone_loads_nothing_heavy():
    assert loaded("import coview; dir(coview); coview.__version__; coview.CoviewError") - loaded("") <= {
        *(
            "coview",
            "importlib",
            "typing",
            "collections",
            "functools",
            "re",
            "warnings",
            "contextlib",
            "types",
        ),
        *sys.stdlib_module_names,
    }


@pytest.mark.parametrize(
    "name", ["triangulate", "project", "undistort", "align", "convert_joints", "Cameras"]
)
def test_functions_on_arrays_load_torch_and_numpy_alone(name: str):
    more = loaded(f"import coview; coview.{name}") - loaded("import torch, numpy")
    assert more - set(sys.stdlib_module_names) <= OURS
