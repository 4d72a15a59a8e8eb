"""The `coview` command.

Nothing heavy is imported before a command runs, so that `coview --help` answers at once.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from coview import __version__
from coview.cli.arguments import Folder
from coview.cli.bench import bench
from coview.cli.calib import calib
from coview.cli.calibration import calibrate
from coview.cli.data import data
from coview.cli.ending import ended
from coview.cli.learning import asks_for_weights, evaluate, evaluate_weights, predict, recipes, train
from coview.cli.reconstruction import export, reconstruct, report
from coview.cli.recording import associate, import_
from coview.cli.retired import in_todays_form, refuse_retired
from coview.cli.say import note, say


def demo(out: Folder = Path("demo"), *, seed: int = 0) -> None:
    """The whole story on a generated recording: calibrate, reconstruct, learn, evaluate, report.

    Args:
        out: Folder to make; an unfinished one is continued.
        seed: Of the recording and of the training.
    """
    from coview.demo import run_demo

    summary = run_demo(out, seed=seed)
    cameras, joints, model = (summary[key] for key in ("calibration", "reconstruction", "model"))
    say(
        f"calibration     {cameras['rotation_error_deg']:.2f}° and {cameras['centre_error_mm']:.1f} mm off the truth"
    )
    say(f"reconstruction  {joints['mpjpe_mm']:.1f} mm mean joint error")
    say(
        f"one camera      {model['n_mpjpe_mm']:.1f} mm N-MPJPE, {model['p_mpjpe_mm']:.1f} mm P-MPJPE, without 3D labels"
    )
    say(f"report          {out / 'report.html'}   ({sum(summary['seconds'].values()):.0f} s)")


def doctor() -> None:
    """What is installed, what is missing and what that costs."""
    from coview.doctor import examine

    for line in examine():
        say(line)


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "data": data,
    "import": import_,
    "associate": associate,
    "calibrate": calibrate,
    "calib": calib,
    "reconstruct": reconstruct,
    "export": export,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "report": report,
    "recipes": recipes,
    "bench": bench,
    "doctor": doctor,
}
# Commands that read their own arguments: groups of commands, and `train`, whose flags are those of its recipe.
OWN_ARGUMENTS = frozenset({"train", "data", "calib", "calibrate"})
ABOUT = (
    "3D human pose from several cameras: import, calibrate, reconstruct, export, train, predict. "
    "`coview --version` says which version this is; docs/reference/commands.md explains exit codes."
)


def main() -> None:
    """Run one command; leaves the program where it failed (`cli.ending`; codes: docs/reference/commands.md)."""
    if code := ended(lambda: _run(sys.argv[1:])):
        sys.exit(code)


def _run(arguments: list[str]) -> None:
    if arguments == ["--version"]:
        say(f"coview {__version__}")
        return
    arguments, form = in_todays_form(arguments)
    note([form] if form else [])
    refuse_retired(arguments)
    if arguments and arguments[0] in OWN_ARGUMENTS:
        COMMANDS[arguments[0]](arguments[1:])
        return
    if arguments[:1] == ["evaluate"] and asks_for_weights(arguments[1:]):
        evaluate_weights(arguments[1:])
        return
    tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="coview",
        description=ABOUT,
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


if __name__ == "__main__":
    main()
