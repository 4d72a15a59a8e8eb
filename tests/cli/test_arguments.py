from typing import get_args

import pytest

from coview.cli import arguments
from coview.cli.arguments import parse_stature
from coview.errors import InputError


def test_every_argument_has_a_name_for_the_help():
    kinds = [kind for name, kind in vars(arguments).items() if name[0].isupper() and get_args(kind)]
    kinds = [kind for kind in kinds if hasattr(kind, "__metadata__")]
    assert len(kinds) >= 10
    assert all(kind.__metadata__[0].metavar.isupper() for kind in kinds)


def test_a_stature_may_say_whose_it_is():
    assert parse_stature(None) is None
    assert parse_stature("1.75") == 1.75
    assert parse_stature("2:1.62") == (2, 1.62)
    for wrong in ("tall", "2:", "a:1.7", "1:2:1.7"):
        with pytest.raises(InputError, match=r"neither metres \(1.75\) nor"):
            parse_stature(wrong)
