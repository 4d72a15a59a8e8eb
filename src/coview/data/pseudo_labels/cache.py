"""Provenance of pseudo-labels as a hash, and rigs and pose priors as rows of tensors for the cache."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coview import __version__
from coview.body.pose_prior import PosePrior
from coview.cameras import Cameras
from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.pseudo_labels.rigs import CalibratedRig
from coview.data.shards import digest
from coview.errors import InputError
from coview.formats.io.tensor_cache import put
from coview.sample import MultiView

# raised whenever the same input gives other labels, so that labels cached before are made anew
REVISION = 2
# bytes for the description of a rig
_ROOM = 1 << 14
# instants hashed at a time
_PART = 1 << 16


def provenance(seen: MultiView, config: PseudoConfig) -> dict[str, Any]:
    """Everything that the labels depend on: settings, a digest of the input, and coview's version.

    Args:
        seen: the input.
        config: the settings."""
    settings = {
        name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()
    }
    return {
        "coview": __version__,
        "revision": REVISION,
        "settings": settings,
        "input": _fingerprint(seen, config),
    }


def kept_in(folder: Path | None, about: dict[str, Any]) -> Path | None:
    """The cache folder for labels of this provenance, which is written into it.

    Args:
        folder: of all caches; None: no cache.
        about: provenance."""
    if folder is None:
        return None
    own = folder / digest(about)
    put(own / "provenance.json", json.dumps(about, indent=1, sort_keys=True).encode())
    return own


def rig_row(rig: CalibratedRig) -> dict[str, Tensor]:
    """A rig as tensors of one row.

    Args:
        rig: to be stored.

    Raises:
        ValueError: its facts are too long."""
    facts = json.dumps(rig.facts).encode()
    if len(facts) > _ROOM:
        raise InputError(
            f"what is known of a rig takes {len(facts)} bytes, and {_ROOM} are kept. Are there thousands of views? "
            f"Split the data."
        )
    columns = {
        "intrinsics": rig.cameras.intrinsics,
        "cam_from_world": rig.cameras.cam_from_world,
        "size": rig.cameras.size,
        "threshold": torch.tensor(rig.threshold, dtype=torch.float64),
        "sigma": rig.sigma,
        "up": rig.up,
        "facts": torch.tensor(list(facts.ljust(_ROOM)), dtype=torch.uint8),
    }
    return {name: column[None].clone() for name, column in columns.items()}


def rig_from(rows: dict[str, Tensor], number: int) -> CalibratedRig:
    """The inverse of `rig_row`.

    Args:
        rows: tensors by name.
        number: of the row."""
    row = {name: column[number] for name, column in rows.items()}
    cameras = Cameras.make(row["intrinsics"], row["cam_from_world"], row["size"])
    facts = json.loads(bytes(row["facts"].tolist()))
    return CalibratedRig(cameras, float(row["threshold"]), row["sigma"], row["up"], facts)


def prior_row(prior: PosePrior | None) -> dict[str, Tensor]:
    """A pose prior, or its absence, as tensors of one row.

    Args:
        prior: to be stored."""
    if prior is None:
        return {"across": torch.zeros(1, 0, 2, dtype=torch.long)}
    across = torch.tensor(prior.across)[None]
    return {"across": across, "means": prior.means[None], "spreads": prior.covariances[None]}


def prior_from(rows: dict[str, Tensor]) -> PosePrior | None:
    """The inverse of `prior_row`.

    Args:
        rows: tensors by name."""
    if "means" not in rows:
        return None
    across = tuple((int(left), int(right)) for left, right in rows["across"][0])
    return PosePrior(rows["means"][0], rows["spreads"][0], across)


# --- inside --------------------------------------------------------------------------------------


def _fingerprint(seen: MultiView, config: PseudoConfig) -> str:
    """SHA-256 of the fields that are read; extrinsics only where they are used."""
    cameras = seen.cameras
    read = {
        "joints2d": seen.joints2d,
        "confidence": seen.confidence,
        "intrinsics": cameras.intrinsics,
        "distortion": cameras.distortion,
        "fisheye": cameras.fisheye,
        "size": cameras.size,
    }
    if config.cameras == "given":
        read["cam_from_world"] = cameras.cam_from_world
    if "rig" in seen.fields:
        read["rig"] = seen.rig
    whole = hashlib.sha256(json.dumps(seen.skeleton.joints).encode())
    for name, tensor in read.items():
        whole.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        # the same for all instants
        if tensor.stride(0) == 0:
            tensor = tensor[:1]
        for part in tensor.detach().cpu().split(_PART):
            whole.update(part.contiguous().view(torch.uint8).numpy().data)
    return whole.hexdigest()
