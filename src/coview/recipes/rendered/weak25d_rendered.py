"""Weakly supervised 2.5D learning on rendered people, small: ResNet-18 of half the width, 128 pixels.

A quarter of the instants show their 2D joints, the others are several views without any label; a quarter of every
batch is of the first kind. It begins with a 2D network, whose joints in the others may teach besides (L_R):
    coview train ransac_rendered --data.cameras ring
    coview train weak25d_rendered --joints2d-from runs/ransac_rendered
Without --joints2d-from that term is left out, as the paper does for pictures in the wild, and here it did better
without (docs/methods/weak_25d.md). The 2D network has to be a good one: where it takes left for right, each view
tells of another person. One that knew a quarter's labels alone (--labels.share2d 0.25) did so in 13 to 19 % of the
joints of limbs, and then nothing is learnt.
"""

from coview.body.limb_lengths import LimbLengths
from coview.data.augment import Augment
from coview.data.augment_images import UNVARIED
from coview.data.batching import Mixed
from coview.data.label_budget import ShownLabels
from coview.data.rendering.dataset import RenderedConfig
from coview.methods.weak_25d import Weak25DConfig
from coview.recipes.rendered.ransac_rendered import method as heatmaps
from coview.representations.relative_depth import Placing
from coview.training.recipe import Recipe

# Means of the training scenes: rendered people's joints lie elsewhere than those of Human3.6M's labels.
limbs = LimbLengths(
    hip=0.0959,
    thigh=0.4283,
    shank=0.4292,
    torso=0.5205,
    neck=0.1768,
    head=0.1764,
    shoulder=0.1931,
    upper_arm=0.3247,
    forearm=0.2545,
)
method = Weak25DConfig(
    depth=18,
    size=128,
    trunk=32,
    deconv=64,
    limbs=limbs,
    placing=Placing(least_share=0.75),
    # of gradients as large as those of the heat maps
    agreement=5.0,
    limb_weight=10.0,
    # of a peak's share: below it left and right are mixed up, and views teach wrong depths
    min_confidence=0.8,
    loss=heatmaps.loss,
    sharpness=heatmaps.multiplier,  # of the heat maps that it begins with
    sigma=heatmaps.sigma,
    ramp=0.02,
    depths="picture",
    trunk_rate=0.2,
)
recipe = Recipe(
    method=method,
    data=RenderedConfig(scenes=5000, validation_scenes=400, size=128, cameras="ring", scenery="studio"),
    labels=ShownLabels(share2d=0.25),
    batching=Mixed(share=0.25),
    augment=Augment(images=UNVARIED),
    init="runs/ransac_rendered",
    steps=6000,
    batch_size=8,
    learning_rate=5e-4,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="cosine",
    warm_up=100,
    resolve_ambiguity_at=(0.3, 1.0),  # which of two mirrored worlds it comes to is chance
)
