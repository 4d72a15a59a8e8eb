"""Heat maps from 2D labels at the paper's size, on rendered people: ResNet-152 and 384 pixels; for a GPU."""

from dataclasses import replace

from coview.data.rendering.dataset import RenderedConfig
from coview.methods.algebraic_triangulation import RansacTriangulationConfig
from coview.recipes.rendered.ransac_rendered import recipe as small

data = RenderedConfig(scenes=5000, validation_scenes=400, size=384)
recipe = replace(small, method=RansacTriangulationConfig(), data=data, steps=20_000, learning_rate=1e-4)
