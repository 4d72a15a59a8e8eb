"""Every error that a user may meet is a CoviewError and a standard exception too."""

import ast
import builtins
import pickle
from pathlib import Path

import pytest

from coview import errors
from coview.body.stature_scale import NoScaleError
from coview.capture.reconstruction.reconstruct import NothingReconstructedError
from coview.errors import CoviewError
from coview.formats.calibration.units import AmbiguousUnitsError
from coview.formats.session.session import StaleError
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.training.learner import Diverged
from coview.training.memory import TooLarge

ROOT = Path(errors.__file__).parent
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, CoviewError) and kind is not CoviewError
]
# What only a programmer can cause: a value that has no TOML or JSON form, a writer or an attribute that does not exist.
OURS = {"TypeError", "NotImplementedError", "AttributeError"}
# Errors of the operating system that are passed on with more words, and how programs are stopped.
PASSED_ON = {"OSError", "SystemExit", "KeyboardInterrupt"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_is_a_standard_exception_too_and_keeps_its_text(kind):
    standard = [base for base in kind.__mro__ if base.__module__ == "builtins"]
    assert standard[0] is not Exception
    assert str(kind("no file x.")) == "no file x."
    assert str(pickle.loads(pickle.dumps(kind("no file x.")))) == "no file x."  # as worker processes send it


@pytest.mark.parametrize(
    "kind",
    [
        NothingReconstructedError,
        NoScaleError,
        AmbiguousUnitsError,
        StaleError,
        NotDeterminedError,
        Diverged,
        TooLarge,
    ],
)
def test_the_errors_of_single_stages_are_among_them(kind):
    assert issubclass(kind, CoviewError)
    assert issubclass(kind, ValueError)


def standard_ones_raised(path: Path) -> set[str]:
    raised = {
        node.exc.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    return {name for name in raised if hasattr(builtins, name)} - OURS - PASSED_ON


def test_nothing_else_is_raised_deliberately():
    found = {str(path.relative_to(ROOT)): standard_ones_raised(path) for path in sorted(ROOT.rglob("*.py"))}
    assert not {path: names for path, names in found.items() if names}, (
        "raise a CoviewError (coview.errors) where a user may meet it"
    )
