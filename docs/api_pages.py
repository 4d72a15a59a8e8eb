"""Writes the pages of the API reference, from `coview.__all__` and from the packages as they are.

Nothing here is kept in version control: a name that becomes public, or a module that moves, is on the site by itself.
"""

import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coview

PUBLIC, PACKAGES = "public_api.rst", "packages"
_PUBLIC_HEAD = """Public API
==========

The names of ``import coview``. They are loaded when they are first used, so that the import itself takes no time.
What is listed here keeps its meaning within a minor version; see the deprecation policy in ``CONTRIBUTING.md``.

.. currentmodule:: coview

"""
_NOT_YET = "The public API is empty in this version: import from the modules of the :doc:`packages <packages/index>`.\n"
_PACKAGES_HEAD = """Packages
========

Every module with its public functions and classes. :doc:`/reference/map` says which package is about what, and which
may import which. Names that are not in the :doc:`public API </reference/public_api>` may change without notice.

.. toctree::
   :maxdepth: 1

"""
_SPAN = re.compile(r"(`+[^`]+`+)")
_MARKUP = re.compile(r"([|\\]|[*](?!\s)|(?<=\S )[*](?=\s))")
_ROLE = re.compile(r"(?<=[\w)])_(?![\w])")


def write(folder: Path) -> None:
    """The page of the public API, and a page per package with an index, below `folder`."""
    _put(folder / PUBLIC, public_page(list(getattr(coview, "__all__", []))))
    pages = {name: package_page(name, modules) for name, modules in packages().items()}
    for name, text in pages.items():
        _put(folder / PACKAGES / f"{name}.rst", text)
    _put(folder / PACKAGES / "index.rst", _PACKAGES_HEAD + "".join(f"   {name}\n" for name in pages))
    for old in (folder / PACKAGES).glob("*.rst"):
        if old.stem not in pages and old.stem != "index":
            old.unlink()


def packages() -> dict[str, list[str]]:
    """Every package of coview, and the modules directly in it, by dotted names."""
    found: dict[str, list[str]] = {"coview": []}
    for module in pkgutil.walk_packages(coview.__path__, "coview."):
        if module.ispkg:
            found[module.name] = []
        elif not module.name.rpartition(".")[2].startswith("_"):
            found[module.name.rpartition(".")[0]].append(module.name)
    return dict(sorted(found.items()))


def public_page(names: list[str]) -> str:
    """A table of the public names, each with a page of its own."""
    names = [name for name in names if not name.startswith("_")]
    if not names:
        return _PUBLIC_HEAD + _NOT_YET
    table = "\n".join(f"   {name}" for name in sorted(names, key=str.casefold))
    return f"{_PUBLIC_HEAD}.. autosummary::\n   :toctree: public\n\n{table}\n"


def package_page(name: str, modules: list[str]) -> str:
    """The package's docstring, a table of its modules, then each module with its members."""
    members = "" if name == "coview" else "\n   :members:"  # those of `coview` are the public API
    parts = [_title(name.removeprefix("coview."), "="), f".. automodule:: {name}{members}"]
    if modules:
        parts.append(
            ".. autosummary::\n\n" + "\n".join(f"   {module.rpartition('.')[2]}" for module in modules)
        )
    if not name.startswith(
        "coview.recipes."
    ):  # a recipe's module holds one value, and its summary says which
        parts += [
            f"{_title(module.rpartition('.')[2], '-')}\n\n.. automodule:: {module}\n   :members:"
            for module in modules
        ]
    return "\n\n".join(parts) + "\n"


def as_restructured_text(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """A docstring's lines, in place: code spans doubled, and what only looks like markup escaped. Doctests stay."""
    lines[:] = restructured(lines)


def restructured(lines: list[str]) -> list[str]:
    """The same text for reStructuredText: ``code`` for `code`, and no emphasis where a `*` is meant."""
    result: list[str] = []
    prose: list[str] = []
    doctest = False
    for line in _untyped_returns(lines):
        doctest = line.lstrip().startswith(">>>") or (doctest and bool(line.strip()))
        if doctest:
            result += _prose(prose)
            prose = []
        (result if doctest else prose).append(line)
    return result + _prose(prose)


def _untyped_returns(lines: list[str]) -> Iterator[str]:
    """Lines in which what stands below `Returns:` begins with a colon: else Napoleon takes all up to one as a type."""
    first = False
    for line in lines:
        text = line.lstrip()
        yield f"{line[: len(line) - len(text)]}: {text}" if first and text else line
        first = text == "Returns:" or (first and not text)


def _prose(lines: list[str]) -> list[str]:
    """Lines without a doctest; a code span may go over their ends."""
    before, *rest = _SPAN.split("\n".join(lines))
    text = _escaped(before)
    for span, after in zip(rest[::2], rest[1::2], strict=True):
        glue = "\\ " if after[:1].isalnum() else ""  # `seed`s: a code span that goes on as a word
        text += f"``{span.strip('`')}``{glue}{_escaped(after)}"
    return text.split("\n") if lines else []


def _escaped(text: str) -> str:
    """Text without markup; the bullets of a list stay."""
    return _ROLE.sub(r"\\_", _MARKUP.sub(r"\\\1", text))


def _title(text: str, underline: str) -> str:
    return f"{text}\n{underline * len(text)}"


def _put(path: Path, text: str) -> None:
    """Write what has changed: Sphinx reads again what is newer than its last build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)
