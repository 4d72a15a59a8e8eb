"""MCSS on pictures of generated people with 1 % of the labels: a small ResNet-18, crops of 128 pixels.

A few people with many instants each, because negatives are other instants of the same person.
"""

from coview.data.batching import SubjectTimes
from coview.data.label_budget import ShownLabels
from coview.data.rendering.dataset import RenderedConfig
from coview.methods.mcss import McssImageConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=McssImageConfig(depth=18, size=128, trunk=16, head=256, negatives="all"),
    data=RenderedConfig(scenes=4000, validation_scenes=400, subjects=20, validation_subjects=10, size=128),
    batching=SubjectTimes(labelled=8),
    labels=ShownLabels(share=0.01),
    steps=4000,
    batch_size=32,
    learning_rate=1e-3,
    weight_decay=1e-4,
    schedule="cosine",
    warm_up=100,
    resolve_ambiguity_at=(0.1, 0.3, 1.0),
)
