"""MCSS with an encoder that lifts, ours, on mocap4 with 1 % of the labels: three minutes on one CPU core.

Its baseline, taught by the labels alone:
    coview train mcss_lifting_mocap4 --method.across 0 --method.agreement 0 --method.limb-weight 0
Settings were chosen on training subjects held out for that purpose. Its poses are canonical: their errors are not those
of `coview bench mocap4`.
"""

from dataclasses import replace

from coview.data.augment import Augment
from coview.data.batching import Mixed
from coview.methods.mcss_lifting import McssLiftingConfig
from coview.recipes.mocap4 import mcss_mocap4

recipe = replace(
    mcss_mocap4.recipe,
    method=McssLiftingConfig(),
    batching=Mixed(share=1 / 3, by="labelled"),
    augment=Augment(mirror=0.5),
    steps=1500,
    learning_rate=2e-3,
    weight_decay=0.0,
    clip_norm=1.0,
)
