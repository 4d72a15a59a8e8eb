"""Cross-View Self-Fusion on your own recording: give the session with --data. No calibration is used."""

from dataclasses import replace

from coview.recipes.mocap4 import self_fusion_mocap4
from coview.recipes.session import canonpose_session

recipe = replace(canonpose_session.recipe, method=self_fusion_mocap4.method)
