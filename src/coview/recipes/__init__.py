"""One frozen value per file: method × data × optimiser. Nothing is registered; a file in a folder here is a recipe.

The folders say what a recipe learns from; a recipe is named by its file alone (`coview train canonpose_mocap4`)."""

import ast
import importlib
from pathlib import Path
from typing import Any

from coview.errors import UnknownNameError


def _files() -> dict[str, Path]:
    """The file of every recipe that comes with coview, by its name in alphabetical order; nothing is imported."""
    files = Path(__file__).parent.glob("*/[!_]*.py")
    return {file.stem: file for file in sorted(files, key=lambda file: file.stem)}


def names() -> list[str]:
    """The recipes that come with coview; nothing is imported."""
    return list(_files())


def summaries() -> dict[str, str]:
    """Every recipe that comes with coview, and the first sentence of its file; nothing is imported."""
    return {name: _first_sentence(file) for name, file in _files().items()}


def _first_sentence(file: Path) -> str:
    about = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return about.partition("\n")[0]


def load(name: str) -> Any:
    """The recipe of a name.

    Args:
        name: Name of a recipe that comes with coview, or dotted path of a module that defines `recipe`.

    Returns:
        The `Recipe`.

    Raises:
        UnknownNameError: There is no such recipe or module; the text lists the recipes.
    """
    file = _files().get(name)
    if file is None and "." not in name:
        raise UnknownNameError(
            f"no recipe '{name}'. Known: {', '.join(names())}. Or give a dotted module path."
        )
    module = f"{__name__}.{file.parent.name}.{name}" if file else name
    try:
        return importlib.import_module(module).recipe
    except ModuleNotFoundError as error:
        raise UnknownNameError(f"no module '{module}' for a recipe: {error}.") from error
    except AttributeError as error:
        raise UnknownNameError(f"module '{module}' defines no value named `recipe`.") from error


def taught_by(name: str) -> str:
    """What a recipe needs besides 2D joints of synchronised views, in a few words, from what its method declares.

    Args:
        name: Name of the recipe.

    Returns:
        "3D labels", "given cameras", "intrinsics" (the extrinsics are estimated from the people) or "nothing".
    """
    recipe = load(name)
    method = recipe.unbuilt()
    reads = method.needs
    intrinsics = "pseudo_cameras" in reads or ("cameras" in reads and method.intrinsics_only)
    cameras = ("cameras" in reads and not method.intrinsics_only) or (
        "pseudo_cameras" in reads and recipe.pseudo.cameras == "given"
    )
    few = "few " if recipe.labels.some3d else ""
    words = [f"{few}3D labels"] if "joints3d" in reads else []
    words += ["given cameras"] if cameras else ["intrinsics"] if intrinsics else []
    return ", ".join(words) or "nothing"


def needs() -> list[dict[str, str]]:
    """Which method needs what, a row per recipe, from what methods declare (and the Learner enforces)."""
    rows = []
    for name in names():
        recipe = load(name)
        method = recipe.unbuilt()
        rows.append(
            {
                "recipe": name,
                "method": type(method).__name__,
                "reads at test time": ", ".join(sorted(method.inputs)),
                "reads in training besides": ", ".join(sorted(method.supervision)) or "nothing",
            }
        )
    return rows
