"""MCSS with an encoder that lifts, ours, on your own recording: give the session with --data.

A tenth of its reconstruction are the labels; those of the rest stay hidden in training. It must be reconstructed in a
world whose z axis points up. Cameras are taken to stand level and to look down alike.
"""

from dataclasses import replace

from coview.recipes.mocap4 import mcss_lifting_mocap4
from coview.recipes.session import mcss_session

recipe = replace(
    mcss_lifting_mocap4.recipe,
    data=mcss_session.recipe.data,
    labels=mcss_session.recipe.labels,
    batch_size=24,
    steps=1000,
)
