"""EpipolarPose without labels on rendered people, small: ResNet-18 of half the width, 128 pixels, 16 layers of depth.

What teaches it are poses triangulated from a 2D network's joints with cameras found from the people; it begins with
that network's weights, a heat map in every layer of its joint's volume, so that depth alone is left to learn.
    coview train ransac_rendered --data.cameras ring
    coview train epipolar_pose_rendered
"""

from pathlib import Path

from coview.data.augment import Augment
from coview.data.augment_images import ImageAugment
from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.rendering.dataset import RenderedConfig
from coview.methods.epipolar_pose import EpipolarPoseConfig
from coview.recipes.rendered.ransac_rendered import method as heatmaps
from coview.training.recipe import Recipe

method = EpipolarPoseConfig(
    depth=18,
    size=128,
    trunk=32,
    deconv=64,
    cells=16,
    multiplier=heatmaps.multiplier,  # of the heat maps that it begins with
    beta=0.02,
    cell_weight=0.05,
)
data = RenderedConfig(scenes=5000, validation_scenes=400, size=128, cameras="ring", scenery="studio")
recipe = Recipe(
    method=method,
    data=data,
    pseudo=PseudoConfig(cameras="people", detector=Path("runs/ransac_rendered")),
    augment=Augment(images=ImageAugment(scale=0.1, rotation=10.0, occluders=3, occluded=0.3)),
    init="runs/ransac_rendered",
    steps=2000,
    batch_size=8,
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="cosine",
    warm_up=100,
)
