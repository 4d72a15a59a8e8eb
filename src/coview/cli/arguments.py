"""Types of command-line arguments with their names in the help: `SESSION`, `FILE` instead of `PATH`."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

SessionFolder = Annotated[Path, arg(metavar="SESSION")]
Recording = Annotated[Path, arg(metavar="RECORDING")]
RunFolder = Annotated[Path, arg(metavar="RUN")]
OptionalRun = Annotated[Path | None, arg(metavar="RUN")]
File = Annotated[Path, arg(metavar="FILE")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE")]
Folder = Annotated[Path, arg(metavar="FOLDER")]
OptionalFolder = Annotated[Path | None, arg(metavar="FOLDER")]
OptionalSession = Annotated[Path | None, arg(metavar="SESSION")]
Metres = Annotated[float | None, arg(metavar="METRES")]
Size = Annotated[tuple[int, int] | None, arg(metavar="WIDTH HEIGHT")]
Frames = Annotated[tuple[int, int] | None, arg(metavar="FIRST END")]
