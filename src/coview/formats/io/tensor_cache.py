"""A cache of tensors in safetensors files with a checksum: complete, or treated as absent.

A file that was cut short, changed or written by an older version does not match its checksum and is not used.
"""

import hashlib
import json
from pathlib import Path

from torch import Tensor

from coview.formats.io.atomic import write_bytes

_DIGEST = "sha256"


def keep(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors atomically, with a checksum of their content.

    Args:
        path: The file.
        tensors: Name: tensor, any shape, dtype and device.

    Raises:
        OSError: It cannot be written; the message says how to choose another folder.
    """
    from safetensors.torch import save as as_safetensors

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    put(path, as_safetensors(plain, metadata={_DIGEST: _digest(plain)}))


def kept(path: Path) -> dict[str, Tensor] | None:
    """Read the tensors that `keep` wrote.

    Args:
        path: The file.

    Returns:
        Name: tensor, on the CPU; None where there is no file, or its content does not match its checksum.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            said = (file.metadata() or {}).get(_DIGEST)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError):
        # an interrupted disk, or another program's file
        return None
    return tensors if said == _digest(tensors) else None


def put(path: Path, content: bytes) -> None:
    """Write a file of a cache atomically.

    Args:
        path: The file.
        content: Its bytes.

    Raises:
        OSError: It cannot be written; the message says how to choose another folder.
    """
    try:
        write_bytes(path, content)
    except OSError as error:
        raise OSError(
            error.errno,
            f"what was made cannot be kept in {path.parent}: {error.strerror}. Make room there or remove what is in "
            f"the way; caches go to another folder where COVIEW_DATA names one, and rendered people are made anew in "
            f"every run with --data.no-cache",
        ) from error


def _digest(tensors: dict[str, Tensor]) -> str:
    from torch import uint8

    whole = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        whole.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        whole.update(tensor.contiguous().reshape(-1).view(uint8).numpy().data)
    return whole.hexdigest()
