"""The network of EpipolarPose taught by the true poses of rendered people: what the lack of labels costs.

coview train epipolar_pose_rendered_supervised
"""

from dataclasses import replace

from coview.data.pseudo_labels.config import PseudoConfig
from coview.recipes.rendered.epipolar_pose_rendered import method
from coview.recipes.rendered.epipolar_pose_rendered import recipe as self_supervised

recipe = replace(
    self_supervised, method=replace(method, taught_by="truth"), pseudo=PseudoConfig(cameras="none")
)
