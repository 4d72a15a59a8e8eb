"""Stored names are stable: every class of coview's recipes has one, and old ones still mean something."""

import dataclasses
import importlib

import pytest

from coview import recipes
from coview.training.recipe import from_plain, to_plain
from coview.training.stored_names import (
    NAMES,
    OLD_FIELDS,
    OLD_PATHS,
    import_path,
    renamed_fields,
    stored_name,
)


def named(path: str) -> type:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_and_its_class_belong_together(name: str):
    kind = named(import_path(name))
    assert dataclasses.is_dataclass(kind)
    assert stored_name(kind) == name


def test_every_old_path_has_a_name():
    assert set(OLD_PATHS.values()) <= set(NAMES)


def test_old_fields_are_fields_today():
    for name, fields in OLD_FIELDS.items():
        today = {field.name for field in dataclasses.fields(named(NAMES[name]))}
        assert set(fields.values()) <= today, name
        assert not set(fields) & today, f"{name}: an old name cannot be a new one too"


def test_a_class_of_yours_is_stored_by_its_path():
    @dataclasses.dataclass(frozen=True)
    class Mine:
        pass

    assert stored_name(Mine) == f"{__name__}.{Mine.__qualname__}"
    assert import_path("my_package.my_paper.MyConfig") == "my_package.my_paper.MyConfig"
    assert renamed_fields("my_package.my_paper.MyConfig") == {}


@pytest.mark.parametrize("name", recipes.names())
def test_recipes_of_coview_are_stored_without_paths(name: str):
    def types_in(plain):
        if isinstance(plain, dict):
            yield plain["type"]
            for value in plain.values():
                yield from types_in(value)
        if isinstance(plain, list):
            for value in plain:
                yield from types_in(value)

    plain = to_plain(recipes.load(name))
    assert set(types_in(plain)) <= set(NAMES)
    assert from_plain(plain, type(recipes.load(name))) == recipes.load(name)
