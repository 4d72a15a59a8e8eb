"""Which camera it is that does not fit, where a calibration from people fails because of one."""

import re
import time
from collections.abc import Callable, Sequence

from coview.geometry.epipolar.view_graph import NotDeterminedError

# how a failure begins that is about one camera's detections, not about what the recording determines
_NAMED = re.compile(r"camera '(?P<name>.+?)' does not fit the others")
# with fewer cameras, two are left, and two always agree
_FEWEST = 4
# of the residual without another camera, below which that without this one is clearly smaller
_CLEARLY = 0.7
# processor seconds after which no further camera is left out: nobody is blamed then
_PATIENCE = 30.0


def with_the_right_camera(
    reason: NotDeterminedError, names: Sequence[str], solve: Callable[[list[int]], float]
) -> NotDeterminedError:
    """The failure with the camera named without which the others agree.

    A solution of all cameras together spreads the error of one over the others, so the camera with the worst residuals
    may be an innocent one. Only leaving each out in turn tells; and a mirrored camera may agree with two others.

    Args:
        reason: The failure.
        names: Of the cameras.
        solve: Calibrates some of the cameras, by index, and returns the residual in pixels; raises where that fails.

    Returns:
        The failure itself where it names no camera or there are fewer than four; else with the right name, or, where
        leaving out one does not tell, without one.
    """
    told = _NAMED.search(str(reason))
    if told is None or len(names) < _FEWEST:
        return reason
    words = str(reason)[told.end() :].partition(". ")[2]
    residuals: dict[int, float] = {}
    began = time.process_time()
    for view in range(len(names)):
        if time.process_time() - began > _PATIENCE:
            return NotDeterminedError(
                f"the cameras do not fit each other; which is to blame was not found. {words}"
            )
        try:
            residuals[view] = solve([other for other in range(len(names)) if other != view])
        except NotDeterminedError:
            continue
    best = min(residuals, key=residuals.__getitem__, default=-1)
    if best < 0:
        return NotDeterminedError(
            f"the cameras do not fit each other, and leaving out any one of them is not enough. {words}"
        )
    if any(_CLEARLY * value < residuals[best] for view, value in residuals.items() if view != best):
        found = ", ".join(names[view] for view in residuals)
        return NotDeterminedError(
            f"the cameras do not fit each other, and without one of them ({found}) the others do: which is to blame "
            f"cannot be told. {words}"
        )
    return NotDeterminedError(
        f"camera '{names[best]}' does not fit the others, which agree without it. {words} Mend it, or import without "
        f"it."
    )
