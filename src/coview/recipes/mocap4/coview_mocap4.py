"""Our own best answer on mocap4, with no 3D label and no given camera.

Self-calibration from people, robust triangulation with covariance, pseudo-labels weighted by that covariance, and a
lifter that learns from the real views and from virtual ones: every reconstructed pose projected into random cameras,
with the detector's errors.
"""

from dataclasses import replace

from coview.data.augment import Augment
from coview.data.virtual_views import VirtualViews
from coview.recipes.mocap4 import epipolar_lift_mocap4

recipe = replace(
    epipolar_lift_mocap4.recipe,
    method=replace(epipolar_lift_mocap4.method, half_at=0.03, consistency=0.2),
    augment=Augment(mirror=0.5, virtual=VirtualViews(count=2)),
    steps=4000,  # more than the others: virtual views never repeat, and there is more to learn from them
)
