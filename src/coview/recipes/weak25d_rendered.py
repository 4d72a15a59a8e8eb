"""Weakly supervised 2.5D learning on rendered people, small: ResNet-18 of half the width, 128 pixels.

A quarter of the instants show their 2D joints, the others are several views without any label; half of every batch is
of either kind. A 2D network that was trained on the labelled ones says where joints are in the others (L_R):
    coview train ransac_rendered --labels.share2d 0.25
    coview train weak25d_rendered --joints2d-from runs/ransac_rendered
Without --joints2d-from that term is left out, as the paper does for pictures in the wild.
"""

from coview.data.augment import Augment
from coview.data.augment_images import ImageAugment
from coview.data.batching import Mixed
from coview.data.labels import ShownLabels
from coview.data.rendered import RenderedConfig
from coview.methods.weak_25d import Weak25DConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=Weak25DConfig(depth=18, size=128, trunk=32, deconv=64, sigma=1.5),
    data=RenderedConfig(scenes=5000, validation_scenes=400, size=128, cameras="ring", scenery="studio"),
    labels=ShownLabels(share2d=0.25),
    batching=Mixed(share=0.5),
    augment=Augment(images=ImageAugment(scale=0.1, rotation=10.0)),
    steps=6000,
    batch_size=8,
    learning_rate=1e-3,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="cosine",
    warm_up=100,
)
