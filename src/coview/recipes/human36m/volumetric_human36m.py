"""Volumetric triangulation on Human3.6M as the released weights were trained [Iskakov19]; the data is yours to bring.

coview train algebraic_human36m --init released:pose_resnet_4.5_pixels_human36m.pth
coview train volumetric_human36m --init released:pose_resnet_4.5_pixels_human36m.pth --base-from runs/algebraic_human36m

Forty times 15 000 scenes, five at a time; the backbone learns at a tenth of the rate. The cuboid stands at the
algebraic method's pelvis. On the authors' card with 24 GB that took five days.
"""

from dataclasses import replace

from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.recipes.human36m.algebraic_human36m import recipe as algebraic

recipe = replace(
    algebraic,
    method=VolumetricTriangulationConfig(),
    steps=40 * 3000,
    batch_size=5,
    learning_rate=1e-3,
)
