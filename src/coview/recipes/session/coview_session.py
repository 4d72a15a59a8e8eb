"""Our own best answer on your own recording: what `coview train --data SESSION` runs. No 3D label is needed.

The extrinsics are estimated from the person, so only the intrinsics must be known: from the calibration file that the
session came with, or from `coview calibrate`. As `coview_mocap4`, with generated people besides: a recording shows few
poses. Better still, where there is one: begin with a model of many people, `--init runs/coview_mocap4`.
"""

from dataclasses import replace

from coview.data.augment import Augment
from coview.data.session_dataset import RecordedConfig
from coview.data.virtual_views import VirtualViews
from coview.recipes.mocap4 import coview_mocap4

recipe = replace(
    coview_mocap4.recipe,
    data=RecordedConfig(),
    steps=2500,
    batch_size=32,
    augment=Augment(mirror=0.5, virtual=VirtualViews(count=4, generated=64)),
)
