"""Every public name says what it takes, gives and raises, and shows it: the examples of all docstrings are run."""

import dataclasses
import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coview

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def public() -> Iterator[tuple[str, Any]]:
    """Public functions and classes, and the methods of `Session`, which are the stages."""
    for name in coview.__all__:
        if name != "__version__":
            yield name, getattr(coview, name)
    for name in vars(coview.Session):
        if not name.startswith("_"):
            yield f"Session.{name}", getattr(coview.Session, name)
    yield "coview", coview


NAMED = dict(public())
FUNCTIONS = sorted(name for name, value in NAMED.items() if inspect.isroutine(value))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_result_and_errors_are_described(name: str):
    function = NAMED[name]
    text = inspect.getdoc(function) or ""
    asked = inspect.signature(function)
    sections = {title: _section(text, title) for title in ("Args", "Returns", "Raises", "Example")}
    for argument in asked.parameters:
        if argument not in ("self", "cls"):
            assert f"    {argument}: " in sections["Args"], f"{name}: nothing about its argument {argument}"
    if asked.return_annotation not in (None, "NoReturn") and "NoReturn" not in str(asked.return_annotation):
        assert sections["Returns"], f"{name}: nothing about what it returns"
    assert sections["Raises"], f"{name}: nothing about what it raises"
    first = text.split("\n\n")[0]
    assert first.endswith((".", "...")), f"{name}: the docstring begins with a sentence"


@pytest.mark.parametrize(
    "name", sorted(name for name, value in NAMED.items() if dataclasses.is_dataclass(value))
)
def test_fields_are_described(name: str):
    text = _section(inspect.getdoc(NAMED[name]) or "", "Attributes")
    for field in dataclasses.fields(NAMED[name]):
        assert f"    {field.name}: " in text, f"{name}: nothing about its field {field.name}"


@pytest.mark.parametrize("name", sorted(NAMED))
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(NAMED[name]) or ""
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples, f"{name} has no Example"
    said: list[str] = []
    failed = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append).failed
    assert not failed, "".join(said)


def _section(text: str, title: str) -> str:
    """What stands below `title:`, up to the next title."""
    lines = text.splitlines()
    if f"{title}:" not in lines:
        return ""
    begin = lines.index(f"{title}:") + 1
    ends = [i for i in range(begin, len(lines)) if lines[i] and not lines[i].startswith(" ")]
    return "\n".join(lines[begin : ends[0] if ends else None])
