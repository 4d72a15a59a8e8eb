"""Random appearance: clothes, skin and hair, light, background, lens and sensor. Colours are RGB in [0, 1].

Nothing is drawn separately for left and right: colour never tells the sides apart.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.data.rendering.capsule_body import GARMENTS
from coview.data.rendering.renderer import Tiles
from coview.data.rendering.textures import KINDS

_LIGHT_SKIN, _DARK_SKIN = (0.96, 0.80, 0.69), (0.27, 0.16, 0.11)
_HAIR = ((0.05, 0.04, 0.04), (0.25, 0.15, 0.08), (0.45, 0.28, 0.12), (0.80, 0.65, 0.35), (0.62, 0.60, 0.58))


@dataclass(frozen=True)
class Clothes:
    """Colours and patterns of one person's GARMENTS, which include skin and hair."""

    # two colours of the pattern, one of the skin below
    colours: Float[Tensor, "people garments 3 3"]
    # kind, frequency per metre, phase, share of the length covered
    pattern: Float[Tensor, "people garments 4"]


def clothes(people: int, generator: torch.Generator) -> Clothes:
    """Random outfits: short or long sleeves and legs, plain or patterned.

    Args:
        people: number of outfits.
        generator: of the random values."""
    count = len(GARMENTS)
    share = torch.rand(people, 1, generator=generator)
    skin = torch.lerp(torch.tensor(_LIGHT_SKIN), torch.tensor(_DARK_SKIN), share)
    # shirt, trousers, shoes
    cloth = _colours((people, 3, 2), generator)
    kind = _kinds((people, 3), generator)
    frequency = 6 + 24 * torch.rand(people, 3, generator=generator)
    phase = torch.rand(people, 3, generator=generator)
    hair = torch.tensor(_HAIR)[torch.randint(len(_HAIR), (people,), generator=generator)]
    which = {"shirt": 0, "sleeve_upper": 0, "sleeve_lower": 0, "shoe": 2}
    colours, pattern = torch.zeros(people, count, 3, 3), torch.zeros(people, count, 4)
    # covered all over, the round ends too
    pattern[..., 3] = 9.0
    colours[:, :, 2] = skin[:, None]
    for index, name in enumerate(GARMENTS):
        if name in ("skin", "hair"):
            colours[:, index, :2] = (skin if name == "skin" else hair)[:, None]
            continue
        piece = which.get(name, 1)
        colours[:, index, :2] = cloth[:, piece]
        pattern[:, index, :3] = torch.stack([kind[:, piece], frequency[:, piece], phase[:, piece]], dim=-1)
    for upper, lower in (("sleeve_upper", "sleeve_lower"), ("leg_upper", "leg_lower")):
        bare = torch.rand(people, 2, generator=generator)
        short = bare[:, 0] < 0.5
        cut = 0.35 + 0.65 * bare[:, 1]
        pattern[:, GARMENTS.index(upper), 3] = torch.where(short, cut, 9.0)
        pattern[:, GARMENTS.index(lower), 3] = torch.where(short, -9.0, 0.9)
    return Clothes(colours, pattern)


