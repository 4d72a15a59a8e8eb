"""Damage that looks like a file: one change in the structure of JSON, TOML, an archive of arrays, or a table of words.

Random bytes are refused by the first check of a parser; what gets through has the form of a file and says nonsense.
"""

import io
import json
import random
import tomllib
import warnings
import zipfile
from typing import Any

import numpy as np

from coview.formats.io.toml import dump_toml

ODD: tuple[Any, ...] = (
    *(0, -1, 1, 2**31, 2**63, -(2**63), 10**19, 10**300, 1e308, 1e-308, -0.0, 0.5),
    *(float("nan"), float("inf"), -float("inf"), None, True, "", "x", "nan", "../../x", "é\0", "1" * 40),
    *([], {}, [[]], [None], ["a", 1], {"a": {}}, [0] * 200),
)
WORDS = (
    "0",
    "-1",
    "nan",
    "inf",
    "1e400",
    "9" * 30,
    "9" * 5000,
    "-",
    "",
    "\0",
    "x" * 300,
    "A1" * 40,
    "{",
    "}",
    "\t",
    "#",
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A changed file of the same kind as far as that can be told, else changed bytes."""
    ways = [_bytes, _text]
    for way in (_archive, _json, _toml):
        if _applies(way, data):
            ways += [way] * 4
    for _ in range(1 + (chance.random() < 0.3)):
        try:
            data = chance.choice(ways)(data, chance)
        except Exception:  # noqa: BLE001 (what cannot be changed in its form is changed in its bytes)
            data = _bytes(data, chance)
    return data


def _applies(way: Any, data: bytes) -> bool:
    if way is _archive:
        return data[:2] == b"PK"
    if way is _json:
        return (
            data.lstrip()[:1] in (b"{", b"[")
            and not data.lstrip().startswith(b"[[")
            and b"\n[" not in data[:200]
        )
    return b" = " in data[:400]


def _bytes(data: bytes, chance: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(content) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            del content[at:]
        elif kind == 1:
            del content[at : at + chance.choice((1, 2, 16, 300))]
        elif kind == 2:
            content[at:at] = chance.randbytes(chance.choice((1, 4, 32)))
        elif kind == 3 and at < len(content):
            content[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, content[at] ^ 1 << chance.randrange(8)))
        elif kind == 4:
            content[at : at + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\0\0\0\x80", b"\xff\xff\xff\x7f"))
        else:
            other = chance.randrange(len(content) + 1)
            content[at:at] = content[other : other + chance.choice((1, 8, 100))]
    return bytes(content)


def _text(data: bytes, chance: random.Random) -> bytes:
    """A word changed, a line repeated, lost or moved."""
    lines = data.decode("latin1").split("\n")
    at = chance.randrange(len(lines))
    kind = chance.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines[at:at] = [lines[at]] * chance.choice((1, 3, 50))
    elif kind == 2:
        other = chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        separator = "\t" if "\t" in lines[at] else " " if " " in lines[at] else ","
        words = lines[at].split(separator)
        words[chance.randrange(len(words))] = chance.choice(WORDS)
        lines[at] = separator.join(words)
    return "\n".join(lines).encode("latin1")


def _json(data: bytes, chance: random.Random) -> bytes:
    return json.dumps(_changed(json.loads(data), chance)).encode()


def _toml(data: bytes, chance: random.Random) -> bytes:
    return dump_toml(_changed(tomllib.loads(data.decode()), chance)).encode()


def _changed(tree: Any, chance: random.Random) -> Any:
    """The same with one place, somewhere below, replaced, removed, repeated or renamed."""
    if isinstance(tree, dict | list) and tree and chance.random() < 0.9:
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        key, kind = chance.choice(keys), chance.randrange(10)
        if kind == 0:
            del tree[key]
        elif kind == 1:
            if isinstance(tree, dict):
                tree[chance.choice((*map(str, ODD[:8]), "name", "", *map(str, tree)))] = tree.pop(key)
            else:
                tree[key:key] = [tree[key]] * chance.choice((1, 2, 40))
        else:
            tree[key] = _changed(tree[key], chance)
        return tree
    return chance.choice(ODD)


def _archive(data: bytes, chance: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name, kind = chance.choice(sorted(members)), chance.randrange(8)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[chance.choice(sorted(members)) + chance.choice(("", "x", ".npy"))] = members[name]
    elif kind == 2 or not name.endswith(".npy"):
        members[name] = _bytes(members[name], chance)
    else:
        members[name] = _array(members[name], chance)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return packed.getvalue()


def _array(data: bytes, chance: random.Random) -> bytes:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = _odd(np.load(io.BytesIO(data), allow_pickle=False), chance)
    stored = io.BytesIO()
    np.save(stored, array, allow_pickle=False)
    return stored.getvalue()


def _odd(array: np.ndarray, chance: random.Random) -> np.ndarray:
    """Another kind, shape, length or value."""
    kind = chance.randrange(7)
    if kind == 0:
        array = array.astype(chance.choice(("f2", "f8", "i1", "i8", "u1", "?", "U5", "c8")))
    elif kind == 1:
        array = array.reshape(chance.choice(((-1,), (1, *array.shape), (*array.shape, 1), array.shape[::-1])))
    elif kind == 2 and array.ndim:
        array = array[: chance.randrange(len(array) + 1)]
    elif kind == 3 and array.size:
        array = array.copy()
        array.flat[chance.randrange(array.size)] = chance.choice([v for v in ODD[:16] if v is not None])
    elif kind == 4:
        array = np.array(chance.choice([v for v in ODD if isinstance(v, str | int | float)]))
    elif kind == 5:
        array = np.zeros((0, *array.shape[1:]), array.dtype)
    else:
        array = np.concatenate([array, array]) if array.ndim else np.stack([array, array])
    return array
