from typing import get_args

from coview.cli import arguments


def test_every_argument_has_a_name_for_the_help():
    kinds = [kind for name, kind in vars(arguments).items() if name[0].isupper() and get_args(kind)]
    kinds = [kind for kind in kinds if hasattr(kind, "__metadata__")]
    assert len(kinds) >= 10
    assert all(kind.__metadata__[0].metavar.isupper() for kind in kinds)
