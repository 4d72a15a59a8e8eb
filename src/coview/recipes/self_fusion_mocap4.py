"""Cross-View Self-Fusion, Steps 1 and 2, with our defaults on mocap4: about six minutes on one CPU core."""

from dataclasses import replace

from coview.methods.cross_view_fusion import SelfFusionConfig
from coview.recipes import canonpose_mocap4
from coview.representations.evidence_maps import OURS

method = SelfFusionConfig(
    width=256,
    rotation="six_d",
    projection="perspective",
    input_size="unit_rms",
    placed_by="weighted",
    pose_start=0.03,
    both_sides=True,
    fusion=OURS,
    fusion_rotation="rig",
    compared_size="unit_rms",
)
recipe = replace(canonpose_mocap4.recipe, method=method)
