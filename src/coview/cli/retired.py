"""Flags that were renamed or moved; the error for an old flag names the new one.

A flag stays in the table for as long as scripts and notes of users may hold it; the new names are documented only.
"""

import shlex
from collections.abc import Iterator, Sequence

from coview.cli.ending import UsageError

# command -> {old flag, or old flag with a value: what to write today}
RETIRED: dict[tuple[str, ...], dict[str, str]] = {
    ("calibrate",): {
        "--trust": "--min-confidence",
        "--fit-focal no": "--fit-focal fixed",
        "--fit-clock no": "--fit-clock fixed",
        "--fit-distortion no": "--fit-distortion fixed",
        "--lenses": "--intrinsics-videos",
    },
    ("calibrate", "people"): {"--file": "--intrinsics"},
    ("calibrate", "board"): {"--file": "--intrinsics"},
    ("calibrate", "file"): {"--file CALIBRATION": "CALIBRATION, right after the session"},
    ("associate",): {"--late": "--time-offset"},
    ("reconstruct",): {"--trust": "--min-confidence"},
    ("train",): {
        "--pseudo.trust": "--pseudo.min-confidence",
        "--data.reference": "--data.released-numerics",
        "--revise-at": "--resolve-ambiguity-at",
        "--method.both-sides": "--method.flip-test",
        "--method.no-both-sides": "--method.no-flip-test",
        "--method.refinements": "--method.refine, or --method.no-refine for none",
        "--method.placed-by": "--method.centring",
        "--method.pose-start": "--method.pose-head-init-scale",
        "--method.reference": "--method.released-numerics",
        "--method.no-reference": "--method.no-released-numerics",
        "--method.least-trust": "--method.min-confidence",
        "--method.least-pseudo": "--method.min-pseudo-confidence",
        "--method.fusion.least-turn": "--method.fusion.min-axis-sine",
        "--method.placing.hold": "--method.placing.detach-depth",
        "--method.placing.no-hold": "--method.placing.no-detach-depth",
    },
}


def refuse_retired(arguments: Sequence[str]) -> None:
    """Refuse flags that were renamed.

    Args:
        arguments: The command line after `coview`.

    Raises:
        UsageError: One was given; the text names the new flags.
    """
    words = [word for argument in arguments for word in _parted(argument)]
    found = [f"`{old}` is now `{new}`" for old, new in _retired(words)]
    if found:
        raise UsageError(f"coview {words[0]}: {', '.join(dict.fromkeys(found))}.")


def in_todays_form(arguments: Sequence[str]) -> tuple[list[str], str]:
    """A command line of version 0.1 that has one meaning today, in today's words: `calibrate SESSION --from SOURCE`.

    Args:
        arguments: The command line after `coview`.

    Returns:
        The command line to run, and a note that says what to write; the arguments as they are and "" elsewhere.
    """
    words = [word for argument in arguments for word in _parted(argument)]
    if words[:1] != ["calibrate"] or "--from" not in words:
        return list(arguments), ""
    new = _calibrate_from(words[1:])
    note = f"`coview calibrate SESSION --from SOURCE` goes in version 0.3; it is now: {shlex.join(['coview', *new])}"
    return new, note


def flags_with_values(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Every flag, with hyphens, and the argument that follows it or stands behind its `=`.

    Args:
        arguments: The command line.

    Returns:
        Pairs of flag and value; the value is "" where nothing follows.
    """
    words = [word for argument in arguments for word in _parted(argument)]
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word.startswith("--"):
            yield word, following


def _parted(argument: str) -> list[str]:
    """`--min_confidence=0.2` as two words, with hyphens; anything but a flag as it is."""
    if not argument.startswith("--"):
        return [argument]
    name, equals, value = argument.partition("=")
    return [name.replace("_", "-"), value] if equals else [name.replace("_", "-")]


def _tables(words: Sequence[str]) -> list[dict[str, str]]:
    return [table for command, table in RETIRED.items() if tuple(words[: len(command)]) == command]


def _retired(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Old and new of every retired flag that was given."""
    for flag, value in flags_with_values(words):
        for table in _tables(words):
            for old, new in table.items():
                name, _, wanted = old.partition(" ")
                if flag == name and (not wanted or wanted.isupper() or wanted == value):
                    yield old, new


def _calibrate_from(words: list[str]) -> list[str]:
    """`coview calibrate SESSION --from people ...`, the form of version 0.1, in today's words."""
    at = words.index("--from")
    source, rest = " ".join(words[at + 1 : at + 2]) or "people", words[:at] + words[at + 2 :]
    new = ["calibrate", source, *rest]
    for old, today in list(_retired(new)):
        # "--fit-focal no" is two words; "--file CALIBRATION" leaves its value where it stands
        length = 1 if old.rpartition(" ")[2].isupper() else len(old.split())
        at = new.index(old.split()[0])
        new[at : at + length] = today.split() if today.startswith("--") else []
    return new
