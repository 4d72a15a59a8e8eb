import sys

import pytest
import torch

from coview.cameras import Cameras
from coview.data.rendering.renderer import Primitives, Renderer, new_context, renderer
from coview.data.synthetic.recordings import ring_cameras


def parts(centres: torch.Tensor, radius: float, colours: torch.Tensor) -> Primitives:
    """Small spheres of one colour each."""
    count = len(centres)
    up = torch.tensor([0.0, 0.0, 1e-5])
    return Primitives(
        first=centres - up,
        second=centres + up,
        side=torch.tensor([1.0, 0.0, 0.0]).expand(count, 3),
        radii=torch.full((count, 4), radius),
        caps=torch.full((count, 2), radius),
        pattern=torch.tensor([0.0, 1.0, 0.0, 9.0]).expand(count, 4),
        colours=colours[:, None].expand(count, 3, 3),
        head=torch.zeros(count),
    )


def centroid(image: torch.Tensor) -> torch.Tensor:
    """Column and row of the mean of the light; pixel centres at whole numbers."""
    light = image.float().sum(dim=0)
    rows = torch.arange(light.shape[0]).float()
    columns = torch.arange(light.shape[1]).float()
    return torch.stack([(light.sum(0) * columns).sum(), (light.sum(1) * rows).sum()]) / light.sum()


def crops(size: tuple[int, int]) -> Cameras:
    """Non-central regions of four cameras of a ring, in this size."""
    left_top = torch.tensor([[300.3, 280.7], [120.0, 200.0], [333.3, 90.1], [401.5, 350.25]])
    box = torch.tensor([[float(side) for side in size]]) * torch.tensor([[2.0], [3.3], [2.5], [1.7]])
    return ring_cameras(4, radius=4.0).crop(left_top, box).resize(torch.tensor([float(s) for s in size]))


@pytest.mark.parametrize("size", [(128, 128), (160, 96), (70, 110)])
def test_a_small_sphere_is_drawn_where_its_centre_projects(egl, size: tuple[int, int], plain):
    cameras = crops(size)
    target = cameras.rays(torch.tensor([[0.37, 0.61]]) * cameras.size[:, None])
    points = (target[0] + 3.7 * target[1])[:, 0]
    rows = parts(points, 0.06, torch.ones(4, 3)).packed()
    rows[:, 3] = range(4)
    images = renderer(size).draw(plain(cameras), [rows])
    assert images.shape == (4, 3, size[1], size[0])
    for camera, image, point in zip(range(4), images, points, strict=True):
        expected = cameras[camera].project(point[None])[0]
        torch.testing.assert_close(centroid(image), expected, atol=0.1, rtol=0)


def test_pictures_are_not_mirrored_and_stand_upright(egl, plain):
    """A red ball at the left hand of somebody who faces the camera is on the right; a blue one on the head, above."""
    camera = ring_cameras(1, radius=4.0, height=1.0, size=(128, 128), focal=140.0)  # on +x, looks along -x
    balls = torch.tensor([[0.0, 0.5, 1.0], [0.0, 0.0, 1.6]])  # who faces +x has the left hand on +y
    rows = parts(balls, 0.1, torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])).packed()
    image = renderer((128, 128)).draw(plain(camera), [rows])[0]
    red, blue = centroid(image[:1]), centroid(image[2:])
    assert red[0] > 70
    assert blue[1] < 55
    torch.testing.assert_close(torch.stack([red, blue]), camera.project(balls[None])[0], atol=0.1, rtol=0)


def test_renderers_of_other_sizes_do_not_disturb_each_other(egl, plain):
    cameras = ring_cameras(1, radius=4.0, size=(64, 64), focal=70.0)
    rows = parts(torch.tensor([[0.0, 0.0, 1.0]]), 0.3, torch.ones(1, 3)).packed()
    one = Renderer((64, 64))
    before = one.draw(plain(cameras), [rows])
    Renderer((32, 48))
    assert (one.draw(plain(cameras), [rows]) == before).all()


def test_what_is_nearer_hides_what_is_farther(egl, plain):
    camera = ring_cameras(1, radius=4.0, height=1.0, size=(64, 64), focal=70.0)
    balls = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    for order in ([0, 1], [1, 0]):
        rows = parts(balls, 0.2, torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])).packed()[order]
        middle = renderer((64, 64)).draw(plain(camera), [rows])[0, :, 32, 32]
        assert middle.tolist() == [255, 0, 0]


def test_a_picture_keeps_to_its_tile(egl, plain):
    """A ball larger than its own picture leaves the neighbours black."""
    cameras = ring_cameras(3, radius=4.0, size=(64, 64), focal=70.0)
    rows = parts(torch.tensor([[0.0, 0.0, 1.0]]), 3.0, torch.ones(1, 3)).packed()
    rows[:, 3] = 1
    images = renderer((64, 64)).draw(plain(cameras), [rows])
    assert images[1].min() == 255
    assert images[0].max() == 0
    assert images[2].max() == 0


def test_a_missing_moderngl_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'coview\[synth\]'"):
        new_context()


def test_a_missing_egl_names_the_system_package(monkeypatch):
    moderngl = pytest.importorskip("moderngl")

    def fails(**_: object) -> None:
        raise Exception("libEGL.so: cannot open")

    monkeypatch.setattr(moderngl, "create_context", fails)
    with pytest.raises(OSError, match="apt-get install libegl1"):
        new_context()
