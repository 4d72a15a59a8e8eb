"""MCSS on mocap4 with 1 % of the labels: about a minute on one CPU core. `--method.metric-weight 0` is its baseline.

The network is small, and all negatives count instead of the hardest alone, which learns more in so short a time
(docs/methods/mcss.md). Settings were chosen on training subjects held out for that purpose. Its poses are canonical:
their errors are not those of `coview bench mocap4`.
"""

from coview.data.batching import SubjectTimes
from coview.data.label_budget import ShownLabels
from coview.data.mocap.mocap4 import Mocap4Config
from coview.methods.mcss import McssConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=McssConfig(head=256, negatives="all"),
    data=Mocap4Config(),
    batching=SubjectTimes(labelled=32),
    labels=ShownLabels(share=0.01),
    steps=1000,
    batch_size=96,
    learning_rate=1e-3,
    weight_decay=1e-4,
    schedule="cosine",
    warm_up=50,
    resolve_ambiguity_at=(0.1, 0.3, 1.0),
)
