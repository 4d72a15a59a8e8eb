"""Cross-View Self-Fusion, Step 1 alone: `self_fusion_mocap4` without the second pass."""

from dataclasses import replace

from coview.recipes.mocap4 import self_fusion_mocap4

recipe = replace(self_fusion_mocap4.recipe, method=replace(self_fusion_mocap4.method, steps=1))
