"""Commands of two words, `coview data prepare`, `coview calibrate people`: each has its own flags, and no others."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tyro

from coview.cli.ending import UsageError
from coview.cli.retired import flags_with_values

Commands = Mapping[str, Callable[..., Any]]


def run_group(name: str, commands: Commands, description: str, arguments: Sequence[str]) -> None:
    """Run one command of a group; without arguments, show what there is.

    Args:
        name: Name of the group.
        commands: Name -> function.
        description: Shown by `--help`.
        arguments: The command line after the group's name.

    Raises:
        UsageError: The first word is no command of the group, or a flag belongs to another command of it.
    """
    if arguments and not arguments[0].startswith("-"):
        _check(name, commands, arguments[0], arguments[1:])
    tyro.extras.subcommand_cli_from_dict(
        dict(commands),
        prog=f"coview {name}",
        description=description,
        args=list(arguments) or ["--help"],
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _check(name: str, commands: Commands, chosen: str, arguments: Sequence[str]) -> None:
    if chosen not in commands:
        raise UsageError(
            f"coview {name}: '{chosen}' is none of {', '.join(commands)}. Write `coview {name} "
            f"{'|'.join(commands)} ...`; `coview {name} --help` says what each does."
        )
    own = flags_of(commands[chosen])
    for flag, _ in flags_with_values(arguments):
        others = [other for other, command in commands.items() if flag in flags_of(command)]
        if flag not in own and others:
            raise UsageError(
                f"{flag} belongs to {' and '.join(f'`coview {name} {other}`' for other in others)}; "
                f"`coview {name} {chosen}` has no use for it."
            )


def flags_of(command: Callable[..., Any]) -> set[str]:
    """The flags that tyro makes of a function's keyword arguments.

    Args:
        command: The function.

    Returns:
        The flags, with hyphens.
    """
    return {
        f"--{parameter.replace('_', '-')}"
        for parameter, about in inspect.signature(command).parameters.items()
        if about.kind is inspect.Parameter.KEYWORD_ONLY
    }
