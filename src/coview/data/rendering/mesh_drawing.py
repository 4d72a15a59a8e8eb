"""Drawing meshes into the pictures of a renderer: the same mesh in several pictures at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.data.rendering.mesh_body import MeshBody
from coview.data.rendering.renderer import Renderer


@dataclass(frozen=True)
class Worn:
    """A mesh in a pose, in its clothes, in some pictures."""

    positions: Float[Tensor, "vertices 3"]  # metres, world
    normals: Float[Tensor, "vertices 3"]
    palette: Float[
        Tensor, "garments 3 4"
    ]  # colour | pattern, second colour | periods per metre, skin | share covered
    tiles: Int[Tensor, "pictures"]  # which pictures show it


class MeshDrawer:
    """Holds what does not change from person to person on the renderer's side."""

    def __init__(self, renderer: Renderer, body: MeshBody) -> None:
        self._renderer = renderer
        self._program = renderer.program("mesh.vert", "mesh.frag")
        gl = renderer.gl
        clothed = body.clothed()
        fixed = torch.cat([body.vertices, clothed], dim=-1)
        self._fixed = gl.buffer(fixed.numpy().astype("f4").tobytes())
        # The atlas is drawn bottom up, which mirrors it: triangles that turn anticlockwise seen from outside would
        # turn clockwise there and be culled as back faces, and the far side of the body would be seen.
        front = body.triangles.flip(-1)
        self._triangles = gl.buffer(front.numpy().astype("i4").tobytes())
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

    def draw(self, worn: Worn) -> None:
        """Into the pictures that are being drawn: pass it to `Renderer.draw`."""
        moving = torch.cat([worn.positions, worn.normals], dim=-1)
        self._moving.write(moving.numpy().astype("f4").tobytes())
        self._tiles.write(worn.tiles.numpy().astype("f4").tobytes())
        self._program["palette"].write(np.ascontiguousarray(worn.palette.numpy(), dtype="f4").tobytes())
        self._array.render(instances=len(worn.tiles))