def tiles(
    cameras: Cameras,
    person: Int[Tensor, "pictures"],
    ground: Float[Tensor, "pictures 2"],
    generator: torch.Generator,
) -> Tiles:
    """Random surroundings of each image; images of one person share light and floor.

    Args:
        cameras: of the images.
        person: number of the person in each image.
        ground: where the person stands, metres.
        generator: of the random values."""
    pictures, people = len(cameras), int(person.max()) + 1
    light = torch.nn.functional.normalize(
        torch.randn(people, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.4])
        + torch.tensor([0, 0, 0.9]),
        dim=-1,
    )
    ambient = _uniform(0.35, 0.75, (people, 1), generator)
    warmth = _uniform(0.85, 1.1, (people, 3), generator)
    floor = torch.cat([_colours((people, 2), generator), torch.zeros(people, 2, 1)], dim=-1)
    floor[:, 0, 3] = torch.where(
        torch.rand(people, generator=generator) < 0.25, -1.0, _kinds((people,), generator)
    )
    floor[:, 1, 3] = _uniform(1.0, 8.0, (people,), generator)
    wall = torch.cat([_colours((pictures, 2), generator), torch.zeros(pictures, 2, 1)], dim=-1)
    wall[:, 0, 3] = torch.randint(len(KINDS), (pictures,), generator=generator)
    angle = _uniform(0.0, 6.2832, (pictures,), generator)
    wall[:, 1, 3] = _uniform(2.0, 14.0, (pictures,), generator)
    blur = _uniform(-0.4, 1.0, (pictures,), generator).clamp_min(0)
    noise = _uniform(0.0, 0.03, (pictures,), generator)
    gain = _uniform(0.7, 1.3, (pictures, 1), generator)
    return Tiles(
        cameras=cameras,
        seed=torch.randint(2**24, (pictures,), generator=generator),
        light=torch.cat([light, ambient], dim=-1)[person],
        tone=torch.cat([warmth[person], gain], dim=-1),
        wall=wall,
        floor=floor[person],
        shadow=ground,
        slope=torch.stack([angle.cos(), angle.sin()], dim=-1),
        optics=torch.stack([blur, noise], dim=-1),
        tint=torch.cat(
            [_uniform(0.92, 1.08, (pictures, 3), generator), _uniform(0.75, 1.25, (pictures, 1), generator)],
            -1,
        ),
    )


def studio(cameras: Cameras, ground: Float[Tensor, "pictures 2"], generator: torch.Generator) -> Tiles:
    """The same grey room, light and sharp lens in every image; only the sensor noise differs.

    Args:
        cameras: of the images.
        ground: where the person stands, metres.
        generator: of the noise."""
    pictures = len(cameras)
    light = torch.nn.functional.normalize(torch.tensor([0.3, 0.4, 0.9]), dim=0)
    wall = torch.tensor([[0.72, 0.72, 0.70, 0.0], [0.60, 0.60, 0.59, 2.0]])
    floor = torch.tensor([[0.45, 0.38, 0.32, 0.0], [0.41, 0.35, 0.30, 2.0]])
    return Tiles(
        cameras=cameras,
        seed=torch.randint(2**24, (pictures,), generator=generator),
        light=torch.cat([light, torch.tensor([0.55])]).expand(pictures, 4),
        tone=torch.ones(pictures, 4),
        wall=wall.expand(pictures, 2, 4),
        floor=floor.expand(pictures, 2, 4),
        shadow=ground,
        slope=torch.tensor([0.0, 1.0]).expand(pictures, 2),
        optics=torch.tensor([0.0, 0.01]).expand(pictures, 2),
        tint=torch.ones(pictures, 4),
    )


def random_cloth(
    things: tuple[int, ...], generator: torch.Generator
) -> tuple[Float[Tensor, "*things 3 3"], Float[Tensor, "*things 4"]]:
    """Random colours and patterns of objects.

    Args:
        things: shape of the batch of objects.
        generator: of the random values."""
    colours = _colours((*things, 3), generator)
    shape = (*things, 1)
    parts = [
        _kinds(shape, generator),
        _uniform(3.0, 30.0, shape, generator),
        _uniform(0.0, 1.0, shape, generator),
    ]
    return colours, torch.cat([*parts, torch.full(shape, 9.0)], dim=-1)


def _kinds(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random numbers of patterns; two fifths are plain."""
    drawn = (torch.rand(shape, generator=generator) - 0.4) / 0.6 * (len(KINDS) - 1)
    return (drawn.floor() + 1).clamp(0, len(KINDS) - 1)


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def _colours(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random colours of any saturation and brightness."""
    hue, saturation, value = torch.rand(3, *shape, generator=generator).unbind(0)
    value = 0.06 + 0.94 * value
    wheel = (hue[..., None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6
    pure = ((wheel - 3).abs() - 1).clamp(0, 1)
    return value[..., None] * (1 - saturation[..., None] * (1 - pure))
