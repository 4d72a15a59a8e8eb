"""coview: learn and measure 3D human pose from several cameras that see the same person.

Everything that a notebook needs is here, and is loaded when it is first used:

    >>> import coview
    >>> session = coview.example_session("walk", calibrated=True)  # your own: session.calibrate()
    >>> pixels, confidence = session.joints2d()
    >>> points = coview.triangulate(session.calibration().cameras, pixels, confidence)
    >>> points.shape
    (375, 17, 3)

Arrays may be NumPy arrays, torch tensors or nested lists of numbers, in any memory layout; the answer is of the kind
that came in (`coview.api.arrays` has the table). The last axes always are `views, joints, coordinates`; whatever comes
before is batch. Inside: metres, pixels, radians, seconds; OpenCV camera axes; a world with z up; pixel (0, 0) is the
centre of the top-left pixel; NaN for what is not known. Errors that a caller can mend are `coview.CoviewError`.

Stability. The names in `coview.__all__`, their signatures and the meaning of what they return are public;
`tests/api_surface.json` lists them, and which members of classes are meant. While the version is 0.x, a public name or
argument that goes, or changes its meaning, is announced in the changelog and warns with a `DeprecationWarning` for one
minor release before it does (what 0.3 deprecates, 0.4 may remove); new arguments have defaults that change nothing.
Modules below `coview` may be imported by name, and may move in any minor release; so may whatever begins with an
underscore, in any release. Files that a version wrote (sessions, calibrations, runs) are read by every later 0.x.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

# Public name: the module it comes from.
_HOMES = {
    "Calibration": "coview.formats.calibration.calibration",
    "Cameras": "coview.cameras",
    "CoviewError": "coview.errors",
    "Session": "coview.api.session",
    "Skeleton": "coview.skeletons",
    "align": "coview.api.poses",
    "calibrate_from_people": "coview.api.calibration",
    "convert_joints": "coview.api.poses",
    "evaluate": "coview.api.models",
    "example_cameras": "coview.api.examples",
    "example_session": "coview.api.examples",
    "load_model": "coview.api.models",
    "make_cameras": "coview.api.calibration",
    "mpjpe": "coview.api.metrics",
    "n_mpjpe": "coview.api.metrics",
    "p_mpjpe": "coview.api.metrics",
    "pck": "coview.api.metrics",
    "predict": "coview.api.models",
    "project": "coview.api.triangulation",
    "pss": "coview.api.metrics",
    "read_calibration": "coview.formats.calibration.calibration",
    "skeleton": "coview.api.poses",
    "train": "coview.api.models",
    "triangulate": "coview.api.triangulation",
    "undistort": "coview.api.triangulation",
    "write_calibration": "coview.formats.calibration.calibration",
}
__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from coview.api.calibration import calibrate_from_people as calibrate_from_people
    from coview.api.calibration import make_cameras as make_cameras
    from coview.api.examples import example_cameras as example_cameras
    from coview.api.examples import example_session as example_session
    from coview.api.metrics import mpjpe as mpjpe
    from coview.api.metrics import n_mpjpe as n_mpjpe
    from coview.api.metrics import p_mpjpe as p_mpjpe
    from coview.api.metrics import pck as pck
    from coview.api.metrics import pss as pss
    from coview.api.models import evaluate as evaluate
    from coview.api.models import load_model as load_model
    from coview.api.models import predict as predict
    from coview.api.models import train as train
    from coview.api.poses import align as align
    from coview.api.poses import convert_joints as convert_joints
    from coview.api.poses import skeleton as skeleton
    from coview.api.session import Session as Session
    from coview.api.triangulation import project as project
    from coview.api.triangulation import triangulate as triangulate
    from coview.api.triangulation import undistort as undistort
    from coview.cameras import Cameras as Cameras
    from coview.errors import CoviewError as CoviewError
    from coview.formats.calibration.calibration import Calibration as Calibration
    from coview.formats.calibration.calibration import read_calibration as read_calibration
    from coview.formats.calibration.calibration import write_calibration as write_calibration
    from coview.skeletons import Skeleton as Skeleton


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for; torch is not imported before."""
    if name not in _HOMES:
        raise AttributeError(
            f"module 'coview' has no attribute '{name}'. It has: {', '.join(sorted(_HOMES))}."
        )
    globals()[name] = found = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
