"""Cross-View Self-Fusion, Steps 1 and 2, with our defaults on mocap4: about six minutes on one CPU core.

Network, projection and training are those of `canonpose_mocap4`, so that the two differ by fusion alone.
"""

from dataclasses import fields, replace

from coview.methods.cross_view_fusion import SelfFusionConfig
from coview.methods.shared.lifting import LiftingConfig
from coview.recipes.mocap4 import canonpose_mocap4
from coview.representations.fusion.evidence_maps import OURS

method = SelfFusionConfig(
    **{field.name: getattr(canonpose_mocap4.method, field.name) for field in fields(LiftingConfig)},
    fusion=OURS,
    fusion_rotation="rig",
    compared_size="unit_rms",
)
recipe = replace(canonpose_mocap4.recipe, method=method)
