"""Which camera it is that does not fit, where a calibration from people fails because of one."""

import re
from collections.abc import Callable, Sequence

from coview.geometry.epipolar.view_graph import NotDeterminedError

# how a failure begins that is about one camera's detections, not about what the recording determines
_NAMED = re.compile(r"camera '(?P<name>.+?)' does not fit the others")
# with fewer cameras, two are left, and two always agree
_FEWEST = 4


def with_the_right_camera(
    reason: NotDeterminedError, names: Sequence[str], solve: Callable[[list[int]], object]
) -> NotDeterminedError:
    """The failure with the camera named without which the others agree.

    A solution of all cameras together spreads the error of one over the others, so the camera with the worst residuals
    may be an innocent one. Only leaving each out in turn tells.

    Args:
        reason: The failure.
        names: Of the cameras.
        solve: Calibrates some of the cameras, by index; raises where that fails.

    Returns:
        The failure itself where it names no camera or there are fewer than four; else with the right name, or, where
        leaving out one is not enough, without one.
    """
    told = _NAMED.search(str(reason))
    if told is None or len(names) < _FEWEST or told["name"] not in names:
        return reason
    first = names.index(told["name"])
    for view in (first, *(other for other in range(len(names)) if other != first)):
        try:
            solve([other for other in range(len(names)) if other != view])
        except NotDeterminedError:
            continue
        words = str(reason)[told.end() :].partition(". ")[2]
        return NotDeterminedError(
            f"camera '{names[view]}' does not fit the others, which agree without it. {words} Mend it, or import "
            f"without it."
        )
    words = str(reason)[told.end() :].partition(". ")[2]
    return NotDeterminedError(
        f"the cameras do not fit each other, and leaving out any one of them is not enough. {words}"
    )
