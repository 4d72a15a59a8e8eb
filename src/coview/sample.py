"""`MultiView`: synchronised views of one instant, which every data set yields and every method reads."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError, UnknownNameError
from coview.skeletons import Skeleton


class MultiView:
    """One instant seen by several cameras, or a batch of them; immutable. A field that is not there cannot be read.

    Args:
        skeleton: Skeleton of all joints.
        images: RGB, as floats in [0, 1] or bytes; all other arguments are described by the property of the same name.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        *,
        images: Float[Tensor, "*batch views 3 height width"]
        | UInt8[Tensor, "*batch views 3 height width"]
        | None = None,
        cameras: Cameras | None = None,
        joints2d: Float[Tensor, "*batch views joints 2"] | None = None,
        confidence: Float[Tensor, "*batch views joints"] | None = None,
        image_size: Float[Tensor, "*batch views 2"] | None = None,
        joints3d: Float[Tensor, "*batch joints 3"] | None = None,
        base_point: Float[Tensor, "*batch 3"] | None = None,
        rig: Int[Tensor, "*batch"] | None = None,
        pseudo3d: Float[Tensor, "*batch joints 3"] | None = None,
        pseudo_covariance: Float[Tensor, "*batch joints 3 3"] | None = None,
        pseudo_cameras: Cameras | None = None,
        first_guess: Float[Tensor, "*batch views joints 3"] | None = None,
        subject: Int[Tensor, "*batch"] | None = None,
        sequence: Int[Tensor, "*batch"] | None = None,
        time: Float[Tensor, "*batch"] | None = None,
        labelled: Bool[Tensor, "*batch"] | None = None,
        labelled2d: Bool[Tensor, "*batch views"] | None = None,
    ) -> None:
        fields = {
            "images": images,
            "cameras": cameras,
            "joints2d": joints2d,
            "confidence": confidence,
            "image_size": image_size,
            "joints3d": joints3d,
            "base_point": base_point,
            "rig": rig,
            "pseudo3d": pseudo3d,
            "pseudo_covariance": pseudo_covariance,
            "pseudo_cameras": pseudo_cameras,
            "first_guess": first_guess,
            "subject": subject,
            "sequence": sequence,
            "time": time,
            "labelled": labelled,
            "labelled2d": labelled2d,
        }
        self.skeleton = skeleton
        self._fields: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}

    @property
    def images(self) -> Float[Tensor, "*batch views 3 height width"]:
        """RGB in [0, 1]. Bytes are held as they are, a quarter of the memory, and divided by 255 when read."""
        pixels = self._read("images")
        return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels

    @property
    def cameras(self) -> Cameras:
        """One calibrated camera per view."""
        return self._read("cameras")

    @property
    def joints2d(self) -> Float[Tensor, "*batch views joints 2"]:
        """Pixels; (0, 0) is the centre of the top-left pixel. Meaningless where confidence is 0."""
        return self._read("joints2d")

    @property
    def confidence(self) -> Float[Tensor, "*batch views joints"]:
        """The detector's confidence in each 2D joint, in [0, 1]; 0 for a joint that was not detected."""
        return self._read("confidence")

    @property
    def image_size(self) -> Float[Tensor, "*batch views 2"]:
        """Width and height of each view's image in pixels."""
        return self._read("image_size")

    @property
    def joints3d(self) -> Float[Tensor, "*batch joints 3"]:
        """Ground truth or reconstruction in metres, world frame; NaN where not known."""
        return self._read("joints3d")

    @property
    def base_point(self) -> Float[Tensor, "*batch 3"]:
        """A first guess of where the root joint is: metres, world frame; NaN where there is none."""
        return self._read("base_point")

    @property
    def rig(self) -> Int[Tensor, "*batch"]:
        """Which static set of cameras saw the instant: equal numbers, equal extrinsics."""
        return self._read("rig")

    @property
    def pseudo3d(self) -> Float[Tensor, "*batch joints 3"]:
        """Poses triangulated from 2D joints alone, in the world of `pseudo_cameras`: z up, metres if scaled.

        NaN for a joint that the views do not determine.
        """
        return self._read("pseudo3d")

    @property
    def pseudo_covariance(self) -> Float[Tensor, "*batch joints 3 3"]:
        """Of `pseudo3d`, in its unit squared; NaN where that is."""
        return self._read("pseudo_covariance")

    @property
    def pseudo_cameras(self) -> Cameras:
        """The cameras that `pseudo3d` was seen by: found from people, or given."""
        return self._read("pseudo_cameras")

    @property
    def first_guess(self) -> Float[Tensor, "*batch views joints 3"]:
        """One pose per view by an earlier model: root-centred, in that camera's axes; NaN where it has none."""
        return self._read("first_guess")

    @property
    def subject(self) -> Int[Tensor, "*batch"]:
        """Who it is: equal numbers, the same person. Numbers of different data sets say nothing about each other."""
        return self._read("subject")

    @property
    def sequence(self) -> Int[Tensor, "*batch"]:
        """Which continuous take it is from: `time` counts within it."""
        return self._read("sequence")

    @property
    def time(self) -> Float[Tensor, "*batch"]:
        """Seconds within the take."""
        return self._read("time")

    @property
    def labelled(self) -> Bool[Tensor, "*batch"]:
        """Whether its 3D joints may teach; where not, they are NaN (`data.labels`)."""
        return self._read("labelled")

    @property
    def labelled2d(self) -> Bool[Tensor, "*batch views"]:
        """Whether a view's 2D joints may teach as labels of a single image; where not, they are hidden."""
        return self._read("labelled2d")

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that can be read."""
        return frozenset(self._fields)

    def stored(self, name: str) -> Any:
        """A field as it lies in memory: images of bytes stay bytes, which the property `images` converts.

        Args:
            name: Name of the field.

        Returns:
            The field.

        Raises:
            UnknownNameError: The field is not there.
        """
        return self._read(name)

    def only(self, names: frozenset[str]) -> "MultiView":
        """The same instants with every field outside `names` hidden.

        Args:
            names: Fields to keep.

        Returns:
            A view on the same tensors.
        """
        return MultiView(self.skeleton, **{n: v for n, v in self._fields.items() if n in names})

    def replaced(self, **fields: Any) -> "MultiView":
        """The same instants with some fields replaced or added; None removes one."""
        return MultiView(self.skeleton, **{**self._fields, **fields})

    def to(self, device: torch.device | str, **options: Any) -> "MultiView":
        """Every field moved to a device; Lightning calls this.

        Args:
            device: The device.

        Returns:
            The moved instants.
        """
        return MultiView(self.skeleton, **{n: v.to(device, **options) for n, v in self._fields.items()})

    def __getitem__(self, index: Any) -> "MultiView":
        """Some instants of a batch."""
        return MultiView(self.skeleton, **{n: v[index] for n, v in self._fields.items()})

    @staticmethod
    def stack(samples: Sequence["MultiView"]) -> "MultiView":
        """Stack instants along a new first axis; a field missing in one is missing in the result.

        Args:
            samples: The instants.

        Returns:
            The batch.

        Raises:
            InputError: Their skeletons have different joints: equal counts would hide the mistake.
        """
        if len({sample.skeleton.joints for sample in samples}) > 1:
            names = ", ".join(sorted({sample.skeleton.name for sample in samples}))
            raise InputError(
                f"MultiView.stack: these instants have different skeletons: {names}. Joint 0 of one is not "
                f"joint 0 of the other; bring them to one skeleton with `skeleton_map` first."
            )
        shared = frozenset.intersection(*(sample.fields for sample in samples))
        columns = {name: [sample._fields[name] for sample in samples] for name in shared}
        return MultiView(samples[0].skeleton, **{name: _stack(column) for name, column in columns.items()})

    def __repr__(self) -> str:
        shapes = {n: "Cameras" if isinstance(v, Cameras) else tuple(v.shape) for n, v in self._fields.items()}
        return f"MultiView({self.skeleton.name}, {shapes})"

    def _read(self, name: str) -> Any:
        if name not in self._fields:
            raise UnknownNameError(
                f"this MultiView has no '{name}'; it has: {', '.join(sorted(self._fields)) or 'nothing'}. "
                f"A method reads only what it lists in `inputs` or `supervision`."
            )
        return self._fields[name]


def _stack(column: list[Any]) -> Any:
    return Cameras.stack(column) if isinstance(column[0], Cameras) else torch.stack(column)
