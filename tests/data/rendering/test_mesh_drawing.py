import torch

from coview.data.rendering.capsule_body import GARMENTS
from coview.data.rendering.mesh_body import BLOCKS, MeshBody
from coview.data.rendering.mesh_drawing import DressedMesh, MeshDrawer
from coview.data.rendering.renderer import renderer
from coview.data.synthetic.recordings import ring_cameras


class Octahedron(MeshBody):
    """A mesh that nobody wears."""

    def clothed(self) -> torch.Tensor:
        return torch.zeros(6, 2)


def octahedron() -> MeshBody:
    vertices = torch.cat([torch.eye(3), -torch.eye(3)])
    corners = [(x, y, z) for x in (0, 3) for y in (1, 4) for z in (2, 5)]
    outward = [c if sum(v > 2 for v in c) % 2 == 0 else (c[0], c[2], c[1]) for c in corners]
    return Octahedron(vertices, torch.tensor(outward), torch.ones(6, len(BLOCKS)) / len(BLOCKS), {}, {})


def test_a_mesh_is_drawn_where_it_is_in_the_pictures_named(egl, plain):
    cameras = ring_cameras(3, radius=4.0, size=(96, 96), focal=90.0)
    tiles = plain(cameras)
    artist, body = renderer((96, 96)), octahedron()
    drawer = MeshDrawer(artist, body)
    middle = torch.tensor([0.1, -0.2, 1.3])
    palette = torch.ones(len(GARMENTS), 3, 4)
    palette[..., 0, 3] = 0  # plain
    worn = DressedMesh(0.15 * body.vertices + middle, body.vertices, palette, torch.tensor([0, 2]))
    images = artist.draw(tiles, meshes=lambda: drawer.draw(worn)).float()
    assert images[1].max() == 0
    for picture in (0, 2):
        light = images[picture].sum(dim=0)
        rows, columns = torch.arange(96.0)[:, None], torch.arange(96.0)
        found = torch.stack([(light * columns).sum(), (light * rows).sum()]) / light.sum()
        torch.testing.assert_close(found, cameras[picture].project(middle[None])[0], atol=0.3, rtol=0)
