"""EpipolarPose's idea for 2D joints on mocap4: cameras from people, their triangulation as labels, no other truth.

Network, inputs and training are those of `supervised_mocap4`, so that the two differ by the labels alone.
"""

from dataclasses import fields, replace

from coview.data.pseudo_labels.labels import PseudoConfig
from coview.methods.pseudo_label_lifting import PseudoLabelLiftingConfig
from coview.methods.shared.lifting import LiftingConfig
from coview.recipes.mocap4 import supervised_mocap4

method = PseudoLabelLiftingConfig(
    **{field.name: getattr(supervised_mocap4.recipe.method, field.name) for field in fields(LiftingConfig)}
)
recipe = replace(supervised_mocap4.recipe, method=method, pseudo=PseudoConfig(cameras="people"))
