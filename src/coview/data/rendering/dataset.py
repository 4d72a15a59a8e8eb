"""Rendered people seen by several cameras, with exact labels: training data of image-based methods.

Every image is rendered as a crop, with the crop's own camera. Labels are the joints around which the bodies are
built.
"""

import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from coview.cameras import Cameras
from coview.data.base import DataConfig, InMemory
from coview.data.mocap.clips import META
from coview.data.rendering import occluders
from coview.data.rendering.drawing import pictures
from coview.data.rendering.mesh_body import MeshBody, mesh_file, read_mesh
from coview.data.rendering.scenes import (
    PosedPeople,
    Whereabouts,
    generated_people,
    generated_whereabouts,
    recorded_people,
    recorded_whereabouts,
)
from coview.data.shards import cache_folder, digest, gathered
from coview.data.synthetic.recordings import ring_cameras
from coview.data.viewpoints import person_boxes, varied_cameras
from coview.errors import InputError
from coview.sample import MultiView
from coview.skeletons import H36M_17, Skeleton, skeleton_map

# Version of the rendering; raised with every change of the images or labels. 4: meshes show their near side.
VERSION = 4
# scenes that are rendered and cached together
_SHARD = 128
_STREAMS = {"train": 0, "validation": 1}
# splits of recorded motion
_CLIPS = {"train": "train", "validation": "val"}
# cached fields of the instants
_KEPT = frozenset({"images", "joints2d", "confidence", "image_size", "joints3d", "rig"})
Split = Literal["train", "validation"]


@dataclass(frozen=True)
class Rendered:
    """Instants with their images, and which joints are occluded."""

    instants: MultiView
    # by an occluder; self-occlusion is not counted
    hidden: Bool[Tensor, "scenes views joints"]

    @property
    def hidden_share(self) -> float:
        """Share of the joints inside their image that an occluder hides."""
        inside = self.instants.confidence > 0
        return float((self.hidden & inside).sum() / inside.sum())


