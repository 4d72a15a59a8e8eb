"""Cross-View Self-Fusion on your own recording: give the session with --data. No calibration is used."""

from dataclasses import replace

from coview.recipes import canonpose_session, self_fusion_mocap4

recipe = replace(canonpose_session.recipe, method=self_fusion_mocap4.method)
