from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from coview.cameras import Cameras
from coview.data.rendering.capsule_body import GARMENTS
from coview.data.rendering.mesh_body import BLOCKS, MeshBody
from coview.data.rendering.mesh_drawing import DressedMesh, MeshDrawer
from coview.data.rendering.renderer import renderer
from coview.data.rendering.scenes import generated_people
from coview.data.rendering.skinning import skinned
from coview.data.synthetic.recordings import ring_cameras

SIDE = 96  # pixels of a picture


class Bare(MeshBody):
    """A mesh that nobody wears."""

    def clothed(self) -> torch.Tensor:
        return torch.zeros(len(self.vertices), 2)


def bare(vertices: Tensor, triangles: Tensor) -> MeshBody:
    return Bare(vertices, triangles, torch.ones(len(vertices), len(BLOCKS)) / len(BLOCKS), {}, {})


def octahedron() -> MeshBody:
    vertices = torch.cat([torch.eye(3), -torch.eye(3)])
    corners = [(x, y, z) for x in (0, 3) for y in (1, 4) for z in (2, 5)]
    outward = [c if sum(v > 2 for v in c) % 2 == 0 else (c[0], c[2], c[1]) for c in corners]
    return bare(vertices, torch.tensor(outward))


def torus(around: int = 24, through: int = 12) -> MeshBody:
    """A ring about z of radius 1, 0.4 thick: a ray crosses it up to four times."""
    u = torch.arange(around).repeat_interleave(through) * 2 * torch.pi / around
    v = torch.arange(through).repeat(around) * 2 * torch.pi / through
    radius = 1 + 0.4 * v.cos()
    vertices = torch.stack([radius * u.cos(), radius * u.sin(), 0.4 * v.sin()], dim=-1)
    i, j = torch.arange(around).repeat_interleave(through), torch.arange(through).repeat(around)
    corner = [((i + a) % around) * through + (j + b) % through for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
    first, second = torch.stack(corner[:3], dim=-1), torch.stack([corner[0], *corner[2:]], dim=-1)
    return bare(vertices, torch.cat([first, second]))


def white() -> Tensor:
    palette = torch.ones(len(GARMENTS), 3, 4)
    palette[..., 0, 3] = 0  # plain
    return palette


def drawn_depth(body: MeshBody, placed: Tensor, cameras: Cameras, plain: Callable) -> Tensor:
    """What OpenGL's depth buffer holds, as metres along the optical axis: pictures × SIDE × SIDE; inf: nothing."""
    artist = renderer((SIDE, SIDE), 0)
    drawer, held = MeshDrawer(artist, body), []
    worn = DressedMesh(placed, torch.ones_like(placed), white(), torch.arange(len(cameras)))

    def draw() -> None:
        drawer.draw(worn)
        held.append(artist.gl.detect_framebuffer().read(components=1, attachment=-1, dtype="f4"))

    artist.draw(plain(cameras), meshes=draw)
    atlas = torch.frombuffer(bytearray(held[0]), dtype=torch.float32).double()
    tiles = atlas.unflatten(0, (artist.rows, SIDE, artist.columns, SIDE)).transpose(1, 2).flatten(0, 1)
    near, far, ndc = 0.05, 60.0, 2 * tiles[: len(cameras)] - 1  # common.glsl
    return torch.where(ndc < 1, 2 * far * near / (far + near - ndc * (far - near)), torch.inf)


def nearest_crossing(origin: Tensor, directions: Tensor, triangles: Tensor) -> Tensor:
    """Slow twin: the least positive t of origin + t direction in any of triangles × 3 × 3, whichever way it turns;
    inf where there is none [Möller & Trumbore 1997]."""
    a, ab, ac = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    least = []
    for direction in directions:
        p = torch.linalg.cross(direction.expand_as(ac), ac)
        determinant = (ab * p).sum(dim=-1)
        from_a = origin - a
        q = torch.linalg.cross(from_a, ab)
        u, v = (from_a * p).sum(dim=-1) / determinant, q @ direction / determinant
        t = (ac * q).sum(dim=-1) / determinant
        met = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        least.append(torch.cat([t[met], t.new_tensor([torch.inf])]).min())
    return torch.stack(least)


def crossings_about(camera: Cameras, pixel: Tensor, triangles: Tensor) -> Tensor:
    """Depths (metres along the optical axis) of the nearest crossings of the rays through a pixel's centre and 1/50 px
    beside it: OpenGL puts vertices on a grid of 1/256 px, so edges may be that far off."""
    beside = torch.tensor([[0.0, 0.0], [1, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64) / 50
    ahead = (pixel + beside - camera.intrinsics[:2, 2]) / camera.intrinsics.diagonal()[:2]
    turned = torch.cat([ahead, torch.ones(5, 1)], dim=-1) @ camera.rotation  # directions of depth 1, world
    return nearest_crossing(camera.centres, turned, triangles)


def check_depth(body: MeshBody, placed: Tensor, cameras: Cameras, plain: Callable, pixels: int) -> None:
    """At random pixels on and around the body the drawn depth is that of the nearest crossing."""
    depth = drawn_depth(body, placed, cameras, plain)
    triangles = placed[body.triangles].double()
    generator = torch.Generator().manual_seed(0)
    for number, camera in enumerate(cameras.to(torch.float64)):
        middles = triangles.mean(dim=1)[torch.randint(len(triangles), (pixels,), generator=generator)]
        at = camera.project(middles) + 2 * torch.randn(pixels, 2, generator=generator)
        at = at.round().clamp(0, SIDE - 1)
        found = depth[number, at[:, 1].long(), at[:, 0].long()]
        assert found.isfinite().double().mean() > 0.3
        seen = camera.project(triangles.flatten(0, 1)).unflatten(0, (-1, 3))
        low, high = seen.amin(dim=1) - 0.1, seen.amax(dim=1) + 0.1
        about = [
            triangles[((low < pixel) & (pixel < high)).all(dim=-1)] for pixel in at
        ]  # those that may be met
        expected = torch.stack([crossings_about(camera, *each) for each in zip(at, about, strict=True)])
        allowed = 5e-4  # metres
        fits = (found >= expected.amin(dim=-1) - allowed) & (found <= expected.amax(dim=-1) + allowed)
        assert fits.all(), (number, at[~fits], found[~fits], expected[~fits])


@pytest.mark.parametrize("make", [octahedron, torus])
def test_the_surface_drawn_is_the_nearest_crossing_of_each_pixels_ray(egl, plain, make):
    body, generator = make(), torch.Generator().manual_seed(1)
    cameras = ring_cameras(4, radius=4.0, height=2.2, size=(SIDE, SIDE), focal=110.0)
    for _ in range(3):  # turned, stretched and sheared, never mirrored
        bent = torch.eye(3) + 0.4 * torch.randn(3, 3, generator=generator)
        bent = bent * bent.det().sign()
        placed = 0.5 * body.vertices @ bent.mT + torch.tensor([0.1, -0.2, 1.1])
        check_depth(body, placed, cameras, plain, pixels=60)


def test_people_of_many_shapes_and_poses_show_their_near_side(egl, plain, makehuman: MeshBody):
    joints3d = generated_people(8, 8, seed=5).joints3d
    body = bare(makehuman.vertices, makehuman.triangles)
    cameras = ring_cameras(2, radius=3.0, height=1.3, size=(SIDE, SIDE), focal=100.0)
    for seed in range(4):
        shape = makehuman.shaped(torch.Generator().manual_seed(seed))
        placed, _ = skinned(makehuman, shape, makehuman.normals(shape), joints3d[2 * seed : 2 * seed + 2])
        for pose in placed:
            check_depth(body, pose, cameras, plain, pixels=30)


def test_a_mesh_is_drawn_where_it_is_in_the_pictures_named(egl, plain):
    cameras = ring_cameras(3, radius=4.0, size=(96, 96), focal=90.0)
    tiles = plain(cameras)
    artist, body = renderer((96, 96)), octahedron()
    drawer = MeshDrawer(artist, body)
    middle = torch.tensor([0.1, -0.2, 1.3])
    worn = DressedMesh(0.15 * body.vertices + middle, body.vertices, white(), torch.tensor([0, 2]))
    images = artist.draw(tiles, meshes=lambda: drawer.draw(worn)).float()
    assert images[1].max() == 0
    for picture in (0, 2):
        light = images[picture].sum(dim=0)
        rows, columns = torch.arange(96.0)[:, None], torch.arange(96.0)
        found = torch.stack([(light * columns).sum(), (light * rows).sum()]) / light.sum()
        torch.testing.assert_close(found, cameras[picture].project(middle[None])[0], atol=0.3, rtol=0)
