"""Drawing of a mesh into several images of a renderer at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.data.rendering.mesh_body import MeshBody
from coview.data.rendering.renderer import Renderer


@dataclass(frozen=True)
class DressedMesh:
    """A posed mesh with clothes, and the images that show it."""

    # metres, world
    positions: Float[Tensor, "vertices 3"]
    normals: Float[Tensor, "vertices 3"]
    # colour | pattern, second colour | periods per metre, skin | share covered
    palette: Float[Tensor, "garments 3 4"]
    # numbers of the images that show it
    tiles: Int[Tensor, "pictures"]


class MeshDrawer:
    """GPU buffers of a mesh that do not change from person to person.

    Args:
        renderer: that draws.
        body: the mesh."""

    def __init__(self, renderer: Renderer, body: MeshBody) -> None:
        self._renderer = renderer
        self._program = renderer.program("mesh.vert", "mesh.frag")
        gl = renderer.gl
        clothed = body.clothed()
        fixed = torch.cat([body.vertices, clothed], dim=-1)
        self._fixed = gl.buffer(fixed.numpy().astype("f4").tobytes())
        # The atlas is drawn bottom up, which mirrors it: triangles that turn anticlockwise seen from outside would
        # turn clockwise there and be culled as back faces, and the far side of the body would be seen.
        reversed_triangles = body.triangles.flip(-1)
        self._triangles = gl.buffer(reversed_triangles.numpy().astype("i4").tobytes())
        self._moving = gl.buffer(reserve=len(body.vertices) * 24)
        self._tiles = gl.buffer(reserve=renderer.capacity * 4)
        self._array: Any = gl.vertex_array(
            self._program,
            [
                (self._moving, "3f 3f", "position", "normal_in"),
                (self._fixed, "4f 1f", "rest_worn", "along"),
                (self._tiles, "1f /i", "tile_of"),
            ],
            self._triangles,
        )

    def draw(self, worn: DressedMesh) -> None:
        """Draws into the current images: to be passed to `Renderer.draw`.

        Args:
            worn: the mesh and its images."""
        moving = torch.cat([worn.positions, worn.normals], dim=-1)
        self._moving.write(moving.numpy().astype("f4").tobytes())
        self._tiles.write(worn.tiles.numpy().astype("f4").tobytes())
        self._program["palette"].write(np.ascontiguousarray(worn.palette.numpy(), dtype="f4").tobytes())
        self._array.render(instances=len(worn.tiles))
