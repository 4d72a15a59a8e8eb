"""Types of command-line arguments with their names in the help: `SESSION`, `FILE` instead of `PATH`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from coview.errors import InputError

SessionFolder = Annotated[Path, arg(metavar="SESSION")]
Recording = Annotated[Path, arg(metavar="RECORDING")]
RunFolder = Annotated[Path, arg(metavar="RUN")]
OptionalRun = Annotated[Path | None, arg(metavar="RUN")]
File = Annotated[Path, arg(metavar="FILE")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE")]
Folder = Annotated[Path, arg(metavar="FOLDER")]
OptionalFolder = Annotated[Path | None, arg(metavar="FOLDER")]
OptionalSession = Annotated[Path | None, arg(metavar="SESSION")]
# "1.75", or of several people the one who is meant: "2:1.62"
Stature = Annotated[str | None, arg(metavar="[PERSON:]METRES")]
Metres = Annotated[float | None, arg(metavar="METRES")]
Size = Annotated[tuple[int, int] | None, arg(metavar="WIDTH HEIGHT")]
Frames = Annotated[tuple[int, int] | None, arg(metavar="FIRST END")]


def parse_stature(text: str | None) -> float | tuple[int, float] | None:
    """Parse a stature, "1.75", or whose it is and metres, "2:1.62".

    Args:
        text: As typed; None: nothing was.

    Returns:
        Metres, or the number of a person and metres.

    Raises:
        InputError: The text is neither.
    """
    if text is None:
        return None
    person, _, metres = text.rpartition(":")
    try:
        return (int(person), float(metres)) if ":" in text else float(metres)
    except ValueError as error:
        raise InputError(
            f"--stature {text} is neither metres (1.75) nor a person's number and metres (2:1.62)."
        ) from error
