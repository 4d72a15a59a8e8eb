import importlib.util
from pathlib import Path

import pytest

import coview

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def api_pages():
    spec = importlib.util.spec_from_file_location("api_pages", DOCS / "api_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_table(api_pages):
    page = api_pages.public_page(list(coview.__all__)).splitlines()
    assert {name for name in coview.__all__ if not name.startswith("_")} <= {line.strip() for line in page}
    assert "   __version__" not in page


def test_every_module_is_on_the_page_of_its_package(api_pages):
    packages = api_pages.packages()
    assert "coview.geometry.bundle.bundle_adjustment" in packages["coview.geometry.bundle"]
    assert "coview.cameras" in packages["coview"]
    modules = sum(len(modules) for modules in packages.values())
    files = [path for path in Path(coview.__file__).parent.rglob("*.py") if not path.name.startswith("_")]
    assert modules == len(files)


def test_a_page_documents_its_modules_and_of_recipes_shows_the_summaries(api_pages):
    page = api_pages.package_page("coview.geometry", ["coview.geometry.linalg"])
    assert page.startswith("geometry\n========\n")
    assert ".. automodule:: coview.geometry.linalg\n   :members:" in page
    recipes = api_pages.package_page("coview.recipes.mocap4", ["coview.recipes.mocap4.coview_mocap4"])
    assert ".. autosummary::\n\n   coview_mocap4\n" in recipes
    assert "automodule:: coview.recipes.mocap4.coview_mocap4" not in recipes


@pytest.mark.parametrize(
    ("markdown", "restructured"),
    [
        (["points of `*batch joints`"], ["points of ``*batch joints``"]),
        (["No two `seed`s differ."], ["No two ``seed``\\ s differ."]),
        (["(`a`, `b c", "d`)"], ["(``a``, ``b c", "d``)"]),
        (["a*b, |x| and x_"], ["a\\*b, \\|x\\| and x\\_"]),
        (["* one", "  * two * three"], ["* one", "  * two \\* three"]),
        (
            ["Returns:", "    Pixels (lists: float64).", "    More: all."],
            ["Returns:", "    : Pixels (lists: float64).", "    More: all."],
        ),
        ([">>> a * b", "[*c]", "", "a*b"], [">>> a * b", "[*c]", "", "a\\*b"]),
    ],
)
def test_docstrings_keep_their_meaning(api_pages, markdown, restructured):
    assert api_pages.restructured(markdown) == restructured


def test_pages_that_are_gone_are_removed_and_equal_ones_stay_untouched(api_pages, tmp_path):
    api_pages.write(tmp_path)
    index = tmp_path / "packages" / "index.rst"
    (tmp_path / "packages" / "coview.gone.rst").write_text("old")
    before = index.stat().st_mtime_ns
    api_pages.write(tmp_path)
    assert index.stat().st_mtime_ns == before
    assert not (tmp_path / "packages" / "coview.gone.rst").exists()
    assert "   coview.geometry.bundle\n" in index.read_text()
