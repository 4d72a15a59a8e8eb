"""EpipolarPose at the paper's size, on rendered people: ResNet-50, 256 pixels, 64 cells, 140 epochs; for a GPU.

The paper's rate falls at epochs 90 and 120 of 140; "drops" falls after 30, 60 and 90 % instead.
    coview train ransac_rendered_paper --method.depth 50 --method.size 256 --data.size 256 --data.scenery studio \\
        --data.cameras ring --precision bf16 --out runs/ransac_epipolar_paper
    coview train epipolar_pose_rendered_paper --precision bf16
"""

from dataclasses import replace
from pathlib import Path

from coview.data.augment import Augment
from coview.data.augment_images import ImageAugment
from coview.data.pseudo_labels.config import PseudoConfig
from coview.methods.epipolar_pose import EpipolarPoseConfig
from coview.recipes.rendered.epipolar_pose_rendered import data
from coview.recipes.rendered.epipolar_pose_rendered import recipe as small

recipe = replace(
    small,
    method=EpipolarPoseConfig(),
    data=replace(data, size=256),
    pseudo=PseudoConfig(cameras="people", detector=Path("runs/ransac_epipolar_paper")),
    init="runs/ransac_epipolar_paper",
    augment=Augment(images=ImageAugment()),
    steps=140 * 625,  # 5000 instants of four crops, 32 crops at a time
    schedule="drops",
)
