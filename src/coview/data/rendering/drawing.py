"""Rendering of people and objects: random appearance, sorting of parts into images, drawing."""

import functools

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from coview.cameras import Cameras
from coview.data.rendering import appearance
from coview.data.rendering.capsule_body import GARMENTS, body_capsules
from coview.data.rendering.mesh_body import MeshBody
from coview.data.rendering.mesh_drawing import DressedMesh, MeshDrawer
from coview.data.rendering.occluders import Occluders, behind
from coview.data.rendering.renderer import PART_FIELDS, Primitives, Renderer, renderer
from coview.data.rendering.scenes import PosedPeople
from coview.data.rendering.skinning import skinned
from coview.skeletons import H36M_17


def pictures(
    size: tuple[int, int],
    people: PosedPeople,
    cameras: Cameras,
    occluders: Occluders,
    kept: Bool[Tensor, "pictures"],
    generator: torch.Generator,
    mesh: MeshBody | None = None,
    *,
    studio: bool = False,
) -> UInt8[Tensor, "pictures 3 height width"]:
    """Rendered images, all views of the first scene first.

    Args:
        size: width and height, pixels.
        people: poses and builds.
        cameras: of the images.
        occluders: one per image.
        kept: whether the occluder of each image is drawn.
        generator: of the appearance.
        mesh: of the bodies; None: capsules.
        studio: one evenly lit room instead of random surroundings."""
    scenes, artist = len(people.joints3d), renderer(size, 0 if mesh else 4)
    views = len(cameras) // scenes
    person = torch.arange(scenes).repeat_interleave(views)
    root = people.joints3d[:, H36M_17.root_index]
    ground = root[person, :2]
    if studio:
        tiles = appearance.studio(cameras, ground, generator)
    else:
        tiles = appearance.tiles(cameras, person, ground, generator)
    outfit = appearance.clothes(scenes, generator)
    body = None if mesh else _dressed(people, outfit).packed().reshape(scenes, -1, PART_FIELDS)
    crowd = _Crowd(artist, mesh, people, outfit) if mesh else None
    objects = [(_painted(occluders, generator).packed(), kept, occluders.is_box)]
    clutter = () if studio else (0.8, 0.6, 0.5, 0.3)
    for thing, share in ((behind(cameras, root[person], generator), share) for share in clutter):
        there = torch.rand(len(cameras), generator=generator) < share
        objects.append((_painted(thing, generator).packed(), there, thing.is_box))
    drawn = []
    for picked in torch.arange(len(cameras)).split(artist.capacity):
        tile = np.arange(len(picked), dtype="f4")
        capsules = [] if body is None else [_placed(body[person[picked].numpy()], tile[:, None])]
        boxes = []
        for rows, there, is_box in objects:
            here = _placed(rows[picked.numpy()], tile)
            box, shown = is_box[picked].numpy(), there[picked].numpy()
            capsules.append(here[shown & ~box])
            boxes.append(here[shown & box])
        meshes = functools.partial(crowd.draw, person[picked]) if crowd else None
        drawn.append(artist.draw(tiles.picked(picked), capsules, boxes, meshes))
    return torch.cat(drawn)


def _placed(rows: np.ndarray, tile: np.ndarray) -> np.ndarray:
    """Packed parts with the number of their image, as a list."""
    placed = rows.copy()
    placed[..., 3] = tile
    return placed.reshape(-1, PART_FIELDS)


class _Crowd:
    """People made of a mesh: every subject is shaped once, every pose skinned once."""

    def __init__(
        self, artist: Renderer, mesh: MeshBody, people: PosedPeople, outfit: appearance.Clothes
    ) -> None:
        self.drawer = mesh_drawer(artist, mesh)
        self.palette = torch.cat([outfit.colours, outfit.pattern[..., [0, 1, 3], None]], dim=-1)
        self.bent: dict[int, tuple[Tensor, Tensor]] = {}
        for figure in people.figure.unique().tolist():
            scenes = (people.figure == figure).nonzero()[:, 0]
            shape = mesh.shaped(torch.Generator().manual_seed(figure))
            bent = skinned(mesh, shape, mesh.normals(shape), people.joints3d[scenes])
            self.bent |= zip(scenes.tolist(), zip(*bent, strict=True), strict=True)

    def draw(self, scene: Int[Tensor, "pictures"]) -> None:
        """The person of each picture."""
        for who in scene.unique().tolist():
            shown = (scene == who).nonzero()[:, 0]
            self.drawer.draw(DressedMesh(*self.bent[who], self.palette[who], shown))


@functools.cache
def mesh_drawer(artist: Renderer, mesh: MeshBody) -> MeshDrawer:
    """The only drawer of this mesh in this renderer.

    Args:
        artist: the renderer.
        mesh: of the bodies."""
    return MeshDrawer(artist, mesh)


def _dressed(people: PosedPeople, outfit: appearance.Clothes) -> Primitives:
    body = body_capsules(people.joints3d, people.girth)
    worn = torch.tensor([GARMENTS.index(name) for name in body.garments])
    head = torch.zeros(body.first.shape[:-1])
    head[:, body.head] = 1
    return Primitives(
        body.first, body.second, body.side, body.radii, body.caps,
        outfit.pattern[:, worn], outfit.colours[:, worn], head,
    )  # fmt: skip


def _painted(things: Occluders, generator: torch.Generator) -> Primitives:
    count = len(things.centre)
    colours, pattern = appearance.random_cloth((count,), generator)
    width, depth, length = things.half.unbind(-1)
    # a capsule's half length counts its round ends
    reach = torch.where(things.is_box, length, (length - width).clamp_min(1e-6))
    axis = things.axes[:, 2] * reach[:, None]
    radii = torch.stack([width, torch.where(things.is_box, depth, width)] * 2, dim=-1)
    caps = torch.where(things.is_box, 0.0, width)[:, None].expand(count, 2)
    ends = things.centre - axis, things.centre + axis
    return Primitives(*ends, things.axes[:, 0], radii, caps, pattern, colours, torch.zeros(count))
