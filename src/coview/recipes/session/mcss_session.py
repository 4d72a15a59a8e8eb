"""MCSS on your own recording: give the session with --data. A tenth of its reconstruction are the labels.

It must be reconstructed in a world whose z axis points up. Labels of the rest stay hidden in training.
"""

from dataclasses import replace

from coview.data.batching import SubjectTimes
from coview.data.label_budget import ShownLabels
from coview.data.session_dataset import RecordedConfig
from coview.recipes.mocap4 import mcss_mocap4

recipe = replace(
    mcss_mocap4.recipe,
    data=RecordedConfig(),
    batching=SubjectTimes(gap=0.25, labelled=8),
    labels=ShownLabels(share=0.1),
    batch_size=24,
)
