"""OpenGL renderer of capsules, boxes and meshes with a background, on the CPU (EGL, llvmpipe).

Many small images are drawn at once as tiles of one atlas, each with its own camera. World metres and OpenCV cameras
in; bytes out, top row first.
"""

import functools
import importlib.resources
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from coview.cameras import Cameras
from coview.data.rendering.textures import patterns
from coview.errors import MissingPackageError, UnavailableError

# texels of four floats per picture, see `Tiles`
TILE_FIELDS = 16
# floats per part, see `Primitives`
PART_FIELDS = 32
# largest side of the atlas, pixels
_ATLAS = 1024


@dataclass(frozen=True)
class Tiles:
    """Camera, light, background and sensor of each image. Colours are RGB in [0, 1]."""

    # one per image, all of one size, no distortion
    cameras: Cameras
    # of the textures and the noise; below 2**24
    seed: Int[Tensor, "pictures"]
    # direction towards the light, world, unit | ambient share
    light: Float[Tensor, "pictures 4"]
    # colour of the light | gain of the sensor
    tone: Float[Tensor, "pictures 4"]
    # two colours | pattern (0: a gradient), periods per width
    wall: Float[Tensor, "pictures 2 4"]
    # two colours | pattern (negative: no floor), periods per metre
    floor: Float[Tensor, "pictures 2 4"]
    # where the person stands, metres
    shadow: Float[Tensor, "pictures 2"]
    # gradient of the wall, per width of the image
    slope: Float[Tensor, "pictures 2"]
    # blur in pixels, noise as a share of white (standard deviations)
    optics: Float[Tensor, "pictures 2"]
    # colour | exponent of the tone curve
    tint: Float[Tensor, "pictures 4"]

    def picked(self, index: Int[Tensor, "picked"]) -> "Tiles":
        """Some of the images.

        Args:
            index: of the images."""
        return Tiles(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def packed(self) -> np.ndarray:
        """As the shaders read it: images × TILE_FIELDS × 4."""
        cameras = self.cameras.to(torch.float64)
        pixels = cameras.pixels_from_world
        world_from_pixel = torch.linalg.inv(pixels[..., :3])
        rows = torch.zeros(len(cameras), TILE_FIELDS, 4, dtype=torch.float64)
        rows[:, 0:3] = pixels
        rows[:, 3, :3] = cameras.centres
        rows[:, 3, 3] = self.seed
        rows[:, 4:7, :3] = world_from_pixel
        rows[:, 7], rows[:, 8] = self.light, self.tone
        rows[:, 9:11], rows[:, 11:13] = self.wall, self.floor
        rows[:, 13, :2], rows[:, 13, 2:] = self.shadow, self.slope
        rows[:, 15, 0] = torch.exp(-0.5 / self.optics[:, 0].clamp_min(0.1).square())
        rows[:, 15, 1] = self.optics[:, 1]
        rows[:, 14] = self.tint
        return rows.float().numpy()


@dataclass(frozen=True)
class Primitives:
    """Tapered capsules, ellipsoids or boxes: metres in the world, any leading axes.

    `front` of a primitive is side × axis. A box has half its sides as radii and caps of zero."""

    # first end
    first: Float[Tensor, "*parts 3"]
    # second end
    second: Float[Tensor, "*parts 3"]
    # need not be at right angles to the axis, but must not be parallel to it
    side: Float[Tensor, "*parts 3"]
    # side, front at the first end; side, front at the second
    radii: Float[Tensor, "*parts 4"]
    # length of the rounding of each end
    caps: Float[Tensor, "*parts 2"]
    # kind, periods per metre, phase, garment's share of the length
    pattern: Float[Tensor, "*parts 4"]
    # two of the pattern, one of the skin
    colours: Float[Tensor, "*parts 3 3"]
    # 1 for a head, which has hair and a face
    head: Float[Tensor, "*parts"]

    def packed(self) -> np.ndarray:
        """As the shaders read it, in the first image (column 3 is its number): primitives × PART_FIELDS."""
        one = [torch.zeros_like(self.head)[..., None], self.pattern[..., 3:], self.pattern[..., :1]]
        columns = [
            *(self.first, one[0], self.second, one[1], self.side, one[2]),
            *(self.radii, self.caps, self.pattern[..., 1:3]),
            *(self.colours[..., 0, :], self.head[..., None], self.colours[..., 1, :], one[0]),
            *(self.colours[..., 2, :], torch.zeros_like(one[0])),
        ]
        return torch.cat(columns, dim=-1).reshape(-1, PART_FIELDS).numpy()


class Renderer:
    """An atlas of images of one size, and the programs that draw into it.

    Args:
        size: width and height of an image, pixels.
        samples: per pixel, for antialiasing: 4, or 0 for none, twice as fast with many triangles.

    Raises:
        ModuleNotFoundError: moderngl is not installed.
        OSError: EGL does not work; says what to install."""

    def __init__(self, size: tuple[int, int], samples: int = 4) -> None:
        self.size = size
        self.columns = max(1, _ATLAS // size[0])
        self.rows = max(1, _ATLAS // size[1])
        self.gl = context()
        atlas = (self.columns * size[0], self.rows * size[1])
        gl = self.gl
        self._drawn = gl.framebuffer(
            [gl.renderbuffer(atlas, 4, samples=samples)], gl.depth_renderbuffer(atlas, samples=samples)
        )
        self._scene = gl.texture(atlas, 4)
        self._resolved = gl.framebuffer([self._scene])
        self._final = gl.framebuffer([gl.renderbuffer(atlas, 4)])
        self._tiles = gl.texture((TILE_FIELDS, self.capacity), 4, dtype="f4")
        layers = patterns()
        self._patterns = gl.texture_array((*layers.shape[1:], len(layers)), 1, layers.tobytes())
        self._patterns.build_mipmaps()
        self._patterns.filter = (gl.LINEAR_MIPMAP_NEAREST, gl.LINEAR)
        self._atlas = atlas
        self._part = self.program("part.vert", "part.frag")
        corners = gl.buffer(np.array([0, 0, 1, 0, 0, 1, 1, 1], dtype="f4").tobytes())
        self._flat = {
            name: gl.vertex_array(self.program(f"{name}.vert", f"{name}.frag"), [(corners, "2f", "corner")])
            for name in ("scenery", "sensor")
        }
        # edges; smooth edges cost by the triangle
        around = 8 + 2 * min(6, max(size) // 160)
        self._forms = {"capsule": _form(gl, *_capsule(around, 1 + around // 4)), "box": _form(gl, *_box())}

    @property
    def capacity(self) -> int:
        """Number of images that are drawn at once."""
        return self.columns * self.rows

    def program(self, vertex: str, fragment: str) -> Any:
        """A shader program of two files in the folder `shaders`, with the uniforms of images and patterns set.

        Args:
            vertex: file of the vertex shader.
            fragment: file of the fragment shader."""
        folder = importlib.resources.files("coview.data.rendering") / "shaders"
        common = (folder / "common.glsl").read_text()
        made = self.gl.program(
            vertex_shader=common + (folder / vertex).read_text(),
            fragment_shader=common + (folder / fragment).read_text(),
        )
        uniforms: dict[str, Any] = {"tiles": 0, "scene": 1, "patterns": 2, "columns": self.columns}
        uniforms |= {"tile_size": self.size, "atlas_size": self._atlas}
        for name in uniforms.keys() & set(made):
            made[name] = uniforms[name]
        return made

    def draw(
        self,
        tiles: Tiles,
        capsules: Sequence[np.ndarray] = (),
        boxes: Sequence[np.ndarray] = (),
        meshes: Callable[[], None] | None = None,
    ) -> UInt8[Tensor, "pictures 3 height width"]:
        """Rendered images.

        Back faces are culled. Rows are drawn bottom up, which reflects the image: triangles that `meshes` draws must
        turn clockwise seen from outside. (Those of capsules and boxes turn anticlockwise about a form whose axes side,
        front, axis are left-handed, which reflects them once more.)

        Args:
            tiles: cameras and surroundings, at most `capacity`.
            capsules: from `Primitives.packed`.
            boxes: from `Primitives.packed`.
            meshes: draws meshes, with depth test and culling on."""
        packed = tiles.packed()
        count = len(packed)
        assert count <= self.capacity, "more pictures than the atlas has tiles"
        padded = np.zeros((self.capacity, TILE_FIELDS, 4), dtype="f4")
        padded[:count] = packed
        self._tiles.write(padded.tobytes())
        self._begin()
        self._flat["scenery"].render(mode=self.gl.TRIANGLE_STRIP, instances=count)
        self.gl.enable(self.gl.DEPTH_TEST | self.gl.CULL_FACE)
        for plane in _CLIP_PLANES:
            self.gl.enable_direct(plane)
        for name, parts in (("capsule", capsules), ("box", boxes)):
            rows = np.concatenate([np.zeros((0, PART_FIELDS), "f4"), *parts])
            if len(rows):
                self._draw_parts(name, rows)
        if meshes is not None:
            meshes()
        return self._developed(count)

    def _begin(self) -> None:
        self._tiles.use(0)
        self._scene.use(1)
        self._patterns.use(2)
        self._drawn.use()
        self._drawn.clear()
        self.gl.disable(self.gl.DEPTH_TEST | self.gl.CULL_FACE)

    def _draw_parts(self, form: str, parts: np.ndarray) -> None:
        vertices, indices = self._forms[form]
        buffer = self.gl.buffer(np.ascontiguousarray(parts, dtype="f4").tobytes())
        array = self.gl.vertex_array(
            self._part,
            [
                (vertices, "3f 3f 1f", "form", "form_normal", "end"),
                (buffer, "4f 4f 4f 4f 4f 4f 4f 4f /i", *_ROWS),
            ],
            indices,
        )
        array.render(instances=len(parts))
        array.release()
        buffer.release()

    def _developed(self, count: int) -> Tensor:
        for plane in _CLIP_PLANES:
            self.gl.disable_direct(plane)
        self.gl.disable(self.gl.DEPTH_TEST | self.gl.CULL_FACE)
        self.gl.copy_framebuffer(self._resolved, self._drawn)
        self._final.use()
        self._flat["sensor"].render(mode=self.gl.TRIANGLE_STRIP, instances=count)
        atlas = np.frombuffer(self._final.read(components=4), dtype=np.uint8)
        width, height = self.size
        grid = torch.from_numpy(atlas.reshape(self.rows, height, self.columns, width, 4).copy())[..., :3]
        return grid.permute(0, 2, 4, 1, 3).reshape(-1, 3, height, width)[:count]


# GL_CLIP_DISTANCE0 to 3: the edges of a picture
_CLIP_PLANES = range(0x3000, 0x3004)
_ROWS = (
    "first_tile",
    "second_cut",
    "side_kind",
    "radii",
    "caps_pattern",
    "colour_head",
    "second_colour",
    "skin",
)


@functools.cache
def context() -> Any:
    """The only OpenGL context of the process, without a window; for use in the thread that asks first.

    With two contexts, everything is drawn into the one that was made last."""
    return new_context()


def new_context() -> Any:
    """An OpenGL context without a window.

    Raises:
        ModuleNotFoundError: moderngl is not installed.
        OSError: EGL does not work."""
    try:
        import moderngl
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "moderngl is not installed, and draws the rendered people. Install it: pip install 'coview[synth]'."
        ) from error
    # its annotation says that `backend` is a dict
    create: Any = moderngl.create_context
    try:
        return create(standalone=True, backend="egl")
    except Exception as error:
        raise UnavailableError(
            f"OpenGL without a window (EGL) does not work here: {error}. Rendered people need it. On Debian or "
            f"Ubuntu: apt-get install libegl1 libgl1-mesa-dri (or `make system` in a checkout)."
        ) from error


@functools.cache
def renderer(size: tuple[int, int], samples: int = 4) -> Renderer:
    """The renderer of the process for images of this size. Cached.

    Args:
        size: width and height, pixels.
        samples: per pixel, for antialiasing."""
    return Renderer(size, samples)


def _form(gl: Any, vertices: np.ndarray, triangles: np.ndarray) -> tuple[Any, Any]:
    return gl.buffer(vertices.astype("f4").tobytes()), gl.buffer(triangles.astype("i4").tobytes())


def _capsule(around: int, rings: int) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of a unit sphere, `rings` from pole to equator each: form, normal, end; and triangles."""
    lower = [(-math.pi / 2 + math.pi / 2 * ring / (rings - 1), 0.0) for ring in range(rings)]
    levels = lower + [(-angle, 1.0) for angle, _ in reversed(lower)]
    rows = []
    for angle, end in levels:
        for step in range(around):
            azimuth = 2 * math.pi * step / around
            unit = (math.cos(angle) * math.cos(azimuth), math.cos(angle) * math.sin(azimuth), math.sin(angle))
            rows.append((*unit, *unit, end))
    triangles = []
    for level in range(len(levels) - 1):
        for step in range(around):
            a, b = level * around + step, level * around + (step + 1) % around
            triangles += [(a, b, a + around), (b, b + around, a + around)]
    return np.array(rows), np.array(triangles)


def _box() -> tuple[np.ndarray, np.ndarray]:
    """Six faces of four corners each: form, normal, end; and triangles."""
    rows: list[tuple[float, ...]] = []
    triangles: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (-1, 1):
            start = len(rows)
            for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corner = np.roll([sign, u, v], axis)
                normal = np.roll([sign, 0, 0], axis)
                rows.append((corner[0], corner[1], 0, *normal, (corner[2] + 1) / 2))
            # seen from outside
            quad = range(start, start + 4)[::sign]
            triangles += [(quad[0], quad[1], quad[2]), (quad[0], quad[2], quad[3])]
    return np.array(rows), np.array(triangles)
