"""Pictures of capsules, boxes and meshes in front of scenery, with OpenGL on the processor (EGL, llvmpipe).

Many small pictures are drawn at once as the tiles of one atlas, each with its own camera: nothing is drawn
large and made smaller. World metres and OpenCV cameras in; bytes out, the top row first.
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

TILE_FIELDS = 16  # texels of four floats per picture, see `Tiles`
PART_FIELDS = 32  # floats per part, see `Parts`
_ATLAS = 1024  # pixels per side, at most


@dataclass(frozen=True)
class Tiles:
    """What each picture is like besides its parts. Colours are RGB in [0, 1]."""

    cameras: Cameras  # one per picture, all of one size, perfect lenses
    seed: Int[Tensor, "pictures"]  # of the textures and the noise; below 2**24
    light: Float[Tensor, "pictures 4"]  # direction towards the light, world, unit | ambient share
    tone: Float[Tensor, "pictures 4"]  # colour of the light | gain of the sensor
    wall: Float[Tensor, "pictures 2 4"]  # two colours | pattern (0: a gradient), periods per width
    floor: Float[Tensor, "pictures 2 4"]  # two colours | pattern (negative: no floor), periods per metre
    shadow: Float[Tensor, "pictures 2"]  # where somebody stands, metres
    slope: Float[Tensor, "pictures 2"]  # how the wall's gradient rises, per width of the picture
    optics: Float[Tensor, "pictures 2"]  # blur in pixels, noise as a share of white (standard deviations)
    tint: Float[Tensor, "pictures 4"]  # colour | exponent of the tone curve

    def picked(self, index: Int[Tensor, "picked"]) -> "Tiles":
        """Some of the pictures."""
        return Tiles(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def packed(self) -> np.ndarray:
        """As the shaders read it: pictures × TILE_FIELDS × 4."""
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
class Parts:
    """Tapered capsules, ellipsoids or boxes: metres in the world, any leading axes.

    `front` of a part is side × axis. A box has the radii as half its sides and caps of zero."""

    first: Float[Tensor, "*parts 3"]  # the two ends
    second: Float[Tensor, "*parts 3"]
    side: Float[Tensor, "*parts 3"]  # need not be at right angles to the axis, but not parallel to it
    radii: Float[Tensor, "*parts 4"]  # side, front at the first end; side, front at the second
    caps: Float[Tensor, "*parts 2"]  # how far each end bulges
    pattern: Float[Tensor, "*parts 4"]  # kind, periods per metre, phase, garment's share of the length
    colours: Float[Tensor, "*parts 3 3"]  # two of the pattern, one of the skin
    head: Float[Tensor, "*parts"]  # 1 for a head, which has hair and a face

    def packed(self) -> np.ndarray:
        """As the shaders read it, in the first picture (column 3 says which): parts × PART_FIELDS."""
        one = [torch.zeros_like(self.head)[..., None], self.pattern[..., 3:], self.pattern[..., :1]]
        columns = [
            *(self.first, one[0], self.second, one[1], self.side, one[2]),
            *(self.radii, self.caps, self.pattern[..., 1:3]),
            *(self.colours[..., 0, :], self.head[..., None], self.colours[..., 1, :], one[0]),
            *(self.colours[..., 2, :], torch.zeros_like(one[0])),
        ]
        return torch.cat(columns, dim=-1).reshape(-1, PART_FIELDS).numpy()


class Renderer:
    """An atlas for pictures of one size (pixels: width, height), and what is drawn into it.

    `samples` per pixel smooth the edges: 4, or 0 for jagged ones, twice as fast where triangles are many.

    Raises ModuleNotFoundError without moderngl and OSError without a working EGL, each saying what to
    install."""

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
        around = 8 + 2 * min(6, max(size) // 160)  # edges; smooth edges cost by the triangle
        self._forms = {"capsule": _form(gl, *_capsule(around, 1 + around // 4)), "box": _form(gl, *_box())}

    @property
    def capacity(self) -> int:
        """How many pictures are drawn at once."""
        return self.columns * self.rows

    def program(self, vertex: str, fragment: str) -> Any:
        """A program of two files in the folder `shaders`, which knows pictures and patterns."""
        folder = importlib.resources.files("coview.data.rendering") / "shaders"
        common = (folder / "common.glsl").read_text()
        made = self.gl.program(
            vertex_shader=common + (folder / vertex).read_text(),
            fragment_shader=common + (folder / fragment).read_text(),
        )
        known: dict[str, Any] = {"tiles": 0, "scene": 1, "patterns": 2, "columns": self.columns}
        known |= {"tile_size": self.size, "atlas_size": self._atlas}
        for name in known.keys() & set(made):
            made[name] = known[name]
        return made

    def draw(
        self,
        tiles: Tiles,
        capsules: Sequence[np.ndarray] = (),
        boxes: Sequence[np.ndarray] = (),
        meshes: Callable[[], None] | None = None,
    ) -> UInt8[Tensor, "pictures 3 height width"]:
        """The pictures, at most `capacity`; parts as `Parts.packed` gives them; `meshes` draws what is neither.

        Back faces are culled. Rows are drawn bottom up, which mirrors the picture: triangles that `meshes` draws
        must turn clockwise seen from outside. (The capsule's and box's own turn anticlockwise about a form whose
        axes side, front, axis are left-handed, which mirrors them once more.)"""
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


_CLIP_PLANES = range(0x3000, 0x3004)  # GL_CLIP_DISTANCE0 to 3: the edges of a picture
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
    """The process's one OpenGL context without a window; drawing is for the thread that asks first.

    One, because with two of them whatever is drawn goes to the one that was made last."""
    return new_context()


def new_context() -> Any:
    """An OpenGL context without a window.

    Raises ModuleNotFoundError without moderngl, OSError where EGL does not work."""
    try:
        import moderngl
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "moderngl is not installed, and draws the rendered people. Install it: pip install 'coview[synth]'."
        ) from error
    create: Any = moderngl.create_context  # its annotation says that `backend` is a dict
    try:
        return create(standalone=True, backend="egl")
    except Exception as error:
        raise UnavailableError(
            f"OpenGL without a window (EGL) does not work here: {error}. Rendered people need it. On Debian or "
            f"Ubuntu: apt-get install libegl1 libgl1-mesa-dri (or `make system` in a checkout)."
        ) from error


@functools.cache
def renderer(size: tuple[int, int], samples: int = 4) -> Renderer:
    """The process's renderer for pictures of this size (width, height)."""
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
            turn = 2 * math.pi * step / around
            unit = (math.cos(angle) * math.cos(turn), math.cos(angle) * math.sin(turn), math.sin(angle))
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
            quad = range(start, start + 4)[::sign]  # seen from outside
            triangles += [(quad[0], quad[1], quad[2]), (quad[0], quad[2], quad[3])]
    return np.array(rows), np.array(triangles)