@dataclass(frozen=True)
class RenderedConfig(DataConfig):
    """Rendered people. Training and validation share no person, motion, clothes, varied background or varied rig.

    Needs the extra `synth`."""

    # training instants, each seen by all views
    scenes: int = 4000
    # validation instants
    validation_scenes: int = 400
    # cameras per instant
    views: int = 4
    # cameras per validation instant; default: as many as in training
    test_views: int | None = None
    # width of an image in pixels, and its height unless that is given
    size: int = 128
    # height of an image, pixels
    height: int | None = None
    # people that the training scenes are shared among
    subjects: int = 200
    # people that the validation scenes are shared among
    validation_subjects: int = 40
    # tapered capsules, or MakeHuman's mesh
    body: Literal["capsules", "mesh"] = "capsules"
    # share of the joints inside their image that an occluder hides
    occlusion: float = 0.1
    # random variation of the crop's place and size, as a share of it
    jitter: float = 0.06
    # a random rig per person, or one ring for all
    cameras: Literal["varied", "ring"] = "varied"
    # random surroundings, or one empty room, as in Human3.6M
    scenery: Literal["varied", "studio"] = "varied"
    # folder of prepared motion capture; default: procedural motion
    motion_folder: Path | None = None
    # skeleton of the labels
    skeleton: Skeleton = H36M_17
    # file of body "mesh"; default: where docs/howto/rendered_people.md puts it
    mesh_file: Path | None = None
    # of everything random
    seed: int = 0
    # keep rendered images under $COVIEW_DATA/rendered or ~/.cache/coview/rendered
    cache: bool = True

    def __post_init__(self) -> None:
        counts = (self.scenes, self.validation_scenes, self.views, self.subjects, self.validation_subjects)
        if min(*counts, self.validation_views) < 1:
            raise InputError(
                "RenderedConfig: scenes, validation_scenes, views, subjects, validation_subjects and test_views "
                f"are at least 1, got {counts} and {self.test_views}."
            )
        if not 16 <= min(self.width_height) <= max(self.width_height) <= 1024:
            raise InputError(
                f"RenderedConfig: size and height are in pixels, 16 to 1024, got {self.width_height}."
            )
        for name, most in (("occlusion", 0.3), ("jitter", 0.25)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(
                    f"RenderedConfig: {name} is a share, 0 to {most} (not per cent), got {getattr(self, name)}."
                )
        skeleton_map(H36M_17, self.skeleton)

    @property
    def provides(self) -> frozenset[str]:
        """Fields of every instant."""
        return frozenset({"cameras"}) | _KEPT | {"subject", "sequence", "time"}

    @property
    def validation_views(self) -> int:
        """Number of views of the validation."""
        return self.views if self.test_views is None else self.test_views

    @property
    def width_height(self) -> tuple[int, int]:
        """Width and height of every image, pixels."""
        return self.size, self.size if self.height is None else self.height

    @property
    def mesh(self) -> MeshBody | None:
        """The mesh of the bodies, if they are meshes.

        FileNotFoundError or ValueError where its file is missing or holds something else."""
        return read_mesh(mesh_file(self.mesh_file)) if self.body == "mesh" else None

    def train(self) -> InMemory:
        """The training instants, rendered or read from the cache."""
        return InMemory(self.rendered("train").instants)

    def validation(self) -> InMemory:
        """The validation instants, rendered or read from the cache."""
        return InMemory(self.rendered("validation").instants)

    def rendered(self, split: Split) -> Rendered:
        """Images of a split and their occlusions, rendered or read from the cache.

        Args:
            split: "train" or "validation".

        Raises:
            ModuleNotFoundError: a package is missing; says which.
            OSError: OpenGL does not work; says what to install."""
        scenes = self.scenes if split == "train" else self.validation_scenes
        lengths = [len(part) for part in torch.arange(scenes).split(_SHARD)]
        found = gathered(
            _Draw(self, split), lengths, folder=self._folder(), stem=split, what=f"render {split}"
        )
        cameras = Cameras.make(found["intrinsics"], found["cam_from_world"], found["image_size"])
        values: dict[str, Any] = {name: found[name] for name in _KEPT} | vars(self._whereabouts(split))
        return Rendered(MultiView(self.skeleton, cameras=cameras, **values), found["hidden"])

    def _folder(self) -> Path | None:
        """The cache folder of these settings."""
        if not self.cache:
            return None
        settings = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        settings |= {"cache": "", "skeleton": " ".join(self.skeleton.joints), "version": str(VERSION)}
        if self.motion_folder is not None:
            meta = self.motion_folder / META
            settings["motion"] = str(meta.stat().st_mtime_ns if meta.is_file() else 0)
        return cache_folder("rendered") / digest(settings)

    def _people(self, split: Split) -> PosedPeople:
        seed = self.seed * 2 + _STREAMS[split]
        scenes, subjects = self._counts(split)
        if self.motion_folder is not None:
            return recorded_people(scenes, self.motion_folder, _CLIPS[split], seed)
        return generated_people(scenes, subjects, seed)

    def _whereabouts(self, split: Split) -> Whereabouts:
        """Subjects, sequences and times; not cached, because they follow from the settings at once."""
        scenes, subjects = self._counts(split)
        if self.motion_folder is not None:
            return recorded_whereabouts(scenes, self.motion_folder, _CLIPS[split])
        return generated_whereabouts(scenes, subjects)

    def _counts(self, split: Split) -> tuple[int, int]:
        """Scenes and subjects of a split."""
        if split == "train":
            return self.scenes, min(self.subjects, self.scenes)
        return self.validation_scenes, min(self.validation_subjects, self.validation_scenes)

    def _rigs(self, split: Split, subjects: int) -> Cameras:
        """Cameras of each subject, subjects × views."""
        views = self.views if split == "train" else self.validation_views
        if self.cameras == "ring":
            return ring_cameras(views).expand(subjects, views)
        seed = (self.seed * 2 + _STREAMS[split]) * 1_000_003 + 999_983
        return varied_cameras(subjects, views, torch.Generator().manual_seed(seed))


class _Draw:
    """Renders shard after shard; poses and rigs are made once, and only if something is rendered."""

    def __init__(self, config: RenderedConfig, split: Split) -> None:
        self.config, self.split = config, split

    def __call__(self, number: int) -> dict[str, Tensor]:
        people, rigs = self._cast
        picked = torch.arange(len(people.joints3d)).split(_SHARD)[number]
        part = people.picked(picked)
        seed = (self.config.seed * 2 + _STREAMS[self.split]) * 1_000_003 + number
        return _shard(self.config, part, rigs[part.subject], torch.Generator().manual_seed(seed))

    @functools.cached_property
    def _cast(self) -> tuple[PosedPeople, Cameras]:
        people = self.config._people(self.split)
        return people, self.config._rigs(self.split, 1 + int(people.subject.max()))


def _shard(
    config: RenderedConfig, people: PosedPeople, cameras: Cameras, generator: torch.Generator
) -> dict[str, Tensor]:
    """Crops, bodies, occluders and images of some scenes: fields of scenes × views."""
    scenes, views = cameras.fisheye.shape
    size = torch.tensor([float(side) for side in config.width_height])
    seen = cameras.project(people.joints3d[:, None])
    crops = cameras.crop(*person_boxes(seen, config.width_height, config.jitter, generator)).resize(size)
    labels = skeleton_map(H36M_17, config.skeleton).apply(people.joints3d)
    joints2d = crops.project(labels[:, None])
    inside = ((joints2d >= -0.5) & (joints2d <= size - 0.5)).all(dim=-1)
    flat = Cameras.make(
        crops.intrinsics.flatten(0, 1), crops.cam_from_world.flatten(0, 1), crops.size.flatten(0, 1)
    )
    body = people.joints3d.repeat_interleave(views, dim=0)
    # small things cannot hide much, however many there are
    large = max(1.0, config.occlusion / 0.12)
    things = occluders.propose(flat, body, H36M_17.root_index, generator, large)
    hides = occluders.hidden_by(things, flat, labels.repeat_interleave(views, dim=0))
    kept = occluders.chosen(hides, inside.flatten(0, 1), config.occlusion, generator)
    studio = config.scenery == "studio"
    images = pictures(config.width_height, people, flat, things, kept, generator, config.mesh, studio=studio)
    varied = config.cameras == "varied"
    return {
        "images": images.unflatten(0, (scenes, views)),
        "intrinsics": crops.intrinsics,
        "cam_from_world": crops.cam_from_world,
        "image_size": crops.size,
        "joints2d": joints2d,
        "confidence": inside.float(),
        "joints3d": labels,
        "rig": people.subject if varied else torch.zeros_like(people.subject),
        "hidden": (hides & kept[:, None]).unflatten(0, (scenes, views)),
    }
