"""No public name vanishes or changes its arguments unnoticed: `tests/api_surface.json` lists them all.

Changed on purpose? `python tests/test_api_surface.py` writes the list anew; the difference belongs in the changelog,
and what goes is deprecated for one minor release first (see the docstring of `coview`).
"""

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import coview

KEPT = Path(__file__).with_name("api_surface.json")
# Inherited members that are public: the docstring of the class names them. Others are for coview's own use.
INHERITED = {"Session": ("calibration", "camera_names", "frames", "poses3d")}
UPDATE = "If that is meant, run `python tests/test_api_surface.py` and say it in CHANGELOG.md."


def signature(function: Any) -> str:
    """Arguments with their defaults; no annotations, which are no promise at run time."""
    found = inspect.signature(function)
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    return str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def members(kind: type) -> dict[str, str]:
    """Public methods, properties and fields of a class."""
    found = (
        {field.name: "field" for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    )
    for name in (*vars(kind), *INHERITED.get(kind.__name__, ())):
        if name.startswith("_") or name in found:
            continue
        reached = getattr(kind, name)
        found[name] = signature(reached) if callable(reached) else "property"
    return dict(sorted(found.items()))


def surface() -> dict[str, Any]:
    """Every public name: the signature of a function, the members of a class."""
    values = {name: getattr(coview, name) for name in sorted(coview.__all__) if name != "__version__"}
    return {
        name: members(value) if isinstance(value, type) else signature(value)
        for name, value in values.items()
    }


def test_no_public_name_vanishes_or_changes_unnoticed():
    kept, now = json.loads(KEPT.read_text()), surface()
    gone = sorted(set(kept) - set(now))
    new = sorted(set(now) - set(kept))
    assert not gone, f"public names are gone: {gone}. {UPDATE}"
    assert not new, f"public names are new: {new}. {UPDATE}"
    for name, value in now.items():
        assert value == kept[name], f"coview.{name} is not what it was. {UPDATE}"


@pytest.mark.parametrize("name", coview.__all__)
def test_every_name_is_there_and_listed(name: str):
    assert getattr(coview, name) is not None
    assert name in dir(coview)


def test_the_static_block_names_the_same_homes():
    """Type checkers and editors read the block under TYPE_CHECKING, the program reads the table."""
    text = Path(coview.__file__).read_text()
    for name, module in coview._HOMES.items():
        assert f"    from {module} import {name} as {name}\n" in text


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'triangulat'.*triangulate"):
        coview.triangulat  # noqa: B018


if __name__ == "__main__":
    KEPT.write_text(json.dumps(surface(), indent=1) + "\n")
